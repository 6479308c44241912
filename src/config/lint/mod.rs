//! What is allowed and probably not meant: pitfalls of isolation, and what can have no effect. One file a family; every
//! code is in the registry below, and has its heading in `docs/lints.md`. Only `check` asks: a reload does not wait for it.

mod definitions;
mod doors;
mod extent;
mod rules;
mod tools;
mod upstreams;

use super::{
    At, Loaded, Mark, Problem,
    lineage::{self, Held},
    raw,
};
use crate::{pins::Book, policy::glob::Glob};
use std::collections::HashSet;

/// A code that `check` may warn with, or a pitfall that is an error.
#[derive(Debug, Clone, Copy)]
pub struct Lint {
    pub code: &'static str,
    /// One line.
    pub about: &'static str,
}

const fn lint_of(code: &'static str, about: &'static str) -> Lint {
    Lint { code, about }
}

/// Every lint, wherever it is found out, in the order of the page.
pub const LINTS: &[Lint] = &[
    lint_of("shared-store", "A vector store without `tenant_field`: records are told apart by `tenant_id`."),
    lint_of("manages-store", "A pattern lets a tenant manage the collections of all tenants."),
    lint_of("shared-key", "Two tenants with one key. An error."),
    lint_of("bare-secret", "A secret in the file itself."),
    lint_of("open-secret", "A secret's file that others on the machine can read or change."),
    lint_of("open-admin", "A sidecar whose agent reaches the admin port, too."),
    lint_of("plain-jwks", "Keys of an issuer of tokens over plain HTTP."),
    lint_of("same-issuer", "Two issuers of tokens that are one, for one audience."),
    lint_of("twin-jwk", "Two keys of one kind and name in a key set."),
    lint_of("private-jwk", "A private key in a set of public ones."),
    lint_of("detector-off", "Records keep text in which not everything is detected."),
    lint_of("wide-redact-allow", "Every address of a domain is let through by redaction."),
    lint_of(
        "pattern-of-keys",
        "A pattern of `redact` that matches keys of the protocol, where requests are masked.",
    ),
    lint_of("allow-everything", "An allow of every tool, without a condition."),
    lint_of("never-matches", "A rule or list that nothing can match."),
    lint_of("hidden-rule", "A rule that another one makes useless."),
    lint_of("empty-rule", "A rule of no tool."),
    lint_of("unknown-tool", "A tool that no upstream has and no test calls."),
    lint_of("unknown-model", "An entry of `models` that no declared model fits."),
    lint_of("no-limits", "A tenant without limits or budget."),
    lint_of("unpriced-model", "A model without a price, for a tenant with a budget."),
    lint_of("unused-upstream", "An upstream that no tenant may use."),
    lint_of("twin-url", "An address of an upstream that stands there twice."),
    lint_of("unused-ca", "Certificate authorities for an upstream without `https`."),
    lint_of(
        "suspicious-definition",
        "An MCP server's definition that hides something, or speaks to the model.",
    ),
    lint_of("wider-than-parent", "A tenant that asks for more than the one that it extends."),
    lint_of("label-of-parent", "A label that the parent has set already."),
    lint_of("no-tenants", "A directory of tenants without any."),
    lint_of("no-keys", "A tenant that nobody can be."),
    lint_of("expired-key", "A key that has expired."),
    lint_of("glob-with-as", "A pattern of models that all become one."),
    lint_of("queue-without-places", "A queue before an upstream that takes any number of requests."),
    lint_of("not-enforced-yet", "Accepted, and not enforced by this version."),
];

/// Lints what was read; `tests` are the policy tests beside the tenants.
pub fn lint(loaded: &Loaded, tests: &[raw::Tests]) -> Vec<Problem> {
    let Some(gateway) = &loaded.gateway else { return Vec::new() };
    let (tenants, _) = lineage::resolve(loaded);
    let view = View { loaded, gateway, tenants, tests, whole: loaded.broken.is_empty() };
    let mut found = Found::default();
    upstreams::lint(&view, &mut found);
    doors::lint(&view, &mut found);
    extent::lint(&view, &mut found);
    rules::lint(&view, &mut found);
    tools::lint(&view, &mut found);
    // What is missing in a file with errors may be what a lint misses.
    found.problems.retain(|problem| problem.at.is_none_or(|at| !loaded.broken.contains(&at.file)));
    found.problems
}

/// Lints what was recorded of the definitions of MCP servers.
pub fn lint_definitions(loaded: &Loaded, books: &[Book]) -> Vec<Problem> {
    let mut found = Found::default();
    if let Some(gateway) = &loaded.gateway {
        definitions::lint(gateway, books, &mut found);
    }
    found.problems
}

/// What lints look at.
struct View<'l> {
    loaded: &'l Loaded,
    gateway: &'l raw::Gateway,
    /// Abstract ones too.
    tenants: Vec<Held<'l>>,
    tests: &'l [raw::Tests],
    /// Whether every file could be read: else what seems to be nowhere may only not have been seen.
    whole: bool,
}

impl<'l> View<'l> {
    fn running(&self) -> impl Iterator<Item = &Held<'l>> {
        self.tenants.iter().filter(|held| !held.is_abstract())
    }
}

/// The problems so far; what several tenants share is told once.
#[derive(Default)]
struct Found {
    problems: Vec<Problem>,
    told: HashSet<(&'static str, Option<Mark>)>,
}

impl Found {
    fn warn(&mut self, code: &'static str, at: Mark, message: impl Into<String>) {
        self.push(Problem::warning(code, at, message));
    }

    fn push(&mut self, problem: Problem) {
        debug_assert!(LINTS.iter().any(|lint| lint.code == problem.code), "{}", problem.code);
        if self.told.insert((problem.code, problem.at)) {
            self.problems.push(problem);
        }
    }
}

/// The globs of a rule, whatever its effect.
fn globs(rule: &raw::Rule) -> &[At<String>] {
    match &rule.effect {
        raw::Effect::Allow(globs) | raw::Effect::Ask(globs) | raw::Effect::Deny(globs) => globs,
    }
}

fn is_enforced(rule: &raw::Rule) -> bool {
    rule.mode.as_ref().is_none_or(|mode| mode.value == raw::Mode::Enforce)
}

/// Whether a rule lets calls through, perhaps after a person was asked.
fn lets_through(rule: &raw::Rule) -> bool {
    is_enforced(rule) && matches!(rule.effect, raw::Effect::Allow(_) | raw::Effect::Ask(_))
}

fn is_unconditional(rule: &raw::Rule) -> bool {
    rule.when.is_none() && rule.args.0.is_empty()
}

/// Whether a tenant may use some tool that matches: as far as names tell, every layer lets it through that must.
fn may_call(held: &Held<'_>, tools: &Glob) -> bool {
    let matches = |rule: &raw::Rule| globs(rule).iter().any(|glob| Glob::new(&glob.value).overlaps(tools));
    let layers = &held.effective.tools;
    !layers.is_empty()
        && layers.iter().all(|layer| {
            let allows = |rule: &raw::Rule| is_enforced(rule) && matches!(rule.effect, raw::Effect::Allow(_));
            let counts = layer.number == 0 || layer.rules.iter().any(allows);
            !counts || layer.rules.iter().any(|rule| lets_through(rule) && matches(rule))
        })
}
