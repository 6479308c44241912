//! Sessions of clients that speak a revision with `initialize`. A session is its tenant's and its key's; to everybody
//! else its id is one that does not exist. Pure: ids are made by the caller, time is an argument.

use super::Revision;
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
struct Session {
    key: Arc<str>,
    server: Option<Arc<str>>,
    revision: Revision,
    /// Seconds since 1970.
    used: i64,
}

/// All sessions, by tenant and id.
#[derive(Debug, Default)]
pub struct Sessions {
    tenants: HashMap<Arc<str>, HashMap<u128, Session>>,
}

impl Sessions {
    /// Opens a session under an id that nobody can guess.
    pub fn open(&mut self, owner: Owner, id: u128, revision: Revision, now: i64) {
        let sessions = self.tenants.entry(owner.tenant).or_default();
        if sessions.len() >= SESSIONS_MAX {
            let idle = sessions.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id);
            idle.and_then(|id| sessions.remove(&id));
        }
        let Owner { key, server, .. } = owner;
        sessions.insert(id, Session { key, server, revision, used: now });
    }

    /// The revision of a session of this owner's, which is used now.
    pub fn find(&mut self, owner: &Owner, id: &str, now: i64) -> Option<Revision> {
        let session = self.tenants.get_mut(&owner.tenant)?.get_mut(&parse(id)?)?;
        if session.key != owner.key || session.server != owner.server {
            return None;
        }
        session.used = now;
        Some(session.revision)
    }

    /// Ends a session of this owner's. Whether there was one.
    pub fn close(&mut self, owner: &Owner, id: &str, now: i64) -> bool {
        if self.find(owner, id, now).is_none() {
            return false;
        }
        let removed = parse(id).and_then(|id| self.tenants.get_mut(&owner.tenant)?.remove(&id));
        removed.is_some()
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
        sessions.open(acme.clone(), id, Revision::June2025, 1);
        let shown = shown(id);
        assert_eq!(sessions.find(&acme, &shown, 2), Some(Revision::June2025));
        for other in
            [owner("globex", "prod", None), owner("acme", "batch", None), owner("acme", "prod", Some("crm"))]
        {
            assert_eq!(sessions.find(&other, &shown, 2), None, "{other:?}");
            assert!(!sessions.close(&other, &shown, 2), "{other:?}");
        }
        for wrong in ["", "0", &shown.to_uppercase(), &shown.replacen('c', "+", 1)] {
            assert_eq!(sessions.find(&acme, wrong, 2), None, "{wrong}");
        }
        assert!(sessions.close(&acme, &shown, 2) && !sessions.close(&acme, &shown, 2));
    }

    #[test]
    fn the_one_that_idled_longest_makes_room_for_another_of_its_tenant() {
        let mut sessions = Sessions::default();
        let (acme, globex) = (owner("acme", "prod", None), owner("globex", "prod", None));
        sessions.open(globex.clone(), 0, Revision::June2025, 0);
        for id in 0..SESSIONS_MAX {
            sessions.open(acme.clone(), id as u128, Revision::June2025, 1);
        }
        assert!(sessions.find(&acme, &shown(0), 9).is_some());
        sessions.open(acme.clone(), u128::MAX, Revision::June2025, 10);
        assert_eq!(sessions.tenants[&acme.tenant].len(), SESSIONS_MAX);
        assert!(sessions.find(&acme, &shown(0), 9).is_some(), "it was used");
        assert!(sessions.find(&acme, &shown(u128::MAX), 9).is_some());
        assert!(sessions.find(&globex, &shown(0), 9).is_some());
    }
}
