//! Traces on the real binary: what spans a request makes, where they belong, whose they are, and what upstreams get to see.

use crate::{
    collector::{Collector, SILENT, Span},
    support::{ACME, GLOBEX, Gateway, TENANTS, chat, tools},
};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn telemetry(collector: &Collector, more: &str) -> String {
    format!("telemetry: {{ otlp: \"http://127.0.0.1:{}\"{more} }}\n", collector.port)
}

fn gateway(collector: &Collector, more: &str) -> Gateway {
    Gateway::with(TENANTS, &telemetry(collector, more))
}

/// A request with more headers; the id that it went by.
fn post(gateway: &Gateway, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let answer = gateway.raw(&format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"));
    answer.header("x-request-id").unwrap().to_owned()
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    let metrics = gateway.admin_get("/metrics").body;
    let samples = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// The spans of a trace as lines: indented beneath their parents, with what they are and, of their attributes, what differs
/// from run to run left out.
fn tree(spans: &[Span], trace: &str) -> String {
    let mut lines = String::new();
    let roots = |span: &&Span| !spans.iter().any(|other| other.id == span.parent);
    let mut open: Vec<(usize, &Span)> =
        spans.iter().filter(|span| span.trace == trace).filter(roots).map(|span| (0, span)).collect();
    while let Some((depth, span)) = open.pop() {
        let changing = ["config", "request_id", "server.port", "rule"];
        let mut attributes = span.attributes.as_object().unwrap().clone();
        attributes.retain(|name, _| !changing.contains(&name.as_str()));
        let kind = match span.kind {
            1 => "internal",
            2 => "server",
            3 => "client",
            _ => "unknown",
        };
        let error = if span.is_error { " ERROR" } else { "" };
        let indent = "  ".repeat(depth);
        lines.push_str(&format!("{indent}{kind} {}{error} {}\n", span.name, Value::Object(attributes)));
        let mut beneath: Vec<(usize, &Span)> =
            spans.iter().filter(|other| other.parent == span.id).map(|other| (depth + 1, other)).collect();
        beneath.sort_by_key(|(_, span)| std::cmp::Reverse((span.times.0, span.name.clone())));
        open.append(&mut beneath);
    }
    lines
}

#[test]
fn a_call_is_a_server_span_its_decisions_and_a_client_span_with_every_try() {
    let collector = Collector::start();
    let mut gateway = gateway(&collector, "");
    let body = chat("hi", &tools(&["get_x", "delete_x", "get_shadow"])).replace("gpt-5", "fast");
    let body = body.replacen('{', r#"{"max_tokens":77,"#, 1);
    let id = post(&gateway, "/v1/chat/completions", &format!("traceparent: {PARENT}\r\n"), &body);
    gateway.stop();
    let spans = collector.spans();
    let server = spans.iter().find(|span| span.kind == 2).unwrap();
    assert_eq!((server.trace.as_str(), server.parent.as_str()), (TRACE, "00f067aa0ba902b7"));
    assert_eq!(server.attributes["request_id"], id.as_str());
    let told = tree(&spans, TRACE);
    let expected = r#"server POST /v1/chat/completions {"dialect":"openai.chat","http.request.method":"POST","http.response.status_code":200,"http.route":"/v1/chat/completions","key":"prod","tenant":"acme","url.path":"/v1/chat/completions","url.scheme":"http"}
  internal decide delete_x ERROR {"decision":"deny","error.type":"policy_denied","gen_ai.tool.name":"delete_x","key":"prod","mode":"enforce","place":"offered","reason":"Deletions go through support.","tenant":"acme"}
  internal decide get_shadow {"decision":"allow","gen_ai.tool.name":"get_shadow","key":"prod","mode":"enforce","place":"offered","tenant":"acme"}
  internal decide get_shadow {"decision":"deny","gen_ai.tool.name":"get_shadow","key":"prod","mode":"shadow","place":"offered","tenant":"acme"}
  internal decide get_x {"decision":"allow","gen_ai.tool.name":"get_x","key":"prod","mode":"enforce","place":"offered","tenant":"acme"}
  client chat fast {"gen_ai.operation.name":"chat","gen_ai.provider.name":"openai","gen_ai.request.max_tokens":77,"gen_ai.request.model":"fast","gen_ai.response.finish_reasons":["stop"],"gen_ai.response.model":"llama","gen_ai.usage.input_tokens":INPUT,"gen_ai.usage.output_tokens":OUTPUT,"server.address":"127.0.0.1","tenant":"acme","upstream":"mock"}
    client POST ERROR {"error.type":"unreachable","http.request.method":"POST","server.address":"127.0.0.1","tenant":"acme","upstream":"gone","url.full":"http://127.0.0.1:1/v1"}
    client POST {"http.request.method":"POST","http.request.resend_count":1,"http.response.status_code":200,"server.address":"127.0.0.1","tenant":"acme","upstream":"mock","url.full":"http://127.0.0.1:MOCK/v1"}
"#;
    let call = spans.iter().find(|span| span.name == "chat fast").unwrap();
    let tokens = |name: &str| call.attributes[format!("gen_ai.usage.{name}_tokens")].to_string();
    let expected = expected.replace("INPUT", &tokens("input")).replace("OUTPUT", &tokens("output"));
    let expected = expected.replace("MOCK", &gateway.mock.to_string());
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&told), sorted(&expected), "\n{told}");
    for span in &spans {
        assert_eq!(span.schema, "https://opentelemetry.io/schemas/1.41.0");
        assert!(span.times.0 <= span.times.1 && span.times.0 >= server.times.0, "{span:?}");
        assert!(span.times.1 <= server.times.1 || span.kind == 1, "{span:?}\n{server:?}");
    }
    // What the upstream was told: the second try's span, in the client's trace, as sampled as the gateway says; and no more.
    let second = spans.iter().find(|span| span.attributes["http.request.resend_count"] == 1).unwrap();
    let headers = &seen_headers(&gateway)[0];
    assert_eq!(headers["traceparent"], format!("00-{TRACE}-{}-01", second.id).as_str(), "{headers}");
}

/// The headers of what the mock saw, oldest first.
fn seen_headers(gateway: &Gateway) -> Vec<Value> {
    let seen = gateway.seen();
    let of = |request: &Value| {
        let pairs = request["headers"].as_array().unwrap().iter();
        pairs
            .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone()))
            .collect::<Map<_, _>>()
            .into()
    };
    seen.as_array().unwrap().iter().map(of).collect()
}

#[test]
fn neither_tracestate_nor_baggage_goes_to_upstreams_and_nothing_does_without_traces() {
    let collector = Collector::start();
    let headers = format!("traceparent: {PARENT}\r\ntracestate: a=b\r\nbaggage: user=jane\r\n");
    for more in ["", ", traces: false, logs: true"] {
        let gateway = gateway(&collector, more);
        post(&gateway, "/v1/chat/completions", &headers, &chat("hi", ""));
        let seen = seen_headers(&gateway);
        let sent = seen[0].as_object().unwrap();
        assert_eq!(sent.contains_key("traceparent"), more.is_empty(), "{sent:?}");
        assert!(!sent.contains_key("tracestate") && !sent.contains_key("baggage"), "{sent:?}");
    }
}

#[test]
fn what_a_client_says_of_sampling_is_not_heard() {
    let collector = Collector::start();
    let mut gateway = gateway(&collector, ", sample: 0%, logs: true");
    let sampled = PARENT.replace("b7-00", "b7-01");
    post(&gateway, "/v1/chat/completions", &format!("traceparent: {sampled}\r\n"), &chat("hi", ""));
    let told = seen_headers(&gateway)[0]["traceparent"].as_str().unwrap().to_owned();
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"), "{told}");
    gateway.stop();
    assert_eq!(collector.spans(), []);
    assert!(!collector.records().is_empty(), "logs are not sampled");
}

#[test]
fn tenants_are_told_apart_and_those_who_are_nobody_make_no_spans() {
    let collector = Collector::start();
    let mut gateway = gateway(&collector, ", genai_semconv: latest, content: redacted");
    let id = post(
        &gateway,
        "/v1/chat/completions",
        "",
        &chat("write to jane.doe@example.com", &tools(&["get_x"])),
    );
    gateway.chat(GLOBEX, &chat("a secret of globex", ""));
    gateway.chat("nobody's key", &chat("hi", ""));
    gateway.post("/v1/nothing", ACME, "{}");
    gateway.stop();
    let spans = collector.spans();
    let of = |tenant: &str| spans.iter().filter(|span| span.tenant == tenant).collect::<Vec<_>>();
    assert_eq!(of("acme").len() + of("globex").len(), spans.len());
    for span in &spans {
        assert_eq!(span.attributes["tenant"], span.tenant.as_str());
        assert_eq!(span.schema, "https://opentelemetry.io/schemas/gen-ai/1.42.0");
    }
    assert_eq!(spans.iter().filter(|span| span.kind == 2).count(), 3, "{spans:#?}");
    // Without a trace of the client's, the request's id is the trace's.
    assert!(of("acme").iter().any(|span| span.trace == id && span.parent.is_empty()));
    let unknown = spans.iter().find(|span| span.name == "POST _OTHER").unwrap();
    assert_eq!(unknown.attributes["error.type"], "not_found");
    assert!(!unknown.is_error, "a client's mistake is no error of the server's");
    // Content is redacted, and not there where a tenant's records hold none.
    let call = of("acme").into_iter().find(|span| span.name == "chat gpt-5").unwrap();
    let prompt: Value =
        serde_json::from_str(call.attributes["gen_ai.input.messages"].as_str().unwrap()).unwrap();
    let text = prompt[0]["parts"][0]["content"].as_str().unwrap();
    assert!(text.contains("[EMAIL_ADDRESS:") && !text.contains("jane.doe"), "{text}");
    assert!(call.attributes.get("gen_ai.output.messages").is_some());
    let globex = of("globex").iter().map(|span| span.attributes.to_string()).collect::<String>();
    assert!(!globex.contains("gen_ai.input.messages") && !globex.contains("secret of globex"), "{globex}");
}

#[test]
fn what_a_client_writes_in_a_path_is_not_in_its_request_s_span() {
    let collector = Collector::start();
    let mut gateway = gateway(&collector, "");
    let secret = "quokka-4111111111111111";
    for path in ["/v1/models/@", "/v1/responses/@", "/mcp/@", "/tools/@/x", "/v1/@", "/v1/files/@?key=@"] {
        gateway.get(&path.replace('@', secret), ACME);
    }
    gateway.stop();
    let spans = collector.spans();
    let mut paths: Vec<&str> = Vec::new();
    for span in spans.iter().filter(|span| span.kind == 2) {
        paths.push(span.attributes["url.path"].as_str().unwrap());
        assert_eq!(span.attributes["url.scheme"], "http");
    }
    paths.sort_unstable();
    let expected = [
        "/mcp/{server}",
        "/tools/{upstream}",
        "/v1/files",
        "/v1/models/{id}",
        "/v1/responses/{id}",
        "REDACTED",
    ];
    assert_eq!(paths, expected, "{spans:#?}");
    for span in spans.iter().filter(|span| span.kind == 2) {
        let told = format!("{} {}", span.name, span.attributes);
        assert!(!told.contains("quokka"), "{told}");
    }
}

#[test]
fn each_dialect_s_answers_say_who_answered_and_why_they_stopped() {
    let collector = Collector::start();
    let tenants = TENANTS.replace("fast]", "fast, claude]");
    let mut gateway = Gateway::with(&tenants, &telemetry(&collector, ""));
    let message = r#""messages":[{"role":"user","content":"hi"}]"#;
    let input = r#""input":"hi""#;
    let asks = [
        ("/v1/chat/completions", format!(r#"{{"model":"gpt-5","max_tokens":5,{message}"#), "gpt-5"),
        ("/v1/messages", format!(r#"{{"model":"claude","max_tokens":5,{message}"#), "claude"),
        ("/v1/responses", format!(r#"{{"model":"gpt-5","max_output_tokens":5,{input}"#), "gpt-5"),
        // In the client's words, where the upstream speaks another dialect.
        ("/v1/messages", format!(r#"{{"model":"fast","max_tokens":5,{message}"#), "llama"),
    ];
    let mut expected = Vec::new();
    for (path, body, model) in &asks {
        for more in ["}", r#","stream":true}"#] {
            assert_eq!(gateway.post(path, ACME, &format!("{body}{more}")).status, 200, "{body}{more}");
            let reason = if path.ends_with("messages") { "end_turn" } else { "stop" };
            let reason = if path.ends_with("responses") { "completed" } else { reason };
            expected.push(format!(r#"{model} ["{reason}"] 5"#));
        }
    }
    gateway.stop();
    let of = |span: &Span| {
        let told = |name: &str| span.attributes[format!("gen_ai.{name}")].clone();
        let model = told("response.model");
        let (model, reasons) = (model.as_str().unwrap_or("-"), told("response.finish_reasons"));
        format!("{model} {reasons} {}", told("request.max_tokens"))
    };
    let spans = collector.spans();
    let mut told: Vec<String> = spans.iter().filter(|span| span.name.starts_with("chat ")).map(of).collect();
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

#[test]
fn content_is_left_out_unless_it_is_asked_for() {
    let collector = Collector::start();
    let mut gateway = gateway(&collector, "");
    gateway.chat(ACME, &chat("quokka\ntool get_x {\"quokka\":1}", &tools(&["get_x"])));
    gateway.stop();
    assert!(collector.spans().len() >= 4);
    for span in collector.spans() {
        assert!(!span.attributes.to_string().contains("quokka"), "{span:?}");
    }
}

#[test]
fn an_mcp_message_is_a_span_on_both_sides_and_its_own_context_comes_first() {
    let collector = Collector::start();
    let tenants = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    tools: [{ allow: "crm__get_*" }, { deny: "*__delete_*", reason: Deletions go through support. }]
"#;
    let upstreams = |mock: u16| format!("  crm: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp\" }}\n");
    let mut gateway = Gateway::with_all(tenants, &upstreams, &telemetry(&collector, ""), &[]);
    let call = |tool: &str, meta: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"crm__{tool}","arguments":{{"city":"Bern"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}{meta}}}}}}}"#
        );
        let headers = format!(
            "accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: crm__{tool}\r\ntraceparent: 00-11111111111111111111111111111111-2222222222222222-01\r\n"
        );
        post(&gateway, "/mcp", &headers, &body)
    };
    call("get_weather", &format!(r#","traceparent":"{PARENT}","tracestate":"a=b","baggage":"c=d""#));
    call("delete_customer", "");
    let (seen, headers) = (gateway.seen(), seen_headers(&gateway));
    gateway.stop();
    let spans = collector.spans();
    let told = tree(&spans, TRACE);
    let expected = r#"server tools/call crm__get_weather {"dialect":"mcp","gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"crm__get_weather","http.request.method":"POST","http.response.status_code":200,"http.route":"/mcp","key":"prod","mcp.method.name":"tools/call","mcp.protocol.version":"2026-07-28","network.transport":"tcp","tenant":"acme","url.path":"/mcp","url.scheme":"http"}
  internal decide crm__get_weather {"decision":"allow","gen_ai.tool.name":"crm__get_weather","key":"prod","mode":"enforce","place":"mcp","tenant":"acme"}
  client tools/call get_weather {"gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"get_weather","mcp.method.name":"tools/call","network.transport":"tcp","server.address":"127.0.0.1","tenant":"acme","upstream":"crm"}
"#;
    assert_eq!(told, expected);
    let server = spans.iter().find(|span| span.kind == 2 && span.trace == TRACE).unwrap();
    assert_eq!(server.parent, "00f067aa0ba902b7");
    assert_eq!(server.links, [("1".repeat(32), "2".repeat(16))], "the request's own context is linked");
    let other = tree(&spans, &"1".repeat(32));
    assert!(other.contains("internal decide crm__delete_customer ERROR"), "{other}");
    assert!(!other.contains("client"), "what is denied goes nowhere: {other}");
    // The server was told of its own span, in the message and by the header; of nothing else.
    let client = spans.iter().find(|span| span.name == "tools/call get_weather").unwrap();
    let context = format!("00-{TRACE}-{}-01", client.id);
    let bodies = seen.as_array().unwrap().iter().map(|seen| seen["body"].as_str().unwrap());
    let bodies = bodies.map(|body| serde_json::from_str(body).unwrap());
    let calls: Vec<(Value, &Value)> =
        bodies.zip(&headers).filter(|(body, _): &(Value, _)| body["method"] == "tools/call").collect();
    assert_eq!(calls.len(), 1, "{seen}");
    let (meta, headers) = (&calls[0].0["params"]["_meta"], calls[0].1);
    assert_eq!((&meta["traceparent"], &headers["traceparent"]), (&json!(context), &json!(context)));
    assert!(meta.get("tracestate").is_none() && meta.get("baggage").is_none(), "{meta}");
}

#[test]
fn grpc_carries_the_same_and_a_store_that_is_full_is_tried_again() {
    let collector = Collector::start_grpc();
    // UNAVAILABLE, until it is.
    collector.says(14);
    let mut gateway =
        gateway(&collector, ", protocol: grpc, logs: true, headers: { x-scope: s3cret-of-a-store }");
    gateway.chat(ACME, &chat("hi", &tools(&["get_x"])));
    gateway.wait("a try", |_| collector.tries() >= 2);
    assert_eq!(collector.spans(), []);
    collector.says(0);
    gateway.wait("the spans", |_| collector.spans().len() >= 4 && collector.records().len() >= 2);
    let exported = "tollgate_otlp_exported_spans_total";
    gateway.wait("the count", |gateway| metric(gateway, exported) == 4);
    gateway.stop();
    let heads = collector.heads();
    let traces = "POST /opentelemetry.proto.collector.trace.v1.TraceService/Export";
    assert!(heads.iter().any(|head| head.starts_with(traces)), "{heads:?}");
    for head in &heads {
        assert!(head.contains("application/grpc") && head.contains("\"te\": \"trailers\""), "{head}");
        assert!(head.contains("s3cret-of-a-store"), "{head}");
    }
    let told = gateway.stderr();
    assert!(
        told.contains("traces cannot be exported to 127.0.0.1: it answered with gRPC's status 14"),
        "{told}"
    );
    assert!(told.contains("traces are exported to 127.0.0.1 again") && !told.contains("s3cret"), "{told}");
}

#[test]
fn a_slow_request_is_found_by_the_exemplar_of_its_bucket() {
    let collector = Collector::start();
    let gateway = gateway(&collector, "");
    let id = post(&gateway, "/v1/chat/completions", "", &chat("hi", ""));
    let ask = |accept: &str| {
        let request =
            format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\n{accept}connection: close\r\n\r\n");
        gateway.raw_to(gateway.admin, &request)
    };
    let exemplar = format!("# {{trace_id=\"{id}\"}} 0.");
    let open =
        "accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n";
    gateway.wait("the exemplar", |_| ask(open).body.contains(&exemplar));
    let told = ask(open);
    assert_eq!(
        told.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(told.body.ends_with("# EOF\n"), "{}", told.body);
    let [line] = told.body.lines().filter(|line| line.contains(&exemplar)).collect::<Vec<_>>()[..] else {
        unreachable!("one bucket has it: {}", told.body)
    };
    assert!(line.starts_with("tollgate_request_duration_seconds_bucket{le=\""), "{line}");
    assert!(line.contains("model=\"gpt-5\",upstream=\"mock\"} 1 #"), "{line}");
    for accept in ["", "accept: */*\r\n", "accept: application/openmetrics-text;q=0\r\n"] {
        let told = ask(accept);
        assert_eq!(told.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"), "{accept}");
        assert!(!told.body.contains("trace_id"), "{accept}");
    }
}

#[test]
fn a_store_that_is_slow_or_gone_costs_no_request_anything_and_what_is_lost_is_counted() {
    let silent = Collector::start();
    silent.says(SILENT);
    let gone = silent.clone().at(1);
    let dropped = "tollgate_otlp_dropped_spans_total";
    for (collector, protocol) in [(&silent, "http"), (&gone, "http"), (&gone, "grpc")] {
        let mut gateway = gateway(collector, &format!(", content: redacted, protocol: {protocol}"));
        let long = "what was said ".repeat(4000);
        let started = Instant::now();
        for _ in 0..150 {
            assert_eq!(gateway.chat(ACME, &chat(&long, "")).status, 200);
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        gateway.wait("a full queue", |gateway| metric(gateway, dropped) > 0);
        assert_eq!(metric(&gateway, "tollgate_otlp_exported_spans_total"), 0);
        gateway.lines("log", "acme", 150);
        let started = Instant::now();
        gateway.stop();
        assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
        assert!(gateway.stderr().contains("the traces of"), "{}", gateway.stderr());
    }
}
