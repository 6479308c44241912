//! Text and JSON as they may stand in a line: what could end a line or turn it around on a screen is escaped.

pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends text as the inside of a JSON string.
pub(super) fn write_escaped(out: &mut Vec<u8>, text: &str) {
    copy_text(out, text, |c| match c {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\t"),
        _ => None,
    });
}

/// Appends a JSON document on one line: white space between values is left out, and what a line must not hold is
/// escaped inside its strings (valid JSON has such characters nowhere else).
pub(super) fn write_document(out: &mut Vec<u8>, document: &str) {
    let mut rest = document;
    while let Some(quote) = memchr::memchr(b'"', rest.as_bytes()) {
        let (between, string) = rest.split_at(quote);
        out.extend(between.bytes().filter(|b| !b.is_ascii_whitespace()));
        let (string, after) = string.split_at(string_end(string.as_bytes()));
        copy_text(out, string, |_| None);
        rest = after;
    }
    out.extend(rest.bytes().filter(|b| !b.is_ascii_whitespace()));
}

/// Where the string that begins with the first byte ends: behind its closing quote.
fn string_end(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(step) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += step;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at = (at + 2).min(bytes.len());
    }
    bytes.len()
}

/// Copies text in runs. `short` gives an escape where it wants one; beyond that, whatever is unsafe in a line becomes
/// `\uXXXX`.
fn copy_text(out: &mut Vec<u8>, text: &str, short: impl Fn(char) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
            && is_plain(u64::from_le_bytes(*word))
        {
            at += 8;
            continue;
        }
        if !may_need_escape(byte) {
            at += 1;
            continue;
        }
        let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else { break };
        let escape = short(c);
        if escape.is_some() || is_unsafe(c) {
            out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
            match escape {
                Some(escape) => out.extend_from_slice(escape.as_bytes()),
                None => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            }
            copied = at + c.len_utf8();
        }
        at += c.len_utf8();
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
}

/// Whether eight bytes are all ASCII, and none of them a control, a quote or a backslash (or 0x7f: for that one,
/// "no" is said too often). Each test leaves a high bit where a byte is hit, perhaps also in bytes above it.
const fn is_plain(word: u64) -> bool {
    const fn repeat(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    const fn holds(word: u64, byte: u8) -> u64 {
        (word ^ repeat(byte)).wrapping_sub(repeat(1)) & !(word ^ repeat(byte))
    }
    let controls = word.wrapping_sub(repeat(0x20)) & !word;
    (word | controls | holds(word, b'"') | holds(word, b'\\') | holds(word, 0x7f)) & repeat(0x80) == 0
}

/// Whether a character in need of an escape may begin with this byte: controls, the quote and the backslash, and the
/// lead bytes of U+0080.., U+0600.., U+2000.. and U+F000...
const fn may_need_escape(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, 0x22 | 0x5c | 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xef)
}

/// Controls (C1 too, which hold a terminal's CSI), line separators, marks that reorder a line, and the byte order mark.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
