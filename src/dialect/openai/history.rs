//! Which calls of earlier turns the results of a request are taken for, in all forms that Chat Completions has had.

use super::call_parts::Emitted;
use crate::{
    dialect::{
        input::{Form, string},
        keys,
        request::{Answered, wrong},
    },
    json::Value,
    refusal::Refusal,
};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

/// Who speaks in a message. A role that only looks like one of them would be read as it by some providers.
const ROLES: [&str; 6] = ["assistant", "developer", "function", "system", "tool", "user"];

/// A message that says what came of a call.
#[derive(Debug)]
pub(super) struct Told<'v> {
    /// The call that it names.
    id: Option<&'v str>,
    /// The tool that it names.
    name: Option<Cow<'v, str>>,
    /// Whether it is of the old kind, which names its call by its tool.
    by_name: bool,
}

/// What a message tells of a call, if it does.
pub(super) fn result<'v>(message: &'v Value<'_>) -> Result<Option<Told<'v>>, Refusal> {
    let role = match message.present("role") {
        None => "",
        Some(Value::String(role)) => role.as_ref(),
        Some(other) => return Err(wrong("messages.role", "a string", other)),
    };
    if let Some(known) = ROLES.iter().find(|known| role != **known && keys::reads_as(role.trim(), known)) {
        let message = format!("a role could be read as `{known}`; write it exactly so");
        return Err(Refusal::invalid(message, Some("messages")));
    }
    let by_name = role == "function";
    let is_result = |id: &Value<'_>| id.as_str() != Some("");
    if !by_name && role != "tool" && !message.present("tool_call_id").is_some_and(is_result) {
        return Ok(None);
    }
    let id = message.get("tool_call_id").and_then(Value::as_str);
    let name = message.present("name").map(|name| string(Some(name))).filter(|name| !name.is_empty());
    Ok(Some(Told { id, name, by_name }))
}

/// The calls that are answered, each with the id that it has. A result that names none of them may be the result of any;
/// one that names a tool is judged by that name too.
pub(super) fn answered<'v>(
    results: &[Told<'v>],
    calls: Vec<(Option<&'v str>, Emitted<'v>)>,
) -> Vec<Answered<'v>> {
    let ids: HashSet<&str> = calls.iter().filter_map(|(id, _)| *id).collect();
    let tools: HashSet<String> = calls.iter().map(|(_, call)| call.tool.to_string()).collect();
    let (mut named_ids, mut named_tools, mut of_any) = (HashSet::new(), HashSet::new(), false);
    for result in results {
        match (result.id, &result.name) {
            (Some(id), _) if !result.by_name && ids.contains(id) => {
                named_ids.insert(id);
            }
            (_, Some(name)) if result.by_name && tools.contains(name.as_ref()) => {
                named_tools.insert(name.as_ref());
            }
            _ => of_any = true,
        }
    }
    let mut answered = Vec::new();
    for (id, Emitted { tool, text, form }) in calls {
        if of_any || id.is_some_and(|id| named_ids.contains(id)) || named_tools.contains(tool.as_ref()) {
            answered.push(Answered { id: id.unwrap_or_default(), tool, text, form });
        }
    }
    let known: HashSet<&str> = answered.iter().map(|call| call.tool.as_ref()).collect();
    // Beside the id of a call a name is a participant's, or the tool's as the client has it.
    let is_known = |result: &&Told<'_>| !result.by_name && result.id.is_some_and(|id| ids.contains(id));
    let names = results.iter().filter(|result| !is_known(result)).filter_map(|result| result.name.as_deref());
    let others: BTreeSet<&str> = names.filter(|name| !known.contains(name)).collect();
    let others: Vec<_> = others.into_iter().map(ToOwned::to_owned).collect();
    answered.extend(others.into_iter().map(|tool| {
        // With which arguments it was called cannot be known: it is denied where none could pass.
        Answered { id: "", tool: Cow::Owned(tool), text: Cow::Borrowed("?"), form: Form::Unknown }
    }));
    answered
}
