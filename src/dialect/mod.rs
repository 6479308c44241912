//! The languages that clients speak. One folder a dialect: understand a request, read an answer, take a call
//! out, refuse in its own words. Pure; what is decided comes from a `Judge`.
//!
//! What all dialects share stands beside the folders: the neutral request, the frame that reads a stream's events,
//! the transcript for the record. What differs is chosen here, by the API that is spoken, and nowhere else.

pub mod anthropic;
mod brought;
mod input;
mod keys;
mod known;
pub mod openai;
mod output;
mod parameters;
mod ran;
mod reply;
mod request;
pub mod responses;
mod stray;
mod stream;
mod transcript;

pub use input::Form;
pub use output::{OUTPUT_MAX, answer_max, answers, output_max};
pub(crate) use request::BUILTIN;
pub use request::{Answered, Forced, Kept, Listed, Offer, Request};
pub(crate) use stray::{is_nothing, stray_call};
use stream::{Desk, EVENT_BYTES_MAX, Seen, kind_of};
pub use stream::{Progress, Saved, Stream};
pub use transcript::Transcript;

use crate::{
    call::Arguments,
    json::{self, Value},
    mcp,
    records::Said,
    refusal::Refusal,
    trace::Reply,
    usage::Usage,
};
use std::collections::BTreeSet;

/// Which API a client speaks, or an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// OpenAI's Chat Completions.
    Chat,
    /// OpenAI's legacy Completions.
    Completions,
    /// Anthropic's count of a message's tokens.
    CountTokens,
    Embeddings,
    /// Anthropic's Messages.
    Messages,
    Moderations,
    /// OpenAI's Responses.
    Responses,
    /// What went into a stored response of OpenAI's.
    ResponseItems,
}

/// Whose words an error is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Anthropic,
    /// JSON-RPC, as the Model Context Protocol has it.
    Mcp,
    OpenAi,
}

impl Api {
    /// The API as records name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "openai.chat",
            Self::Completions => "openai.completions",
            Self::CountTokens => "anthropic.count_tokens",
            Self::Embeddings => "openai.embeddings",
            Self::Messages => "anthropic.messages",
            Self::Moderations => "openai.moderations",
            Self::Responses | Self::ResponseItems => "openai.responses",
        }
    }

    /// Whose words its errors are told in.
    pub fn family(self) -> Family {
        match self {
            Self::Chat
            | Self::Completions
            | Self::Embeddings
            | Self::Moderations
            | Self::Responses
            | Self::ResponseItems => Family::OpenAi,
            Self::CountTokens | Self::Messages => Family::Anthropic,
        }
    }

    /// Where it is found behind an upstream's URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completions => "/completions",
            Self::CountTokens => "/messages/count_tokens",
            Self::Embeddings => "/embeddings",
            Self::Messages => "/messages",
            Self::Moderations => "/moderations",
            Self::Responses | Self::ResponseItems => "/responses",
        }
    }
}

/// How much may be held, and how deep arguments may nest.
#[derive(Debug, Clone, Copy)]
pub struct HoldLimits {
    pub nesting: usize,
    /// Bytes of one call's arguments; a longer call is denied.
    pub tool_arguments: usize,
}

/// So many calls are held in one stream at most.
pub(crate) const CALLS_MAX: usize = 128;

/// Decides each emitted call. Implemented by the exchange, with the tenant's policy and records behind it.
pub trait Judge {
    /// Decides a call; `text` is its arguments exactly as the model produced them.
    fn judge(&mut self, tool: &str, args: &Arguments<'_>, text: &str) -> Verdict;

    /// The same of a call that the client is to run, whose result names it by this id.
    fn judge_call(&mut self, id: &str, tool: &str, args: &Arguments<'_>, text: &str) -> Verdict {
        let _ = id;
        self.judge(tool, args, text)
    }

    /// A call that cannot leave whatever the rules say, such as one that did not come to its end: denied and recorded
    /// for this reason.
    fn withhold(&mut self, tool: &str, text: &str, reason: &'static str);

    /// Puts the values of the request into a call's arguments, where the provider saw placeholders of them. Whether
    /// they are not longer than that.
    fn restore(&self, text: &mut String, form: Form, bytes_max: usize) -> bool {
        let _ = (text, form, bytes_max);
        true
    }

    /// The name under which a tool was offered whose calls go by another: `web_search_preview` calls `web_search`.
    /// `None` if the request offered none.
    fn offered_as(&self, tool: &str) -> Option<String>;

    /// Whether a call of this id was denied in an earlier turn.
    fn was_denied(&self, call_id: &str) -> bool {
        let _ = call_id;
        false
    }
}

/// The name and the arguments by which rules decide on a call that the provider ran. What was offered was decided on
/// its parameters then; of what was not, no condition can be shown to hold, and nothing was forced into it.
fn judge_hosted(tool: &str, text: &str, judge: &mut dyn Judge) -> Verdict {
    match judge.offered_as(tool) {
        Some(offered) => judge.judge(&offered, &Arguments::Open, text),
        None => match judge.judge(tool, &Arguments::Known(Value::Object(Vec::new())), text) {
            Verdict::Rewrite { .. } => {
                judge.withhold(tool, text, NOT_FORCED);
                Verdict::Remove { notice: notice(tool, NOT_FORCED) }
            }
            verdict @ (Verdict::Abort(_) | Verdict::Release | Verdict::Remove { .. }) => verdict,
        },
    }
}

/// What becomes of an emitted call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// End the answer with this refusal.
    Abort(Refusal),
    /// Hand it on exactly as it was produced.
    Release,
    /// Take it out and say so.
    Remove { notice: String },
    /// Hand it on with these arguments.
    Rewrite { arguments: String },
}

/// What an answer has told so far, beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// As the provider reports it; `None` until it does.
    pub usage: Option<Usage>,
    /// Whether that is what a stream used in all, and not just so far.
    pub is_counted: bool,
    /// The answer's text and released calls, for the record, where records keep content.
    pub completion: Transcript,
    /// Bytes of text, reasoning and arguments that the model produced so far: an estimate of what was used, where the
    /// provider does not say.
    pub produced: u64,
    /// The answer as the provider keeps it, so that a later request can go on from it.
    pub kept: Option<KeptAnswer>,
    /// What it says of itself, where a span is to tell it.
    pub reply: Option<Reply>,
    /// Whether it says that it failed, in a form that its client reads to the end.
    pub failed: bool,
}

/// An answer that the provider keeps under an id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptAnswer {
    pub id: String,
    /// Whether it came to its end: only then all of its calls are known.
    pub complete: bool,
    /// The ids of its items, by which a later request may name them.
    pub items: BTreeSet<String>,
    /// The ids of containers that calls in it ran in.
    pub containers: BTreeSet<String>,
    /// Items that the provider does not know: what the client was told in the place of a denied call.
    pub notices: Vec<Notice>,
    /// The calls in it that the provider still waits for and the client never saw.
    pub denied: Vec<DeniedCall>,
}

/// What a client was told in the place of a denied call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The id of the item that told it.
    pub id: String,
    pub text: String,
}

/// A denied call as the provider remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeniedCall {
    pub call_id: String,
    pub tool: String,
    /// The type of its item: `function_call`, `custom_tool_call`, ….
    pub kind: String,
    /// What the model is told in place of a result.
    pub notice: String,
    /// Whether the provider still waits for a result. A later turn answers it, and remembers it.
    pub open: bool,
}

impl DeniedCall {
    /// A call of which nothing is known but what the client was told in its place.
    pub fn told(notice: &str) -> Self {
        let nothing = String::new;
        Self { call_id: nothing(), tool: nothing(), kind: nothing(), notice: notice.to_owned(), open: false }
    }
}

/// Whether answers come as a stream where a request asks for one.
pub fn streams(api: Api) -> bool {
    match api {
        Api::Chat | Api::Completions | Api::Messages | Api::Responses => true,
        Api::CountTokens | Api::Embeddings | Api::Moderations | Api::ResponseItems => false,
    }
}

/// Reads a request.
pub fn understand<'v>(api: Api, body: &'v Value<'_>) -> Result<Request<'v>, Refusal> {
    match api {
        Api::Chat | Api::Completions | Api::Embeddings | Api::Moderations => openai::understand(api, body),
        Api::CountTokens | Api::Messages => anthropic::understand(api, body),
        Api::Responses | Api::ResponseItems => responses::understand(body),
    }
}

/// Takes the denied offers out of a copy of the body, and forces parameters into others; `kept` tells for each
/// offer, in their order, what becomes of it.
pub fn restrict<'a>(api: Api, body: &Value<'a>, kept: &[Kept]) -> Value<'a> {
    match api {
        Api::Chat | Api::Completions | Api::Embeddings | Api::Moderations => openai::restrict(body, kept),
        Api::CountTokens | Api::Messages => anthropic::restrict(body, kept),
        Api::Responses | Api::ResponseItems => responses::restrict(body, kept),
    }
}

/// The prompt of a request body of about so many bytes, for the record. Empty where there is none.
pub fn prompt(api: Api, body: &Value<'_>, bytes: usize) -> Said {
    match api {
        Api::Chat | Api::Completions | Api::Embeddings | Api::Moderations => openai::prompt(body, bytes),
        Api::CountTokens | Api::Messages => anthropic::prompt(body, bytes),
        Api::Responses | Api::ResponseItems => responses::prompt(body, bytes),
    }
}

/// Judges a whole answer. `None`: it leaves as it came.
pub fn whole(
    api: Api,
    body: &[u8],
    limits: HoldLimits,
    told: &mut Told,
    judge: &mut dyn Judge,
) -> Result<Option<Vec<u8>>, Refusal> {
    match api {
        Api::Chat | Api::Completions | Api::Embeddings | Api::Moderations => {
            openai::whole(api, body, limits, told, judge)
        }
        Api::CountTokens | Api::Messages => anthropic::whole(api, body, limits, told, judge),
        Api::Responses | Api::ResponseItems => responses::whole(api, body, limits, told, judge),
    }
}

/// A refusal as a body in a family's words.
pub fn error_body(family: Family, refusal: &Refusal, request_id: &str) -> Vec<u8> {
    match family {
        Family::Anthropic => anthropic::error_body(refusal, request_id),
        Family::Mcp => mcp::message::error(None, &mcp::answer::refused(refusal)),
        Family::OpenAi => openai::error_body(refusal),
    }
}

/// The message of an upstream's error body, if it has one where the providers put it.
pub fn upstream_message(body: &[u8]) -> Option<String> {
    let body = json::parse(body, 32).ok()?;
    let error = body.get("error");
    let message = error
        .and_then(|error| error.get("message").or(Some(error)))
        .or_else(|| body.get("message"))
        .or_else(|| body.get("detail"))?;
    message.as_str().map(ToOwned::to_owned)
}

/// The text that stands where a denied call was.
pub fn notice(tool: &str, reason: &str) -> String {
    format!("[The tool call `{tool}` was denied: {reason}]")
}

/// Why a call is denied whose arguments are longer than may be held.
const TOO_LONG: &str = "its arguments are too long";
/// Why a call is denied whose arguments did not come to their end.
pub(crate) const CUT_SHORT: &str = "the answer ended before its arguments did";
/// Why a call is denied that is not what a rule would have made of it.
const NOT_FORCED: &str = "its arguments cannot be changed as a rule demands";

fn uninspectable() -> Refusal {
    Refusal::UpstreamError { message: "the upstream's stream cannot be inspected" }
}

fn unreadable() -> Refusal {
    Refusal::UpstreamError { message: "the upstream's answer cannot be inspected" }
}

/// An answer that cannot be read is, while it streams, a stream that cannot be inspected.
fn of_stream(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::UpstreamError { .. } => uninspectable(),
        refusal => refusal,
    }
}

fn broke_off() -> Refusal {
    Refusal::UpstreamError { message: "the upstream's answer broke off" }
}

fn reported_error() -> Refusal {
    Refusal::UpstreamError { message: "the upstream reported an error" }
}

/// A count of tokens; a negative or absurd figure is none.
fn tokens(value: Option<&Value<'_>>) -> Option<u64> {
    value.and_then(Value::as_u64).filter(|&tokens| tokens < 100_000_000)
}

#[cfg(test)]
mod tests;
