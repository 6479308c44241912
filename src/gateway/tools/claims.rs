//! Ids that are being written in a store. While one tenant writes an id, another that wants to write the same one waits:
//! whose it is, is looked at before it is written, and must still be so when it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// By whom, and how often.
type Held = (Arc<str>, usize);

/// What is being written.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: Mutex<HashMap<Arc<str>, Held>>,
    freed: Notify,
}

/// Ids that nobody else writes until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Arc<Claims>,
    ids: Vec<Arc<str>>,
}

impl Claims {
    /// Waits until no other tenant writes one of these ids. All are had at once, so that nobody waits in a circle.
    pub(super) async fn claim(self: Arc<Self>, tenant: &Arc<str>, mut ids: Vec<Arc<str>>) -> Claim {
        ids.sort_unstable();
        ids.dedup();
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on nothing is missed.
            freed.as_mut().enable();
            if self.take(tenant, &ids) {
                return Claim { claims: Arc::clone(&self), ids };
            }
            freed.await;
        }
    }

    fn take(&self, tenant: &Arc<str>, ids: &[Arc<str>]) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.iter().any(|id| held.get(id).is_some_and(|(owner, _)| owner != tenant)) {
            return false;
        }
        for id in ids {
            held.entry(Arc::clone(id)).or_insert_with(|| (Arc::clone(tenant), 0)).1 += 1;
        }
        true
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = self.claims.held.lock().unwrap_or_else(PoisonError::into_inner);
        for id in &self.ids {
            if let Some((_, count)) = held.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    held.remove(id);
                }
            }
        }
        drop(held);
        self.claims.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ids(ids: &[&str]) -> Vec<Arc<str>> {
        ids.iter().map(|id| Arc::from(*id)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn only_others_wait_and_only_for_the_same_ids() {
        let claims = Arc::new(Claims::default());
        let (acme, globex): (Arc<str>, Arc<str>) = ("acme".into(), "globex".into());
        let first = Arc::clone(&claims).claim(&acme, ids(&["a", "b", "a"])).await;
        let second = Arc::clone(&claims).claim(&acme, ids(&["b"])).await;
        drop(Arc::clone(&claims).claim(&globex, ids(&["c"])).await);
        let waits = tokio::spawn(Arc::clone(&claims).claim_for_test(globex, ids(&["b", "c"])));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waits.is_finished());
        drop(first);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waits.is_finished());
        drop(second);
        drop(waits.await.unwrap());
        assert!(claims.held.lock().unwrap().is_empty());
    }

    impl Claims {
        async fn claim_for_test(self: Arc<Self>, tenant: Arc<str>, ids: Vec<Arc<str>>) -> Claim {
            self.claim(&tenant, ids).await
        }
    }
}
