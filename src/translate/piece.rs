//! The neutral form of an answer: pieces in the order in which a model produces them. A whole answer and a stream
//! are read into the same pieces, and both are written from them. Apart from the readers and writers because it is
//! all that they share.

use crate::json::Value;
use std::borrow::Cow;

/// A piece of an answer. The first is `Start`, the last `End`; calls do not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'p> {
    Start {
        id: Cow<'p, str>,
        model: Cow<'p, str>,
    },
    /// Never empty, as all pieces of text.
    Text(Cow<'p, str>),
    Thinking(Cow<'p, str>),
    /// What the model says instead of an answer that it refuses to give.
    Refusal(Cow<'p, str>),
    /// A call begins; an id may be empty.
    Call {
        id: Cow<'p, str>,
        name: Cow<'p, str>,
    },
    /// More of the argument text of the call that is open.
    Arguments(Cow<'p, str>),
    /// The argument text of the open call is complete; without any, the call has no arguments.
    CallEnd,
    /// The answer came to its end.
    End {
        stop: Stop,
        tokens: Option<Tokens>,
    },
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    Calls,
    End,
    /// At most so many tokens.
    Length,
    Refusal,
    /// One of the request's stop sequences, where the provider says which.
    Sequence(Option<String>),
}

impl Stop {
    /// The reason that fits what was said: providers end for calls without any, and without calls with some.
    pub(super) fn after(self, calls: bool) -> Self {
        match self {
            Self::Calls | Self::End => {
                if calls {
                    Self::Calls
                } else {
                    Self::End
                }
            }
            Self::Length | Self::Refusal | Self::Sequence(_) => self,
        }
    }
}

/// What an answer used, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Input that was neither read from a cache nor written to one.
    pub(super) fresh: u64,
    pub(super) cache_read: u64,
    pub(super) cache_written: u64,
    /// All output, thinking included.
    pub(super) output: u64,
    /// Output that was thinking, where the provider says so.
    pub(super) thinking: Option<u64>,
}

impl Tokens {
    /// All input.
    pub(super) fn input(&self) -> u64 {
        self.fresh.saturating_add(self.cache_read).saturating_add(self.cache_written)
    }
}

/// A longer id or name of a model is none: it stands in every event that is written.
const WORD_BYTES_MAX: usize = 1024;

/// The start of an answer, as both APIs tell it; `None` if its words are too long.
pub(super) fn start<'p>(message: &'p Value<'_>) -> Option<Piece<'p>> {
    let word = |key| {
        let word = message.get(key).and_then(Value::as_str).unwrap_or_default();
        (word.len() <= WORD_BYTES_MAX).then_some(Cow::Borrowed(word))
    };
    Some(Piece::Start { id: word("id")?, model: word("model")? })
}

/// A count of tokens as a provider reports it. Negative or absurd figures are none.
pub(super) fn count(value: Option<&Value<'_>>) -> Option<u64> {
    value.and_then(Value::as_u64).filter(|&tokens| tokens < 100_000_000)
}
