//! The JSON Schema against the examples, and against the validator on thousands of damaged ones.

use serde_json::{Value, json};

use super::{kinds, said};
use crate::config::{FileId, read, schema, shape, yaml};

#[test]
fn the_schema_accepts_the_examples_and_agrees_with_the_validator_on_damaged_ones() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let junk = [
        json!(""),
        json!(" "),
        json!("no such value!"),
        json!(true),
        json!(null),
        json!([]),
        json!({}),
        json!({ "zzz": "x" }),
    ];
    for (text, shape, _) in kinds() {
        let whole = read::json(&yaml::parse(FileId(0), &text).0.unwrap()).ok().unwrap();
        assert!(
            validator.is_valid(&whole),
            "{:?}",
            validator.iter_errors(&whole).map(|e| e.to_string()).collect::<Vec<_>>()
        );
        let (mut places, mut refused) = (0, 0);
        while let Some(pointer) = pointer(&whole, &mut places.clone(), String::new()) {
            for junk in &junk {
                let mut damaged = whole.clone();
                *damaged.pointer_mut(&pointer).unwrap() = junk.clone();
                let said = said(&damaged.to_string(), shape);
                refused += usize::from(!said.is_empty());
                assert_eq!(said.is_empty(), validator.is_valid(&damaged), "{pointer} = {junk}\n{said}");
            }
            places += 1;
        }
        assert!(refused > 100);
    }
}

/// The path of the nth value.
fn pointer(value: &Value, nth: &mut usize, path: String) -> Option<String> {
    if *nth == 0 {
        return Some(path);
    }
    *nth -= 1;
    match value {
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| pointer(item, nth, format!("{path}/{index}")))
        }
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            pointer(value, nth, format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Editors that read YAML 1.1 take a bare `off` for false.
#[test]
fn off_is_false_to_some_editors() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let check = |upstream: Value, fits: bool| {
        let file = json!({ "tenants": "tenants/", "upstreams": { "crm": upstream } });
        assert_eq!(validator.is_valid(&file), fits, "{file}");
    };
    check(json!({ "kind": "mcp", "url": "http://x", "pin": "off" }), true);
    check(json!({ "kind": "mcp", "url": "http://x", "pin": false }), true);
    check(json!({ "kind": "mcp", "url": "http://x", "pin": true }), false);
    check(json!({ "kind": false, "url": "http://x" }), false);
    assert!(validator.is_valid(&json!({ "tenant": "acme", "redact": { "wire": false } })));
}

#[test]
fn the_schema_refuses_what_is_broken() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for name in [
        "keys/tollgate.yaml",
        "keys/tenants/acme.yaml",
        "tenant/tenants/acme.yaml",
        "secrets/tenants/acme.yaml",
    ] {
        let text = std::fs::read_to_string(format!("src/config/tests/golden/{name}")).unwrap();
        let json = read::json(&yaml::parse(FileId(0), &text).0.unwrap()).ok().unwrap();
        assert!(!validator.is_valid(&json), "{name}");
    }
}

#[test]
fn every_key_is_documented_and_its_default_and_example_fit() {
    for map in shape::maps() {
        for key in map.keys {
            assert!(
                key.doc.ends_with('.') && key.doc.len() > 4 && !key.doc.contains('\n'),
                "{}.{}",
                map.title,
                key.name
            );
            let default = match key.need {
                shape::Need::Default(text) => Some(text),
                shape::Need::Optional | shape::Need::Required => None,
            };
            for text in [default, key.example].into_iter().flatten() {
                let only = Box::leak(Box::new(shape::map(
                    "test",
                    Box::leak(Box::new([shape::key(key.name, key.shape, "")])),
                )));
                assert_eq!(said(&format!("{}: {text}", key.name), only), "", "{}.{}", map.title, key.name);
            }
        }
    }
}
