//! What each tenant gains and loses between two configurations, in words. Tools are compared on all names that either
//! of them knows, and on one for each glob; a rule that differs and shows on none of them is told as a rule, so that
//! nothing passes for no change.

mod keys;
mod models;
mod settings;
mod tools;

use super::{Configuration, universe::Universe};
use crate::{
    config::lineage::{self, Effective, Held},
    identity::Member,
};
use std::collections::{BTreeMap, BTreeSet};

/// Which way a change goes, for the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Gains,
    Loses,
    /// Neither, or both.
    Changes,
}

impl Direction {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Gains => "gains",
            Self::Loses => "loses",
        }
    }
}

/// What a change is about. In the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Tenant,
    Tool,
    /// A rule that shows on no name that is known.
    Rule,
    Model,
    Key,
    Setting,
    Upstream,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Model => "model",
            Self::Rule => "rule",
            Self::Setting => "setting",
            Self::Tenant => "tenant",
            Self::Tool => "tool",
            Self::Upstream => "upstream",
        }
    }
}

/// One thing that changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// `None` where it is nobody's own: a model's upstream, say.
    pub tenant: Option<String>,
    pub kind: Kind,
    pub name: String,
    pub direction: Direction,
    /// The whole of it in words.
    pub text: String,
    pub was: Option<String>,
    pub now: Option<String>,
    /// The rules that make it so, then and now, as `file:line`.
    pub rule_was: Option<String>,
    pub rule_now: Option<String>,
}

/// A change while it is put into words; the text is made at the end.
#[derive(Debug)]
struct Note {
    kind: Kind,
    name: String,
    direction: Direction,
    text: String,
    was: Option<String>,
    now: Option<String>,
    rules: [Option<String>; 2],
}

impl Note {
    fn new(kind: Kind, name: &str, direction: Direction, text: String) -> Self {
        Self { kind, name: name.to_owned(), direction, text, was: None, now: None, rules: [None, None] }
    }

    fn values(self, was: Option<String>, now: Option<String>) -> Self {
        Self { was, now, ..self }
    }

    fn of(self, tenant: Option<&str>) -> Change {
        let Self { kind, name, direction, text, was, now, rules: [rule_was, rule_now] } = self;
        let tenant = tenant.map(str::to_owned);
        Change { tenant, kind, name, direction, text, was, now, rule_was, rule_now }
    }
}

/// One of the two configurations, and a tenant in it.
#[derive(Debug, Clone, Copy)]
struct Side<'c> {
    configuration: &'c Configuration,
    /// `None` where there is no such tenant, or nobody can be it; then there is nothing that holds for it either.
    member: Option<&'c Member>,
    held: Option<&'c Held<'c>>,
}

impl<'c> Side<'c> {
    /// What holds for the tenant.
    fn effective(&self) -> Option<&'c Effective<'c>> {
        self.held.map(|held| &held.effective)
    }
}

/// Everything that changes, by tenant. `tested` are the names of tools that tests call.
pub fn diff(old: &Configuration, new: &Configuration, tested: [Vec<String>; 2]) -> Vec<Change> {
    let [tested_old, tested_new] = tested;
    let universe = Universe::of(old, tested_old).union(Universe::of(new, tested_new));
    let ((all_old, _), (all_new, _)) = (lineage::resolve(&old.loaded), lineage::resolve(&new.loaded));
    let (held_old, held_new) = (by_name(&all_old), by_name(&all_new));
    let names: BTreeSet<&str> = held_old.keys().chain(held_new.keys()).copied().collect();
    let mut changes = platform(old, new);
    for name in names {
        let sides =
            [side(old, held_old.get(name).copied(), name), side(new, held_new.get(name).copied(), name)];
        let mut notes: Vec<Note> = existence(name, sides).into_iter().collect();
        notes.extend(tools::compare(name, sides, &universe));
        notes.extend(models::compare(name, sides));
        notes.extend(keys::compare(name, sides, &universe));
        if sides.iter().all(|side| side.held.is_some()) {
            notes.extend(settings::compare(name, sides));
        }
        changes.extend(notes.into_iter().map(|note| note.of(Some(name))));
    }
    changes.sort();
    changes.dedup();
    changes
}

fn by_name<'h, 'c>(held: &'h [Held<'c>]) -> BTreeMap<&'c str, &'h Held<'c>> {
    held.iter().map(|held| (held.raw.tenant.value.as_str(), held)).collect()
}

fn side<'c>(configuration: &'c Configuration, held: Option<&'c Held<'c>>, name: &str) -> Side<'c> {
    let member = configuration.snapshot.directory.find(name);
    let member = member.filter(|member| !member.tenant().is_abstract);
    Side { configuration, member, held: held.filter(|_| member.is_some()) }
}

fn existence(name: &str, [old, new]: [Side<'_>; 2]) -> Option<Note> {
    let counted = |side: Side<'_>| {
        let member = side.member?;
        let (keys, rules) = (member.keys().count(), member.tenant().policy.rules().len());
        Some(format!("{} and {}", plural(keys, "key"), plural(rules, "rule")))
    };
    let (direction, text) = match (counted(old), counted(new)) {
        (None, Some(now)) => (Direction::Gains, format!("{name} is a new tenant, with {now}")),
        (Some(was), None) => (Direction::Loses, format!("{name} is no tenant any more; it had {was}")),
        (None, None) | (Some(_), Some(_)) => return None,
    };
    Some(Note::new(Kind::Tenant, name, direction, text))
}

/// What is the platform's: where models go, and what upstreams are.
fn platform(old: &Configuration, new: &Configuration) -> Vec<Change> {
    let notes = models::targets(old, new)
        .into_iter()
        .chain(models::prices(old, new))
        .chain(settings::upstreams(old, new));
    notes.map(|note| note.of(None)).collect()
}

fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Names in a row, of many the first few.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests;
