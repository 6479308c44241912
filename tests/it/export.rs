//! Logs exported over OTLP: what a store gets, and that one which is slow, full or gone costs no request anything.

use crate::{
    collector::{Collector, SILENT},
    support::{ACME, GLOBEX, Gateway, TENANTS, chat, tools},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

fn gateway(collector: &Collector, more: &str) -> Gateway {
    let telemetry = format!(
        "telemetry: {{ otlp: \"http://127.0.0.1:{}/base\", logs: true, traces: false{more} }}\n",
        collector.port
    );
    Gateway::with(TENANTS, &telemetry)
}

fn ask(gateway: &Gateway, count: usize) -> Duration {
    let started = Instant::now();
    for _ in 0..count {
        let answer =
            gateway.chat(ACME, &chat("write to jane.doe@example.com", &tools(&["get_x", "delete_x"])));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    started.elapsed()
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    let metrics = gateway.admin_get("/metrics").body;
    let samples = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_store_gets_the_lines_as_they_are_written_each_tenants_as_its_own() {
    let collector = Collector::start();
    let mut gateway = gateway(&collector, ", headers: { x-scope: s3cret-of-a-store }");
    ask(&gateway, 2);
    gateway.chat(GLOBEX, &chat("hi", ""));
    // What is left goes out at the end.
    gateway.stop();
    assert!(!gateway.stderr().contains("s3cret-of-a-store"));
    let heads = collector.heads();
    assert!(heads[0].starts_with("POST /base/v1/logs HTTP/1.1"), "{heads:?}");
    assert!(
        heads[0].contains("application/x-protobuf") && heads[0].contains("x-scope: s3cret-of-a-store"),
        "{heads:?}"
    );
    let mut written: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for tenant in ["acme", "globex"] {
        for (kind, event) in [("audit", "tollgate.decision"), ("log", "tollgate.request")] {
            let dir = gateway.dir.path().join("data").join(kind).join(tenant);
            for file in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let text = crate::support::wellbeing::text_of(&file.path());
                let lines = text.lines().map(str::to_owned);
                written.entry((tenant.to_owned(), event.to_owned())).or_default().extend(lines);
            }
        }
    }
    let mut exported: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for record in collector.records() {
        assert_eq!(record.resource["service.name"], "tollgate");
        let line: serde_json::Value = serde_json::from_str(&record.body).unwrap();
        assert_eq!(line["tenant"], record.tenant.as_str());
        for (name, value) in record.attributes.as_object().unwrap() {
            assert_eq!(value.as_f64(), line[name].as_f64(), "{name}");
            assert!(!["prompt", "completion", "args"].contains(&name.as_str()));
        }
        let is_denied = line["decision"] == "deny";
        assert_eq!(record.severity == "WARN", is_denied, "{record:?}");
        exported.entry((record.tenant, record.event)).or_default().push(record.body);
    }
    assert_eq!(exported, written);
    assert!(exported[&("acme".to_owned(), "tollgate.decision".to_owned())].len() >= 3, "{exported:?}");
}

#[test]
fn nothing_is_exported_unless_it_is_asked_for() {
    let collector = Collector::start();
    let mut gateway = Gateway::with(
        TENANTS,
        &format!("telemetry: {{ otlp: \"http://127.0.0.1:{}\", traces: false }}\n", collector.port),
    );
    ask(&gateway, 1);
    gateway.stop();
    assert_eq!(collector.tries(), 0);
}

#[test]
fn a_store_that_is_full_is_tried_again_and_loses_nothing() {
    let collector = Collector::start();
    collector.says(503);
    let mut gateway = gateway(&collector, "");
    ask(&gateway, 1);
    gateway.wait("a try", |_| collector.tries() >= 2);
    collector.says(200);
    gateway.wait("the records", |_| collector.records().len() >= 3);
    gateway.stop();
    let told = gateway.stderr();
    assert!(told.contains("logs cannot be exported to 127.0.0.1: it answered with 503"), "{told}");
    assert!(told.contains("logs are exported to 127.0.0.1 again"), "{told}");
}

#[test]
fn what_a_store_refuses_is_dropped_and_counted_by_tenant() {
    let collector = Collector::start();
    collector.says(400);
    let gateway = gateway(&collector, "");
    ask(&gateway, 1);
    let name = "tollgate_otlp_dropped_log_records_total";
    gateway.wait("the count", |gateway| metric(gateway, name) >= 3);
    let metrics = gateway.admin_get("/metrics").body;
    assert!(metrics.contains(&format!("{name}{{tenant=\"acme\",reason=\"refused\"}}")), "{metrics}");
    assert_eq!(metric(&gateway, "tollgate_otlp_exported_log_records_total"), 0);
}

/// O10.
#[test]
fn o10_a_store_that_is_slow_or_gone_costs_no_request_anything_and_the_end_is_bounded() {
    let silent = Collector::start();
    silent.says(SILENT);
    let gone = silent.clone().at(1);
    for collector in [&silent, &gone] {
        let mut gateway = gateway(collector, "");
        // A long text each, so that the queue would be full of a few hundred.
        let long = "what was said ".repeat(4000);
        // None waits for the store: it takes nothing from the first to the last.
        for _ in 0..300 {
            assert_eq!(gateway.chat(ACME, &chat(&long, "")).status, 200);
        }
        let dropped = "tollgate_otlp_dropped_log_records_total";
        gateway.wait("a full queue", |gateway| metric(gateway, dropped) > 0);
        assert_eq!(metric(&gateway, "tollgate_otlp_exported_log_records_total"), 0);
        assert!(collector.port == 1 || collector.tries() > 0, "it was asked meanwhile");
        // What is recorded is, whatever becomes of its export.
        gateway.lines("log", "acme", 300);
        assert_eq!(gateway.admin_get("/readyz").status, 200);
        let started = Instant::now();
        gateway.stop();
        assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
        assert!(gateway.stderr().contains("could not be exported before the end"), "{}", gateway.stderr());
    }
}
