//! A record's line and what was noted of its request as spans. Pure. All texts are taken from the line, which is redacted;
//! prompts, answers and arguments only where it was asked for.

use super::{
    line::{Line, nanos, pair, resource, value},
    names::{self, Conventions, Name},
};
use crate::trace::{Came, Context, McpCall, Moment, Reply, Trace, Traced, Try};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value as Told},
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Link, SpanKind},
        status::StatusCode,
    },
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Sampled, and its parent is (or is not) elsewhere. Source: `SpanFlags` of the protocol.
const SAMPLED: u32 = 1;
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;
/// A span's name is cut to this.
const NAME_CHARS_MAX: usize = 128;

/// How spans are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::telemetry) struct Manner {
    pub(in crate::telemetry) conventions: Conventions,
    /// Whether prompts, answers and arguments are in them.
    pub(in crate::telemetry) content: bool,
}

/// Lines as a request, a resource a tenant.
pub(super) fn request(lines: &[Line], instance: &str, manner: Manner) -> ExportTraceServiceRequest {
    let mut tenants: BTreeMap<&Arc<str>, Vec<Span>> = BTreeMap::new();
    for line in lines {
        tenants.entry(&line.tenant).or_default().append(&mut spans(line, manner));
    }
    let scope = InstrumentationScope {
        name: "tollgate".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let schema_url = manner.conventions.schema_url();
    let traces = tenants.into_iter().map(|(tenant, spans)| ResourceSpans {
        resource: Some(resource(tenant, instance)),
        scope_spans: vec![ScopeSpans {
            scope: Some(scope.clone()),
            spans,
            schema_url: schema_url.to_owned(),
        }],
        schema_url: schema_url.to_owned(),
    });
    ExportTraceServiceRequest { resource_spans: traces.collect() }
}

/// How many spans a line becomes.
pub(super) fn count(line: &Line) -> u64 {
    match line.traced.as_deref() {
        Some(Traced::Request(trace)) => {
            let tries = trace.tries();
            let call = u64::from(tries.iter().any(|noted| noted.mcp.is_none()));
            1 + call + u64::try_from(tries.len()).unwrap_or(u64::MAX)
        }
        Some(Traced::Decision(_)) => 1,
        None => 0,
    }
}

fn spans(line: &Line, manner: Manner) -> Vec<Span> {
    let told: Value = serde_json::from_slice(line.text()).unwrap_or_default();
    let sheet = Sheet { told: &told, tenant: &line.tenant, manner };
    match line.traced.as_deref() {
        Some(Traced::Request(trace)) => sheet.of_request(trace),
        Some(Traced::Decision(moment)) => vec![sheet.of_decision(*moment, line.span)],
        None => Vec::new(),
    }
}

/// A line, read, and how its spans are to be.
struct Sheet<'l> {
    told: &'l Value,
    tenant: &'l str,
    manner: Manner,
}

/// Attributes of one span.
struct Attributes {
    conventions: Conventions,
    pairs: Vec<KeyValue>,
}

impl Attributes {
    fn put(&mut self, name: Name, told: Told) {
        self.pairs.push(pair(name.of(self.conventions).to_owned(), told));
    }

    fn text(&mut self, name: Name, text: &str) {
        self.put(name, Told::StringValue(text.to_owned()));
    }

    fn whole(&mut self, name: Name, number: u64) {
        self.put(name, Told::IntValue(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    fn server(&mut self, server: Option<&(Box<str>, u16)>) {
        if let Some((host, port)) = server {
            self.text(Name::ServerAddress, host);
            self.whole(Name::ServerPort, u64::from(*port));
        }
    }

    fn reply(&mut self, reply: Option<&Reply>) {
        let Some(Reply { model, reasons }) = reply else { return };
        if let Some(model) = model {
            self.text(Name::ResponseModel, model);
        }
        if !reasons.is_empty() {
            let text = |reason: &str| AnyValue { value: Some(Told::StringValue(reason.to_owned())) };
            let values = reasons.iter().map(|(_, reason)| text(reason)).collect();
            self.put(Name::FinishReasons, Told::ArrayValue(ArrayValue { values }));
        }
    }

    fn mcp(&mut self, mcp: &McpCall) {
        self.text(Name::McpMethod, mcp.method);
        if let Some(version) = mcp.version {
            self.text(Name::McpVersion, version);
        }
        if let Some(name) = &mcp.name {
            self.text(Name::Tool, name);
        }
        if mcp.method == "tools/call" {
            self.text(Name::Operation, "execute_tool");
        }
    }
}

impl Sheet<'_> {
    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes { conventions: self.manner.conventions, pairs: Vec::new() };
        attributes.text(Name::Tenant, self.tenant);
        attributes
    }

    /// Puts members of the line, as far as it has them.
    fn members(&self, attributes: &mut Attributes, members: &[(Name, &str)]) {
        for (name, member) in members {
            if let Some(told) = self.told.get(member).and_then(value) {
                attributes.put(*name, told);
            }
        }
    }

    fn member(&self, name: &str) -> Option<&str> {
        self.told.get(name).and_then(Value::as_str)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.told.get(name).and_then(Value::as_f64)
    }

    /// The request, the call to its upstream, and each try.
    fn of_request(&self, trace: &Trace) -> Vec<Span> {
        let tries = trace.tries();
        let mut spans = vec![self.server(trace)];
        let has_call = tries.iter().any(|noted| noted.mcp.is_none());
        if has_call {
            spans.push(self.call(trace, &tries));
        }
        let (mut sent, call) = (0, trace.call_span());
        for noted in &tries {
            match &noted.mcp {
                Some(mcp) => spans.push(self.message(trace, noted, mcp)),
                None => {
                    spans.push(self.attempt(trace, noted, call, sent));
                    sent += 1;
                }
            }
        }
        spans
    }

    /// The request as the client sees it.
    fn server(&self, trace: &Trace) -> Span {
        let mut attributes = self.attributes();
        self.members(
            &mut attributes,
            &[
                (Name::Key, "key"),
                (Name::RequestId, "request_id"),
                (Name::Dialect, "dialect"),
                (Name::Status, "status"),
                (Name::ErrorType, "error"),
                (Name::QueueWait, "queue_ms"),
            ],
        );
        attributes.text(Name::Method, trace.method);
        attributes.text(Name::Route, trace.route);
        // Never the path that the client wrote: of what the gateway does not serve, nothing is told.
        let is_known = trace.route.starts_with('/');
        attributes.text(Name::UrlPath, if is_known { trace.route } else { "REDACTED" });
        attributes.text(Name::UrlScheme, if trace.is_secure { "https" } else { "http" });
        let name = match &trace.mcp {
            Some(mcp) => {
                // A resource's URI is no name of few.
                let name = trace.tool.clone().filter(|_| mcp.method != "resources/read");
                let mcp = McpCall { name, ..mcp.clone() };
                attributes.mcp(&mcp);
                attributes.text(Name::Transport, "tcp");
                spoken(&mcp)
            }
            None => format!("{} {}", trace.method, trace.route),
        };
        let status = self.told.get("status").and_then(Value::as_u64).unwrap_or(0);
        let (start, end) = (nanos(trace.time), after(trace, trace.lasted));
        let link = trace.link.map(|Context { trace, span, .. }| Link {
            trace_id: trace.to_be_bytes().into(),
            span_id: span.to_be_bytes().into(),
            ..Link::default()
        });
        Span {
            kind: SpanKind::Server.into(),
            // What the client did wrong is no error of the server's.
            status: failed(status >= 500, self.member("error")),
            parent_span_id: trace.parent.map(|parent| parent.to_be_bytes().into()).unwrap_or_default(),
            flags: SAMPLED | HAS_IS_REMOTE | if trace.parent.is_some() { IS_REMOTE } else { 0 },
            links: link.into_iter().collect(),
            ..span(trace.context, trace.context.span, &name, (start, end), attributes)
        }
    }

    /// The call to a model or a tool's API, all tries together.
    fn call(&self, trace: &Trace, tries: &[Try]) -> Span {
        let mut attributes = self.attributes();
        let dialect = self.member("dialect").unwrap_or_default();
        let (first, last) = (tries.first(), tries.last());
        let server = last.and_then(|noted| noted.server.as_ref());
        let operation = names::operation(dialect);
        let model = self.member("model");
        if let Some(operation) = operation {
            attributes.text(Name::Operation, operation);
        }
        if operation != Some("execute_tool") {
            let host = server.map(|(host, _)| &**host).unwrap_or_default();
            attributes.text(Name::Provider, names::provider(host, dialect));
        }
        if let Some(tool) = &trace.tool {
            attributes.text(Name::Tool, tool);
        }
        self.members(
            &mut attributes,
            &[
                (Name::RequestModel, "model"),
                (Name::Upstream, "upstream"),
                (Name::InputTokens, "input_tokens"),
                (Name::OutputTokens, "output_tokens"),
                (Name::Cost, "cost_usd"),
                (Name::UsageEstimated, "usage_estimated"),
                (Name::ErrorType, "error"),
            ],
        );
        if let Some(usage) = trace.usage {
            let cached = [(Name::CacheRead, usage.cached_input), (Name::CacheWrite, usage.cache_write)];
            for (name, tokens) in cached.into_iter().filter(|(_, tokens)| *tokens > 0) {
                attributes.whole(name, tokens);
            }
        }
        if let Some(tokens) = trace.tokens_max {
            attributes.whole(Name::MaxTokens, tokens);
        }
        attributes.reply(trace.reply.as_ref());
        attributes.server(server);
        let begun = first.map_or(trace.started, |noted| noted.started);
        if trace.is_stream {
            attributes.put(Name::Stream, Told::BoolValue(true));
            let before = begun.saturating_duration_since(trace.started);
            let ttft = self.number("ttft_ms").and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok());
            if let Some(ttft) = ttft {
                let seconds = ttft.saturating_sub(before).as_secs_f64();
                attributes.put(Name::FirstChunk, Told::DoubleValue(seconds));
            }
        }
        self.content(&mut attributes);
        let what = model.or(trace.tool.as_deref()).unwrap_or_default();
        let name = format!("{} {what}", operation.unwrap_or(dialect));
        let end = after(trace, trace.lasted);
        Span {
            kind: SpanKind::Client.into(),
            status: failed(self.member("error").is_some(), self.member("error")),
            ..inner(trace.context, trace.call_span(), name.trim_end(), (at(trace, begun), end), attributes)
        }
    }

    /// The redacted texts, where they are asked for.
    fn content(&self, attributes: &mut Attributes) {
        if !self.manner.content {
            return;
        }
        let message = |role: &str, text: &str| serde_json::json!({ "role": role, "parts": [{ "type": "text", "content": text }] });
        if let Some(prompt) = self.member("prompt") {
            let told = Value::Array(vec![message("user", prompt)]).to_string();
            attributes.text(Name::InputMessages, &told);
        }
        if let Some(completion) = self.member("completion") {
            let mut told = message("assistant", completion);
            if let Some(told) = told.as_object_mut() {
                let reason = if self.member("error").is_some() { "error" } else { "stop" };
                told.insert("finish_reason".to_owned(), reason.into());
            }
            attributes.text(Name::OutputMessages, &Value::Array(vec![told]).to_string());
        }
    }

    /// One try of a call.
    fn attempt(&self, trace: &Trace, noted: &Try, call: u64, sent_before: u64) -> Span {
        let mut attributes = self.attributes();
        attributes.text(Name::Method, noted.method);
        attributes.text(Name::Upstream, &noted.upstream);
        attributes.server(noted.server.as_ref());
        if let Some(url) = &noted.url {
            attributes.text(Name::UrlFull, url);
        }
        if sent_before > 0 {
            attributes.whole(Name::Resends, sent_before);
        }
        let error = came(&mut attributes, noted);
        Span {
            kind: SpanKind::Client.into(),
            parent_span_id: call.to_be_bytes().into(),
            status: failed(error.is_some(), error.as_deref()),
            ..inner(trace.context, noted.span, noted.method, times(trace, noted), attributes)
        }
    }

    /// One message to an MCP server.
    fn message(&self, trace: &Trace, noted: &Try, mcp: &McpCall) -> Span {
        let mut attributes = self.attributes();
        attributes.mcp(mcp);
        attributes.text(Name::Upstream, &noted.upstream);
        attributes.server(noted.server.as_ref());
        attributes.text(Name::Transport, if noted.server.is_some() { "tcp" } else { "pipe" });
        let error = came(&mut attributes, noted);
        Span {
            kind: SpanKind::Client.into(),
            status: failed(error.is_some(), error.as_deref()),
            ..inner(trace.context, noted.span, &spoken(mcp), times(trace, noted), attributes)
        }
    }

    /// One decision. It takes no time that could be seen.
    fn of_decision(&self, moment: Moment, number: u64) -> Span {
        let mut attributes = self.attributes();
        let tool = self.member("tool").unwrap_or_default();
        self.members(
            &mut attributes,
            &[
                (Name::Key, "key"),
                (Name::RequestId, "request_id"),
                (Name::Tool, "tool"),
                (Name::Place, "place"),
                (Name::Decision, "decision"),
                (Name::Rule, "rule"),
                (Name::Reason, "reason"),
                (Name::Mode, "mode"),
                (Name::Config, "config"),
            ],
        );
        let is_denied = self.member("decision") == Some("deny") && self.member("mode") == Some("enforce");
        if is_denied {
            attributes.text(Name::ErrorType, "policy_denied");
        }
        if let (true, Some(arguments)) = (self.manner.content, self.told.get("args")) {
            attributes.text(Name::ToolArguments, &arguments.to_string());
        }
        let time = nanos(moment.at);
        Span {
            kind: SpanKind::Internal.into(),
            status: failed(is_denied, self.member("reason")),
            ..inner(moment.context, number, &format!("decide {tool}"), (time, time), attributes)
        }
    }
}

fn span(context: Context, id: u64, name: &str, (start, end): (u64, u64), attributes: Attributes) -> Span {
    Span {
        trace_id: context.trace.to_be_bytes().into(),
        span_id: id.to_be_bytes().into(),
        flags: SAMPLED | HAS_IS_REMOTE,
        name: name.chars().take(NAME_CHARS_MAX).collect(),
        start_time_unix_nano: start,
        end_time_unix_nano: end.max(start),
        attributes: attributes.pairs,
        ..Span::default()
    }
}

/// A span beneath the request's.
fn inner(context: Context, id: u64, name: &str, times: (u64, u64), attributes: Attributes) -> Span {
    let parent_span_id = context.span.to_be_bytes().into();
    Span { parent_span_id, ..span(context, id, name, times, attributes) }
}

/// An MCP message as a span's name.
fn spoken(mcp: &McpCall) -> String {
    match &mcp.name {
        Some(name) => format!("{} {name}", mcp.method),
        None => mcp.method.to_owned(),
    }
}

/// What came of a try; the error, if it is one.
fn came(attributes: &mut Attributes, noted: &Try) -> Option<String> {
    let error = match noted.ended {
        // Whoever waited left.
        None => Some("cancelled".to_owned()),
        Some((_, Came::Answer)) => None,
        Some((_, Came::Failed(kind))) => Some(kind.to_owned()),
        Some((_, Came::Code(code))) => {
            attributes.text(Name::RpcStatus, &code.to_string());
            Some(code.to_string())
        }
        Some((_, Came::Status(status))) => {
            attributes.whole(Name::Status, u64::from(status));
            (status >= 400).then(|| status.to_string())
        }
    };
    if let Some(error) = &error {
        attributes.text(Name::ErrorType, error);
    }
    error
}

fn failed(is_error: bool, why: Option<&str>) -> Option<Status> {
    is_error.then(|| Status { code: StatusCode::Error.into(), message: why.unwrap_or_default().to_owned() })
}

/// So long after the request came.
fn after(trace: &Trace, duration: Duration) -> u64 {
    nanos(trace.time.checked_add(duration).unwrap_or(trace.time))
}

/// A moment of the monotonic clock, on the wall.
fn at(trace: &Trace, moment: Instant) -> u64 {
    after(trace, moment.saturating_duration_since(trace.started))
}

fn times(trace: &Trace, noted: &Try) -> (u64, u64) {
    let end = noted.ended.map_or_else(|| after(trace, trace.lasted), |(moment, _)| at(trace, moment));
    (at(trace, noted.started), end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, records::Kind, trace::Going, usage::Usage};
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use std::{
        collections::BTreeSet,
        time::{Duration, SystemTime},
    };

    const LINE: &str = r#"{"time":"2026-11-25T10:00:00.250Z","tenant":"acme","key":"prod","request_id":"r1","dialect":"anthropic.messages","model":"claude-opus","upstream":"claude","status":200,"error":null,"latency_ms":900.5,"ttft_ms":150.0,"input_tokens":70,"output_tokens":8,"cost_usd":0.000123,"tools_denied":[],"prompt":"hi [EMAIL_ADDRESS:1]","completion":"there"}"#;

    fn trace() -> Trace {
        let context = Context { trace: 7, span: 9, is_sampled: true };
        let came = (SystemTime::UNIX_EPOCH + Duration::from_secs(1000), clock::now());
        let mut trace = Trace::new(context, None, ("POST", "/v1/messages"), came);
        let at = |ms: u64| trace.started + Duration::from_millis(ms);
        let going = Going {
            upstream: "claude".into(),
            method: "POST",
            server: Some(("api.anthropic.com", 443)),
            url: Some(&"https://api.anthropic.com/v1"),
            mcp: None,
        };
        trace.outbound().begin(going, at(50)).end(Came::Status(200), at(120));
        trace.lasted = Duration::from_micros(900_500);
        trace.is_stream = true;
        trace.usage = Some(Usage { input: 70, cached_input: 60, cache_write: 5, output: 8 });
        trace.tokens_max = Some(99);
        let model = Some("claude-opus-4-1".to_owned());
        trace.reply = Some(Reply { model, reasons: vec![(0, "tool_use"), (1, "_OTHER")] });
        trace
    }

    fn told(manner: Manner, trace: Trace) -> Vec<String> {
        let line = Line::new(&"acme".into(), Kind::Log, LINE.as_bytes(), SystemTime::UNIX_EPOCH);
        let line = line.traced(Some(Traced::Request(Box::new(trace))), 0);
        let spans = spans(&line, manner);
        assert_eq!(u64::try_from(spans.len()).unwrap(), count(&line));
        spans.iter().map(shown).collect()
    }

    /// A span on one line: its name, its milliseconds from 1000 s on, its attributes.
    fn shown(span: &Span) -> String {
        let ms = |nanos: u64| nanos / 1_000_000 - 1_000_000;
        let attribute = |pair: &KeyValue| {
            let value = match pair.value.clone().and_then(|value| value.value) {
                Some(Any::StringValue(text)) => text,
                Some(Any::IntValue(number)) => number.to_string(),
                Some(Any::BoolValue(flag)) => flag.to_string(),
                Some(Any::DoubleValue(number)) => number.to_string(),
                Some(Any::ArrayValue(ArrayValue { values })) => {
                    let texts = values.into_iter().map(|value| match value.value {
                        Some(Any::StringValue(text)) => text,
                        other => format!("{other:?}"),
                    });
                    texts.collect::<Vec<_>>().join(",")
                }
                other => format!("{other:?}"),
            };
            format!("{}={value}", pair.key)
        };
        let mut attributes: Vec<String> = span.attributes.iter().map(attribute).collect();
        attributes.sort();
        let (start, end) = (ms(span.start_time_unix_nano), ms(span.end_time_unix_nano));
        format!("{} {start}..{end} {}", span.name, attributes.join(" "))
    }

    #[test]
    fn a_streamed_call_in_classic_names() {
        let manner = Manner { conventions: Conventions::Classic, content: false };
        assert_eq!(
            told(manner, trace()),
            [
                "POST /v1/messages 0..900 http.request.method=POST http.response.status_code=200 http.route=/v1/messages tollgate.dialect=anthropic.messages tollgate.key=prod tollgate.request_id=r1 tollgate.tenant=acme url.path=/v1/messages url.scheme=http",
                "chat claude-opus 50..900 gen_ai.operation.name=chat gen_ai.provider.name=anthropic gen_ai.request.max_tokens=99 gen_ai.request.model=claude-opus gen_ai.request.stream=true gen_ai.response.finish_reasons=tool_use,_OTHER gen_ai.response.model=claude-opus-4-1 gen_ai.response.time_to_first_chunk=0.1 gen_ai.usage.cache_creation.input_tokens=5 gen_ai.usage.cache_read.input_tokens=60 gen_ai.usage.input_tokens=70 gen_ai.usage.output_tokens=8 server.address=api.anthropic.com server.port=443 tollgate.cost_usd=0.000123 tollgate.tenant=acme tollgate.upstream=claude",
                "POST 50..120 http.request.method=POST http.response.status_code=200 server.address=api.anthropic.com server.port=443 tollgate.tenant=acme tollgate.upstream=claude url.full=https://api.anthropic.com/v1",
            ]
        );
    }

    #[test]
    fn the_latest_names_differ_where_the_table_says_so_and_content_is_the_line_s() {
        let with = |conventions, content| told(Manner { conventions, content }, trace()).join("\n");
        let classic = with(Conventions::Classic, false);
        let latest = with(Conventions::Latest, false);
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(words(&latest), words(&classic.replace("cache_creation", "cache_write")));
        assert_ne!(latest, classic);
        let content = with(Conventions::Classic, true);
        let prompt = r#"gen_ai.input.messages=[{"parts":[{"content":"hi [EMAIL_ADDRESS:1]","type":"text"}],"role":"user"}]"#;
        assert!(content.contains(prompt) && content.contains("there"), "{content}");
        assert!(!classic.contains("there") && !classic.contains("EMAIL_ADDRESS"), "{classic}");
    }

    #[test]
    fn of_a_path_that_is_not_served_nothing_is_told_and_tls_is() {
        let context = Context { trace: 7, span: 9, is_sampled: true };
        let came = (SystemTime::UNIX_EPOCH + Duration::from_secs(1000), clock::now());
        let mut trace = Trace::new(context, None, ("GET", "_OTHER"), came);
        trace.is_secure = true;
        let manner = Manner { conventions: Conventions::Classic, content: true };
        let spans = told(manner, trace);
        assert!(spans[0].ends_with(" url.path=REDACTED url.scheme=https"), "{spans:?}");
    }

    #[test]
    fn a_request_that_went_nowhere_is_one_span() {
        let context = Context { trace: 7, span: 9, is_sampled: true };
        let trace = Trace::new(
            context,
            None,
            ("POST", "/v1/messages"),
            (SystemTime::UNIX_EPOCH + Duration::from_secs(1000), clock::now()),
        );
        let manner = Manner { conventions: Conventions::Classic, content: true };
        assert_eq!(told(manner, trace).len(), 1);
    }
}
