//! What others find in text that was redacted already: names and streets, by code points. It is cut out like a value
//! that was found here, under a pseudonym; placeholders that stand there stay whole, and JSON stays JSON.

use std::{fmt::Write, ops::Range};

use super::{Redacted, Redactor, placeholder, resolve::Name};

/// What somebody found, from one code point to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub start: usize,
    pub end: usize,
    /// `PERSON`; A-Z, digits and `_`.
    pub entity: String,
}

/// A string of a JSON document: where it stands with its quotes, what it reads as, and at which code point of the
/// whole that is.
struct Literal {
    place: Range<usize>,
    text: String,
    from: usize,
}

impl Redacted {
    /// What is to be looked over: the text, or of a JSON document its strings, a line each.
    pub fn readable(&self, is_json: bool) -> String {
        if !is_json {
            return self.as_str().to_owned();
        }
        literals(self.as_str()).iter().fold(String::new(), |mut all, literal| {
            all.push_str(&literal.text);
            all.push('\n');
            all
        })
    }

    /// A part of it: what was redacted stays so.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        Self::made(self.as_str().get(range).unwrap_or_default().to_owned(), super::Tally::default())
    }
}

impl Redactor {
    /// The text without what was found in [`Redacted::readable`]. None if something was found where nothing stands, or
    /// by a name that is none: then nothing of the answer can be believed.
    #[expect(clippy::needless_pass_by_value, reason = "nobody has use for it any more")]
    pub fn mark(&self, redacted: Redacted, is_json: bool, marks: &[Mark]) -> Option<Redacted> {
        let readable = redacted.readable(is_json);
        let total = readable.chars().count();
        let good =
            |mark: &Mark| mark.start < mark.end && mark.end <= total && super::pattern::is_name(&mark.entity);
        if !marks.iter().all(good) {
            return None;
        }
        let mut marks: Vec<&Mark> = marks.iter().collect();
        marks.sort_by_key(|mark| (mark.start, std::cmp::Reverse(mark.end)));
        let mut tally = redacted.tally.clone();
        let text = redacted.as_str();
        if !is_json {
            let marked = self.marked(text, 0, &marks, &mut tally);
            return Some(Redacted::made(marked.unwrap_or_else(|| text.to_owned()), tally));
        }
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for literal in literals(text) {
            let Some(marked) = self.marked(&literal.text, literal.from, &marks, &mut tally) else { continue };
            out.push_str(text.get(copied..literal.place.start)?);
            out.push_str(&serde_json::to_string(&marked).ok()?);
            copied = literal.place.end;
        }
        out.push_str(text.get(copied..)?);
        Some(Redacted::made(out, tally))
    }

    /// One text that begins at code point `from` of the whole; None if nothing is found in it.
    fn marked(&self, text: &str, from: usize, marks: &[&Mark], tally: &mut super::Tally) -> Option<String> {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let to = from + places.len() - 1;
        let walls: Vec<_> = placeholder::stretches(text, &self.patterns).collect();
        let mut out = String::new();
        let mut copied = 0;
        for mark in marks.iter().filter(|mark| mark.start < to && mark.end > from) {
            let byte = |at: usize| places.get(at.clamp(from, to) - from).copied().unwrap_or(text.len());
            let range = byte(mark.start)..byte(mark.end);
            for free in &walls {
                let piece = range.start.max(free.start).max(copied)..range.end.min(free.end);
                let value = text.get(piece.clone()).unwrap_or_default();
                if value.trim().is_empty() {
                    continue;
                }
                out.push_str(text.get(copied..piece.start).unwrap_or_default());
                let token = self.pseudonyms.token(&mark.entity, value.trim().to_lowercase().as_bytes());
                write!(out, "[{}:{token}]", mark.entity).ok()?;
                tally.count(Name::Own(mark.entity.as_str().into()));
                copied = piece.end;
            }
        }
        if copied == 0 {
            return None;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Some(out)
    }
}

/// The strings of a JSON document, keys too, in their order.
fn literals(json: &str) -> Vec<Literal> {
    let bytes = json.as_bytes();
    let mut all = Vec::new();
    let (mut at, mut from) = (0, 0);
    while let Some(step) = memchr::memchr(b'"', bytes.get(at..).unwrap_or_default()) {
        let start = at + step;
        let mut end = start + 1;
        while let Some(next) = memchr::memchr2(b'"', b'\\', bytes.get(end..).unwrap_or_default()) {
            end += next + 1;
            if bytes.get(end - 1) == Some(&b'"') {
                break;
            }
            end += 1;
        }
        let text: String =
            json.get(start..end).and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
        let length = text.chars().count() + 1;
        all.push(Literal { place: start..end.min(json.len()), text, from });
        from += length;
        at = end;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::{Detectors, TenantSecret};
    use super::*;
    use proptest::prelude::*;

    fn redactor() -> Redactor {
        Redactor::new(TenantSecret::derive(b"test", "acme"), Detectors::all(), Vec::new())
    }

    fn mark(start: usize, end: usize) -> Mark {
        Mark { start, end, entity: "PERSON".to_owned() }
    }

    #[test]
    fn what_is_found_goes_and_placeholders_stay() {
        let redactor = redactor();
        let text = redactor.text("Grüße an Jané Döe, jane@example.com");
        let cut = redactor.mark(text.clone(), false, &[mark(9, 17)]).unwrap();
        assert!(cut.as_str().starts_with("Grüße an [PERSON:") && !cut.as_str().contains("Döe"), "{cut}");
        assert_eq!(cut.counts().collect::<Vec<_>>(), [("EMAIL_ADDRESS", 1), ("PERSON", 1)]);
        // Across a placeholder: what stands before it goes, the placeholder stays.
        let across = redactor.mark(text.clone(), false, &[mark(9, 30)]).unwrap();
        let placeholder = text.as_str().split("[EMAIL").nth(1).unwrap();
        assert!(across.as_str().ends_with(placeholder), "{across}");
        for bad in [mark(5, 5), mark(7, 3), mark(0, 1000), Mark { entity: "a b".to_owned(), ..mark(0, 1) }] {
            assert!(redactor.mark(text.clone(), false, &[bad]).is_none());
        }
    }

    #[test]
    fn one_name_reads_the_same_in_text_and_in_json() {
        let redactor = redactor();
        let text = redactor.mark(redactor.text("Jane Doe"), false, &[mark(0, 8)]).unwrap();
        let json = redactor.json("{ \"to\" : [\"x \\\"Jane Doe\\\"\", 1.50] }").unwrap();
        let readable = json.readable(true);
        let at = readable.find("Jane").unwrap();
        let json = redactor.mark(json, true, &[mark(at, at + 8)]).unwrap();
        assert_eq!(json.as_str(), format!("{{ \"to\" : [\"x \\\"{}\\\"\", 1.50] }}", text.as_str()));
    }

    proptest! {
        #[test]
        fn json_stays_json_and_nothing_found_stays(words in prop::collection::vec("[a-cé\"\\\\\n😀]{0,6}", 1..6), from in 0..20_usize, length in 1..9_usize) {
            let redactor = redactor();
            let json = redactor.json(&serde_json::json!({ "k": words, "n": 1 }).to_string()).unwrap();
            let readable = json.readable(true);
            match redactor.mark(json, true, &[mark(from, from + length)]) {
                None => prop_assert!(from + length > readable.chars().count()),
                Some(marked) => {
                    serde_json::from_str::<serde_json::Value>(marked.as_str()).unwrap();
                    let gone: String = readable.chars().skip(from).take(length).collect();
                    let kept = readable.chars().count() - gone.chars().filter(|c| *c != '\n').count();
                    prop_assert!(marked.readable(true).chars().count() >= kept.saturating_sub(1));
                }
            }
        }
    }
}
