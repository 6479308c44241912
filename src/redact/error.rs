//! What can be wrong with a tenant's redaction settings. Apart, so that configuration can name it.

use thiserror::Error;

/// An entity name that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no entity {name:?}; did you mean {nearest}?")]
pub struct UnknownEntity {
    /// What was asked for.
    pub name: String,
    /// The entity with the nearest name.
    pub nearest: &'static str,
}

/// A pattern of a tenant that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// Upper-case letters, digits and `_`, a letter first, at most 64.
    #[error(
        "a pattern's name is upper case letters, digits and _, starting with a letter, at most 64 characters"
    )]
    Name,
    /// The name of an entity that Tollgate has itself.
    #[error("{0} is an entity of Tollgate's own")]
    Taken(String),
    /// Not a regular expression, or one that is too large; the text says what and where.
    #[error("{0}")]
    Regex(String),
    /// It would match between any two characters.
    #[error("the pattern matches the empty string")]
    Empty,
}
