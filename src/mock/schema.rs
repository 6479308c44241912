//! Plausible arguments for a tool, made up from its JSON schema. Apart because it is the only place that reads one.

use serde_json::{Map, Value, json};

/// Deeper than this a schema is answered with null, so that a hostile one cannot exhaust the stack.
const DEPTH_MAX: usize = 8;

/// Arguments that fit `parameters`, as the JSON text that a model would write; `{}` without a schema.
pub(super) fn arguments(parameters: Option<&Value>) -> String {
    match parameters.map(|schema| example("value", schema, 0)) {
        Some(Value::Object(map)) => Value::Object(map).to_string(),
        Some(_) | None => "{}".to_owned(),
    }
}

fn example(name: &str, schema: &Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    let stated = ["const", "default"].iter().find_map(|key| schema.get(key));
    let first = |key: &str| schema.get(key).and_then(Value::as_array)?.first();
    if let Some(value) = stated.or_else(|| first("enum")).or_else(|| first("examples")) {
        return value.clone();
    }
    if let Some(branch) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| first(key)) {
        return example(name, branch, depth + 1);
    }
    match kind(schema) {
        "object" => Value::Object(properties(schema, depth)),
        "array" => {
            schema.get("items").map_or_else(|| json!([]), |items| json!([example(name, items, depth + 1)]))
        }
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => Value::Bool(true),
        "null" => Value::Null,
        _ => Value::String(text(name, schema)),
    }
}

fn kind(schema: &Value) -> &str {
    let stated = schema.get("type");
    let first = stated.and_then(Value::as_array).and_then(|kinds| kinds.first());
    let guess = if schema.get("properties").is_some() { "object" } else { "string" };
    stated.and_then(Value::as_str).or_else(|| first?.as_str()).unwrap_or(guess)
}

fn properties(schema: &Value, depth: usize) -> Map<String, Value> {
    let declared = schema.get("properties").and_then(Value::as_object);
    declared
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), example(name, schema, depth + 1)))
        .collect()
}

fn text(name: &str, schema: &Value) -> String {
    match (schema.get("format").and_then(Value::as_str), name) {
        (Some("email"), _) | (_, "to" | "email") => "ada@example.com".to_owned(),
        (Some("date"), _) | (_, "date") => "2027-01-31".to_owned(),
        (Some("date-time"), _) => "2027-01-31T12:00:00Z".to_owned(),
        (Some("uri"), _) | (_, "url") => "https://example.com/".to_owned(),
        (_, "city" | "location") => "Bern".to_owned(),
        _ => format!("some {name}"),
    }
}
