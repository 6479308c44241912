//! What was asked and answered as text, for the record: who said what, calls and results, files summarised.
//! Apart from the dialects, because a record reads the same in all of them.

use crate::{
    json::{self, Value},
    records::Said,
};

/// Text for a record: JSON string pieces (escaped, without quotes) of each choice, bounded.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    choices: Vec<Choice>,
    bytes_left: usize,
}

#[derive(Debug, Clone, Default)]
struct Choice {
    index: u64,
    escaped: Vec<u8>,
    /// Where something else begins, in order: a call, its arguments, what follows.
    cuts: Vec<usize>,
}

/// How much a transcript said at a moment.
#[derive(Debug)]
pub(super) struct Mark {
    /// Of each choice, in their order.
    lens: Vec<usize>,
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
        match self.choices.iter_mut().find(|one| one.index == choice) {
            Some(one) => one.escaped.extend_from_slice(escaped),
            None => {
                self.choices.push(Choice { index: choice, escaped: escaped.to_vec(), cuts: Vec::new() });
            }
        }
    }

    /// Adds a call to a choice.
    pub fn add_call(&mut self, choice: u64, tool: &str, arguments: &str) {
        self.cut(choice);
        self.add(choice, &format!("[call {tool} "));
        self.cut(choice);
        self.add(choice, arguments);
        self.cut(choice);
        self.add(choice, "]");
        self.cut(choice);
    }

    fn cut(&mut self, choice: u64) {
        if let Some(choice) = self.choices.iter_mut().find(|one| one.index == choice) {
            choice.cuts.push(choice.escaped.len());
        }
    }

    /// Adds plain text to a choice.
    pub fn add(&mut self, choice: u64, text: &str) {
        if self.bytes_left == 0 {
            return;
        }
        let mut escaped = Vec::with_capacity(text.len() + 2);
        json::write_string(text, &mut escaped);
        let inner = escaped.get(1..escaped.len().saturating_sub(1)).unwrap_or_default();
        self.add_escaped(choice, inner);
    }

    /// How much it says now.
    pub(super) fn mark(&self) -> Mark {
        let lens = self.choices.iter().map(|choice| choice.escaped.len()).collect();
        Mark { lens, bytes_left: self.bytes_left }
    }

    /// Forgets what was added since.
    pub(super) fn rewind(&mut self, mark: &Mark) {
        self.choices.truncate(mark.lens.len());
        for (choice, len) in self.choices.iter_mut().zip(&mark.lens) {
            choice.escaped.truncate(*len);
            choice.cuts.retain(|cut| cut <= len);
        }
        self.bytes_left = mark.bytes_left;
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// How much is kept, in bytes.
    pub fn len(&self) -> usize {
        self.choices.iter().map(|choice| choice.escaped.len()).sum()
    }

    /// The text, unescaped; several choices one below the other.
    pub fn into_said(self) -> Said {
        let several = self.choices.len() > 1;
        let mut out = Said::default();
        for choice in self.choices {
            if several {
                out.note(&format!("choice {}: ", choice.index));
            }
            let mut from = 0;
            for cut in choice.cuts.iter().copied().chain([choice.escaped.len()]) {
                out.say(&unescaped(choice.escaped.get(from..cut)));
                from = cut;
            }
            if several {
                out.note("\n");
            }
        }
        out
    }
}

fn unescaped(escaped: Option<&[u8]>) -> String {
    let quoted = [b"\"", escaped.unwrap_or_default(), b"\""].concat();
    let text = json::parse(&quoted, 1).ok();
    text.as_ref().and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// Strings as they are, text parts by their text, anything else as JSON.
pub(super) fn content(value: &Value<'_>, out: &mut Said) {
    match value {
        Value::Null => {}
        Value::String(text) => out.say(text),
        Value::Array(parts)
            if parts.iter().any(|part| matches!(part, Value::String(_) | Value::Object(_))) =>
        {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    out.note("\n");
                }
                match part.get("text").and_then(Value::as_str) {
                    Some(text) => out.say(text),
                    None => content(part, out),
                }
            }
        }
        Value::Array(tokens) => out.note(&format!("[{} tokens]", tokens.len())),
        Value::Object(_) | Value::Number(_) | Value::Bool(_) => out.say(&value.to_string()),
    }
}
