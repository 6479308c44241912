//! Where a password ends that has quotes, backslashes or brackets in it.

use super::bytes::{before, byte, is_space, run_start, slice};

/// How much of a line is looked at for what opened a quote.
const LINE: usize = 96;
/// A longer tag is none.
const TAG: usize = 48;

/// Behind `quote` at `start - 1`: before the same quote, if it closes a word without blanks in at most `most` bytes. What
/// is put together (`'" + name + "'`) or marked up ends earlier.
pub(super) fn quoted(text: &[u8], start: usize, most: usize, quote: u8) -> Option<usize> {
    let mut end = start;
    while end - start <= most {
        match byte(text, end) {
            0..=b' ' => return None,
            b'\\' if matches!(byte(text, end + 1), b'\\' | b'"' | b'\'') => end += 2,
            b if b == quote => break,
            _ => end += 1,
        }
    }
    let value = slice(text, start, end);
    let joined =
        |two: &[u8]| matches!(two, [b'"' | b'\'' | b'`', b'+'] | [b'+', b'"' | b'\'' | b'`'] | b"</" | b"/>");
    let put = matches!(value, [b'"' | b'\'' | b'`', ..]) || value.windows(2).any(joined);
    (byte(text, end) == quote && end > start && end - start <= most && !put).then_some(end)
}

/// From `end`, where `stops` stopped, on: past quotes that close nothing, backslashes that escape nothing and `<` that
/// opens no tag. `start` begins the value, which no quote opened.
pub(super) fn unquoted(
    text: &[u8],
    start: usize,
    mut end: usize,
    most: usize,
    stops: impl Fn(u8) -> bool,
) -> usize {
    // What stands open where the value begins; looked up when it is first asked for.
    let mut open: [Option<bool>; 3] = [None; 3];
    while end > start && end - start < most && is_within(text, end, start, &mut open) {
        end += 1;
        while end - start < most && end < text.len() && !stops(byte(text, end)) {
            end += 1;
        }
    }
    end
}

fn is_within(text: &[u8], at: usize, start: usize, open: &mut [Option<bool>; 3]) -> bool {
    let next = byte(text, at + 1);
    if !next.is_ascii_graphic()
        || matches!(next, b'"' | b'\'' | b'`' | b',' | b';' | b')' | b']' | b'}' | b'>' | b':')
    {
        return false;
    }
    // `config["…`, `"name":"…`, `user+"…`: these open one.
    let opens = matches!(
        before(text, at),
        b'[' | b'(' | b'{' | b'=' | b',' | b'+' | b':' | b'>' | b'|' | b';' | b'"'
    );
    let place = match byte(text, at) {
        b'"' | b'\'' | b'`' if opens => return false,
        b'"' => 0,
        b'\'' => 1,
        b'`' => 2,
        b'\\' => return !matches!(next, b'n' | b'r' | b't' | b'u' | b'\\' | b'/' | b'0'),
        b'<' => return !is_tag(text, at),
        _ => return false,
    };
    let word = next.is_ascii_alphanumeric() && before(text, at).is_ascii_alphanumeric();
    let quote = byte(text, at);
    open.get_mut(place).is_some_and(|known| {
        let opened = *known.get_or_insert_with(|| is_open(text, start, quote));
        !opened || (word && quote != b'`')
    })
}

/// Whether a quote that opened something stands in the line before `start`.
fn is_open(text: &[u8], start: usize, quote: u8) -> bool {
    let from = run_start(text, start, LINE, |b| !matches!(b, b'\n' | b'\r'));
    let line = slice(text, from, start);
    let opens = |at: &usize| {
        byte(line, *at) == quote && (quote != b'\'' || !before(line, *at).is_ascii_alphanumeric())
    };
    (0..line.len()).filter(opens).count() % 2 == 1 || start - from == LINE
}

fn is_tag(text: &[u8], at: usize) -> bool {
    let rest = slice(text, at + 1, text.len().min(at + TAG));
    let of_tag = |b: &u8| b.is_ascii_alphanumeric() || is_space(*b) || b"/!=\"'-#:;.".contains(b);
    let close = rest.iter().position(|b| *b == b'>');
    matches!(rest.first(), Some(b'/')) || close.is_some_and(|close| slice(rest, 0, close).iter().all(of_tag))
}

/// Where a string of JSON ends, which may have escapes.
pub(super) fn string(text: &[u8], start: usize, most: usize) -> usize {
    let mut end = start;
    while end - start < most && !matches!(byte(text, end), b'"' | 0..0x20) {
        end += if byte(text, end) == b'\\' { 2 } else { 1 };
    }
    end.min(text.len())
}
