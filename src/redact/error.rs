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

/// A value that cannot be let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AllowError {
    /// It would be found in too much.
    #[error("an entry has at least 4 letters or digits")]
    Short,
    /// No value is so long.
    #[error("an entry has at most 256 bytes")]
    Long,
    /// Credentials are always taken out.
    #[error("this holds a credential: credentials are always redacted")]
    Credential,
    /// Only addresses have parts that may vary.
    #[error("`*` stands in addresses of mail alone, as in `*@docs.acme.com`; write any other value as it is")]
    NoAddress,
    /// It would let the addresses of others through.
    #[error("a `*` leaves the domain open: end it in a domain of your own, as in `*@docs.acme.com`")]
    Wide,
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
