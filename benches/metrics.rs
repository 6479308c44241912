//! What a request costs in the metrics, and how fast all of them are written out. Goals: under 1 % of the CPU time of a
//! request (0.3 µs); 1,000 tenants in under 50 ms.

use divan::{Bencher, black_box, counter::ItemsCount};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tollgate::{
    asked::{AskedModel, End},
    ledger::Counts,
    quota::Per,
    refusal::Refusal,
    telemetry::{BudgetStanding, Finished, Standing, Telemetry},
    usage::MicroUsd,
};

/// The one that the gateway runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

const MODELS: usize = 8;

fn tenants(count: usize) -> Vec<Arc<str>> {
    (0..count).map(|number| format!("tenant-{number:05}").into()).collect()
}

fn models() -> Vec<AskedModel> {
    let name = |number| format!("model-{number}").into();
    (0..MODELS).map(|number| AskedModel::Declared { name: name(number), asked: None, price: None }).collect()
}

fn finish(telemetry: &Telemetry, tenant: &Arc<str>, model: &AskedModel, upstream: &Arc<str>, end: &End) {
    telemetry.started();
    telemetry.finished(Finished {
        tenant: Arc::clone(tenant),
        model: Some(model),
        upstream: Some(Arc::clone(upstream)),
        end,
        duration: Duration::from_millis(120),
        ttft: Some(Duration::from_millis(40)),
        queued: None,
        overhead: Duration::from_micros(30),
        charged: Some(Counts {
            requests: 1,
            input_tokens: 10,
            output_tokens: 20,
            cost_micro_usd: 7,
            denied: 0,
        }),
        is_estimate: false,
    });
}

/// One request after the other, of one or of many tenants.
#[divan::bench(args = [1, 1_000], sample_count = 50, sample_size = 10_000)]
fn a_request(bencher: Bencher<'_, '_>, tenants_count: usize) {
    let telemetry = Telemetry::default();
    let (tenants, models, upstream) = (tenants(tenants_count), models(), Arc::from("openai"));
    let turn = AtomicUsize::new(0);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let (tenant, model) = (tenants.get(turn % tenants.len()), models.get(turn % models.len()));
        if let (Some(tenant), Some(model)) = (tenant, model) {
            finish(black_box(&telemetry), tenant, model, &upstream, &End::Complete);
        }
    });
}

/// Everything written out: each tenant with all models, four outcomes and a budget.
#[divan::bench(args = [10, 1_000], sample_count = 20, sample_size = 1)]
fn written_out(bencher: Bencher<'_, '_>, tenants_count: usize) {
    let telemetry = Telemetry::default();
    let (tenants, models, upstream) = (tenants(tenants_count), models(), Arc::from("openai"));
    let spent = Refusal::BudgetSpent { budget: "50 USD/day".into(), renews_in: Duration::from_secs(60) };
    let ends = [End::Complete, End::ClientGone, End::Refused(Refusal::UpstreamTimeout), End::Refused(spent)];
    for tenant in &tenants {
        for model in &models {
            ends.iter().for_each(|end| finish(&telemetry, tenant, model, &upstream, end));
        }
        telemetry.rejected(Arc::clone(tenant), "requests");
        telemetry.repeated_offers(Arc::clone(tenant), 1);
        telemetry.observer().redacted(tenant, "EMAIL_ADDRESS", 1);
    }
    let budget = |tenant: &Arc<str>| BudgetStanding {
        tenant: Arc::clone(tenant),
        per: Per::Day,
        limit: MicroUsd(50_000_000),
        spent: MicroUsd(1_234_567),
    };
    let standing = Standing { budgets: tenants.iter().map(budget).collect(), ..Standing::default() };
    bencher.bench(|| {
        telemetry.stand(black_box(&standing).clone());
        telemetry.render()
    });
}
