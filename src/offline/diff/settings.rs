//! Limits, budgets and whatever else a tenant's file sets, and what upstreams are.

use super::{Direction, Kind, Note, Side, tools::rate};
use crate::{
    config::{
        At, raw,
        values::{Budget, MoneyPer, Rate},
    },
    offline::Configuration,
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

/// A setting as it is shown and, where it is an amount, how much that is: what counts first, then what decides a tie.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    shown: String,
    amount: Option<[u128; 2]>,
}

type Settings = BTreeMap<String, Setting>;

/// Settings of a tenant that are not the same.
pub(super) fn compare(tenant: &str, sides: [Side<'_>; 2]) -> Vec<Note> {
    let [old, new] = sides.map(settings);
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut notes: Vec<Note> =
        names.into_iter().filter_map(|name| note(tenant, name, old.get(name), new.get(name))).collect();
    let [was, now] = sides.map(|side| side.setting(|settings| settings.approvals.as_ref()?.webhook.as_ref()));
    if was.map(|at| &at.value) != now.map(|at| &at.value) {
        let text = format!("{tenant}: approvals.webhook is another");
        notes.push(Note::new(Kind::Setting, "approvals.webhook", Direction::Changes, text));
    }
    notes
}

fn note(tenant: &str, name: &str, was: Option<&Setting>, now: Option<&Setting>) -> Option<Note> {
    let is_limit = |setting: &Setting| setting.amount.is_some();
    let (direction, text) = match (was, now) {
        (None, Some(now)) => {
            let direction = if is_limit(now) { Direction::Loses } else { Direction::Changes };
            (direction, format!("is {} now, was not set", now.shown))
        }
        (Some(was), None) => {
            let direction = if is_limit(was) { Direction::Gains } else { Direction::Changes };
            (direction, format!("is removed; it was {}", was.shown))
        }
        (Some(was), Some(now)) if was != now => {
            let [was_shown, now_shown] = [&was.shown, &now.shown];
            match was.amount.zip(now.amount).map(|(was, now)| now.cmp(&was)) {
                Some(Ordering::Greater) => {
                    (Direction::Gains, format!("is raised to {now_shown}, was {was_shown}"))
                }
                Some(Ordering::Less) => {
                    (Direction::Loses, format!("is lowered to {now_shown}, was {was_shown}"))
                }
                Some(Ordering::Equal) | None => {
                    (Direction::Changes, format!("is {now_shown} now, was {was_shown}"))
                }
            }
        }
        _ => return None,
    };
    let text = format!("{tenant}: {name} {text}");
    let shown = |setting: Option<&Setting>| setting.map(|setting| setting.shown.clone());
    Some(Note::new(Kind::Setting, name, direction, text).values(shown(was), shown(now)))
}

/// All settings of a tenant as they hold, with the defaults.
fn settings(side: Side<'_>) -> Settings {
    let mut found = Settings::new();
    let mut add = |name: String, setting: Option<Setting>| {
        found.extend(setting.map(|setting| (name, setting)));
    };
    let word = |shown: &str| Some(Setting { shown: shown.to_owned(), amount: None });
    let limit = |pick: fn(&raw::TenantLimits) -> Option<&At<Rate>>| {
        side.setting(|settings| settings.limits.as_ref().and_then(pick)).map(|at| of_rate(at.value))
    };
    let count = |pick: fn(&raw::TenantLimits) -> Option<&At<u64>>| {
        side.setting(|settings| settings.limits.as_ref().and_then(pick)).map(|at| of_count(at.value))
    };
    add("limits.requests".to_owned(), limit(|limits| limits.requests.as_ref()));
    add("limits.tokens".to_owned(), limit(|limits| limits.tokens.as_ref()));
    add("limits.concurrency".to_owned(), count(|limits| limits.concurrency.as_ref()));
    add("limits.output_estimate".to_owned(), count(|limits| limits.output_estimate.as_ref()));
    add(
        "budget".to_owned(),
        side.setting(|settings| settings.budget.as_ref()).map(|at| of_budget(&at.value)),
    );
    let weight = side.setting(|settings| settings.weight.as_ref()).map_or(1, |at| at.value);
    add("weight".to_owned(), Some(of_count(weight)));
    let on_deny = side.setting(|settings| settings.on_deny.as_ref());
    add("on_deny".to_owned(), word(on_deny.map_or("notice", |at| at.value.as_str())));
    let extends = side.setting(|settings| settings.extends.as_ref());
    add("extends".to_owned(), extends.and_then(|at| word(&at.value)));
    for (model, limits) in
        side.setting(|settings| settings.model_limits.as_ref()).iter().flat_map(|all| &all.0)
    {
        let model = &model.value;
        add(format!("model_limits.{model}.requests"), limits.requests.as_ref().map(|at| of_rate(at.value)));
        add(format!("model_limits.{model}.tokens"), limits.tokens.as_ref().map(|at| of_rate(at.value)));
        let concurrency = limits.concurrency.as_ref().map(|at| of_count(at.value));
        add(format!("model_limits.{model}.concurrency"), concurrency);
    }
    for (label, value) in side.setting(|settings| settings.labels.as_ref()).iter().flat_map(|all| &all.0) {
        add(format!("labels.{}", label.value), word(&value.value.to_string()));
    }
    records(side, &mut found);
    found
}

/// What is redacted, and what records hold.
fn records(side: Side<'_>, found: &mut Settings) {
    let mut add = |name: String, shown: &str| {
        found.insert(name, Setting { shown: shown.to_owned(), amount: None });
    };
    let detectors = side.setting(|settings| settings.redact.as_ref()?.detectors.as_ref());
    let detectors = match detectors {
        None | Some(raw::Detectors::All) => "all".to_owned(),
        Some(raw::Detectors::List(names)) => {
            let mut names: Vec<&str> = names.iter().map(|at| at.value.as_str()).collect();
            names.sort_unstable();
            if names.is_empty() { "credentials alone".to_owned() } else { names.join(", ") }
        }
    };
    add("redact.detectors".to_owned(), &detectors);
    let patterns = side.setting(|settings| settings.redact.as_ref()?.patterns.as_ref());
    for (name, pattern) in patterns.iter().flat_map(|patterns| &patterns.0) {
        add(format!("redact.patterns.{}", name.value), &pattern.value);
    }
    let wire = side.setting(|settings| settings.redact.as_ref()?.wire.as_ref());
    add("redact.wire".to_owned(), wire.map_or("off", |at| at.value.as_str()));
    let everyone = side.configuration.loaded.gateway.as_ref();
    let everyone = everyone.and_then(|gateway| gateway.records.as_ref()?.content.as_ref());
    let content = side.setting(|settings| settings.records.as_ref()?.content.as_ref()).or(everyone);
    add("records.content".to_owned(), content.map_or("redacted", |at| at.value.as_str()));
}

fn of_rate(value: Rate) -> Setting {
    let per_day = u128::from(value.count.get()) * 86_400 / u128::from(value.per.duration().as_secs().max(1));
    let burst = u128::from(value.burst.unwrap_or(value.count).get());
    Setting { shown: rate(value), amount: Some([per_day, burst]) }
}

fn of_count(count: u64) -> Setting {
    Setting { shown: count.to_string(), amount: Some([u128::from(count), 0]) }
}

fn of_budget(budget: &Budget) -> Setting {
    let (unit, per_month) = match budget.per {
        MoneyPer::Hour => ("hour", 30 * 24),
        MoneyPer::Day => ("day", 30),
        MoneyPer::Month => ("month", 1),
    };
    let (whole, micros) = (budget.micro_usd / 1_000_000, budget.micro_usd % 1_000_000);
    let decimals = format!(".{micros:06}");
    let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
    let zone = budget.zone.as_ref().map(|zone| format!(", {zone}")).unwrap_or_default();
    let shown = format!("{whole}{decimals} USD/{unit}{zone}");
    Setting { shown, amount: Some([u128::from(budget.micro_usd) * per_month, 0]) }
}

/// Upstreams of both configurations that are other servers, or kept apart otherwise.
pub(super) fn upstreams(old: &Configuration, new: &Configuration) -> Vec<Note> {
    let [old, new] = [old, new].map(|configuration| {
        let gateway = configuration.loaded.gateway.as_ref();
        let all = gateway.iter().flat_map(|gateway| &gateway.upstreams.0);
        all.map(|(name, upstream)| (name.value.as_str(), about(upstream))).collect::<BTreeMap<_, _>>()
    });
    let mut notes = Vec::new();
    for (name, was) in &old {
        let Some(now) = new.get(name) else { continue };
        for (key, was) in was {
            let now = now.get(key).cloned().unwrap_or_default();
            if *was == now {
                continue;
            }
            let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
            let text = format!("the upstream {name}: {key} is {} now, was {}", shown(&now), shown(was));
            let note = Note::new(Kind::Upstream, name, Direction::Changes, text);
            notes.push(note.values(Some(was.clone()), Some(now)));
        }
    }
    notes
}

/// What matters to tenants of an upstream. No credential is among it, and of a URL nothing that could hold one.
fn about(upstream: &raw::Upstream) -> BTreeMap<&'static str, String> {
    let mut urls: Vec<&str> =
        upstream.url.iter().chain(&upstream.urls).map(|at| without_credentials(&at.value)).collect();
    urls.sort_unstable();
    let operations: Vec<String> =
        upstream.operations.0.iter().map(|(name, at)| format!("{}: {}", name.value, at.value)).collect();
    BTreeMap::from([
        ("kind", upstream.kind.value.as_str().to_owned()),
        ("url", urls.join(", ")),
        ("tenant_field", upstream.tenant_field.as_ref().map(|at| at.value.clone()).unwrap_or_default()),
        ("pin", upstream.pin.as_ref().map_or("off", |at| at.value.as_str()).to_owned()),
        ("operations", operations.join(", ")),
    ])
}

/// A URL up to its query; one with a user in it is not shown.
fn without_credentials(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = url.get(..end).unwrap_or_default();
    if url.contains('@') { "a URL with credentials" } else { url }
}
