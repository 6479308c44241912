//! How far a caller gets with a tool, whatever the arguments: always, under conditions, asking, never; and by which
//! rules. For overviews and comparisons, where no single call is asked about.

use super::{
    Caller, Effect, Layers, Mode, Policy, Rule, TOOL_NAME_BYTES_MAX, Truth, condition::Facts,
    explain::one_line, force,
};
use crate::call::{Arguments, Place};
use std::collections::{BTreeMap, BTreeSet};

/// How far a caller gets. In the order of how much is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    No,
    /// A person is asked, always or under conditions; nothing goes without.
    Asks,
    /// Some calls are allowed: it depends on arguments, the key, the place or the time.
    If,
    Yes,
}

impl Reach {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Asks => "asks",
            Self::If => "if",
            Self::Yes => "yes",
        }
    }
}

/// How far a caller gets with a tool, and the rules that make it so.
#[derive(Debug, Clone)]
pub struct Reached<'p> {
    pub reach: Reach,
    /// The one that is named first: it allows, asks, or denies.
    pub by: Option<&'p Rule>,
    /// All that count.
    pub rules: Vec<&'p Rule>,
}

/// Whose calls are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'q> {
    pub caller: &'q Caller,
    /// Whether the caller's key is known: otherwise conditions on it are open.
    pub key_is_known: bool,
}

impl Policy {
    /// How far a caller gets with a tool, if its key is not narrowed to others.
    pub fn reach(&self, tool: &str, whose: Whose<'_>) -> Reached<'_> {
        if tool.is_empty() || tool.len() > TOOL_NAME_BYTES_MAX {
            return Reached { reach: Reach::No, by: None, rules: Vec::new() };
        }
        let rules = self.matching(tool).into_iter().filter(|rule| rule.mode == Mode::Enforce);
        let rules = rules.filter(|rule| rule.tools.take_in(tool));
        let weighed: Vec<(&Rule, Truth)> =
            rules.map(|rule| (rule, truth_in_general(rule, tool, whose))).collect();
        let [needed, _] = self.needed;
        reached(&weighed, needed)
    }
}

/// As `decide_among` has it, for all arguments at once: `needed` are the layers that must let a call through.
fn reached<'p>(rules: &[(&'p Rule, Truth)], needed: Layers) -> Reached<'p> {
    let of = |effect: Effect, fits: fn(Truth) -> bool| -> Vec<&'p Rule> {
        let chosen = rules.iter().filter(|(rule, truth)| rule.effect == effect && fits(*truth));
        chosen.map(|(rule, _)| *rule).collect()
    };
    let (open, sure) = (|truth| truth == Truth::Open, |truth| truth == Truth::True);
    let (sure_asks, open_asks) = (of(Effect::Ask, Truth::guards), of(Effect::Ask, open));
    let (allows, sure_allows) = (of(Effect::Allow, Truth::permits), of(Effect::Allow, sure));
    let denies = of(Effect::Deny, open);
    let through = |sets: &[&[&Rule]]| {
        let mut layers = Layers::default();
        sets.iter().copied().flatten().for_each(|rule| layers.add(rule.layer));
        layers.holds(needed)
    };
    if let Some(&deny) = of(Effect::Deny, Truth::guards).first() {
        return Reached { reach: Reach::No, by: Some(deny), rules: vec![deny] };
    }
    if !through(&[&sure_asks, &open_asks, &allows]) {
        return Reached { reach: Reach::No, by: None, rules: Vec::new() };
    }
    // Values that cannot be forced together let nothing through.
    if force(&sure_allows, &Arguments::Open).is_err() {
        return Reached { reach: Reach::No, by: allows.first().copied(), rules: sure_allows };
    }
    if !sure_asks.is_empty() || !through(&[&allows]) {
        let by = sure_asks.first().or_else(|| open_asks.first()).copied();
        let asks = if sure_asks.is_empty() { open_asks } else { sure_asks };
        return Reached { reach: Reach::Asks, by, rules: [asks, allows, denies].concat() };
    }
    let is_open = !denies.is_empty() || !open_asks.is_empty() || force(&allows, &Arguments::Open).is_err();
    let reach = if through(&[&sure_allows]) && !is_open { Reach::Yes } else { Reach::If };
    Reached { reach, by: allows.first().copied(), rules: [allows, open_asks, denies].concat() }
}

/// Whether a rule holds, as far as that depends on the caller and the tool alone; else it is open.
fn truth_in_general(rule: &Rule, tool: &str, whose: Whose<'_>) -> Truth {
    let when = rule.when.as_ref().map(|condition| {
        let settled = !condition.depends_on(&["args", "now", "place"])
            && (whose.key_is_known || !condition.depends_on(&["key"]));
        let facts = Facts { caller: whose.caller, tool, place: Place::Emitted, now: 0 };
        if settled { condition.holds(&facts, None) } else { Truth::Open }
    });
    let args = (!rule.args.is_empty()).then_some(Truth::Open);
    Truth::all(when.into_iter().chain(args))
}

impl Rule {
    /// What the rule asks of a call beside its name: `when …, args amount max 100`. Empty where it asks nothing.
    pub fn conditions(&self) -> String {
        let when = self.when.iter().map(|when| format!("when {}", one_line(when.source())));
        let tests = |matcher: &super::matcher::Matcher| {
            let path = matcher.path.to_string();
            matcher.tests.iter().map(move |test| format!("args {path} {test}")).collect::<Vec<_>>()
        };
        let mut args: Vec<String> = self.args.iter().flat_map(tests).collect();
        args.sort_unstable();
        when.chain(args).collect::<Vec<_>>().join(", ")
    }

    /// What it forces into the arguments: `filter.tenant "acme"`.
    pub fn forced(&self) -> String {
        let mut set: Vec<String> = self.set.iter().map(|(path, value)| format!("{path} {value}")).collect();
        set.sort_unstable();
        set.join(", ")
    }
}

impl Reached<'_> {
    /// Under which conditions, in words, in an order that does not depend on the files; empty where there are none.
    pub fn conditions(&self) -> String {
        let of = |effect: Effect| -> BTreeSet<String> {
            let rules = self.rules.iter().filter(|rule| rule.effect == effect);
            rules.map(|rule| rule.conditions()).collect()
        };
        let mut words = Vec::new();
        // Each layer has to allow it.
        let mut layers: BTreeMap<u8, BTreeSet<String>> = BTreeMap::new();
        for rule in self.rules.iter().filter(|rule| rule.effect == Effect::Allow) {
            layers.entry(rule.layer).or_default().insert(rule.conditions());
        }
        let allows: Vec<String> =
            layers.into_values().filter(|layer| !layer.contains("")).map(join).collect();
        if !allows.is_empty() {
            words.push(allows.join(", and "));
        }
        let asks = of(Effect::Ask);
        if !asks.is_empty() && !asks.contains("") {
            words.push(format!("asks {}", join(asks)));
        }
        let denies = of(Effect::Deny);
        if self.reach != Reach::No && !denies.is_empty() {
            words.push(format!("never {}", join(denies)));
        }
        words.join("; ")
    }

    /// What is forced into the arguments, and when.
    pub fn forced(&self) -> String {
        let forcing = self.rules.iter().filter(|rule| !rule.set.is_empty());
        let text = |rule: &&Rule| match rule.conditions() {
            conditions if conditions.is_empty() => rule.forced(),
            conditions => format!("{} {conditions}", rule.forced()),
        };
        forcing.map(text).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    }
}

fn join(alternatives: BTreeSet<String>) -> String {
    alternatives.into_iter().collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests;
