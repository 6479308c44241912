//! A tenant's own patterns: the only place where regular expressions run.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::{entity, error::PatternError};

/// Bytes a compiled pattern may take.
const SIZE_LIMIT: usize = 1 << 20;
const NAME_MAX: usize = 64;

/// A named regular expression of a tenant; what it matches becomes `[NAME:token]`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pattern {
    name: Arc<str>,
    regex: Regex,
}

impl Pattern {
    /// Checks the name (`[A-Z][A-Z0-9_]*`) and compiles the expression, within a size limit.
    pub fn new(name: &str, regex: &str) -> Result<Self, PatternError> {
        if !is_name(name) {
            return Err(PatternError::Name);
        }
        if entity::is_known(name) {
            return Err(PatternError::Taken(name.to_owned()));
        }
        let built = RegexBuilder::new(regex).size_limit(SIZE_LIMIT).dfa_size_limit(SIZE_LIMIT).build();
        let regex = built.map_err(|error| PatternError::Regex(error.to_string()))?;
        if regex.is_match("") {
            return Err(PatternError::Empty);
        }
        Ok(Self { name: name.into(), regex })
    }

    /// Whether anything in a text is taken out by it.
    pub fn is_in(&self, text: &str) -> bool {
        self.find(text).next().is_some()
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where it matches, as byte ranges; a match of nothing (`\b`) is left out.
    pub(super) fn find<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
        self.regex.find_iter(text).filter(|m| !m.is_empty()).map(|m| (m.start(), m.end()))
    }
}

/// `[A-Z][A-Z0-9_]*`, at most 64 characters.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_used() {
        assert_eq!(Pattern::new("case_id", "x").unwrap_err(), PatternError::Name);
        assert_eq!(Pattern::new("", "x").unwrap_err(), PatternError::Name);
        assert_eq!(Pattern::new("JWT", "x").unwrap_err(), PatternError::Taken("JWT".to_owned()));
        assert_eq!(Pattern::new("A", "x*").unwrap_err(), PatternError::Empty);
        assert!(matches!(Pattern::new("A", "(").unwrap_err(), PatternError::Regex(_)));
        assert!(matches!(Pattern::new("A", r"\w{5000}").unwrap_err(), PatternError::Regex(_)));
        assert!(Pattern::new("CASE_ID", "AC-[0-9]{6}").is_ok());
    }
}
