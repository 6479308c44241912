//! What the input of a request of Responses tells of earlier turns: calls and their results, what it names of what the
//! provider keeps, and what it may not tell at all.

use super::item::{Call, Kind, Shell, WORD_BYTES_MAX, call_id, containers_of};
use crate::{
    dialect::{
        brought::{no_results_in_part, no_stored_files},
        keys,
        request::{Answered, Request, missing, text, wrong},
    },
    json::Value,
    refusal::Refusal,
};
use std::{borrow::Cow, collections::HashSet};

/// Items of an input that bring tools.
const BRINGS_TOOLS: [&str; 2] = ["additional_tools", "tool_search_output"];

/// Whether what an item brings as `tools` are offers.
pub(super) fn brings_tools(item: &Value<'_>) -> bool {
    item.get("type").and_then(Value::as_str).is_some_and(|kind| BRINGS_TOOLS.contains(&kind))
}

/// What the input tells of earlier calls, and what it may not tell at all.
pub(super) fn input<'v>(body: &'v Value<'_>, request: &mut Request<'v>) -> Result<(), Refusal> {
    let items = match body.present("input") {
        None | Some(Value::String(_)) => return Ok(()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong("input", "a string or an array", other)),
    };
    let (mut calls, mut unnamed) = (Vec::new(), false);
    for item in items {
        keys::no_twins(
            item,
            &["type", "id", "call_id", "name", "arguments", "input", "role", "tools", "content", "output"],
            "input",
        )?;
        no_long_words(item)?;
        let kind = match item.present("type") {
            // The one that names nothing but an id is a reference, whatever its type is left at.
            None if item.present("role").is_none() => "item_reference",
            None => "message",
            Some(Value::String(kind)) => kind.as_ref(),
            Some(other) => return Err(wrong("input.type", "a string", other)),
        };
        if item.present("tools").is_some() && !BRINGS_TOOLS.contains(&kind) && kind != "mcp_list_tools" {
            let message = "an item brings tools in a way that is not known here; offer them in `tools`";
            return Err(Refusal::invalid(message, Some("input")));
        }
        let what = what_it_is(item, kind)?;
        if !says_all(item, kind, what) {
            request.references.extend(id(item, "id"));
        }
        match kind {
            "item_reference" => request.references.push(text(item, "id", "input")?),
            // What it brings is an offer, and taken out like one.
            "additional_tools" => {}
            // What is approved stands at the provider, under an id that has to be the tenant's own.
            "mcp_approval_response" => {
                request.results.extend(id(item, "approval_request_id"));
                request.references.extend(id(item, "approval_request_id"));
            }
            "local_shell_call_output" => {
                request.results.extend(id(item, "call_id").into_iter().chain(id(item, "id")));
            }
            _ if kind.ends_with("_output") => match item.present("call_id") {
                Some(Value::String(call)) => request.results.push(call),
                Some(other) => return Err(wrong("input.call_id", "a string", other)),
                // It may be the result of any.
                None => unnamed = true,
            },
            "message" => plain_message(item)?,
            _ => {
                if let Some(Kind::Call(call)) = what {
                    calls.push((call, item));
                }
            }
        }
        let ran = kind.ends_with("_call");
        request.containers.extend(containers_of(item).filter(|_| ran));
        stored_files(item, kind)?;
        no_results_in_part(item, "input")?;
    }
    answered(&calls, unnamed, request)
}

fn id<'v>(item: &'v Value<'_>, key: &str) -> Option<&'v str> {
    item.get(key).and_then(Value::as_str)
}

/// A message says something, and neither calls nor brings results: those are items of their own here.
fn plain_message(item: &Value<'_>) -> Result<(), Refusal> {
    let role = text(item, "role", "input")?;
    let parts = match item.present("content") {
        None | Some(Value::String(_)) => &[],
        Some(Value::Array(parts)) => parts.as_slice(),
        Some(other) => return Err(wrong("input.content", "a string or an array", other)),
    };
    let foreign = |part: &Value<'_>| {
        part.get("type")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.contains("tool") || kind.contains("call"))
    };
    let calls = ["tool_calls", "function_call", "tools", "tool_call_id"];
    if matches!(role, "tool" | "function")
        || calls.iter().any(|key| item.present(key).is_some())
        || parts.iter().any(foreign)
    {
        let message =
            "a message carries a call or a result in the form of another API; make it an item of its own";
        return Err(Refusal::invalid(message, Some("input")));
    }
    Ok(())
}

/// No id and no name is longer than what is read in an answer: a longer one could not have been told.
fn no_long_words(item: &Value<'_>) -> Result<(), Refusal> {
    for key in ["type", "id", "call_id", "name", "approval_request_id"] {
        if id(item, key).is_some_and(|word| word.len() > WORD_BYTES_MAX) {
            let message = format!("the `{key}` of an item is longer than {WORD_BYTES_MAX} bytes");
            return Err(Refusal::invalid(message, Some("input")));
        }
    }
    Ok(())
}

/// What an item of an earlier answer is; nothing for a message, a result, a reference, and what only an input has.
fn what_it_is(item: &Value<'_>, kind: &str) -> Result<Option<Kind>, Refusal> {
    let of_input =
        matches!(kind, "message" | "item_reference" | "additional_tools" | "mcp_approval_response");
    if of_input || kind.ends_with("_output") {
        return Ok(None);
    }
    let unreadable = |_| {
        let kind: String = kind.chars().take(64).collect();
        let message =
            format!("an item of type `{kind}` has the parts of a call in places where none is known");
        Refusal::invalid(message, Some("input"))
    };
    Kind::of(item, Shell::Here).map(Some).map_err(unreadable)
}

/// Whether an item says all that there is to say of it: of any other the provider looks up the rest by its id, such as
/// the results of a search.
fn says_all(item: &Value<'_>, kind: &str, what: Option<Kind>) -> bool {
    let text = |key: &str| id(item, key).is_some_and(|text| !text.trim().is_empty());
    let listed = |key: &str| item.get(key).and_then(Value::items).is_some();
    match kind {
        // It is looked up whatever it says.
        "item_reference" => true,
        "message" => match item.get("content") {
            Some(Value::Array(parts)) => !parts.is_empty() && parts.iter().all(says_something),
            content => content.and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
        },
        "reasoning" => {
            let parts = item.get("content").and_then(Value::items).unwrap_or_default();
            let said = |part: &Value<'_>| id(part, "text").is_some_and(|text| !text.trim().is_empty());
            text("encrypted_content") || (!parts.is_empty() && parts.iter().all(said))
        }
        "compaction" | "compaction_summary" => text("encrypted_content"),
        "image_generation_call" => text("result"),
        "additional_tools" | "tool_search_output" => listed("tools"),
        "mcp_approval_response" => {
            text("approval_request_id") && item.get("approve").and_then(Value::as_bool).is_some()
        }
        _ if kind.ends_with("_output") => match item.present("output") {
            Some(Value::Array(parts)) => parts.iter().all(says_something),
            Some(Value::Object(members)) => !members.is_empty(),
            output => output.is_some(),
        },
        _ => match what {
            Some(Kind::Call(Call::Function)) => item.present("arguments").is_some(),
            Some(Kind::Call(Call::Custom)) => item.present("input").is_some(),
            // What is searched for may be nothing.
            Some(Kind::Call(Call::Action { member: "arguments", .. })) => item.present("arguments").is_some(),
            Some(Kind::Call(Call::Action { member, .. })) => {
                [member, "actions"].iter().any(|key| item.get(key).is_some_and(is_something))
            }
            Some(Kind::Call(Call::Approval) | Kind::Hosted | Kind::HostedResult | Kind::Other) | None => {
                false
            }
        },
    }
}

/// Whether a part of a content has what its type is for: a text, or whatever else it carries.
fn says_something(part: &Value<'_>) -> bool {
    match id(part, "type").unwrap_or_default() {
        "refusal" => id(part, "refusal").is_some(),
        kind if kind.ends_with("text") => id(part, "text").is_some(),
        _ => {
            let members = part.members().unwrap_or_default();
            members.iter().any(|(key, member)| key != "type" && is_something(member))
        }
    }
}

fn is_something(value: &Value<'_>) -> bool {
    let empty = value.members().is_some_and(<[_]>::is_empty) || value.items().is_some_and(<[_]>::is_empty);
    !value.is_null() && !empty
}

/// Files and items that an item names by their ids. A container that a call ran in is looked up, and so is an item that is
/// itself a reference.
fn stored_files(item: &Value<'_>, kind: &str) -> Result<(), Refusal> {
    let ran = kind.ends_with("_call") && containers_of(item).next().is_some();
    if !ran && kind != "item_reference" {
        return no_stored_files(item, "input");
    }
    let mut rest = item.clone();
    if ran {
        take_container(&mut rest);
        rest.get_mut("environment").into_iter().for_each(take_container);
    } else {
        rest.remove("type");
    }
    no_stored_files(&rest, "input")
}

/// Takes out the id of a container; what is none stays.
fn take_container(place: &mut Value<'_>) {
    if id(place, "container_id").is_some() {
        place.remove("container_id");
    }
}

/// Calls of the input to which it brings a result too.
fn answered<'v>(
    calls: &[(Call, &'v Value<'_>)],
    unnamed: bool,
    request: &mut Request<'v>,
) -> Result<(), Refusal> {
    let results: HashSet<&str> = request.results.iter().copied().collect();
    let offers = |name: &str| request.offers.iter().any(|offer| offer.tool == name);
    let computer = offers("computer_use_preview");
    let hosted = offers("builtin__shell") && !offers("shell");
    for (call, item) in calls {
        let names = [Some(call_id(item)), id(item, "id"), id(item, "call_id")];
        if !unnamed && !names.into_iter().flatten().any(|name| results.contains(name)) {
            continue;
        }
        let mut tool = call.tool(item).map_err(|_| missing("input", "name"))?;
        // A computer goes by the type under which it was offered.
        if computer && tool == "computer" {
            tool = Cow::Borrowed("computer_use_preview");
        }
        // So does a shell: in a container of the provider's it ran under the parameters of its offer.
        if hosted && tool == "shell" {
            tool = Cow::Borrowed("builtin__shell");
        }
        let text = call.text(item);
        request.answered.push(Answered { id: call_id(item), tool, text, form: call.form() });
    }
    Ok(())
}
