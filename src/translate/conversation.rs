//! The neutral form of a request: what a client asks of a model, in no provider's words. Apart from the readers and
//! writers because it is all that they share. Borrows from the client's body; nothing in it is decided on.

use crate::{json::Value, refusal::Refusal};
use std::borrow::Cow;

/// A request. What is `None` or empty was not asked for, or asks for what happens anyway.
#[derive(Debug)]
pub(super) struct Conversation<'v> {
    pub(super) model: &'v str,
    pub(super) turns: Vec<Turn<'v>>,
    pub(super) tools: Vec<Tool<'v>>,
    pub(super) choice: Option<Choice<'v>>,
    /// Whether the model may make at most one call.
    pub(super) one_call: bool,
    /// The most tokens of an answer, a whole number as it was written.
    pub(super) tokens_max: Option<&'v Value<'v>>,
    /// A number as it was written, from 0 to 1 or to 2.
    pub(super) temperature: Option<&'v Value<'v>>,
    /// A number as it was written, from 0 to 1.
    pub(super) top_p: Option<&'v Value<'v>>,
    pub(super) stop: Vec<&'v str>,
    /// The end user, as the client names him.
    pub(super) user: Option<&'v str>,
    pub(super) effort: Option<Effort>,
    pub(super) format: Option<Format<'v>>,
    pub(super) stream: bool,
}

impl<'v> Conversation<'v> {
    /// A request that asks nothing yet.
    pub(super) fn with(model: &'v str) -> Self {
        Self {
            model,
            turns: Vec::new(),
            tools: Vec::new(),
            choice: None,
            one_call: false,
            tokens_max: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            user: None,
            effort: None,
            format: None,
            stream: false,
        }
    }
}

/// One turn, in the order of the body.
#[derive(Debug)]
pub(super) enum Turn<'v> {
    Assistant(Vec<Said<'v>>),
    /// The outcome of one call.
    Result(Outcome<'v>),
    /// Texts of the operator of the client, wherever they stand.
    System(Vec<&'v str>),
    User(Vec<Part<'v>>),
}

/// What an assistant said in an earlier turn. Its thinking is not here: it is the other model's own.
#[derive(Debug)]
pub(super) enum Said<'v> {
    Call {
        id: &'v str,
        name: &'v str,
        /// JSON text, as the model produced it; empty for no arguments.
        arguments: Cow<'v, str>,
        at: At,
    },
    Text(&'v str),
}

/// What a tool answered.
#[derive(Debug)]
pub(super) struct Outcome<'v> {
    /// The id of the call.
    pub(super) call: &'v str,
    pub(super) content: Vec<Part<'v>>,
    pub(super) error: bool,
}

/// A part of what a user said or a tool answered.
#[derive(Debug)]
pub(super) enum Part<'v> {
    Document(Document<'v>),
    Image(Source<'v>),
    Text(&'v str),
}

/// A document, with what the client says about it.
#[derive(Debug)]
pub(super) struct Document<'v> {
    pub(super) title: Option<&'v str>,
    pub(super) context: Option<&'v str>,
    pub(super) source: DocumentSource<'v>,
    pub(super) at: At,
}

/// Where a document's content is.
#[derive(Debug)]
pub(super) enum DocumentSource<'v> {
    Pdf(Source<'v>),
    Text(&'v str),
}

/// Where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source<'v> {
    Base64 { media_type: &'v str, data: &'v str },
    Url(&'v str),
}

impl<'v> Source<'v> {
    /// What a URL in an OpenAI request says: bytes in Base64, or where they are.
    pub(super) fn url(url: &'v str, at: &At) -> Result<Self, Refusal> {
        let is =
            |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        if is("https:") || is("http:") {
            return Ok(Self::Url(url));
        }
        let data = is("data:").then(|| url.split_at_checked("data:".len())).flatten();
        data.and_then(|(_, rest)| rest.split_once(";base64,"))
            .map(|(media_type, data)| Self::Base64 { media_type, data })
            .ok_or_else(|| at.uncarried_but("use an https URL, or `data:TYPE;base64,…`"))
    }

    /// The bytes of a PDF in an OpenAI request.
    pub(super) fn pdf(url: &'v str, at: &At) -> Result<Self, Refusal> {
        match Self::url(url, at) {
            Ok(source @ Self::Base64 { media_type: "application/pdf", .. }) => Ok(source),
            Ok(_) | Err(_) => {
                Err(at.uncarried_but("only a data URL of a PDF can: `data:application/pdf;base64,…`"))
            }
        }
    }
}

/// A function that the model may call.
#[derive(Debug)]
pub(super) struct Tool<'v> {
    pub(super) name: &'v str,
    pub(super) description: Option<&'v str>,
    /// A JSON Schema of an object; `None` for no parameters.
    pub(super) parameters: Option<&'v Value<'v>>,
    /// Whether calls must follow the schema.
    pub(super) strict: bool,
}

/// What the model has to do with the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice<'v> {
    /// It must call one of them.
    Any,
    Auto,
    None,
    /// It must call this one.
    One(&'v str),
}

/// How hard the model should think. Ordered from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// The effort as both providers name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == name)
    }
}

/// The form that the answer's text must have.
#[derive(Debug)]
pub(super) enum Format<'v> {
    /// Any JSON object.
    Object { at: At },
    Schema {
        name: Option<&'v str>,
        description: Option<&'v str>,
        schema: &'v Value<'v>,
        /// Whether the answer must follow it, not only be led by it.
        strict: bool,
    },
}

/// The place of a parameter in the client's body, for the refusal of a writer: `messages[2].content[0].file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At(pub(super) String);
