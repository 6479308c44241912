//! Server-sent events, split anywhere: bytes in, whole events out. Knows nothing of what an event means.
//! Source of the format: WHATWG HTML, section 9.2 (line ends LF, CRLF or CR; `data` lines joined by LF).

use std::borrow::Cow;

/// The bytes of one event end here: a blank line was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    /// Bytes from the start of the input to behind the blank line.
    pub end: usize,
}

/// How far an incomplete event was looked through, so that what comes in many pieces is looked through once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scan {
    line_start: usize,
    from: usize,
}

/// Finds the end of the first event in `bytes`, `None` while it is incomplete. A CR as the very last
/// byte is not yet a line end: an LF may follow.
pub fn boundary(bytes: &[u8]) -> Option<Boundary> {
    boundary_from(bytes, &mut Scan::default())
}

/// The same for bytes that were looked through so far. Once a boundary is found, the next event is looked through anew.
pub fn boundary_from(bytes: &[u8], scan: &mut Scan) -> Option<Boundary> {
    loop {
        let Some(found) = memchr::memchr2(b'\n', b'\r', bytes.get(scan.from..)?) else {
            scan.from = bytes.len();
            return None;
        };
        let at = scan.from + found;
        let next = match bytes.get(at) {
            Some(b'\r') => match bytes.get(at + 1) {
                None => {
                    scan.from = at;
                    return None;
                }
                Some(b'\n') => at + 2,
                Some(_) => at + 1,
            },
            _ => at + 1,
        };
        if at == scan.line_start {
            *scan = Scan::default();
            return Some(Boundary { end: next });
        }
        *scan = Scan { line_start: next, from: next };
    }
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event<'a> {
    /// The `event` field, if any.
    pub name: Option<&'a str>,
    /// The `data` lines joined; `None` when there is none (a comment, a retry, an id).
    pub data: Option<Cow<'a, str>>,
    /// Where to go on from when the stream breaks off behind this event.
    pub id: Option<&'a str>,
    /// How long to wait before that, in milliseconds.
    pub retry: Option<u64>,
    /// Whether the event has comment lines.
    pub comment: bool,
}

/// Reads the bytes of one event (with or without its blank line); `None` if they are not UTF-8.
pub fn event(bytes: &[u8]) -> Option<Event<'_>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut event = Event::default();
    for line in text.split(['\n', '\r']) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.starts_with(':') => event.comment = true,
            "event" => event.name = Some(value),
            "id" if !value.contains('\0') => event.id = Some(value),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => event.retry = value.parse().ok(),
            "data" => {
                event.data = Some(match event.data.take() {
                    None => Cow::Borrowed(value),
                    Some(earlier) => {
                        let mut lines = earlier.into_owned();
                        lines.push('\n');
                        lines.push_str(value);
                        Cow::Owned(lines)
                    }
                });
            }
            _ => {}
        }
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut rest = text.as_bytes();
        let mut found = Vec::new();
        while let Some(Boundary { end }) = boundary(rest) {
            let (bytes, after) = rest.split_at(end);
            found.extend(event(bytes).unwrap().data.map(Cow::into_owned));
            rest = after;
        }
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn line_ends_comments_and_fields() {
        check("data: a\n\ndata: b\n\n", &["a", "b"]);
        check("data: a\r\n\r\ndata:b\r\n\r\n", &["a", "b"]);
        check("data: a\r\rdata: b\r\r ", &["a", "b"]);
        check(": hi\n\nid: 1\nretry: 5\n\ndata: x\n\n", &["x"]);
        check("data: a\ndata: b\n\n", &["a\nb"]);
        check("data\n\n", &[""]);
        check("data: \u{2028}\n\n", &["\u{2028}"]);
        check("data: cut", &[]);
        check("data: cut\r\n\r", &[]);
    }

    #[test]
    fn what_comes_in_pieces_is_looked_through_as_if_it_were_whole() {
        let text = b"data: a\rdata: b\r\n: c\n\r\ndata: d\n\n";
        let mut scan = Scan::default();
        let found = (0..=text.len()).find_map(|end| boundary_from(&text[..end], &mut scan));
        assert_eq!(found, boundary(text));
        assert_eq!(scan, Scan::default());
    }

    #[test]
    fn names_are_read() {
        assert_eq!(event(b"event: ping\ndata: {}\n\n").unwrap().name, Some("ping"));
        assert!(event(b"data: \xff\n\n").is_none());
        let resumed = event(b"id: 7\nretry: 500\ndata\n\n").unwrap();
        assert_eq!((resumed.id, resumed.retry), (Some("7"), Some(500)));
        let odd = event(b"id: a\0\nretry: soon\n\n").unwrap();
        assert_eq!((odd.id, odd.retry), (None, None));
    }
}
