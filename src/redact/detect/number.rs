//! Numbers: reads digit groups once, then lets each numeric detector check from each group on.
//! Also words that mix letters and digits. Bounded: 24 groups, 64 digits, words of 128.

use super::bytes::{
    before, byte, digits_end, is_alphanumeric, is_digit, is_letter, is_run, is_space, run_end, run_start,
    slice, starts_free,
};
use super::{CODES, Finding, Scan, Step};

const GROUPS_MAX: usize = 24;
const DIGITS_MAX: usize = 64;
const WORD_MAX: usize = 128;
/// Digits that are too few for a value without others behind them.
const SHORT: usize = 7;

/// How many digits a value may have: a bit for each count.
pub(in crate::redact) type Counts = u128;

/// Whatever the count.
pub(super) const ANY: Counts = Counts::MAX;

/// From so many digits to so many.
pub(super) const fn digits(least: u32, most: u32) -> Counts {
    (1 << (most + 1)) - (1 << least)
}

/// Two blanks between groups, as of columns and of copied pages: they separate all groups of a number or none, and what has
/// no check of its own needs a word.
pub(super) const WIDE: u8 = b'\t';

/// A detector of codes: the end of the value, given the word's start and end.
pub(in crate::redact) type CodeCheck = fn(&Scan<'_>, usize, usize) -> Option<usize>;

/// A run of digits and what separates it from the next one.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::redact) struct Group {
    pub(super) start: usize,
    pub(super) len: usize,
    /// Digits in the sequence before this group.
    offset: usize,
    /// One of ` -./()` when another group follows, `WIDE` for two blanks, else 0.
    pub(super) sep: u8,
}

impl Group {
    pub(super) fn end(self) -> usize {
        self.start + self.len
    }
}

/// Digit groups from one group on.
pub(in crate::redact) struct Number<'a> {
    pub(super) scan: &'a Scan<'a>,
    /// Values 0..=9.
    pub(super) digits: &'a [u8],
    pub(super) groups: &'a [Group],
    /// Bit n: after n digits a group ends where a number may end.
    pub(super) ends: u128,
    /// Whether no other group stands before it.
    pub(super) first: bool,
    /// The group that stands before it.
    pub(super) prior: Option<Group>,
}

/// The first groups of a number that hold exactly so many digits.
pub(super) struct Taken<'a> {
    pub(super) digits: &'a [u8],
    pub(super) groups: &'a [Group],
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Number<'a> {
    pub(super) fn start(&self) -> usize {
        self.groups.first().map_or(0, |g| g.start)
    }

    /// How many digits stand before a group.
    pub(super) fn digits_before(&self, index: usize) -> Option<usize> {
        Some(self.groups.get(index)?.offset - self.groups.first()?.offset)
    }

    /// From one of the groups on.
    pub(super) fn from(&self, index: usize) -> Option<Self> {
        let skip = self.digits_before(index)?;
        Some(Number {
            scan: self.scan,
            digits: self.digits.get(skip..)?,
            groups: self.groups.get(index..)?,
            ends: self.ends >> skip,
            first: self.first && index == 0,
            prior: index.checked_sub(1).map_or(self.prior, |last| self.groups.get(last).copied()),
        })
    }

    /// The groups that hold exactly `count` digits, if a boundary follows them.
    pub(super) fn take(&self, count: usize) -> Option<Taken<'a>> {
        if count >= DIGITS_MAX || self.ends >> count & 1 == 0 {
            return None;
        }
        let base = self.groups.first()?.offset;
        let used = 1 + self.groups.partition_point(|g| g.offset + g.len < base + count);
        let groups = self.groups.get(..used)?;
        let end = groups.last()?.end();
        Some(Taken { digits: self.digits.get(..count)?, groups, start: self.start(), end })
    }

    /// Whether one of `words` stands near the taken groups, or in the JSON key.
    /// Digits that stand alone must begin the sequence: a word stands before all of them.
    pub(super) fn near(&self, taken: &Taken<'_>, words: &[&str]) -> bool {
        if taken.is_spaced() && !self.first {
            return false;
        }
        super::bytes::holds_word(self.scan.key.as_bytes(), words)
            || (super::bytes::near(self.scan.text, taken.start, taken.end, words)
                && !super::lead::names_other(self.scan.text, taken.start, words))
    }
}

impl Taken<'_> {
    pub(super) fn is_joined(&self) -> bool {
        self.groups.len() == 1
    }

    /// Every digit stands alone: `4 1 1 1 …`.
    pub(super) fn is_spaced(&self) -> bool {
        self.groups.len() > 4 && self.groups.iter().all(|g| g.len == 1)
    }

    pub(super) fn is_wide(&self) -> bool {
        self.groups.len() > 1 && self.groups.first().is_some_and(|group| group.sep == WIDE)
    }

    pub(super) fn has_lengths(&self, lengths: &[usize]) -> bool {
        self.groups.len() == lengths.len() && self.groups.iter().zip(lengths).all(|(g, n)| g.len == *n)
    }

    /// The separators inside, the last group's own left out.
    pub(super) fn separators(&self) -> impl Iterator<Item = u8> + '_ {
        self.groups.iter().take(self.groups.len() - 1).map(|g| g.sep)
    }

    pub(super) fn range(&self) -> Option<(usize, usize)> {
        Some((self.start, self.end))
    }
}

/// The end of a number that stands alone and is too short for anything: a time, an amount, a line.
pub(super) fn short(text: &[u8], at: usize) -> Option<usize> {
    if is_run(before(text, at)) {
        return None;
    }
    let end = digits_end(text, at, SHORT);
    let goes_on = || separator(text, end).is_some() || wide(text, end).is_some();
    (end - at < SHORT && !is_run(byte(text, end)) && !goes_on()).then_some(end)
}

/// One step of the scan at a digit: a finding, or how far there is none.
pub(super) fn step(scan: &Scan<'_>, at: usize) -> Step {
    let text = scan.text;
    let start = run_start(text, at, WORD_MAX, is_letter);
    let digits_end = digits_end(text, at, WORD_MAX);
    let end = run_end(text, digits_end, WORD_MAX - (digits_end - at), is_alphanumeric);
    let glued = start < at || before(text, at) == b'_';
    if glued
        && digits_end == end
        && let Some(card) = super::payment::glued(scan, at)
    {
        return Step::Found(card);
    }
    if start < at || digits_end < end {
        return code(scan, start, end);
    }
    if !starts_free(text, at) || is_inside(text, at, digits_end) {
        return Step::Skip(end);
    }
    sequence(scan, at, digits_end)
}

/// Whether a number at `at` continues something written together: `a-1`, `x.1`, `1,5`.
fn is_inside(text: &[u8], at: usize, end: usize) -> bool {
    let prior = at.checked_sub(2).map_or(0, |i| byte(text, i));
    match before(text, at) {
        b'-' => prior.is_ascii_alphanumeric(),
        b',' if prior.is_ascii_digit() => {
            // A row of values, unless it reads as thousands or as a decimal.
            let whole = at - 1 - run_start(text, at - 1, 20, is_digit);
            end - at == 3 || (whole < 3 && separator(text, end).is_none() && end - at < 12)
        }
        b'.' | b',' | b'\'' | b'#' => {
            let dot = before(text, at) == b'.';
            prior.is_ascii_digit() || (dot && prior.is_ascii_alphabetic() && !is_abbreviated(text, at - 1))
        }
        _ => false,
    }
}

/// `Tel.0676/…`: the point at `dot` ends a word before a number.
fn is_abbreviated(text: &[u8], dot: usize) -> bool {
    const WORDS: &[&str] = &[
        "tel", "t\u{e9}l", "T\u{c9}L", "telefon", "fax", "mob", "mobil", "ph", "phone", "cell", "handy",
        "no", "num",
    ];
    let word = |b: u8| is_letter(b) || b >= 0x80;
    let start = run_start(text, dot, 16, word);
    let name = slice(text, start, dot);
    before(text, start) != b'.'
        && (super::lead::is_one_of(name, WORDS) || name.ends_with(b"Nr") || name.ends_with(b"nr"))
}

fn code(scan: &Scan<'_>, start: usize, end: usize) -> Step {
    if starts_free(scan.text, start) {
        for (entity, lengths, check) in CODES {
            if lengths.contains(&(end - start))
                && scan.on.has(*entity)
                && let Some(to) = check(scan, start, end)
            {
                return Step::Found(Finding::whole(*entity, start, to));
            }
        }
    }
    Step::Skip(end)
}

fn sequence(scan: &Scan<'_>, at: usize, first_end: usize) -> Step {
    if first_end - at < SHORT
        && separator(scan.text, first_end).is_none()
        && wide(scan.text, first_end).is_none()
    {
        return Step::Skip(first_end);
    }
    let mut digits = [0_u8; DIGITS_MAX];
    let mut groups = [Group::default(); GROUPS_MAX];
    let count = read(scan.text, at, &mut digits, &mut groups);
    let groups = groups.get(..count).unwrap_or_default();
    let free = groups.iter().enumerate().filter(|(place, g)| ends_free(scan.text, g, *place));
    let ends = free.fold(0_u128, |bits, (_, g)| bits | 1 << (g.offset + g.len));
    // A full table may hold the beginning of a value that goes on: come back to its second half.
    let tried = if count == GROUPS_MAX { count / 2 } else { count };
    for (index, group) in groups.iter().enumerate().take(tried) {
        let apart =
            index == 0 || groups.get(index - 1).is_some_and(|g| matches!(g.sep, b' ' | b'(' | b'/' | WIDE));
        // Digits that stand alone are one value or none: it begins where they do, or behind a word's own number.
        let amid = index > 2 && group.len == 1 && groups.get(index - 1).is_some_and(|g| g.len == 1);
        if !apart || amid {
            continue;
        }
        let number = Number {
            scan,
            digits: digits.get(group.offset..).unwrap_or_default(),
            groups: groups.get(index..).unwrap_or_default(),
            ends: ends >> group.offset,
            first: index == 0,
            prior: index.checked_sub(1).and_then(|last| groups.get(last).copied()),
        };
        if let Some(found) = super::numeric(&number) {
            return Step::Found(found);
        }
    }
    let last = tried.checked_sub(1).and_then(|i| groups.get(i));
    // What is read as one sequence ends before signs that are only a card's.
    if let Some(group) = last.filter(|g| g.len == 4 && tried == count && count > 1)
        && let Some(card) = super::payment::loose(scan, group.start)
    {
        return Step::Found(card);
    }
    Step::Skip(last.map_or(first_end, |group| {
        word_start(scan.text, groups, group).filter(|start| *start > at).unwrap_or_else(|| group.end())
    }))
}

/// Where the word begins that the last digits of a sequence belong to: `2 61-75-d8-…`, `2 1BvBM…`.
fn word_start(text: &[u8], groups: &[Group], last: &Group) -> Option<usize> {
    let next = byte(text, last.end());
    let dash = next == b'-' && is_letter(byte(text, last.end() + 1));
    if !dash && !is_letter(next) && next != b'_' {
        return None;
    }
    let before = groups.iter().rev().skip_while(|group| group.start >= last.start);
    let dashed = before.take_while(|group| group.sep == b'-').last();
    Some(dashed.map_or(last.start, |group| group.start))
}

/// Fills the tables from `at` on; a group that does not fit ends the sequence before it.
fn read(text: &[u8], at: usize, digits: &mut [u8], groups: &mut [Group]) -> usize {
    let (mut count, mut used, mut from) = (0, 0, at);
    let mut columns = false;
    for group in groups {
        let end = digits_end(text, from, DIGITS_MAX + 1);
        let len = end - from;
        let Some(room) = digits.get_mut(used..used + len) else { break };
        room.iter_mut().zip(text.get(from..end).unwrap_or_default()).for_each(|(to, b)| *to = b - b'0');
        *group = Group { start: from, len, offset: used, sep: 0 };
        used += len;
        count += 1;
        let next = if columns { None } else { separator(text, end) };
        columns |= count == 1 && next.is_none();
        let next = if columns { wide(text, end) } else { next };
        let Some((sep, next)) = next else { break };
        group.sep = sep;
        from = next;
    }
    count
}

/// Two blanks before another group.
fn wide(text: &[u8], end: usize) -> Option<(u8, usize)> {
    let blanks = byte(text, end) == b' ' && byte(text, end + 1) == b' ';
    (blanks && byte(text, end + 2).is_ascii_digit()).then_some((WIDE, end + 2))
}

/// What separates the groups at `end`, and where the next group begins.
fn separator(text: &[u8], end: usize) -> Option<(u8, usize)> {
    let digit = |i: usize| byte(text, i).is_ascii_digit();
    let first = byte(text, end);
    if !matches!(first, b' ' | b'-' | b'.' | b'/' | b'(' | b')') {
        return None;
    }
    let second = byte(text, end + 1);
    if second.is_ascii_digit() {
        return Some((first, end + 1));
    }
    match (first, second) {
        (b' ', b'-' | b'/' | b'(') | (b'-' | b'.' | b'/', b'(') if digit(end + 2) => Some((second, end + 2)),
        (b' ', b'-' | b'/') if is_space(byte(text, end + 2)) && digit(end + 3) => Some((second, end + 3)),
        (b')', b' ' | b'-' | b'/' | b'.') if digit(end + 2) => Some((b')', end + 2)),
        _ => None,
    }
}

/// Whether a number may end here: not in the middle of a word, a decimal, a dotted or a dashed code.
fn ends_free(text: &[u8], group: &Group, place: usize) -> bool {
    let end = group.end();
    let (next, second) = (byte(text, end), byte(text, end + 1));
    match next {
        b'-' | b'_' => !second.is_ascii_alphanumeric(),
        // A row of values: what stands before is too long, or too often parted, for an amount.
        b',' if second.is_ascii_digit() => group.len > 8 || (place > 0 && group.len != 3),
        b'.' | b',' | b':' => !second.is_ascii_digit(),
        _ => !next.is_ascii_alphanumeric(),
    }
}
