//! Responses, Messages and translation on the real binary: what the SDKs' tests do not look at. Whose a stored answer
//! is, over a restart too; headers and errors in Anthropic's words; what is metered; where a call may go.

use crate::support::{ACME, Answer, GLOBEX, Gateway, chat};
use serde_json::{Value, json};
use std::io::Read;

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }, { id: narrow, sha256: 35224d0d3465d74e855f8d69a136e79c744ea35a675d3393360a327cbf6359a2, models: [claude] }]
    models: [gpt-5, claude, either]
    tools:
      - allow: ["get_*", builtin__web_search]
      - deny: "delete_*"
        reason: Deletions go through support.
    limits: { requests: 6000/min }
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [gpt-5, claude]
"#;
/// Its SHA-256 stands above.
const NARROW: &str = "secret2";

fn response(input: &str, more: &str) -> String {
    let input = Value::from(input);
    format!(r#"{{"model":"gpt-5","input":{input}{more}}}"#)
}

fn message(model: &str, text: &str, more: &str) -> String {
    let text = Value::from(text);
    format!(r#"{{"model":"{model}","max_tokens":100,"messages":[{{"role":"user","content":{text}}}]{more}}}"#)
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// An error without what differs by nature.
fn told(answer: &Answer, id: &str) -> (u16, String) {
    (answer.status, answer.body.replace(id, "ID"))
}

#[test]
fn a_stored_response_is_its_tenants_alone_over_a_restart_too() {
    let mut gateway = Gateway::with(TENANTS, "");
    let id = id(&gateway.post("/v1/responses", ACME, &response("hello", "")));
    let path = format!("/v1/responses/{id}");
    let items = format!("{path}/input_items");
    for round in 0..2 {
        assert_eq!(gateway.get(&path, ACME).json()["id"], *id, "round {round}");
        assert_eq!(gateway.get(&items, ACME).status, 200, "round {round}");
        let unknown =
            |path: &str| told(&gateway.get(&path.replace(&id, "resp_unknown"), ACME), "resp_unknown");
        for path in [&path, &items] {
            assert_eq!(told(&gateway.get(path, GLOBEX), &id), unknown(path), "round {round}");
            // A key that may not use the model may not read what it said.
            assert_eq!(told(&gateway.get(path, NARROW), &id), unknown(path), "round {round}");
        }
        assert_eq!(gateway.delete(&path, GLOBEX).status, 404);
        assert_eq!(gateway.post(&format!("{path}/cancel"), GLOBEX, "").status, 404);
        let previous = format!(r#","previous_response_id":"{id}""#);
        let foreign = gateway.post("/v1/responses", GLOBEX, &response("hi", &previous));
        let unknown =
            gateway.post("/v1/responses", GLOBEX, &response("hi", &previous).replace(&id, "resp_unknown"));
        assert_eq!((foreign.status, foreign.code().as_str()), (400, "previous_response_not_found"));
        assert_eq!(told(&foreign, &id), told(&unknown, "resp_unknown"));
        assert_eq!(gateway.post("/v1/responses", ACME, &response("hi", &previous)).status, 200);
        if round == 0 {
            gateway.restart();
        }
    }
    assert_eq!(gateway.delete(&path, ACME).json()["deleted"], true);
    assert_eq!(gateway.get(&path, ACME).status, 404);
}

#[test]
fn a_conversation_goes_on_after_a_denied_call() {
    let mut gateway = Gateway::with(TENANTS, "");
    let asked = response("!call delete_x {\"v\":\"hidden\"}", "");
    let first = gateway.post("/v1/responses", ACME, &asked);
    assert!(
        !first.body.contains("hidden") && first.body.contains("Deletions go through support."),
        "{first:?}"
    );
    let id = id(&first);
    let call_id = {
        let seen: Value = serde_json::from_str(&gateway.seen().to_string()).unwrap();
        assert_eq!(seen.as_array().unwrap().len(), 1);
        // The mock keeps the call; its id is read from there.
        let stored = gateway.mock_get(&format!("/v1/responses/{id}"));
        stored.json()["output"][0]["call_id"].as_str().unwrap().to_owned()
    };
    let previous = format!(r#","previous_response_id":"{id}""#);
    let result = format!(
        r#"{{"model":"gpt-5","input":[{{"type":"function_call_output","call_id":"{call_id}","output":"done"}}]{previous}}}"#
    );
    for round in 0..2 {
        let forged = gateway.post("/v1/responses", ACME, &result);
        assert_eq!((forged.status, forged.code().as_str()), (403, "tool_not_allowed"), "{forged:?}");
        let second = gateway.post("/v1/responses", ACME, &response("and now?", &previous));
        assert_eq!(second.status, 200, "{second:?}");
        let sent = gateway.seen();
        let sent: Value =
            serde_json::from_str(sent.as_array().unwrap().last().unwrap()["body"].as_str().unwrap()).unwrap();
        assert_eq!(sent["input"][0]["type"], "function_call_output");
        assert_eq!(sent["input"][0]["call_id"], *call_id);
        assert!(sent["input"][0]["output"].as_str().unwrap().contains("was denied"), "{sent}");
        assert_eq!(sent["input"][1], json!({ "role": "user", "content": "and now?" }));
        if round == 0 {
            gateway.restart();
        }
    }
}

#[test]
fn an_answer_that_was_cut_short_goes_on_once_it_was_looked_up() {
    let gateway = Gateway::with(TENANTS, "");
    for (tool, status) in [("get_x", 200), ("delete_x", 403)] {
        let cut = format!("!call {tool} {{\"v\":1}}\n!cut 3");
        let cut = gateway.post("/v1/responses", ACME, &response(&cut, r#","stream":true"#));
        assert!(cut.body.contains("response.created") && !cut.body.contains("response.completed"), "{cut:?}");
        let id = cut.body.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
        let path = format!("/v1/responses/{id}");
        let call_id = gateway.mock_get(&path).json()["output"][0]["call_id"].as_str().unwrap().to_owned();
        let previous = format!(r#","previous_response_id":"{id}""#);
        let result = format!(
            r#"{{"model":"gpt-5","input":[{{"type":"function_call_output","call_id":"{call_id}","output":"done"}}]{previous}}}"#
        );
        for body in [&result, &response("hi", &previous)] {
            let answer = gateway.post("/v1/responses", ACME, body);
            assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_request"), "{answer:?}");
            assert!(answer.body.contains("did not come to its end"), "{answer:?}");
        }
        let looked_up = gateway.get(&path, ACME);
        assert_eq!(
            (looked_up.status, looked_up.body.contains(&call_id)),
            (200, status == 200),
            "{looked_up:?}"
        );
        assert_eq!(gateway.post("/v1/responses", ACME, &result).status, status, "{tool}");
    }
}

#[test]
fn an_id_names_one_kind_of_thing_of_its_tenant() {
    let gateway = Gateway::with(TENANTS, "");
    let searched = response("!hosted web_search_call", r#","tools":[{"type":"web_search"}],"store":false"#);
    let searched = gateway.post("/v1/responses", ACME, &searched).json();
    let search = searched["output"].as_array().unwrap().iter().find(|item| item["type"] == "web_search_call");
    let search = search.unwrap_or_else(|| panic!("{searched}"));
    let with =
        |item: &Value| json!({ "model": "gpt-5", "input": [item, { "role": "user", "content": "hi" }] });
    // Nothing was stored, and the item is known again all the same: to its tenant.
    assert_eq!(gateway.post("/v1/responses", ACME, &with(search).to_string()).status, 200);
    let foreign = gateway.post("/v1/responses", GLOBEX, &with(search).to_string());
    assert!(foreign.status == 400 && foreign.body.contains("was not found"), "{foreign:?}");
    let stored = gateway.post("/v1/responses", ACME, &response("hello", "")).json();
    let (answer, item) = (stored["id"].as_str().unwrap(), stored["output"][0]["id"].as_str().unwrap());
    let goes_on = |id: &str| {
        let body = response("hi", &format!(r#","previous_response_id":"{id}""#));
        gateway.post("/v1/responses", ACME, &body).status
    };
    let refers = |id: &str| {
        let reference = json!({ "type": "item_reference", "id": id });
        gateway.post("/v1/responses", ACME, &with(&reference).to_string()).status
    };
    assert_eq!((goes_on(answer), goes_on(item)), (200, 400));
    assert_eq!((refers(answer), refers(item)), (400, 200));
    assert_eq!(gateway.get(&format!("/v1/responses/{item}"), ACME).status, 404);
}

/// Rules that hold only for the parameters of an offer.
const CONDITIONS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [gpt-5]
    tools:
      - allow: ["get_*", computer_use_preview]
      - allow: builtin__web_search
        args: { search_context_size: { in: [low] } }
      - allow: builtin__code_interpreter
        when: args.container.type == "auto"
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [gpt-5]
    tools: [{ allow: builtin__code_interpreter }]
"#;

#[test]
fn a_look_up_shows_what_the_answer_showed() {
    let mut gateway = Gateway::with(CONDITIONS, "");
    let tools =
        r#","tools":[{"type":"web_search","search_context_size":"low"},{"type":"computer_use_preview"}]"#;
    let asked = "!say Well.\n!hosted web_search_call\n!item computer_call\n!call get_x {\"v\":1}";
    let whole = gateway.post("/v1/responses", ACME, &response(asked, tools));
    let (id, output) = (id(&whole), whole.json()["output"].clone());
    let kinds: Vec<&str> =
        output.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "web_search_call", "computer_call", "function_call"], "{whole:?}");
    // What was replayed is listed as it went in.
    let replayed = json!({ "model": "gpt-5", "input": [{ "role": "user", "content": "hi" }, output[1]],
        "tools": [{ "type": "web_search", "search_context_size": "low" }] });
    let replayed = gateway.post("/v1/responses", ACME, &replayed.to_string()).json();
    let items = format!("/v1/responses/{}/input_items", replayed["id"].as_str().unwrap());
    for round in 0..2 {
        let looked_up = gateway.get(&format!("/v1/responses/{id}"), ACME).json();
        assert_eq!(looked_up["output"], output, "round {round}: {looked_up}");
        let listed = gateway.get(&items, ACME).json();
        assert!(listed["data"].as_array().unwrap().contains(&output[1]), "round {round}: {listed}");
        if round == 0 {
            gateway.restart();
        }
    }
}

#[test]
fn an_answer_that_was_cut_short_goes_on_with_what_was_offered() {
    let gateway = Gateway::with(CONDITIONS, "");
    let tools = r#","tools":[{"type":"computer_use_preview"}]"#;
    let cut = response("!item computer_call\n!cut 4", &format!(r#"{tools},"stream":true"#));
    let cut = gateway.post("/v1/responses", ACME, &cut);
    assert!(cut.body.contains("response.created") && !cut.body.contains("response.completed"), "{cut:?}");
    let id = cut.body.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    let looked_up = gateway.get(&format!("/v1/responses/{id}"), ACME).json();
    let call = &looked_up["output"][0];
    assert_eq!(call["type"], "computer_call", "{looked_up}");
    let shot = json!({ "type": "computer_screenshot", "image_url": "data:image/png;base64,AA" });
    let result = json!({ "type": "computer_call_output", "call_id": call["call_id"], "output": shot });
    let next = json!({ "model": "gpt-5", "previous_response_id": id, "input": [result], "tools": [{ "type": "computer_use_preview" }] });
    let next = gateway.post("/v1/responses", ACME, &next.to_string());
    assert_eq!(next.status, 200, "{next:?}");
}

#[test]
fn a_container_is_its_tenants_wherever_an_item_names_it() {
    let gateway = Gateway::with(CONDITIONS, "");
    let ran = response(
        "!hosted code_interpreter_call",
        r#","tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#,
    );
    let ran = gateway.post("/v1/responses", ACME, &ran).json();
    let own = ran["output"].as_array().unwrap().iter().find_map(|item| item["container_id"].as_str());
    let own = own.unwrap_or_else(|| panic!("{ran}"));
    let asks = |key: &str, top: &str, place: &str| {
        let item = json!({ "type": "code_interpreter_call", "code": "1", "container_id": top, "environment": { "container_id": place } });
        let body = json!({ "model": "gpt-5", "input": [item, { "role": "user", "content": "hi" }] });
        gateway.post("/v1/responses", key, &body.to_string()).status
    };
    assert_eq!(asks(ACME, own, own), 200);
    assert_eq!((asks(ACME, "cntr_foreign", own), asks(ACME, own, "cntr_foreign")), (400, 400));
    assert_eq!(asks(GLOBEX, own, own), 400);
}

#[test]
fn a_secret_of_a_container_reaches_the_provider_and_no_record() {
    let gateway = Gateway::with(CONDITIONS, "");
    let policy = r#"{"type":"allowlist","allowed_domains":["a.example"],"domain_secrets":[{"domain":"a.example","name":"K","value":"plain words"}]}"#;
    let tool =
        format!(r#"{{"type":"code_interpreter","container":{{"type":"auto","network_policy":{policy}}}}}"#);
    let brought = format!(r#"{{"type":"additional_tools","role":"developer","tools":[{tool}]}}"#);
    let body = format!(
        r#"{{"model":"gpt-5","input":[{{"role":"user","content":"hi"}},{brought}],"tools":[{tool}]}}"#
    );
    assert_eq!(gateway.post("/v1/responses", ACME, &body).status, 200);
    assert_eq!(gateway.seen().to_string().matches("plain words").count(), 2);
    for line in gateway.lines("audit", "acme", 2).iter().chain(&gateway.lines("log", "acme", 1)) {
        assert!(!line.to_string().contains("plain words"), "{line}");
        assert!(line["args"].is_null() || line["args"].to_string().contains("domain_secrets"), "{line}");
    }
}

#[test]
fn what_cannot_be_inspected_is_refused_and_sent_nowhere() {
    let gateway = Gateway::with(TENANTS, "");
    for more in [
        r#","background":true"#,
        r#","prompt":{"id":"pmpt_1"}"#,
        r#","conversation":"conv_1""#,
        r#","conversation":{"id":"conv_1"}"#,
        r#","instructions":[{"type":"item_reference","id":"msg_1"}]"#,
        r#","image":{"file_id":"file-1"}"#,
        r#","metadata":{"x":{"previous_response_id":"resp_1"}}"#,
        r#","tools":[{"type":"shell","environment":{"container_id":"cntr_1"}}]"#,
        r#","tools":[{"type":"bash_20250124","name":"get_weather"}]"#,
        r#","tools":[{"type":"namespace","name":"a","tools":[{"type":"namespace","name":"b","tools":[]}]}]"#,
    ] {
        let answer = gateway.post("/v1/responses", ACME, &response("hi", more));
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_request"), "{more}: {answer:?}");
    }
    for item in [
        r#"{"type":"item_reference","id":"msg_1"}"#,
        r#"{"id":"msg_1"}"#,
        r#"{"type":null,"id":"msg_1"}"#,
        r#"{"type":"reasoning","id":"rs_1","summary":[]}"#,
        r#"{"type":"image_generation_call","id":"ig_1"}"#,
        r#"{"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot","file_id":"f"}}"#,
        r#"{"role":"user","content":{"type":"input_image","file_id":"f"}}"#,
        r#"{"role":"user","content":[{"type":"item_reference","id":"msg_1"}]}"#,
        r#"{"type":"function_call","id":"fc_1","call_id":"c","name":"get_x","arguments":null}"#,
        r#"{"type":"message","role":"assistant","id":"msg_1","content":[{"type":"output_text"}]}"#,
        r#"{"type":"unheard_of","tools":[{"type":"web_search"}]}"#,
        r#"{"type":"unheard_of_output","call_id":"c","tools":[{"type":"web_search"}]}"#,
        r#"{"type":"code_interpreter_call","container_id":"cntr_1","code":"1"}"#,
        r#"{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}"#,
    ] {
        let answer = gateway.post("/v1/responses", ACME, &format!(r#"{{"model":"gpt-5","input":[{item}]}}"#));
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_request"), "{item}: {answer:?}");
    }
    assert_eq!(gateway.seen(), json!([]));
}

#[test]
fn what_cannot_be_inspected_of_anthropics_is_refused_and_sent_nowhere() {
    let gateway = Gateway::with(TENANTS, "");
    for more in [
        r#","container":"container_1""#,
        r#","fallbacks":[{"model":"other"}]"#,
        r#","thread":{"type":"create"}"#,
        r#","diagnostics":{"previous_message_id":"msg_1"}"#,
        r#","tools":[{"type":"mcp_toolset"}]"#,
        r#","mcp_servers":[{"type":"url","url":"https://evil.example","name":"x","server_url":"https://mcp.acme.example"}]"#,
        r#","tools":[{"type":"web_search_20250305","name":"web_search","filters":{}}]"#,
        r#","context_management":{"edits":[{"tools":[{"name":"delete_x"}]}]}"#,
        r#","output_config":{"tools":[{"name":"delete_x"}]}"#,
        r#","output_format":{"file_id":"file_1"}"#,
        r#","tools":[{"type":"bash_20250124","name":"get_weather"}]"#,
        r#","mcp_servers":[{"type":"url","url":"https://a.example","name":"x","require_approval":"always"}]"#,
        r#","messages":[{"role":"user","content":"hi","tools":[{"name":"delete_x","input_schema":{}}]}]"#,
        r#","messages":[{"role":"user","content":{"type":"document","source":{"type":"file","file_id":"f"}}}]"#,
        r#","messages":[{"role":"user","content":{"type":"text","text":"hi"}}]"#,
    ] {
        let answer = gateway.messages("/v1/messages", ACME, &message("claude", "hi", more));
        assert_eq!(answer.status, 400, "{more}: {answer:?}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    let upgrade = format!(
        "GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    let answer = gateway.raw(&upgrade);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("WebSocket"), "{answer:?}");
    assert_eq!(gateway.seen(), json!([]));
}

#[test]
fn anthropics_clients_read_anthropics_words() {
    let gateway = Gateway::with(TENANTS, "");
    let check = |answer: &Answer, status: u16, kind: &str| {
        assert_eq!(answer.status, status, "{answer:?}");
        let body = answer.json();
        assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &kind.into()), "{answer:?}");
        assert!(body["error"]["message"].is_string());
        assert_eq!(body["request_id"].as_str(), answer.header("request-id"));
    };
    check(
        &gateway.messages("/v1/messages", "wrong", &message("claude", "hi", "")),
        401,
        "authentication_error",
    );
    check(&gateway.messages("/v1/messages", ACME, &message("nope", "hi", "")), 404, "not_found_error");
    check(&gateway.messages("/v1/messages", ACME, "{"), 400, "invalid_request_error");
    check(&gateway.messages("/v1/messages/batches", ACME, "{}"), 404, "not_found_error");
    check(&gateway.messages("/v1/messages", ACME, &message("claude", "!status 529", "")), 502, "api_error");
    let forced = r#","tools":[{"name":"delete_x","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"delete_x"}"#;
    check(&gateway.messages("/v1/messages", ACME, &message("claude", "hi", forced)), 403, "permission_error");
    let answer = gateway.messages("/v1/messages", ACME, &message("claude", "hi", ""));
    assert_eq!(answer.json()["type"], "message", "{answer:?}");
    assert_eq!(answer.header("anthropic-ratelimit-requests-limit"), Some("6000"), "{answer:?}");
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("6000"), "{answer:?}");
    let count = gateway.messages("/v1/messages/count_tokens", ACME, &message("claude", "hi", ""));
    assert!(count.json()["input_tokens"].is_number(), "{count:?}");
    let models = gateway.raw(&format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\nanthropic-version: 2023-06-01\r\nconnection: close\r\n\r\n"));
    let models = models.json();
    assert_eq!((&models["data"][0]["type"], &models["data"][0]["id"]), (&"model".into(), &"claude".into()));
    assert_eq!((&models["first_id"], &models["has_more"]), (&"claude".into(), &false.into()));
    let seen = gateway.seen().to_string();
    assert!(seen.contains("sk-ant-upstream") && !seen.contains(ACME), "{seen}");
    assert!(seen.contains(r#"["anthropic-version","2023-06-01"]"#), "{seen}");
    assert!(seen.contains(r#"["anthropic-beta","interleaved-thinking-2025-05-14"]"#), "{seen}");
}

#[test]
fn a_stream_is_metered_though_its_client_did_not_ask() {
    let gateway = Gateway::with(TENANTS, "");
    let answer = gateway.chat(ACME, &chat("!usage 11 7\n!say one two", r#","stream":true"#));
    assert!(answer.body.contains("one") && !answer.body.contains("usage"), "{answer:?}");
    let asked = gateway.chat(
        ACME,
        &chat("!usage 11 7\n!say one two", r#","stream":true,"stream_options":{"include_usage":true}"#),
    );
    assert!(asked.body.contains(r#""prompt_tokens":11"#), "{asked:?}");
    for line in gateway.lines("log", "acme", 2) {
        assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&11.into(), &7.into()), "{line}");
        assert!(line.get("usage_estimated").is_none(), "{line}");
    }
}

#[test]
fn usage_is_read_from_every_dialect_and_estimated_where_an_answer_is_cut() {
    let gateway = Gateway::with(TENANTS, "");
    let said = "!usage 1000 200 300 50\n!say one two three four five six seven eight nine ten";
    let stream = r#","stream":true"#;
    for more in ["", stream] {
        gateway.post("/v1/responses", ACME, &response(said, more));
        gateway.messages("/v1/messages", ACME, &message("claude", said, more));
        gateway.messages("/v1/messages", ACME, &message("gpt-5", said, more));
        gateway.chat(ACME, &chat(said, more).replace("gpt-5", "claude"));
    }
    for line in gateway.lines("log", "acme", 8) {
        assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&1000.into(), &200.into()), "{line}");
    }
    let cut = said.replace("!usage 1000 200 300 50", "!usage-none\n!cut 6");
    gateway.post("/v1/responses", ACME, &response(&cut, stream));
    gateway.messages("/v1/messages", ACME, &message("claude", &cut, stream));
    gateway.chat(ACME, &chat(&cut, stream));
    for line in gateway.lines("log", "acme", 11).iter().skip(8) {
        assert_eq!(line["usage_estimated"], true, "{line}");
        assert!(
            line["input_tokens"].as_u64() > Some(5) && line["output_tokens"].as_u64() > Some(0),
            "{line}"
        );
        assert_eq!(line["error"], "upstream_error", "{line}");
    }
}

#[test]
fn a_call_falls_back_to_an_upstream_of_another_dialect() {
    let gateway = Gateway::with(TENANTS, "");
    let answer = gateway.chat(ACME, &chat("!say over there", "").replace("gpt-5", "either"));
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "over there", "{answer:?}");
    let seen = gateway.seen();
    assert_eq!(seen[0]["path"], "/v1/messages", "{seen}");
    let embeddings = gateway.post("/v1/embeddings", ACME, r#"{"model":"claude","input":"x"}"#);
    assert_eq!((embeddings.status, embeddings.code().as_str()), (400, "invalid_request"), "{embeddings:?}");
    let count = gateway.messages("/v1/messages/count_tokens", ACME, &message("gpt-5", "hello world", ""));
    assert_eq!(count.json()["input_tokens"], 9, "in the model's vocabulary: {count:?}");
}

#[test]
fn a_responses_client_reaches_anthropics_models() {
    let gateway = Gateway::with(TENANTS, "");
    let asked = "!say Well.\n!call get_x {\"v\":1}\n!call delete_x {\"v\":\"hidden\"}";
    for more in ["", r#","stream":true"#] {
        let answer = gateway.post("/v1/responses", ACME, &response(asked, more).replace("gpt-5", "claude"));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains("get_x") && !answer.body.contains("hidden"), "{answer:?}");
        assert!(answer.body.contains("Deletions go through support."), "{answer:?}");
    }
    let kept = response("hi", r#","previous_response_id":"resp_1""#).replace("gpt-5", "claude");
    let refused = gateway.post("/v1/responses", ACME, &kept).json();
    assert_eq!(refused["error"]["param"], "previous_response_id", "{refused}");
}

#[test]
fn an_agent_sends_back_what_it_was_told() {
    let gateway = Gateway::with(TENANTS, "");
    let first =
        gateway.post("/v1/responses", ACME, &response("!reasoning I look.\n!call get_x {\"v\":1}", ""));
    let output = first.json()["output"].clone();
    assert_eq!((&output[0]["type"], &output[1]["type"]), (&"reasoning".into(), &"function_call".into()));
    let result =
        json!({ "type": "function_call_output", "call_id": output[1]["call_id"], "output": "sunny" });
    // As some clients send it: nothing but its id says what was thought.
    let thought = json!({ "type": "reasoning", "id": output[0]["id"], "summary": [] });
    let input = json!([{ "role": "user", "content": "hi" }, thought, output[1], result]);
    let again = json!({ "model": "gpt-5", "input": input });
    let own = gateway.post("/v1/responses", ACME, &again.to_string());
    assert_eq!(own.status, 200, "reasoning without content is looked up by its id: {own:?}");
    let foreign = gateway.post("/v1/responses", GLOBEX, &again.to_string());
    assert_eq!(foreign.status, 400, "{foreign:?}");
    // What the client brought is listed as it was.
    let items = gateway.get(&format!("/v1/responses/{}/input_items", id(&own)), ACME).json();
    let listed = items["data"].as_array().unwrap().iter().find(|item| item["type"] == "function_call_output");
    assert_eq!(listed.unwrap()["output"], "sunny", "{items}");
}

#[test]
fn a_call_that_is_held_when_its_client_leaves_is_denied_and_remembered() {
    let gateway = Gateway::with(TENANTS, "");
    let body = response("!call get_x {\"v\":1}\n!stall 4", r#","stream":true"#);
    let mut socket = gateway.begin("/v1/responses", ACME, &body);
    let mut read = String::new();
    let mut buffer = [0; 4096];
    while !read.contains("response.in_progress") {
        let more = socket.read(&mut buffer).unwrap();
        read.push_str(std::str::from_utf8(&buffer[..more]).unwrap());
    }
    // So that the call has begun upstream, and is held.
    gateway.wait("the call", |gateway| gateway.seen()[0]["outcome"] == "open");
    std::thread::sleep(std::time::Duration::from_millis(200));
    drop(socket);
    let audit = gateway.lines("audit", "acme", 1);
    let denied = audit.iter().find(|line| line["place"] == "emitted").unwrap();
    assert_eq!((&denied["tool"], &denied["decision"]), (&"get_x".into(), &"deny".into()), "{denied}");
    assert_eq!(gateway.lines("log", "acme", 1)[0]["error"], "client_gone");
}

#[test]
fn a_list_of_upstreams_serves_what_one_of_them_can() {
    let gateway = Gateway::with(TENANTS, "");
    // A native request of Anthropic's, which no translation carries, on a list that begins with the other kind.
    let more = r#","top_k":5"#;
    let answer = gateway.messages("/v1/messages", ACME, &message("either", "!say here", more));
    assert_eq!(answer.status, 200, "{answer:?}");
    let refused = gateway.messages("/v1/messages", ACME, &message("gpt-5", "hi", more));
    assert_eq!(
        (refused.status, refused.json()["error"]["message"].to_string().contains("top_k")),
        (400, true)
    );
}

#[test]
fn tools_that_items_of_the_input_bring_are_offers() {
    let gateway = Gateway::with(TENANTS, "");
    let brought = json!({ "type": "additional_tools", "role": "developer", "tools": [
        { "type": "namespace", "name": "functions", "description": "", "tools": [
            { "type": "custom", "name": "get_a" }, { "type": "function", "name": "delete_b" } ] },
        { "type": "namespace", "name": "gone", "tools": [{ "type": "function", "name": "delete_c" }] },
        { "type": "web_search" }, { "type": "file_search", "vector_store_ids": ["vs"] } ] });
    let found = json!({ "type": "tool_search_output", "call_id": "c", "execution": "client", "status": "completed",
        "tools": [{ "type": "function", "name": "delete_d" }, { "type": "function", "name": "get_e" }] });
    let searched =
        json!({ "type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {} });
    let body = json!({ "model": "gpt-5", "tools": [{ "type": "function", "name": "delete_f" }, { "type": "function", "name": "get_g" }],
        "input": [brought, { "role": "user", "content": "hi" }, searched, found] });
    let tenants = TENANTS.replace("builtin__web_search]", "builtin__web_search, tool_search]");
    let gateway_with_search = Gateway::with(&tenants, "");
    let refused = gateway.post("/v1/responses", ACME, &body.to_string());
    assert_eq!(refused.status, 403, "a result of a search that no rule allows: {refused:?}");
    gateway_with_search.post("/v1/responses", ACME, &body.to_string());
    let sent = gateway_with_search.seen();
    let sent: Value = serde_json::from_str(sent[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(sent["tools"], json!([{ "type": "function", "name": "get_g" }]));
    assert_eq!(
        sent["input"][0]["tools"],
        json!([{ "type": "namespace", "name": "functions", "description": "", "tools": [{ "type": "custom", "name": "get_a" }] }, { "type": "web_search" }])
    );
    assert_eq!(sent["input"][3]["tools"], json!([{ "type": "function", "name": "get_e" }]));
}

#[test]
fn a_stream_says_something_while_a_call_is_held() {
    let gateway = Gateway::with(TENANTS, "");
    // The call has begun in each of them, and nothing more comes.
    let held = |stalls: usize| format!("!call get_x {{\"v\":1}}\n!arg-chunk 1\n!stall {stalls}");
    let stream = r#","stream":true"#;
    let asks = [
        ("/v1/chat/completions", chat(&held(2), stream)),
        ("/v1/responses", response(&held(4), stream)),
        ("/v1/messages", message("claude", &held(4), stream)),
        // Translated: the chunks of a call are put together before they become a block.
        ("/v1/messages", message("gpt-5", &held(3), stream)),
    ];
    std::thread::scope(|scope| {
        for (path, body) in &asks {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut socket = gateway.begin(path, ACME, body);
                let mut read = Vec::new();
                let mut buffer = [0; 4096];
                while !String::from_utf8_lossy(&read).contains("\n: a tool call is being checked\n\n") {
                    let more = socket.read(&mut buffer).unwrap();
                    assert!(more > 0, "{path} ended: {}", String::from_utf8_lossy(&read));
                    read.extend_from_slice(&buffer[..more]);
                }
                assert!(!String::from_utf8_lossy(&read).contains("get_x"), "{path}: the call is held");
            });
        }
    });
}
