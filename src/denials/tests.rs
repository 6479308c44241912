//! What is remembered, against a model that forgets nothing.

use super::*;
use crate::{clock, json};
use proptest::prelude::*;
use std::collections::HashSet;

fn call(id: u8, deed: u8) -> Call {
    let id = if id == 0 { String::new() } else { format!("call_{id}") };
    Call::of(&id, "pay", &Arguments::Unreadable, &deed.to_string())
}

/// What happens to calls: whose, under which id, doing what, and what becomes of it. `None`: a request brings its result.
#[derive(Debug, Clone, Copy)]
struct Event {
    tenant: u8,
    id: u8,
    deed: u8,
    fate: Option<Fate>,
    minutes: u64,
}

fn event() -> impl Strategy<Value = Event> {
    let fate = prop_oneof![Just(Some(Fate::Denied)), Just(Some(Fate::Left)), Just(None)];
    let minutes = prop_oneof![4 => Just(1), 1 => Just(300), 1 => Just(9000)];
    (0..3_u8, 0..4_u8, 0..4_u8, fate, minutes).prop_map(|(tenant, id, deed, fate, minutes)| Event {
        tenant,
        id,
        deed,
        fate,
        minutes,
    })
}

fn names() -> [Arc<str>; 3] {
    ["a".into(), "b".into(), "c".into()]
}

impl Denials {
    fn is_denied(&self, tenant: &str, call: &Call, now: Instant) -> bool {
        self.fate(tenant, call, now) == Some(Fate::Denied)
    }

    /// Lets an event happen. Whether it was refused.
    fn happens(&mut self, event: Event, now: Instant) -> bool {
        let names = names();
        let (tenant, call) = (&names[usize::from(event.tenant)], call(event.id, event.deed));
        match event.fate {
            Some(fate) => drop(self.remember(tenant, &call, fate, now)),
            None if self.is_denied(tenant, &call, now) => return true,
            None => drop(self.trust(tenant, &call, now)),
        }
        false
    }

    fn check(&self) {
        let entries: usize = self.tenants.values().map(|known| known.entries.len()).sum();
        assert_eq!(self.count, entries);
        assert!(entries <= self.all_max);
        for known in self.tenants.values() {
            assert!(known.entries.len() <= self.tenant_max && known.order.len() <= 2 * self.tenant_max);
            let stand: HashSet<_> = known.order.iter().collect();
            assert!(known.entries.iter().all(|(mark, (_, at))| stand.contains(&(*mark, *at))));
        }
    }
}

proptest! {
    /// Within thirty days: a call is denied that was and never left under its id, and one of which nothing is known where none
    /// that does the same left and one was denied. What happens to another tenant changes nothing.
    #[test]
    fn a_denied_call_is_denied_and_one_that_left_never_is(events in prop::collection::vec(event(), 1..60), alone in any::<bool>()) {
        let start = clock::now();
        let mut denials = Denials::new(alone);
        for (at, event) in events.iter().copied().enumerate() {
            let now = start + Duration::from_secs(u64::try_from(at).unwrap());
            let before = events.get(..at).unwrap();
            let own = |fate: Option<Fate>| before.iter().any(|past| {
                (past.tenant, past.id, past.deed, past.fate) == (event.tenant, event.id, event.deed, fate)
            });
            let deed = |fate: Fate| before.iter().any(|past| {
                (past.tenant, past.deed, past.fate) == (event.tenant, event.deed, Some(fate))
            });
            let names = names();
            let (tenant, call) = (&names[usize::from(event.tenant)], call(event.id, event.deed));
            let is_denied = denials.is_denied(tenant, &call, now);
            // Only the very call is known to have left; without an id, one that does the same.
            let left = if event.id > 0 { own(Some(Fate::Left)) || own(None) } else { deed(Fate::Left) };
            if denials.fate(tenant, &call, now) == Some(Fate::Left) {
                prop_assert!(left);
            }
            if event.id > 0 && own(Some(Fate::Left)) {
                prop_assert!(!is_denied);
            } else if event.id > 0 && own(Some(Fate::Denied)) {
                // Where its result was let in before, it is another that goes by the same name.
                prop_assert!(is_denied || own(None));
            } else if event.id == 0 || !own(None) {
                prop_assert_eq!(is_denied, alone && deed(Fate::Denied) && !deed(Fate::Left));
            }
            prop_assert_eq!(denials.happens(event, now), event.fate.is_none() && is_denied);
            denials.check();
        }
    }

    /// What was told to be written down is all that there is to know: who starts from it decides alike, whatever happens then.
    #[test]
    fn what_is_written_down_is_what_is_known(events in prop::collection::vec(event(), 1..60), end in 0..60_usize, alone in any::<bool>()) {
        let (mut now, mut denials) = (clock::now(), Denials::new(alone));
        let mut written: HashMap<(Arc<str>, Mark), (Fate, Instant)> = HashMap::new();
        let (before, behind) = events.split_at(end.min(events.len()));
        for event in before {
            now += Duration::from_secs(60 * event.minutes);
            let (tenant, call) = (&names()[usize::from(event.tenant)], call(event.id, event.deed));
            let news = match event.fate {
                Some(fate) => denials.remember(tenant, &call, fate, now),
                None if denials.is_denied(tenant, &call, now) => Vec::new(),
                None => denials.trust(tenant, &call, now).into_iter().collect(),
            };
            written.extend(news.into_iter().map(|(mark, fate)| ((Arc::clone(tenant), mark), (fate, now))));
        }
        let mut started = Denials::new(alone);
        let mut lines: Vec<_> = written.into_iter().filter(|(_, (_, at))| !is_old(*at, now)).collect();
        lines.sort_by_key(|(_, (_, at))| *at);
        for ((tenant, mark), (fate, at)) in lines {
            started.restore(&tenant, mark, fate, at);
        }
        started.check();
        for event in behind {
            now += Duration::from_secs(60 * event.minutes);
            prop_assert_eq!(denials.happens(*event, now), started.happens(*event, now));
        }
    }

    /// Nothing is remembered for longer than thirty days, and nothing more than there is room for; what is swept is what
    /// would not be told.
    #[test]
    fn what_is_kept_is_bounded(events in prop::collection::vec(event(), 1..120), tenant_max in 1..9_usize, all_max in 1..16_usize) {
        let mut now = clock::now();
        let (mut denials, mut kept) = (Denials::bounded(true, tenant_max, all_max), Denials::bounded(true, tenant_max, all_max));
        for event in events {
            now += Duration::from_secs(60 * event.minutes);
            denials.sweep(now);
            denials.happens(event, now);
            kept.happens(event, now);
            denials.check();
            kept.check();
        }
        denials.sweep(now + KEPT_FOR);
        prop_assert_eq!((denials.count, denials.tenants.len()), (0, 0));
        for (tenant, id, deed) in (0..3).flat_map(|tenant| (0..4).flat_map(move |id| (0..4).map(move |deed| (tenant, id, deed)))) {
            prop_assert!(!kept.is_denied(&names()[tenant], &call(id, deed), now + KEPT_FOR));
        }
    }
}

#[test]
fn a_tenant_with_many_calls_pushes_out_its_own() {
    let now = clock::now();
    let mut denials = Denials::bounded(true, 100, 64);
    let [many, few, _] = names();
    denials.remember(&few, &call(1, 1), Fate::Denied, now);
    for deed in 0..200 {
        denials.remember(&many, &call(1, deed), Fate::Denied, now);
        denials.check();
    }
    assert!(denials.is_denied(&few, &call(1, 1), now));
    assert!(denials.is_denied(&many, &call(1, 199), now) && !denials.is_denied(&many, &call(1, 0), now));
}

#[test]
fn one_call_is_one_however_it_is_written() {
    let of = |id: &str, tool: &str, text: &str| {
        let parsed = json::parse(text.as_bytes(), 8).unwrap();
        Call::of(id, tool, &Arguments::of(parsed), text)
    };
    let plain = of("a", "pay", r#"{"to":"x","n":100}"#);
    assert_eq!(plain, of("a", "pay", r#"{ "n": 1e2, "to": "\u0078" }"#));
    for (id, tool, text) in [
        ("b", "pay", r#"{"to":"x","n":100}"#),
        ("a", "pa", r#"{"to":"x","n":100}"#),
        ("a", "pay", r#"{"to":"x"}"#),
    ] {
        assert_ne!(plain, of(id, tool, text));
    }
    assert_eq!(plain.deed, of("", "pay", r#"{"to":"x","n":100}"#).deed);
    // What cannot be read is what it says.
    let unread = |text: &str| Call::of("a", "pay", &Arguments::Unreadable, text);
    assert_ne!(unread("{"), unread("{ "));
}
