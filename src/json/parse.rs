//! Text to value. One pass, borrowed, bounded in depth; every refusal says what and where.

use super::Value;
use crate::clock;
use std::{borrow::Cow, collections::HashSet};

/// Why a text is not JSON that the gateway accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ByteOrderMark,
    DuplicateKey,
    LoneSurrogate,
    NotUtf8,
    NumberTooLarge,
    Syntax,
    TooDeep,
    TooMany,
    Truncated,
}

/// A refusal with its place. Never quotes the text, which may be sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} at byte {offset}", self.kind.text())]
pub struct ParseError {
    pub kind: Kind,
    /// Bytes from the start of the text.
    pub offset: usize,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "the JSON begins with a byte order mark",
            Self::DuplicateKey => "an object has the same key twice",
            Self::LoneSurrogate => "a string holds half of a surrogate pair",
            Self::NotUtf8 => "the JSON is not UTF-8",
            Self::NumberTooLarge => "a number is beyond the range of a double",
            Self::Syntax => "not valid JSON",
            Self::TooDeep => "the JSON is nested too deeply",
            Self::TooMany => "the JSON holds more than 1,000,000 values",
            Self::Truncated => "the JSON ends too early",
        }
    }
}

/// A document of many small values takes far more memory than its text.
const VALUES_MAX: usize = 1_000_000;

/// After so many values a thread that reads them lets others have its core: a million take a hundredth of a second and more,
/// and who waits for a core that is busy waits for the system's next look otherwise, four milliseconds on many machines.
const VALUES_AT_A_GO: usize = 1 << 12;

/// Reads one JSON document, arrays and objects nested at most `nesting_max` deep.
pub fn parse(bytes: &[u8], nesting_max: usize) -> Result<Value<'_>, ParseError> {
    read(bytes, nesting_max, Vectors::AsArrays)
}

/// The same for what carries vectors that nobody looks at: an array of nothing but numbers is checked and stays text,
/// which costs a tenth. It is a `Number` whose digits are the array as it was written; see [`Value::vector`].
pub fn parse_with_vectors(bytes: &[u8], nesting_max: usize) -> Result<Value<'_>, ParseError> {
    read(bytes, nesting_max, Vectors::AsText)
}

/// The same for what a server answers: in its vectors nothing can hide that is no number, and whether they are written
/// as they should be is for the client to find out.
pub fn parse_answer_with_vectors(bytes: &[u8], nesting_max: usize) -> Result<Value<'_>, ParseError> {
    read(bytes, nesting_max, Vectors::Unread)
}

/// What becomes of an array of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vectors {
    AsArrays,
    /// Checked, and text.
    AsText,
    /// Made of the right characters, and text.
    Unread,
}

fn read(bytes: &[u8], nesting_max: usize, vectors: Vectors) -> Result<Value<'_>, ParseError> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(ParseError { kind: Kind::ByteOrderMark, offset: 0 });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ParseError { kind: Kind::NotUtf8, offset: error.valid_up_to() })?;
    let mut parser = Parser { text, bytes, at: 0, vectors, values: 0 };
    parser.space();
    let value = parser.value(nesting_max, |value| value)?;
    parser.space();
    if parser.at < bytes.len() { Err(parser.error(Kind::Syntax)) } else { Ok(value) }
}

struct Parser<'a> {
    text: &'a str,
    /// The same text; 0 <= at <= bytes.len().
    bytes: &'a [u8],
    at: usize,
    vectors: Vectors,
    values: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, kind: Kind) -> ParseError {
        let kind = if kind == Kind::Syntax && self.at >= self.bytes.len() { Kind::Truncated } else { kind };
        ParseError { kind, offset: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads a value, which is put where it belongs at once: handing it on as one of any kind takes as long as reading it.
    fn value<T>(&mut self, depth: usize, put: impl FnOnce(Value<'a>) -> T) -> Result<T, ParseError> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(self.error(Kind::TooMany));
        }
        if self.values.is_multiple_of(VALUES_AT_A_GO) {
            clock::give_way();
        }
        Ok(match self.peek() {
            Some(b'"') => put(Value::String(self.string()?)),
            Some(b'{') => put(Value::Object(self.object(depth)?)),
            Some(b'[') => match self.vector(depth)? {
                Some(vector) => put(Value::Number(Cow::Borrowed(vector))),
                None => put(Value::Array(self.array(depth)?)),
            },
            Some(b'-' | b'0'..=b'9') => put(Value::Number(self.number()?)),
            Some(b't') => put(self.word("true", Value::Bool(true))?),
            Some(b'f') => put(self.word("false", Value::Bool(false))?),
            Some(b'n') => put(self.word("null", Value::Null)?),
            _ => return Err(self.error(Kind::Syntax)),
        })
    }

    fn word(&mut self, word: &'static str, value: Value<'a>) -> Result<Value<'a>, ParseError> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.error(Kind::Syntax))
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value<'a>>, ParseError> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.error(Kind::TooDeep))?;
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(items);
        }
        loop {
            self.space();
            self.value(depth, |item| items.push(item))?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(items);
                }
                _ => return Err(self.error(Kind::Syntax)),
            }
        }
    }

    /// The array that begins here as its text, if it is to stay text: it holds nothing but numbers, one at least.
    fn vector(&mut self, depth: usize) -> Result<Option<&'a str>, ParseError> {
        if self.vectors == Vectors::AsArrays || depth == 0 {
            return Ok(None);
        }
        let start = self.at;
        let inner = self.bytes.get(start + 1..).unwrap_or_default();
        let length = vector_length(inner);
        if inner.get(length) != Some(&b']') {
            return Ok(None);
        }
        if self.vectors == Vectors::Unread && inner.iter().take(length).any(u8::is_ascii_digit) {
            self.at += length + 2;
            return self.text.get(start..self.at).map(Some).ok_or_else(|| self.error(Kind::Syntax));
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at = start;
            return Ok(None);
        }
        let mut numbers = 0_usize;
        loop {
            numbers += 1;
            if numbers.is_multiple_of(VALUES_AT_A_GO) {
                clock::give_way();
            }
            self.space();
            self.number()?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.error(Kind::Syntax)),
            }
        }
        self.at += 1;
        self.text.get(start..self.at).map(Some).ok_or_else(|| self.error(Kind::Syntax))
    }

    fn object(&mut self, depth: usize) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, ParseError> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.error(Kind::TooDeep))?;
        let start = self.at;
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(members);
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error(Kind::Syntax));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.error(Kind::Syntax));
            }
            self.at += 1;
            self.space();
            self.value(depth, |value| members.push((key, value)))?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.error(Kind::Syntax)),
            }
        }
        self.at += 1;
        if has_duplicate(&members) {
            return Err(ParseError { kind: Kind::DuplicateKey, offset: self.second_key(start, depth) });
        }
        Ok(members)
    }

    /// Where the second of two equal keys stands in the object that begins at `start`. It is read once more: where no
    /// key stands twice, nothing is to be kept for this.
    #[cold]
    fn second_key(&self, start: usize, depth: usize) -> usize {
        let mut again =
            Self { text: self.text, bytes: self.bytes, at: start + 1, vectors: self.vectors, values: 0 };
        let mut seen = HashSet::new();
        loop {
            again.space();
            let at = again.at;
            match again.string() {
                Ok(key) if seen.insert(key.clone()) => {}
                Ok(_) => return at,
                Err(_) => return start,
            }
            again.space();
            again.at += 1;
            again.space();
            if again.value(depth, drop).is_err() {
                return start;
            }
            again.space();
            again.at += 1;
        }
    }

    /// A string, from its opening quote to behind its closing one; borrowed unless it holds an escape.
    fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
        self.at += 1;
        let start = self.at;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            let text = self.text.get(start..self.at).ok_or_else(|| self.error(Kind::Syntax))?;
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut owned = String::new();
        let mut run = start;
        loop {
            owned.push_str(self.text.get(run..self.at).ok_or_else(|| self.error(Kind::Syntax))?);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(owned));
                }
                Some(b'\\') => owned.push(self.escape()?),
                _ => return Err(self.error(Kind::Syntax)),
            }
            run = self.at;
            self.skip_plain();
        }
    }

    /// Moves to the next quote, backslash or control character, eight bytes at a time.
    fn skip_plain(&mut self) {
        while let Some(word) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let special = zero_bytes(word ^ repeat(b'"'))
                | zero_bytes(word ^ repeat(b'\\'))
                | (word.wrapping_sub(repeat(0x20)) & !word & repeat(0x80));
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                break;
            }
            self.at += 8;
        }
        while self.peek().is_some_and(|b| b != b'"' && b != b'\\' && b >= 0x20) {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let start = self.at;
        self.at += 1;
        let letter = self.peek().ok_or_else(|| self.error(Kind::Syntax))?;
        self.at += 1;
        let plain = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(start),
            _ => return Err(ParseError { kind: Kind::Syntax, offset: start }),
        };
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, ParseError> {
        let lone = ParseError { kind: Kind::LoneSurrogate, offset: start };
        let first = self.hex4()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        if first >= 0xdc00 || !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u")) {
            return Err(lone);
        }
        self.at += 2;
        let second = self.hex4()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(lone)
    }

    fn hex4(&mut self) -> Result<u32, ParseError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self
                .peek()
                .and_then(|b| char::from(b).to_digit(16))
                .ok_or_else(|| self.error(Kind::Syntax))?;
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Cow<'a, str>, ParseError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let integer = self.at;
        self.digits()?;
        if self.at - integer > 1 && self.bytes.get(integer) == Some(&b'0') {
            return Err(ParseError { kind: Kind::Syntax, offset: integer });
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let mut exponent = false;
        if let Some(b'e' | b'E') = self.peek() {
            exponent = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let digits = self.text.get(start..self.at).ok_or_else(|| self.error(Kind::Syntax))?;
        // A double reaches 1.8e308: without an exponent, only 309 digits and more can be beyond it.
        if (exponent || digits.len() > 300) && !digits.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(ParseError { kind: Kind::NumberTooLarge, offset: start });
        }
        Ok(Cow::Borrowed(digits))
    }

    fn digits(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.error(Kind::Syntax)) } else { Ok(()) }
    }
}

/// How many bytes at the beginning can be those of an array of numbers. Chunks are looked at as a whole, without a branch
/// for each byte.
fn vector_length(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<64>();
    let whole =
        chunks.iter().take_while(|chunk| chunk.iter().fold(true, |all, byte| all & is_of_vector(*byte)));
    let before = whole.count() * 64;
    let rest = bytes.get(before..).unwrap_or_default();
    before + rest.iter().position(|byte| !is_of_vector(*byte)).unwrap_or(rest.len())
}

/// What an array of numbers is written in: digits, `+ , - .`, an exponent's letter, space.
const fn is_of_vector(byte: u8) -> bool {
    byte.wrapping_sub(b'0') < 10
        || byte.wrapping_sub(b'+') < 4
        || byte | 0x20 == b'e'
        || byte == b' '
        || byte == b'\n'
        || byte == b'\r'
        || byte == b'\t'
}

/// The byte in all eight places of a word.
const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The high bit of the lowest zero byte (and perhaps of some above it) of a word.
/// Source: "Bit Twiddling Hacks", determine if a word has a zero byte.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(repeat(1)) & !word & repeat(0x80)
}

/// Whether two members have the same key. Small objects are compared pairwise, large ones sorted.
fn has_duplicate(members: &[(Cow<'_, str>, Value<'_>)]) -> bool {
    if members.len() <= 16 {
        return members
            .iter()
            .enumerate()
            .any(|(at, (key, _))| members.iter().take(at).any(|(earlier, _)| earlier == key));
    }
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}
