//! Values that were found once beside words that told them: a password is known by those, and may stand without them
//! elsewhere in what belongs to the same request.

use super::{Masks, bytes::is_escape, entity::Entity, mask::entity_of, scan::Finding};
use aho_corasick::{AhoCorasick, MatchKind};
use std::{collections::BTreeSet, ops::Range, sync::Arc};

/// A shorter value may be any word.
const VALUE_BYTES_MIN: usize = 6;
/// A longer one is told from any other text: it counts within a word too. One of small letters has to be as long.
const TELLING: usize = 12;
/// So many bytes of values as they are spelled are looked for, the shortest first: what is found by itself is found all the same.
const ALL_BYTES_MAX: usize = 1 << 20;
/// In JSON, in a string of JSON in it, and in one of that.
const LEVELS: usize = 3;

/// What a spelling is, and the plain value.
type Value = (Entity, Arc<str>);

/// Values, each with what it is.
#[derive(Clone)]
pub(super) struct Known(Arc<(AhoCorasick, Vec<Value>)>);

impl Known {
    /// Those of one request. `None` if none tells itself from other words.
    pub(super) fn of(masks: &Masks) -> Option<Self> {
        let telling = |(placeholder, value)| Some((Entity::named(entity_of(placeholder))?, value));
        let mut chosen: Vec<(Entity, &str)> =
            masks.iter().filter(|(_, value)| is_telling(value)).filter_map(telling).collect();
        chosen.sort_unstable_by_key(|(entity, value)| (value.len(), *value, entity.name()));
        let mut bytes = 0_usize;
        let (mut spellings_of, mut values) =
            (Vec::with_capacity(chosen.len()), Vec::with_capacity(chosen.len()));
        for (entity, value) in chosen {
            let spelled = spellings(value);
            bytes = bytes.saturating_add(spelled.iter().map(String::len).sum());
            if bytes > ALL_BYTES_MAX {
                break;
            }
            let value: Arc<str> = value.into();
            values.extend(spelled.iter().map(|_| (entity, value.clone())));
            spellings_of.extend(spelled);
        }
        if values.is_empty() {
            return None;
        }
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(spellings_of).ok()?;
        Some(Self(Arc::new((automaton, values))))
    }

    /// Where they stand in a text, each with the plain value.
    pub(super) fn find<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (Finding, &'t str)> + 't {
        let (spelled, values) = &*self.0;
        spelled.find_iter(text).filter_map(move |found| {
            let (entity, value) = values.get(found.pattern().as_usize())?;
            let is_it = stands_for_itself(text, &found.range());
            is_it.then(|| (Finding::whole(*entity, found.start(), found.end()), &**value))
        })
    }
}

/// Whether a value tells itself from other words.
pub fn is_telling(value: &str) -> bool {
    let letters = value.bytes().all(|byte| byte.is_ascii_lowercase());
    value.len() >= if letters { TELLING } else { VALUE_BYTES_MIN }
}

/// Whether a known value is meant where it stands: a short one is not, where a letter or digit goes on where it begins or ends
/// with one.
pub fn stands_for_itself(text: &str, range: &Range<usize>) -> bool {
    if range.len() >= TELLING {
        return true;
    }
    let joined = |a: Option<char>, b: Option<char>| {
        a.is_some_and(char::is_alphanumeric) && b.is_some_and(char::is_alphanumeric)
    };
    // What ends `\n` in JSON is no letter.
    let escape = is_escape(text.as_bytes(), range.start);
    let before = text.get(..range.start).and_then(|before| before.chars().next_back()).filter(|_| !escape);
    let after = text.get(range.end..).and_then(|after| after.chars().next());
    let value = text.get(range.clone()).unwrap_or_default();
    !joined(before, value.chars().next()) && !joined(value.chars().next_back(), after)
}

/// A value as it is, and as it stands in JSON, in a string of JSON that is JSON, and so on: as little is escaped as has
/// to be, or all that is not ASCII (Python, PHP), or what means something in HTML (Go); slashes too, or not.
pub fn spellings(value: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([value.to_owned()]);
    if value.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return all;
    }
    for slash in [false, true] {
        for style in [Style::Least, Style::Html, Style::Ascii, Style::AsciiUpper] {
            let mut spelled = value.to_owned();
            for _ in 0..LEVELS {
                let next = escaped(&spelled, style, slash);
                if next == spelled {
                    break;
                }
                all.insert(next.clone());
                spelled = next;
            }
        }
    }
    all
}

/// What is written as `\uXXXX` of what needs not be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Least,
    Html,
    Ascii,
    /// The same with capitals.
    AsciiUpper,
}

/// A text as it stands between the quotes of a JSON string.
fn escaped(text: &str, style: Style, slash: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        let short = match c {
            '"' | '\\' => c,
            '/' if slash => c,
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\u{8}' => 'b',
            '\u{C}' => 'f',
            _ => {
                let by_style = match style {
                    Style::Least => false,
                    Style::Html => matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'),
                    Style::Ascii | Style::AsciiUpper => c > '~',
                };
                if !by_style && c >= ' ' {
                    out.push(c);
                    continue;
                }
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let upper = style == Style::AsciiUpper;
                    out.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
                }
                continue;
            }
        };
        out.extend(['\\', short]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Detectors, Redactor, TenantSecret};
    use super::*;
    use proptest::prelude::*;

    fn redactor() -> Redactor {
        Redactor::new(TenantSecret::derive(b"test", "acme"), Detectors::all(), Vec::new())
    }

    /// A redactor that knows what stands in this text.
    fn after(text: &str) -> Redactor {
        let mut masks = Masks::default();
        redactor().mask(text, "", &mut masks).unwrap();
        redactor().knowing(&masks).unwrap()
    }

    #[test]
    fn what_was_told_by_words_is_known_without_them() {
        let knows = after("the password is Zebra!4711, API key is 8fd4373477a3ba68b6b6a9ad2c7e82c0");
        for text in ["ok Zebra!4711", "(Zebra!4711)", "so Zebra!4711, 8fd4373477a3ba68b6b6a9ad2c7e82c0x"] {
            let redacted = knows.text(text);
            assert!(
                !redacted.as_str().contains("Zebra") && !redacted.as_str().contains("8fd4"),
                "{redacted}"
            );
        }
        let json = knows.json(r#"{"to":["Zebra!4711"],"Zebra!4711":"x\"Zebra!4711"}"#).unwrap();
        assert!(!json.as_str().contains("Zebra"), "{json}");
        assert_eq!(
            knows.text("aZebra!4711 Zebra!47110 zebra!4711").as_str(),
            "aZebra!4711 Zebra!47110 zebra!4711"
        );
        let told = redactor().text("the password is Zebra!4711");
        assert_eq!(
            format!("the password is {}", knows.text("Zebra!4711")),
            told.as_str(),
            "under the same name"
        );
    }

    #[test]
    fn a_value_is_known_as_it_is_spelled_in_json() {
        let value = r#"Kx"7\Grün/42&"#;
        let knows = after(&format!("the password is {value}"));
        let masked = knows.text(value).as_str().to_owned();
        assert!(masked.starts_with("[PASSWORD:") && masked.ends_with(']'), "{masked}");
        for spelled in spellings(value) {
            let text = format!("so {{\"login\":\"{spelled}\"}} ok");
            assert_eq!(
                knows.text(&text).as_str(),
                format!("so {{\"login\":\"{masked}\"}} ok"),
                "{text}: whole, under the same name"
            );
        }
        for spelled in [r#"Kx\"7\\Gr\u00fcn\/42&"#, r#"Kx\"7\\Gr\u00FCn/42&"#, r#"Kx\\\"7\\\\Grün/42\\u0026"#]
        {
            assert!(spellings(value).contains(spelled), "{spelled}");
        }
        assert_eq!(spellings("Falke42x").len(), 1);
    }

    #[test]
    fn words_are_not_known() {
        let mut masks = Masks::default();
        redactor().mask("password: \"secret\" pw: hunter", "", &mut masks).unwrap();
        assert!(
            redactor()
                .knowing(&masks)
                .is_none_or(|knows| knows.text("a secret hunter").as_str() == "a secret hunter")
        );
    }

    proptest! {
        #[test]
        fn redacting_twice_changes_nothing(text in "[a-z !0-9A-Z\\[\\]:]{0,40}", value in "[A-Za-z0-9!]{6,14}") {
            let knows = after(&format!("the password is {value}A1!"));
            for text in [text.clone(), format!("{text}{value}A1!"), format!("{value}A1!{text} {value}A1!")] {
                let once = knows.text(&text);
                let twice = knows.text(once.as_str());
                prop_assert_eq!(twice.as_str(), once.as_str());
                let alone = format!(" {value}A1! ");
                prop_assert!(!once.as_str().contains(&alone));
            }
        }
    }
}
