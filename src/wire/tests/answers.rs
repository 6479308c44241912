//! Whole answers and arguments of calls.

use super::*;
use serde_json::json;

fn masks_of(texts: &[&str]) -> Masks {
    mask(&json!({ "input": texts })).1
}

#[test]
fn only_this_requests_placeholders_are_restored() {
    let [email, other] = [EMAIL, "john@example.org"].map(placeholder);
    let wrong = email.replacen('[', "[X", 1);
    let said = format!(
        "{email} {other} {wrong} [EMAIL_ADDRESS:abcdefghijklmnop] {} {}",
        email.split_at(20).0,
        email.to_lowercase()
    );
    let answer = json!({ "choices": [{ "message": { "content": said } }] });
    let expected = said.replacen(&email, EMAIL, 1);
    assert_eq!(restored(masks_of(&[EMAIL]), &answer)["choices"][0]["message"]["content"], json!(expected));
}

#[test]
fn every_member_of_an_answer_is_restored() {
    let (email, masks) = (placeholder(EMAIL), masks_of(&[EMAIL]));
    let of = |value: &str| {
        json!({ "id": "x", "output": [
            { "type": "reasoning", "summary": [{ "type": "summary_text", "text": value }], "encrypted_content": "gAAA" },
            { "type": "message", "content": [{ "type": "output_text", "text": format!("to {value}"), "annotations": [{ "title": value }] }] },
            { "type": "mcp_call", "arguments": json!({ "to": value, value: 1 }).to_string(), "output": value },
            { "type": "custom_tool_call", "input": value }],
            "content": [{ "type": "thinking", "thinking": value, "signature": "s" }, { "type": "tool_use", "input": { "to": [value], value: json!({ "in": value }).to_string() } }],
            "stop_sequence": value })
    };
    assert_eq!(restored(masks, &of(&email)), of(EMAIL));
}

#[test]
fn arguments_are_escaped_as_deep_as_a_value_stands() {
    let value = ODD;
    let (name, masks) = (placeholder(value), masks_of(&[value]));
    assert_eq!(masks.value(&name), Some(value));
    let placeholders = Placeholders::of(masks).unwrap();
    let inner = |value: &str| json!({ "b": value, value: [value, 1.50] }).to_string();
    let args = |value: &str| {
        json!({ "a": value, "inner": inner(value), "prose": format!("{{it is {value}"), value: true })
            .to_string()
    };
    let mut text = args(&name);
    assert!(placeholders.call(&mut text, true, 4096));
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        serde_json::from_str::<Value>(&args(value)).unwrap()
    );
    // Written with escapes; and what is no JSON at all.
    let mut text = format!(r#"{{"a":"\u005b{}"}}"#, name.trim_start_matches('['));
    assert!(placeholders.call(&mut text, true, 4096));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ "a": value }));
    let mut text = format!("{{\"a\": \"{name}");
    assert!(placeholders.call(&mut text, true, 4096));
    assert_eq!(text, format!("{{\"a\": {}", json!(value).to_string().trim_end_matches('"')));
    let mut text = format!("*** {name}\n");
    assert!(placeholders.call(&mut text, false, 4096));
    assert_eq!(text, format!("*** {value}\n"));
    // Everything else stays as it is written.
    let mut text = format!("{{ \"n\" : 1.50,\n \"to\":\"{}\"}}", placeholder(EMAIL));
    let email = Placeholders::of(masks_of(&[EMAIL])).unwrap();
    assert!(email.call(&mut text, true, 4096));
    assert_eq!(text, format!("{{ \"n\" : 1.50,\n \"to\":\"{EMAIL}\"}}"));
    assert!(!email.call(&mut placeholder(EMAIL).repeat(9), false, 100), "no longer than that");
}

#[test]
fn an_answer_does_not_grow_without_bound() {
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n".repeat(400)
    );
    let masks = masks_of(&[&key]);
    let name = placeholder(&key);
    let value = masks.value(&name).unwrap().len();
    assert!(value > 10_000);
    let answer = json!({ "choices": [{ "message": { "content": name.repeat((64 << 20) / value + 1) } }] });
    let placeholders = Placeholders::of(masks).unwrap();
    assert!(matches!(placeholders.whole(answer.to_string().as_bytes()), Err(Refusal::UpstreamError { .. })));
}

#[test]
fn nothing_prints_a_value() {
    let masks = masks_of(&[EMAIL]);
    assert!(!format!("{masks:?}{:?}", Placeholders::of(masks.clone())).contains("jane"));
}
