//! Dice that random answers are drawn from, so that a failing one shrinks towards a small and plain one.

/// Numbers that decide, in order; all zero behind the last.
#[derive(Debug)]
pub(in crate::dialect) struct Dice<'d>(pub(in crate::dialect) &'d [u16]);

impl Dice<'_> {
    /// A number below `sides`.
    pub(in crate::dialect) fn roll(&mut self, sides: usize) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first) % sides
    }

    pub(in crate::dialect) fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == sides - 1
    }

    pub(in crate::dialect) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    /// A text in random pieces, some of them empty.
    pub(in crate::dialect) fn cut(&mut self, text: &str) -> Vec<String> {
        let mut pieces = vec![String::new()];
        for c in text.chars() {
            if self.one_in(5) {
                pieces.push(String::new());
            }
            pieces.last_mut().unwrap().push(c);
        }
        if self.one_in(3) {
            pieces.push(String::new());
        }
        pieces
    }

    /// Rows of things in one row: each row's in their order, the rows' first things in theirs, else mixed as they fall.
    pub(in crate::dialect) fn mix<T>(&mut self, rows: Vec<Vec<T>>) -> Vec<T> {
        let mut rows = rows.into_iter().map(Vec::into_iter);
        let (mut open, mut mixed) = (Vec::new(), Vec::new());
        loop {
            if (open.is_empty() || self.one_in(3))
                && let Some(row) = rows.next()
            {
                open.push(row);
                let last = open.len() - 1;
                mixed.extend(open[last].next());
            } else if open.is_empty() {
                return mixed;
            }
            let at = self.roll(open.len());
            match open[at].next() {
                Some(next) => mixed.push(next),
                None => drop(open.remove(at)),
            }
        }
    }
}

/// How far a rendering may stray from what the provider itself sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Manner {
    Odd,
    Regular,
}

/// How named events are put on the wire.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect) struct Wire {
    end: &'static str,
    field: &'static str,
    named: bool,
    escaped: bool,
    manner: Manner,
}

impl Wire {
    pub(in crate::dialect) fn draw(dice: &mut Dice<'_>, manner: Manner) -> Self {
        if manner == Manner::Regular {
            return Self { end: "\n", field: ": ", named: true, escaped: false, manner };
        }
        Self {
            end: dice.pick(&["\n", "\n", "\r\n", "\r"]),
            field: dice.pick(&[": ", ": ", ":"]),
            named: !dice.one_in(4),
            escaped: dice.one_in(3),
            manner,
        }
    }

    pub(in crate::dialect) fn event(self, event: &serde_json::Value, dice: &mut Dice<'_>, out: &mut String) {
        let Self { end, field, .. } = self;
        if self.manner == Manner::Odd {
            match dice.roll(12) {
                0 => out.push_str(&format!(": wait{end}{end}")),
                1 => out.push_str(&format!("id: 7{end}retry: 1{end}{end}")),
                _ => {}
            }
        }
        if self.named {
            out.push_str(&format!("event{field}{}{end}", event["type"].as_str().unwrap()));
        }
        let text = event.to_string();
        let text = if self.escaped { ascii(&text) } else { text };
        out.push_str(&format!("data{field}{text}{end}{end}"));
    }
}

/// The same JSON with everything beyond ASCII escaped, and a letter of every `type` too.
fn ascii(json: &str) -> String {
    let mut out = String::new();
    for c in json.replace("\"type\":", "\"t\\u0079pe\":").chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

/// Whether a character is nowhere in a text, nor its escape.
pub(in crate::dialect) fn is_absent(canary: char, text: &str) -> bool {
    !text.contains(canary) && !text.contains(&format!("\\u{:04x}", u32::from(canary)))
}

/// A text as it stands between the quotes of a JSON string.
pub(in crate::dialect) fn in_quotes(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap().to_owned()
}

/// Texts that an answer is made of.
pub(in crate::dialect) const PIECES: [&str; 10] =
    ["Hello", " ", "\n", "\"quoted\" \\", "ü€", "😀", "", "[DONE]", "data: x", "tool_use"];

/// A stream in pieces of these lengths, over and over.
pub(in crate::dialect) fn pieces<'b>(input: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    let mut rest = input;
    for &cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
