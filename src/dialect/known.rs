//! Events of plain text that are known again by the bytes around their text: the fast path of a stream.
//! Which events may be learnt is the dialect's business; that an equal one is found is ours.

/// OpenAI pads events with a text of random length, so that their sizes do not tell the text's.
const PADDING: &[u8] = br#""obfuscation":""#;

/// An event of plain text that was read before: what stands before and behind its text.
#[derive(Debug, Clone)]
pub(super) struct Known {
    prefix: Box<[u8]>,
    /// Up to the end of the event, or to its padding.
    suffix: Box<[u8]>,
    /// What stands behind the padding, if there is one.
    behind_padding: Option<Box<[u8]>>,
    /// A member of the suffix that does not leave.
    unsent: Option<Box<[u8]>>,
    /// The choice, block or item that the text belongs to.
    pub(super) choice: u64,
}

impl Known {
    /// Remembers an event by its text, which has to be borrowed from `raw`: to look for it could find another text
    /// that reads the same. An empty text is not remembered: something was said only after one that is not.
    pub(super) fn learn(text: &str, raw: &[u8], choice: u64) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        // A text with escapes was not borrowed; it lies elsewhere in memory.
        let start = text.as_ptr().addr().checked_sub(raw.as_ptr().addr())?;
        let (prefix, rest) = raw.split_at_checked(start)?;
        let suffix = rest.strip_prefix(text.as_bytes())?;
        let mut padded = memchr::memmem::find_iter(suffix, PADDING);
        let (suffix, behind_padding) = match (padded.next(), padded.next()) {
            (Some(at), None) => {
                let (suffix, padding) = suffix.split_at_checked(at + PADDING.len())?;
                (suffix, Some(text_and_rest(padding)?.1.into()))
            }
            _ => (suffix, None),
        };
        Some(Self { prefix: prefix.into(), suffix: suffix.into(), behind_padding, unsent: None, choice })
    }

    /// The same, of which `member` does not leave; `None` unless it stands once, behind the text.
    pub(super) fn leaving_out(mut self, member: &[u8]) -> Option<Self> {
        let mut found = memchr::memmem::find_iter(&self.suffix, member);
        (found.next().is_some() && found.next().is_none()).then_some(())?;
        self.unsent = Some(member.into());
        Some(self)
    }

    /// Whether something of such an event does not leave.
    pub(super) fn sends_less(&self) -> bool {
        self.unsent.is_some()
    }

    /// Appends what leaves of an event that is this one.
    pub(super) fn write_less(&self, event: &[u8], out: &mut Vec<u8>) {
        let member = self.unsent.as_deref().unwrap_or_default();
        let at = memchr::memmem::rfind(event, member).unwrap_or(event.len());
        out.extend_from_slice(event.get(..at).unwrap_or_default());
        out.extend_from_slice(event.get(at + member.len()..).unwrap_or_default());
    }

    /// The escaped text of the event at the start of `bytes`, and the event's length, if it is this one.
    pub(super) fn text<'b>(&self, bytes: &'b [u8]) -> Option<(&'b [u8], usize)> {
        let (text, rest) = text_and_rest(bytes.strip_prefix(&*self.prefix)?)?;
        let rest = rest.strip_prefix(&*self.suffix)?;
        let rest = match &self.behind_padding {
            Some(behind) => text_and_rest(rest)?.1.strip_prefix(&**behind)?,
            None => rest,
        };
        Some((text, bytes.len() - rest.len()))
    }
}

/// The escaped text of a JSON string behind its opening quote, and what begins with its closing one.
fn text_and_rest(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(text_end(bytes)?)?;
    (text.is_ascii() || std::str::from_utf8(text).is_ok()).then_some((text, rest))
}

/// The place of the quote that ends a JSON string; `None` if it holds what needs the strict reader.
fn text_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => match bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => return None,
            },
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// Whether the event is exactly `data: …`, a line feed and a blank line: the one form that all clients read alike.
pub(super) fn is_plain(raw: &[u8]) -> bool {
    let Some(line) = raw.strip_prefix(b"data: ").and_then(|rest| rest.strip_suffix(b"\n\n")) else {
        return false;
    };
    memchr::memchr2(b'\n', b'\r', line).is_none()
}

/// The same with the event's name in a line before its data: `event: NAME`.
pub(super) fn is_plain_named(raw: &[u8], name: &str) -> bool {
    let named = raw.strip_prefix(b"event: ").and_then(|rest| rest.strip_prefix(name.as_bytes()));
    named.and_then(|rest| rest.strip_prefix(b"\n")).is_some_and(is_plain)
}
