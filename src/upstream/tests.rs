//! Laws of where a call is sent next, and of what a reload keeps of an upstream.

use super::*;
use http::header;
use http1::{Origin, Timeouts};
use proptest::prelude::*;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    first_byte: Duration::from_secs(1),
    idle: Duration::from_secs(1),
    total: None,
};

fn endpoint(url: &str) -> Endpoint {
    let (origin, base_path) = Origin::parse(url).unwrap();
    Endpoint::new(Client::new(origin, TIMEOUTS, None), base_path)
}

fn credential(value: &str) -> Credential {
    Credential { header: header::AUTHORIZATION, value: HeaderValue::from_str(value).unwrap() }
}

fn upstream(endpoints: Vec<Endpoint>, credentials: &[&str]) -> Upstream {
    let credentials = credentials.iter().map(|value| credential(value)).collect();
    Upstream::new(UpstreamName::try_from("up").unwrap(), Family::OpenAi, endpoints, credentials, 2)
}

fn urls(count: usize) -> Vec<Endpoint> {
    (0..count).map(|number| endpoint(&format!("http://127.0.0.1:1/{number}"))).collect()
}

/// What happened at a URL.
#[derive(Debug, Clone, Copy)]
struct Past {
    /// This call failed there.
    tried: bool,
    /// Another of the tenant's did.
    failed: bool,
    open: bool,
    in_flight: usize,
}

prop_compose! {
    fn past()(tried: bool, failed: bool, open in prop::bool::weighted(0.2), in_flight in 0_usize..3) -> Past {
        Past { tried, failed, open, in_flight }
    }
}

proptest! {
    /// The URL is one that admits the call; of these one at which it did not fail; of these one at which nobody's of the tenant
    /// did lately; and where there are two of them, the one with less to do.
    #[test]
    fn a_try_goes_where_the_least_went_wrong(pasts in prop::collection::vec(past(), 1..5), turn in 0_usize..20) {
        let (tenant, now): (Arc<str>, _) = ("acme".into(), clock::now());
        let upstream = upstream(urls(pasts.len()), &[]);
        let mut tries = Tries::default();
        let mut watches = Vec::new();
        for (past, endpoint) in pasts.iter().zip(&upstream.endpoints) {
            let begin = || endpoint.circuit.begin(&tenant, now, "up".into());
            let failures = if past.open { 5 } else { usize::from(past.failed) };
            (0..failures).for_each(|_| begin().failed(&"it fails"));
            watches.extend((0..past.in_flight).map(|_| begin()));
            if past.tried {
                tries.fail(Chosen { endpoint, kept: None });
            }
        }
        let rank = |past: &Past| (past.tried, past.failed);
        let best = pasts.iter().filter(|past| !past.open).map(rank).min();
        let chosen = upstream.endpoint(turn, &tenant, &tries, clock::now());
        let chosen = chosen.map(|chosen| upstream.endpoints.iter().position(|known| std::ptr::eq(known, chosen)).unwrap());
        prop_assert_eq!(chosen.map(|at| rank(&pasts[at])), best);
        let Some(at) = chosen else { return Ok(()) };
        prop_assert!(!pasts[at].open);
        let equals: Vec<&Past> = pasts.iter().filter(|past| !past.open && Some(rank(past)) == best).collect();
        if let [one, other] = equals[..] {
            prop_assert_eq!(pasts[at].in_flight, one.in_flight.min(other.in_flight));
        }
        drop(watches);
    }

    /// Each key is shown once for a call as long as there is another; one that was refused never again; one that rests only
    /// where all do, and nothing was refused for this call.
    #[test]
    fn no_key_is_shown_again_that_was_refused(rests in prop::collection::vec(any::<bool>(), 1..5), refuses in prop::collection::vec(any::<bool>(), 8), turn in 0_usize..9) {
        let names = ["key-a", "key-b", "key-c", "key-d"];
        let upstream = upstream(urls(1), &names[..rests.len()]);
        let now = clock::now();
        for (rest, kept) in rests.iter().zip(&upstream.credentials) {
            *kept.rests_until.lock().unwrap() = rest.then(|| now + Duration::from_secs(60));
        }
        upstream.turn.store(turn, Ordering::Relaxed);
        let (mut tries, mut shown, mut refused) = (Tries::default(), Vec::new(), Vec::new());
        for refuses in refuses {
            let Some(chosen) = upstream.next("acme", &tries, now) else {
                // Each that is awake was refused.
                let left = (0..rests.len()).find(|key| !rests[*key] && !refused.contains(key));
                prop_assert!(left.is_none() && !refused.is_empty());
                return Ok(());
            };
            let key = upstream.credentials.iter().position(|kept| std::ptr::eq(kept, chosen.kept.unwrap())).unwrap();
            prop_assert!(!refused.contains(&key));
            prop_assert!(!rests[key] || rests.iter().all(|rests| *rests) && refused.is_empty());
            let is_new = |key: &usize| !rests[*key] && !shown.contains(key);
            prop_assert!(!shown.contains(&key) || !(0..rests.len()).any(|key| is_new(&key)));
            shown.push(key);
            tries.fail(chosen);
            if refuses {
                tries.refuse(chosen);
                refused.push(key);
            }
        }
    }
}

proptest! {
    /// A call that fails everywhere goes to each upstream once, in order, those first of which a key is awake; then again, to
    /// each as often as it says, and no more often than the bound in all.
    #[test]
    fn each_upstream_has_its_own_tries_within_one_bound(all in prop::collection::vec((0_u32..=10, any::<bool>()), 1..20)) {
        let now = clock::now();
        let upstreams: Vec<Arc<Upstream>> = all.iter().map(|(retries, rests)| {
            let upstream = Upstream { retries: *retries, ..upstream(urls(1), &["key-a"]) };
            *upstream.credentials[0].rests_until.lock().unwrap() = rests.then(|| now + Duration::from_secs(60));
            Arc::new(upstream)
        }).collect();
        let mut call = tries::Call::new(&upstreams, now);
        let mut asked = Vec::new();
        while let Some(leg) = call.next() {
            leg.tries.sent += 1;
            asked.push(upstreams.iter().position(|known| Arc::ptr_eq(known, leg.upstream)).unwrap());
        }
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|at| all[*at].1);
        prop_assert_eq!(&asked[..all.len()], &order[..]);
        for (at, (retries, _)) in all.iter().enumerate() {
            prop_assert!(asked.iter().filter(|asked| **asked == at).count() <= usize::try_from(retries + 1).unwrap());
        }
        let own: usize = all.iter().map(|(retries, _)| usize::try_from(retries + 1).unwrap()).sum();
        let most = usize::try_from(tries::SENT_MAX).unwrap().max(all.len());
        prop_assert_eq!(asked.len(), own.min(most));
    }
}

#[test]
fn what_did_not_change_goes_on_and_what_did_is_new() {
    let tenant: Arc<str> = "acme".into();
    let now = clock::now();
    let before = || {
        let before = upstream(urls(2), &["key-a", "key-b"]);
        for _ in 0..5 {
            before.endpoints[0].circuit.begin(&tenant, now, "up".into()).failed(&"it fails");
        }
        *before.credentials[0].rests_until.lock().unwrap() = Some(now + Duration::from_secs(60));
        (0..10).for_each(|_| assert!(before.budget.spend(now)));
        before
    };
    let shares =
        |one: &Upstream, other: &Upstream| one.endpoints[0].client.shares_with(&other.endpoints[0].client);
    let old = before();
    let new = upstream(urls(2), &["key-a", "key-b"]).continuing(&old);
    assert!(!new.endpoints[0].circuit.admits(&tenant, now) && new.endpoints[1].circuit.admits(&tenant, now));
    assert!(!new.credentials[0].is_awake(now) && new.credentials[1].is_awake(now));
    assert!(!new.budget.spend(now) && shares(&old, &new));
    // What happens at one of them from now on is known to the other.
    *old.credentials[1].rests_until.lock().unwrap() = Some(now + Duration::from_secs(60));
    assert!(!new.credentials[1].is_awake(now));

    // Other keys: the circuit goes on, connections do not, and a key's rest is its own.
    let old = before();
    let new = upstream(urls(3), &["key-c", "key-a"]).continuing(&old);
    assert!(!new.endpoints[0].circuit.admits(&tenant, now) && !shares(&old, &new));
    assert!(new.credentials[0].is_awake(now) && !new.credentials[1].is_awake(now));

    // Another path, host or port is another server.
    for url in
        ["http://127.0.0.1:1/other", "http://127.0.0.2:1/0", "http://127.0.0.1:2/0", "https://127.0.0.1:1/0"]
    {
        let new = upstream(vec![endpoint(url)], &["key-a", "key-b"]).continuing(&old);
        assert!(new.endpoints[0].circuit.admits(&tenant, now) && !shares(&old, &new), "{url}");
    }

    // Where other certificates are trusted, or other addresses allowed, connections are opened anew.
    let trusting = |roots: Option<&[u8]>| {
        let endpoints = urls(2).into_iter().map(|endpoint| endpoint.trusting(roots));
        upstream(endpoints.collect(), &["key-a", "key-b"])
    };
    let with_roots = trusting(Some(b"one"));
    for (roots, expected) in [(None, false), (Some(&b"two"[..]), false), (Some(&b"one"[..]), true)] {
        assert_eq!(shares(&with_roots, &trusting(roots).continuing(&with_roots)), expected, "{roots:?}");
    }
    let denying = urls(2).into_iter().map(|endpoint| {
        let client = Client::new(endpoint.client.origin().clone(), TIMEOUTS, None).denying_private(true);
        Endpoint::new(client, endpoint.base_path)
    });
    let denying = upstream(denying.collect(), &["key-a", "key-b"]).continuing(&old);
    assert!(!shares(&old, &denying) && !denying.endpoints[0].circuit.admits(&tenant, now));

    // A tenant's own account has the circuits of all, and connections of its own.
    let account = new.on_account(&credential("key-own"));
    let again = upstream(urls(3), &["key-c", "key-a"]).continuing(&new).on_account(&credential("key-own"));
    let again = again.continuing(&account);
    assert!(!shares(&account, &new) && shares(&account, &again));
    let other = new.on_account(&credential("key-other")).continuing(&account);
    assert!(!shares(&account, &other) && !other.endpoints[0].circuit.admits(&tenant, now));
}
