//! Redaction inside a JSON document (RFC 8259): one strict pass that copies the document as it is written and
//! replaces strings, keys and numbers that hold something. Apart from a JSON library, because order, duplicates,
//! blanks and the digits of numbers must stay; iterative, because depth is the client's choice.

use std::borrow::Cow;
use std::collections::HashMap;

use super::block;
use super::detect;
use super::resolve::Tally;
use super::{Redactor, Under};

const DEPTH_MAX: usize = 128;
/// Blanks before the end of a pair.
const BLANKS_MAX: usize = 64;
/// Bytes of a string that are looked at one by one.
const SHORT: usize = 16;
/// Bytes of a command's arguments that are looked at together.
const ARGUMENT_MAX: usize = 160;
/// A longer string names no credential.
const NAME_MAX: usize = 48;
/// Members behind a value that may name it, and how long they are.
const BEHIND_MAX: usize = 12;
const MEMBER_MAX: usize = 256;

/// The redacted document, `Some(None)` if nothing changes, None if it is not JSON or too deep.
pub(super) fn rewrite(
    redactor: &Redactor,
    json: &str,
    nested: usize,
    tally: &mut Tally,
) -> Option<Option<String>> {
    let mut rewriter =
        Rewriter { redactor, json, nested, tally, at: 0, copied: 0, out: String::new(), frames: Vec::new() };
    rewriter.document()?;
    if rewriter.copied == 0 {
        return Some(None);
    }
    rewriter.copy_to(json.len());
    Some(Some(rewriter.out))
}

/// Where a string ends, or something in it that is not written as it reads.
fn string_end(rest: &[u8]) -> Option<usize> {
    let stops = |b: u8| (b == b'"') | (b == b'\\') | (b < 0x20);
    // Most keys are short.
    let head = rest.get(..SHORT).unwrap_or(rest);
    let at = head.iter().position(|b| stops(*b));
    at.or_else(|| block::find(rest, head.len(), stops)).filter(|at| *at < rest.len())
}

/// A member behind a comma, and what it holds if that is a string of a name's length, else nothing.
fn next_member<'a>(rest: &mut &'a str) -> Option<(&'a str, &'a str)> {
    let string = |from: &'a str, most: usize| {
        let text = from.strip_prefix('"')?;
        let end = text
            .bytes()
            .take(most)
            .position(|b| matches!(b, b'"' | b'\\'))
            .filter(|end| text.as_bytes().get(*end) == Some(&b'"'))?;
        let (text, behind) = text.split_at_checked(end)?;
        Some((text, behind.strip_prefix('"')?.trim_start()))
    };
    let (key, behind) = string(rest.trim_start().strip_prefix(',')?.trim_start(), NAME_MAX)?;
    let behind = behind.strip_prefix(':')?.trim_start();
    let (value, behind) = if behind.starts_with('"') {
        string(behind, MEMBER_MAX)?
    } else {
        let end =
            behind.bytes().take(NAME_MAX).position(|b| !b.is_ascii_alphanumeric() && !b"+-.".contains(&b))?;
        ("", behind.get(end..)?)
    };
    *rest = behind;
    Some((key, if value.len() < NAME_MAX { value } else { "" }))
}

struct Rewriter<'a> {
    redactor: &'a Redactor,
    json: &'a str,
    nested: usize,
    tally: &'a mut Tally,
    at: usize,
    /// The document has been copied up to here.
    copied: usize,
    out: String,
    frames: Vec<Frame<'a>>,
}

/// An open object or array, with the key that its values stand under.
struct Frame<'a> {
    close: u8,
    key: Cow<'a, str>,
    /// The key that the object or array itself stands under.
    outer: Cow<'a, str>,
    /// Whether it is one of those that stand under a key for cookies.
    is_cookie: bool,
    /// Whether a member before says whose account it is.
    has_login: bool,
    /// What the member before says that the next value is called: `"name": "DB_PASSWORD"`.
    named: Option<Cow<'a, str>>,
    /// Of an array, whether no string has been read.
    is_empty: bool,
    /// Of an array, the strings before, as a command would be written of them; of an object, the command's name.
    said: String,
    /// Keys of the object that were redacted, or look so, and how many became the same.
    taken: HashMap<String, usize>,
}

/// What a string is called.
enum Called<'a> {
    Key(Cow<'a, str>),
    /// By the name of a cookie that somebody could use.
    Cookie,
}

impl Called<'_> {
    fn under(&self) -> Under<'_> {
        match self {
            Self::Key(key) => Under::Key(key),
            Self::Cookie => Under::Cookie,
        }
    }
}

impl<'a> Frame<'a> {
    /// What a string of an array is called: by the option before it, in a pair by the first of it, or by the list's own name.
    fn called(&self, text: &str, is_last: bool) -> Cow<'a, str> {
        if let Some(name) = &self.named
            && (if name.starts_with('-') { !text.starts_with('-') } else { is_last })
            && (detect::is_cookie(name) || detect::named_value(name, text))
        {
            return name.clone();
        }
        match detect::one_of(&self.key) {
            Some(one) if detect::named_value(one, text) => Cow::Owned(one.to_owned()),
            _ => self.key.clone(),
        }
    }

    /// Keeps a string of an array for those behind it; what is long ago is forgotten.
    fn say(&mut self, read: &str) {
        if self.said.len() + read.len() > ARGUMENT_MAX {
            let from = self.said.ceil_char_boundary(self.said.len() / 2);
            self.said.drain(..from);
        }
        if read.len() <= ARGUMENT_MAX / 2 {
            self.said.push_str(read);
            self.said.push(' ');
        } else {
            self.said.clear();
        }
    }
}

impl<'a> Rewriter<'a> {
    fn document(&mut self) -> Option<()> {
        loop {
            self.blanks();
            if self.value()? {
                continue;
            }
            loop {
                self.blanks();
                let Some(close) = self.frames.last().map(|f| f.close) else {
                    return (self.at == self.json.len()).then_some(());
                };
                let next = self.next()?;
                if next == close {
                    self.frames.pop();
                } else if next == b',' {
                    self.key()?;
                    break;
                } else {
                    return None;
                }
            }
        }
    }

    /// Reads a value, or what opens one: true when its first member follows.
    fn value(&mut self) -> Option<bool> {
        match self.peek() {
            b'{' => self.open(b'}'),
            b'[' => self.open(b']'),
            b'"' => {
                let read = self.string()?;
                self.note(&read);
                Some(false)
            }
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => self.number(),
        }
    }

    fn open(&mut self, close: u8) -> Option<bool> {
        if self.frames.len() >= DEPTH_MAX {
            return None;
        }
        self.at += 1;
        let inherited = self.under();
        let outer = inherited.clone();
        let is_cookie = self.frames.last().is_some_and(|frame| detect::is_cookie(&frame.outer));
        // `{"command": "mysql", "args": ["-p", "…"]}`.
        let said = self.frames.last().filter(|_| close == b']').map(|frame| frame.said.clone());
        self.frames.push(Frame {
            close,
            key: inherited,
            outer,
            is_cookie,
            has_login: false,
            named: None,
            is_empty: true,
            said: said.unwrap_or_default(),
            taken: HashMap::new(),
        });
        self.blanks();
        if self.peek() == close {
            self.at += 1;
            self.frames.pop();
            return Some(false);
        }
        self.key()?;
        Some(true)
    }

    /// In an object, the key and colon of the next member; in an array, nothing.
    fn key(&mut self) -> Option<()> {
        if self.frames.last().is_none_or(|f| f.close == b']') {
            return Some(());
        }
        self.blanks();
        let start = self.at;
        let key = self.decode()?;
        let changed = self.redactor.any(&key, Under::NOTHING, self.nested + 1, self.tally);
        let key = if changed.is_none() && !key.contains('[') {
            key
        } else {
            let is_changed = changed.is_some();
            let key = changed.map_or(key, Cow::Owned);
            let own = self.own(&key);
            if is_changed || own != key {
                self.replace(start, &own);
            }
            Cow::Owned(own)
        };
        self.blanks();
        if self.next()? != b':' {
            return None;
        }
        // The redacted key is what the values stand under, so that a second pass sees the same.
        if let Some(frame) = self.frames.last_mut() {
            frame.key = key;
        }
        Some(())
    }

    /// A redacted key that no other of the object is: of several that are redacted to the same text the later ones are
    /// numbered, so that each keeps its value.
    fn own(&mut self, key: &str) -> String {
        let mut own = key.to_owned();
        let Some(frame) = self.frames.last_mut() else { return own };
        while frame.taken.contains_key(&own) {
            let count = frame.taken.entry(key.to_owned()).or_insert(1);
            *count += 1;
            own = format!("{key} ({count})");
        }
        frame.taken.insert(own.clone(), 1);
        own
    }

    /// The key that a value stands under.
    fn under(&self) -> Cow<'a, str> {
        self.frames.last().map_or(Cow::Borrowed(""), |frame| frame.key.clone())
    }

    /// What a string is called: by its key, or, if that is `value`, by the member before it or the object's own key; in a
    /// pair by the string before it, in a command's arguments by the option, in a list by the name of one of them.
    fn called(&self, text: &str) -> Called<'a> {
        let Some(frame) = self.frames.last() else { return Called::Key(Cow::Borrowed("")) };
        if frame.close == b']' {
            return Called::Key(frame.called(text, self.is_last()));
        }
        if self.is_cookie(frame, text) {
            return Called::Cookie;
        }
        if detect::is_value(&frame.key) {
            let own = detect::is_own_value(&frame.key);
            if let Some(name) = frame.named.clone().or_else(|| self.name_behind().map(Cow::Borrowed))
                && (detect::is_cookie(&name)
                    || detect::named_value(&name, text) && (own || detect::is_alone(text)))
            {
                return Called::Key(name);
            }
            if own && detect::names_value(&frame.outer) {
                return Called::Key(frame.outer.clone());
            }
        }
        if detect::is_content(&frame.key) && detect::named_value(&frame.outer, text) && detect::is_alone(text)
        {
            return Called::Key(frame.outer.clone());
        }
        let has_login = || frame.has_login || self.behind().any(|(key, _)| detect::is_login(key));
        if detect::is_password_of_login(&frame.key, text) && has_login() {
            return Called::Key(Cow::Borrowed("password"));
        }
        Called::Key(frame.key.clone())
    }

    /// Whether a string is the value of a cookie that somebody could use: `{"sid": "…"}`, `{"name": "sid", "value": "…"}` and
    /// `{"sid": {"value": "…"}}` under a key for cookies.
    fn is_cookie(&self, frame: &Frame<'_>, text: &str) -> bool {
        let listed = detect::is_cookie(&frame.outer);
        if !listed && !frame.is_cookie {
            return false;
        }
        if !detect::is_value(&frame.key) {
            return listed && detect::is_secret_cookie(&frame.key, text);
        }
        let behind = || self.behind().find(|(key, _)| detect::is_name_member(key)).map(|(_, name)| name);
        let outer = || if listed { None } else { Some(&*frame.outer) };
        frame
            .named
            .as_deref()
            .or_else(behind)
            .or_else(outer)
            .is_some_and(|name| detect::is_secret_cookie(name, text))
    }

    /// Keeps what a string says about the next one.
    fn note(&mut self, read: &str) {
        let Some(frame) = self.frames.last_mut() else { return };
        if frame.close == b']' {
            let names = frame.is_empty || read.starts_with('-') && !read.starts_with("--no-");
            let names = names && (detect::names_value(read) || detect::is_cookie(read));
            // Those of `curl -b`.
            let jar = read == "-b" && frame.said.contains("curl");
            let named = if jar { "--cookie" } else { read };
            frame.named = (names || jar).then(|| Cow::Owned(named.to_owned()));
            frame.say(read);
        } else if detect::is_name_member(&frame.key) {
            let of_cookie = frame.is_cookie || detect::is_cookie(&frame.outer);
            let names = detect::names_value(read) || detect::is_cookie(read) || of_cookie;
            frame.named = names.then(|| Cow::Owned(read.to_owned()));
        } else if frame.named.is_none() && detect::is_place_member(&frame.key) {
            frame.named = detect::field(read).map(|name| Cow::Owned(name.to_owned()));
        }
        if frame.close == b'}' && matches!(&*frame.key, "command" | "cmd" | "program") {
            frame.say(read);
        }
        frame.has_login = frame.has_login || frame.close == b'}' && detect::is_login(&frame.key);
        frame.is_empty = false;
    }

    /// The name in a member behind a value.
    fn name_behind(&self) -> Option<&'a str> {
        self.behind().find_map(|(member, name)| {
            if detect::is_name_member(member) {
                (detect::names_value(name) || detect::is_cookie(name)).then_some(name)
            } else if detect::is_place_member(member) {
                detect::field(name)
            } else {
                None
            }
        })
    }

    /// The members behind a value that hold short strings, up to one that holds others.
    fn behind(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.json.get(self.at..).unwrap_or_default();
        std::iter::repeat_with(move || next_member(&mut rest)).take(BEHIND_MAX).map_while(|next| next)
    }

    /// Whether the array ends here.
    fn is_last(&self) -> bool {
        let rest = self.json.as_bytes().get(self.at..).unwrap_or_default();
        rest.iter().take(BLANKS_MAX).find(|b| !b.is_ascii_whitespace()) == Some(&b']')
    }

    /// Redacts a string; gives back what it holds now.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        let decoded = self.decode()?;
        let called = self.called(&decoded);
        let changed = self.redactor.any(&decoded, called.under(), self.nested + 1, self.tally);
        let Some(changed) = changed.or_else(|| self.argument(&decoded)) else {
            return Some(decoded);
        };
        self.replace(start, &changed);
        Some(Cow::Owned(changed))
    }

    /// A string of an array that the ones before make a command's credential: `"-u", "eva:…"`, `"mysql", "-p…"`.
    fn argument(&mut self, text: &str) -> Option<String> {
        let frame = self.frames.last().filter(|frame| frame.close == b']' && !frame.said.is_empty())?;
        if text.len() > ARGUMENT_MAX {
            return None;
        }
        self.redactor.argument(&frame.said, text, self.tally)
    }

    fn decode(&mut self) -> Option<Cow<'a, str>> {
        if self.next()? != b'"' {
            return None;
        }
        let json = self.json;
        let rest = json.as_bytes().get(self.at..)?;
        let plain = string_end(rest)?;
        if rest.get(plain) == Some(&b'"') {
            let text = json.get(self.at..self.at + plain)?;
            self.at += plain + 1;
            return Some(Cow::Borrowed(text));
        }
        self.decode_escapes().map(Cow::Owned)
    }

    fn decode_escapes(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            let rest = self.json.as_bytes().get(self.at..)?;
            let plain = string_end(rest)?;
            text.push_str(self.json.get(self.at..self.at + plain)?);
            self.at += plain;
            match self.next()? {
                b'"' => return Some(text),
                b'\\' => text.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            plain @ (b'"' | b'\\' | b'/') => char::from(plain),
            b'u' => {
                let unit = self.unit()?;
                if !(0xD800..0xDC00).contains(&unit) {
                    return char::from_u32(unit);
                }
                if self.next()? != b'\\' || self.next()? != b'u' {
                    return None;
                }
                let low = self.unit()?.checked_sub(0xDC00).filter(|l| *l < 0x400)?;
                char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + low)?
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.json.get(self.at..self.at + 4)?;
        self.at += 4;
        let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        if hex { u32::from_str_radix(digits, 16).ok() } else { None }
    }

    fn number(&mut self) -> Option<bool> {
        let start = self.at;
        self.at += usize::from(self.peek() == b'-');
        let leading_zero = self.peek() == b'0';
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return None;
        }
        if self.peek() == b'.' {
            self.at += 1;
            (self.digits() > 0).then_some(())?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
            (self.digits() > 0).then_some(())?;
        }
        let number = self.json.get(start..self.at)?;
        if number.len() >= 4 {
            let key = self.under();
            if let Some(text) = self.redactor.number(number, Under::Key(&key), self.tally) {
                self.replace(start, &text);
            }
        }
        Some(false)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        self.at - start
    }

    fn literal(&mut self, word: &str) -> Option<bool> {
        let found = self.json.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += word.len();
        found.then_some(false)
    }

    /// Writes `text` as a string in place of what was read since `start`.
    fn replace(&mut self, start: usize, text: &str) {
        // Who escaped everything beyond ASCII gets it back so.
        let ascii = self.json.as_bytes().get(start..self.at).is_some_and(<[u8]>::is_ascii);
        if self.out.is_empty() {
            self.out.reserve(self.json.len() + text.len());
        }
        self.copy_to(start);
        self.copied = self.at;
        self.out.push('"');
        let mut rest = text;
        while !rest.is_empty() {
            let stops = |b: u8| b < 0x20 || b == b'"' || b == b'\\' || (ascii && b >= 0x80);
            let plain = rest.bytes().position(stops).unwrap_or(rest.len());
            let (head, tail) = rest.split_at_checked(plain).unwrap_or((rest, ""));
            self.out.push_str(head);
            let mut chars = tail.chars();
            if let Some(c) = chars.next() {
                self.escaped(c);
            }
            rest = chars.as_str();
        }
        self.out.push('"');
    }

    fn escaped(&mut self, c: char) {
        match c {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            c => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units)
                    .iter()
                    .for_each(|unit| self.out.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }

    fn copy_to(&mut self, end: usize) {
        self.out.push_str(self.json.get(self.copied..end).unwrap_or_default());
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn peek(&self) -> u8 {
        super::bytes::byte(self.json.as_bytes(), self.at)
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.json.as_bytes().get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }
}
