//! What a chat or text completion will answer: request JSON in, [`Plan`] out. Pure; how it looks on the wire is the
//! business of `chat` and `completion`.

use serde_json::Value;

use super::{
    directions::{
        BadDirective, CallKind, Directions, Finish, Form, PlannedCall, Speech, Transport, UsageForm,
    },
    schema,
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
}

/// An answer, before it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) model: String,
    /// What the ids are made from: the message that is answered.
    pub(super) seed: String,
    pub(super) choices: usize,
    pub(super) delivery: Delivery,
    pub(super) speech: Option<Speech>,
    pub(super) calls: Vec<PlannedCall>,
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

/// Tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) output: u64,
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
        let mut directions = Directions::read(&seed)?;
        let result =
            messages.last().filter(|last| matches!(role(last).as_deref(), Some("tool" | "function")));
        if let Some(result) = result {
            directions.calls.clear();
            directions.speech = Some(Speech::Text(format!("The tool answered: {}", content(result))));
        } else if directions.speech.is_none() && directions.calls.is_empty() {
            choose_calls(body, &mut directions);
        }
        let prompt_bytes = messages.iter().map(|message| content(message).len()).sum();
        Self::from(body, seed, directions, prompt_bytes)
    }

    /// Plans the answer to a body of `POST /v1/completions`; of several prompts, to the last.
    ///
    /// # Errors
    /// As [`Plan::chat`].
    pub(super) fn completion(body: &Value) -> Result<Self, BadRequest> {
        let prompt = body.get("prompt").map(last_text).unwrap_or_default();
        let directions = Directions::read(&prompt)?;
        let prompt_bytes = prompt.len();
        Self::from(body, prompt, directions, prompt_bytes)
    }

    fn from(
        body: &Value,
        seed: String,
        directions: Directions,
        prompt_bytes: usize,
    ) -> Result<Self, BadRequest> {
        let model = body.get("model").and_then(Value::as_str).ok_or(BadRequest::Field("model"))?;
        let Directions { plain, speech, calls, finish, form, usage, transport } = directions;
        if form.kind == CallKind::Legacy && calls.len() > 1 {
            return Err(BadRequest::SeveralLegacyCalls);
        }
        let choices = choices(body)?;
        let speech = speech.or_else(|| calls.is_empty().then(|| Speech::Text(friendly(&plain))));
        let natural = match (calls.is_empty(), form.kind) {
            (true, _) => Finish::Stop,
            (false, CallKind::Legacy) => Finish::FunctionCall,
            (false, CallKind::Function | CallKind::Custom) => Finish::ToolCalls,
        };
        let said = said_bytes(speech.as_ref(), &calls).saturating_mul(choices);
        Ok(Self {
            model: model.to_owned(),
            seed,
            choices,
            delivery: delivery(body),
            finish: finish.unwrap_or(natural),
            usage: match usage {
                UsageForm::Absent => None,
                UsageForm::Stated { input, output } => Some(Usage { input, output }),
                UsageForm::Estimated => Some(Usage { input: tokens(prompt_bytes), output: tokens(said) }),
            },
            speech,
            calls,
            form,
            transport,
        })
    }
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

fn said_bytes(speech: Option<&Speech>, calls: &[PlannedCall]) -> usize {
    let said = match speech {
        Some(Speech::Text(text) | Speech::Refusal(text)) => text.len(),
        None => 0,
    };
    calls.iter().map(|call| call.name.len() + call.arguments.len()).sum::<usize>() + said
}

/// About four bytes a token, and at least one.
fn tokens(bytes: usize) -> u64 {
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
fn content(message: &Value) -> String {
    let content = message.get("content");
    let parts = content.and_then(Value::as_array).map(|parts| {
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        texts.join("\n")
    });
    content.and_then(Value::as_str).map(str::to_owned).or(parts).unwrap_or_default()
}

/// What a real model would do with the tools on offer: obey `tool_choice`, else call those that the text names.
fn choose_calls(body: &Value, directions: &mut Directions) {
    let offered = offered(body);
    let choice = body.get("tool_choice").or_else(|| body.get("function_call"));
    let forced = choice.and_then(|choice| {
        let name = ["/function/name", "/custom/name", "/name"].iter().find_map(|path| choice.pointer(path));
        name?.as_str()
    });
    let named = |text: &str| {
        let mut found: Vec<(usize, &Offered<'_>)> =
            offered.iter().filter_map(|tool| Some((word_at(text, tool.name)?, tool))).collect();
        found.sort_by_key(|(position, _)| *position);
        found.into_iter().map(|(_, tool)| tool).collect::<Vec<_>>()
    };
    let chosen: Vec<&Offered<'_>> = match (forced, choice.and_then(Value::as_str)) {
        (Some(name), _) => offered.iter().filter(|tool| tool.name == name).collect(),
        (None, Some("none")) => Vec::new(),
        (None, Some("required")) => offered.iter().take(1).collect(),
        (None, Some(_) | None) => named(&directions.plain),
    };
    for tool in chosen {
        if directions.form.kind == CallKind::Function {
            directions.form.kind = tool.kind;
        }
        let arguments = schema::arguments(tool.parameters);
        directions.calls.push(PlannedCall { name: tool.name.to_owned(), arguments });
        if tool.kind == CallKind::Legacy {
            return;
        }
    }
}

struct Offered<'a> {
    name: &'a str,
    kind: CallKind,
    parameters: Option<&'a Value>,
}

fn offered(body: &Value) -> Vec<Offered<'_>> {
    let list = |key: &str| body.get(key).and_then(Value::as_array).into_iter().flatten();
    let tools = list("tools").filter_map(|tool| {
        let (kind, inner) = match tool.get("function") {
            Some(function) => (CallKind::Function, function),
            None => (CallKind::Custom, tool.get("custom")?),
        };
        Some(Offered { name: inner.get("name")?.as_str()?, kind, parameters: inner.get("parameters") })
    });
    let functions = list("functions").filter_map(|tool| {
        Some(Offered {
            name: tool.get("name")?.as_str()?,
            kind: CallKind::Legacy,
            parameters: tool.get("parameters"),
        })
    });
    tools.chain(functions).collect()
}

/// Where `name` stands in `text` as a word of its own.
fn word_at(text: &str, name: &str) -> Option<usize> {
    let part_of_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    text.match_indices(name)
        .filter(|(start, found)| {
            let before = text.get(..*start).and_then(|before| before.chars().next_back());
            let after = text.get(start + found.len()..).and_then(|after| after.chars().next());
            !name.is_empty() && !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
        })
        .map(|(start, _)| start)
        .next()
}
