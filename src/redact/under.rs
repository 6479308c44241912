//! What a text stands under in a document: the key of JSON that says what it is, or the name of a cookie.

use super::detect;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Under<'a> {
    /// A key; empty where there is none.
    Key(&'a str),
    /// The name of a cookie that somebody could use: its value goes, whatever it looks like.
    Cookie,
}

impl<'a> Under<'a> {
    pub(super) const NOTHING: Self = Self::Key("");

    /// The key whose words say what a value is.
    pub(super) fn key(self) -> &'a str {
        match self {
            Self::Key(key) => key,
            Self::Cookie => "",
        }
    }

    /// Whether what stands there may be a credential whatever it looks like.
    pub(super) fn names_value(self) -> bool {
        match self {
            Self::Key(key) => detect::names_value(key),
            Self::Cookie => true,
        }
    }
}
