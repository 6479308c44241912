//! Answers that are kept for a tenant: what is asked once more reaches no provider and costs nothing.

use crate::support::{ACME, GLOBEX, Gateway, chat, tools};

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: ["gpt-*"]
    cache: 5m
    budget: 1 USD/day
    tools: [{ allow: "get_*", limit: 1/day }]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: ["gpt-*"]
    cache: 5m
"#;

fn asked_of_the_provider(gateway: &Gateway) -> usize {
    gateway.seen().as_array().map_or(0, Vec::len)
}

#[test]
fn what_is_asked_again_is_answered_without_the_provider_and_for_nothing() {
    let gateway = Gateway::with(TENANTS, "");
    let hit = |answer: &crate::support::Answer| answer.header("x-tollgate-cache").is_some();
    let once = asked_of_the_provider(&gateway);
    for (number, more) in ["", r#","stream":true"#].into_iter().enumerate() {
        let body = chat("!say kept", more);
        let first = gateway.chat(ACME, &body);
        assert!(first.status == 200 && !hit(&first), "{first:?}");
        let second = gateway.chat(ACME, &body);
        assert!(second.status == 200 && hit(&second), "{second:?}");
        assert_eq!(first.body, second.body);
        assert_eq!(asked_of_the_provider(&gateway), once + 2 * number + 1);
        // Another tenant's is another, and so is what is asked otherwise.
        assert!(!hit(&gateway.chat(GLOBEX, &body)));
        assert_eq!(asked_of_the_provider(&gateway), once + 2 * number + 2);
    }
    assert!(!hit(&gateway.chat(ACME, &chat("!say kept", r#","temperature":1"#))));
    let mut lines = gateway.lines("log", "acme", 5);
    lines.sort_by_key(|line| line["time"].to_string());
    let used = |line: &serde_json::Value| (line["input_tokens"].as_u64(), line["output_tokens"].as_u64());
    assert!(used(&lines[0]).0 > Some(0) && lines[1]["completion"] == lines[0]["completion"], "{lines:?}");
    assert_eq!((used(&lines[1]), used(&lines[3])), ((Some(0), Some(0)), (Some(0), Some(0))), "{lines:?}");
    let metrics = gateway.admin_get("/metrics").body;
    assert!(metrics.contains(r#"tollgate_cached_answers_total{tenant="acme"} 2"#), "{metrics}");
    let status = gateway.chat(ACME, &chat("!status 500", "")).status;
    assert_eq!(
        (status, gateway.chat(ACME, &chat("!status 500", "")).header("x-tollgate-cache")),
        (502, None)
    );
}

/// Rules and limits decide anew on what was kept: it is the provider's answer that is, not the gateway's.
#[test]
fn what_was_kept_is_decided_on_again() {
    let gateway = Gateway::with(TENANTS, "");
    let body = chat("!call get_it {}", &tools(&["get_it"]));
    let (first, second) = (gateway.chat(ACME, &body), gateway.chat(ACME, &body));
    assert!(first.body.contains("tool_calls") && first.body.contains("get_it"), "{first:?}");
    assert_eq!(second.header("x-tollgate-cache"), Some("hit"));
    assert!(second.body.contains("its limit of") && !second.body.contains("\"tool_calls\":[{"), "{second:?}");
}
