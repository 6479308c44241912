//! A record's line on its way to be exported, and what all signals make of it alike.

use crate::{records::Kind, trace::Traced};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    resource::v1::Resource,
};
use serde_json::Value;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// What a line weighs in the queue besides its bytes.
const WEIGHT_FIXED: usize = 128;
/// The same of what was noted of its request.
const WEIGHT_TRACED: usize = 512;

/// A line of a record, as it was written.
#[derive(Debug, Clone)]
pub(in crate::telemetry) struct Line {
    pub(super) tenant: Arc<str>,
    pub(super) kind: Kind,
    text: Arc<[u8]>,
    pub(super) observed: SystemTime,
    /// Its request's trace, where there is one.
    pub(super) traced: Option<Arc<Traced>>,
    /// Where it becomes a span of which nobody else knows the id: that id.
    pub(super) span: u64,
}

impl Line {
    pub(in crate::telemetry) fn new(
        tenant: &Arc<str>,
        kind: Kind,
        line: &[u8],
        observed: SystemTime,
    ) -> Self {
        let text = line.strip_suffix(b"\n").unwrap_or(line).into();
        Self { tenant: Arc::clone(tenant), kind, text, observed, traced: None, span: 0 }
    }

    /// With the trace of its request, and the id of a span.
    pub(in crate::telemetry) fn traced(self, traced: Option<Traced>, span: u64) -> Self {
        Self { traced: traced.map(Arc::new), span, ..self }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn weight(&self) -> usize {
        WEIGHT_FIXED + self.text.len() + if self.traced.is_some() { WEIGHT_TRACED } else { 0 }
    }
}

/// Whose signals these are: a resource a tenant.
pub(super) fn resource(tenant: &str, instance: &str) -> Resource {
    Resource {
        attributes: [
            ("service.name", "tollgate"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", instance),
            ("tollgate.tenant", tenant),
        ]
        .map(|(name, value)| pair(name.to_owned(), any_value::Value::StringValue(value.to_owned())))
        .into(),
        ..Resource::default()
    }
}

pub(super) fn pair(key: String, value: any_value::Value) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A member's value as an attribute's; None for what is null, or no plain value.
pub(super) fn value(value: &Value) -> Option<any_value::Value> {
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

/// Nanoseconds since 1970.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
