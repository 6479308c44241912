//! `/metrics` of the real binary: tenants come and go, upstreams die and return, counts go on over reloads.

use crate::support::{ACME, GLOBEX, Gateway, chat, with_digests};
use std::fs;

const ACME_FILE: &str = "tenant: acme\nkeys: [{ id: prod, sha256: @ACME@ }]\nmodels: [gpt-5, gpt-gone]\n";
const GLOBEX_FILE: &str =
    "tenant: globex\nkeys: [{ id: prod, sha256: @GLOBEX@ }]\nmodels: [gpt-5]\nbudget: 5 USD/day\n";

fn metrics(gateway: &Gateway) -> String {
    gateway.admin_get("/metrics").body
}

#[track_caller]
fn value(gateway: &Gateway, series: &str) -> f64 {
    let metrics = metrics(gateway);
    let mut found = metrics.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = found.next();
    assert!(value.is_some(), "{series} is not in\n{metrics}");
    value.unwrap().parse().unwrap()
}

#[test]
fn a_tenant_that_is_taken_out_takes_its_series_with_it_and_others_go_on_counting() {
    let gateway =
        Gateway::with_tenants_in(&[("tenants/acme.yaml", ACME_FILE), ("tenants/globex.yaml", GLOBEX_FILE)]);
    for key in [ACME, GLOBEX] {
        assert_eq!(gateway.chat(key, &chat("!usage 1000 100", "")).status, 200);
    }
    let budget = r#"tollgate_budget_spent_usd{tenant="globex",per="day"}"#;
    assert_eq!(value(&gateway, budget), 0.002);
    assert_eq!(value(&gateway, "tollgate_tenants"), 2.0);
    let (hash, acme) = (
        value(&gateway, "tollgate_config_hash"),
        r#"tollgate_requests_total{tenant="acme",model="gpt-5",upstream="mock",outcome="ok"}"#,
    );
    assert_eq!(value(&gateway, acme), 1.0);
    fs::remove_file(gateway.dir.path().join("tenants/globex.yaml")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    assert!(!metrics(&gateway).contains("globex"), "{}", metrics(&gateway));
    assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200);
    assert_eq!((value(&gateway, acme), value(&gateway, "tollgate_tenants")), (2.0, 1.0));
    assert_ne!(value(&gateway, "tollgate_config_hash"), hash);
}

#[test]
fn an_upstream_is_down_after_five_failures_over_reloads_too_and_up_with_an_answer() {
    let gateway = Gateway::with_tenants_in(&[("tenants/acme.yaml", ACME_FILE)]);
    let gone = chat("hi", "").replace("gpt-5", "gpt-gone");
    let up = |name: &str| value(&gateway, &format!(r#"tollgate_upstream_up{{upstream="{name}"}}"#));
    for number in 0..5 {
        assert_eq!(up("gone"), 1.0, "after {number}");
        assert_eq!(gateway.chat(ACME, &gone).status, 502);
        if number == 2 {
            let file = gateway.dir.path().join("tenants/acme.yaml");
            fs::write(file, with_digests(ACME_FILE) + "labels: { plan: pro }\n").unwrap();
            assert_eq!(gateway.reload().status, 200);
        }
    }
    assert_eq!((up("gone"), up("mock")), (0.0, 1.0));
    let tries = |outcome: &str| {
        value(&gateway, &format!(r#"tollgate_upstream_tries_total{{upstream="gone",outcome="{outcome}"}}"#))
    };
    assert_eq!((tries("unreachable"), tries("answered")), (5.0, 0.0));
    // What a provider says no to is an answer.
    for directive in ["!status 400", "!status 429"] {
        gateway.chat(ACME, &chat(directive, ""));
    }
    assert_eq!(up("mock"), 1.0);
}

#[test]
fn a_secret_in_a_file_is_read_again_when_it_is_replaced() {
    let gateway = Gateway::with_all(
        "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [kept]\n",
        &|mock| {
            format!(
                "  secret: {{ kind: openai, url: \"http://127.0.0.1:{mock}/v1\", auth: {{ bearer: {{ file: secrets/key }} }} }}\n"
            )
        },
        "  kept: { upstream: secret }\n",
        &[("secrets/key", "sk-first")],
    );
    let ask = || gateway.chat(ACME, &chat("hi", "").replace("gpt-5", "kept"));
    let shown = |secret: &str| {
        let seen = gateway.seen();
        seen.as_array().unwrap().last().unwrap()["headers"].to_string().contains(secret)
    };
    assert_eq!(ask().status, 200);
    assert!(shown("Bearer sk-first"), "{}", gateway.seen());
    fs::write(gateway.dir.path().join("secrets/key"), "sk-second").unwrap();
    gateway.wait("the new secret", |_| ask().status == 200 && shown("Bearer sk-second"));
}
