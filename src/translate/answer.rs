//! One answer on its way back: the upstream's bytes in, the client's dialect out, whole or streamed and split
//! anywhere. Apart from the readers and writers because it alone knows of bytes, and of the end of a body.

use super::{
    Client, Upstream, chat, messages,
    piece::{Piece, Tokens},
    refusals, responses,
    whole::Whole,
};
use crate::{
    dialect::HoldLimits,
    json::{self, Value},
    refusal::Refusal,
    sse,
    usage::Usage,
};

/// An event larger than this (beyond the longest arguments) cannot be read and ends the answer.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// So much of an answer's text is held at most, where the client's API says all of it again at its end.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

/// What an answer needs of its request.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// When the request came, in seconds since 1970.
    pub created: u64,
    pub limits: HoldLimits,
    /// Whether the client is to see the model's thinking. Chat Completions clients always are.
    pub thinking: bool,
}

impl About {
    /// What the answer to this request needs. `created`: when it came, in seconds since 1970.
    pub fn request(client: Client, body: &Value<'_>, created: u64, limits: HoldLimits) -> Self {
        let thinking = match client {
            Client::Chat => true,
            Client::Messages => body.present("thinking").is_some_and(|thinking| {
                let is = |key, value| thinking.get(key).and_then(Value::as_str) == Some(value);
                !is("type", "disabled") && !is("display", "omitted")
            }),
            Client::Responses => body.present("reasoning").is_some_and(|reasoning| {
                reasoning.present("summary").or_else(|| reasoning.present("generate_summary")).is_some()
            }),
        };
        Self { created, limits, thinking }
    }
}

/// A call that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub tool: String,
    /// Its arguments, as far as they came.
    pub text: String,
}

/// Translates one answer. Whatever `read` and `end` append before they return `Err` may be sent; nothing after.
#[derive(Debug)]
pub struct Answer {
    about: About,
    client: Client,
    reader: Reader,
    writer: Writer,
    /// An incomplete event.
    pending: Vec<u8>,
    /// How far it was looked through.
    scan: sse::Scan,
    failed: bool,
}

#[derive(Debug)]
enum Reader {
    Chat(chat::Reader),
    Messages(messages::Reader),
}

#[derive(Debug)]
enum Writer {
    Chat(chat::Writer),
    Messages(messages::Writer),
    Responses(Box<responses::Writer>),
}

impl Answer {
    /// Translates an answer of the upstream's API into one of the client's.
    pub fn new(upstream: Upstream, client: Client, about: About) -> Self {
        let reader = match upstream {
            Upstream::Chat => Reader::Chat(chat::Reader::new(about.limits)),
            Upstream::Messages => Reader::Messages(messages::Reader::new(about.limits)),
        };
        let writer = match client {
            Client::Chat => Writer::Chat(chat::Writer::new(about.created)),
            Client::Messages => Writer::Messages(messages::Writer::new(about)),
            Client::Responses => Writer::Responses(Box::new(responses::Writer::new(about))),
        };
        Self { about, client, reader, writer, pending: Vec::new(), scan: sse::Scan::default(), failed: false }
    }

    /// Translates a whole answer.
    pub fn whole(&mut self, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let body = json::parse(body, self.about.limits.nesting.max(32))
            .map_err(|_| refusals::unreadable_answer())?;
        let mut whole = Whole::default();
        let hidden = !self.about.thinking;
        let mut put = |piece: Piece<'_>| {
            if !(hidden && matches!(piece, Piece::Thinking(_))) {
                whole.add(piece);
            }
        };
        match &mut self.reader {
            Reader::Chat(reader) => reader.whole(body, &mut put),
            Reader::Messages(reader) => reader.whole(&body, &mut put),
        }?;
        let body = match self.client {
            Client::Chat => chat::whole(&whole, self.about.created),
            Client::Messages => messages::whole(&whole, &self.about),
            Client::Responses => {
                responses::whole(whole, self.about).ok_or_else(refusals::unreadable_answer)?
            }
        };
        let mut out = Vec::new();
        json::write(&body, &mut out);
        Ok(out)
    }

    /// Takes in bytes of a stream as they come, split anywhere, and appends what they say.
    pub fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.failed || self.reader.is_done() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.pending);
        let read = if buffer.is_empty() {
            self.events(bytes, out).map(<[u8]>::to_vec)
        } else {
            buffer.extend_from_slice(bytes);
            let rest = self.events(&buffer, out).map(<[u8]>::len);
            rest.map(|rest| {
                buffer.drain(..buffer.len() - rest);
                buffer
            })
        };
        let read = read.and_then(|rest| {
            if rest.len() < self.event_bytes_max() { Ok(rest) } else { Err(refusals::unreadable_stream()) }
        });
        self.failed = read.is_err();
        self.pending = read?;
        Ok(())
    }

    /// The upstream's body ended. An answer that did not come to its end gets none here: what is missing shows.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        // A CR at the very end ends a line after all: no LF follows it any more.
        if self.pending.last() == Some(&b'\r') {
            self.read(b"\n", out)?;
        }
        if self.failed {
            return Ok(());
        }
        let mut put = self.writer.sink(self.about, out);
        match &mut self.reader {
            Reader::Chat(reader) => reader.end(&mut put),
            // Only its own last event ends it.
            Reader::Messages(_) => Ok(()),
        }
    }

    /// Whether a call is held back at the moment, so that nothing is sent though the upstream goes on.
    pub fn holds(&self) -> bool {
        match &self.reader {
            Reader::Chat(reader) => reader.held() > 0,
            Reader::Messages(_) => false,
        }
    }

    /// Takes the calls that the client never sees any part of, because the answer ended before they did: for the
    /// record. Calls whose parts were sent are the inspector's to miss the end of.
    pub fn take_unfinished(&mut self) -> Vec<Unfinished> {
        match &mut self.reader {
            Reader::Chat(reader) => reader.take_unfinished(),
            Reader::Messages(_) => Vec::new(),
        }
    }

    /// What the upstream says was used; `None` until it does, though the client may read zeros.
    pub fn usage(&self) -> Option<Usage> {
        let tokens = self.reader.tokens()?;
        let (input, Tokens { cache_read, cache_written, output, .. }) = (tokens.input(), tokens);
        Some(Usage { input, cached_input: cache_read, cache_write: cache_written, output })
    }

    /// Whether that is what was used in all: told behind the reason to stop, or with it.
    pub fn is_counted(&self) -> bool {
        match &self.reader {
            Reader::Chat(reader) => reader.is_counted(),
            Reader::Messages(reader) => reader.is_counted(),
        }
    }

    /// How much is held of what came.
    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> usize {
        let calls = match &self.reader {
            Reader::Chat(reader) => reader.bytes_held(),
            Reader::Messages(reader) => reader.bytes_held(),
        };
        self.pending.len() + calls + self.writer.bytes_held()
    }

    /// What is larger cannot be read, whether it comes in pieces or at once.
    fn event_bytes_max(&self) -> usize {
        EVENT_BYTES_MAX + self.about.limits.tool_arguments
    }

    fn event(&mut self, event: &sse::Event<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut put = self.writer.sink(self.about, out);
        match &mut self.reader {
            Reader::Chat(reader) => reader.event(event, &mut put),
            Reader::Messages(reader) => reader.event(event, &mut put),
        }
    }

    /// Handles every complete event and returns the incomplete rest.
    fn events<'b>(&mut self, input: &'b [u8], out: &mut Vec<u8>) -> Result<&'b [u8], Refusal> {
        let mut rest = input;
        while !self.reader.is_done() {
            let Some(sse::Boundary { end }) = sse::boundary_from(rest, &mut self.scan) else {
                return Ok(rest);
            };
            if end > self.event_bytes_max() {
                return Err(refusals::unreadable_stream());
            }
            let (raw, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            let event = sse::event(raw).ok_or_else(refusals::unreadable_stream)?;
            if event.data.is_none() && event.comment {
                // Comments keep a connection alive.
                out.extend_from_slice(b":\n\n");
            }
            self.event(&event, out)?;
            if self.writer.bytes_held() > OUTPUT_BYTES_MAX {
                return Err(refusals::unreadable_stream());
            }
            rest = after;
        }
        Ok(&[])
    }
}

impl Reader {
    fn is_done(&self) -> bool {
        match self {
            Self::Chat(reader) => reader.is_done(),
            Self::Messages(reader) => reader.is_done(),
        }
    }

    fn tokens(&self) -> Option<Tokens> {
        match self {
            Self::Chat(reader) => reader.tokens(),
            Self::Messages(reader) => reader.tokens(),
        }
    }
}

impl Writer {
    /// How much of the answer's text is held.
    fn bytes_held(&self) -> usize {
        match self {
            Self::Chat(_) | Self::Messages(_) => 0,
            Self::Responses(writer) => writer.bytes_held(),
        }
    }

    /// Where the pieces go, without what the client is not to see.
    fn sink<'w>(&'w mut self, about: About, out: &'w mut Vec<u8>) -> impl FnMut(Piece<'_>) + 'w {
        move |piece| {
            if about.thinking || !matches!(piece, Piece::Thinking(_)) {
                self.put(&piece, out);
            }
        }
    }

    fn put(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Chat(writer) => writer.put(piece, out),
            Self::Messages(writer) => writer.put(piece, out),
            Self::Responses(writer) => writer.put(piece, out),
        }
    }
}
