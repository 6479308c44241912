//! The fair queues before upstreams.

use super::Compiler;
use crate::{
    config::{Problem, raw},
    quota::fair::FairQueue,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Requests of one tenant that may wait, and for how long, where the configuration does not say.
const PER_TENANT: usize = 256;
const WAIT: Duration = Duration::from_secs(30);

impl Compiler<'_> {
    /// How many requests upstreams take at a time, by their names.
    pub(super) fn queues(&mut self, gateway: &raw::Gateway) -> HashMap<Arc<str>, FairQueue> {
        let mut queues = HashMap::new();
        for (name, raw) in &gateway.upstreams.0 {
            let queue = raw.queue.as_ref();
            let per_tenant = queue.and_then(|queue| queue.per_tenant.as_ref());
            let wait = queue.and_then(|queue| queue.wait.as_ref());
            let Some(max) = &raw.max_in_flight else {
                if let Some(at) = per_tenant.map(|at| at.at).or_else(|| wait.map(|at| at.at)) {
                    let message = "nobody waits for an upstream without `max_in_flight`: it takes any number of requests";
                    let problem = Problem::warning("queue-without-places", at, message);
                    self.say(problem.hint(
                        "set `max_in_flight` to what the upstream works on at a time, or leave `queue` out",
                    ));
                }
                continue;
            };
            let per_tenant =
                per_tenant.map_or(PER_TENANT, |at| usize::try_from(at.value).unwrap_or(usize::MAX));
            let queue = FairQueue {
                max_in_flight: u32::try_from(max.value).unwrap_or(u32::MAX),
                per_tenant,
                wait: wait.map_or(WAIT, |at| at.value),
            };
            queues.insert(Arc::from(name.value.as_str()), queue);
        }
        queues
    }
}
