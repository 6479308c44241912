//! Limits, budgets and whatever else a tenant's file sets, and what upstreams are.

use super::{Direction, Kind, Note, Side, tools::rate};
use crate::{
    config::{
        lineage::{Detectors, Limits},
        raw,
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
    let [was, now] = sides.map(|side| side.effective().and_then(|effective| effective.webhook));
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

/// All settings of a tenant as they hold, with the defaults and what it extends.
#[expect(clippy::too_many_lines, reason = "a row of settings, one a line")]
fn settings(side: Side<'_>) -> Settings {
    let mut found = Settings::new();
    let Some(held) = side.held else { return found };
    let effective = &held.effective;
    let word = |shown: &str| Setting { shown: shown.to_owned(), amount: None };
    limits("limits", &effective.limits, &mut found);
    for (model, limited) in effective.model_limits.iter().flatten() {
        limits(&format!("model_limits.{}", model.value), limited, &mut found);
    }
    for key in &held.raw.keys {
        let Some(raw) = &key.limits else { continue };
        let own = Limits {
            requests: raw.requests,
            tokens: raw.tokens,
            concurrency: raw.concurrency,
            output_estimate: None,
        };
        limits(&format!("keys.{}.limits", key.id.value), &own, &mut found);
    }
    if let Some(warn) = effective.warn {
        found.insert("warn".to_owned(), word(&format!("{}%", warn.value.0)));
    }
    // Of several, one a day and one a month say, each counts.
    let budgets: BTreeMap<MoneyPer, &Budget> =
        effective.budgets.iter().rev().map(|at| (at.value.per, &at.value)).collect();
    for (at, budget) in budgets.values().enumerate() {
        let name = if at == 0 { "budget".to_owned() } else { format!("budget {}", at + 1) };
        found.insert(name, of_budget(budget));
    }
    found.insert("weight".to_owned(), of_count(effective.weight.map_or(1, |at| at.value)));
    let on_deny = effective.on_deny.map_or("notice", |at| at.value.as_str());
    found.insert("on_deny".to_owned(), word(on_deny));
    if let Some(extends) = &held.raw.settings.extends {
        found.insert("extends".to_owned(), word(&extends.value));
    }
    for (label, value) in effective.labels.iter().flatten() {
        found.insert(format!("labels.{label}"), word(&value.value.to_string()));
    }
    let detectors = match &effective.detectors {
        None | Some(Detectors::All) => "all".to_owned(),
        Some(Detectors::List(names)) => {
            let mut names: Vec<&str> = names.iter().map(|at| at.value.as_str()).collect();
            names.sort_unstable();
            if names.is_empty() { "credentials alone".to_owned() } else { names.join(", ") }
        }
    };
    found.insert("redact.detectors".to_owned(), word(&detectors));
    for (name, pattern) in effective.patterns.iter().flatten() {
        found.insert(format!("redact.patterns.{}", name.value), word(&pattern.value));
    }
    if let Some(allow) = &effective.allow {
        let mut allow: Vec<&str> = allow.iter().map(|at| at.value.as_str()).collect();
        allow.sort_unstable();
        found.insert("redact.allow".to_owned(), word(&allow.join(", ")));
    }
    if let Some(epoch) = effective.epoch {
        found.insert("redact.epoch".to_owned(), word(&epoch.value));
    }
    if let Some(analyzer) = effective.analyzer {
        found.insert("redact.analyzer.url".to_owned(), word(&analyzer.url.value));
    }
    found.insert("redact.wire".to_owned(), word(effective.wire.map_or("off", |at| at.value.as_str())));
    let everyone = side.configuration.loaded.gateway.as_ref();
    let everyone = everyone.and_then(|gateway| gateway.records.as_ref()?.content.as_ref());
    let content = effective.content.or(everyone).map_or("redacted", |at| at.value.as_str());
    found.insert("records.content".to_owned(), word(content));
    found
}

fn limits(name: &str, limits: &Limits, found: &mut Settings) {
    let all = [
        ("requests", limits.requests.map(|at| of_rate(at.value))),
        ("tokens", limits.tokens.map(|at| of_rate(at.value))),
        ("concurrency", limits.concurrency.map(|at| of_count(at.value))),
        ("output_estimate", limits.output_estimate.map(|at| of_count(at.value))),
    ];
    let set = all.into_iter().filter_map(|(key, setting)| Some((format!("{name}.{key}"), setting?)));
    found.extend(set);
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
        ("scope", upstream.scope.as_ref().map(|at| at.value.as_str().to_owned()).unwrap_or_default()),
        ("collections", upstream.collections.as_ref().map(|at| at.value.clone()).unwrap_or_default()),
        ("operations", operations.join(", ")),
    ])
}

/// A URL up to its query; one with a user in it is not shown.
fn without_credentials(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = url.get(..end).unwrap_or_default();
    if url.contains('@') { "a URL with credentials" } else { url }
}
