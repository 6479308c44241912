//! Ids that are being written in a store. While one tenant writes an id, another that wants to write the same one waits:
//! whose it is, is looked at before it is written, and must still be so when it is.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// What is being written, and who waits.
#[derive(Debug, Default)]
pub(super) struct Claims {
    book: Mutex<Book>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Book {
    /// By whom an id is written, and how often.
    held: HashMap<Arc<str>, (Arc<str>, usize)>,
    /// Who waits for what, in the order in which they came.
    waiting: BTreeMap<u64, (Arc<str>, Vec<Arc<str>>)>,
    count: u64,
}

/// Ids that nobody else writes until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Arc<Claims>,
    ids: Vec<Arc<str>>,
}

/// A place among those who wait, left when this is dropped.
struct Turn<'c> {
    claims: &'c Claims,
    number: u64,
}

impl Claims {
    /// Waits until no other tenant writes one of these ids, nor waited for one before. All are had at once, so that nobody
    /// waits in a circle.
    pub(super) async fn claim(self: Arc<Self>, tenant: &Arc<str>, mut ids: Vec<Arc<str>>) -> Claim {
        ids.sort_unstable();
        ids.dedup();
        let number = {
            let mut book = self.book();
            book.count += 1;
            let number = book.count;
            book.waiting.insert(number, (Arc::clone(tenant), ids.clone()));
            number
        };
        let turn = Turn { claims: &self, number };
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on nothing is missed.
            freed.as_mut().enable();
            if self.book().take(number) {
                drop(turn);
                return Claim { claims: Arc::clone(&self), ids };
            }
            freed.await;
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn take(&mut self, number: u64) -> bool {
        let Some((tenant, ids)) = self.waiting.get(&number) else { return false };
        let is_free = |id: &Arc<str>| self.held.get(id).is_none_or(|(owner, _)| owner == tenant);
        let mut before = self.waiting.range(..number).filter(|(_, (other, _))| other != tenant);
        if !ids.iter().all(is_free) || before.any(|(_, (_, theirs))| theirs.iter().any(|id| ids.contains(id)))
        {
            return false;
        }
        for id in ids {
            self.held.entry(Arc::clone(id)).or_insert_with(|| (Arc::clone(tenant), 0)).1 += 1;
        }
        true
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.claims.book().waiting.remove(&self.number);
        // Those behind it may be next.
        self.claims.freed.notify_waiters();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut book = self.claims.book();
        for id in &self.ids {
            if let Some((_, count)) = book.held.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    book.held.remove(id);
                }
            }
        }
        drop(book);
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
        assert!(claims.book().held.is_empty() && claims.book().waiting.is_empty());
    }

    /// Who asks for an id again and again does not keep it from who waits for it.
    #[tokio::test(start_paused = true)]
    async fn who_waits_is_next() {
        let claims = Arc::new(Claims::default());
        let (acme, globex): (Arc<str>, Arc<str>) = ("acme".into(), "globex".into());
        let first = Arc::clone(&claims).claim(&acme, ids(&["a"])).await;
        let waits = tokio::spawn(Arc::clone(&claims).claim_for_test(globex, ids(&["a"])));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let again = tokio::spawn(Arc::clone(&claims).claim_for_test(Arc::clone(&acme), ids(&["a"])));
        // One that gives up is in nobody's way.
        let left =
            tokio::time::timeout(Duration::from_secs(1), Arc::clone(&claims).claim(&acme, ids(&["a"])));
        assert!(left.await.is_err() && !again.is_finished());
        drop(first);
        let second = waits.await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!again.is_finished());
        drop(second);
        drop(again.await.unwrap());
        assert!(claims.book().held.is_empty() && claims.book().waiting.is_empty());
    }

    impl Claims {
        async fn claim_for_test(self: Arc<Self>, tenant: Arc<str>, ids: Vec<Arc<str>>) -> Claim {
            self.claim(&tenant, ids).await
        }
    }
}
