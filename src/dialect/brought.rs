//! What a request may not bring beside what is decided: tools in places where nobody looks for them, and what a provider
//! keeps under an id, since whose it is cannot be known. A schema that describes such names brings none of them: an id is a
//! text, and tools are a list.

use super::keys;
use crate::{json::Value, refusal::Refusal};

/// What names a file or a container.
const STORED: [&str; 3] = ["container_id", "file_id", "file_ids"];
/// What names an answer.
const ANSWERS: [&str; 3] = ["comparison_response_id", "previous_response_id", "response_id"];

/// Members of an object of this type that are a call's own, tell where a text is from, or are what was found or listed.
fn own(kind: &str) -> &'static [&'static str] {
    match kind {
        "text" | "output_text" => &["annotations", "citations"],
        "custom_tool_call" | "mcp_tool_use" | "server_tool_use" | "tool_use" => &["input"],
        "function_call" | "mcp_approval_request" | "mcp_call" | "tool_search_call" => &["arguments"],
        "computer_call" | "local_shell_call" | "shell_call" => &["action", "actions"],
        "apply_patch_call" => &["operation"],
        "file_search_call" => &["results"],
        "additional_tools" | "mcp_list_tools" | "mcp_tool_listing" | "tool_search_output" => &["tools"],
        _ => &[],
    }
}

fn kind_of<'v>(object: &'v Value<'_>) -> &'v str {
    object.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// Members that are not looked into, by the type of their object.
type Skipped = fn(&str) -> &'static [&'static str];
/// Whether a member of this object is looked for.
type Sought = fn(&Value<'_>, &str, &Value<'_>) -> bool;

/// Whether a member of any object in a value is looked for.
fn any_member(value: &Value<'_>, skipped: Skipped, sought: Sought) -> bool {
    if let Some(items) = value.items() {
        return items.iter().any(|item| any_member(item, skipped, sought));
    }
    let skip = skipped(kind_of(value));
    value.members().unwrap_or_default().iter().any(|(key, member)| {
        sought(value, key, member) || (!skip.contains(&key.as_ref()) && any_member(member, skipped, sought))
    })
}

fn one_of(key: &str, names: &[&str]) -> bool {
    names.iter().any(|name| keys::reads_as(key, name))
}

fn is_id(member: &Value<'_>) -> bool {
    match member {
        Value::Null | Value::Bool(_) | Value::Object(_) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Number(_) | Value::String(_) => true,
    }
}

/// Whether a member names a file or a container by its id.
pub(super) fn names_something_stored(key: &str, member: &Value<'_>) -> bool {
    one_of(key, &STORED) && is_id(member)
}

/// Whether a member lists tools.
pub(super) fn lists_tools(key: &str, member: &Value<'_>) -> bool {
    let tools = member.items().unwrap_or_default();
    keys::reads_as(key, "tools") && tools.iter().any(|tool| tool.members().is_some())
}

fn brings_tools(_: &Value<'_>, key: &str, member: &Value<'_>) -> bool {
    let kind = member.as_str().filter(|_| keys::reads_as(key, "type"));
    let changes = keys::reads_as(key, "tool_changes") && member.items().is_some();
    changes || lists_tools(key, member) || matches!(kind, Some("tool_addition" | "tool_definition"))
}

/// A part that stands for something stored, whatever its id is called.
fn stands_for_another(key: &str, member: &Value<'_>) -> bool {
    keys::reads_as(key, "type") && matches!(member.as_str(), Some("container_upload" | "item_reference"))
}

fn names_a_file(_: &Value<'_>, key: &str, member: &Value<'_>) -> bool {
    stands_for_another(key, member) || names_something_stored(key, member)
}

fn names_a_file_that_was_not_made(object: &Value<'_>, key: &str, member: &Value<'_>) -> bool {
    let made = key == "file_id" && kind_of(object).ends_with("_output");
    !made && names_a_file(object, key, member)
}

/// What names the call that a result is of.
const CALLED: [&str; 2] = ["tool_call_id", "tool_use_id"];

fn is_a_result(_: &Value<'_>, key: &str, member: &Value<'_>) -> bool {
    let kind = member.as_str().filter(|_| keys::reads_as(key, "type")).map(keys::fold);
    let says_so = kind.is_some_and(|kind| kind.ends_with("tool_result") || kind.ends_with("_call_output"));
    says_so || (one_of(key, &CALLED) && is_id(member))
}

fn names_an_answer(_: &Value<'_>, key: &str, member: &Value<'_>) -> bool {
    one_of(key, &ANSWERS) && is_id(member)
}

fn refuse_if(found: bool, why: &str, param: &str) -> Result<(), Refusal> {
    if found { Err(Refusal::invalid(format!("`{param}` {why}"), Some(param))) } else { Ok(()) }
}

const A_FILE: &str = "names something stored by its id; send the content itself";
const AN_ANSWER: &str = "names an answer by its id, which may be another tenant's; leave it out";
const RESULT: &str = "brings the result of a tool in a place where none is looked for; bring it where results stand in this API";
const TOOLS: &str = "brings tools; offer them in `tools`, where they are checked";

/// Refuses content that is named by the id of a file, a container or an item. What a call carries is the call's own.
pub(super) fn no_stored_files(content: &Value<'_>, param: &str) -> Result<(), Refusal> {
    refuse_if(any_member(content, own, names_a_file), A_FILE, param)
}

/// The same of what ran in a container of the provider's and comes back as it came: its outputs name the files that were
/// made.
pub(super) fn only_made_files(content: &Value<'_>, param: &str) -> Result<(), Refusal> {
    refuse_if(any_member(content, own, names_a_file_that_was_not_made), A_FILE, param)
}

/// Whether a member of an object, beside those of these names, or any in it is looked for.
fn beside(object: &Value<'_>, known: &[&str], skipped: Skipped, sought: Sought) -> bool {
    let members = object.members().unwrap_or_default().iter();
    let mut members = members.filter(|(key, _)| !known.contains(&key.as_ref()));
    members.any(|(key, member)| sought(object, key, member) || any_member(member, skipped, sought))
}

/// Refuses what names something stored in an object, beside these members of it.
pub(super) fn no_stored_files_beside(object: &Value<'_>, known: &[&str], param: &str) -> Result<(), Refusal> {
    refuse_if(beside(object, known, own, names_a_file), A_FILE, param)
}

/// Refuses tools in an object, beside these members of it.
pub(super) fn no_tools_beside(object: &Value<'_>, known: &[&str], param: &str) -> Result<(), Refusal> {
    refuse_if(beside(object, known, |_| &[], brings_tools), TOOLS, param)
}

/// Refuses tools in a part of a conversation: what a call carries is the call's own, and a listing is what a server of the
/// provider's said that it has.
pub(super) fn no_tools_in_part(part: &Value<'_>, param: &str) -> Result<(), Refusal> {
    no_tools_beside(part, own(kind_of(part)), param)
}

/// Refuses results of tools in an object, beside these members of it: which calls they are of would not be checked.
pub(super) fn no_results_beside(object: &Value<'_>, known: &[&str], param: &str) -> Result<(), Refusal> {
    refuse_if(beside(object, known, own, is_a_result), RESULT, param)
}

/// Refuses results of tools in a part of a conversation, which may itself be one.
pub(super) fn no_results_in_part(part: &Value<'_>, param: &str) -> Result<(), Refusal> {
    let known = [&["type"], &CALLED[..], own(kind_of(part))].concat();
    no_results_beside(part, &known, param)
}

/// Refuses a tool that brings others: each is offered by itself.
pub(super) fn no_inner_tools(tool: &Value<'_>, param: &str) -> Result<(), Refusal> {
    let inner =
        tool.present("tools").is_some_and(|tools| tools.items().is_none_or(|tools| !tools.is_empty()));
    refuse_if(inner, "has an entry with `tools` of its own; offer each by itself", param)
}

/// Refuses tools and everything stored in a value that only says how to answer.
pub(super) fn brings_nothing(value: &Value<'_>, param: &str) -> Result<(), Refusal> {
    refuse_if(any_member(value, |_| &[], brings_tools), TOOLS, param)?;
    refuse_if(any_member(value, |_| &[], is_a_result), RESULT, param)?;
    no_stored_files(value, param)?;
    refuse_if(any_member(value, |_| &[], names_an_answer), AN_ANSWER, param)
}

/// The same of an object, beside these members of it.
pub(super) fn brings_nothing_beside(object: &Value<'_>, known: &[&str], param: &str) -> Result<(), Refusal> {
    no_tools_beside(object, known, param)?;
    no_results_beside(object, known, param)?;
    refuse_if(beside(object, known, own, names_a_file), A_FILE, param)?;
    refuse_if(beside(object, known, |_| &[], names_an_answer), AN_ANSWER, param)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[track_caller]
    fn check(text: &str, refused: bool) {
        let value = json::parse(text.as_bytes(), 32).unwrap();
        assert_eq!(brings_nothing(&value, "x").is_err(), refused, "{text}");
    }

    #[test]
    fn an_id_is_a_text_and_tools_are_a_list() {
        for name in ["file_id", "container_id", "response_id", "previous_response_id"] {
            check(&format!(r#"{{"a":[{{"{name}":"v"}}]}}"#), true);
            check(&format!(r#"{{"a":[{{"{}":"v"}}]}}"#, name.to_uppercase()), true);
            check(
                &format!(r#"{{"properties":{{"{name}":{{"type":"string"}}}},"required":["{name}"]}}"#),
                false,
            );
            check(&format!(r#"{{"{name}":null}}"#), false);
            check(&format!(r#"{{"{name}":{{"x":{{"{name}":"v"}}}}}}"#), true);
        }
        check(r#"{"file_ids":["v"]}"#, true);
        check(r#"{"file_ids":[]}"#, false);
        check(r#"{"tools":[{"name":"x"}]}"#, true);
        check(r#"{"properties":{"tools":{"type":"array"},"tool_changes":{"type":"array"}}}"#, false);
        check(r#"{"required":["tools"],"tools":["x"]}"#, false);
        check(r#"{"tool_changes":[]}"#, true);
        check(r#"{"type":"container_upload"}"#, true);
        check(r#"[{"type":"item_reference","id":"v"}]"#, true);
    }

    #[test]
    fn what_a_call_carries_is_its_own_and_nobody_elses() {
        let files = |text: &str| no_stored_files(&json::parse(text.as_bytes(), 32).unwrap(), "x").is_err();
        for key in
            ["annotations", "citations", "input", "arguments", "action", "operation", "results", "tools"]
        {
            assert!(files(&format!(r#"{{"type":"document","{key}":[{{"file_id":"v"}}]}}"#)), "{key}");
        }
        for (kind, key) in [("text", "citations"), ("tool_use", "input"), ("shell_call", "action")] {
            assert!(!files(&format!(r#"{{"type":"{kind}","{key}":[{{"file_id":"v"}}]}}"#)), "{kind}");
            assert!(files(&format!(r#"{{"type":"{kind}","x":[{{"file_id":"v"}}]}}"#)), "{kind}");
        }
        let made = |text: &str| only_made_files(&json::parse(text.as_bytes(), 32).unwrap(), "x").is_err();
        assert!(!made(r#"{"content":[{"type":"bash_code_execution_output","file_id":"v"}]}"#));
        assert!(made(r#"{"content":[{"type":"document","source":{"type":"file","file_id":"v"}}]}"#));
        assert!(made(r#"{"content":[{"type":"x_output","container_id":"v"}]}"#));
    }
}
