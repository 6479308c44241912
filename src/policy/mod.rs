//! Policy: may this tenant make this call? Pure, order-free, default deny.
//!
//! A matching deny wins, then ask, then allow; nothing matching is deny. A condition that cannot be evaluated
//! never allows, and counts as true where it guards a deny or an ask. Where the arguments are not known yet
//! (a tool is only offered), a tool stays if some arguments could pass.

pub mod budget;
pub mod condition;
pub mod explain;
pub mod expression;
pub mod glob;
pub mod matcher;
mod number;
pub mod path;
pub mod placeholder;
pub mod reach;
mod relation;
mod rule;
mod truth;

pub use number::compare as compare_numbers;
pub use rule::{Caller, Effect, Mode, Rule, Source};
pub use truth::Truth;

use crate::{
    call::{Arguments, Place},
    json::Value,
    quota::CallLimit,
};
use condition::Facts;
use glob::{Globs, Index};
use path::Path;
use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap, time::Duration};

/// A tool's name is at most this long, in bytes; a longer one is denied.
pub const TOOL_NAME_BYTES_MAX: usize = 256;

/// All rules of a tenant, ready to decide: its own and those of the tenants that it extends, each file a layer.
///
/// A deny or an ask counts in whatever layer it stands. What is allowed must be allowed (or asked for) by the topmost
/// layer, and by each other one that allows anything: a layer can only narrow those above it.
#[derive(Debug, Default)]
pub struct Policy {
    /// In order of effect (deny, ask, allow), then of rank: the first that holds is the one that decides.
    rules: Vec<Rule>,
    index: Index,
    /// The layers that must let a call through, by what is decided: enforced rules alone, shadow rules too.
    needed: [Layers; 2],
    /// Whether a rule asks.
    asks: bool,
}

/// A chain of `extends` is at most this long.
pub const LAYERS_MAX: u8 = 16;

/// A set of layers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Layers(u32);

impl Layers {
    const TOPMOST: Self = Self(1);

    fn add(&mut self, layer: u8) {
        self.0 |= 1_u32.checked_shl(layer.into()).unwrap_or(0);
    }

    fn holds(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }

    fn above(self, layer: u8) -> Self {
        Self(self.0 & 1_u32.checked_shl(layer.into()).map_or(u32::MAX, |bit| bit - 1))
    }
}

/// One call, as it is asked about.
#[derive(Debug)]
pub struct Question<'q> {
    pub caller: &'q Caller,
    /// The tools that the caller's key is narrowed to, if it is.
    pub key_tools: Option<&'q Globs>,
    pub tool: &'q str,
    pub args: &'q Arguments<'q>,
    pub place: Place,
    /// Seconds since 1970, UTC.
    pub now: i64,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Allow,
    Ask,
    Deny,
}

impl Outcome {
    /// The outcome as records name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// An answer that says why.
#[derive(Debug)]
pub struct Decision<'r> {
    pub outcome: Outcome,
    /// The rule that decided; `None` where no rule matched.
    pub rule: Option<&'r Rule>,
    /// For the agent and the audit trail.
    pub reason: Cow<'r, str>,
    /// The arguments with every `set` of the matching allows forced into them, where that changed them.
    pub rewritten: Option<Value<'static>>,
    /// How long a call that asks may wait: as long as the shortest of the rules that ask has it.
    pub within: Option<Duration>,
    /// Matching rules that let only so many calls through: the call counts for each of them.
    pub limits: Vec<&'r Rule>,
    /// What a shadow rule would have made of it, where that differs.
    pub shadow: Option<(Outcome, &'r Rule)>,
}

impl Policy {
    /// A policy of these rules, in any order.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self::of_layers(rules, &[])
    }

    /// The same, with layers that say that nothing is allowed.
    pub fn of_layers(mut rules: Vec<Rule>, empty: &[u8]) -> Self {
        // A rank is a text to be made: once a rule, not once a comparison.
        rules.sort_by_cached_key(|rule| (rule.effect, Reverse(rule.rank())));
        let mut index = Index::default();
        for (number, rule) in (0..).zip(&rules) {
            for glob in rule.tools.iter() {
                index.add(glob, number);
            }
        }
        let mut needed = [Layers::TOPMOST; 2];
        for rule in rules.iter().filter(|rule| rule.effect == Effect::Allow) {
            let [enforced, with_shadow] = &mut needed;
            with_shadow.add(rule.layer);
            if rule.mode == Mode::Enforce {
                enforced.add(rule.layer);
            }
        }
        needed.iter_mut().for_each(|needed| empty.iter().for_each(|layer| needed.add(*layer)));
        // Asked with every piece of an answer.
        let asks = rules.iter().any(|rule| rule.effect == Effect::Ask && rule.mode == Mode::Enforce);
        Self { rules, index, needed, asks }
    }

    /// Whether a person may have to decide on some call.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// All rules, denies first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The limits of its rules.
    pub fn limits(&self) -> Vec<CallLimit> {
        self.rules.iter().filter_map(|rule| rule.limit.clone()).collect()
    }

    /// The arguments of a tool that some rule forces a value into, whether it matches or not.
    pub fn forced(&self, tool: &str) -> impl Iterator<Item = &str> {
        self.matching(tool).into_iter().flat_map(|rule| &rule.set).map(|(path, _)| path.head())
    }

    /// Decides one call.
    pub fn decide(&self, question: &Question<'_>) -> Decision<'_> {
        if question.tool.is_empty() {
            return Decision::denied("the call names no tool");
        }
        if question.tool.len() > TOOL_NAME_BYTES_MAX {
            return Decision::denied("the tool's name is too long");
        }
        if question.key_tools.is_some_and(|globs| !globs.matches(question.tool)) {
            return Decision::denied("the key is narrowed to other tools");
        }
        let candidates = self.matching(question.tool);
        let [enforced, with_shadow] = self.needed;
        let mut decision = decide_among(&candidates, question, (Mode::Enforce, enforced));
        if candidates.iter().any(|rule| rule.mode == Mode::Shadow) {
            let shadowed = decide_among(&candidates, question, (Mode::Shadow, with_shadow));
            let by_shadow = shadowed.rule.filter(|_| shadowed.outcome != decision.outcome);
            decision.shadow = by_shadow.map(|rule| (shadowed.outcome, rule));
        }
        decision
    }

    /// The rules with a glob that matches the name, in the order in which they are tried.
    pub fn matching(&self, tool: &str) -> Vec<&Rule> {
        let numbers = self.index.find(tool);
        numbers.iter().filter_map(|&number| self.rules.get(usize::try_from(number).ok()?)).collect()
    }
}

impl Decision<'_> {
    fn denied(reason: &'static str) -> Self {
        Decision {
            outcome: Outcome::Deny,
            rule: None,
            reason: Cow::Borrowed(reason),
            rewritten: None,
            within: None,
            limits: Vec::new(),
            shadow: None,
        }
    }

    /// Whether a limit or a person could deny the call, though the rules let it through.
    pub fn is_accountable(&self) -> bool {
        self.outcome == Outcome::Ask || (self.outcome == Outcome::Allow && !self.limits.is_empty())
    }

    /// Where the rule stands, `file:line`.
    pub fn source(&self) -> Option<&Source> {
        self.rule.map(|rule| &rule.source)
    }
}

/// Decides among the rules whose globs match; shadow rules count only with `Mode::Shadow`. A call gets through where
/// all needed layers let it.
fn decide_among<'r>(
    candidates: &[&'r Rule],
    question: &Question<'_>,
    (mode, needed): (Mode, Layers),
) -> Decision<'r> {
    let (mut asks, mut open_asks, mut allows) = (Vec::new(), Vec::new(), Vec::new());
    let mut through = Layers::default();
    let counts = |rule: &&&Rule| mode == Mode::Shadow || rule.mode == Mode::Enforce;
    for &rule in candidates.iter().filter(counts) {
        let truth = holds(rule, question);
        match rule.effect {
            Effect::Deny if truth.guards() => return rule.decision(Outcome::Deny, "not allowed by policy"),
            Effect::Ask if truth.guards() => asks.push(rule),
            Effect::Ask if truth == Truth::Open => {
                open_asks.push(rule);
                continue;
            }
            Effect::Allow if truth.permits() => allows.push(rule),
            Effect::Deny | Effect::Ask | Effect::Allow => continue,
        }
        through.add(rule.layer);
    }
    // Of several that ask, the topmost is named: whoever approves reads its words.
    let ask = asks.iter().copied().min_by_key(|rule| rule.layer);
    let first = ask.or_else(|| allows.first().copied());
    let Some(first) = first.filter(|_| through.holds(needed)) else {
        // A person could let some arguments through.
        open_asks.iter().for_each(|rule| through.add(rule.layer));
        if let Some(ask) = open_asks.iter().min_by_key(|rule| rule.layer).filter(|_| through.holds(needed)) {
            return ask.decision(Outcome::Ask, "a person has to approve this call");
        }
        let mut candidates = candidates.iter().filter(counts);
        return Decision::denied(match candidates.find(|rule| rule.effect == Effect::Allow) {
            Some(_) if first.is_some() => {
                "its rules and those of the tenant that it extends do not all allow it"
            }
            Some(_) => "no rule allows it with these arguments",
            None => "no rule allows it",
        });
    };
    let passed = match ask {
        Some(rule) => rule.decision(Outcome::Ask, "a person has to approve this call"),
        None => first.decision(Outcome::Allow, ""),
    };
    // Of every matching rule, as with `set`: a plain allow beside one that limits is no way around the limit.
    let limits = allows.iter().chain(&asks).copied().filter(|rule| rule.limit.is_some()).collect();
    let within = asks.iter().map(|rule| rule.within).min();
    let passed = Decision { limits, within, ..passed };
    match force(&allows, question.args) {
        Ok(None) => passed,
        Ok(Some(forced)) => {
            let lowest = allows.iter().filter(|rule| !rule.set.is_empty()).map(|rule| rule.layer).max();
            match refused_above(lowest.unwrap_or(0), candidates, question, &forced, (mode, needed)) {
                None => Decision { rewritten: Some(forced), ..passed },
                // What was to be counted still is, and nobody waits longer.
                Some(above) => {
                    let within = above.within.into_iter().chain(passed.within).min();
                    let limits = passed.limits.into_iter().chain(above.limits).collect();
                    Decision { limits: once_each(limits), within, ..above }
                }
            }
        }
        Err(reason) => {
            let forcing = allows.first().unwrap_or(&first);
            Decision { reason: Cow::Borrowed(reason), ..forcing.decision(Outcome::Deny, "") }
        }
    }
}

/// Rules, each once.
fn once_each(rules: Vec<&Rule>) -> Vec<&Rule> {
    let mut once: Vec<&Rule> = Vec::with_capacity(rules.len());
    for rule in rules {
        if !once.iter().any(|known| std::ptr::eq(*known, rule)) {
            once.push(rule);
        }
    }
    once
}

/// What the layers above one decide of the arguments that it forced, unless they let them through as they are: a
/// tenant cannot force what those that it extends would not allow.
fn refused_above<'r>(
    layer: u8,
    candidates: &[&'r Rule],
    question: &Question<'_>,
    forced: &Value<'_>,
    (mode, needed): (Mode, Layers),
) -> Option<Decision<'r>> {
    if layer == 0 {
        return None;
    }
    let above: Vec<&Rule> = candidates.iter().copied().filter(|rule| rule.layer < layer).collect();
    let args = Arguments::Known(forced.clone());
    let decision = decide_among(&above, &Question { args: &args, ..*question }, (mode, needed.above(layer)));
    match (decision.outcome, &decision.rewritten) {
        (Outcome::Allow, None) => None,
        (Outcome::Ask, None) => Some(Decision { rewritten: Some(forced.clone().into_owned()), ..decision }),
        (Outcome::Deny, _) => Some(decision),
        (Outcome::Allow | Outcome::Ask, Some(_)) => Some(Decision {
            outcome: Outcome::Deny,
            reason: Cow::Borrowed("two rules force different values into the same argument"),
            rewritten: None,
            ..decision
        }),
    }
}

/// Whether a rule's conditions hold.
fn holds(rule: &Rule, question: &Question<'_>) -> Truth {
    let when = rule.when.as_ref().map(|condition| {
        let facts = facts(question);
        match question.args {
            Arguments::Known(args) => condition.holds(&facts, Some(args)),
            Arguments::Open => condition.holds_open(&facts),
            Arguments::Unreadable => condition.holds(&facts, None),
        }
    });
    let args = rule.args.iter().map(|matcher| match question.args {
        Arguments::Known(args) => matcher.holds(args),
        Arguments::Open => Truth::Open,
        Arguments::Unreadable => Truth::Unknown,
    });
    Truth::all(when.into_iter().chain(args))
}

/// What a question tells conditions beside the arguments.
fn facts<'q>(question: &Question<'q>) -> Facts<'q> {
    Facts { caller: question.caller, tool: question.tool, place: question.place, now: question.now }
}

/// Forces every `set` of the rules that allow the call. All of them: otherwise a plain allow beside one that
/// forces a filter would open a way around the filter.
fn force(allows: &[&Rule], args: &Arguments<'_>) -> Result<Option<Value<'static>>, &'static str> {
    let mut forced: BTreeMap<(usize, &Path), &Value<'static>> = BTreeMap::new();
    for (path, value) in allows.iter().flat_map(|rule| &rule.set) {
        if forced.insert((path.depth(), path), value).is_some_and(|other| other != value) {
            return Err("two rules force different values into the same argument");
        }
    }
    match args {
        _ if forced.is_empty() => Ok(None),
        Arguments::Open => Ok(None),
        Arguments::Unreadable => Err(
            "its arguments are not JSON that can be read in one way, so that a value could not be forced into them",
        ),
        Arguments::Known(Value::Object(members)) => {
            let original = Value::Object(members.clone());
            let mut changed = original.clone();
            for ((_, path), value) in &forced {
                path.set(&mut changed, value)
                    .map_err(|_| "a value could not be forced into its arguments")?;
            }
            Ok((changed != original).then(|| changed.into_owned()))
        }
        Arguments::Known(_) => {
            Err("its arguments are no object, so that a value could not be forced into them")
        }
    }
}

#[cfg(test)]
mod tests;
