//! Looking at bytes without ever stepping outside: boundaries and runs.

/// The byte at `at`, 0 outside.
pub(super) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The byte before `at`, 0 at the start.
pub(super) fn before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(0, |i| byte(text, i))
}

pub(super) fn slice(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end).unwrap_or_default()
}

const WORD: u32 = 1;
const URL_SAFE: u32 = 2;
const BASE64: u32 = 4;
const RUN: u32 = 8;
const TOKEN: u32 = 16;
const SYMBOL: u32 = 32;
const KEY: u32 = 64;
const FIELD: u32 = 128;
const LETTER: u32 = 256;
const DIGIT: u32 = 512;
const NAME: u32 = 1024;
const DOTTED: u32 = 2048;
const SIGN: u32 = 4096;
const CAPITAL: u32 = 8192;

/// What each byte can be part of: one look instead of several comparisons, in the loops that see every byte.
static KINDS: [u32; 256] = kinds();

const fn kinds() -> [u32; 256] {
    const ALL: u32 = WORD | URL_SAFE | BASE64 | RUN | TOKEN | SYMBOL | KEY | NAME | DOTTED;
    let mut table = [0_u32; 256];
    let mut at = 0_usize;
    while at < 256 {
        #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "at < 256")]
        {
            table[at] = match at as u8 {
                b'a'..=b'z' => ALL | LETTER,
                b'A'..=b'Z' => ALL | LETTER | CAPITAL,
                b'0'..=b'9' => ALL | DIGIT,
                b'_' => WORD | URL_SAFE | RUN | TOKEN | SYMBOL | KEY | NAME | SIGN,
                b'-' => URL_SAFE | RUN | TOKEN | SYMBOL | KEY | NAME | SIGN,
                b'+' | b'/' => BASE64 | RUN | TOKEN | SYMBOL | KEY | SIGN,
                b'.' => RUN | TOKEN | KEY | NAME | DOTTED,
                b'~' => RUN | KEY,
                b'$' => RUN,
                b':' => KEY,
                b'=' | b'%' => KEY,
                _ => 0,
            } | match at as u8 {
                b' ' | b'\t' | b'\n' | b'\r' | b'\x0C' | b',' | b';' | b'|' | b'"' => 0,
                _ => FIELD,
            };
        }
        at += 1;
    }
    table
}

fn kinds_of(b: u8) -> u32 {
    KINDS.get(usize::from(b)).copied().unwrap_or(0)
}

fn is(b: u8, kind: u32) -> bool {
    kinds_of(b) & kind != 0
}

pub(super) fn is_letter(b: u8) -> bool {
    is(b, LETTER)
}

pub(super) fn is_digit(b: u8) -> bool {
    is(b, DIGIT)
}

pub(super) fn is_alphanumeric(b: u8) -> bool {
    is(b, LETTER | DIGIT)
}

/// What the name before a value may be written of.
pub(super) fn is_name(b: u8) -> bool {
    is(b, NAME)
}

/// Letters, digits and dots.
pub(super) fn is_dotted(b: u8) -> bool {
    is(b, DOTTED)
}

/// Symbols that are no letters or digits.
pub(super) fn is_sign(b: u8) -> bool {
    is(b, SIGN)
}

/// As `is_run`, but no digit.
pub(super) fn is_run_of_no_digits(b: u8) -> bool {
    kinds_of(b) & (RUN | DIGIT) == RUN
}

pub(super) fn is_word(b: u8) -> bool {
    is(b, WORD)
}

/// What a credential, a path or a call may be written of without a break.
pub(super) fn is_run(b: u8) -> bool {
    is(b, RUN)
}

/// What may stand on both sides of a line break within a value.
pub(super) fn is_token(b: u8) -> bool {
    is(b, TOKEN)
}

/// Whether a line may end inside a value: behind eight bytes of a token, where it goes on with eight or with capitals, or near
/// a digit or capital on either side of the break, or before an indented line. Most do not, and which do nobody foretells: so all of it is looked at,
/// without a branch.
pub(super) fn may_be_cut(text: &[u8], end: usize, next: usize) -> bool {
    let Some(tail) = text.get(..end).and_then(|head| head.last_chunk::<8>()) else {
        return true;
    };
    let Some(ahead) = text.get(next..).and_then(|rest| rest.first_chunk::<8>()) else {
        return true;
    };
    let all = |eight: &[u8; 8]| eight.iter().fold(TOKEN, |common, b| common & kinds_of(*b)) != 0;
    let [first, small, ..] = *ahead;
    let quoted = is_space(first) | (first == b'>');
    let token = all(tail) & (quoted | all(ahead) | (is_token(first) & !small.is_ascii_lowercase()));
    let code = |kinds: u32| kinds & (DIGIT | CAPITAL) != 0;
    let [.., second, last] = tail.map(kinds_of);
    token | (code(second | last) & (quoted | code(kinds_of(first) | kinds_of(small))))
}

/// Both alphabets of base64, and hexadecimal digits.
pub(super) fn is_symbol(b: u8) -> bool {
    is(b, SYMBOL)
}

/// Whether eight bytes are all symbols.
pub(super) fn is_all_symbols(eight: &[u8; 8]) -> bool {
    eight.iter().fold(SYMBOL, |common, b| common & kinds_of(*b)) != 0
}

/// Letters, digits, `-` and `_`: base64url and most vendors' tokens.
pub(super) fn is_url_safe(b: u8) -> bool {
    is(b, URL_SAFE)
}

/// What a field of a row may be written of: no blanks, quotes and what separates fields.
pub(super) fn is_field(b: u8) -> bool {
    is(b, FIELD)
}

/// What a key under its name may be written of.
pub(super) fn is_key_byte(b: u8) -> bool {
    is(b, KEY)
}

pub(super) fn is_base64(b: u8) -> bool {
    is(b, BASE64)
}

pub(super) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// Whether a token may begin at `at`: no word before it, except the `n` of a literal `\n`.
pub(super) fn starts_free(text: &[u8], at: usize) -> bool {
    let last = before(text, at);
    !is_word(last) || is_escape(text, at)
}

/// As `starts_free`, and no `-` either.
pub(super) fn starts_apart(text: &[u8], at: usize) -> bool {
    before(text, at) != b'-' && starts_free(text, at)
}

/// Whether the two bytes before `at` are a literal `\n`, `\r` or `\t`.
pub(super) fn is_escape(text: &[u8], at: usize) -> bool {
    matches!(before(text, at), b'n' | b'r' | b't') && at > 1 && byte(text, at - 2) == b'\\'
}

/// The end of the run of bytes that satisfy `of`, at most `max` long.
pub(super) fn run_end(text: &[u8], at: usize, max: usize, of: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take(max).take_while(|b| of(**b)).count()
}

/// As `run_end` of digits, eight at once: how many there are nobody foretells.
pub(super) fn digits_end(text: &[u8], at: usize, max: usize) -> usize {
    let mut end = at;
    while end - at < max
        && let Some(eight) = text.get(end..).and_then(|rest| rest.first_chunk())
    {
        let digits = digits_before_others(u64::from_le_bytes(*eight));
        end += digits;
        if digits < 8 {
            return end.min(at + max);
        }
    }
    if end - at < max { run_end(text, end, max - (end - at), is_digit) } else { at + max }
}

/// How many of eight bytes are digits before the first that is none.
const fn digits_before_others(eight: u64) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    // What is left of a digit is below ten; seven bits a byte, so that adding carries into no other.
    let left = eight ^ (ONES * 0x30);
    let others = ((left & (ONES * 0x7F)) + ONES * 0x76) | left;
    (others & (ONES * 0x80)).trailing_zeros() as usize / 8
}

/// The start of the run that ends before `at`, at most `max` long; it stops after a literal `\n`.
pub(super) fn run_start(text: &[u8], at: usize, max: usize, of: impl Fn(u8) -> bool) -> usize {
    let mut start = at;
    while start > 0 && at - start < max && of(before(text, start)) && !is_escape(text, start) {
        start -= 1;
    }
    start
}

pub(super) fn starts_with_ignoring_case(text: &[u8], at: usize, word: &[u8]) -> bool {
    let first = |text: Option<&u8>| text.map(|b| b | 0x20);
    first(text.get(at)) == first(word.first())
        && text.get(at..at + word.len()).is_some_and(|s| s.eq_ignore_ascii_case(word))
}

/// Whether one of `words` stands alone within 64 bytes before `start` or 32 after `end`. A word behind a value that has a
/// number of its own is that number's.
pub(super) fn near(text: &[u8], start: usize, end: usize, words: &[&str]) -> bool {
    let behind = slice(text, end, text.len().min(end + 32));
    holds_word(slice(text, start.saturating_sub(64), start), words)
        || find_word(behind, words, |at| !leads_to_number(text, end + at))
        || column(text, start).is_some_and(|name| holds_word(name, words))
}

/// How far above a row its column's name may stand.
const TABLE_MAX: usize = 1024;

/// The name of the column that a value stands in: the same field of the first of the rows above it, which are lines with
/// as many fields or more.
pub(super) fn column(text: &[u8], start: usize) -> Option<&[u8]> {
    let from = start.saturating_sub(TABLE_MAX);
    let above = slice(text, from, start);
    let row = memchr::memrchr(b'\n', above)?;
    let before = slice(above, row + 1, above.len());
    let sign = *before.iter().rev().find(|b| matches!(b, b',' | b';' | b'\t' | b'|'))?;
    let place = memchr::memchr_iter(sign, before).count();
    let mut name = None;
    for line in slice(above, 0, row).rsplit(|b| *b == b'\n').take(32) {
        match line.split(|b| *b == sign).nth(place) {
            Some(field) => name = Some(field),
            None => break,
        }
    }
    name.map(|name| name.get(..64).unwrap_or(name))
}

/// A word of so many letters counts with endings too: `Ausweises`, `Sozialversicherungsnr`.
const STEM_MIN: usize = 7;

/// Whether one of `words` stands alone in `text`, whatever its case. A capital behind a small letter begins a word, too:
/// `contactPhone` holds `phone`.
pub(super) fn holds_word(text: &[u8], words: &[&str]) -> bool {
    find_word(text, words, |_| true)
}

/// The same, of those whose end `counts`.
fn find_word(text: &[u8], words: &[&str], counts: impl Fn(usize) -> bool) -> bool {
    // Five bits of a letter are the same in both cases; most words of a text begin with none of these.
    let firsts = words.iter().fold(0_u32, |firsts, w| firsts | 1 << (before(w.as_bytes(), 1) & 31));
    (0..text.len()).any(|at| {
        let first = byte(text, at);
        let letter = first.is_ascii_alphabetic() || first >= 0xC0;
        letter
            && firsts >> (first & 31) & 1 == 1
            && opens_word(text, at)
            && words.iter().any(|w| {
                starts_with_ignoring_case(text, at, w.as_bytes())
                    && (closes_word(text, at + w.len()) || w.len() >= STEM_MIN)
                    && counts(at + w.len())
            })
    })
}

/// How far a number may stand behind a word, in words, and how many digits it has.
const LEAD_WORDS: usize = 3;
const NUMBER_MIN: usize = 7;

/// Whether a number stands right behind a word that ends at `at`: "SSN is 219-09-9999", "sociale : 1 63 …".
fn leads_to_number(text: &[u8], at: usize) -> bool {
    let word = |b: u8| b.is_ascii_alphabetic() || b >= 0x80 || matches!(b, b'\'' | b'_');
    let mut at = run_end(text, at, 24, word);
    for _ in 0..=LEAD_WORDS {
        let point = usize::from(byte(text, at) == b'.' && matches!(byte(text, at + 1), b' ' | b'0'..=b'9'));
        let from =
            run_end(text, at + point, 4, |b| is_space(b) || matches!(b, b':' | b'=' | b'#' | b'-' | b'"'));
        if is_digit(byte(text, from)) {
            let stop = run_end(text, from, 24, |b| is_digit(b) || matches!(b, b' ' | b'-' | b'.' | b'/'));
            return slice(text, from, stop).iter().filter(|b| is_digit(**b)).count() >= NUMBER_MIN;
        }
        let end = run_end(text, from, 16, word);
        // Another sentence, or another part of it.
        let joins: [&[u8]; 6] = [b"and", b"und", b"et", b"or", b"oder", b"ou"];
        if point > 0 || end == from || joins.contains(&slice(text, from, end)) {
            return false;
        }
        at = end;
    }
    false
}

fn opens_word(text: &[u8], at: usize) -> bool {
    let last = before(text, at);
    let inside = last.is_ascii_alphanumeric() || last >= 0x80;
    !inside || is_escape(text, at) || (last.is_ascii_lowercase() && byte(text, at).is_ascii_uppercase())
}

fn closes_word(text: &[u8], at: usize) -> bool {
    let next = byte(text, at);
    let inside = next.is_ascii_alphanumeric() || next >= 0xC0;
    !inside || next.is_ascii_digit() || (before(text, at).is_ascii_lowercase() && next.is_ascii_uppercase())
}

/// Small letter, capital, digit, other: 0 to 3.
fn class(b: u8) -> u8 {
    CLASSES.get(usize::from(b)).copied().unwrap_or(3)
}

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [3_u8; 256];
    let mut at = 0_usize;
    while at < 128 {
        #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "at < 256")]
        {
            table[at] = match at as u8 {
                b'a'..=b'z' => 0,
                b'A'..=b'Z' => 1,
                b'0'..=b'9' => 2,
                _ => 3,
            };
        }
        at += 1;
    }
    table
}

/// Which kinds of characters a value is made of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Classes {
    pub(super) lower: usize,
    pub(super) upper: usize,
    pub(super) digit: usize,
    pub(super) other: usize,
}

impl Classes {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut classes = Self::default();
        // Sixteen bits hold the count of each class of so many bytes.
        for part in text.chunks(0xFFFF) {
            let counts = part.iter().fold(0_u64, |counts, b| counts + (1 << (16 * class(*b))));
            let count = |of: u32| usize::try_from(counts >> (16 * of) & 0xFFFF).unwrap_or(0);
            let [lower, upper, digit, other] = [0, 1, 2, 3].map(count);
            classes.lower += lower;
            classes.upper += upper;
            classes.digit += digit;
            classes.other += other;
        }
        classes
    }

    pub(super) fn kinds(self) -> usize {
        [self.lower, self.upper, self.digit, self.other].iter().filter(|n| **n > 0).count()
    }
}

/// Whether letters alone were put together at random: a small one between two capitals, or capitals beside each other
/// with small ones behind, more than once. Words that are written together (`getPasswordById`) show that rarely.
pub(super) fn is_jumbled(text: &[u8]) -> bool {
    if text.len() < 8 || !text.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    let is = |at: usize, of: fn(&u8) -> bool| text.get(at).is_some_and(of);
    let upper = u8::is_ascii_uppercase;
    let lower = u8::is_ascii_lowercase;
    let odd = (1..text.len()).filter(|at| {
        let alone = is(at - 1, upper) && is(*at, lower) && is(at + 1, upper);
        let beside = is(at - 1, upper) && is(*at, upper) && is(at + 1, lower);
        alone || beside
    });
    odd.count() > 1
}

/// Whether a value was made by a machine at random: hexadecimal, or letters and digits that change between small,
/// capital and digit far more often than in words that are written together.
pub(super) fn is_random(text: &[u8]) -> bool {
    let classes = Classes::of(text);
    if classes.digit == 0 && (classes.lower == 0 || classes.upper == 0) {
        return false;
    }
    has_no_pattern(text, classes)
        && (text.len() > 63 || !text.windows(4).filter_map(<[u8]>::first_chunk).any(is_one_byte))
}

/// Whether four bytes are the same.
fn is_one_byte(four: &[u8; 4]) -> bool {
    let word = u32::from_ne_bytes(*four);
    word == word.rotate_left(8)
}

fn has_no_pattern(text: &[u8], classes: Classes) -> bool {
    let hex = text.iter().all(u8::is_ascii_hexdigit) && (classes.lower == 0 || classes.upper == 0);
    if hex {
        return text.len() >= 16 && classes.digit > 1 && classes.lower + classes.upper > 1;
    }
    let changes = text.iter().zip(text.iter().skip(1)).filter(|(a, b)| class(**a) != class(**b)).count();
    let often = changes * 5 >= text.len() * 2;
    let (small, capital, digit) = (classes.lower > 1, classes.upper > 1, classes.digit > 0);
    match (small, capital, digit) {
        (true, true, true) => often,
        // Of letters and digits in one case a quarter are digits.
        (true, false, true) | (false, true, true) => {
            classes.digit * 8 >= text.len() && changes * 4 >= text.len()
        }
        (true, true, false) => often && pairs_of_capitals(text) > 1,
        _ => false,
    }
}

/// How often a capital stands behind a capital.
pub(super) fn pairs_of_capitals(text: &[u8]) -> usize {
    text.iter()
        .zip(text.iter().skip(1))
        .filter(|(a, b)| a.is_ascii_uppercase() && b.is_ascii_uppercase())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_end_where_a_loop_ends(text in prop::collection::vec(prop_oneof![4 => b'0'..=b'9', 1 => any::<u8>()], 0..40), at in 0..40_usize, max in 0..40_usize) {
            prop_assert_eq!(digits_end(&text, at, max), run_end(&text, at, max, is_digit));
        }
    }
}
