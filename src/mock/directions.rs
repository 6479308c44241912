//! What a message can ask for, as types. Apart from `plan` because every endpoint obeys them, and only those that talk
//! have a plan; how they are read is the business of `directive`.

use std::time::Duration;

use serde_json::{Map, Value};

/// What the message asks for; `Default` is an ordinary answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Directions {
    /// The lines that are not directives.
    pub(super) plain: String,
    pub(super) reasoning: Option<String>,
    pub(super) speech: Option<Speech>,
    pub(super) acts: Vec<Act>,
    pub(super) finish: Option<Finish>,
    pub(super) form: Form,
    pub(super) usage: UsageForm,
    pub(super) transport: Transport,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Speech {
    Text(String),
    Refusal(String),
}

/// What the model does besides talking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Call(PlannedCall),
    /// A tool that the provider itself ran: its type.
    Hosted(String),
    /// An item or block of this type, with these members over the usual ones.
    Item {
        kind: String,
        members: Map<String, Value>,
    },
}

/// A tool call: `arguments` is whatever text, valid JSON or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedCall {
    pub(super) name: String,
    pub(super) arguments: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Length,
    ToolCalls,
    FunctionCall,
    ContentFilter,
}

impl Finish {
    /// The word on the wire.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::FunctionCall => "function_call",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// How text and calls are laid out in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Form {
    pub(super) kind: CallKind,
    pub(super) index: IndexForm,
    pub(super) order: Order,
    /// Deltas of text; without it one a word.
    pub(super) text_chunks: Option<usize>,
    pub(super) fragment_bytes: Option<usize>,
    pub(super) arguments_in: ArgumentsIn,
    pub(super) last_copy: LastCopy,
    pub(super) repeat_id: bool,
    pub(super) name_split: bool,
    pub(super) object_args: bool,
}

/// The first event of a streamed Responses item that has its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ArgumentsIn {
    #[default]
    Deltas,
    Done,
    ItemDone,
}

/// What the last event of a Responses stream repeats of the calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum LastCopy {
    #[default]
    Same,
    /// These arguments instead.
    Differs(String),
    /// The calls are nowhere else.
    Only,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum CallKind {
    #[default]
    Function,
    Legacy,
    Custom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum IndexForm {
    #[default]
    Dense,
    Absent,
    Zero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Order {
    #[default]
    OneByOne,
    Interleaved,
    Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum UsageForm {
    #[default]
    Estimated,
    Absent,
    Stated(Usage),
}

/// Tokens. What was cached is a part of `input`, what was reasoned a part of `output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cached: u64,
    pub(super) reasoning: u64,
}

/// How the answer travels; every endpoint heeds it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Transport {
    pub(super) fate: Fate,
    pub(super) end: End,
    pub(super) slow_head: Duration,
    pub(super) delay: Duration,
    pub(super) split_bytes: Option<usize>,
    pub(super) crlf: bool,
    pub(super) garbage: bool,
    pub(super) headers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    #[default]
    Answer,
    Hang,
    /// `times`: how often before it answers; always without it.
    Fail {
        status: u16,
        retry_after_s: Option<u64>,
        times: Option<usize>,
    },
}

/// The end of a stream. The numbers count events from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum End {
    #[default]
    Done,
    NoDone,
    Cut(usize),
    Stall(usize),
    Error(usize),
}
