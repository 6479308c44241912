//! How many tokens the text of a request is taken for, before its provider counts: by OpenAI's own vocabularies for its
//! models, by its bytes for all others. Pure.

mod bytes;
mod vocabulary;

pub use self::bytes::{of_body, of_length};
pub use self::vocabulary::Vocabulary;

use crate::json::{Value, write};
use bytes::FILE_TOKENS;

/// So much of a request's text is counted; of what is longer, the rest is taken for as dense as that.
const COUNTED_BYTES_MAX: usize = 32 << 10;
/// So much text is counted at once: no run of characters costs more than its length in time.
const SLICE_BYTES: usize = 1 << 10;
/// What a message, and the beginning of an answer, take beside their text, and what a name in it takes besides. Source:
/// OpenAI's cookbook on counting tokens.
const EACH_MESSAGE: u64 = 3;
const EACH_NAME: u64 = 1;

/// The tokens of a request's input in a vocabulary: of all that is said in it, of its tools as they are written down,
/// and of each message itself.
pub fn of_request(vocabulary: Vocabulary, body: &Value<'_>) -> u64 {
    let mut count = Count { vocabulary, tokens: 0, counted: 0, left: 0 };
    for name in ["messages", "input", "prompt", "instructions", "system"] {
        if let Some(said) = body.get(name) {
            count.said(said);
        }
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
struct Count {
    vocabulary: Vocabulary,
    tokens: u64,
    /// Bytes of text that were counted, and that were left.
    counted: u64,
    left: u64,
}

impl Count {
    /// A prompt, or the messages of a conversation.
    fn said(&mut self, said: &Value<'_>) {
        match said {
            Value::Array(messages) => {
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
                    self.value(message);
                }
            }
            said => self.value(said),
        }
    }

    /// Every string in it, at any depth. A number in an array is a token already: embeddings take them so.
    fn value(&mut self, value: &Value<'_>) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(values) => values.iter().for_each(|value| self.value(value)),
            Value::Object(members) => members.iter().for_each(|(_, value)| self.value(value)),
            Value::Number(_) => self.tokens += 1,
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn text(&mut self, text: &str) {
        if bytes::is_file(text) {
            self.tokens += FILE_TOKENS;
            return;
        }
        let mut rest = text;
        while !rest.is_empty() && self.counted < length(COUNTED_BYTES_MAX) {
            let (slice, behind) = rest.split_at(rest.floor_char_boundary(SLICE_BYTES));
            self.tokens += self.vocabulary.count(slice);
            self.counted += length(slice.len());
            rest = behind;
        }
        self.left += length(rest.len());
    }

    /// What was left is as dense as what was counted, and no thinner than any text.
    fn total(&self) -> u64 {
        let dense = u128::from(self.left) * u128::from(self.tokens) / u128::from(self.counted.max(1));
        let left = u64::try_from(dense).unwrap_or(u64::MAX).max(of_length(self.left));
        self.tokens.saturating_add(if self.left == 0 { 0 } else { left })
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
        of_request(vocabulary, &parse(body.as_bytes(), 64).unwrap())
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
    fn a_picture_costs_what_a_picture_costs() {
        let body = |data: &str| {
            format!(
                r#"{{"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}]}}"#
            )
        };
        let file = tokens(Vocabulary::O200k, &body(&"iVBORw0KGgo+/A".repeat(50_000)));
        assert!((FILE_TOKENS..FILE_TOKENS + 20).contains(&file), "{file}");
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
            let one = of_request(Vocabulary::O200k, &asked(&[&first]));
            let both = of_request(Vocabulary::O200k, &asked(&[&first, &second]));
            prop_assert_eq!(one, Vocabulary::O200k.count(&first));
            prop_assert_eq!(both, one + Vocabulary::O200k.count(&second));
            prop_assert!(one <= length(first.len()));
        }
    }
}
