//! The revisions of the protocol that are served, oldest first.

use crate::json::Value;

/// A revision of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// Sessions, and batches.
    March2025,
    /// Sessions.
    June2025,
    /// Sessions.
    November2025,
    /// Each request stands for itself.
    July2026,
}

/// All of them, newest first, as they are offered.
const ALL: [Revision; 4] =
    [Revision::July2026, Revision::November2025, Revision::June2025, Revision::March2025];

impl Revision {
    /// The newest one with sessions.
    pub const LEGACY: Self = Self::November2025;
    /// The one without.
    pub const MODERN: Self = Self::July2026;

    /// The revision as messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::March2025 => "2025-03-26",
            Self::June2025 => "2025-06-18",
            Self::November2025 => "2025-11-25",
            Self::July2026 => "2026-07-28",
        }
    }

    /// The revision of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|revision| revision.as_str() == name)
    }

    /// Whether each request stands for itself.
    pub fn is_modern(self) -> bool {
        self == Self::MODERN
    }

    /// Whether several messages may come in one body.
    pub fn has_batches(self) -> bool {
        self == Self::March2025
    }

    /// Whether requests of a session name the revision in a header.
    pub fn is_in_headers(self) -> bool {
        self >= Self::June2025
    }

    /// What `initialize` agrees on: what the client asks for, or the newest with sessions.
    pub fn agreed(asked: Option<&str>) -> Self {
        asked.and_then(Self::named).filter(|revision| !revision.is_modern()).unwrap_or(Self::LEGACY)
    }

    /// The names of all, newest first.
    pub fn supported() -> Value<'static> {
        Value::Array(ALL.into_iter().map(|revision| Value::string(revision.as_str())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_agrees_on_a_revision_with_sessions() {
        let check = |asked, agreed: &str| assert_eq!(Revision::agreed(asked).as_str(), agreed, "{asked:?}");
        check(Some("2025-03-26"), "2025-03-26");
        check(Some("2025-06-18"), "2025-06-18");
        check(Some("2026-07-28"), "2025-11-25");
        check(Some("2024-11-05"), "2025-11-25");
        check(None, "2025-11-25");
    }
}
