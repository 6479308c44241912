//! Lines of records as OTLP log records. Pure. The body is the line, letter for letter, so that it can be compared with
//! the file and its hash with the chain; attributes are members that one filters by, from a list: no text of a prompt,
//! an answer or arguments is among them.

use crate::records::Kind;
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
    resource::v1::Resource,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// What a line weighs in the queue besides its bytes.
const WEIGHT_FIXED: usize = 128;
/// The members of a decision and of a request that become attributes.
const OF_DECISIONS: &[&str] =
    &["key", "request_id", "place", "tool", "decision", "rule", "reason", "config", "mode", "by"];
const OF_REQUESTS: &[&str] = &[
    "key",
    "request_id",
    "dialect",
    "model",
    "upstream",
    "status",
    "error",
    "latency_ms",
    "ttft_ms",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "usage_estimated",
];

/// A line of a record, as it was written.
#[derive(Debug, Clone)]
pub(in crate::telemetry) struct Line {
    pub(super) tenant: Arc<str>,
    kind: Kind,
    text: Box<[u8]>,
    observed: SystemTime,
}

impl Line {
    pub(in crate::telemetry) fn new(
        tenant: &Arc<str>,
        kind: Kind,
        line: &[u8],
        observed: SystemTime,
    ) -> Self {
        let text = line.strip_suffix(b"\n").unwrap_or(line).into();
        Self { tenant: Arc::clone(tenant), kind, text, observed }
    }

    pub(super) fn weight(&self) -> usize {
        WEIGHT_FIXED + self.text.len()
    }

    fn record(&self) -> LogRecord {
        let text = String::from_utf8_lossy(&self.text).into_owned();
        let line: Value = serde_json::from_str(&text).unwrap_or_default();
        let (names, event) = match self.kind {
            Kind::Audit => (OF_DECISIONS, "tollgate.decision"),
            Kind::Log => (OF_REQUESTS, "tollgate.request"),
        };
        let attribute = |name: &&str| Some(pair(format!("tollgate.{name}"), value(line.get(*name)?)?));
        let severity = severity(&line);
        let observed = nanos(self.observed);
        LogRecord {
            time_unix_nano: line.get("time").and_then(Value::as_str).and_then(time).unwrap_or(observed),
            observed_time_unix_nano: observed,
            severity_number: severity.into(),
            severity_text: match severity {
                SeverityNumber::Error => "ERROR",
                SeverityNumber::Warn => "WARN",
                _ => "INFO",
            }
            .to_owned(),
            body: Some(AnyValue { value: Some(any_value::Value::StringValue(text)) }),
            attributes: names.iter().filter_map(attribute).collect(),
            event_name: event.to_owned(),
            ..LogRecord::default()
        }
    }
}

/// Lines as a request, a resource a tenant.
pub(super) fn request(lines: &[Line], instance: &str) -> ExportLogsServiceRequest {
    let mut tenants: BTreeMap<&Arc<str>, Vec<LogRecord>> = BTreeMap::new();
    for line in lines {
        tenants.entry(&line.tenant).or_default().push(line.record());
    }
    let resource = |tenant: &str| Resource {
        attributes: [
            ("service.name", "tollgate"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", instance),
            ("tollgate.tenant", tenant),
        ]
        .map(|(name, value)| pair(name.to_owned(), any_value::Value::StringValue(value.to_owned())))
        .into(),
        ..Resource::default()
    };
    let scope =
        InstrumentationScope { name: "tollgate.records".to_owned(), ..InstrumentationScope::default() };
    let logs = tenants.into_iter().map(|(tenant, log_records)| ResourceLogs {
        resource: Some(resource(tenant)),
        scope_logs: vec![ScopeLogs { scope: Some(scope.clone()), log_records, ..ScopeLogs::default() }],
        ..ResourceLogs::default()
    });
    ExportLogsServiceRequest { resource_logs: logs.collect() }
}

fn pair(key: String, value: any_value::Value) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A member's value as an attribute's; None for what is null, or no plain value.
fn value(value: &Value) -> Option<any_value::Value> {
    match value {
        Value::String(text) => Some(any_value::Value::StringValue(text.clone())),
        Value::Bool(flag) => Some(any_value::Value::BoolValue(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Some(any_value::Value::IntValue(whole)),
            None => number.as_f64().map(any_value::Value::DoubleValue),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What went wrong on a server is an error; what was refused, denied or left waiting is worth a look.
fn severity(line: &Value) -> SeverityNumber {
    let status = line.get("status").and_then(Value::as_u64).unwrap_or(0);
    let decision = line.get("decision").and_then(Value::as_str);
    if status >= 500 {
        SeverityNumber::Error
    } else if status >= 400 || matches!(decision, Some("deny" | "ask")) {
        SeverityNumber::Warn
    } else {
        SeverityNumber::Info
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A record's time in nanoseconds since 1970.
fn time(text: &str) -> Option<u64> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    u64::try_from(time.timestamp_nanos_opt()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: &str = r#"{"time":"2026-11-25T10:00:00.250Z","tenant":"acme","key":"prod","request_id":"r1","place":"mcp","tool":"crm__x","args":{"a":"quokka"},"decision":"deny","rule":null,"hash":"c0ffee"}"#;
    const ANSWERED: &str = r#"{"time":"2026-11-25T10:00:00.250Z","tenant":"globex","key":"prod","model":"gpt-5","status":502,"latency_ms":12.5,"input_tokens":7,"prompt":"quokka","completion":"quokka"}"#;

    fn attributes(record: &LogRecord) -> BTreeMap<String, String> {
        let told = |value: &KeyValue| format!("{:?}", value.value.as_ref().unwrap().value.as_ref().unwrap());
        record.attributes.iter().map(|pair| (pair.key.clone(), told(pair))).collect()
    }

    #[test]
    fn a_tenant_is_a_resource_and_a_line_is_a_record() {
        let line = |tenant: &str, kind, text: &str| {
            Line::new(&tenant.into(), kind, format!("{text}\n").as_bytes(), UNIX_EPOCH)
        };
        let lines = [
            line("globex", Kind::Log, ANSWERED),
            line("acme", Kind::Audit, DENIED),
            line("globex", Kind::Log, ANSWERED),
        ];
        let request = request(&lines, "i");
        let tenants: Vec<String> = request
            .resource_logs
            .iter()
            .map(|logs| format!("{:?}", logs.resource.as_ref().unwrap().attributes.last().unwrap()))
            .collect();
        assert_eq!(tenants.len(), 2);
        assert!(tenants[0].contains("tollgate.tenant") && tenants[0].contains("acme"), "{tenants:?}");
        let records = |at: usize| &request.resource_logs[at].scope_logs[0].log_records;
        assert_eq!((records(0).len(), records(1).len()), (1, 2));
        let denied = &records(0)[0];
        assert_eq!(denied.time_unix_nano, 1_795_600_800_250_000_000);
        assert_eq!(
            (denied.severity_text.as_str(), denied.event_name.as_str()),
            ("WARN", "tollgate.decision")
        );
        assert_eq!(denied.body.as_ref().unwrap().value, Some(any_value::Value::StringValue(DENIED.into())));
        let told = attributes(denied);
        assert_eq!(told["tollgate.tool"], "StringValue(\"crm__x\")");
        assert!(!told.contains_key("tollgate.rule"), "{told:?}");
        let failed = &records(1)[0];
        assert_eq!(failed.severity_text, "ERROR");
        let told = attributes(failed);
        assert_eq!(
            (told["tollgate.status"].as_str(), told["tollgate.latency_ms"].as_str()),
            ("IntValue(502)", "DoubleValue(12.5)")
        );
        assert!(!format!("{:?}{:?}", attributes(denied), told).contains("quokka"));
    }
}
