//! What was said, as text for a record, and which stretches of it are documents of their own: a message that is JSON,
//! the arguments of a call. Apart from plain text, because JSON is redacted inside its decoded strings and by its keys,
//! and is no JSON any more once something stands before it.

use std::{borrow::Cow, ops::Range};

use crate::{
    json::{self, Value},
    redact::{Redacted, Redactor},
};

/// A longer document of a text that loses its middle is redacted as text, like what is no JSON,
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// and so is what comes behind so much of them: nobody can keep the writer busy.
const DOCUMENTS_BYTES_MAX: usize = 512 * 1024;

/// Text in the order of saying: the record's own words, and what somebody said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    text: String,
    /// What may be JSON, and names that have parts, in order; they do not overlap.
    documents: Vec<Range<usize>>,
}

impl Said {
    /// Room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), documents: Vec::new() }
    }

    /// Words of the record's own.
    pub fn note(&mut self, words: &str) {
        self.text.push_str(words);
    }

    /// A whole text of somebody's.
    pub fn say(&mut self, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        if may_be_document(text) {
            self.documents.push(start..self.text.len());
        }
    }

    /// The name of a tool.
    fn name(&mut self, name: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        if name.contains("__") {
            self.documents.push(start..self.text.len());
        }
    }

    /// A call of a tool.
    pub fn call(&mut self, tool: &str, arguments: &str) {
        self.note("[call ");
        self.name(tool);
        self.note(" ");
        self.say(arguments);
        self.note("]");
    }

    /// The name of what was called, and with which arguments.
    pub fn called(name: &str, arguments: &Value<'_>) -> Self {
        let mut said = Self::default();
        said.name(name);
        said.note(" ");
        said.say(&arguments.to_string());
        said
    }

    /// Without blanks at its end.
    pub fn trim_end(&mut self) {
        let end = self.text.trim_end().len().max(self.documents.last().map_or(0, |last| last.end));
        self.text.truncate(end);
    }

    /// The text, nothing redacted.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How long it is, in bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether it can be covered whole, whatever it holds.
    pub(super) fn is_covered_whole(&self, text_bytes_max: usize) -> bool {
        self.len() <= text_bytes_max + DOCUMENT_BYTES_MAX
    }

    /// All of it, its documents redacted and as a person reads them; the rest is not redacted yet.
    pub(super) fn covered(&self, redactor: &Redactor, found: &mut dyn FnMut(&Redacted)) -> String {
        self.pieces().map(|(text, is_document)| cover((text, is_document), redactor, found)).collect()
    }

    /// At least so many of its first bytes, where there are, its documents redacted. The work is bounded.
    pub(super) fn head(&self, bytes: usize, redactor: &Redactor, found: &mut dyn FnMut(&Redacted)) -> String {
        let mut out = String::new();
        let mut room = DOCUMENTS_BYTES_MAX;
        for piece in self.pieces() {
            let Some(left) = bytes.checked_sub(out.len()).filter(|left| *left > 0) else { break };
            match bounded(piece, &mut room) {
                (text, true) => out.push_str(&cover((text, true), redactor, found)),
                (text, false) => out.push_str(text.get(..text.floor_char_boundary(left)).unwrap_or_default()),
            }
        }
        out
    }

    /// The same, of its last bytes.
    pub(super) fn tail(&self, bytes: usize, redactor: &Redactor, found: &mut dyn FnMut(&Redacted)) -> String {
        let mut pieces = Vec::new();
        let (mut length, mut room) = (0, DOCUMENTS_BYTES_MAX);
        for piece in self.pieces().rev() {
            let Some(left) = bytes.checked_sub(length).filter(|left| *left > 0) else { break };
            let text = match bounded(piece, &mut room) {
                (text, true) => cover((text, true), redactor, found),
                (text, false) => {
                    let from = text.ceil_char_boundary(text.len().saturating_sub(left));
                    Cow::Borrowed(text.get(from..).unwrap_or_default())
                }
            };
            length += text.len();
            pieces.push(text);
        }
        pieces.into_iter().rev().collect()
    }

    /// Its stretches, and whether each is a document.
    fn pieces(&self) -> impl DoubleEndedIterator<Item = (&str, bool)> {
        let from = |at: usize| at.checked_sub(1).and_then(|prior| self.documents.get(prior));
        let between = move |at: usize, end: usize| {
            let start = from(at).map_or(0, |prior| prior.end);
            (self.text.get(start..end).unwrap_or_default(), false)
        };
        let documents = self.documents.iter().enumerate().flat_map(move |(at, document)| {
            let text = self.text.get(document.clone()).unwrap_or_default();
            [between(at, document.start), (text, true)]
        });
        documents.chain([between(self.documents.len(), self.text.len())])
    }
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        let documents = Vec::from_iter(may_be_document(&text).then_some(0..text.len()));
        Self { text, documents }
    }
}

fn may_be_document(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"'])
}

/// A piece as it is treated where the work is bounded.
fn bounded<'t>((text, is_document): (&'t str, bool), room: &mut usize) -> (&'t str, bool) {
    let fits = is_document && text.len() <= DOCUMENT_BYTES_MAX.min(*room);
    *room -= if fits { text.len() } else { 0 };
    (text, fits)
}

fn cover<'t>(
    (text, is_document): (&'t str, bool),
    redactor: &Redactor,
    found: &mut dyn FnMut(&Redacted),
) -> Cow<'t, str> {
    if !is_document {
        return Cow::Borrowed(text);
    }
    if !may_be_document(text) {
        let redacted = redactor.name(text);
        found(&redacted);
        return Cow::Owned(redacted.into_string());
    }
    let redacted = redactor.line(text);
    found(&redacted);
    let text = redacted.into_string();
    readable(&text).map_or(Cow::Owned(text), Cow::Owned)
}

/// A text that is JSON with escapes in it, as a person reads it.
fn readable(text: &str) -> Option<String> {
    let value =
        text.contains('\\').then(|| json::parse(text.as_bytes(), json::NESTING_MAX).ok()).flatten()?;
    let mut out = String::with_capacity(text.len());
    plain(&value, &mut out);
    Some(out)
}

/// JSON with its strings as they are, nothing in them escaped: for reading, and for the redactor.
fn plain(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                plain(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (key, member)) in members.iter().enumerate() {
                out.push_str(if at > 0 { ", \"" } else { "\"" });
                out.push_str(key);
                out.push_str("\": ");
                plain(member, out);
            }
            out.push('}');
        }
        Value::String(text) => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        Value::Bool(_) | Value::Null | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{Detectors, TenantSecret};
    use proptest::prelude::*;

    fn redactor() -> Redactor {
        Redactor::new(TenantSecret::derive(b"test", "acme"), Detectors::all(), Vec::new())
    }

    #[test]
    fn a_name_is_looked_at_in_its_parts() {
        let name = "crm__gsk_Zq7Wm3Lt5Vb2Nx9Rk4Hc6Jd1Pf0GsAa8Bb2Cc5Dd9Ee";
        let mut said = Said::called(name, &Value::Null);
        said.call(name, "{}");
        let covered = said.covered(&redactor(), &mut |_| {});
        assert_eq!(covered.matches("crm__[VENDOR_TOKEN:").count(), 2, "{covered}");
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text(spoken in prop::collection::vec(("(user: |\n|)", "(\\{\"a\": 1\\}|plain|\\[|)"), 0..6)) {
            let mut said = Said::default();
            let mut all = String::new();
            for (note, text) in &spoken {
                said.note(note);
                said.say(text);
                all.push_str(note);
                all.push_str(text);
            }
            prop_assert_eq!(said.as_str(), &all);
            prop_assert_eq!(said.pieces().map(|(text, _)| text).collect::<String>(), all);
            prop_assert!(said.pieces().all(|(text, is_document)| !is_document || may_be_document(text)));
            let whole = said.covered(&redactor(), &mut |_| {});
            prop_assert_eq!(&said.head(usize::MAX, &redactor(), &mut |_| {}), &whole);
            prop_assert_eq!(said.tail(usize::MAX, &redactor(), &mut |_| {}), whole);
        }
    }
}
