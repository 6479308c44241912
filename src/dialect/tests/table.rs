//! One rule set decides alike in every dialect: each form of a call, told whole and in a stream that is cut in every
//! way, under each decision of a policy, has the outcome of that decision.

use super::{golden::events, script::LIMITS};
use crate::{
    call::{Arguments, Place},
    dialect::{self, Api, Judge, Progress, Stream, Told, Transcript, Verdict, notice},
    json,
    policy::{
        Caller, Effect, Outcome, Policy, Question, Rule, Source, condition::Condition, glob::Glob, path::Path,
    },
    refusal::Refusal,
};
use serde_json::{Value, json};

/// What marks the inside of the call.
const CANARY: &str = "canary1";
const ID: &str = "canary2";

/// How a dialect tells of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    ChatCustom,
    ChatFunction,
    ChatLegacy,
    MessagesMcp,
    MessagesServer,
    MessagesTool,
    ResponsesApproval,
    ResponsesComputer,
    ResponsesCustom,
    ResponsesFunction,
    ResponsesLocalShell,
    ResponsesMcp,
    ResponsesPatch,
    ResponsesSearch,
    ResponsesShell,
}

const FORMS: [Form; 15] = [
    Form::ChatCustom,
    Form::ChatFunction,
    Form::ChatLegacy,
    Form::MessagesMcp,
    Form::MessagesServer,
    Form::MessagesTool,
    Form::ResponsesApproval,
    Form::ResponsesComputer,
    Form::ResponsesCustom,
    Form::ResponsesFunction,
    Form::ResponsesLocalShell,
    Form::ResponsesMcp,
    Form::ResponsesPatch,
    Form::ResponsesSearch,
    Form::ResponsesShell,
];

/// What a policy says of the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Allow,
    Ask,
    Deny,
    DenyByDefault,
    /// Denied, and the tenant wants an error instead of a notice.
    Error,
    Set,
    TooLong,
    /// Allowed under a condition on arguments that cannot be read, or do not have what it asks for.
    Unreadable,
}

const DECISIONS: [Decision; 8] = [
    Decision::Allow,
    Decision::Ask,
    Decision::Deny,
    Decision::DenyByDefault,
    Decision::Error,
    Decision::Set,
    Decision::TooLong,
    Decision::Unreadable,
];

/// What a client meets.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    Call,
    Error,
    /// The call with what a rule forced into it.
    Forced,
    /// A notice, and nothing of the call but its name.
    Notice,
}

impl Decision {
    fn expected(self, form: Form) -> Met {
        match self {
            // It ran, and nothing was forced into it.
            Self::Set if form.is_hosted() => Met::Notice,
            Self::Allow => Met::Call,
            Self::Ask | Self::Deny | Self::DenyByDefault | Self::TooLong | Self::Unreadable => Met::Notice,
            Self::Error => Met::Error,
            Self::Set => Met::Forced,
        }
    }

    fn policy(self, form: Form) -> Policy {
        let tools = || [Glob::new(form.tool())].into_iter().collect();
        let rule = |effect: Effect| Rule::plain(effect, tools(), Source::new("tenants/acme.yaml", 1));
        let path = if form.is_custom() { "input" } else { "v" };
        Policy::new(match self {
            Self::Allow | Self::TooLong => vec![rule(Effect::Allow)],
            Self::Ask => vec![rule(Effect::Allow), rule(Effect::Ask)],
            Self::Deny | Self::Error => vec![rule(Effect::Allow), rule(Effect::Deny)],
            Self::DenyByDefault => Vec::new(),
            Self::Set => {
                let set = vec![(Path::new(path).unwrap(), json::Value::string("forced"))];
                vec![Rule { set, ..rule(Effect::Allow) }]
            }
            Self::Unreadable => {
                let when = Condition::compile("args.v == 'canary1'").unwrap();
                vec![Rule { when: Some(when), ..rule(Effect::Allow) }]
            }
        })
    }
}

impl Form {
    fn api(self) -> Api {
        match self {
            Self::ChatCustom | Self::ChatFunction | Self::ChatLegacy => Api::Chat,
            Self::MessagesMcp | Self::MessagesServer | Self::MessagesTool => Api::Messages,
            _ => Api::Responses,
        }
    }

    fn tool(self) -> &'static str {
        match self {
            Self::MessagesMcp | Self::ResponsesApproval | Self::ResponsesMcp => "builtin__mcp",
            Self::MessagesServer | Self::ResponsesSearch => "builtin__web_search",
            Self::ResponsesComputer => "computer",
            Self::ResponsesLocalShell => "local_shell",
            Self::ResponsesPatch => "apply_patch",
            Self::ResponsesShell => "shell",
            _ => "send",
        }
    }

    fn is_custom(self) -> bool {
        matches!(self, Self::ChatCustom | Self::ResponsesCustom)
    }

    /// Whether its arguments are decided when the tool is offered.
    fn is_hosted(self) -> bool {
        matches!(
            self,
            Self::MessagesMcp
                | Self::MessagesServer
                | Self::ResponsesApproval
                | Self::ResponsesMcp
                | Self::ResponsesSearch
        )
    }

    /// Whether its arguments are a text, of which not all can be read.
    fn is_text(self) -> bool {
        matches!(self, Self::ChatFunction | Self::ChatLegacy | Self::MessagesTool | Self::ResponsesFunction)
    }

    fn meets(self, decision: Decision) -> bool {
        let of_arguments = matches!(decision, Decision::TooLong | Decision::Unreadable);
        !(self.is_hosted() && of_arguments)
    }

    /// The arguments that the model writes.
    fn input(self, decision: Decision) -> String {
        match decision {
            Decision::TooLong => {
                json!({ "v": format!("{CANARY}{}", "a".repeat(LIMITS.tool_arguments)) }).to_string()
            }
            Decision::Unreadable if self.is_text() => format!("{{\"v\":\"{CANARY}\""),
            Decision::Unreadable => json!({ "w": CANARY }).to_string(),
            _ => json!({ "v": CANARY }).to_string(),
        }
    }

    /// The call as it stands in a message, a block or an item; nothing where it cannot stand there.
    fn told(self, input: &str) -> Option<Value> {
        let object = || serde_json::from_str::<Value>(input).ok();
        let item = |kind: &str, more: Value| {
            let mut item =
                json!({ "type": kind, "id": format!("i_{ID}"), "call_id": ID, "status": "completed" });
            item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            if matches!(kind, "mcp_call" | "web_search_call") {
                item.as_object_mut().unwrap().remove("call_id");
            }
            item
        };
        Some(match self {
            Self::ChatCustom => {
                json!({ "id": ID, "type": "custom", "custom": { "name": "send", "input": input } })
            }
            Self::ChatFunction => {
                json!({ "id": ID, "type": "function", "function": { "name": "send", "arguments": input } })
            }
            Self::ChatLegacy => json!({ "name": "send", "arguments": input }),
            Self::MessagesMcp => {
                json!({ "type": "mcp_tool_use", "id": ID, "name": "crm", "server_name": "crm", "input": object()? })
            }
            Self::MessagesServer => {
                json!({ "type": "server_tool_use", "id": ID, "name": "web_search", "input": object()? })
            }
            Self::MessagesTool => json!({ "type": "tool_use", "id": ID, "name": "send", "input": object()? }),
            Self::ResponsesApproval => item(
                "mcp_approval_request",
                json!({ "name": "crm", "server_label": "crm", "arguments": input }),
            ),
            Self::ResponsesComputer => item("computer_call", json!({ "action": object()? })),
            Self::ResponsesCustom => item("custom_tool_call", json!({ "name": "send", "input": input })),
            Self::ResponsesFunction => item("function_call", json!({ "name": "send", "arguments": input })),
            Self::ResponsesLocalShell => item("local_shell_call", json!({ "action": object()? })),
            Self::ResponsesMcp => {
                item("mcp_call", json!({ "name": "crm", "server_label": "crm", "arguments": input }))
            }
            Self::ResponsesPatch => item("apply_patch_call", json!({ "operation": object()? })),
            Self::ResponsesSearch => item("web_search_call", json!({ "action": object()? })),
            Self::ResponsesShell => item("shell_call", json!({ "action": object()? })),
        })
    }

    fn whole(self, input: &str) -> Option<String> {
        let told = self.told(input)?;
        let body = match self.api() {
            Api::Messages => json!({ "type": "message", "content": [told], "stop_reason": "tool_use" }),
            Api::Responses => json!({ "id": "resp_1", "status": "completed", "output": [told] }),
            _ => {
                let member = if self == Self::ChatLegacy {
                    json!({ "function_call": told })
                } else {
                    json!({ "tool_calls": [told] })
                };
                json!({ "choices": [{ "index": 0, "message": member, "finish_reason": "tool_calls" }] })
            }
        };
        Some(body.to_string())
    }

    fn stream(self, input: &str) -> String {
        // What flows is looked for in what leaves, so that it comes in one piece.
        let (first, second) = input.split_at(if self.is_hosted() { 0 } else { input.len() / 2 });
        let events = match self.api() {
            Api::Messages => self.blocks([first, second]),
            Api::Responses => self.items(input, [first, second]),
            _ => return self.chunks([first, second]),
        };
        events
            .iter()
            .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
            .collect()
    }

    fn chunks(self, pieces: [&str; 2]) -> String {
        let member = |piece: &str| {
            let told = self.told(piece).unwrap();
            if self == Self::ChatLegacy {
                return json!({ "function_call": told });
            }
            let mut told = told;
            told["index"] = json!(0);
            json!({ "tool_calls": [told] })
        };
        let mut out: String = pieces
            .iter()
            .map(|piece| {
                format!(
                    "data: {}\n\n",
                    json!({ "choices": [{ "index": 0, "delta": member(piece), "finish_reason": null }] })
                )
            })
            .collect();
        let last = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }] });
        out.push_str(&format!("data: {last}\n\ndata: [DONE]\n\n"));
        out
    }

    fn blocks(self, pieces: [&str; 2]) -> Vec<Value> {
        let mut events = vec![
            json!({ "type": "message_start", "message": { "content": [] } }),
            json!({ "type": "content_block_start", "index": 0, "content_block": self.told("{}").unwrap() }),
        ];
        events.extend(pieces.map(|piece| {
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "input_json_delta", "partial_json": piece } })
        }));
        events.extend([
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" } }),
            json!({ "type": "message_stop" }),
        ]);
        events
    }

    fn items(self, input: &str, pieces: [&str; 2]) -> Vec<Value> {
        let told = self.told(input).unwrap();
        let mut begun = told.clone();
        begun["status"] = json!("in_progress");
        let family = match self {
            Self::ResponsesFunction => Some(("response.function_call_arguments", "arguments")),
            Self::ResponsesCustom => Some(("response.custom_tool_call_input", "input")),
            _ => None,
        };
        let mut events =
            vec![json!({ "type": "response.created", "response": { "id": "resp_1", "output": [] } })];
        if let Some((_, member)) = family {
            begun[member] = json!("");
        }
        events.push(json!({ "type": "response.output_item.added", "output_index": 0, "item": begun }));
        if let Some((family, member)) = family {
            events.extend(pieces.map(
                |piece| json!({ "type": format!("{family}.delta"), "output_index": 0, "item_id": told["id"], "delta": piece }),
            ));
            events.push(json!({ "type": format!("{family}.done"), "output_index": 0, "item_id": told["id"], member: input }));
        }
        events.push(json!({ "type": "response.output_item.done", "output_index": 0, "item": told }));
        events
            .push(json!({ "type": "response.completed", "response": { "id": "resp_1", "output": [told] } }));
        events
    }
}

/// A judge who decides by a policy, as the exchange does.
struct Court {
    policy: Policy,
    error: bool,
    caller: Caller,
    asked: Vec<String>,
}

impl Judge for Court {
    fn judge(&mut self, tool: &str, args: &Arguments<'_>, _: &str) -> Verdict {
        self.asked.push(tool.to_owned());
        let place = Place::Emitted;
        let question = Question { caller: &self.caller, key_tools: None, tool, args, place, now: 0 };
        let decision = self.policy.decide(&question);
        match decision.outcome {
            Outcome::Allow => decision
                .rewritten
                .map_or(Verdict::Release, |arguments| Verdict::Rewrite { arguments: arguments.to_string() }),
            Outcome::Ask | Outcome::Deny if self.error => Verdict::Abort(Refusal::ToolNotAllowed {
                tool: tool.to_owned(),
                reason: decision.reason.into_owned(),
            }),
            Outcome::Ask | Outcome::Deny => Verdict::Remove { notice: notice(tool, &decision.reason) },
        }
    }

    fn offered_as(&self, _: &str) -> Option<String> {
        None
    }

    fn withhold(&mut self, tool: &str, _: &str, _: &'static str) {
        // One that was decided on, and cannot be changed as it should, was counted then.
        if self.asked.last().is_none_or(|last| last != tool) {
            self.asked.push(tool.to_owned());
        }
    }
}

/// What a client meets in what left, which says `failed` where it was refused.
#[track_caller]
fn met(form: Form, out: &str, failed: Option<&Refusal>, what: &str) -> Met {
    let inside = out.contains(CANARY) || out.contains(ID);
    if let Some(refusal) = failed {
        assert_eq!((refusal.status(), inside), (403, false), "{what}: {out}");
        return Met::Error;
    }
    if out.contains(&format!("The tool call `{}` was denied: ", form.tool())) {
        assert!(!inside && !out.contains("forced"), "{what}: {out}");
        assert!(
            !out.contains("\"finish_reason\":\"tool_calls\"")
                && !out.contains("\"stop_reason\":\"tool_use\""),
            "{what}: {out}"
        );
        return Met::Notice;
    }
    // A legacy call has no id.
    assert!(out.contains(ID) || form == Form::ChatLegacy, "{what}: {out}");
    match (out.contains(CANARY), out.contains("forced")) {
        (true, false) => Met::Call,
        (false, true) => Met::Forced,
        both => panic!("{what}: {both:?} {out}"),
    }
}

fn court(form: Form, decision: Decision) -> Court {
    Court {
        policy: decision.policy(form),
        error: decision == Decision::Error,
        caller: Caller::new("acme", "prod", &[]),
        asked: Vec::new(),
    }
}

#[track_caller]
fn check_stream(form: Form, decision: Decision, pieces: &[&[u8]], what: &str) {
    let mut court = court(form, decision);
    let mut stream = Stream::new(form.api(), LIMITS, Transcript::keeping(1 << 16));
    let (mut out, mut progress) = (Vec::new(), Progress::Continue);
    for piece in pieces {
        progress = stream.read(piece, &mut court, &mut out);
        if progress != Progress::Continue {
            break;
        }
    }
    let failed = match &progress {
        Progress::Failed(refusal) => Some(refusal),
        Progress::Done => None,
        Progress::Continue => panic!("{what}: it did not end"),
    };
    let out = String::from_utf8(out).unwrap();
    assert_eq!(met(form, &out, failed, what), decision.expected(form), "{what}: {out}");
    assert_eq!(court.asked, [form.tool()], "{what}");
    let recorded = stream.told.completion.into_said().as_str().to_owned();
    assert!(decision.expected(form) == Met::Call || !recorded.contains(CANARY), "{what}: {recorded}");
}

#[test]
fn every_form_of_a_call_meets_the_same_decision_in_every_dialect() {
    let mut cases = 0;
    for form in FORMS {
        for decision in DECISIONS.into_iter().filter(|decision| form.meets(*decision)) {
            let what = format!("{form:?} {decision:?}");
            let input = form.input(decision);
            if let Some(body) = form.whole(&input) {
                let (mut court, mut told) = (court(form, decision), Told::default());
                let left = dialect::whole(form.api(), body.as_bytes(), LIMITS, &mut told, &mut court);
                let (out, failed) = match left {
                    Ok(left) => (left.map_or(body, |left| String::from_utf8(left).unwrap()), None),
                    Err(refusal) => (String::new(), Some(refusal)),
                };
                assert_eq!(
                    met(form, &out, failed.as_ref(), &what),
                    decision.expected(form),
                    "{what} whole: {out}"
                );
                assert_eq!(court.asked, [form.tool()], "{what} whole");
            }
            let stream = form.stream(&input);
            let stream = stream.as_bytes();
            check_stream(form, decision, &[stream], &format!("{what} in one piece"));
            check_stream(form, decision, &events(stream), &format!("{what} event by event"));
            check_stream(
                form,
                decision,
                &stream.chunks(1).collect::<Vec<_>>(),
                &format!("{what} byte by byte"),
            );
            check_stream(form, decision, &stream.chunks(7).collect::<Vec<_>>(), &format!("{what} in sevens"));
            cases += 1;
        }
    }
    assert_eq!(cases, 10 * 8 + 5 * 6);
}
