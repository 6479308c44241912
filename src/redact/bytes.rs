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

pub(super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// Letters, digits, `-` and `_`: base64url and most vendors' tokens.
pub(super) fn is_url_safe(b: u8) -> bool {
    is_word(b) || b == b'-'
}

pub(super) fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')
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
fn is_escape(text: &[u8], at: usize) -> bool {
    matches!(before(text, at), b'n' | b'r' | b't') && at > 1 && byte(text, at - 2) == b'\\'
}

/// The end of the run of bytes that satisfy `of`, at most `max` long.
pub(super) fn run_end(text: &[u8], at: usize, max: usize, of: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take(max).take_while(|b| of(**b)).count()
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
    text.get(at..at + word.len()).is_some_and(|s| s.eq_ignore_ascii_case(word))
}

/// Whether one of `words` stands alone within `back` bytes before `start` or `ahead` bytes after `end`.
pub(super) fn near(text: &[u8], start: usize, end: usize, words: &[&str]) -> bool {
    holds_word(slice(text, start.saturating_sub(64), start), words)
        || holds_word(slice(text, end, text.len().min(end + 32)), words)
}

/// Whether one of `words` stands alone in `text`, whatever its case.
pub(super) fn holds_word(text: &[u8], words: &[&str]) -> bool {
    (0..text.len()).any(|at| {
        let opens = byte(text, at).is_ascii_alphabetic()
            && (!before(text, at).is_ascii_alphanumeric() || is_escape(text, at));
        opens
            && words.iter().any(|w| {
                starts_with_ignoring_case(text, at, w.as_bytes())
                    && !byte(text, at + w.len()).is_ascii_alphanumeric()
            })
    })
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
        for b in text {
            match b {
                b'a'..=b'z' => classes.lower += 1,
                b'A'..=b'Z' => classes.upper += 1,
                b'0'..=b'9' => classes.digit += 1,
                _ => classes.other += 1,
            }
        }
        classes
    }

    pub(super) fn kinds(self) -> usize {
        [self.lower, self.upper, self.digit, self.other].iter().filter(|n| **n > 0).count()
    }
}
