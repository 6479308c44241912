//! An item of an answer: what kind of call it is, what rules see of it, and what is left of it after they decided.

use crate::{
    dialect::{
        self, CUT_SHORT, DeniedCall, Desk, Judge, NOT_FORCED, TOO_LONG, Told, Verdict,
        input::{self, Form},
        keys, notice, parameters,
        request::BUILTIN,
        stray::{has_call_part, has_one_of, is_calls_type, parts_beside, parts_of_a_call, stray_beside},
        unreadable,
    },
    json::{self, Value},
    refusal::Refusal,
};
use std::borrow::Cow;

/// What an item of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A call that the client is to run, or to approve.
    Call(Call),
    /// A call that the provider ran already.
    Hosted,
    /// What came of a call that the provider ran.
    HostedResult,
    /// A message, reasoning, and whatever else carries no call.
    Other,
}

/// Where the shell runs that a request offers. What an item says of its place is the upstream's word; a client takes
/// every shell call for its own shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shell {
    Here,
    Hosted,
}

impl Shell {
    /// The shell that a request offered.
    pub(super) fn offered(judge: &dyn Judge) -> Self {
        match judge.offered_as("builtin__shell") {
            Some(_) => Self::Hosted,
            None => Self::Here,
        }
    }
}

/// How an item carries a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// `name` and `arguments`, a text of JSON.
    Function,
    /// `name` and `input`, free text.
    Custom,
    /// An object in this member, of the tool of this name.
    Action { tool: &'static str, member: &'static str },
    /// A question whether the provider may run a tool of an MCP server.
    Approval,
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Judged {
    /// The item as it leaves. The same as it came unless `rewritten`.
    Released { rewritten: bool },
    /// This text stands in its place.
    Removed(String),
}

/// An id or a name is no longer than this.
pub(super) const WORD_BYTES_MAX: usize = 1024;
/// Members of items that are decided on.
const DECIDED: [&str; 10] =
    ["type", "id", "call_id", "name", "environment", "arguments", "input", "action", "actions", "operation"];
/// Those of them that carry the arguments of one kind of call or another.
const ARGUMENTS: [&str; 5] = ["arguments", "input", "action", "actions", "operation"];

impl Kind {
    /// The kind of an item.
    pub(super) fn of(item: &Value<'_>, shell: Shell) -> Result<Self, Refusal> {
        let kind = item.get("type").and_then(Value::as_str).ok_or_else(unreadable)?;
        for key in ["type", "id", "call_id", "name"] {
            // They are kept beyond the item: a longer one is none.
            if item.get(key).and_then(Value::as_str).is_some_and(|word| word.len() > WORD_BYTES_MAX) {
                return Err(unreadable());
            }
        }
        Ok(match kind {
            "function_call" => Self::Call(Call::Function),
            "custom_tool_call" => Self::Call(Call::Custom),
            "computer_call" => Self::Call(Call::Action { tool: "computer", member: "action" }),
            "local_shell_call" => Self::Call(Call::Action { tool: "local_shell", member: "action" }),
            "shell_call" if shell == Shell::Here || runs_here(item)? => {
                Self::Call(Call::Action { tool: "shell", member: "action" })
            }
            "apply_patch_call" => Self::Call(Call::Action { tool: "apply_patch", member: "operation" }),
            "mcp_approval_request" => Self::Call(Call::Approval),
            "tool_search_call" if item.get("execution").and_then(Value::as_str) == Some("client") => {
                Self::Call(Call::Action { tool: "tool_search", member: "arguments" })
            }
            _ if hides_a_call(item) => return Err(unreadable()),
            "message" | "reasoning" | "compaction" => {
                if parts_of_a_call(item) || has_call_part(item, &["content", "summary"]) {
                    return Err(unreadable());
                }
                Self::Other
            }
            "program" | "mcp_list_tools" if !parts_of_a_call(item) => Self::Hosted,
            _ if kind.ends_with("_call_output")
                || matches!(kind, "program_output" | "tool_search_output") =>
            {
                if is_no_result(item) {
                    return Err(unreadable());
                }
                Self::HostedResult
            }
            _ if kind.ends_with("_call") && looks_like_the_clients(item, kind) => return Err(unreadable()),
            _ if kind.ends_with("_call") => Self::Hosted,
            _ if is_calls_type(kind) || looks_like_a_call(item) => return Err(unreadable()),
            _ => Self::Other,
        })
    }
}

/// Members by which a call of the client's carries what it does.
const ACTIONS: [&str; 3] = ["action", "actions", "operation"];

/// Whether an item of a type that is not known here has what a call has.
fn looks_like_a_call(item: &Value<'_>) -> bool {
    has_one_of(item, &ACTIONS) || has_one_of(item, &["call_id"]) || parts_of_a_call(item)
}

/// Whether what came of a call has what only a call has.
fn is_no_result(item: &Value<'_>) -> bool {
    has_one_of(item, &ACTIONS) || parts_beside(item, &["output", "result", "tools"])
}

/// Whether what a client sent as no call could be taken for one.
pub(super) fn is_no_input(item: &Value<'_>) -> bool {
    hides_a_call(item) || is_no_result(item)
}

/// Whether a call that the provider ran has what only a call of the client's has: a client could take it for one.
fn looks_like_the_clients(item: &Value<'_>, kind: &str) -> bool {
    let own: &[&str] = match kind {
        "mcp_call" => &["name", "arguments"],
        "tool_search_call" => &["call_id", "arguments"],
        "shell_call" => &["call_id"],
        _ => &[],
    };
    let all = ["name", "call_id", "arguments", "input", "actions", "operation"];
    let foreign = all.into_iter().filter(|name| !own.contains(name));
    foreign.into_iter().any(|name| item.present(name).is_some())
}

/// Whether a shell call is for the client's shell, not for a container of the provider's.
fn runs_here(item: &Value<'_>) -> Result<bool, Refusal> {
    let Some(environment) = item.present("environment") else { return Ok(true) };
    keys::no_twins(environment, &["type"], "").map_err(|_| unreadable())?;
    let place = environment.get("type").and_then(Value::as_str).ok_or_else(unreadable)?;
    Ok(place == "local")
}

/// The id by which a call's result names it.
pub(super) fn call_id<'v>(item: &'v Value<'_>) -> &'v str {
    let own = item.get("type").and_then(Value::as_str) == Some("mcp_approval_request");
    let id = item.present("call_id").filter(|_| !own).or_else(|| item.get("id"));
    id.and_then(Value::as_str).unwrap_or_default()
}

/// The containers that an item says it ran in: in either place, since a reader may take the one or the other.
pub(super) fn containers_of<'v>(item: &'v Value<'_>) -> impl Iterator<Item = &'v str> {
    let places = [Some(item), item.get("environment")];
    places.into_iter().flatten().filter_map(|place| place.get("container_id")?.as_str())
}

impl Call {
    /// The name that rules speak of.
    pub(super) fn tool<'v>(self, item: &'v Value<'_>) -> Result<Cow<'v, str>, Refusal> {
        match self {
            Self::Function | Self::Custom => {
                let name = item.get("name").and_then(Value::as_str).ok_or_else(unreadable)?;
                Ok(Cow::Borrowed(name))
            }
            Self::Action { tool, .. } => Ok(Cow::Borrowed(tool)),
            Self::Approval => Ok(Cow::Borrowed("builtin__mcp")),
        }
    }

    /// What the model produced as the call's arguments.
    pub(super) fn text<'v>(self, item: &'v Value<'_>) -> Cow<'v, str> {
        match self {
            Self::Function | Self::Approval => input::string(item.get("arguments")),
            Self::Custom => input::string(item.get("input")),
            Self::Action { member, .. } => match (item.present(member), item.present("actions")) {
                (Some(action), None) => input::string(Some(action)),
                (None, Some(actions)) => Cow::Owned(format!(r#"{{"actions":{actions}}}"#)),
                (Some(action), Some(actions)) => {
                    Cow::Owned(format!(r#"{{"action":{action},"actions":{actions}}}"#))
                }
                (None, None) => Cow::Borrowed("{}"),
            },
        }
    }

    /// How the text is read.
    pub(super) fn form(self) -> Form {
        match self {
            Self::Custom => Form::Custom,
            Self::Function | Self::Action { .. } | Self::Approval => Form::Function,
        }
    }

    /// Makes arguments the text that was judged, where they are something else or missing: every copy says them so.
    /// Whether it did.
    fn put_as_text(self, item: &mut Value<'_>, text: &str) -> bool {
        let member = match self {
            Self::Function => "arguments",
            Self::Custom => "input",
            Self::Action { .. } | Self::Approval => return false,
        };
        if matches!(item.get(member), Some(Value::String(_))) {
            return false;
        }
        item.set(member, Value::string(text.to_owned()));
        true
    }

    /// Puts the text in the place of the one that came, where it is a text. Whether it did.
    fn put(self, item: &mut Value<'_>, text: &str) -> bool {
        let member = match self {
            Self::Function => "arguments",
            Self::Custom => "input",
            Self::Action { .. } | Self::Approval => return false,
        };
        item.set(member, Value::string(text.to_owned()));
        true
    }

    /// Puts arguments into the item in the place of its own. Whether they fit there.
    fn rewrite(self, item: &mut Value<'_>, arguments: String) -> bool {
        match self {
            Self::Function => item.set("arguments", Value::string(arguments)),
            Self::Custom => item.set("input", Value::string(input::rewritten(Form::Custom, arguments))),
            Self::Action { member, .. } => {
                let Ok(forced) = json::parse(arguments.as_bytes(), json::NESTING_MAX) else { return false };
                if item.present(member).is_none() {
                    let Some(actions) = forced.get("actions") else { return false };
                    item.set("actions", actions.clone().into_owned());
                } else {
                    item.set(member, forced.into_owned());
                }
            }
            // What is asked for stands upstream; it is approved as it is, or not at all.
            Self::Approval => return false,
        }
        true
    }
}

/// Judges a call, and makes its item what may leave of it.
pub(super) fn judge(call: Call, item: &mut Value<'_>, desk: &mut Desk<'_>) -> Result<Judged, Refusal> {
    check(call, item)?;
    let tool = call.tool(item)?.into_owned();
    let text = call.text(item).into_owned();
    let put_as_text = call.put_as_text(item, &text);
    desk.told.produce(text.len());
    let mut restored = text.clone();
    let fits = desk.judge.restore(&mut restored, call.form(), desk.limits.tool_arguments);
    let put_as_text = (restored != text && call.put(item, &restored)) || put_as_text;
    let text = restored;
    let incomplete = item.get("status").and_then(Value::as_str) == Some("incomplete");
    if incomplete || !fits || text.len() > desk.limits.tool_arguments {
        let why = if incomplete { CUT_SHORT } else { TOO_LONG };
        desk.judge.withhold(&tool, &text, why);
        return Ok(Judged::Removed(notice(&tool, why)));
    }
    let name = match call {
        Call::Function | Call::Custom => tool,
        Call::Action { .. } => desk.judge.offered_as(&tool).unwrap_or(tool),
        Call::Approval => tool,
    };
    let verdict = match call {
        Call::Approval => dialect::judge_hosted(&name, &text, desk.judge),
        Call::Function | Call::Custom | Call::Action { .. } => {
            let args = input::arguments(call.form(), &text, desk.limits.nesting);
            desk.judge.judge_call(call_id(item), &name, &args, &text)
        }
    };
    let rewritten = match verdict {
        Verdict::Abort(refusal) => return Err(refusal),
        Verdict::Remove { notice } => return Ok(Judged::Removed(notice)),
        Verdict::Release => put_as_text,
        Verdict::Rewrite { arguments } => {
            if !call.rewrite(item, arguments) {
                desk.judge.withhold(&name, &text, NOT_FORCED);
                return Ok(Judged::Removed(notice(&name, NOT_FORCED)));
            }
            true
        }
    };
    desk.told.completion.add_call(0, &name, &call.text(item));
    Ok(Judged::Released { rewritten })
}

/// Whether a member of an item that nobody asks to run can be read as another of them, or is a call.
pub(super) fn hides_a_call(item: &Value<'_>) -> bool {
    keys::no_twins(item, &DECIDED, "").is_err() || stray_beside(item, &["type"])
}

/// No member of a call may be read as another of them, or be the arguments of another kind of call, and no call may
/// hide in one that nobody judges.
fn check(call: Call, item: &Value<'_>) -> Result<(), Refusal> {
    keys::no_twins(item, &DECIDED, "").map_err(|_| unreadable())?;
    let own = match call {
        Call::Function | Call::Approval => ["type", "arguments", "arguments"],
        Call::Custom => ["type", "input", "input"],
        Call::Action { tool: "computer", member } => ["type", member, "actions"],
        Call::Action { member, .. } => ["type", member, member],
    };
    let foreign = ARGUMENTS.iter().any(|name| !own.contains(name) && item.present(name).is_some());
    // What is to be done is told as an object, and several things as a list: anything else is read in its own way.
    let odd = ["action", "operation"]
        .into_iter()
        .any(|name| item.present(name).is_some_and(|action| action.members().is_none()))
        || item.present("actions").is_some_and(|actions| actions.items().is_none());
    if foreign || odd || stray_beside(item, &own) || parts_beside(item, &own) {
        Err(unreadable())
    } else {
        Ok(())
    }
}

/// Judges a call that the provider ran: it was decided by its parameters when it was offered, and one that was not
/// offered is not waved through. The text that stands in its place, if it is denied.
pub(super) fn judge_hosted(item: &Value<'_>, desk: &mut Desk<'_>) -> Result<Option<String>, Refusal> {
    match dialect::judge_hosted(&hosted(item), &parameters::hidden(item).to_string(), desk.judge) {
        Verdict::Abort(refusal) => Err(refusal),
        Verdict::Remove { notice } => Ok(Some(notice)),
        Verdict::Release | Verdict::Rewrite { .. } => Ok(None),
    }
}

/// The tool that the provider ran.
fn hosted(item: &Value<'_>) -> String {
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    let tool = match kind {
        "program" => "programmatic_tool_calling",
        "program_output" => "programmatic_tool_calling",
        "mcp_call" | "mcp_list_tools" => "mcp",
        _ => kind.trim_end_matches("_output").trim_end_matches("_call"),
    };
    format!("{BUILTIN}{tool}")
}

/// Remembers a denied call, for which the provider waits.
pub(super) fn remember(item: &Value<'_>, notice: &str, told: &mut Told) {
    if let (Some(kept), Ok(Kind::Call(call))) = (&mut told.kept, Kind::of(item, Shell::Here)) {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
        kept.denied.push(DeniedCall {
            call_id: call_id(item).to_owned(),
            tool: call.tool(item).unwrap_or_default().into_owned(),
            kind: kind.to_owned(),
            notice: notice.to_owned(),
            open: true,
        });
    }
}

/// The message that stands where a denied call was. Its id is made of the response's, not of the call's.
pub(super) fn message(response_id: &str, output_index: u64, text: String) -> Value<'static> {
    let response = response_id.strip_prefix("resp_").unwrap_or(response_id);
    Value::object([
        ("id", Value::string(format!("msg_{response}_{output_index}"))),
        ("type", Value::string("message")),
        ("status", Value::string("completed")),
        ("role", Value::string("assistant")),
        ("content", Value::Array(vec![text_part(text)])),
    ])
}

/// A part of a message's content.
pub(super) fn text_part(text: String) -> Value<'static> {
    Value::object([
        ("type", Value::string("output_text")),
        ("annotations", Value::Array(Vec::new())),
        ("logprobs", Value::Array(Vec::new())),
        ("text", Value::string(text)),
    ])
}

/// Keeps a message's text for the record.
pub(super) fn tell(item: &Value<'_>, told: &mut Told) {
    for part in item.get("content").and_then(Value::items).unwrap_or_default() {
        for key in ["text", "refusal"] {
            if let Some(text) = part.get(key).and_then(Value::as_str) {
                told.produce(text.len());
                told.completion.add(0, text);
            }
        }
    }
}
