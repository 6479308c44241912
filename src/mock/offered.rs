//! The tools on offer in a request, however its dialect writes them down, and which of them the model calls.

use serde_json::Value;

use super::{
    directions::{Act, CallKind, Directions, PlannedCall},
    schema,
};

/// What a real model would do with the tools on offer: obey `tool_choice`, else call those that the text names.
pub(super) fn choose_calls(body: &Value, directions: &mut Directions) {
    let offered = offered(body);
    let choice = body.get("tool_choice").or_else(|| body.get("function_call"));
    let word = choice.and_then(|choice| choice.as_str().or_else(|| choice.get("type")?.as_str()));
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
    let chosen: Vec<&Offered<'_>> = match (forced, word) {
        (Some(name), _) => offered.iter().filter(|tool| tool.name == name).collect(),
        (None, Some("none")) => Vec::new(),
        (None, Some("required" | "any")) => offered.iter().take(1).collect(),
        (None, Some(_) | None) => named(&directions.plain),
    };
    for tool in chosen {
        if directions.form.kind == CallKind::Function {
            directions.form.kind = tool.kind;
        }
        let arguments = schema::arguments(tool.parameters);
        directions.acts.push(Act::Call(PlannedCall { name: tool.name.to_owned(), arguments }));
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
    let tools = list("tools").filter_map(tool);
    let functions = list("functions").filter_map(|tool| {
        Some(Offered {
            name: tool.get("name")?.as_str()?,
            kind: CallKind::Legacy,
            parameters: tool.get("parameters"),
        })
    });
    tools.chain(functions).collect()
}

/// An entry of `tools`: in Chat Completions under the key of its type, in Responses and Messages flat.
fn tool(tool: &Value) -> Option<Offered<'_>> {
    let flat = || matches!(tool.get("type").and_then(Value::as_str), None | Some("function" | "custom"));
    let (kind, inner) = match (tool.get("function"), tool.get("custom")) {
        (Some(function), _) => (CallKind::Function, function),
        (None, Some(custom)) => (CallKind::Custom, custom),
        (None, None) if !flat() => return None,
        (None, None) => (CallKind::Function, tool),
    };
    let parameters = inner.get("parameters").or_else(|| inner.get("input_schema"));
    let free_text = parameters.is_none() && tool.get("type").is_some_and(|kind| kind == "custom");
    let kind = if free_text { CallKind::Custom } else { kind };
    Some(Offered { name: inner.get("name")?.as_str()?, kind, parameters })
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
