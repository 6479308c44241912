//! Sessions of clients that speak a revision with `initialize`. A session is its tenant's and its key's; to everybody
//! else its id is one that does not exist. Pure: ids are made by the caller, time is an argument.

use std::{collections::HashMap, sync::Arc};

/// So many sessions a tenant may have; beyond, the one that idled longest ends.
pub const SESSIONS_MAX: usize = 10_000;

/// Whose a session is, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub tenant: Arc<str>,
    pub key: Arc<str>,
    /// The server of its endpoint; `None` for all of them.
    pub server: Option<Arc<str>>,
}

#[derive(Debug)]
struct Session<T> {
    key: Arc<str>,
    server: Option<Arc<str>>,
    kept: Arc<T>,
    /// Seconds since 1970.
    used: i64,
}

/// All sessions, by tenant and id, each with what is kept for it.
#[derive(Debug)]
pub struct Sessions<T> {
    tenants: HashMap<Arc<str>, HashMap<u128, Session<T>>>,
}

impl<T> Default for Sessions<T> {
    fn default() -> Self {
        Self { tenants: HashMap::new() }
    }
}

impl<T> Sessions<T> {
    /// Opens a session under an id that nobody can guess. What it keeps whose place it takes.
    pub fn open(&mut self, owner: Owner, id: u128, kept: Arc<T>, now: i64) -> Option<Arc<T>> {
        let sessions = self.tenants.entry(owner.tenant).or_default();
        let mut ended = None;
        if sessions.len() >= SESSIONS_MAX {
            let idle = sessions.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id);
            ended = idle.and_then(|id| sessions.remove(&id)).map(|session| session.kept);
        }
        let Owner { key, server, .. } = owner;
        sessions.insert(id, Session { key, server, kept, used: now });
        ended
    }

    /// What is kept for a session of this owner's, which is used now.
    pub fn find(&mut self, owner: &Owner, id: &str, now: i64) -> Option<Arc<T>> {
        let session = self.tenants.get_mut(&owner.tenant)?.get_mut(&parse(id)?)?;
        if session.key != owner.key || session.server != owner.server {
            return None;
        }
        session.used = now;
        Some(Arc::clone(&session.kept))
    }

    /// Ends a session of this owner's. What it kept, if there was one.
    pub fn close(&mut self, owner: &Owner, id: &str, now: i64) -> Option<Arc<T>> {
        self.find(owner, id, now)?;
        let sessions = self.tenants.get_mut(&owner.tenant)?;
        let kept = sessions.remove(&parse(id)?)?.kept;
        if sessions.is_empty() {
            self.tenants.remove(&owner.tenant);
        }
        Some(kept)
    }
}

/// An id as clients are told it.
pub fn shown(id: u128) -> String {
    format!("{id:032x}")
}

/// Only what `shown` writes is an id.
fn parse(id: &str) -> Option<u128> {
    let plain = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if plain { u128::from_str_radix(id, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(tenant: &str, key: &str, server: Option<&str>) -> Owner {
        Owner { tenant: tenant.into(), key: key.into(), server: server.map(Into::into) }
    }

    #[test]
    fn a_session_is_its_owners_alone() {
        let mut sessions = Sessions::default();
        let acme = owner("acme", "prod", None);
        let id = u128::MAX / 5 * 4;
        sessions.open(acme.clone(), id, Arc::new(7), 1);
        let shown = shown(id);
        assert_eq!(sessions.find(&acme, &shown, 2).as_deref(), Some(&7));
        for other in
            [owner("globex", "prod", None), owner("acme", "batch", None), owner("acme", "prod", Some("crm"))]
        {
            assert_eq!(sessions.find(&other, &shown, 2), None, "{other:?}");
            assert_eq!(sessions.close(&other, &shown, 2), None, "{other:?}");
        }
        for wrong in ["", "0", &shown.to_uppercase(), &shown.replacen('c', "+", 1)] {
            assert_eq!(sessions.find(&acme, wrong, 2), None, "{wrong}");
        }
        assert!(sessions.close(&acme, &shown, 2).is_some() && sessions.close(&acme, &shown, 2).is_none());
        assert!(sessions.tenants.is_empty());
    }

    #[test]
    fn the_one_that_idled_longest_makes_room_for_another_of_its_tenant() {
        let mut sessions = Sessions::default();
        let (acme, globex) = (owner("acme", "prod", None), owner("globex", "prod", None));
        sessions.open(globex.clone(), 0, Arc::new(0), 0);
        for id in 0..SESSIONS_MAX {
            assert!(sessions.open(acme.clone(), id as u128, Arc::new(id), 1).is_none());
        }
        assert!(sessions.find(&acme, &shown(0), 9).is_some());
        let ended = sessions.open(acme.clone(), u128::MAX, Arc::new(0), 10);
        assert!(ended.is_some_and(|ended| *ended != 0), "that one was used");
        assert_eq!(sessions.tenants[&acme.tenant].len(), SESSIONS_MAX);
        assert!(sessions.find(&acme, &shown(0), 9).is_some(), "it was used");
        assert!(sessions.find(&acme, &shown(u128::MAX), 9).is_some());
        assert!(sessions.find(&globex, &shown(0), 9).is_some());
    }
}
