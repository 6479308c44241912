//! The JSON Schema (draft 2020-12) of all three kinds of file, made from the same description as the validator,
//! so that an editor says what `tollgate check` says.

use serde_json::{Map, Value, json};

use super::{
    gateway_shape::GATEWAY,
    read,
    scalar::Scalar,
    shape::{self, Key, MapShape, Need, Shape, Together},
    tenant_shape::TENANT,
    test_shape::TESTS,
    yaml,
};

/// One schema for `tollgate.yaml`, tenant files and `*.test.yaml`, told apart by the keys that each requires.
pub fn schema() -> Value {
    let maps = shape::maps();
    let definitions: Map<String, Value> =
        maps.iter().map(|map| (name_of(map, &maps), map_schema(map, &maps))).collect();
    let file = |map: &'static MapShape| reference(map, &maps);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tollgate configuration",
        "description": "tollgate.yaml, a tenant file, or a tenant's policy tests (*.test.yaml)",
        "type": "object",
        "anyOf": [file(&GATEWAY), file(&TENANT), file(&TESTS)],
        "$defs": definitions,
    })
}

/// The title, with a number where another map had it before.
fn name_of(map: &MapShape, maps: &[&'static MapShape]) -> String {
    let title: String = map.title.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let before = maps.iter().take_while(|other| !std::ptr::eq(**other, map));
    match before.filter(|other| other.title == map.title).count() {
        0 => title,
        others => format!("{title}-{}", others + 1),
    }
}

fn reference(map: &'static MapShape, maps: &[&'static MapShape]) -> Value {
    json!({ "$ref": format!("#/$defs/{}", name_of(map, maps)) })
}

fn map_schema(map: &'static MapShape, maps: &[&'static MapShape]) -> Value {
    let properties: Map<String, Value> =
        map.keys.iter().map(|key| (key.name.to_owned(), key_schema(key, maps))).collect();
    let required: Vec<&str> =
        map.keys.iter().filter(|key| key.need == Need::Required).map(|key| key.name).collect();
    let rules: Vec<Value> = map.rules.iter().map(|rule| together(*rule)).collect();
    let mut schema = json!({
        "title": map.title, "type": "object", "additionalProperties": false, "properties": properties,
    });
    if let Value::Object(fields) = &mut schema {
        if !required.is_empty() {
            fields.insert("required".to_owned(), json!(required));
        }
        if !rules.is_empty() {
            fields.insert("allOf".to_owned(), Value::Array(rules));
        }
    }
    schema
}

fn key_schema(key: &Key, maps: &[&'static MapShape]) -> Value {
    let mut schema = shape_schema(key.shape, maps);
    if let Value::Object(fields) = &mut schema {
        fields.insert("description".to_owned(), Value::from(key.doc));
        if let Need::Default(default) = key.need {
            fields.insert("default".to_owned(), flow(default));
        }
        if let Some(example) = key.example {
            fields.insert("examples".to_owned(), Value::Array(vec![flow(example)]));
        }
    }
    schema
}

fn shape_schema(shape: Shape, maps: &[&'static MapShape]) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Either(shapes) => {
            let choices: Vec<Value> = shapes.iter().map(|shape| shape_schema(*shape, maps)).collect();
            json!({ "anyOf": choices })
        }
        Shape::List(each) => json!({ "type": "array", "items": shape_schema(*each, maps) }),
        Shape::Some(each) => json!({ "type": "array", "minItems": 1, "items": shape_schema(*each, maps) }),
        Shape::Map(map) => reference(map, maps),
        Shape::Names { name, each } => json!({
            "type": "object", "propertyNames": name_schema(name), "additionalProperties": shape_schema(*each, maps),
        }),
        Shape::Scalar(kind) => kind.schema(),
        Shape::Secret => json!({ "anyOf": [reference(&shape::SECRET, maps), Scalar::Text.schema()] }),
    }
}

fn name_schema(name: Scalar) -> Value {
    json!({ "pattern": name.about().pattern })
}

fn together(rule: Together) -> Value {
    match rule {
        Together::ExactlyOne(keys) => {
            let choices: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
            json!({ "oneOf": choices })
        }
        Together::Needs { key, other } => json!({ "dependentRequired": { key: [other] } }),
        Together::NotWith { key, other } => json!({ "not": { "required": [key, other] } }),
        Together::OnlyFor { key, by, words } => {
            let about = format!("`{key}` only goes with `{by}: {}`.", words.join("` or `"));
            let only = json!({ "enum": words, "description": about });
            json!({ "if": { "required": [key] }, "then": { "properties": { by: only } } })
        }
        Together::RequiredFor { key, by, words } => {
            let about = format!("With `{by}: {}` the key `{key}` is required.", words.join("` or `"));
            let word = json!({ "enum": words, "description": about });
            let condition = json!({ "properties": { by: word }, "required": [by] });
            json!({ "if": condition, "then": { "required": [key] } })
        }
    }
}

/// The JSON value of a default or an example, which are written in YAML flow style.
fn flow(text: &str) -> Value {
    let (node, _) = yaml::parse(super::FileId(0), text);
    node.and_then(|node| read::json(&node).ok()).unwrap_or(Value::Null)
}
