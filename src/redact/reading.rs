//! Other readings of a text: what a browser, a mail program or a reader makes of it. Entities, percent signs and
//! escapes are decoded, emphasis and controls are dropped, lines that were wrapped inside a value are joined.
//! Detectors read these beside the text itself; only what spans a place that was changed counts.

mod alone;
mod control;
mod first;
mod spelled;

pub(super) use self::first::{holds_control, holds_mark, is_plain};
pub(super) use self::spelled::holds_point;

use std::ops::Range;

use self::first::{may_be_mark, may_go_on};
use super::block::Places;
use super::bytes::{before, byte, is_space, is_word, run_end, run_start, slice};
use super::shadow::is_invisible;
use super::wrapped::wrap;

/// How far a detector looks around a value.
const LOOK_AROUND: usize = 96;
/// How far a line is looked at around a mark.
const LINE_MAX: usize = 96;
/// Emphasis that stands within a word. Longer runs of stars mask something.
const STARS: Range<usize> = 2..5;
/// Tags that change how text looks, not where it stands.
const TAGS: &[&[u8]] =
    &[b"b", b"i", b"u", b"s", b"em", b"strong", b"span", b"mark", b"code", b"wbr", b"small", b"font"];
const NAMED: &[(&[u8], u8)] = &[
    (b"&commat;", b'@'),
    (b"&period;", b'.'),
    (b"&nbsp;", b' '),
    (b"&amp;", b'&'),
    (b"&colon;", b':'),
    (b"&lowbar;", b'_'),
    (b"&plus;", b'+'),
    (b"&hyphen;", b'-'),
    (b"&dash;", b'-'),
    (b"&sol;", b'/'),
    (b"&equals;", b'='),
    (b"&quot;", b'"'),
    (b"&apos;", b'\''),
    // Nothing.
    (b"&shy;", 0),
    (b"&zwnj;", 0),
    (b"&zwj;", 0),
];
/// `jane (at) example [dot] com`, in three languages.
const SPELLED: &[(&[u8], u8)] = &[
    (b"at", b'@'),
    (b"@", b'@'),
    (b"\xC3\xA4t", b'@'),
    (b"arobase", b'@'),
    (b"arobas", b'@'),
    (b"klammeraffe", b'@'),
    (b"dot", b'.'),
    (b".", b'.'),
    (b"punkt", b'.'),
    (b"point", b'.'),
];

/// What is dropped reads as this.
const NOTHING: char = '\0';

/// A text as it reads, with the way back for every byte.
pub(super) struct Reading {
    text: String,
    /// By ascending place in the text; the first begins it.
    parts: Vec<Part>,
}

/// What stands in a reading from one place on: bytes of the source as they are, or one character that was read.
#[derive(Clone, Copy)]
struct Part {
    at: usize,
    source: usize,
    /// The bytes of the source that were read as a character; 0 for bytes as they are.
    read: usize,
}

impl Part {
    /// Which bytes of the source the byte at this place of the reading stands for: the first of a character for all.
    fn source_of(self, place: usize) -> Range<usize> {
        let behind = place - self.at;
        match (self.read, behind) {
            (0, _) => self.source + behind..self.source + behind + 1,
            (read, 0) => self.source..self.source + read,
            (read, _) => self.source + read..self.source + read,
        }
    }
}

impl Reading {
    /// With encodings undone and emphasis dropped. None if there are none.
    pub(super) fn decoded(source: &str) -> Option<Self> {
        let bytes = source.as_bytes();
        let mut places = Places::of(bytes, may_be_mark);
        let (at, ..) = next_mark(bytes, &mut places, 0)?;
        let first = if byte(bytes, at) != b' ' && before(bytes, at) == b' ' { at - 1 } else { at };
        let mut writer = Writer::new(bytes, first);
        let mut from = first;
        while let Some((at, value, length)) = next_mark(bytes, &mut places, from) {
            writer.keep(from..at);
            writer.read(at, value, length);
            from = at + length;
        }
        writer.keep(from..bytes.len());
        writer.finish()
    }

    /// With lines joined that break inside a value. None if there are none.
    pub(super) fn joined(source: &str) -> Option<Self> {
        let bytes = source.as_bytes();
        let mut feeds = Places::of(bytes, |b| b == b'\n');
        let mut from = 0;
        let first = loop {
            let feed = feeds.next(from)?;
            if wrap(bytes, feed).is_some() {
                break feed;
            }
            from = feed + 1;
        };
        let first = if before(bytes, first) == b'\r' { first - 1 } else { first };
        let mut writer = Writer::new(bytes, first);
        let mut at = first;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let line = memchr::memchr2(b'\n', b'\r', rest).map_or(bytes.len(), |n| at + n);
            writer.keep(at..line);
            at = line;
            if at < bytes.len() {
                let feed = if slice(bytes, at, at + 2) == b"\r\n" { at + 1 } else { at };
                let dropped = if byte(bytes, feed) == b'\n' { wrap(bytes, feed) } else { None };
                let Some(behind) = dropped else {
                    writer.keep(at..at + 1);
                    at += 1;
                    continue;
                };
                writer.read(at, NOTHING, feed - at + behind);
                at = feed + behind;
            }
        }
        writer.finish()
    }

    /// With the blanks dropped between characters that stand alone: `4 1 1 1 …`. None if there are none.
    pub(super) fn unspaced(source: &str) -> Option<Self> {
        let bytes = source.as_bytes();
        let mut writer: Option<Writer<'_>> = None;
        let mut done = 0;
        let mut block = 0;
        while let Some(word) = bytes.get(block..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let first =
                [0, 1].iter().find(|lane| word >> (8 * *lane) & EVERY_SECOND == EVERY_SECOND & BLANKS);
            let at = first.map(|lane| run_start_of_spaced(bytes, block + lane, done));
            block += 8;
            let Some(blank) = at.filter(|blank| is_spaced_run(bytes, *blank)) else { continue };
            let writer = writer.get_or_insert_with(|| Writer::new(bytes, blank));
            writer.keep(done.max(writer.until)..blank);
            let mut at = blank;
            // Of three blanks the middle one stood between groups.
            while stands_alone(bytes, at) && (byte(bytes, at + 1) == b' ' || !is_word_at(bytes, at + 1)) {
                writer.read(at, NOTHING, 1);
                writer.keep(at + 1..at + 2);
                at += 2;
            }
            done = at;
            writer.until = at;
            block = block.max(at.next_multiple_of(8));
        }
        let mut writer = writer?;
        writer.keep(done..bytes.len());
        writer.finish()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The source of a range, if something in it was changed.
    pub(super) fn changed(&self, range: Range<usize>) -> Option<Range<usize>> {
        let source = self.source_of(&range)?;
        (source.len() != range.len()).then_some(source)
    }

    /// The source of a range, if something in it was changed or so near to it that a detector may have looked there: a
    /// blank that stood as `%20` before a number made it part of a word.
    pub(super) fn changed_near(&self, range: Range<usize>) -> Option<Range<usize>> {
        let near = range.start.saturating_sub(LOOK_AROUND)..(range.end + LOOK_AROUND).min(self.text.len());
        (self.source_of(&near)?.len() != near.len()).then(|| self.source_of(&range)).flatten()
    }

    fn source_of(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let start = self.source(range.start)?.start;
        let end = self.source(range.end.checked_sub(1)?)?.end;
        Some(start..end)
    }

    /// Which bytes of the source a byte stands for.
    fn source(&self, place: usize) -> Option<Range<usize>> {
        let index = self.parts.partition_point(|part| part.at <= place);
        let part = self.parts.get(index.checked_sub(1)?)?;
        (place < self.text.len()).then(|| part.source_of(place))
    }
}

struct Writer<'a> {
    source: &'a [u8],
    out: Vec<u8>,
    parts: Vec<Part>,
    changed: bool,
    /// How far the source is written.
    until: usize,
}

impl<'a> Writer<'a> {
    fn new(source: &'a [u8], from: usize) -> Self {
        let mut writer = Self {
            source,
            out: Vec::with_capacity(source.len()),
            parts: Vec::with_capacity(8),
            changed: false,
            until: from,
        };
        // What stands before the first change is only context.
        let mut start = from.saturating_sub(512);
        while start > 0 && byte(source, start) & 0xC0 == 0x80 {
            start -= 1;
        }
        writer.keep(start..from);
        writer
    }

    fn keep(&mut self, range: Range<usize>) {
        let at = self.out.len();
        let goes_on = self
            .parts
            .last()
            .is_some_and(|part| part.read == 0 && part.source + (at - part.at) == range.start);
        if range.is_empty() {
            return;
        }
        if !goes_on {
            self.parts.push(Part { at, source: range.start, read: 0 });
        }
        self.out.extend_from_slice(self.source.get(range).unwrap_or_default());
    }

    /// Writes what was read in place of so many bytes.
    fn read(&mut self, at: usize, value: char, length: usize) {
        self.changed = true;
        if value != NOTHING {
            self.parts.push(Part { at: self.out.len(), source: at, read: length });
            self.out.extend_from_slice(value.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn finish(self) -> Option<Reading> {
        let text = String::from_utf8(self.out).ok()?;
        self.changed.then_some(Reading { text, parts: self.parts })
    }
}

/// The next place that reads as something else, as what, and how many bytes do.
fn next_mark(
    text: &[u8],
    places: &mut Places<'_, impl Fn(u8) -> bool>,
    from: usize,
) -> Option<(usize, char, usize)> {
    let mut at = from;
    loop {
        at = places.next(at)?;
        if !may_go_on(byte(text, at), byte(text, at + 1)) {
            at += 1;
            continue;
        }
        // A blank before a bracket belongs to what is spelled.
        let blank = if at > from && before(text, at) == b' ' { mark(text, at - 1) } else { None };
        if let Some((value, length)) = blank {
            return Some((at - 1, value, length));
        }
        if let Some((value, length)) = mark(text, at) {
            return Some((at, value, length));
        }
        at += 1;
    }
}

/// What the bytes at `at` read as, and how many they are.
fn mark(text: &[u8], at: usize) -> Option<(char, usize)> {
    let first = byte(text, at);
    if first == b' ' && matches!(byte(text, at + 1), b'(' | b'[' | b'{' | b'<') {
        return spelled(text, at);
    }
    if !may_be_mark(first) {
        return None;
    }
    match first {
        b'%' => bytes_in_hex(text, at, b'%'),
        b'=' if matches!(byte(text, at + 1), b'\r' | b'\n') => soft_break(text, at),
        b'=' => {
            let upper = !slice(text, at + 1, at + 3).iter().any(u8::is_ascii_lowercase);
            let read = if upper { bytes_in_hex(text, at, b'=') } else { None };
            // Nobody encodes a letter alone: `trace_id=5530` is assigned.
            let alone = |c: char| !c.is_ascii_alphanumeric() && !"`*~<_\"'!#$%&()".contains(c);
            read.filter(|(c, _)| alone(*c) || alone::stands_in_quoted_printable(text, at))
        }
        b'&' => entity(text, at),
        b'\\' => escape(text, at),
        b'*' => {
            let run = run_end(text, at, STARS.end, |b| b == b'*') - at;
            // `j***@e.com` hides what stood there.
            let hides = run == 3 && before(text, at).is_ascii_alphanumeric() && byte(text, at + run) == b'@';
            let inside = before(text, at) != b'*'
                && !hides
                && (STARS.contains(&run) || run == 1 && alone::is_emphasis(text, at));
            inside.then_some((NOTHING, run))
        }
        b'`' => Some((NOTHING, 1)),
        b'~' => (byte(text, at + 1) == b'~').then_some((NOTHING, 2)),
        0..b' ' | 0x7F => control::dropped(text, at).map(|length| (NOTHING, length)),
        _ => tag(text, at).or_else(|| spelled(text, at)),
    }
}

/// `=` at the end of a line of quoted-printable text; not the padding of base64.
fn soft_break(text: &[u8], at: usize) -> Option<(char, usize)> {
    let feed = if slice(text, at + 1, at + 3) == b"\r\n" { at + 3 } else { at + 2 };
    let run = at
        - run_start(text, at, LINE_MAX, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_')
        });
    // No line of such a text is so long.
    let padding = before(text, at) == b'=' || run == LINE_MAX || (run >= 15 && (run + 1).is_multiple_of(4));
    let goes_on = !matches!(byte(text, feed), b'\r' | b'\n' | 0);
    (goes_on && !padding).then_some((NOTHING, feed - at))
}

fn hex(text: &[u8], at: usize, digits: usize) -> Option<u32> {
    let text = text.get(at..at + digits)?;
    text.iter().try_fold(0, |value, b| Some(value << 4 | char::from(*b).to_digit(16)?))
}

/// A character in UTF-8, each byte as a sign and two hexadecimal digits.
fn bytes_in_hex(text: &[u8], at: usize, sign: u8) -> Option<(char, usize)> {
    let mut bytes = [0; 4];
    for (number, to) in bytes.iter_mut().enumerate() {
        let from = at + 3 * number;
        let value = hex(text, from + 1, 2).filter(|_| byte(text, from) == sign);
        let Some(value) = value.and_then(|value| u8::try_from(value).ok()) else { break };
        *to = value;
        if number == 0 && value.is_ascii() {
            break;
        }
    }
    // As in Latin-1.
    if bytes.starts_with(&[0xA0]) {
        return Some((' ', 3));
    }
    let length = match bytes.first()? {
        0..0x80 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    };
    let read = std::str::from_utf8(bytes.get(..length)?).ok()?.chars().next()?;
    Some((visible(u32::from(read))?, 3 * length))
}

/// A character that can be seen, a blank, or nothing for what takes no room.
fn visible(code: u32) -> Option<char> {
    match code {
        0xA0 => Some(' '),
        _ => char::from_u32(code)
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .map(|c| if is_invisible(c) { NOTHING } else { c }),
    }
}

fn entity(text: &[u8], at: usize) -> Option<(char, usize)> {
    if byte(text, at + 1) != b'#' {
        let rest = text.get(at..)?;
        let (name, value) = NAMED.iter().find(|(name, _)| rest.starts_with(name))?;
        return Some((char::from(*value), name.len()));
    }
    let in_hex = byte(text, at + 2) | 0x20 == b'x';
    let from = at + if in_hex { 3 } else { 2 };
    let end = run_end(text, from, 8, |b| b.is_ascii_hexdigit());
    let digits = std::str::from_utf8(slice(text, from, end)).ok()?;
    let value = visible(u32::from_str_radix(digits, if in_hex { 16 } else { 10 }).ok()?)?;
    (byte(text, end) == b';').then_some((value, end + 1 - at))
}

/// `\u0040`, `\x40`, `\/`, and the first two behind more backslashes.
fn escape(text: &[u8], at: usize) -> Option<(char, usize)> {
    let letter = run_end(text, at, 8, |b| b == b'\\');
    let (from, digits) = match byte(text, letter) {
        b'u' => (letter + 1, 4),
        b'x' => (letter + 1, 2),
        b'/' => return Some(('/', letter + 1 - at)),
        _ => return None,
    };
    let (first, end) = (hex(text, from, digits)?, from + digits);
    // The other half of a character beyond 16 bits.
    let low = run_end(text, end, 8, |b| b == b'\\');
    if let (0xD800..0xDC00, b'u', true) = (first, byte(text, low), low > end)
        && let Some(second @ 0xDC00..0xE000) = hex(text, low + 1, 4)
    {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return Some((visible(code)?, low + 5 - at));
    }
    Some((visible(first)?, end - at))
}

/// `<b>`, `</span>`, `<wbr/>`, with attributes.
fn tag(text: &[u8], at: usize) -> Option<(char, usize)> {
    if byte(text, at) != b'<' {
        return None;
    }
    let from = at + 1 + usize::from(byte(text, at + 1) == b'/');
    let name_end = run_end(text, from, 7, |b| b.is_ascii_alphabetic());
    let name = slice(text, from, name_end);
    if !TAGS.iter().any(|tag| name.eq_ignore_ascii_case(tag))
        || !matches!(byte(text, name_end), b'>' | b' ' | b'/')
    {
        return None;
    }
    let end = run_end(text, name_end, LINE_MAX, |b| !matches!(b, b'>' | b'<' | b'\n'));
    (byte(text, end) == b'>').then_some((NOTHING, end + 1 - at))
}

/// ` (at) `, `[dot]`, with the blanks around it.
fn spelled(text: &[u8], at: usize) -> Option<(char, usize)> {
    let open = run_end(text, at, 1, is_space);
    if !matches!(byte(text, open), b'(' | b'[' | b'{' | b'<') {
        return None;
    }
    let from = run_end(text, open + 1, 1, is_space);
    let end = run_end(text, from, 12, |b| b.is_ascii_alphabetic() || b >= 0x80 || matches!(b, b'.' | b'@'));
    let word = slice(text, from, end);
    let (_, value) = SPELLED.iter().find(|(spelled, _)| word.eq_ignore_ascii_case(spelled))?;
    let close = run_end(text, end, 1, is_space);
    if !matches!(byte(text, close), b')' | b']' | b'}' | b'>') {
        return None;
    }
    let behind = run_end(text, close + 1, 1, is_space);
    Some((char::from(*value), behind - at))
}

/// Three of the bytes of a word that a blank stands in where every second is one; a run covers such a word.
const EVERY_SECOND: u64 = 0x0000_00FF_00FF_00FF;
const BLANKS: u64 = 0x2020_2020_2020_2020;

/// From one of its blanks back to the first of a run, not before `from`.
fn run_start_of_spaced(text: &[u8], mut blank: usize, from: usize) -> usize {
    while blank >= from + 2 && byte(text, blank - 2) == b' ' {
        let gap = before(text, blank) == b' '
            && blank > 3
            && byte(text, blank - 3).is_ascii_graphic()
            && byte(text, blank - 4) == b' ';
        if !gap && !before(text, blank).is_ascii_graphic() {
            break;
        }
        blank -= 2;
    }
    if !before(text, blank).is_ascii_graphic() {
        return blank + 2;
    }
    // The last character of a word does not stand alone.
    let other = blank.checked_sub(2).map_or(b' ', |at| byte(text, at));
    if is_of_word(other) { blank + 2 } else { blank }
}

fn is_of_word(b: u8) -> bool {
    is_word(b) || b >= 0x80
}

/// A character that others of a word follow.
fn is_word_at(text: &[u8], at: usize) -> bool {
    let next = byte(text, at + 1);
    !(next == b' ' || next == 0 || !next.is_ascii_alphanumeric() && next < 0x80)
}

/// A blank and one character, or three blanks before one.
fn stands_alone(text: &[u8], blank: usize) -> bool {
    let next = byte(text, blank + 1);
    let gap = next == b' ' && byte(text, blank + 2) == b' ' && byte(text, blank + 3).is_ascii_graphic();
    byte(text, blank) == b' ' && (next.is_ascii_graphic() || gap && !is_word_at(text, blank + 3))
}

/// From a blank on: one character, a blank, one character, a blank…, at least so many.
const SPACED_MIN: usize = 9;

fn is_spaced_run(text: &[u8], blank: usize) -> bool {
    let alone = |at: usize| stands_alone(text, at);
    byte(text, blank.saturating_sub(1)).is_ascii_graphic()
        && blank.checked_sub(2).is_none_or(|at| !is_of_word(byte(text, at)))
        && (0..SPACED_MIN).all(|place| alone(blank + 2 * place))
        && byte(text, blank + 2) == b' '
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn reads(source: &str, expected: &str) {
        assert_eq!(Reading::decoded(source).as_ref().map_or(source, Reading::text), expected);
    }

    #[track_caller]
    fn joins(source: &str, expected: &str) {
        assert_eq!(Reading::joined(source).as_ref().map_or(source, Reading::text), expected);
    }

    #[test]
    fn encodings_are_undone() {
        reads("plain (text) 100% & more", "plain (text) 100% & more");
        reads("a%40b &#64; &#x40; &commat; \\u0040 \\x40 =40", "a@b @ @ @ @ @ @");
        reads("41**11** 1111", "4111 1111");
        reads("41******11", "41******11");
        reads("jane (at) example [dot] com", "jane@example.com");
        reads("41<b>11</b><wbr/> <table>", "4111 <table>");
        reads("no=\nbreak", "nobreak");
        reads("ü%C3%BC=C3=BC\\u00fc %E2%80%9C1 \\ud83d\\ude00", "üüüü “1 😀");
        reads(
            "%C3 %C3%28 %FF %80 =e2=80=9c \\ud83d \\ude00 \\u0000 %00 %7F",
            "%C3 %C3( %FF %80 =e2=80=9c \\ud83d \\ude00 \\u0000 %00 %7F",
        );
        reads("a\x1b[01;31m\x1b[K@\x1b[m\x1b[Kb \x1b[EMAIL:x]", "a@b [EMAIL:x]");
        reads("4\x001\x071\x7f \x081\x0bx\n\x07y A=1\0B=2\0", "411 1\x0bx\n\x07y A=1\0B=2\0");
        reads("4\\u200b1%C2%AD1&#x200b;1 %A0", "4111  ");
    }

    #[test]
    fn characters_that_stand_alone_are_joined() {
        let check = |source: &str, expected: &str| {
            assert_eq!(Reading::unspaced(source).as_ref().map_or(source, Reading::text), expected);
        };
        for before in ["", "ab ", "IBAN: ", "a longer text: "] {
            check(&format!("{before}4 1 1 1 1 1 1 1 1 1 1 1, ok"), &format!("{before}411111111111, ok"));
            check(
                &format!("{before}D E 5 2 9 9 7 4 7 0 1 2 1 and more"),
                &format!("{before}DE52997470121 and more"),
            );
        }
        check("1 2 3 4 5 6 7", "1 2 3 4 5 6 7");
        check("no 5 2 4   8 9   0 8 8 7 ok", "no 524 89 0887 ok");
        check("ab   4 1 1 1 1 1 1 1 1 1 1 ok", "ab   41111111111 ok");
        check("a b cd e f g h i j k l m n o p q", "a b cd efghijklmnopq");
    }

    #[test]
    fn only_lines_that_break_a_value_are_joined() {
        joins("DE03 1383 150\n5 9665", "DE03 1383 1505 9665");
        joins("key aB3dE6gH9jK2\r\n  mN5pQ8rS1tU4 end", "key aB3dE6gH9jK2mN5pQ8rS1tU4 end");
        joins("one\ntwo 2026\nthree", "one\ntwo 2026\nthree");
        joins("1111\n2222\n3333\n4444", "1111\n2222\n3333\n4444");
        joins("token aB3dE6gH9jK2\nWie geht es", "token aB3dE6gH9jK2\nWie geht es");
    }

    proptest! {
        #[test]
        fn every_byte_leads_back_into_the_source(source in "([a-c4é%&#;\\\\*<>b()\\[\\]=\n ]|%40|&#64;|%C3%A9|%E2%80|=E2=82=AC|\\\\u20ac|\\\\ud83d\\\\ude00|\\(at\\)|4444\n5555|a 1 b 2 c 3 |a AT b DOT de|é x punkt b ät c punkt at ){0,40}") {
            for reading in [Reading::decoded(&source), Reading::joined(&source), Reading::unspaced(&source), Reading::spelled(&source)].into_iter().flatten() {
                let sources: Vec<_> = (0..reading.text.len()).filter_map(|at| reading.source(at)).collect();
                prop_assert_eq!(reading.text.len(), sources.len());
                prop_assert!(sources.windows(2).all(|pair| pair[0].end <= pair[1].start));
                for (byte, range) in reading.text.bytes().zip(&sources) {
                    let goes_on = range.is_empty() && byte & 0xC0 == 0x80;
                    prop_assert!(range.len() > 1 || goes_on || source.as_bytes()[range.start] == byte);
                }
            }
        }
    }
}
