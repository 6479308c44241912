//! Where a listing goes on. A store's own word for that goes out sealed: to the tenant, the store and what it was given for.
//! It may say more than which record is next, and a store takes it from anybody.

use super::{Fence, members::Place};
use crate::{
    json::Value,
    refusal::Refusal,
    seal::{Bond, Seals},
    tool_api::Request,
};

/// A cursor is good for so long, in seconds. Stores forget theirs much sooner.
const KEPT_S: i64 = 86_400;

/// Makes and opens a tenant's cursors.
#[derive(Debug, Clone)]
pub struct Cursors {
    seals: Seals,
    /// Seconds since 1970.
    now: i64,
}

impl Cursors {
    /// Cursors under a tenant's key for this purpose.
    pub fn new(key: &[u8; 32], now: i64) -> Self {
        Self { seals: Seals::new(key), now }
    }
}

impl Fence {
    fn bond<'b>(&'b self, subject: &'b [&'b str]) -> Bond<'b> {
        Bond { purpose: "cursor", key: "", server: &self.upstream, subject }
    }

    /// A cursor as the client sees it; `subject` is what it was given for.
    pub(super) fn seal(&self, cursor: &str, subject: &str) -> String {
        self.cursors.seals.seal(&self.bond(&[subject]), cursor, self.cursors.now.saturating_add(KEPT_S))
    }

    /// The store's own cursor, if this one was given to the tenant for that.
    pub(super) fn open(&self, sealed: &str, subject: &str, place: &Place<'_>) -> Result<String, Refusal> {
        let opened = self.cursors.seals.open(&self.bond(&[subject]), sealed, self.cursors.now);
        opened.ok_or_else(|| place.bad("is none that was given to you for this, or is too old"))
    }

    /// Opens the cursor in a body, where there is one.
    pub(super) fn open_in(&self, body: &mut Value<'_>, name: &str, subject: &str) -> Result<(), Refusal> {
        let Some(sealed) = body.present(name) else { return Ok(()) };
        let place = Place::Body.member(name);
        let sealed = sealed.as_str().ok_or_else(|| place.wrong("a string", sealed))?;
        let opened = self.open(sealed, subject, &place)?;
        body.set(name, Value::string(opened));
        Ok(())
    }

    /// Opens the cursor in a query, where there is one.
    pub(super) fn open_in_query(
        &self,
        request: &mut Request<'_>,
        name: &str,
        subject: &str,
    ) -> Result<(), Refusal> {
        if let Some((_, value)) = request.query.iter_mut().find(|(known, _)| known == name) {
            *value = self.open(value, subject, &Place::Body.member(name))?;
        }
        Ok(())
    }

    /// Seals the cursor that stands there in an answer, if one does.
    pub(super) fn seal_in(&self, answer: &mut Value<'_>, path: &[&str], subject: &str) {
        let found = path.iter().try_fold(answer, |value, name| value.get_mut(name));
        if let Some(cursor) = found
            && let Some(text) = cursor.as_str()
        {
            *cursor = Value::string(self.seal(text, subject));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn fence(tenant: &str, upstream: &str, key: u8, now: i64) -> Fence {
        Fence {
            upstream: Arc::from(upstream),
            tenant: Arc::from(tenant),
            field: None,
            prefix: None,
            cursors: Cursors::new(&[key; 32], now),
        }
    }

    #[test]
    fn a_cursor_is_good_for_what_it_was_given_for() {
        let mine = fence("acme", "docs", 1, 100);
        let sealed = mine.seal("next", "a");
        let open = |fence: &Fence, subject: &str| fence.open(&sealed, subject, &Place::Body).ok();
        assert_eq!(open(&mine, "a").as_deref(), Some("next"));
        assert_eq!(open(&mine, "b"), None);
        assert_eq!(open(&fence("acme", "other", 1, 100), "a"), None);
        assert_eq!(open(&fence("globex", "docs", 2, 100), "a"), None);
        assert_eq!(open(&fence("acme", "docs", 1, 101 + KEPT_S), "a"), None);
        assert!(mine.open("next", "a", &Place::Body).is_err());
    }
}
