//! Values that a tenant lets through: its own support address, a public telephone number. An entry is held against the
//! whole value that was found, in the form that its token would be made from, in whatever writing it was found: so
//! what is longer, or only holds an entry, is taken out as ever. Credentials are never let through.

use std::{collections::HashSet, sync::Arc};

use super::{
    Detectors, Redactor, TenantSecret,
    entity::{Form, Rank},
    error::AllowError,
    resolve::{Located, normalised},
    scan::What,
};

const ENTRY_MAX: usize = 256;
/// An entry of fewer letters and digits would be found everywhere.
const ENTRY_MIN: usize = 4;

/// One entry: a value, or an address with `*` for any run of characters before or after its `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow(String);

impl Allow {
    /// Checks an entry.
    ///
    /// # Errors
    /// When it is too short or long, holds a credential, or has a `*` where it could stand for any address.
    pub fn new(entry: &str) -> Result<Self, AllowError> {
        let entry = entry.trim();
        if entry.len() > ENTRY_MAX {
            return Err(AllowError::Long);
        }
        if entry.chars().filter(|c| c.is_alphanumeric()).count() < ENTRY_MIN {
            return Err(AllowError::Short);
        }
        let credentials = Detectors::only(&[]).unwrap_or_else(|_| Detectors::all());
        let redactor = Redactor::new(TenantSecret::derive(b"allow", ""), credentials, Vec::new());
        if redactor.text(entry).counts().next().is_some() {
            return Err(AllowError::Credential);
        }
        if entry.contains('*') {
            let (local, domain) = entry.split_once('@').ok_or(AllowError::NoAddress)?;
            // A whole domain of many, or every domain, is no tenant's own.
            let named =
                domain.rsplit('.').take(2).filter(|label| !label.is_empty() && !label.contains('*')).count();
            if domain.contains('@') || local.is_empty() || named < 2 {
                return Err(AllowError::Wide);
            }
        }
        Ok(Self(entry.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lets every address of a domain through.
    pub fn is_domain(&self) -> bool {
        self.0.split_once('@').is_some_and(|(local, _)| local.bytes().all(|b| b == b'*'))
    }

    /// Whether all that the other lets through is let through by this.
    pub fn covers(&self, other: &Self) -> bool {
        // What another pattern stands for is covered by one that fits its text, `*` taken as a character.
        self == other
            || (self.0.contains('*')
                && fits(self.0.to_lowercase().as_bytes(), other.0.to_lowercase().as_bytes()))
            || (!other.0.contains('*')
                && compact(&self.0) == compact(&other.0)
                && self.0.contains('@') == other.0.contains('@'))
    }
}

fn compact(text: &str) -> Vec<u8> {
    normalised(Form::Compact, text.as_bytes()).into_owned()
}

/// All entries of a tenant. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowed(Option<Arc<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    /// In the form of addresses, of numbers, and as they stand.
    lower: HashSet<Vec<u8>>,
    compact: HashSet<Vec<u8>>,
    exact: HashSet<Vec<u8>>,
    patterns: Vec<Vec<u8>>,
}

impl Allowed {
    pub(super) fn new(all: &[Allow]) -> Self {
        if all.is_empty() {
            return Self(None);
        }
        let mut entries = Entries::default();
        for Allow(entry) in all {
            if entry.contains('*') {
                entries.patterns.push(entry.to_ascii_lowercase().into_bytes());
                continue;
            }
            entries.lower.insert(normalised(Form::Lower, entry.as_bytes()).into_owned());
            entries.compact.insert(compact(entry));
            entries.exact.insert(entry.as_bytes().to_vec());
        }
        Self(Some(Arc::new(entries)))
    }

    /// Whether a value that was found is let through.
    pub(super) fn holds(&self, found: &Located) -> bool {
        let Some(entries) = &self.0 else { return false };
        let form = match found.what {
            What::Entity(entity) if entity.rank() == Rank::Personal => entity.form(),
            What::Own(_) => Form::Exact,
            What::Entity(_) | What::Data { .. } => return false,
        };
        let value = normalised(form, found.value.as_bytes());
        match form {
            Form::Lower => {
                entries.lower.contains(&*value)
                    || entries.patterns.iter().any(|pattern| fits(pattern, &value))
            }
            Form::Compact => entries.compact.contains(&*value),
            Form::Exact => entries.exact.contains(&*value),
        }
    }
}

/// Whether a pattern fits a whole text. Goes back to the last `*` only, so the work is bounded by the product of both.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(place) {
            Some(b'*') => {
                star = Some((place, at));
                place += 1;
            }
            Some(b) if text.get(at) == Some(b) => {
                at += 1;
                place += 1;
            }
            _ => match star {
                // A `*` stands for no `@`: it stays before or behind it.
                Some((back, from)) if text.get(from) != Some(&b'@') => {
                    star = Some((back, from + 1));
                    place = back + 1;
                    at = from + 1;
                }
                _ => return false,
            },
        }
    }
    pattern.get(place..).unwrap_or_default().iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redactor(allow: &[&str]) -> Redactor {
        let allow: Vec<_> = allow.iter().map(|entry| Allow::new(entry).unwrap()).collect();
        Redactor::new(TenantSecret::derive(b"test", "acme"), Detectors::all(), Vec::new()).allowing(&allow)
    }

    #[test]
    fn entries_that_would_let_too_much_through_are_refused() {
        let check = |entry: &str, expected| assert_eq!(Allow::new(entry).unwrap_err(), expected, "{entry}");
        check("*", AllowError::Short);
        check("*@*.*", AllowError::Short);
        check("a*a@*.com", AllowError::Wide);
        check("support@*", AllowError::Wide);
        check("support*", AllowError::NoAddress);
        check("+43 1 58858*", AllowError::NoAddress);
        check("password=Kestrel48", AllowError::Credential);
        check(&format!("AKIA{}", "Q7".repeat(8)), AllowError::Credential);
        assert!(Allow::new("*@mail.acme.com").unwrap().is_domain());
        assert!(!Allow::new("support-*@acme.com").unwrap().is_domain());
    }

    #[test]
    fn only_a_whole_value_is_let_through_in_any_writing() {
        let redactor = redactor(&["Support@Acme.com", "*@docs.acme.com", "+43 1 58858", "203.0.113.7"]);
        for text in [
            "to support@acme.com, ok",
            "to SUPPORT@acme.com",
            "x.y@docs.acme.com",
            "call +43 1 58858",
            "call +43-1-58858",
            "from 203.0.113.7",
            "to support%40acme.com",
            "{\"to\":\"support@acme.com\"}",
        ] {
            assert_eq!(redactor.line(text).as_str(), text);
        }
        for text in [
            "support@acme.com.evil.example",
            "jane.support@acme.com",
            "jane%40support@acme.com",
            "jane@docs.acme.com@evil.example",
            "x@evil-docs.acme.com",
            "+43 1 588581",
            "+43 1 58858-12",
            "203.0.113.70",
            "password=support@acme.com1",
            "https://support@acme.com:hunter22@db.example",
        ] {
            assert_ne!(redactor.line(text).as_str(), text);
        }
    }

    #[test]
    fn one_value_that_is_let_through_hides_no_other() {
        let redactor = redactor(&["support@acme.com"]);
        // Both in one encoded run: `support@acme.com jane@example.com`.
        let run = "c3VwcG9ydEBhY21lLmNvbSBqYW5lQGV4YW1wbGUuY29t";
        assert!(!redactor.text(run).as_str().contains(run));
        let both = redactor.text("support@acme.com,jane@example.com");
        assert!(both.as_str().starts_with("support@acme.com,[EMAIL_ADDRESS:"));
    }

    #[test]
    fn what_covers_another_lets_all_of_it_through() {
        let covers = |a: &str, b: &str| Allow::new(a).unwrap().covers(&Allow::new(b).unwrap());
        assert!(covers("*@acme.com", "support@acme.com") && covers("*@acme.com", "s*@acme.com"));
        assert!(!covers("s*@acme.com", "*@acme.com") && !covers("*@acme.com", "x@b.acme.com"));
        assert!(covers("+43 1 58858", "+43-1-58858") && !covers("+43 1 58858", "+43 1 58859"));
    }

    proptest! {
        #[test]
        fn twice_is_once_and_nothing_else_changes(text in "([a-z@. ]{0,6}(support@acme\\.com|jane@example\\.com|4111 1111 1111 1111|password=Kestrel48|%40|,)){0,5}") {
            let (with, without) = (redactor(&["support@acme.com"]), redactor(&["nobody@acme.com"]));
            let once = with.line(&text);
            let twice = with.line(once.as_str());
            prop_assert_eq!(twice.as_str(), once.as_str());
            if !text.contains("support@acme.com") {
                let other = without.line(&text);
                prop_assert_eq!(other.as_str(), once.as_str());
            }
        }
    }
}
