//! The languages that clients speak. One folder a dialect: understand a request, read an answer, take a call
//! out, refuse in its own words. Pure; what is decided comes from a `Judge`.

pub mod openai;

use crate::{call::Arguments, refusal::Refusal, usage::Usage};

/// Decides each emitted call. Implemented by the exchange, with the tenant's policy and records behind it.
pub trait Judge {
    /// Decides a call; `text` is its arguments exactly as the model produced them.
    fn judge(&mut self, tool: &str, args: &Arguments<'_>, text: &str) -> Verdict;

    /// A call that did not come to its end: denied and recorded, whatever the rules say.
    fn incomplete(&mut self, tool: &str, text: &str);
}

/// What becomes of an emitted call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// End the answer with this refusal.
    Abort(Refusal),
    /// Hand it on exactly as it was produced.
    Release,
    /// Take it out and say so.
    Remove { notice: String },
    /// Hand it on with these arguments.
    Rewrite { arguments: String },
}

/// What an answer has told so far, beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// As the provider reports it; `None` until it does.
    pub usage: Option<Usage>,
    /// The answer's text and released calls, for the record, where records keep content.
    pub completion: Transcript,
}

/// Text for a record: JSON string pieces (escaped, without quotes) of each choice, bounded.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    choices: Vec<(u64, Vec<u8>)>,
    bytes_left: usize,
}

impl Transcript {
    /// A transcript that keeps at most so many bytes; 0 keeps none.
    pub fn keeping(bytes_max: usize) -> Self {
        Self { choices: Vec::new(), bytes_left: bytes_max }
    }

    /// Adds a piece of a JSON string to a choice.
    pub fn add_escaped(&mut self, choice: u64, escaped: &[u8]) {
        // A piece that does not fit is left out whole: a cut escape could not be read back.
        if self.bytes_left < escaped.len() || escaped.is_empty() {
            self.bytes_left = if escaped.is_empty() { self.bytes_left } else { 0 };
            return;
        }
        self.bytes_left -= escaped.len();
        match self.choices.iter_mut().find(|(index, _)| *index == choice) {
            Some((_, text)) => text.extend_from_slice(escaped),
            None => self.choices.push((choice, escaped.to_vec())),
        }
    }

    /// Adds plain text to a choice.
    pub fn add(&mut self, choice: u64, text: &str) {
        if self.bytes_left == 0 {
            return;
        }
        let mut escaped = Vec::with_capacity(text.len() + 2);
        crate::json::write_string(text, &mut escaped);
        let inner = escaped.get(1..escaped.len().saturating_sub(1)).unwrap_or_default();
        self.add_escaped(choice, inner);
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// How much is kept, in bytes.
    pub fn len(&self) -> usize {
        self.choices.iter().map(|(_, text)| text.len()).sum()
    }

    /// The text, unescaped; several choices one below the other.
    pub fn into_text(self) -> String {
        let several = self.choices.len() > 1;
        let mut out = String::new();
        for (index, escaped) in self.choices {
            let quoted = [b"\"", escaped.as_slice(), b"\""].concat();
            let text = crate::json::parse(&quoted, 1).ok();
            let text = text.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
            if several {
                out.push_str(&format!("choice {index}: "));
            }
            out.push_str(text);
            if several {
                out.push('\n');
            }
        }
        out
    }
}
