//! How many tokens the text of a request is taken for, before its provider counts: by OpenAI's own vocabularies for its
//! models, by its bytes for all others; pictures and files by what they cost. Pure.

mod files;
mod vocabulary;

pub use self::vocabulary::Vocabulary;

use crate::json::{Value, write};
use files::Kind;

/// So much of a request's text is counted; of what is longer, the rest is taken for as dense as that.
const COUNTED_BYTES_MAX: usize = 32 << 10;
/// So much text is counted at once: no run of characters costs more than its length in time.
const SLICE_BYTES: usize = 1 << 10;
/// What a message, and the beginning of an answer, take beside their text, and what a name in it takes besides. Source:
/// OpenAI's cookbook on counting tokens.
const EACH_MESSAGE: u64 = 3;
const EACH_NAME: u64 = 1;
/// So many bytes of text are taken for a token where nobody counts.
const BYTES_A_TOKEN: u64 = 4;

/// The tokens of so many bytes of text.
pub fn of_length(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_A_TOKEN)
}

/// The tokens of a request's input. In a vocabulary: of all that is said in it, of its tools as they are written down, and
/// of each message itself. Without one, by the length of its body, which is `written` so many bytes. Pictures and files
/// count as such.
pub fn of_request(vocabulary: Option<Vocabulary>, body: &Value<'_>, written: usize) -> u64 {
    let mut count = Count { vocabulary, ..Count::default() };
    for name in ["messages", "input", "prompt", "instructions", "system"] {
        if let Some(said) = body.get(name) {
            count.said(said);
        }
    }
    if vocabulary.is_none() {
        let text = length(written).saturating_sub(count.files_length);
        return of_length(text).saturating_add(count.files);
    }
    for name in ["tools", "functions", "response_format", "text"] {
        if let Some(shape) = body.get(name) {
            let mut written = Vec::new();
            write(shape, &mut written);
            count.text(&String::from_utf8_lossy(&written));
        }
    }
    count.total()
}

/// A count under way.
#[derive(Default)]
struct Count {
    vocabulary: Option<Vocabulary>,
    tokens: u64,
    /// Bytes of text that were counted, and that were left.
    counted: u64,
    left: u64,
    /// What pictures and files are taken for, and how many bytes stand for them in the body.
    files: u64,
    files_length: u64,
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// The key that it is the value of.
    key: &'p str,
    /// The kind of picture or file that it is a part of.
    part: Option<Kind>,
}

impl Count {
    /// A prompt, or the messages of a conversation.
    fn said(&mut self, said: &Value<'_>) {
        let nowhere = Place { key: "", part: None };
        let Value::Array(messages) = said else { return self.value(said, nowhere) };
        if messages.iter().any(|message| matches!(message, Value::Object(_))) {
            self.tokens += EACH_MESSAGE;
        }
        for message in messages {
            if matches!(message, Value::Object(_)) {
                self.tokens += EACH_MESSAGE;
            }
            if message.get("name").is_some() {
                self.tokens += EACH_NAME;
            }
            self.value(message, nowhere);
        }
    }

    /// Every string in it, at any depth. A number in an array is a token already: embeddings take them so.
    fn value(&mut self, value: &Value<'_>, place: Place<'_>) {
        match value {
            Value::String(text) => match files::of(place.key, place.part, text) {
                Some(tokens) => {
                    self.files = self.files.saturating_add(tokens);
                    self.files_length = self.files_length.saturating_add(length(text.len()));
                }
                None => self.text(text),
            },
            Value::Array(values) => values.iter().for_each(|value| self.value(value, place)),
            Value::Object(members) => {
                let part = files::part(value, place.part);
                members.iter().for_each(|(key, value)| self.value(value, Place { key, part }));
            }
            Value::Number(_) => self.tokens += 1,
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn text(&mut self, text: &str) {
        let Some(vocabulary) = self.vocabulary else { return };
        let mut rest = text;
        while !rest.is_empty() && self.counted < length(COUNTED_BYTES_MAX) {
            let (slice, behind) = rest.split_at(rest.floor_char_boundary(SLICE_BYTES));
            self.tokens += vocabulary.count(slice);
            self.counted += length(slice.len());
            rest = behind;
        }
        self.left += length(rest.len());
    }

    /// What was left is as dense as what was counted, and no thinner than any text.
    fn total(&self) -> u64 {
        let dense = u128::from(self.left) * u128::from(self.tokens) / u128::from(self.counted.max(1));
        let left = u64::try_from(dense).unwrap_or(u64::MAX).max(of_length(self.left));
        self.tokens.saturating_add(if self.left == 0 { 0 } else { left }).saturating_add(self.files)
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use proptest::prelude::*;

    fn tokens(vocabulary: Vocabulary, body: &str) -> u64 {
        of_request(Some(vocabulary), &parse(body.as_bytes(), 64).unwrap(), body.len())
    }

    #[test]
    fn all_that_is_said_counts_and_each_message_itself() {
        let check = |body: &str, old, new| {
            assert_eq!(tokens(Vocabulary::Cl100k, body), old, "{body}");
            assert_eq!(tokens(Vocabulary::O200k, body), new, "{body}");
        };
        check("{}", 0, 0);
        check(r#"{"model":"m","temperature":0.5}"#, 0, 0);
        check(r#"{"input":"hello world"}"#, 2, 2);
        check(r#"{"input":["hello world","tiktoken is great!"]}"#, 8, 8);
        check(r#"{"input":[15339,1917]}"#, 2, 2);
        // Counts that OpenAI's cookbook tells.
        check(r#"{"prompt":"antidisestablishmentarianism"}"#, 6, 6);
        check(r#"{"prompt":"お誕生日おめでとう"}"#, 9, 8);
        // Three and three, the role, two words.
        check(r#"{"messages":[{"role":"user","content":"hello world"}]}"#, 9, 9);
        check(r#"{"messages":[{"role":"user","name":"user","content":"hello world"}]}"#, 11, 11);
        check(r#"{"instructions":"hello world","input":"hello world"}"#, 4, 4);
    }

    #[test]
    fn what_is_offered_counts_as_it_is_written() {
        let without = tokens(Vocabulary::O200k, r#"{"messages":[]}"#);
        let tools = r#"[{"type":"function","function":{"name":"lookup","parameters":{"type":"object"}}}]"#;
        let with = tokens(Vocabulary::O200k, &format!(r#"{{"messages":[],"tools":{tools}}}"#));
        assert_eq!(with - without, Vocabulary::O200k.count(tools));
    }

    #[test]
    fn without_a_vocabulary_four_bytes_are_a_token_but_for_files() {
        let tokens = |body: &str| of_request(None, &parse(body.as_bytes(), 64).unwrap(), body.len());
        assert_eq!(tokens("{}"), 1);
        let body = format!(r#"{{"prompt":"{}"}}"#, "word ".repeat(8000));
        assert_eq!(tokens(&body), 10_004);
        let file = "iVBORw0KGgo+/A".repeat(100_000);
        let part = format!(
            r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{file}"}}}}"#
        );
        let body = |parts: &str| format!(r#"{{"messages":[{{"role":"user","content":[{parts}]}}]}}"#);
        assert!((1600..1650).contains(&tokens(&body(&part))));
        assert!((3200..3300).contains(&tokens(&body(&format!("{part},{part}")))));
        // Text is text, whatever letters it has.
        let body = body(&format!(r#"{{"type":"text","text":"{file}"}}"#));
        assert_eq!(tokens(&body), of_length(length(body.len())));
    }

    #[test]
    fn a_picture_costs_what_a_picture_costs_and_text_does_not_become_one() {
        let check = |part: String, least: u64| {
            let body = format!(r#"{{"messages":[{{"role":"user","content":[{part}]}}]}}"#);
            let found = tokens(Vocabulary::O200k, &body);
            assert!((least..least + 40).contains(&found), "{found} {least}: {body:.200}");
        };
        let data = "iVBORw0KGgo+/A".repeat(50_000);
        let picture = |url: &str| format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
        check(picture(&format!("data:image/png;base64,{data}")), 1600);
        check(picture("https://example.com/a.png"), 1600);
        check(r#"{"type":"input_image","image_url":"https://example.com/a.png"}"#.to_owned(), 1600);
        check(r#"{"type":"input_file","file_id":"file-1"}"#.to_owned(), 1600);
        let many = [picture("https://example.com/a.png"), picture("https://example.com/b.png")].join(",");
        check(many, 3200);
        // A file of many pages.
        let document = format!(
            r#"{{"type":"file","file":{{"filename":"a.pdf","file_data":"data:application/pdf;base64,{data}"}}}}"#
        );
        check(document, length(data.len()) / 64);
        let written = format!(r#"{{"type":"file","file":{{"file_data":"data:text/plain;base64,{data}"}}}}"#);
        check(written.replace("data:text", "DATA:Text"), length(data.len()) / 5);
        check(written, length(data.len()) / 5);
        for text in ["7".repeat(1 << 20), "iVBORw0KGgo+/A".repeat(50_000)] {
            let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
            assert!(tokens(Vocabulary::O200k, &body) >= of_length(length(text.len())));
        }
    }

    #[test]
    fn a_long_prompt_is_as_dense_as_its_beginning_and_no_thinner_than_text() {
        let exact = |text: &str| Vocabulary::O200k.count(text);
        let text = "The delivery of the third pallet is late again, and nobody knows why. ".repeat(4000);
        let counted = tokens(Vocabulary::O200k, &format!(r#"{{"prompt":"{text}"}}"#));
        let whole = exact(&text);
        assert!((whole * 49 / 50..whole * 6 / 5).contains(&counted), "{counted} {whole}");
        // A beginning of blanks makes nothing cheap.
        let blank = " ".repeat(COUNTED_BYTES_MAX);
        let padded = tokens(Vocabulary::O200k, &format!(r#"{{"prompt":"{blank}{text}"}}"#));
        assert!(padded >= of_length(length(text.len())), "{padded} {whole}");
    }

    #[test]
    fn names_of_models_lead_to_their_vocabularies() {
        use Vocabulary::{Cl100k, O200k};
        let check = |names: &[&str], expected| {
            for name in names {
                assert_eq!(Vocabulary::of(name), expected, "{name}");
            }
        };
        check(
            &["gpt-4", "GPT-4", "gpt-4-turbo", "gpt-4-0613", "gpt-3.5-turbo", "gpt-35-turbo"],
            Some(Cl100k),
        );
        check(&["text-embedding-3-small", "ft:gpt-3.5-turbo:acme:a:1", "ft:gpt-4:acme"], Some(Cl100k));
        check(
            &["gpt-4o", "gpt-4.1-mini", "gpt-5", "openai/gpt-5-mini", "o1", "o3-mini", "o4-mini"],
            Some(O200k),
        );
        check(&["chatgpt-4o-latest", "gpt-oss-120b", "ft:gpt-4o-mini:acme::x"], Some(O200k));
        check(&["", "claude-sonnet-4-5", "llama-4", "mistral-large", "my-gpt-4", "gemini", "ö"], None);
    }

    fn asked<'t>(texts: &[&'t str]) -> Value<'t> {
        let texts = texts.iter().map(|text| Value::string(*text)).collect();
        Value::Object(vec![("input".into(), Value::Array(texts))])
    }

    proptest! {
        /// A text costs no more for standing in a request, and more text no less.
        #[test]
        fn more_text_is_no_fewer_tokens(first in "\\PC{0,300}", second in "\\PC{0,300}") {
            let one = of_request(Some(Vocabulary::O200k), &asked(&[&first]), 0);
            let both = of_request(Some(Vocabulary::O200k), &asked(&[&first, &second]), 0);
            prop_assert_eq!(one, Vocabulary::O200k.count(&first));
            prop_assert_eq!(both, one + Vocabulary::O200k.count(&second));
            prop_assert!(one <= length(first.len()));
        }
    }
}
