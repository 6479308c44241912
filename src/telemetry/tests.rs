//! What holds of all metrics: nobody makes series up, what was used is told to the last micro-dollar, tenants that are
//! gone leave nothing behind.

use super::{BudgetStanding, Finished, Standing, Telemetry, UpstreamStanding};
use crate::{
    asked::{AskedModel, End},
    ledger::Counts,
    quota::Per,
    refusal::Refusal,
    usage::MicroUsd,
};
use std::{sync::Arc, time::Duration};

fn declared(name: &str, asked: Option<&str>) -> AskedModel {
    AskedModel::Declared { name: name.into(), asked: asked.map(Into::into), price: None }
}

fn request<'f>(tenant: &str, model: Option<&'f AskedModel>, end: &'f End, charged: Counts) -> Finished<'f> {
    Finished {
        tenant: tenant.into(),
        model,
        upstream: Some("openai".into()),
        end,
        duration: Duration::from_millis(20),
        ttft: Some(Duration::from_millis(10)),
        queued: Some(Duration::from_millis(3)),
        overhead: Duration::from_micros(40),
        charged: Some(charged),
        is_estimate: true,
    }
}

fn used(micro_usd: u64) -> Counts {
    Counts { requests: 1, input_tokens: 10, output_tokens: 5, cost_micro_usd: micro_usd, denied: 0 }
}

fn samples(rendered: &str) -> Vec<&str> {
    rendered.lines().filter(|line| !line.starts_with('#')).collect()
}

#[track_caller]
fn value(rendered: &str, series: &str) -> String {
    let mut found = rendered.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = found.next().unwrap_or_else(|| panic!("{series} is not in\n{rendered}"));
    assert_eq!(found.next(), None, "{series} is there twice");
    value.to_owned()
}

#[test]
fn a_hundred_thousand_hostile_names_of_models_add_no_series() {
    let telemetry = Telemetry::default();
    let complete = End::Complete;
    let not_found = End::Refused(Refusal::ModelNotFound { model: "x".into() });
    let ask = |made_up: &str| {
        telemetry.finished(request("acme", Some(&AskedModel::Unknown(made_up.into())), &not_found, used(0)));
        telemetry.finished(request("acme", Some(&declared("gpt-*", Some(made_up))), &complete, used(1)));
    };
    ask("first");
    let before = telemetry.render();
    for number in 0..100_000 {
        ask(&format!("gpt-\"}}\n# HELP x y\nx{{a=\"{number}\\"));
    }
    let after = telemetry.render();
    assert_eq!(samples(&after).len(), samples(&before).len());
    assert!(!after.contains("99999") && !after.contains("HELP x"), "{after}");
    let labels = r#"{tenant="acme",model="other",upstream="openai",outcome="model_not_found"}"#;
    assert_eq!(value(&after, &format!("tollgate_requests_total{labels}")), "100001");
}

#[test]
fn cost_is_told_to_the_last_micro_dollar_whatever_came_before() {
    let telemetry = Telemetry::default();
    let (model, end) = (declared("gpt-5", None), End::Complete);
    // A tenth of a cent, and a seventh: sums of doubles would drift.
    let costs = [1_000, 142, 857, 1, 999_999_999];
    let mut sum = 0;
    for round in 0..30_000 {
        let cost = costs[round % costs.len()];
        sum += cost;
        telemetry.finished(request("acme", Some(&model), &end, used(cost)));
    }
    let rendered = telemetry.render();
    let labels = r#"{tenant="acme",model="gpt-5",upstream="openai"}"#;
    let told: f64 = value(&rendered, &format!("tollgate_cost_usd_total{labels}")).parse().unwrap();
    assert_eq!(format!("{told:.6}"), format!("{}.{:06}", sum / 1_000_000, sum % 1_000_000));
    let labels = r#"{tenant="acme",model="gpt-5",upstream="openai",kind="input"}"#;
    assert_eq!(value(&rendered, &format!("tollgate_tokens_total{labels}")), "300000");
    let count = r#"tollgate_request_duration_seconds_count{model="gpt-5",upstream="openai"}"#;
    assert_eq!(value(&rendered, count), "30000");
}

#[test]
fn what_the_ledger_did_not_take_is_not_told_as_used() {
    let telemetry = Telemetry::default();
    let (model, end) = (declared("gpt-5", None), End::ClientGone);
    telemetry.finished(Finished { charged: None, ..request("acme", Some(&model), &end, used(7)) });
    let rendered = telemetry.render();
    assert!(
        !rendered.contains("\ntollgate_tokens_total{") && !rendered.contains("\ntollgate_cost_usd_total{")
    );
    assert!(rendered.contains(r#"outcome="client_gone"} 1"#));
}

#[test]
fn tenants_that_are_gone_leave_no_series() {
    let telemetry = Telemetry::default();
    let (model, end) = (declared("gpt-5", None), End::Complete);
    for tenant in ["acme", "globex"] {
        telemetry.finished(request(tenant, Some(&model), &end, used(3)));
        telemetry.rejected(tenant.into(), "requests");
        telemetry.budget_warned(tenant.into());
        telemetry.repeated_offers(tenant.into(), 2);
        telemetry.observer().redacted(tenant, "EMAIL_ADDRESS", 1);
    }
    let budgets = [("acme", Per::Day), ("globex", Per::Hour)].map(|(tenant, per)| BudgetStanding {
        tenant: tenant.into(),
        per,
        limit: MicroUsd(50_000_000),
        spent: MicroUsd(1_500_000),
    });
    let standing =
        Standing { budgets: budgets.into(), waiting: vec![("globex".into(), 2)], ..Standing::default() };
    telemetry.stand(standing);
    let rendered = telemetry.render();
    assert_eq!(value(&rendered, r#"tollgate_budget_spent_usd{tenant="acme",per="day"}"#), "1.5");
    assert_eq!(value(&rendered, r#"tollgate_budget_limit_usd{tenant="globex",per="hour"}"#), "50.0");
    let of = |rendered: &str, tenant: &str| rendered.matches(&format!("tenant=\"{tenant}\"")).count();
    let acme = of(&rendered, "acme");
    assert!(of(&rendered, "globex") >= acme, "{rendered}");
    telemetry.keep(&|tenant| tenant == "acme");
    telemetry.stand(Standing::default());
    let rendered = telemetry.render();
    assert_eq!((of(&rendered, "acme"), of(&rendered, "globex")), (acme - 2, 0), "{rendered}");
}

#[test]
fn an_upstream_s_tries_never_go_down_and_say_what_came_of_them() {
    let telemetry = Telemetry::default();
    let upstream = |is_up, failed| UpstreamStanding {
        name: "openai".into(),
        is_up,
        tries: vec![("answered", 3), ("failed", failed)],
    };
    for (is_up, failed) in [(true, 0), (false, 5)] {
        let config = "ffffffffffffabcdef".into();
        telemetry.stand(Standing { config, upstreams: vec![upstream(is_up, failed)], ..Standing::default() });
        let rendered = telemetry.render();
        let tries = r#"tollgate_upstream_tries_total{upstream="openai",outcome="failed"}"#;
        assert_eq!(value(&rendered, tries), failed.to_string());
        let up = r#"tollgate_upstream_up{upstream="openai"}"#;
        assert_eq!(value(&rendered, up), if is_up { "1" } else { "0" });
        assert_eq!(value(&rendered, "tollgate_config_hash"), "281474976710655");
    }
}

#[test]
fn threads_that_count_at_once_lose_nothing() {
    let telemetry = Arc::new(Telemetry::default());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let telemetry = Arc::clone(&telemetry);
            scope.spawn(move || {
                let (model, end) = (declared("gpt-5", None), End::Complete);
                for round in 0..2000 {
                    telemetry.started();
                    let tenant = format!("tenant-{}", (thread + round) % 3);
                    telemetry.finished(request(&tenant, Some(&model), &end, used(1)));
                    if round % 100 == 0 {
                        telemetry.render();
                    }
                }
            });
        }
    });
    let rendered = telemetry.render();
    let line = |tenant: usize| {
        let labels = format!(r#"tenant="tenant-{tenant}",model="gpt-5",upstream="openai",outcome="ok""#);
        value(&rendered, &format!("tollgate_requests_total{{{labels}}}")).parse::<u64>().unwrap()
    };
    assert_eq!((0..3).map(line).sum::<u64>(), 8000);
    assert_eq!(value(&rendered, "tollgate_in_flight"), "0");
    assert_eq!(value(&rendered, "tollgate_overhead_seconds_sum"), "0.32");
}
