//! Calls that wait for a person here, posted where all gateways see them; and what was decided of them elsewhere.

use super::{Detail, Gateway, shown};
use crate::{
    approvals::{Approved, Decided, Waiting},
    clock,
    fleet::{Fleet, Posted},
    json::{self, Value},
    operator,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// So often it is looked what waits, and what was decided.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A Redis that forgot is told again.
const POST_AGAIN_AFTER: Duration = Duration::from_secs(20);

/// A call as it was posted, and when.
struct Post {
    posted: Posted,
    whole: String,
    at: Option<Instant>,
}

/// Goes on as long as the process does.
pub async fn share_approvals(gateway: Arc<Gateway>) {
    let Some(fleet) = gateway.fleet.as_ref().filter(|fleet| fleet.shares_all()) else { return };
    let mut posts: HashMap<Arc<str>, Post> = HashMap::new();
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let waiting = gateway.approvals.waiting(clock::unix_millis(clock::wall()));
        if waiting.is_empty() && posts.is_empty() {
            continue;
        }
        // What waits no longer is taken down; what cannot be is tried again.
        let ids: HashSet<&str> = waiting.iter().map(|call| &*call.id).collect();
        let gone: Vec<Arc<str>> = posts.keys().filter(|id| !ids.contains(&***id)).cloned().collect();
        if !gone.is_empty() && fleet.withdraw(&gone).await {
            gone.iter().for_each(|id| drop(posts.remove(id)));
        }
        post(fleet, &waiting, &mut posts).await;
        let ids: Vec<Arc<str>> = waiting.iter().map(|call| Arc::clone(&call.id)).collect();
        for (id, decision) in fleet.decisions(&ids).await {
            take(&gateway, &id, &decision);
        }
    }
}

async fn post(fleet: &Fleet, waiting: &[Waiting], posts: &mut HashMap<Arc<str>, Post>) {
    for call in waiting {
        if !posts.contains_key(&call.id) {
            let shown_of = call.clone();
            // Redacting takes its time: not on a thread that others wait for.
            let texts = tokio::task::spawn_blocking(move || {
                [Detail::Brief, Detail::Whole].map(|detail| shown(&shown_of, detail).to_string())
            });
            let Ok([shown, whole]) = texts.await else { continue };
            let posted = Posted { expires: call.expires, tenant: call.call.tenant.to_string(), shown };
            posts.insert(Arc::clone(&call.id), Post { posted, whole, at: None });
        }
        let now = clock::now();
        let Some(post) = posts.get_mut(&call.id) else { continue };
        let is_there = |at: Instant| now.saturating_duration_since(at) < POST_AGAIN_AFTER;
        if !post.at.is_some_and(is_there) {
            let wall = clock::unix_millis(clock::wall());
            post.at = fleet.post(&call.id, &post.posted, &post.whole, wall).await.then_some(now);
        }
    }
}

/// Takes what was decided at another gateway.
fn take(gateway: &Gateway, id: &str, decision: &str) {
    let Some((word, by)) = read(decision) else { return };
    // What was decided here meanwhile stays.
    if let Ok(decided) = gateway.approvals.decide(id, word, &by, clock::unix_millis(clock::wall())) {
        record(gateway, &decided, word, &by);
    }
}

/// Records what was decided, where nobody waits who would.
pub fn record(gateway: &Gateway, decided: &Decided, word: Approved, by: &str) {
    let Decided { waiting, waited_for } = decided;
    if !waited_for && gateway.records.push(waiting.record(word, by, clock::wall())).is_err() {
        operator::warn(&format!("what {by} decided on {} could not be recorded", waiting.id));
    }
}

/// A decision as gateways tell it each other.
pub fn decision(word: Approved, by: &str) -> String {
    let approve = Value::Bool(word == Approved::Yes);
    Value::object([("approve", approve), ("by", Value::string(by.to_owned()))]).to_string()
}

fn read(decision: &str) -> Option<(Approved, String)> {
    let decision = json::parse(decision.as_bytes(), 4).ok()?;
    let word = if decision.get("approve")?.as_bool()? { Approved::Yes } else { Approved::No };
    Some((word, decision.get("by")?.as_str()?.to_owned()))
}
