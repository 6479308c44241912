//! The content blocks of a message: each whole, as a stream announces it, and the deltas in between.

use serde_json::{Map, Value, json, value::RawValue};

use super::super::{
    directions::{Act, Form, PlannedCall, Speech},
    layout::{fragments, pieces},
    plan::Plan,
    write::{list, object, text},
};

/// JSON texts.
pub(super) struct Block {
    pub(super) whole: String,
    pub(super) start: String,
    pub(super) deltas: Vec<String>,
}

/// The blocks that come one after another, thinking before text, and those of what the model did.
pub(super) fn blocks(plan: &Plan) -> (Vec<Block>, Vec<Block>) {
    let thinking = plan.reasoning.as_deref().map(|thought| thinking(plan, thought));
    let said = plan.speech.as_ref().and_then(|speech| match speech {
        Speech::Text(said) | Speech::Refusal(said) => (!said.is_empty()).then(|| spoken(plan, said)),
    });
    let acts = plan.acts.iter().enumerate().flat_map(|(at, act)| match act {
        Act::Call(call) => vec![called(plan, call, at)],
        Act::Hosted(kind) => hosted(plan, kind, at),
        Act::Item { kind, members } => vec![odd(kind, members)],
    });
    (thinking.into_iter().chain(said).collect(), acts.collect())
}

fn thinking(plan: &Plan, thought: &str) -> Block {
    let block = |thought: &str, signature: &str| {
        object([("type", text("thinking")), ("thinking", text(thought)), ("signature", text(signature))])
    };
    let signature = plan.id("EqoB", thought);
    let delta = |key: &'static str, piece: &str| {
        object([("type", text(&format!("{key}_delta"))), (key, text(piece))])
    };
    let deltas = pieces(thought, &plan.form).iter().map(|piece| delta("thinking", piece)).collect::<Vec<_>>();
    let deltas = deltas.into_iter().chain([delta("signature", &signature)]).collect();
    Block { whole: block(thought, &signature), start: block("", ""), deltas }
}

fn spoken(plan: &Plan, said: &str) -> Block {
    let block = |said: &str| object([("type", text("text")), ("text", text(said))]);
    let delta = |piece: &String| object([("type", text("text_delta")), ("text", text(piece))]);
    Block {
        whole: block(said),
        start: block(""),
        deltas: pieces(said, &plan.form).iter().map(delta).collect(),
    }
}

fn called(plan: &Plan, PlannedCall { name, arguments }: &PlannedCall, at: usize) -> Block {
    let id = plan.id("toolu", &format!("{name}\0{arguments}\0{at}"));
    tool_use("tool_use", &id, name, arguments, &plan.form)
}

fn tool_use(kind: &str, id: &str, name: &str, arguments: &str, form: &Form) -> Block {
    let block = |input: String| {
        object([("type", text(kind)), ("id", text(id)), ("name", text(name)), ("input", input)])
    };
    let whole = block(input(arguments));
    if form.object_args {
        return Block { start: whole.clone(), whole, deltas: Vec::new() };
    }
    let delta = |piece: String| object([("type", text("input_json_delta")), ("partial_json", text(&piece))]);
    let pieces = std::iter::once(String::new()).chain(fragments(arguments, form));
    Block { whole, start: block("{}".to_owned()), deltas: pieces.map(delta).collect() }
}

/// What stands as `input` where a call is whole: the arguments verbatim if they are JSON, else wrapped, which is how
/// Anthropic would have a client pass them back.
fn input(arguments: &str) -> String {
    match serde_json::from_str::<&RawValue>(arguments) {
        Ok(json) => json.get().to_owned(),
        Err(_) if arguments.trim().is_empty() => "{}".to_owned(),
        Err(_) => json!({ "INVALID_JSON": arguments }).to_string(),
    }
}

/// A tool that the provider ran: the call and its result, in Anthropic's words for it.
fn hosted(plan: &Plan, kind: &str, at: usize) -> Vec<Block> {
    let name = kind.trim_end_matches("_call");
    let ran_by = |prefix: &str| plan.id(prefix, &format!("{kind}\0{at}"));
    if name == "mcp" {
        let id = ran_by("mcptoolu");
        let head = |kind: &str| vec![("type", text(kind)), ("id", text(&id)), ("name", text("get_weather"))];
        let more = [("server_name", text("mock")), ("input", r#"{"city":"Bern"}"#.to_owned())];
        let call = object(head("mcp_tool_use").into_iter().chain(more));
        let content = json!([{ "type": "text", "text": "sunny" }]);
        let result =
            json!({ "type": "mcp_tool_result", "tool_use_id": id, "is_error": false, "content": content });
        return [call, result.to_string()].map(unmoved).into();
    }
    let (arguments, content) = match name {
        "web_search" => (
            r#"{"query":"tollgate"}"#,
            json!([{
                "type": "web_search_result", "url": "https://example.com/", "title": "Example",
                "encrypted_content": "bW9jaw==", "page_age": null,
            }]),
        ),
        "web_fetch" => (
            r#"{"url":"https://example.com/"}"#,
            json!({
                "type": "web_fetch_result", "url": "https://example.com/", "retrieved_at": null,
                "content": {
                    "type": "document", "title": "Example",
                    "source": { "type": "text", "media_type": "text/plain", "data": "example" },
                },
            }),
        ),
        "code_execution" => (
            r#"{"code":"print(1)"}"#,
            json!({ "type": "code_execution_result", "stdout": "1\n", "stderr": "", "return_code": 0, "content": [] }),
        ),
        _ => ("{}", json!([])),
    };
    let id = ran_by("srvtoolu");
    let call = tool_use("server_tool_use", &id, name, arguments, &plan.form);
    let result = [
        ("type", text(&format!("{name}_tool_result"))),
        ("tool_use_id", text(&id)),
        ("content", content.to_string()),
    ];
    vec![call, unmoved(object(result))]
}

fn odd(kind: &str, members: &Map<String, Value>) -> Block {
    let members = members.iter().map(|(key, value)| (key.as_str(), value.to_string()));
    unmoved(object([("type", text(kind))].into_iter().chain(members)))
}

/// A block that is whole when it is announced.
fn unmoved(block: String) -> Block {
    Block { start: block.clone(), whole: block, deltas: Vec::new() }
}

/// The content of a whole message.
pub(super) fn content(plan: &Plan) -> String {
    let (talk, acts) = blocks(plan);
    list(talk.into_iter().chain(acts).map(|block| block.whole))
}
