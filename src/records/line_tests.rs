//! The format of lines: golden ones, and the laws of what text becomes in them.

use std::{
    cell::Cell,
    time::{Duration, UNIX_EPOCH},
};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::records::{chain::genesis, tests::fixture};

/// Counts what it hears.
#[derive(Default)]
struct Heard {
    redacted: Cell<u32>,
    failed: Cell<u32>,
}

impl Notice for Heard {
    fn made(&self, _: &Arc<str>, _: Kind, _: &[u8]) {}
    fn redacted(&self, tenant: &str, entity: &str, count: u32) {
        assert!(tenant == "acme" && !entity.is_empty());
        self.redacted.set(self.redacted.get() + count);
    }
    fn redactor_failed(&self) {
        self.failed.set(self.failed.get() + 1);
    }
    fn left_out(&self, _: &str) {}
}

fn request_line(entry: RequestEntry) -> String {
    let mut out = Vec::new();
    write_request(&mut out, entry, &Heard::default());
    String::from_utf8(out).unwrap()
}

fn decision_line(entry: DecisionEntry) -> String {
    let mut out = Vec::new();
    write_decision(&mut out, entry, &genesis("acme"), &Heard::default());
    String::from_utf8(out).unwrap()
}

/// A line with its digests replaced by a word.
fn masked(line: &str) -> String {
    let mut text = String::new();
    for part in line.split('"') {
        let is_digest = part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
        text.push_str(if is_digest { "HEX" } else { part });
        text.push('"');
    }
    text.pop();
    text
}

#[test]
fn a_request_reads_as_the_contract_says() {
    let full = RequestEntry {
        model: Some(Model::Declared("gpt-5".into())),
        upstream: Some("openai".into()),
        error: Some("upstream_error"),
        ttft: Some(Duration::from_micros(1500)),
        queued: None,
        input_tokens: Some(0),
        output_tokens: Some(20),
        usage_estimated: false,
        cost_micro_usd: Some(1_020_300),
        tools_denied: vec![Raw::text("shell"), Raw::text("rm")],
        completion: Some(Raw::json(r#"[ "a", 1 ]"#)),
        ..fixture::request("acme", Content::Redacted, "hi\n")
    };
    assert_eq!(
        request_line(full),
        concat!(
            r#"{"time":"2026-11-25T10:00:00.000Z","tenant":"acme","key":"prod","request_id":"req-1","dialect":"openai","#,
            r#""model":"gpt-5","upstream":"openai","status":200,"error":"upstream_error","latency_ms":12.345,"#,
            r#""ttft_ms":1.5,"input_tokens":0,"output_tokens":20,"cost_usd":1.0203,"tools_denied":["shell","rm"],"#,
            r#""prompt":"hi\n","completion":["a",1]}"#,
            "\n"
        )
    );
    assert_eq!(
        request_line(fixture::request("acme", Content::None, "hi")),
        concat!(
            r#"{"time":"2026-11-25T10:00:00.000Z","tenant":"acme","key":"prod","request_id":"req-1","dialect":"openai","#,
            r#""model":null,"upstream":null,"status":200,"error":null,"latency_ms":12.345,"ttft_ms":null,"#,
            r#""input_tokens":null,"output_tokens":null,"cost_usd":null,"tools_denied":[]}"#,
            "\n"
        )
    );
}

#[test]
fn a_decision_reads_as_the_contract_says() {
    let head = concat!(
        r#"{"time":"2026-11-25T10:00:00.000Z","tenant":"acme","key":"prod","request_id":"req-1","place":"mcp","#,
        r#""tool":"crm__create","#
    );
    let rest = concat!(
        r#""decision":"deny","rule":"tenants/acme.yaml:14","reason":null,"config":"c0ffee","mode":"enforce","by":null,"#,
        r#""prev":"HEX","hash":"HEX"}"#,
        "\n"
    );
    let line = |content, args: Option<&str>| {
        masked(&decision_line(DecisionEntry {
            args: args.map(Raw::text),
            ..fixture::decision("acme", content)
        }))
    };
    let redacted = Content::Redacted;
    let with_json = line(redacted, Some("{\"b\": 1,\n \"a\": 1.50}"));
    assert_eq!(with_json, format!(r#"{head}"args":{{"b":1,"a":1.50}},"args_hmac":"HEX",{rest}"#));
    assert_eq!(line(redacted, Some("{oops")), format!(r#"{head}"args":"{{oops","args_hmac":"HEX",{rest}"#));
    assert_eq!(line(redacted, None), format!(r#"{head}"args":null,"args_hmac":null,{rest}"#));
    assert_eq!(line(Content::None, Some("{}")), format!(r#"{head}"args_hmac":"HEX",{rest}"#));
}

#[test]
fn texts_are_redacted_wherever_they_stand() {
    let heard = Heard::default();
    let mail = || Raw::text("to jane@example.com");
    let mut out = Vec::new();
    let entry = RequestEntry {
        model: Some(Model::Asked(mail())),
        tools_denied: vec![mail()],
        completion: Some(Raw::lazy(Box::new(|| "jane@example.com".into()), 16)),
        ..fixture::request("acme", Content::Redacted, "I am jane@example.com")
    };
    write_request(&mut out, entry, &heard);
    let decision = DecisionEntry {
        tool: mail(),
        args: Some(Raw::json(r#"{"to":"jane@example.com"}"#)),
        by: Some("jane@example.com".into()),
        ..fixture::decision("acme", Content::Redacted)
    };
    write_decision(&mut out, decision, &genesis("acme"), &heard);
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains("jane"), "{text}");
    assert_eq!(text.matches("[EMAIL_ADDRESS:").count(), 7, "{text}");
    assert_eq!(heard.redacted.get(), 7);
}

#[test]
fn what_a_client_writes_behind_a_server_s_name_is_redacted() {
    for tool in ["mod__AKIAIOSFODNN7EXAMPLE", "mod__prompt__AKIAIOSFODNN7EXAMPLE", "mod__4111 1111 1111 1111"]
    {
        let heard = Heard::default();
        let mut out = Vec::new();
        let decision =
            DecisionEntry { tool: Raw::text(tool), ..fixture::decision("acme", Content::Redacted) };
        write_decision(&mut out, decision, &genesis("acme"), &heard);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("mod__") && !text.contains("AKIA") && !text.contains("4111"), "{text}");
        assert_eq!(heard.redacted.get(), 1);
    }
}

#[test]
fn a_panic_costs_the_text_and_nothing_else() {
    let heard = Heard::default();
    let bad = || Raw::lazy(Box::new(|| std::panic::panic_any("a redactor that fails")), 1);
    let mut out = Vec::new();
    let decision =
        DecisionEntry { tool: bad(), args: Some(bad()), ..fixture::decision("acme", Content::Redacted) };
    write_decision(&mut out, decision, &genesis("acme"), &heard);
    let line: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        (&line["tool"], &line["args"], &line["args_hmac"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(line["decision"], "deny");
    assert_eq!(heard.failed.get(), 2);
}

#[track_caller]
fn check_escaped(text: &str, expected: &str) {
    let mut out = Vec::new();
    write_string(&mut out, text);
    assert_eq!(String::from_utf8(out).unwrap(), format!("\"{expected}\""));
}

#[test]
fn what_could_forge_a_line_is_escaped() {
    check_escaped("a\r\nb\t\"\\", r#"a\r\nb\t\"\\"#);
    check_escaped("\u{1b}[31m\u{0}\u{7f}\u{9b}", r"\u001b[31m\u0000\u007f\u009b");
    check_escaped(
        "\u{2028}\u{2029}\u{202e}\u{2066}\u{200f}\u{61c}\u{feff}",
        r"\u2028\u2029\u202e\u2066\u200f\u061c\ufeff",
    );
    check_escaped("ärger € 中 😀 ا", "ärger € 中 😀 ا");
    let mut out = Vec::new();
    write_document(&mut out, "{ \"a\\\\\" :\r\n[ \"x y\u{2028}\\\"\" ] }");
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"a\\":["x y\u2028\""]}"#);
}

#[track_caller]
fn check_decimal(value: u64, places: u32, expected: &str) {
    let mut out = Vec::new();
    member_decimal(&mut out, "n", Some((value, places)));
    assert_eq!(String::from_utf8(out).unwrap(), format!(",\"n\":{expected}"));
}

#[test]
fn decimals_are_exact() {
    check_decimal(0, 6, "0");
    check_decimal(1, 6, "0.000001");
    check_decimal(1_500_000, 6, "1.5");
    check_decimal(20_000_000, 6, "20");
    check_decimal(200, 0, "200");
    check_decimal(u64::MAX, 3, "18446744073709551.615");
}

#[test]
fn a_cut_never_splits_a_placeholder() {
    let placeholder = "[EMAIL_ADDRESS:abcdefgh]";
    for lead in 0..160 {
        let text = format!("{}{placeholder}{}", "x".repeat(lead), "é".repeat(80));
        let mut out = Vec::new();
        write_cut(&mut out, &text, 60);
        let Value::String(cut) = serde_json::from_slice(&out).unwrap() else { panic!("no string") };
        let (head, rest) = cut.split_once(" [cut: ").unwrap();
        let (left_out, tail) = rest.split_once(" bytes] ").unwrap();
        assert!(text.starts_with(head) && text.ends_with(tail) && head.len() <= 30 && tail.len() <= 30);
        assert_eq!(left_out.parse::<usize>().unwrap(), text.len() - head.len() - tail.len());
        for part in [head, tail] {
            assert_eq!(part.contains('['), part.contains(']'), "{part}");
            assert_eq!(part.contains('['), part.contains(placeholder), "{part}");
        }
    }
}

#[test]
fn long_texts_lose_their_middle_and_json_among_them_becomes_a_string() {
    let long = format!("[\"{}\"]", "y".repeat(TEXT_BYTES_MAX));
    let entry = RequestEntry {
        completion: Some(Raw::json(long)),
        ..fixture::request("acme", Content::Redacted, &format!("{}now", "x".repeat(TEXT_BYTES_MAX + 5)))
    };
    let line: Value = serde_json::from_str(&request_line(entry)).unwrap();
    let prompt = line["prompt"].as_str().unwrap();
    assert!(prompt.contains("x [cut: 8 bytes] x") && prompt.ends_with("now"), "{prompt}");
    assert!(line["completion"].as_str().unwrap().contains("y [cut: 4 bytes] y"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn nothing_shows_where_a_long_text_is_cut(kind in 0..3_usize, place in 0..200_000_usize, length in 100_000..200_000_usize, dense in any::<bool>()) {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n".repeat(60));
        let secret = ["jane.doe@corp-example.com", "4111 1111 1111 1111", pem.as_str()][kind];
        let filler = if dense { "mail a@corp-example.org now, " } else { "the harbour was rebuilt after the storm, " };
        let mut text = filler.repeat(length / filler.len());
        // Between two of the filler's addresses: half of one would be none.
        let place = place.min(text.len()) / filler.len() * filler.len();
        text.insert_str(place, &format!(" {secret} "));
        let line = request_line(fixture::request("acme", Content::Redacted, &text));
        prop_assert!(line.len() < TEXT_BYTES_MAX * 2);
        for part in ["jane.doe", "4111 1111", "MIIEvQIBADANBgkqhki", "a@corp"] {
            prop_assert!(!line.contains(part), "{part}");
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from("\u{2028}\u{202e}\n\" \\")),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_stays_one_line_and_reads_back(text: String) {
        let mut out = Vec::new();
        write_string(&mut out, &text);
        let written = std::str::from_utf8(&out).unwrap();
        prop_assert_eq!(written.chars().find(|c| is_unsafe(*c)), None);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn any_document_stays_one_line_and_reads_back(document in json()) {
        let mut out = Vec::new();
        write_document(&mut out, &serde_json::to_string_pretty(&document).unwrap());
        let written = std::str::from_utf8(&out).unwrap();
        prop_assert_eq!(written.chars().find(|c| is_unsafe(*c)), None);
        prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), document);
    }

    #[test]
    fn times_before_1970_and_far_away_are_written(seconds: u32) {
        let entry = RequestEntry {
            time: UNIX_EPOCH - Duration::from_secs(u64::from(seconds)),
            ..fixture::request("acme", Content::None, "")
        };
        let line = request_line(entry);
        prop_assert_eq!(line.split('"').nth(3), Some("1970-01-01T00:00:00.000Z"));
    }
}
