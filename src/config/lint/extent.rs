//! How far a tenant reaches: without limits, with detectors off, beyond what it extends, with keys that match nothing.

use super::{Found, View, globs, is_enforced, may_call};
use crate::{
    config::{
        At, Problem,
        lineage::{Detectors, Held},
        load::tidy,
        nearest, raw,
    },
    policy::glob::Glob,
    redact::{Allow, Pattern},
    wire,
};
use std::path::Path;

pub(super) fn lint(view: &View<'_>, found: &mut Found) {
    for held in view.running() {
        no_limits(held, found);
        detector_off(view, held, found);
        redact_allow(held, found);
        pattern_of_keys(held, found);
        keys(held, found);
    }
    for held in &view.tenants {
        wider(held, found);
    }
    unknown_models(view, found);
    no_tenants(view, found);
}

/// Entries of `models` and `model_limits` that no model of `tollgate.yaml` fits.
fn unknown_models(view: &View<'_>, found: &mut Found) {
    if !view.whole {
        return;
    }
    let declared: Vec<Glob> = view.gateway.models.0.iter().map(|(name, _)| Glob::new(&name.value)).collect();
    let names = || view.gateway.models.0.iter().map(|(name, _)| name.value.as_str());
    let defaults = view.gateway.defaults.iter().filter_map(|defaults| defaults.models.as_deref());
    let of_tenants = view.tenants.iter().filter_map(|held| held.raw.settings.models.as_deref());
    let of_keys = view.tenants.iter().flat_map(|held| &held.raw.keys).filter_map(|key| key.models.as_deref());
    let limits = view.gateway.defaults.iter().map(|defaults| &defaults.model_limits);
    let limits = limits.chain(view.tenants.iter().map(|held| &held.raw.settings.model_limits));
    let limited = limits.flatten().flat_map(|limits| limits.0.iter().map(|(name, _)| name));
    for glob in defaults.chain(of_tenants).chain(of_keys).flatten().chain(limited) {
        let asked = Glob::new(&glob.value);
        // What is of no use to a key as the tenant may not use it was told of.
        let is_told = found.told.contains(&("never-matches", Some(glob.at)));
        if is_told || declared.iter().any(|model| model.overlaps(&asked)) {
            continue;
        }
        let message = format!("no model that is declared matches `{}`", glob.value);
        let message = match nearest(&glob.value, names()) {
            Some(near) => format!("{message}; did you mean `{near}`?"),
            None => message,
        };
        let problem = Problem::warning("unknown-model", glob.at, message);
        found.push(problem.hint("mend the name, or declare the model under `models` of tollgate.yaml"));
    }
}

/// Directories in which there is no tenant's file.
fn no_tenants(view: &View<'_>, found: &mut Found) {
    let Some(raw::Tenants::Dirs(dirs)) = view.gateway.tenants.as_ref().filter(|_| view.whole) else { return };
    let files = &view.loaded.files;
    for dir in dirs {
        let shown = tidy(&files.base_dir(dir.at.file).join(&dir.value));
        let is_in = |held: &Held<'_>| Path::new(files.path(held.raw.at.file)).parent() == Some(&shown);
        if !view.tenants.iter().any(is_in) {
            let message = format!("there is no tenant in `{}`", shown.display());
            let problem = Problem::warning("no-tenants", dir.at, message);
            found.push(
                problem.hint("write a file NAME.yaml for each tenant; its first line is `tenant: NAME`"),
            );
        }
    }
}

fn no_limits(held: &Held<'_>, found: &mut Found) {
    let effective = &held.effective;
    let limits = &effective.limits;
    let limited = limits.requests.is_some() || limits.tokens.is_some() || limits.concurrency.is_some();
    if !limited && effective.budgets.is_empty() {
        let message = format!("`{}` has no limits and no budget", held.raw.tenant.value);
        let problem = Problem::warning("no-limits", held.raw.tenant.at, message);
        found.push(
            problem.hint("write `limits: { requests: 600/min, concurrency: 32 }`, here or in `defaults`"),
        );
    }
}

fn detector_off(view: &View<'_>, held: &Held<'_>, found: &mut Found) {
    let everyone = view.gateway.records.as_ref().and_then(|records| records.content.as_ref());
    let content = held.effective.content.or(everyone).map_or(raw::Content::Redacted, |at| at.value);
    let Some(Detectors::List(listed)) = &held.effective.detectors else { return };
    if content == raw::Content::Redacted {
        let at = listed.first().map_or(held.raw.tenant.at, |first| first.at);
        let problem = Problem::warning(
            "detector-off",
            at,
            "records keep text in which only these entities are detected",
        );
        found.push(problem.hint("write `detectors: all`, or keep no text: `records: { content: none }`"));
    }
}

/// Addresses that are let through by the domain.
fn redact_allow(held: &Held<'_>, found: &mut Found) {
    for entry in held.effective.allow.iter().flatten() {
        if Allow::new(&entry.value).is_ok_and(|allow| allow.is_domain()) {
            let message = "every address of this domain is written to records as it is";
            let problem = Problem::warning("wide-redact-allow", entry.at, message);
            found.push(problem.hint("name the public ones, such as `support@…`, or `support-*@…`"));
        }
    }
}

/// Patterns that match what requests are made of, where requests are masked or blocked.
fn pattern_of_keys(held: &Held<'_>, found: &mut Found) {
    if held.effective.wire.is_none_or(|at| at.value == raw::Wire::Off) {
        return;
    }
    for (name, regex) in held.effective.patterns.iter().flatten() {
        let Ok(pattern) = Pattern::new(&name.value, &regex.value) else { continue };
        let Some(key) = wire::keys().find(|key| pattern.is_in(key)) else { continue };
        let message = format!(
            "this matches `{key}`, a key that requests are made of: with `wire` such keys are no values"
        );
        let problem = Problem::warning("pattern-of-keys", regex.at, message);
        found.push(problem.hint("make it narrower, by a prefix or digits that only such values have"));
    }
}

/// Lists of keys that let nothing through of what the tenant may.
fn keys(held: &Held<'_>, found: &mut Found) {
    for key in &held.raw.keys {
        for glob in key.models.iter().flatten() {
            let asked = Glob::new(&glob.value);
            let overlaps =
                |list: &&[At<String>]| list.iter().any(|model| Glob::new(&model.value).overlaps(&asked));
            if held.effective.models.is_empty() || !held.effective.models.iter().all(overlaps) {
                let message = "no model that the tenant may use matches this";
                let problem = Problem::warning("never-matches", glob.at, message);
                found.push(problem.hint("a key only narrows: name some of the tenant's `models`"));
            }
        }
        for glob in key.tools.iter().flatten() {
            if !may_call(held, &Glob::new(&glob.value)) {
                let message = "no tool that the tenant may call matches this";
                let problem = Problem::warning("never-matches", glob.at, message);
                found.push(problem.hint("a key only narrows: name tools that a rule of the tenant's allows"));
            }
        }
    }
}

/// What a file lists beyond those that it extends.
fn wider(held: &Held<'_>, found: &mut Found) {
    if held.effective.depth == 0 {
        return;
    }
    if held.raw.settings.models.is_some()
        && let Some((own, above)) = held.effective.models.split_last()
    {
        for glob in own.iter() {
            let list = |list: &&[At<String>]| covering(list.iter(), glob);
            tell("models", glob, above.iter().map(list), found);
        }
    }
    let own = held.raw.settings.tools.is_some();
    let above = held.effective.tools.split_last().filter(|_| own).map(|(_, above)| above).unwrap_or_default();
    let allows = |rule: &&raw::Rule| is_enforced(rule) && matches!(rule.effect, raw::Effect::Allow(_));
    for glob in held.raw.settings.tools.iter().flatten().filter(allows).flat_map(globs) {
        let layer = |rules: &'_ [raw::Rule], number: u8| {
            let counts = number == 0 || rules.iter().any(|rule| allows(&rule));
            let through = rules.iter().filter(|rule| super::lets_through(rule)).flat_map(globs);
            if counts { covering(through, glob) } else { Covered::Whole }
        };
        let each = above.iter().map(|layer_of| layer(layer_of.rules, layer_of.number));
        tell("tools", glob, each.into_iter(), found);
    }
}

/// How much of a glob others let through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Covered {
    Nothing,
    Part,
    Whole,
}

fn covering<'g>(list: impl Iterator<Item = &'g At<String>>, glob: &At<String>) -> Covered {
    let glob = Glob::new(&glob.value);
    let one = |other: &At<String>| {
        let other = Glob::new(&other.value);
        if other.covers(&glob) {
            Covered::Whole
        } else if other.overlaps(&glob) {
            Covered::Part
        } else {
            Covered::Nothing
        }
    };
    list.map(one).max().unwrap_or(Covered::Nothing)
}

fn tell(what: &str, glob: &At<String>, each: impl Iterator<Item = Covered>, found: &mut Found) {
    let message = match each.min() {
        None | Some(Covered::Whole) => return,
        Some(Covered::Part) => {
            format!("the {what} of this pattern are more than this tenant's parent allows")
        }
        Some(Covered::Nothing) => format!("this tenant's parent allows no {what} that match this"),
    };
    found.push(
        Problem::warning("wider-than-parent", glob.at, message).hint("only what both allow is allowed"),
    );
}
