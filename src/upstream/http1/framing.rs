//! Where an answer's body ends: by length, by chunks, by the close. Pure; between two reads it is a few integers.
//! Apart because a byte too many or too few here hands one tenant's answer to another.

/// Chunk extensions of a whole body, and its trailers, in bytes.
const EXTENSION_BYTES_MAX: u32 = 16 * 1024;
const TRAILER_BYTES_MAX: u32 = 8 * 1024;

/// The framing broke the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MalformedFraming;

/// What is left of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Framing(State);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Done,
    Length(u64),
    UntilClose,
    Chunked { at: Chunk, extension_bytes: u32 },
}

/// The place within chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    FirstDigit,
    Size(u64),
    Extension(u64),
    SizeLf(u64),
    /// Bytes left of a chunk; at 0 its line end is due.
    Data(u64),
    DataLf,
    /// At the start of a trailer line; the bytes of all trailers so far.
    TrailerStart(u32),
    Trailer(u32),
    TrailerLf(u32),
    EndLf,
}

impl Framing {
    pub(super) const fn done() -> Self {
        Self(State::Done)
    }

    pub(super) const fn length(bytes: u64) -> Self {
        Self(if bytes == 0 { State::Done } else { State::Length(bytes) })
    }

    pub(super) const fn until_close() -> Self {
        Self(State::UntilClose)
    }

    pub(crate) const fn chunked() -> Self {
        Self(State::Chunked { at: Chunk::FirstDigit, extension_bytes: 0 })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0 == State::Done
    }

    /// What a body with a known length still has.
    pub(super) const fn bytes_left(&self) -> Option<u64> {
        match self.0 {
            State::Done => Some(0),
            State::Length(left) => Some(left),
            State::UntilClose | State::Chunked { .. } => None,
        }
    }

    /// Whether a clean close is the end of this body.
    pub(super) fn ends_by_close(&self) -> bool {
        self.0 == State::UntilClose
    }

    /// Hands the payload in `input` to `sink` and returns what is behind the body's end: empty unless done.
    pub(crate) fn decode<'a>(
        &mut self,
        mut input: &'a [u8],
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<&'a [u8], MalformedFraming> {
        while !input.is_empty() {
            match &mut self.0 {
                State::Done => break,
                State::UntilClose => {
                    sink(input);
                    return Ok(&[]);
                }
                State::Length(left) => {
                    input = take_data(left, input, sink);
                    if *left == 0 {
                        self.0 = State::Done;
                    }
                }
                State::Chunked { at: Chunk::Data(left), .. } if *left > 0 => {
                    input = take_data(left, input, sink);
                }
                State::Chunked { at, extension_bytes } => {
                    let Some((&byte, rest)) = input.split_first() else {
                        break;
                    };
                    match step(*at, byte, extension_bytes)? {
                        Some(next) => *at = next,
                        None => self.0 = State::Done,
                    }
                    input = rest;
                }
            }
        }
        Ok(input)
    }
}

fn take_data<'a>(left: &mut u64, input: &'a [u8], sink: &mut dyn FnMut(&[u8])) -> &'a [u8] {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let (data, rest) = input.split_at_checked(count).unwrap_or((input, &[]));
    sink(data);
    *left = left.saturating_sub(data.len() as u64);
    rest
}

/// One framing byte: the next place, or nothing at the body's end.
fn step(at: Chunk, byte: u8, extension_bytes: &mut u32) -> Result<Option<Chunk>, MalformedFraming> {
    Ok(Some(match (at, byte) {
        (Chunk::FirstDigit, _) => Chunk::Size(u64::from(digit(byte)?)),
        (Chunk::Size(size) | Chunk::Extension(size), b'\r') => Chunk::SizeLf(size),
        (Chunk::Size(size), b';' | b' ' | b'\t') => Chunk::Extension(size),
        (Chunk::Size(size), _) => {
            let shifted = size.checked_mul(16).ok_or(MalformedFraming)?;
            Chunk::Size(shifted | u64::from(digit(byte)?))
        }
        (Chunk::Extension(size), _) if is_text(byte) => {
            *extension_bytes = count(*extension_bytes, EXTENSION_BYTES_MAX)?;
            Chunk::Extension(size)
        }
        (Chunk::SizeLf(0), b'\n') => Chunk::TrailerStart(0),
        (Chunk::SizeLf(size), b'\n') => Chunk::Data(size),
        (Chunk::Data(0), b'\r') => Chunk::DataLf,
        (Chunk::DataLf, b'\n') => Chunk::FirstDigit,
        (Chunk::TrailerStart(_), b'\r') => Chunk::EndLf,
        (Chunk::TrailerStart(seen) | Chunk::Trailer(seen), _) if is_text(byte) => {
            Chunk::Trailer(count(seen, TRAILER_BYTES_MAX)?)
        }
        (Chunk::Trailer(seen), b'\r') => Chunk::TrailerLf(seen),
        (Chunk::TrailerLf(seen), b'\n') => Chunk::TrailerStart(seen),
        (Chunk::EndLf, b'\n') => return Ok(None),
        _ => return Err(MalformedFraming),
    }))
}

fn digit(byte: u8) -> Result<u8, MalformedFraming> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(MalformedFraming),
    }
}

/// Neither a control character nor a line's end.
const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn count(seen: u32, most: u32) -> Result<u32, MalformedFraming> {
    if seen < most { Ok(seen + 1) } else { Err(MalformedFraming) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Payload and surplus, fed in the given pieces.
    fn decode(mut framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, bool), MalformedFraming> {
        let (mut payload, mut surplus) = (Vec::new(), Vec::new());
        for piece in pieces {
            let rest = framing.decode(piece, &mut |data| payload.extend_from_slice(data))?;
            surplus.extend_from_slice(rest);
        }
        Ok((payload, surplus, framing.is_done()))
    }

    #[track_caller]
    fn check(body: &str, expected: Result<(&str, &str, bool), MalformedFraming>) {
        let expected = expected.map(|(p, s, d)| (p.as_bytes().to_vec(), s.as_bytes().to_vec(), d));
        for at in 0..=body.len() {
            let (a, b) = body.as_bytes().split_at(at);
            assert_eq!(decode(Framing::chunked(), &[a, b]), expected, "{body:?} split at {at}");
        }
    }

    #[test]
    fn chunked_bodies() {
        check("5\r\nhello\r\n0\r\n\r\n", Ok(("hello", "", true)));
        check("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nHTTP", Ok(("hello world", "HTTP", true)));
        check("005;a=b; c=\"d\"\r\nhello\r\n0;x\r\nT: v\r\nU: w\r\n\r\n", Ok(("hello", "", true)));
        check("A \r\n0123456789\r\n0 \r\n\r\n", Ok(("0123456789", "", true)));
        check("5\r\nhel", Ok(("hel", "", false)));
        check("5\r\nhello\r\n0\r\n", Ok(("hello", "", false)));
        check("5\r\nhello\r\n0\r\n\r", Ok(("hello", "", false)));
    }

    #[test]
    fn chunked_bodies_that_break_the_rules() {
        for body in [
            "\r\n",
            ";x\r\n",
            " 5\r\nhello",
            "0x5\r\nhello",
            "-5\r\nhello",
            "+5\r\n",
            "g\r\n",
            "5\nhello\n",
            "5\rhello",
            "5\r\nhelloX",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello\r0",
            "5\r\nhello0\r\n\r\n",
            "10000000000000000\r\n",
            "fffffffffffffffff\r\n",
            "5;a\nb\r\nhello",
            "5;\0\r\n",
            "0\r\n\n",
            "0\r\nx: y\n\r\n",
            "0\r\nx: \0\r\n\r\n",
            "0\r\n\rX",
        ] {
            check(body, Err(MalformedFraming));
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let trailers = |bytes| format!("0\r\n{}\r\n\r\n", "t".repeat(bytes)).into_bytes();
        assert!(decode(Framing::chunked(), &[&trailers(8 * 1024)]).is_ok());
        assert_eq!(decode(Framing::chunked(), &[&trailers(8 * 1024 + 1)]), Err(MalformedFraming));
        let extensions = format!("1;{}\r\nx\r\n", "e".repeat(1024)).repeat(17).into_bytes();
        assert_eq!(decode(Framing::chunked(), &[&extensions]), Err(MalformedFraming));
        assert!(decode(Framing::chunked(), &[&extensions[..16 * 1031]]).is_ok());
    }

    #[test]
    fn lengths_and_closes() {
        assert_eq!(decode(Framing::length(3), &[b"ab", b"cd"]), Ok((b"abc".to_vec(), b"d".to_vec(), true)));
        assert_eq!(decode(Framing::length(0), &[b"x"]), Ok((vec![], b"x".to_vec(), true)));
        assert_eq!(decode(Framing::until_close(), &[b"ab", b"cd"]), Ok((b"abcd".to_vec(), vec![], false)));
        assert_eq!(decode(Framing::length(u64::MAX), &[b"ab"]), Ok((b"ab".to_vec(), vec![], false)));
    }

    proptest! {
        #[test]
        fn any_chunking_and_any_split_gives_the_payload(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8), split in 1_usize..30) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\nrest");
            let pieces: Vec<&[u8]> = wire.chunks(split).collect();
            prop_assert_eq!(decode(Framing::chunked(), &pieces), Ok((chunks.concat(), b"rest".to_vec(), true)));
        }

        #[test]
        fn hostile_bytes_mean_the_same_at_every_split(body in prop::collection::vec(prop::sample::select(b"0019af;\r\n\r\n x\0".to_vec()), 0..60), split in 1_usize..10) {
            let pieces: Vec<&[u8]> = body.chunks(split).collect();
            prop_assert_eq!(decode(Framing::chunked(), &pieces), decode(Framing::chunked(), &[&body]));
        }
    }
}
