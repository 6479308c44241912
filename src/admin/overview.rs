//! `GET /admin/tenants` and `/admin/series`: what each tenant does and used, at a glance and over time.

use super::{Failed, query::Query};
use crate::{
    clock, config,
    gateway::Gateway,
    json::{self, Value},
    ledger::{Counts, Filter},
    names::TenantId,
    quota::{Budget, Now},
    records::rfc3339,
    telemetry::{Glance, MINUTES, Minute},
    tenant::Tenant,
    usage::MicroUsd,
};
use http::StatusCode;
use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

pub(super) const TENANTS_PARAMETERS: [&str; 3] = ["tenant", "since", "limit"];
pub(super) const SERIES_PARAMETERS: [&str; 3] = ["tenant", "since", "step"];
/// So many tenants are told unless more are asked for.
const LIMIT: usize = 1000;
const LIMIT_MAX: usize = 10_000;
/// Minutes that a tenant's row shows.
const RECENT: i64 = 30;
const DAY_SECONDS: i64 = 86_400;

/// Now, by each of the clocks.
#[derive(Debug, Clone, Copy)]
struct Moment {
    quota: Now,
    minute: i64,
    /// Seconds of the minute that it is.
    into_minute: i64,
}

impl Moment {
    fn now() -> Self {
        let unix_s = clock::unix_seconds(clock::wall());
        let (minute, into_minute) = (unix_s.div_euclid(60), unix_s.rem_euclid(60));
        Self { quota: Now { instant: clock::now(), unix_s }, minute, into_minute }
    }
}

fn bad(message: impl Into<String>) -> Failed {
    (StatusCode::BAD_REQUEST, message.into())
}

fn unreadable<E>(_: E) -> Failed {
    (StatusCode::INTERNAL_SERVER_ERROR, "the ledger cannot be read".into())
}

/// A time that is asked for, else one so long ago.
fn since(query: &Query, now: i64, otherwise: i64) -> Result<i64, Failed> {
    let Some(text) = query.given("since") else { return Ok(now - otherwise) };
    let wrong = "`since` is a date, a time with its zone, or how long ago, such as 7d";
    config::moment(text, now).ok_or_else(|| bad(wrong))
}

/// Tenants with what they used since a time and what they do now: those that used most first. Reads the disk.
pub(super) fn tenants(gateway: &Gateway, query: &Query) -> Result<Value<'static>, Failed> {
    let now = Moment::now();
    let since = since(query, now.quota.unix_s, DAY_SECONDS)?;
    let limit = match query.given("limit").map(str::parse) {
        None => LIMIT,
        Some(Ok(limit @ 1..=LIMIT_MAX)) => limit,
        Some(_) => return Err(bad(format!("`limit` is a number from 1 to {LIMIT_MAX}"))),
    };
    let only = query.given("tenant");
    let snapshot = gateway.snapshot.load_full();
    let first_minute = now.minute - i64::try_from(MINUTES).unwrap_or(0) + 1;
    // The ledger knows hours; minutes of the last one are remembered, since the gateway started.
    let (since, totals) = if since > first_minute * 60 - 60 {
        (first_minute * 60, gateway.telemetry.glances.last_hour(now.minute))
    } else {
        (since.div_euclid(3600) * 3600, gateway.ledger.totals(since).map_err(unreadable)?)
    };
    let (waiting, queued) = (waiting(gateway), queued(gateway));
    let members = snapshot.directory.iter().filter(|member| !member.tenant().is_abstract);
    let members = members.filter(|member| only.is_none_or(|only| member.tenant().id.as_str() == only));
    let used = |tenant: &Tenant| totals.get(tenant.id.as_str()).copied().unwrap_or_default();
    let mut found: Vec<(&Tenant, usize, Counts)> =
        members.map(|member| (member.tenant(), member.keys().count(), used(member.tenant()))).collect();
    let in_flight: u64 = found.iter().map(|(tenant, ..)| u64::from(tenant.quota.in_flight())).sum();
    let mut sum = Counts::default();
    found.iter().for_each(|(.., counts)| sum.add(counts));
    found.sort_by(|(a, _, x), (b, _, y)| y.requests.cmp(&x.requests).then_with(|| a.id.cmp(&b.id)));
    let count = found.len();
    let rows = found.into_iter().take(limit).map(|(tenant, keys, counts)| {
        let name = tenant.id.as_str();
        let glance = gateway.telemetry.glances.of(name, now.minute);
        let mut row = counted(&counts);
        row.set("tenant", Value::string(name.to_owned()));
        row.set("keys", whole(keys));
        live(&mut row, &glance.unwrap_or_default(), now);
        row.set("in_flight", Value::integer(u64::from(tenant.quota.in_flight())));
        row.set("waiting", whole(waiting.get(name).copied().unwrap_or(0)));
        row.set("queued", whole(queued.get(name).copied().unwrap_or(0)));
        row.set("budgets", budgets(tenant, now.quota));
        row
    });
    let rows = Value::Array(rows.collect());
    let mut all = counted(&sum);
    live(&mut all, &gateway.telemetry.glances.all(now.minute), now);
    all.set("in_flight", Value::integer(in_flight));
    all.set("waiting", whole(waiting.values().sum()));
    all.set("queued", whole(queued.values().sum()));
    Ok(Value::object([
        ("time", time(now.quota.unix_s)),
        ("since", time(since)),
        ("count", whole(count)),
        ("all", all),
        ("tenants", rows),
    ]))
}

/// Requests, denials, tokens and cost over time, of one tenant or all: by minutes for the last hour, else by hours.
/// Steps in which nothing happened are left out. Reads the disk.
pub(super) fn series(gateway: &Gateway, query: &Query) -> Result<Value<'static>, Failed> {
    let now = Moment::now();
    let tenant = query.given("tenant");
    if let Some(Err(wrong)) = tenant.map(TenantId::try_from) {
        return Err(bad(format!("the tenant's name {wrong}")));
    }
    let (step, start, points): (u64, i64, Vec<Value<'static>>) = match query.given("step") {
        Some("minute") => {
            let glance = match tenant {
                Some(tenant) => gateway.telemetry.glances.of(tenant, now.minute).unwrap_or_default(),
                None => gateway.telemetry.glances.all(now.minute),
            };
            let start = (now.minute - i64::try_from(MINUTES).unwrap_or(0) + 1) * 60;
            (
                60,
                start,
                glance.minutes.iter().map(|minute| point(minute.minute * 60, &minute.counts())).collect(),
            )
        }
        None | Some("hour") => {
            let since = since(query, now.quota.unix_s, DAY_SECONDS)?;
            let start = since.max(now.quota.unix_s - 400 * DAY_SECONDS).div_euclid(3600) * 3600;
            let filter = Filter { tenant: tenant.map(ToOwned::to_owned), since: Some(start) };
            let hours = gateway.ledger.hours(&filter).map_err(unreadable)?;
            (3600, start, hours.iter().map(|(hour, counts)| point(*hour, counts)).collect())
        }
        Some(_) => return Err(bad("`step` is `minute` or `hour`")),
    };
    Ok(Value::object([
        ("time", time(now.quota.unix_s)),
        ("since", time(start)),
        ("step", Value::integer(step)),
        ("points", Value::Array(points)),
    ]))
}

/// How many calls wait for a person, by tenant.
fn waiting(gateway: &Gateway) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    for waiting in gateway.approvals.waiting(clock::unix_millis(clock::wall())) {
        *found.entry(waiting.call.tenant.to_string()).or_insert(0) += 1;
    }
    found
}

/// How many requests wait for their turn at an upstream, by tenant.
fn queued(gateway: &Gateway) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    for (tenant, count) in gateway.queues.standings().into_iter().flat_map(|standing| standing.waiting) {
        *found.entry(tenant.to_string()).or_insert(0) += count;
    }
    found
}

/// What somebody does now.
fn live(row: &mut Value<'static>, glance: &Glance, now: Moment) {
    row.set("total", counted(&glance.total));
    row.set("per_second", decimal(per_second(&glance.minutes, now)));
    row.set("p99_ms", glance.p99.map_or(Value::Null, |p99| decimal(p99.as_secs_f64() * 1e3)));
    let recent = (now.minute - RECENT + 1..=now.minute).map(|minute| {
        let found = glance.minutes.iter().find(|kept| kept.minute == minute);
        Value::integer(found.map_or(0, |found| u64::from(found.requests)))
    });
    row.set("recent", Value::Array(recent.collect()));
}

/// Requests a second over the last 60 seconds, as far as minutes tell: of the minute before, the part that is left.
fn per_second(minutes: &[Minute], now: Moment) -> f64 {
    let requests = |minute: i64| {
        let found = minutes.iter().find(|kept| kept.minute == minute);
        f64::from(found.map_or(0, |found| found.requests))
    };
    let left = f64::from(u8::try_from(60 - now.into_minute).unwrap_or(60)) / 60.0;
    (requests(now.minute) + requests(now.minute - 1) * left) / 60.0
}

fn budgets(tenant: &Tenant, now: Now) -> Value<'static> {
    let told = |(budget, spent, start): &(Budget, MicroUsd, i64)| {
        Value::object([
            ("budget", Value::string(budget.to_string())),
            ("limit_usd", usd(budget.limit)),
            ("spent_usd", usd(*spent)),
            ("since", time(*start)),
        ])
    };
    Value::Array(tenant.quota.spending(now).iter().map(told).collect())
}

fn counted(counts: &Counts) -> Value<'static> {
    Value::object([
        ("requests", Value::integer(counts.requests)),
        ("denied", Value::integer(counts.denied)),
        ("input_tokens", Value::integer(counts.input_tokens)),
        ("output_tokens", Value::integer(counts.output_tokens)),
        ("cost_usd", usd(MicroUsd(counts.cost_micro_usd))),
    ])
}

fn point(begins: i64, counts: &Counts) -> Value<'static> {
    Value::object([
        ("time", time(begins)),
        ("requests", Value::integer(counts.requests)),
        ("denied", Value::integer(counts.denied)),
        ("tokens", Value::integer(counts.input_tokens.saturating_add(counts.output_tokens))),
        ("cost_usd", usd(MicroUsd(counts.cost_micro_usd))),
    ])
}

fn whole(number: usize) -> Value<'static> {
    Value::integer(u64::try_from(number).unwrap_or(u64::MAX))
}

fn decimal(number: f64) -> Value<'static> {
    number_of(&format!("{number:.3}"))
}

fn usd(micro: MicroUsd) -> Value<'static> {
    number_of(&micro.to_string())
}

fn number_of(text: &str) -> Value<'static> {
    json::parse(text.as_bytes(), 1).map_or(Value::Null, Value::into_owned)
}

pub(super) fn time(unix_s: i64) -> Value<'static> {
    let since = Duration::from_secs(u64::try_from(unix_s).unwrap_or(0));
    Value::string(rfc3339(SystemTime::UNIX_EPOCH + since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let minutes = |a: u32, b: u32| {
            [(9, a), (10, b)].map(|(minute, requests)| Minute { minute, requests, ..Minute::default() })
        };
        let check = |minutes: &[Minute], into_minute: i64, expected: f64| {
            let quota = Now { instant: clock::now(), unix_s: 0 };
            let found = per_second(minutes, Moment { quota, minute: 10, into_minute });
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        };
        check(&minutes(60, 0), 0, 1.0);
        check(&minutes(60, 60), 59, 61.0 / 60.0);
        check(&minutes(120, 30), 30, 1.5);
        check(&[], 30, 0.0);
    }
}
