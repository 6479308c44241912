//! Strict JSON: a document is read once, at the edge, and what was read is what is decided on and sent.
//! Apart from serde_json because a gateway must refuse what two parsers could read differently: duplicate
//! keys (after unescaping), lone surrogates, numbers beyond a double, depth without end; and because
//! numbers must leave digit for digit as they came.

pub mod keys;
mod parse;
mod signs;
mod value;
mod write;

pub use parse::{Kind, ParseError, parse, parse_answer_with_vectors, parse_with_vectors};
pub use signs::Signs;
pub use value::Value;
pub use write::{write, write_string};

/// The deepest nesting that any limit can allow: reading recurses.
pub const NESTING_MAX: usize = 512;

#[cfg(test)]
mod tests;
