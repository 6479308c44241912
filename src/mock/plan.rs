//! What will be answered: request JSON in, [`Plan`] out. Pure; how it looks on the wire is the business of the dialects
//! (`chat`, `completion`, `responses`, `messages`), and how the latter two are asked is theirs too.

use serde_json::Value;

use super::{
    dice,
    directions::{Act, CallKind, Directions, Finish, Form, PlannedCall, Speech, Transport, Usage, UsageForm},
    directive::BadDirective,
    offered,
};

const CHOICES_MAX: u64 = 128;

/// Why a request is answered with 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRequest {
    #[error(transparent)]
    Directive(#[from] BadDirective),
    #[error("`{0}` is missing or has the wrong type")]
    Field(&'static str),
    #[error("`n` is from 1 to {CHOICES_MAX}")]
    Choices,
    #[error("the legacy `function_call` holds one call")]
    SeveralLegacyCalls,
    #[error("`!hosted` and `!item` have no form in this dialect")]
    Foreign,
}

/// An answer, before it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) model: String,
    /// What the ids are made from: the message that is answered.
    pub(super) seed: String,
    pub(super) choices: usize,
    pub(super) delivery: Delivery,
    pub(super) reasoning: Option<String>,
    pub(super) speech: Option<Speech>,
    pub(super) acts: Vec<Act>,
    pub(super) finish: Finish,
    pub(super) form: Form,
    pub(super) usage: Option<Usage>,
    pub(super) transport: Transport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    Stream,
    /// With a last chunk that has the usage.
    StreamWithUsage,
}

/// What is asked, but for the directions in it.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) model: String,
    /// The message that is answered.
    pub(super) seed: String,
    pub(super) choices: usize,
    pub(super) delivery: Delivery,
    pub(super) prompt_bytes: usize,
}

impl Plan {
    /// Plans the answer to a body of `POST /v1/chat/completions`.
    ///
    /// # Errors
    /// A directive that is not understood, or a field that a real API would refuse too.
    pub(super) fn chat(body: &Value) -> Result<Self, BadRequest> {
        let messages = body.get("messages").and_then(Value::as_array).ok_or(BadRequest::Field("messages"))?;
        let role = |message: &Value| message.get("role").and_then(Value::as_str).map(str::to_owned);
        let user = messages.iter().rev().find(|message| role(message).as_deref() == Some("user"));
        let seed = user.map(content).unwrap_or_default();
        let result =
            messages.last().filter(|last| matches!(role(last).as_deref(), Some("tool" | "function")));
        let directions = directions(body, &seed, result.map(content))?;
        let calls = directions.acts.iter().filter(|act| matches!(act, Act::Call(_))).count();
        if directions.form.kind == CallKind::Legacy && calls > 1 {
            return Err(BadRequest::SeveralLegacyCalls);
        }
        if calls < directions.acts.len() {
            return Err(BadRequest::Foreign);
        }
        let prompt_bytes = messages.iter().map(|message| content(message).len()).sum();
        Ok(Self::new(Question::of(body, seed, choices(body)?, prompt_bytes)?, directions))
    }

    /// Plans the answer to a body of `POST /v1/completions`; of several prompts, to the last.
    ///
    /// # Errors
    /// As [`Plan::chat`].
    pub(super) fn completion(body: &Value) -> Result<Self, BadRequest> {
        let prompt = body.get("prompt").map(last_text).unwrap_or_default();
        let directions = Directions::read(&prompt)?;
        let prompt_bytes = prompt.len();
        Ok(Self::new(Question::of(body, prompt, choices(body)?, prompt_bytes)?, directions))
    }

    pub(super) fn new(question: Question, directions: Directions) -> Self {
        let Question { model, seed, choices, delivery, prompt_bytes } = question;
        let Directions { plain, reasoning, speech, acts, finish, form, usage, transport } = directions;
        let speech = speech.or_else(|| acts.is_empty().then(|| Speech::Text(friendly(&plain))));
        let called = acts.iter().any(|act| matches!(act, Act::Call(_)));
        let natural = match (called, form.kind) {
            (false, _) => Finish::Stop,
            (true, CallKind::Legacy) => Finish::FunctionCall,
            (true, CallKind::Function | CallKind::Custom) => Finish::ToolCalls,
        };
        let said = said_bytes(reasoning.as_deref(), speech.as_ref(), &acts).saturating_mul(choices);
        let usage = match usage {
            UsageForm::Absent => None,
            UsageForm::Stated(usage) => Some(usage),
            UsageForm::Estimated => {
                Some(Usage { input: tokens(prompt_bytes), output: tokens(said), ..Usage::default() })
            }
        };
        let finish = finish.unwrap_or(natural);
        Self { model, seed, choices, delivery, reasoning, speech, acts, finish, form, usage, transport }
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = &PlannedCall> {
        self.acts.iter().filter_map(|act| match act {
            Act::Call(call) => Some(call),
            Act::Hosted(_) | Act::Item { .. } => None,
        })
    }

    /// An id that is the same whenever the same message is answered.
    pub(super) fn id(&self, prefix: &str, what: &str) -> String {
        format!("{prefix}_{}", dice::letters(&format!("{}\0{prefix}\0{what}", self.seed), 24))
    }
}

impl Question {
    /// # Errors
    /// No model is named.
    pub(super) fn of(
        body: &Value,
        seed: String,
        choices: usize,
        prompt_bytes: usize,
    ) -> Result<Self, BadRequest> {
        let model = body.get("model").and_then(Value::as_str).ok_or(BadRequest::Field("model"))?.to_owned();
        Ok(Self { model, seed, choices, delivery: delivery(body), prompt_bytes })
    }
}

/// The directions in the message that is answered. After a tool's result the answer is text; without any, tools that
/// are offered may be called.
pub(super) fn directions(
    body: &Value,
    message: &str,
    result: Option<String>,
) -> Result<Directions, BadDirective> {
    let mut directions = Directions::read(message)?;
    if let Some(result) = result {
        directions.acts.clear();
        directions.reasoning = None;
        directions.speech = Some(Speech::Text(format!("The tool answered: {result}")));
    } else if directions.speech.is_none() && directions.acts.is_empty() {
        offered::choose_calls(body, &mut directions);
    }
    Ok(directions)
}

/// The text that steers an endpoint with an `input` or a `prompt`: the string, or the last string of the list.
pub(super) fn last_text(value: &Value) -> String {
    let last = value.as_array().and_then(|list| list.iter().rev().find_map(Value::as_str));
    value.as_str().or(last).unwrap_or_default().to_owned()
}

fn friendly(text: &str) -> String {
    match text {
        "" => "Hello from the mock model.".to_owned(),
        text => format!("Hello from the mock model. You said: {text}"),
    }
}

fn said_bytes(reasoning: Option<&str>, speech: Option<&Speech>, acts: &[Act]) -> usize {
    let said = match speech {
        Some(Speech::Text(text) | Speech::Refusal(text)) => text.len(),
        None => 0,
    };
    let act = |act: &Act| match act {
        Act::Call(call) => call.name.len() + call.arguments.len(),
        Act::Hosted(kind) | Act::Item { kind, .. } => kind.len(),
    };
    acts.iter().map(act).sum::<usize>() + said + reasoning.map_or(0, str::len)
}

/// About four bytes a token, and at least one.
pub(super) fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4).max(1)).unwrap_or(u64::MAX)
}

fn choices(body: &Value) -> Result<usize, BadRequest> {
    match body.get("n") {
        None | Some(Value::Null) => Ok(1),
        Some(n) => {
            let n = n.as_u64().filter(|n| (1..=CHOICES_MAX).contains(n)).ok_or(BadRequest::Choices)?;
            usize::try_from(n).map_err(|_| BadRequest::Choices)
        }
    }
}

fn delivery(body: &Value) -> Delivery {
    let streamed = body.get("stream") == Some(&Value::Bool(true));
    let usage = body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
    match (streamed, usage) {
        (false, _) => Delivery::Whole,
        (true, false) => Delivery::Stream,
        (true, true) => Delivery::StreamWithUsage,
    }
}

/// The text of a message: a string, or the text parts of a list, a line each.
pub(super) fn content(message: &Value) -> String {
    let content = message.get("content");
    let parts = content.and_then(Value::as_array).map(|parts| {
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        texts.join("\n")
    });
    content.and_then(Value::as_str).map(str::to_owned).or(parts).unwrap_or_default()
}
