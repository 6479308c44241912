//! What collections are called that requests name by an id. Rules speak of names.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A name is believed for so long: somebody may rename a collection behind the gateway's back.
const BELIEVED: Duration = Duration::from_secs(10);
const NAMES_MAX: usize = 4096;

type Known = (Arc<str>, String);

/// Names by store and id.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<Known, (Arc<str>, Instant)>>);

impl Names {
    pub(super) fn find(&self, store: &Arc<str>, id: &str, now: Instant) -> Option<Arc<str>> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, since) = names.get(&(Arc::clone(store), id.to_owned()))?;
        (now.saturating_duration_since(*since) < BELIEVED).then(|| Arc::clone(name))
    }

    pub(super) fn keep(&self, store: &Arc<str>, id: String, name: Arc<str>, now: Instant) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_MAX {
            names.retain(|_, (_, since)| now.saturating_duration_since(*since) < BELIEVED);
        }
        if names.len() < NAMES_MAX {
            names.insert((Arc::clone(store), id), (name, now));
        }
    }

    /// Forgets the names of a store whose collections change.
    pub(super) fn forget(&self, store: &Arc<str>) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|(known, _), _| known != store);
    }
}
