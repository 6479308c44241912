//! Lines that were broken inside a value: wrapped at a fixed width, or quoted in a mail.

use super::bytes::{
    Classes, before, byte, is_alphanumeric, is_space, is_token, may_be_cut, run_end, run_start, slice,
};

use super::detect::begins_token;

/// How far a line or word is looked at around a line break.
const LINE_MAX: usize = 96;

/// How many bytes from the line feed on are to be dropped, if a value goes on behind it.
pub(super) fn wrap(text: &[u8], feed: usize) -> Option<usize> {
    let end = if before(text, feed) == b'\r' { feed - 1 } else { feed };
    // A sentence or a short word ends here, as most lines do.
    if !may_be_cut(text, end, feed + 1) {
        return None;
    }
    let quoted = run_end(text, feed + 1, 8, |b| is_space(b) || b == b'>');
    if is_token_cut(text, end, quoted) {
        return Some(quoted - feed);
    }
    let next = behind_indent(text, feed + 1, quoted);
    is_number_cut(text, end, next).then_some(next - feed)
}

/// Where a number may go on: one blank stands between its groups, and so does the last of an odd number.
fn behind_indent(text: &[u8], from: usize, quoted: usize) -> usize {
    let is_group = slice(text, from, quoted).iter().all(|b| *b == b' ') && (quoted - from) % 2 == 1;
    if is_group { quoted - 1 } else { quoted }
}

/// Both words are made at random, and the second is a word by itself.
fn is_token_cut(text: &[u8], end: usize, next: usize) -> bool {
    if !is_token(byte(text, next)) || !is_token(before(text, end)) {
        return false;
    }
    let stop = run_end(text, next, LINE_MAX * 2, is_token);
    // What fills up an encoded value is no sign of an assignment.
    let padded = run_end(text, stop, 2, |b| b == b'=');
    let assigned = byte(text, stop) == b'=' && byte(text, padded).is_ascii_graphic();
    if stop - next < 4 || assigned || matches!(byte(text, stop), b':' | b'(') || begins_token(text, next) {
        return false;
    }
    let random = |word: &[u8]| {
        let classes = Classes::of(word);
        // Words written together (`SomeLongName`) have few capitals.
        let mixed = classes.digit > 0 || (word.len() >= 16 && classes.upper * 3 >= classes.lower);
        mixed && classes.upper > 0 && classes.lower > 0 && word.len() >= 8
    };
    let aws = |word: &[u8]| word.starts_with(b"AKIA") || word.starts_with(b"ASIA");
    let upper = |word: &[u8]| word.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    // The common case: a line that begins with a word.
    let tail = slice(text, next, stop);
    if !random(tail) && !upper(tail) {
        return false;
    }
    let start = run_start(text, end, LINE_MAX, is_token);
    let head = slice(text, start, end);
    // What fills a line of its own is a block's, which is found whole.
    let block = padded > stop && matches!(before(text, start), b'\n' | b'\r' | 0);
    head.len() >= 8 && !block && ((random(head) && random(tail)) || (aws(head) && upper(head) && upper(tail)))
}

/// Digits (or the capitals of an account number) on both sides, in no column of numbers.
fn is_number_cut(text: &[u8], end: usize, next: usize) -> bool {
    let code = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase();
    let between = |b: u8| matches!(b, b' ' | b'-' | b'.' | b'/');
    let part = |b: u8| code(b) || between(b);
    let head = run_end(text, next, 1, between);
    let tail = run_start(text, end, 1, between);
    if !code(before(text, tail)) || !code(byte(text, head)) {
        return false;
    }
    let (start, stop) = (run_start(text, end, LINE_MAX, part), run_end(text, next, LINE_MAX, part));
    let (front, rest) = (slice(text, start, end), slice(text, next, stop));
    let digits = |range: &[u8]| range.iter().filter(|b| b.is_ascii_digit()).count();
    let (many, more) = (digits(front), digits(rest));
    let few = many < 2 || more < 2;
    let (last, first) = (run_start(text, tail, LINE_MAX, code), run_end(text, head, LINE_MAX, code));
    let is_whole = !is_alphanumeric(byte(text, first)) && !is_alphanumeric(before(text, last));
    // Few on one side are a part of a number only where no word begins or ends.
    if few && !is_whole {
        return false;
    }
    // Of nine or ten characters, as an identity card has.
    let is_card = is_whole && head == next && tail == end && matches!(first - head + tail - last, 9 | 10);
    // The end of a word, a day at the beginning of a line, and letters that belong to no account.
    let inside = code(byte(text, start)) && is_alphanumeric(before(text, start));
    let capitals = rest.iter().filter(|b| b.is_ascii_uppercase()).count();
    let account = || {
        let mut begin = [0; 4];
        let around = slice(text, last, tail).iter().chain(slice(text, head, first));
        begin.iter_mut().zip(around).for_each(|(to, from)| *to = *from);
        is_card || holds_country(front) || holds_country(&begin)
    };
    if inside || is_day(rest) || is_item(text, next) || (capitals > 4 && !account()) {
        return false;
    }
    if few {
        let sign = before(text, start) == b'+' && start > 1 && is_space(before(text, start - 1));
        let alone = slice(text, start, start + 2).contains(&b' ') || sign || !is_token(before(text, start));
        if !alone || !is_card && (many + more < 5 || (more == 0 && !lacks_suffix(front))) {
            return false;
        }
    }
    let above = start > 1 && before(text, start) == b'\n' && is_number_row(above_row(text, start - 1));
    let below = byte(text, stop) == b'\n' && is_number_row(row(text, stop + 1));
    !above && !below && byte(text, stop) != b','
}

/// Two capitals and six digits at its end, which a capital follows in a number of British insurance.
fn lacks_suffix(front: &[u8]) -> bool {
    let mut codes = front.iter().rev().filter(|b| is_alphanumeric(**b));
    codes.by_ref().take(6).filter(|b| b.is_ascii_digit()).count() == 6
        && codes.take(2).filter(|b| b.is_ascii_uppercase()).count() == 2
}

/// `3. Aurore`: an item of a list.
fn is_item(text: &[u8], at: usize) -> bool {
    let end = run_end(text, at, 3, |b| b.is_ascii_digit());
    let shaped = (1..3).contains(&(end - at)) && matches!(byte(text, end), b'.' | b')');
    shaped && byte(text, end + 1) == b' ' && byte(text, end + 2).is_ascii_alphabetic()
}

/// `2026-09-24`.
fn is_day(row: &[u8]) -> bool {
    matches!(row, [b'1' | b'2', a, b, c, b'-', d, e, b'-', f, g, ..] if [a, b, c, d, e, f, g].iter().all(|b| b.is_ascii_digit()))
}

/// Whether an account begins in it: two capitals and two digits.
fn holds_country(head: &[u8]) -> bool {
    head.split(|b| !is_alphanumeric(*b)).any(|word| {
        matches!(word, [a, b, c, d, ..] if a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit())
    })
}

fn row(text: &[u8], start: usize) -> &[u8] {
    slice(text, start, run_end(text, start, LINE_MAX, |b| b != b'\n'))
}

fn above_row(text: &[u8], end: usize) -> &[u8] {
    slice(text, run_start(text, end, LINE_MAX, |b| b != b'\n'), end)
}

/// A row of a column: a number and no words.
fn is_number_row(row: &[u8]) -> bool {
    row.iter().any(u8::is_ascii_digit) && !row.iter().any(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What `may_be_cut` says is none, is none.
        #[test]
        fn no_cut_is_passed_over(
            head in "[a-z >]{0,8}([0-9]{2,4}[ .-]?|aB3dE6gH|AKIA[A-Z2-7]{4}|[0-9]{5}/?|[A-Z0-9]{1,9}|[a-zA-Z0-9._-]{7,9})",
            feed in prop::sample::select(&["\n", "\r\n"][..]),
            next in "[ >]{0,5}[ .-]?[0-9]{1,4}|[> ]{0,2}[A-Z0-9]{0,9}|[> ]{0,2}[a-zA-Z0-9_-]{0,12}",
        ) {
            let text = format!("{head}{feed}{next}");
            let (bytes, behind) = (text.as_bytes(), head.len() + feed.len());
            let quoted = run_end(bytes, behind, 8, |b| is_space(b) || b == b'>');
            let next = behind_indent(bytes, behind, quoted);
            let cut = is_token_cut(bytes, head.len(), quoted) || is_number_cut(bytes, head.len(), next);
            prop_assert!(!cut || may_be_cut(bytes, head.len(), behind));
        }
    }
}
