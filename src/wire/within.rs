//! How deep a text stands in JSON where it goes on: in no string, in one, in a string of JSON that stands in a string…
//! A value is written there with as many escapes, or it could end the string and go on as something else.
//!
//! What is JSON is told by what was read so far, since a streamed text has no end yet: it begins with a bracket, in
//! whatever prose, and goes on as JSON does. Where it does not it is prose again. A text that is JSON as a whole is
//! always known as such.

use super::restore::Spelling;

/// JSON within strings of JSON within strings…
const LEVELS_MAX: usize = 6;

/// Where a text goes on.
#[derive(Debug, Clone)]
pub(super) struct Within {
    /// The text, what the string that is open in it decodes to, and so on.
    levels: Vec<Level>,
    /// Values are escaped at least so often.
    least: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Level {
    /// Brackets that are open; 0: prose.
    depth: usize,
    in_string: bool,
    escape: Escape,
    /// Something but blanks was read.
    has_begun: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Escape {
    #[default]
    No,
    /// Behind a backslash.
    Begun,
    /// So many digits of `\uXXXX`, and what they say.
    Unicode(usize, u32),
}

/// What becomes of a character.
enum Read {
    Done,
    /// It stands for this one in the string's own text.
    Inner(char),
}

impl Within {
    /// Before the first character.
    pub(super) fn new(spelling: Spelling) -> Self {
        Self { levels: vec![Level::default()], least: usize::from(spelling == Spelling::Escaped) }
    }

    /// Reads on.
    pub(super) fn read(&mut self, text: &str) {
        for c in text.chars() {
            self.step(c);
        }
    }

    /// A value stands here, of which nothing is read.
    pub(super) fn skip(&mut self) {
        self.levels.iter_mut().for_each(|level| level.has_begun = true);
    }

    /// How often a value has to be escaped here.
    pub(super) fn escapes(&self) -> usize {
        self.levels.iter().filter(|level| level.in_string).count().max(self.least)
    }

    fn step(&mut self, mut c: char) {
        for at in 0..LEVELS_MAX {
            if at == self.levels.len() {
                self.levels.push(Level::default());
            }
            let Some(level) = self.levels.get_mut(at) else { return };
            match level.step(c) {
                Read::Done if level.in_string => return,
                // What stood in a string that is closed now is over.
                Read::Done => return self.levels.truncate(at + 1),
                Read::Inner(inner) => c = inner,
            }
        }
    }
}

impl Level {
    fn step(&mut self, c: char) -> Read {
        if self.in_string {
            return self.in_string(c);
        }
        match (c, self.depth) {
            ('"', 0) if self.has_begun => {}
            ('"', _) => self.in_string = true,
            ('{' | '[', depth) => self.depth = depth.saturating_add(1),
            (_, 0) => {}
            ('}' | ']', depth) => self.depth = depth - 1,
            (':' | ',' | '0'..='9' | '+' | '-' | '.' | 'E' | '\n' | '\r' | '\t' | ' ', _) => {}
            // Of true, false and null.
            ('a' | 'e' | 'f' | 'l' | 'n' | 'r' | 's' | 't' | 'u', _) => {}
            _ => self.depth = 0,
        }
        self.has_begun |= !c.is_whitespace();
        Read::Done
    }

    fn in_string(&mut self, c: char) -> Read {
        let inner = match (std::mem::take(&mut self.escape), c) {
            (Escape::No, '"') => {
                self.in_string = false;
                return Read::Done;
            }
            (Escape::No, '\\') => {
                self.escape = Escape::Begun;
                return Read::Done;
            }
            (Escape::No, c) if u32::from(c) >= 0x20 => c,
            (Escape::Begun, '"' | '\\' | '/') => c,
            (Escape::Begun, 'n') => '\n',
            (Escape::Begun, 't') => '\t',
            (Escape::Begun, 'r') => '\r',
            (Escape::Begun, 'b' | 'f') => '\u{1}',
            (Escape::Begun, 'u') => {
                self.escape = Escape::Unicode(0, 0);
                return Read::Done;
            }
            (Escape::Unicode(digits, code), c) if c.is_ascii_hexdigit() => {
                let code = code << 4 | c.to_digit(16).unwrap_or(0);
                if digits < 3 {
                    self.escape = Escape::Unicode(digits + 1, code);
                    return Read::Done;
                }
                // Half of one beyond 16 bits is no sign of JSON.
                char::from_u32(code).unwrap_or('\u{fffd}')
            }
            // No JSON at all.
            _ => {
                (self.in_string, self.depth) = (false, 0);
                return Read::Done;
            }
        };
        Read::Inner(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: usize) {
        let mut within = Within::new(Spelling::Plain);
        within.read(text);
        assert_eq!(within.escapes(), expected, "{text}");
    }

    #[test]
    fn the_depth_of_strings_is_counted_in_json_and_nowhere_else() {
        for (text, expected) in [
            ("", 0),
            ("my \"", 0),
            (" \"", 1),
            ("{\"a\": \"", 1),
            ("{\"a\": \"x\\\\\"", 0),
            ("{\"a\": \"x\\\"", 1),
            ("{\"a\": \"x\", \"b", 1),
            ("[1, true, null, -2.5e+3, \"", 1),
            ("here: ```json\n{\n \"a\": \"", 1),
            ("{\"a\": 1}\n{\"b\": \"", 1),
            ("[1] see \"", 0),
            ("{it is \"", 0),
            ("{\"a\": \"x\ny \"", 0),
            ("{\"a\": \"{\\\"b\\\": \\\"", 2),
            ("{\"a\": \"{\\u0022b\\u0022: [\\\"", 2),
            ("{\"a\": \"{\\\"b\\\": \\\"x\\\"}", 1),
            ("{\"a\": \"{\\\"b\\\": \\\"{\\\\\\\"c\\\\\\\": \\\\\\\"", 3),
            ("{\"a\": \"{\\\"b\\\": \\\"\", \"c\": \"", 1),
        ] {
            check(text, expected);
        }
    }
}
