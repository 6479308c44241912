//! What an approval is good for, and for how long.

use super::*;
use crate::{
    records::Content,
    redact::{Detectors, Redactor, TenantSecret},
};
use proptest::prelude::*;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::Wake,
};

const EXPIRES: u64 = 10_000;

fn wanted(tenant: &str, tool: &str, args: &str) -> Wanted {
    let secret = || TenantSecret::derive(b"test", tenant);
    let journal = Journal {
        tenant: tenant.into(),
        redactor: Arc::new(Redactor::new(secret(), Detectors::all(), Vec::new())),
        secret: Arc::new(secret()),
        analyst: None,
        content: Content::Redacted,
        queued: Arc::default(),
        turns: Arc::default(),
    };
    Wanted {
        tenant: tenant.into(),
        key: "prod".into(),
        tool: tool.into(),
        args: args.into(),
        rule: "tenants/acme.yaml:4".into(),
        rule_text: "ask refund".into(),
        reason: "".into(),
        journal: Arc::new(journal),
        request_id: "r".into(),
        place: Place::Emitted,
        config: "c".into(),
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(ticket: &Ticket, now: u64) -> Poll<Ruling> {
    ticket.poll(now, &mut Context::from_waker(Waker::noop()))
}

fn approved(by: &str) -> Poll<Ruling> {
    Poll::Ready(Ruling::Approved { by: by.into() })
}

#[test]
fn a_call_waits_until_a_person_decides_and_is_woken() {
    let approvals = Arc::new(Approvals::default());
    let call = wanted("acme", "refund", r#"{"amount":1}"#);
    let ticket = approvals.ask(&call, "a1", 0, EXPIRES).unwrap();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    assert_eq!(ticket.poll(1, &mut Context::from_waker(&waker)), Poll::Pending);
    let listed = approvals.waiting(1);
    assert_eq!((listed.len(), &*listed[0].id, &*listed[0].call.tool), (1, "a1", "refund"));
    assert_eq!(approvals.decide("a2", Approved::Yes, "ada", 2).unwrap_err(), NotDecided::Unknown);
    assert!(approvals.decide("a1", Approved::Yes, "ada", 2).is_ok());
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(approvals.decide("a1", Approved::No, "eve", 3).unwrap_err(), NotDecided::Over);
    assert!(approvals.waiting(3).is_empty());
    assert_eq!(poll(&ticket, 3), approved("ada"));
    // Once.
    assert_eq!(poll(&ticket, 3), Poll::Ready(Ruling::Expired));
    drop(ticket);
    let again = approvals.ask(&call, "a3", 4, EXPIRES).unwrap();
    assert!(again.news().is_some() && poll(&again, 4) == Poll::Pending);
}

#[test]
fn what_nobody_decides_expires() {
    let approvals = Arc::new(Approvals::default());
    let ticket = approvals.ask(&wanted("acme", "refund", "{}"), "a1", 0, EXPIRES).unwrap();
    assert_eq!(poll(&ticket, EXPIRES - 1), Poll::Pending);
    assert_eq!(poll(&ticket, EXPIRES), Poll::Ready(Ruling::Expired));
    assert_eq!(approvals.decide("a1", Approved::Yes, "ada", EXPIRES).unwrap_err(), NotDecided::Over);
    assert!(approvals.waiting(EXPIRES).is_empty());
}

#[test]
fn a_grant_that_nobody_waits_for_is_for_the_same_call_and_no_other() {
    let approvals = Arc::new(Approvals::default());
    let call = wanted("acme", "refund", r#"{"amount":1}"#);
    drop(approvals.ask(&call, "a1", 0, EXPIRES).unwrap());
    approvals.decide("a1", Approved::Yes, "ada", 1).unwrap();
    let others = [
        wanted("globex", "refund", r#"{"amount":1}"#),
        wanted("acme", "pay", r#"{"amount":1}"#),
        wanted("acme", "refund", r#"{"amount":2}"#),
        Wanted { key: "batch".into(), ..call.clone() },
        Wanted { rule: "tenants/acme.yaml:9".into(), ..call.clone() },
        Wanted { rule_text: "ask refund, args amount max 5".into(), ..call.clone() },
    ];
    for (at, other) in others.iter().enumerate() {
        let ticket = approvals.ask(other, &format!("b{at}"), 2, EXPIRES).unwrap();
        assert!(ticket.news().is_some() && poll(&ticket, 2) == Poll::Pending, "{other:?}");
    }
    let same = approvals.ask(&call, "c1", 2, EXPIRES).unwrap();
    let beside = approvals.ask(&call, "c2", 2, EXPIRES).unwrap();
    assert_eq!((poll(&same, 2), poll(&beside, 2)), (approved("ada"), Poll::Pending));
    assert!(approvals.ask(&call, "c3", EXPIRES, 2 * EXPIRES).unwrap().news().is_some());
}

#[test]
fn a_denial_answers_every_try_until_it_expires() {
    let approvals = Arc::new(Approvals::default());
    let call = wanted("acme", "refund", "{}");
    let first = approvals.ask(&call, "a1", 0, EXPIRES).unwrap();
    approvals.decide("a1", Approved::No, "eve", 1).unwrap();
    let denied = Poll::Ready(Ruling::Denied { by: "eve".into() });
    assert_eq!(poll(&first, 1), denied);
    drop(first);
    let tickets: Vec<Ticket> =
        (0..3).map(|at| approvals.ask(&call, &format!("b{at}"), 2, EXPIRES).unwrap()).collect();
    assert!(tickets.iter().all(|ticket| ticket.news().is_none() && poll(ticket, 2) == denied));
    drop(tickets);
    assert_eq!(poll(&approvals.ask(&call, "c", EXPIRES, 2 * EXPIRES).unwrap(), EXPIRES), Poll::Pending);
}

#[test]
fn one_tenant_cannot_fill_the_list() {
    let approvals = Arc::new(Approvals::default());
    let ask = |tenant: &str, at: usize| {
        approvals.ask(&wanted(tenant, "refund", &at.to_string()), &format!("{tenant}{at}"), 0, EXPIRES)
    };
    let tickets: Vec<Ticket> = (0..WAITING_MAX).map(|at| ask("acme", at).unwrap()).collect();
    assert!(ask("acme", WAITING_MAX).is_none() && ask("globex", 0).is_some());
    drop(tickets);
    let much_later = EXPIRES + REMEMBERED_MS + 1;
    let fresh = approvals.ask(&wanted("acme", "refund", "x"), "x", much_later, much_later + 1).unwrap();
    assert_eq!(approvals.entries().len(), 1, "what is over is forgotten");
    drop(fresh);
}

#[test]
fn what_is_settled_holds_no_arguments_and_what_waits_not_too_many() {
    let approvals = Arc::new(Approvals::default());
    let large = "x".repeat(WAITING_BYTES_MAX / 2);
    let ask =
        |tool: &str, id: &str, now| approvals.ask(&wanted("acme", tool, &large), id, now, now + EXPIRES);
    let (first, second) = (ask("a", "1", 0).unwrap(), ask("b", "2", 0).unwrap());
    assert!(ask("c", "3", 0).is_none(), "too much waits");
    approvals.decide("1", Approved::No, "ada", 1).unwrap();
    drop((first, second));
    drop(ask("d", "4", EXPIRES + 1).unwrap());
    let held: usize = approvals.entries().values().map(|entry| entry.waiting.call.args.len()).sum();
    assert_eq!(held, large.len(), "only that of the one that waits");
}

/// What happens to one call's approval.
#[derive(Debug, Clone)]
enum Act {
    Ask,
    Decide(bool),
    Leave,
    Poll,
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Ask),
        any::<bool>().prop_map(Act::Decide),
        Just(Act::Leave),
        Just(Act::Poll),
        (0..4000u64).prop_map(Act::Wait),
    ];
    proptest::collection::vec(act, 0..40)
}

proptest! {
    /// However asking, deciding, leaving and waiting come together: a yes lets one call through, and one at most.
    #[test]
    fn a_yes_is_good_once(acts in acts()) {
        let approvals = Arc::new(Approvals::default());
        let call = wanted("acme", "refund", "{}");
        let (mut now, mut yes, mut through, mut asked) = (0, 0, 0, 0);
        let mut tickets: Vec<Ticket> = Vec::new();
        for act in acts {
            match act {
                Act::Ask => {
                    asked += 1;
                    tickets.extend(approvals.ask(&call, &format!("{asked:03}"), now, now + EXPIRES));
                }
                Act::Decide(is_yes) => {
                    if let Some(first) = approvals.waiting(now).first() {
                        let word = if is_yes { Approved::Yes } else { Approved::No };
                        approvals.decide(&first.id, word, "ada", now).unwrap();
                        yes += usize::from(is_yes);
                    }
                }
                Act::Leave => drop((!tickets.is_empty()).then(|| tickets.remove(0))),
                Act::Poll => tickets.retain(|ticket| match poll(ticket, now) {
                    Poll::Pending => true,
                    Poll::Ready(ruling) => {
                        through += usize::from(matches!(ruling, Ruling::Approved { .. }));
                        false
                    }
                }),
                Act::Wait(ms) => now += ms,
            }
        }
        prop_assert!(through <= yes, "{through} calls went through by {yes} approvals");
    }
}
