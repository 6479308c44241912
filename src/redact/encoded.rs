//! Text in base64 or hexadecimal: found by the length of the run, decoded if it is text.
//! A run that decodes to bytes (a hash, an image, a key) is left alone.

use std::ops::Range;

use super::bytes::{before, byte, is_all_symbols, is_escape, is_sign, is_symbol, run_end, slice};

/// A shorter run holds no value worth the search.
const RUN_MIN: usize = 16;
/// Of a part of a text a run may be longer by one: where the backslash of a literal `\n` before it is cut off.
const PART_MIN: usize = RUN_MIN - 1;
/// A longer run is decoded whoever it is of.
const LOGIN_MAX: usize = 128;
/// Bytes that tell text from anything else.
const HEAD: usize = 16;

/// The runs that decode to text, with that text. Decoding shrinks, so the work is linear. `any` becomes true if there are
/// runs, or may be in a part of the text.
pub(super) fn runs<'a>(
    text: &'a str,
    any: &'a mut bool,
) -> impl Iterator<Item = (Range<usize>, String)> + 'a {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let run = next_run(bytes, at, any)?;
            at = run.end;
            if let Some(found) = decode_run(bytes, run) {
                return Some(found);
            }
        }
    })
}

/// A run of 16 covers eight bytes that begin at a multiple of eight: only those are looked at.
#[inline(always)]
fn next_run(text: &[u8], from: usize, any: &mut bool) -> Option<Range<usize>> {
    let mut block = from.next_multiple_of(8);
    while let Some(word) = text.get(block..).and_then(|rest| rest.first_chunk::<8>()) {
        if !holds_blank(u64::from_le_bytes(*word)) && is_all_symbols(word) {
            let mut start = block;
            while start > from && is_symbol(before(text, start)) && !is_escape(text, start) {
                start -= 1;
            }
            let end = run_end(text, block, usize::MAX, is_symbol);
            *any |= end - start >= PART_MIN;
            if end - start >= RUN_MIN {
                return Some(start..run_end(text, end, 2, |b| b == b'='));
            }
            block = end.next_multiple_of(8);
        } else {
            block += 8;
        }
    }
    None
}

/// Whether one of eight bytes is a blank or below.
const fn holds_blank(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    word.wrapping_sub(ONES * 0x21) & !word & (ONES * 0x80) != 0
}

fn decode_run(text: &[u8], run: Range<usize>) -> Option<(Range<usize>, String)> {
    if let Some(found) = decode(slice(text, run.start, run.end)) {
        return Some((run, found));
    }
    // A path or a label may stand before it.
    let body = slice(text, run.start, run.end);
    let cut = body.iter().rposition(|b| is_sign(*b))?;
    let start = run.start + cut + 1;
    if run.end - start < RUN_MIN {
        return None;
    }
    decode(slice(text, start, run.end)).map(|found| (start..run.end, found))
}

fn decode(run: &[u8]) -> Option<String> {
    let digits = run.strip_prefix(b"0x").unwrap_or(run);
    if digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit) {
        return readable(digits, from_hex);
    }
    // What the first symbol of six bits says of the first byte: no letter, digit or sign, and no beginning of one.
    if matches!(run.first(), Some(b'A' | b'B' | b'E'..=b'H' | b'g'..=b'v' | b'+' | b'-' | b'/' | b'_')) {
        return None;
    }
    readable(run, from_base64)
}

/// Decodes into a buffer that is long enough; how many bytes there are.
type Decode = fn(&[u8], &mut [u8]) -> usize;

fn readable(run: &[u8], decode: Decode) -> Option<String> {
    // Most runs show at their head that they are no text.
    let mut head = [0; HEAD];
    let count = decode(run.get(..HEAD).unwrap_or(run), &mut head);
    text_in(head.get_mut(..count)?)?;
    let mut bytes = vec![0; run.len()];
    let count = decode(run, &mut bytes);
    bytes.truncate(count);
    let count = text_in(&mut bytes)?;
    bytes.truncate(count);
    String::from_utf8(bytes).ok()
}

/// How many of the bytes are text, without a character that is cut off at the end. UTF-16 of ASCII becomes ASCII.
fn text_in(bytes: &mut [u8]) -> Option<usize> {
    let mut count = bytes.len();
    // Every second byte is zero.
    if count >= 8 && bytes.iter().skip(1).step_by(2).all(|b| *b == 0) {
        count = count.div_ceil(2);
        for place in 0..count {
            bytes.swap(place, 2 * place);
        }
    }
    let text = match std::str::from_utf8(slice(bytes, 0, count)) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(slice(bytes, 0, error.valid_up_to())).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    (text.len() >= 6 && text.chars().all(is_text)).then_some(text.len())
}

/// Whether a run is base64 of a name and a password, however short it is: text with a colon in it.
pub(super) fn is_login(run: &[u8]) -> bool {
    let padding = run.iter().rev().take(2).take_while(|b| **b == b'=').count();
    let run = slice(run, 0, run.len() - padding);
    let whole = padding == 0 || (run.len() + padding).is_multiple_of(4);
    if !whole
        || !(4..=LOGIN_MAX).contains(&run.len())
        || run.len() % 4 == 1
        || !run.iter().all(|b| is_symbol(*b))
    {
        return false;
    }
    let mut bytes = [0; LOGIN_MAX];
    let count = from_base64(run, &mut bytes);
    let text = slice(&bytes, 0, count);
    let colon = text.iter().position(|b| *b == b':');
    colon.is_some_and(|at| at > 0 && at + 1 < count)
        && text.iter().all(|b| *b >= 0x80 || b.is_ascii_graphic() || *b == b' ')
        && std::str::from_utf8(text).is_ok()
}

fn from_hex(run: &[u8], out: &mut [u8]) -> usize {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or(0);
    let pairs = run.chunks_exact(2);
    let count = pairs.len();
    out.iter_mut().zip(pairs).for_each(|(to, pair)| *to = digit(byte(pair, 0)) << 4 | digit(byte(pair, 1)));
    count
}

/// Up to the first byte that is in neither alphabet.
fn from_base64(run: &[u8], out: &mut [u8]) -> usize {
    let mut count = 0;
    for four in run.chunks(4) {
        let values = four.iter().map_while(|b| VALUES.get(usize::from(*b)).filter(|value| **value < 64));
        let (word, symbols) = values.fold((0, 0), |(word, n), value| (word << 6 | u32::from(*value), n + 1));
        let bytes = (word << (6 * (4 - symbols))).to_be_bytes();
        let whole = symbols * 3 / 4;
        out.iter_mut().skip(count).zip(bytes.iter().skip(1)).take(whole).for_each(|(to, from)| *to = *from);
        count += whole;
        if symbols < 4 {
            break;
        }
    }
    count
}

/// What a symbol of base64 is worth; 64 for what is none.
static VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut table = [64_u8; 256];
    let mut at = 0_u8;
    while at < 128 {
        #[expect(clippy::indexing_slicing, reason = "at < 128")]
        {
            table[at as usize] = match at {
                b'A'..=b'Z' => at - b'A',
                b'a'..=b'z' => at - b'a' + 26,
                b'0'..=b'9' => at - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => 64,
            };
        }
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_text_is_decoded() {
        let found = |text: &str| {
            runs(text, &mut false)
                .map(|(range, found)| (text.get(range).unwrap().to_owned(), found))
                .collect::<Vec<_>>()
        };
        let one = |run: &str, text: &str| vec![(run.to_owned(), text.to_owned())];
        assert_eq!(
            found("see amFuZUBleGFtcGxlLmNvbQ== now"),
            one("amFuZUBleGFtcGxlLmNvbQ==", "jane@example.com")
        );
        assert_eq!(found("x=6a616e65406578616d706c65"), one("6a616e65406578616d706c65", "jane@example"));
        assert_eq!(found("sha 2f1b477ea14e0529458796a0c2d4e6f8 internationalisation"), []);
        assert_eq!(found(""), []);
    }

    proptest! {
        #[test]
        fn no_long_run_is_passed_over(text in "[ -~]{0,30}( [a-zA-Z0-9+/]{16,40} )[ -~]{0,30}", from in 0..30_usize) {
            let bytes = text.as_bytes();
            let found = next_run(bytes, from, &mut false);
            let plain = (from..bytes.len()).find(|start| {
                let free = *start == from || !is_symbol(bytes[*start - 1]) || is_escape(bytes, *start);
                free && run_end(bytes, *start, usize::MAX, is_symbol) - start >= RUN_MIN
            });
            prop_assert_eq!(found.map(|run| run.start), plain);
        }
    }
}
