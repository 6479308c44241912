//! Names beside values: of `- name: DB_PASSWORD` above `value: …`, `{"key": "apiKey", "value": "…"}`, `key="…" value="…"` the
//! name says what the value is.

use std::ops::Range;

use super::assignment::{is_named, names_password};
use super::bytes::{before, byte, is_name, is_space, run_end, run_start, slice};

/// How the members end whose value it is: what is given, what there is without it, what is typed into a field or answered.
pub(super) const VALUES: &[&[u8]] = &[b"value", b"default", b"text", b"answer"];

/// What a member of an object says about another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    /// The name of the value beside it.
    Name,
    /// Where the field of a form is that the value is for.
    Place,
    /// The value.
    Value,
    Other,
}

impl Member {
    /// By its length and its first letter there is one word that it can be, or two.
    #[inline(always)]
    fn of(key: &[u8]) -> Self {
        let (word, member): (&[u8], _) = match (key.len(), byte(key, 0) | 0x20) {
            (2, b'i') => (b"id", Self::Name),
            (3, b'k') => (b"key", Self::Name),
            (3, b'v') => (b"var", Self::Name),
            (3, b'c') => (b"css", Self::Place),
            (4, b'n') => (b"name", Self::Name),
            (4, b't') if byte(key, 1) | 0x20 == b'y' => (b"type", Self::Place),
            (4, b't') => (b"text", Self::Value),
            (5, b'f') => (b"field", Self::Name),
            (5, b'l') => (b"label", Self::Name),
            (5, b'p') => (b"param", Self::Name),
            (5, b'x') => (b"xpath", Self::Place),
            (5, b't') => (b"title", Self::Place),
            (5, b'v') => (b"value", Self::Value),
            (6, b'a') => (b"answer", Self::Value),
            (6, b'h') => (b"header", Self::Name),
            (6, b't') if byte(key, 1) | 0x20 == b'e' => (b"testid", Self::Place),
            (6, b't') => (b"target", Self::Place),
            (7, b'd') => (b"default", Self::Value),
            (7, b'e') => (b"element", Self::Place),
            (7, b'l') => (b"locator", Self::Place),
            (8, b'p') => (b"property", Self::Name),
            (8, b'q') => (b"question", Self::Name),
            (8, b's') => (b"selector", Self::Place),
            (8, b'v') => (b"variable", Self::Name),
            (9, b'p') => (b"parameter", Self::Name),
            (10, b's') => (b"secretname", Self::Name),
            (11, b'p') => (b"placeholder", Self::Place),
            (11, b's') if byte(key, 6) == b'_' => (b"secret_name", Self::Name),
            (11, b's') => (b"secretvalue", Self::Value),
            (12, b's') => (b"secret_value", Self::Value),
            _ => return Self::Other,
        };
        if key.eq_ignore_ascii_case(word) { member } else { Self::Other }
    }
}
const NAME_MAX: usize = 48;
/// Bytes of an object before the value, and of the lines above it.
const OBJECT_MAX: usize = 160;
const BLOCK_MAX: usize = 512;
const LINES_MAX: usize = 9;
/// A longer one is no place of a field.
const PLACE_MAX: usize = 96;
/// Blanks, quotes and signs between the two members.
const BETWEEN_MAX: usize = 48;

fn quotes(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'"' | b'\'' | b'\\')
}

/// What the value is called whose member begins at `start`: in the member before it, by the object that it begins, by
/// another member of it, or by the block of lines that it stands in.
pub(super) fn name(text: &[u8], start: usize, colon: bool) -> Option<&[u8]> {
    let own = byte(text, start) | 0x20 != b't';
    adjacent(text, start)
        .filter(|name| is_named(name))
        .or_else(|| beside(text, start, colon))
        .or_else(|| if own { block(text, start) } else { None })
}

/// In the other members of an object or of a tag.
fn beside(text: &[u8], start: usize, colon: bool) -> Option<&[u8]> {
    let head = slice(text, start.saturating_sub(OBJECT_MAX), start);
    let opens = |b: &u8| matches!(b, b'\n' | b'\r' | b'}' | b'<') || colon && *b == b'{';
    let from = head.iter().rposition(opens).map_or(0, |at| at + 1);
    let members = slice(head, from, head.len()).split(|b| if colon { *b == b',' } else { is_space(*b) });
    let mut found = None;
    for member in members {
        let Some(sign) = member.iter().position(|b| *b == if colon { b':' } else { b'=' }) else { continue };
        let (key, value) = (bare(slice(member, 0, sign)), bare(slice(member, sign + 1, member.len())));
        if is_name_member(key) && is_named(value) {
            found = Some(value);
        } else if is_place_member(key)
            && let Some(place) = field(value)
        {
            found = found.or_else(|| value.get(place));
        }
    }
    found
}

/// Without blanks, quotes and the dash of an item.
fn bare(member: &[u8]) -> &[u8] {
    let is_edge = |b: &u8| quotes(*b) || matches!(b, b'-' | b'\r');
    let from = member.iter().position(|b| !is_edge(b)).unwrap_or(member.len());
    let end = member.iter().rposition(|b| !is_edge(b)).map_or(from, |at| at + 1);
    slice(member, from, end)
}

/// By the lines above: `variable "…" {`, a key with less before it, or a name at the same place.
fn block(text: &[u8], start: usize) -> Option<&[u8]> {
    let from = start.saturating_sub(BLOCK_MAX);
    let mut lines = slice(text, from, start).rsplit(|b| *b == b'\n').take(LINES_MAX);
    let own = lines.next()?;
    if let Some(open) = own.iter().rposition(|b| *b == b'{') {
        return opener(slice(own, 0, open));
    }
    let depth = own.len();
    if !own.iter().all(|b| quotes(*b) || *b == b'-') || depth == 0 {
        return None;
    }
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let indent = run_end(line, 0, BLOCK_MAX, |b| quotes(b) || b == b'-');
        match line.last() {
            Some(b'{') => return opener(slice(line, 0, line.len() - 1)),
            Some(b':') if indent < depth => return Some(bare(slice(line, 0, line.len() - 1))),
            _ if indent < depth => return None,
            _ => {}
        }
        if indent == depth
            && let Some(sign) = line.iter().position(|b| *b == b':')
            && is_name_member(bare(slice(line, 0, sign)))
        {
            return Some(bare(slice(line, sign + 1, line.len())));
        }
    }
    None
}

/// The name of what a brace opens.
fn opener(head: &[u8]) -> Option<&[u8]> {
    let end = run_start(head, head.len(), 8, |b| quotes(b) || matches!(b, b'=' | b':'));
    let from = run_start(head, end, NAME_MAX, is_name);
    (from < end).then(|| slice(head, from, end))
}

/// The name in `<name>…</name><value>`, or `<key>…</key>` above `<string>`, before what begins at `start`.
pub(super) fn tagged(text: &[u8], start: usize) -> Option<&[u8]> {
    let tag = run_start(text, start.checked_sub(1)?, 16, |b| b.is_ascii_alphanumeric());
    let open = tag.checked_sub(1).filter(|open| byte(text, *open) == b'<')?;
    let close = run_start(text, open, 32, |b| b.is_ascii_whitespace());
    let member = run_start(text, close.checked_sub(1)?, 16, |b| b.is_ascii_alphanumeric());
    let named = before(text, close) == b'>' && slice(text, member.saturating_sub(2), member) == b"</";
    if !named || !is_name_member(slice(text, member, close - 1)) {
        return None;
    }
    let from = run_start(text, member - 2, NAME_MAX, is_name);
    (before(text, from) == b'>').then(|| slice(text, from, member - 2))
}

/// In the member before, or of the object that begins there.
fn adjacent(text: &[u8], start: usize) -> Option<&[u8]> {
    let gap = |b: u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'\\' | b',' | b';');
    // The letter of a literal line break is none of a name.
    let mut end = start;
    while end > 0 && start - end < BETWEEN_MAX {
        if gap(before(text, end)) {
            end -= 1;
        } else if end > 1 && before(text, end) == b'n' && byte(text, end - 2) == b'\\' {
            end -= 2;
        } else {
            break;
        }
    }
    let open = run_start(text, end, 3, |b| matches!(b, b'{' | b' '));
    if before(text, open) == b':' && end < start {
        let end = run_start(text, open - 1, 4, quotes);
        let from = run_start(text, end, NAME_MAX, is_name);
        return Some(slice(text, from, end));
    }
    let from = run_start(text, end, NAME_MAX, is_name);
    let sign = run_start(text, from, 6, quotes);
    if end == start || from == end || !matches!(before(text, sign), b':' | b'=') {
        return None;
    }
    let member_end = run_start(text, sign - 1, 4, quotes);
    let member = slice(text, run_start(text, member_end, 12, is_name), member_end);
    is_name_member(member).then(|| slice(text, from, end))
}

/// Whether a member holds what another one names.
pub(super) fn is_value(member: &[u8]) -> bool {
    Member::of(member) == Member::Value
}

/// The same, or what the object does that it stands in.
pub(super) fn is_own_value(member: &[u8]) -> bool {
    is_value(member) && !member.eq_ignore_ascii_case(b"text")
}

/// Whether a member holds nothing but the text of what its object is called, as converters of XML and databases write it.
pub(super) fn is_content(member: &[u8]) -> bool {
    let word: &[u8] = match (member.len(), byte(member, 0)) {
        (1, _) => b"S",
        (2, _) => b"$t",
        (4, _) => b"text",
        (5, b'#') => b"#text",
        (5, b'_') => b"_text",
        (5, b'p') => b"plain",
        (6, b's') => b"string",
        (7, b'c') => b"content",
        (9, b'p') => b"plaintext",
        (11, b's') => b"stringValue",
        _ => return false,
    };
    member == word
}

/// Whether a member says whose account the others are of: by its length and its first letter there is one word that it can be.
pub(super) fn is_login(member: &[u8]) -> bool {
    let word: &[u8] = match (member.len(), byte(member, 0) | 0x20) {
        (4, b'u') => b"user",
        (5, b'l') => b"login",
        (5, b'e') => b"email",
        (6, b'u') => b"userid",
        (7, b'u') => b"user_id",
        (7, b'a') => b"account",
        (8, b'u') => b"username",
        (8, b'b') => b"benutzer",
        (8, b'c') => b"clientid",
        (9, b'u') => b"user_name",
        (9, b'c') => b"client_id",
        (11, b'i') => b"identifiant",
        (12, b'b') => b"benutzername",
        _ => return false,
    };
    member.eq_ignore_ascii_case(word)
}

/// Whether a member is called a secret.
pub(super) fn is_secret(member: &[u8]) -> bool {
    let start = member.len().checked_sub(6);
    start.is_some_and(|start| slice(member, start, member.len()).eq_ignore_ascii_case(b"secret"))
}

/// Whether a member before the one that begins at `start` says whose account it is.
pub(super) fn is_beside_login(text: &[u8], start: usize) -> bool {
    let head = slice(text, start.saturating_sub(OBJECT_MAX), start);
    let head = head.rsplit(|b| matches!(b, b'}' | b'{' | b'<')).next().unwrap_or_default();
    head.split(|b| matches!(b, b',' | b'\n' | b'\r' | b'&' | b';') || is_space(*b)).any(|member| {
        let sign = member.iter().position(|b| matches!(b, b':' | b'='));
        sign.is_some_and(|sign| is_login(bare(slice(member, 0, sign))))
    })
}

/// Whether a member says which field of a form the value beside it is for.
pub(super) fn is_place_member(member: &[u8]) -> bool {
    Member::of(member) == Member::Place
}

/// Where the name of a password stands in what says where a field is.
pub(super) fn field(place: &[u8]) -> Option<Range<usize>> {
    if place.len() > PLACE_MAX {
        return None;
    }
    let mut at = 0;
    while at < place.len() {
        let from = run_end(place, at, PLACE_MAX, |b| !is_name(b) || b == b'-' || b == b'.');
        let end = run_end(place, from, PLACE_MAX, |b| is_name(b) && b != b'-' && b != b'.');
        let mut word = end;
        // Of `password_field` the first part.
        while word > from {
            if names_password(slice(place, from, word)) {
                return Some(from..word);
            }
            word = slice(place, from, word).iter().rposition(|b| *b == b'_').map_or(from, |cut| from + cut);
        }
        at = end.max(at + 1);
    }
    None
}

/// Whether a member says how the value beside it is called.
pub(in crate::redact) fn is_name_member(member: &[u8]) -> bool {
    Member::of(member) == Member::Name
}
