//! A file over the one that it extends: the narrower of both holds, key by key. What the parent does not say narrows
//! nothing. Where the file asks for more than its parent, that is told as a warning.

use super::effective::{Detectors, Effective, Layer, Limits};
use crate::{
    config::{
        At, Mark, Problem, raw,
        values::{Budget, MoneyPer, Rate},
    },
    policy::glob::Glob,
    redact::Allow,
};

/// What holds for a file, and where it asks in vain for more than `name`, which it extends, has.
pub(super) fn narrow<'l>(
    parent: &Effective<'l>,
    own: &'l raw::Settings,
    is_abstract: bool,
    name: &str,
) -> (Effective<'l>, Vec<Problem>) {
    let mut narrower = Narrower { name, problems: Vec::new() };
    let mine = Effective::topmost(own, is_abstract);
    let depth = parent.depth + 1;
    // A chain has few files.
    let number = u8::try_from(parent.tools.len()).unwrap_or(u8::MAX);
    let layer = own.tools.as_deref().map(|rules| Layer { number, rules, shared: is_abstract });
    let effective = Effective {
        depth,
        tools: parent.tools.iter().copied().chain(layer).collect(),
        models: parent.models.iter().copied().chain(own.models.as_deref()).collect(),
        labels: narrower.labels(parent, mine.labels),
        on_deny: mine.on_deny.or(parent.on_deny),
        limits: narrower.limits("limits", &parent.limits, &mine.limits),
        model_limits: narrower.model_limits(parent.model_limits.as_deref(), mine.model_limits),
        budgets: narrower.budgets(&parent.budgets, own.budget.as_ref()),
        warn: mine.warn.or(parent.warn),
        detectors: match (&parent.detectors, mine.detectors) {
            (None, other) => other,
            (Some(other), None) => Some(other.clone()),
            (Some(Detectors::List(theirs)), Some(Detectors::List(mine))) => {
                Some(Detectors::List(theirs.iter().copied().chain(mine).collect()))
            }
            (Some(_), Some(_)) => Some(Detectors::All),
        },
        patterns: match (parent.patterns.clone(), mine.patterns) {
            (Some(mut patterns), Some(mine)) => {
                patterns.extend(mine);
                Some(patterns)
            }
            (theirs, mine) => mine.or(theirs),
        },
        wire: narrower.stricter("`redact.wire`", parent.wire, mine.wire),
        allow: narrower.allow(parent.allow.as_deref(), mine.allow),
        epoch: mine.epoch.or(parent.epoch),
        analyzer: narrower.analyzer(parent.analyzer, mine.analyzer),
        content: narrower.stricter("`records.content`", parent.content, mine.content),
        webhook: mine.webhook.or(parent.webhook),
        weight: mine.weight.or(parent.weight),
    };
    (effective, narrower.problems)
}

struct Narrower<'n> {
    name: &'n str,
    problems: Vec<Problem>,
}

type Labels<'l> = Option<Vec<(&'l str, &'l At<serde_json::Value>)>>;

impl Narrower<'_> {
    fn wider(&mut self, what: &str, at: Mark, parents: Mark) {
        let message = format!("{what} is wider than in `{}`, which this tenant extends", self.name);
        let problem = Problem::warning("wider-than-parent", at, message);
        self.problems.push(problem.see("its own is here", parents).hint("the narrower of both holds"));
    }

    /// Conditions read labels: what the parent says of its tenants stays true.
    fn labels<'l>(&mut self, parent: &Effective<'l>, mine: Labels<'l>) -> Labels<'l> {
        let Some(mut labels) = parent.labels.clone() else { return mine };
        for (name, value) in mine.into_iter().flatten() {
            match labels.iter().find(|(known, _)| *known == name) {
                None => labels.push((name, value)),
                Some((_, theirs)) if theirs.value == value.value => {}
                Some((_, theirs)) => {
                    let message = format!("the label `{name}` is set by `{}` already: it stays", self.name);
                    let problem = Problem::warning("label-of-parent", value.at, message);
                    self.problems.push(problem.see("it is set here", theirs.at));
                }
            }
        }
        Some(labels)
    }

    fn limits(&mut self, of: &str, parent: &Limits, mine: &Limits) -> Limits {
        Limits {
            requests: self.either(&format!("`{of}.requests`"), parent.requests, mine.requests, rate),
            tokens: self.either(&format!("`{of}.tokens`"), parent.tokens, mine.tokens, rate),
            concurrency: self.either(
                &format!("`{of}.concurrency`"),
                parent.concurrency,
                mine.concurrency,
                count,
            ),
            // More is reserved for an answer of unknown length, the earlier the limit is met.
            output_estimate: mine.output_estimate.or(parent.output_estimate),
        }
    }

    /// The limits of models of both. A model that a pattern of the parent's takes in is held by that as well.
    fn model_limits<'l>(
        &mut self,
        parent: Option<&[(&'l At<String>, Limits)]>,
        mine: Option<Vec<(&'l At<String>, Limits)>>,
    ) -> Option<Vec<(&'l At<String>, Limits)>> {
        let (Some(parent), Some(mine)) = (parent, &mine) else {
            return mine.or_else(|| parent.map(<[_]>::to_vec));
        };
        let mut all = Vec::with_capacity(parent.len() + mine.len());
        for (model, limits) in mine {
            let glob = Glob::new(&model.value);
            let above = parent.iter().filter(|(theirs, _)| Glob::new(&theirs.value).covers(&glob));
            let of = format!("model_limits.{}", model.value);
            all.push((*model, above.fold(*limits, |limits, (_, theirs)| self.limits(&of, theirs, &limits))));
        }
        let others =
            parent.iter().filter(|(theirs, _)| !mine.iter().any(|(own, _)| own.value == theirs.value));
        all.extend(others.copied());
        Some(all)
    }

    /// The budgets of both, but for those that cannot be exceeded before another is.
    fn budgets<'l>(
        &mut self,
        parent: &[&'l At<Budget>],
        mine: Option<&'l At<Budget>>,
    ) -> Vec<&'l At<Budget>> {
        let Some(mine) = mine else { return parent.to_vec() };
        let smaller = parent
            .iter()
            .find(|theirs| !is_within(&mine.value, &theirs.value) && is_within(&theirs.value, &mine.value));
        if let Some(smaller) = smaller {
            self.wider("`budget`", mine.at, smaller.at);
            return parent.to_vec();
        }
        let larger = |theirs: &&&At<Budget>| !is_within(&mine.value, &theirs.value);
        parent.iter().filter(larger).copied().chain([mine]).collect()
    }

    /// What is let through: of what the parent lets through, that which the file names, too.
    fn allow<'l>(
        &mut self,
        parent: Option<&[&'l At<String>]>,
        mine: Option<Vec<&'l At<String>>>,
    ) -> Option<Vec<&'l At<String>>> {
        let (Some(parent), Some(mine)) = (parent, &mine) else {
            return mine.or_else(|| parent.map(<[_]>::to_vec));
        };
        let theirs: Vec<Allow> = parent.iter().filter_map(|at| Allow::new(&at.value).ok()).collect();
        let mut kept = Vec::new();
        for entry in mine {
            // One that is no entry is told of where it is compiled.
            let covered =
                Allow::new(&entry.value).map_or(true, |own| theirs.iter().any(|of| of.covers(&own)));
            if covered {
                kept.push(*entry);
            } else {
                self.wider("`redact.allow`", entry.at, parent.first().map_or(entry.at, |at| at.at));
            }
        }
        Some(kept)
    }

    /// Who looks over the records: the parent's own, if it has one.
    fn analyzer<'l>(
        &mut self,
        parent: Option<&'l raw::Analyzer>,
        mine: Option<&'l raw::Analyzer>,
    ) -> Option<&'l raw::Analyzer> {
        let (Some(parent), Some(mine)) = (parent, mine) else { return mine.or(parent) };
        let message =
            format!("`{}`, which this tenant extends, has an analyzer already: it stays", self.name);
        let problem = Problem::warning("wider-than-parent", mine.url.at, message);
        self.problems.push(problem.see("its own is here", parent.url.at));
        Some(parent)
    }

    /// The narrower of two values, as `narrower` makes it: `(parent's, own) -> (what holds, whether the own is it)`.
    fn either<T>(
        &mut self,
        what: &str,
        parent: Option<At<T>>,
        mine: Option<At<T>>,
        narrower: impl FnOnce(&T, &T) -> (T, bool),
    ) -> Option<At<T>> {
        let (Some(parent), Some(mine)) = (&parent, &mine) else { return mine.or(parent) };
        let (value, is_own) = narrower(&parent.value, &mine.value);
        if !is_own {
            self.wider(what, mine.at, parent.at);
        }
        Some(At { value, at: if is_own { mine.at } else { parent.at } })
    }

    /// The stricter of two words: the lesser one.
    fn stricter<'l, T: Ord>(
        &mut self,
        what: &str,
        parent: Option<&'l At<T>>,
        mine: Option<&'l At<T>>,
    ) -> Option<&'l At<T>> {
        let (Some(parent), Some(mine)) = (parent, mine) else { return mine.or(parent) };
        if mine.value <= parent.value {
            return Some(mine);
        }
        self.wider(what, mine.at, parent.at);
        Some(parent)
    }
}

fn count(parent: &u64, mine: &u64) -> (u64, bool) {
    (*mine.min(parent), mine <= parent)
}

/// The slower of two rates with the smaller of both bursts.
fn rate(parent: &Rate, mine: &Rate) -> (Rate, bool) {
    let burst = |rate: &Rate| rate.burst.unwrap_or(rate.count);
    let over =
        |rate: &Rate, other: &Rate| u128::from(rate.count.get()) * u128::from(other.per.duration().as_secs());
    let slower = if over(mine, parent) <= over(parent, mine) { mine } else { parent };
    if slower == mine && burst(mine) <= burst(parent) {
        return (*mine, true);
    }
    (Rate { burst: Some(burst(mine).min(burst(parent))), ..*slower }, false)
}

/// Whether who keeps to one budget cannot exceed the other, wherever months and days begin.
fn is_within(budget: &Budget, other: &Budget) -> bool {
    let times = match (budget.per, other.per) {
        (MoneyPer::Hour, MoneyPer::Day) => 25,
        (MoneyPer::Hour, MoneyPer::Month) => 31 * 24 + 1,
        (MoneyPer::Day, MoneyPer::Month) => 32,
        (MoneyPer::Hour | MoneyPer::Day | MoneyPer::Month, _) => 1,
    };
    u128::from(budget.micro_usd) * times <= u128::from(other.micro_usd)
}
