//! Messages over stdio: one a line. Lines are put together from pieces that are split anywhere, up to a length.

use bytes::{Bytes, BytesMut};

/// Puts lines together. No more than one line and one piece is held.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// So much of the buffer holds no line break.
    scanned: usize,
    bytes_max: usize,
    /// The rest of a line that was too long.
    skips: bool,
}

/// A line, without its line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Whole(Bytes),
    /// The beginning of one that is too long. The rest is left out.
    Cut(Bytes),
}

impl Lines {
    /// Of lines up to this length; `\r` before the line break counts.
    pub fn new(bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, bytes_max, skips: false }
    }

    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line, once it is there. Blank ones are left out.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(at) = memchr::memchr(b'\n', fresh) else { return self.unfinished() };
            let mut line = self.buffer.split_to(self.scanned.saturating_add(at).saturating_add(1));
            self.scanned = 0;
            line.truncate(line.len().saturating_sub(1));
            if std::mem::take(&mut self.skips) {
                continue;
            }
            if line.len() > self.bytes_max {
                line.truncate(self.bytes_max);
                return Some(Line::Cut(line.freeze()));
            }
            if line.last() == Some(&b'\r') {
                line.truncate(line.len().saturating_sub(1));
            }
            if !line.trim_ascii().is_empty() {
                return Some(Line::Whole(line.freeze()));
            }
        }
    }

    /// How much of a line is there whose end is not.
    pub fn begun(&self) -> usize {
        self.buffer.len()
    }

    /// Leaves out the line that is there in part.
    pub fn skip(&mut self) {
        self.skips = true;
        self.scanned = 0;
        self.buffer = BytesMut::new();
    }

    fn unfinished(&mut self) -> Option<Line> {
        if self.skips {
            self.buffer.clear();
        }
        self.scanned = self.buffer.len();
        if self.scanned <= self.bytes_max {
            return None;
        }
        self.skips = true;
        self.scanned = 0;
        let mut line = std::mem::take(&mut self.buffer);
        line.truncate(self.bytes_max);
        Some(Line::Cut(line.freeze()))
    }

    /// What came behind the last line break, when nothing more comes.
    pub fn rest(&mut self) -> Option<Bytes> {
        self.scanned = 0;
        let rest = std::mem::take(&mut self.buffer);
        (!std::mem::take(&mut self.skips) && !rest.trim_ascii().is_empty()).then(|| rest.freeze())
    }
}

/// A message as a line. Within JSON a line break is nothing but space.
pub fn line_of(mut message: Vec<u8>) -> Bytes {
    for byte in &mut message {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    message.push(b'\n');
    Bytes::from(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]], bytes_max: usize) -> (Vec<Line>, Option<Bytes>) {
        let mut lines = Lines::new(bytes_max);
        let mut found = Vec::new();
        for piece in pieces {
            lines.push(piece);
            while let Some(line) = lines.next_line() {
                found.push(line);
            }
            assert!(lines.buffer.len() <= bytes_max, "more than a line is held");
        }
        (found, lines.rest())
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_line_is_the_same_however_it_is_split() {
        let text = b"{\"a\":1}\r\n\n \r\n{}\n12345678\n123456789\n1234567\r\n12345678\r\nx\nhalf";
        let cut = || Line::Cut(Bytes::from_static(b"12345678"));
        let expected = vec![
            whole("{\"a\":1}"),
            whole("{}"),
            whole("12345678"),
            cut(),
            whole("1234567"),
            cut(),
            whole("x"),
        ];
        let expected = (expected, Some(Bytes::from_static(b"half")));
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(lines(&pieces, 8), expected, "{first} {second}");
            }
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&bytes, 8), expected);
    }

    #[test]
    fn the_rest_of_a_line_that_was_too_long_is_no_line() {
        assert_eq!(lines(&[b"123", b"45"], 2).1, None);
        assert_eq!(lines(&[b"123", b"45\n6"], 2).1, Some(Bytes::from_static(b"6")));
    }

    /// A line that is left out ends where it ends, wherever that was decided.
    #[test]
    fn a_line_can_be_left_out_from_any_byte_on() {
        let text = b"first\nsecond\nthird\n";
        for cut in 7..12 {
            let mut lines = Lines::new(100);
            lines.push(&text[..cut]);
            assert_eq!(lines.next_line(), Some(whole("first")));
            assert_eq!((lines.next_line(), lines.begun()), (None, cut - 6));
            lines.skip();
            lines.push(&text[cut..]);
            assert_eq!((lines.next_line(), lines.next_line()), (Some(whole("third")), None), "{cut}");
        }
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(line_of(b"{\r\n\"a\":\"\\n\"}".to_vec()), Bytes::from_static(b"{  \"a\":\"\\n\"}\n"));
    }

    proptest! {
        #[test]
        fn any_bytes_at_any_split(
            bytes in prop::collection::vec(prop::sample::select(b"ab \r\n".to_vec()), 0..60),
            sizes in prop::collection::vec(1_usize..9, 1..60),
            bytes_max in 1_usize..12,
        ) {
            let mut pieces = Vec::new();
            let mut left = &bytes[..];
            for size in sizes.iter().cycle() {
                if left.is_empty() {
                    break;
                }
                let (piece, rest) = left.split_at((*size).min(left.len()));
                pieces.push(piece);
                left = rest;
            }
            prop_assert_eq!(lines(&pieces, bytes_max), lines(&[&bytes], bytes_max));
        }
    }
}
