//! What was used: put into the ledger as requests end and calls are denied, told of by `GET /v1/usage`.

use super::{Body, Gateway, Visit, answer, reserve, visit::Summary};
use crate::{
    asked::End,
    clock,
    json::Value,
    ledger::{Charge, Counts, Filter, Row},
    operator,
    policy::Outcome,
    quota::{Budget, Quota, Warned},
    records::{DecisionEntry, RequestEntry, rfc3339},
    refusal::Refusal,
    usage::MicroUsd,
};
use http::Response;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A request that ended, as the ledger has it; None where the ledger could not take it.
pub(super) fn charge(
    gateway: &Gateway,
    summary: &Summary,
    entry: &RequestEntry,
    end: &End,
) -> Option<Counts> {
    let limited = matches!(
        end,
        End::Refused(
            Refusal::BudgetHeld
                | Refusal::BudgetSpent { .. }
                | Refusal::Concurrency { .. }
                | Refusal::ModelNotFound { .. }
                | Refusal::RateLimit { .. }
                | Refusal::TokenLimit { .. }
        )
    );
    let counts = Counts {
        requests: 1,
        input_tokens: entry.input_tokens.unwrap_or(0),
        output_tokens: entry.output_tokens.unwrap_or(0),
        cost_micro_usd: entry.cost_micro_usd.unwrap_or(0),
        denied: u64::from(limited),
    };
    let ended = entry.time.checked_add(entry.latency).unwrap_or(entry.time);
    let redactor = &entry.journal.redactor;
    let name = |name: &str| -> Arc<str> { redactor.name(name).as_str().into() };
    let is_added = add(
        gateway,
        Charge {
            tenant: Arc::clone(&entry.journal.tenant),
            key: Arc::clone(&entry.key),
            model: summary.model.as_ref().map(|model| match model.asked() {
                // A name that no provider answered to could be anything.
                Some(asked) if entry.status < 400 => name(asked),
                Some(_) | None => model.declared(),
            }),
            tool: summary.tool.as_deref().map(name),
            time: clock::unix_seconds(ended),
            counts,
        },
    );
    is_added.then_some(counts)
}

/// A call that was denied, as the ledger has it.
pub(super) fn charge_denial(gateway: &Gateway, entry: &DecisionEntry) {
    if entry.decision != Outcome::Deny.as_str() || entry.mode != "enforce" {
        return;
    }
    add(
        gateway,
        Charge {
            tenant: Arc::clone(&entry.journal.tenant),
            key: Arc::clone(&entry.key),
            model: None,
            tool: entry.tool.redacted(&entry.journal.redactor).map(Into::into),
            time: clock::unix_seconds(entry.time),
            counts: Counts { denied: 1, ..Counts::default() },
        },
    );
}

fn add(gateway: &Gateway, charge: Charge) -> bool {
    gateway.telemetry.used(&charge.tenant, &charge.counts);
    let is_added = gateway.ledger.add(charge);
    if !is_added {
        gateway.telemetry.unrecorded();
    }
    is_added
}

/// Tells of budgets that are nearly spent: a metric, and once the tenant's webhook.
pub(super) fn warn(gateway: &Gateway, tenant: &Arc<str>, quota: &Quota) {
    for Warned { budget, percent } in quota.warned_now(reserve::now()) {
        gateway.telemetry.budget_warned(Arc::clone(tenant));
        operator::warn(&format!("the tenant {tenant} has spent {percent}% of its budget of {budget}"));
        let Some(webhook) = gateway.snapshot.load().webhooks.get(tenant).cloned() else { continue };
        let Ok(place) = Arc::clone(&gateway.webhooks).try_acquire_owned() else { continue };
        let data = Value::object([
            ("tenant", Value::string(tenant.to_string())),
            ("budget", Value::string(budget.to_string())),
            ("used_percent", Value::integer(percent)),
        ]);
        let body = Value::object([("type", Value::string("budget.warning")), ("data", data)]).to_string();
        let (id, tenant) = (format!("bud_{}", uuid::Uuid::now_v7().simple()), Arc::clone(tenant));
        let telling = async move {
            if let Err(failed) = webhook.tell(&id, clock::unix_seconds(clock::wall()), &body).await {
                operator::warn(&format!("the webhook of {tenant} was not told of its budget: {failed}"));
            }
            drop(place);
        };
        // A body may be dropped where there is no runtime any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(telling);
        }
    }
}

/// `GET /v1/usage`: the tenant's own figures, by key, model and tool; `?since=` is a date or a time.
pub(super) async fn respond(visit: &mut Visit, query: Option<&str>) -> Result<Response<Body>, Refusal> {
    visit.check_records().await?;
    let since = since(query)?;
    let gateway = Arc::clone(visit.gateway());
    let tenant = visit.asked()?.identity.tenant();
    let filter = Filter { tenant: Some(tenant.id.as_str().to_owned()), since };
    let budgets = tenant.quota.spending(reserve::now());
    let rows = tokio::task::spawn_blocking(move || gateway.ledger.rows(&filter)).await;
    let Ok(Ok(rows)) = rows else { return Err(Refusal::RecordsUnavailable) };
    let told = Value::object([
        ("object", Value::string("list")),
        ("data", Value::Array(rows.iter().map(Row::to_json).collect())),
        ("budgets", Value::Array(budgets.iter().map(spending).collect())),
    ]);
    answer::own(visit, told.to_string().into_bytes())
}

fn spending((budget, spent, start): &(Budget, MicroUsd, i64)) -> Value<'static> {
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(*start).unwrap_or(0));
    let usd = |micro: MicroUsd| {
        let text = micro.to_string();
        crate::json::parse(text.as_bytes(), 1).map_or(Value::Null, Value::into_owned)
    };
    Value::object([
        ("budget", Value::string(budget.to_string())),
        ("limit_usd", usd(budget.limit)),
        ("spent_usd", usd(*spent)),
        ("since", Value::string(rfc3339(since))),
    ])
}

fn since(query: Option<&str>) -> Result<Option<i64>, Refusal> {
    let mut since = None;
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let value = pair.strip_prefix("since=").filter(|_| since.is_none());
        let time = value.and_then(|value| {
            let value = value.replace("%3A", ":").replace("%3a", ":").replace("%2B", "+");
            crate::config::moment(&value, clock::unix_seconds(clock::wall()))
        });
        let wrong =
            "the only parameter is `since`: a date, a time with its zone, or how long ago, such as 7d";
        since = Some(time.ok_or_else(|| Refusal::invalid(wrong, Some("since")))?);
    }
    Ok(since)
}
