//! Recorded calls, decided again under another configuration. Records are redacted: where a condition reads what was
//! taken out, the answer is that it cannot be told, unless the decision is the same whatever stood there.

mod doubt;
mod line;
mod run;

pub use run::{Progress, replay};

use super::{Asker, Configuration};
use crate::{
    asked::{BEYOND_LIMIT, CHANGED, NOBODY_IN_TIME, TOO_MANY_WAIT},
    call::{Arguments, Place},
    config::values,
    json::{self, Value},
    policy::{Caller, Decision, Effect, Mode, Outcome, Question, Rule},
    redact::holds_placeholder,
    tenant::Tenant,
};
use line::{Line, is_none, text};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

/// What the policy says of a call that no rule decided. A denial with any other reason and no rule was not the rules'.
const REASONS_WITHOUT_RULE: [&str; 6] = [
    "its rules and those of the tenant that it extends do not all allow it",
    "no rule allows it",
    "no rule allows it with these arguments",
    "the call names no tool",
    "the key is narrowed to other tools",
    "the tool's name is too long",
];
/// Stands in a text of which the middle was left out.
const CUT: &str = " [cut: ";
/// So many different calls are remembered.
const KNOWN_MAX: usize = 1 << 16;

/// A call that is decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub time: String,
    pub tenant: String,
    pub key: String,
    pub place: &'static str,
    pub tool: String,
    pub was: Outcome,
    pub now: Outcome,
    pub rule_was: Option<String>,
    pub rule_now: Option<String>,
    /// Why it is decided so now.
    pub reason: String,
}

/// How many calls of a kind there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decided again, those that cannot be told included.
    pub decided: u64,
    pub changed: u64,
    pub untold: u64,
}

/// What calls that changed have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    pub tenant: String,
    pub was: &'static str,
    pub now: &'static str,
    pub rule_was: Option<String>,
    pub rule_now: Option<String>,
}

/// What came of all records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    pub records: u64,
    pub tenants: BTreeMap<String, Counts>,
    pub turns: BTreeMap<Turn, u64>,
    /// What cannot be told, by tenant and by the rule that reads what was redacted; `None` where that is the tool's name.
    pub untold: BTreeMap<(String, Option<String>), u64>,
    /// What shadow rules would have made of calls.
    pub shadow: u64,
    /// What a person decided, or none in time.
    pub by_person: u64,
    /// Calls that were refused for something else than a rule: a limit, say.
    pub by_no_rule: u64,
    /// Lines that are no records.
    pub unreadable: u64,
    /// Tenants and keys of records that are no more. Their tenant's rules decide the calls of such keys.
    pub tenants_gone: BTreeSet<String>,
    pub keys_gone: BTreeSet<(String, String)>,
}

impl Totals {
    /// All tenants' counts together.
    pub fn all(&self) -> Counts {
        let add = |sum: Counts, one: &Counts| Counts {
            decided: sum.decided + one.decided,
            changed: sum.changed + one.changed,
            untold: sum.untold + one.untold,
        };
        self.tenants.values().fold(Counts::default(), add)
    }

    fn add(&mut self, other: Self) {
        self.records += other.records;
        for (tenant, counts) in other.tenants {
            let sum = self.tenants.entry(tenant).or_default();
            sum.decided += counts.decided;
            sum.changed += counts.changed;
            sum.untold += counts.untold;
        }
        for (turn, count) in other.turns {
            *self.turns.entry(turn).or_default() += count;
        }
        for (rule, count) in other.untold {
            *self.untold.entry(rule).or_default() += count;
        }
        self.shadow += other.shadow;
        self.by_person += other.by_person;
        self.by_no_rule += other.by_no_rule;
        self.unreadable += other.unreadable;
        self.tenants_gone.extend(other.tenants_gone);
        self.keys_gone.extend(other.keys_gone);
    }
}

/// Decides records again. Calls that are alike are looked up once.
struct Decider<'c> {
    configuration: &'c Configuration,
    known: HashMap<Vec<u8>, Known<'c>>,
}

/// Who calls what and where, looked up.
struct Known<'c> {
    tenant: Cow<'static, str>,
    key: String,
    /// The tenant has no such key any more.
    key_is_gone: bool,
    place: Place,
    tool: String,
    standing: Standing<'c>,
}

enum Standing<'c> {
    /// The tenant is no more.
    Gone,
    /// Decided by the names alone.
    Settled(Verdict<'c>),
    /// The tool's name was redacted or cut.
    Nameless,
    /// It depends on arguments or on the time.
    Depends(Box<Caller>, Asker<'c>),
}

#[derive(Clone)]
struct Verdict<'c> {
    outcome: Outcome,
    rule: Option<&'c Rule>,
    reason: Cow<'c, str>,
}

impl<'c> From<Decision<'c>> for Verdict<'c> {
    fn from(decision: Decision<'c>) -> Self {
        Self { outcome: decision.outcome, rule: decision.rule, reason: decision.reason }
    }
}

/// What is known of recorded arguments.
enum Recorded<'l> {
    Arguments(Arguments<'l>),
    /// There were some, and they are not in the record, or only in part.
    Left,
}

impl<'c> Decider<'c> {
    fn new(configuration: &'c Configuration) -> Self {
        Self { configuration, known: HashMap::new() }
    }

    /// Decides one line again and counts it.
    fn line(&mut self, bytes: &[u8], totals: &mut Totals, changes: &mut Vec<Change>) {
        totals.records += 1;
        let Some(line) = Line::read(bytes) else {
            totals.unreadable += 1;
            return;
        };
        if line.mode == b"\"shadow\"" {
            totals.shadow += 1;
        } else if !is_none(line.by) || is_of_nobody(line.reason) {
            totals.by_person += 1;
        } else if self.decide(&line, totals, changes).is_none() {
            totals.unreadable += 1;
        }
    }

    fn decide(&mut self, line: &Line<'_>, totals: &mut Totals, changes: &mut Vec<Change>) -> Option<()> {
        let was = match line.decision {
            b"\"allow\"" => Outcome::Allow,
            b"\"ask\"" => Outcome::Ask,
            b"\"deny\"" => Outcome::Deny,
            _ => return None,
        };
        if was == Outcome::Deny
            && (is_of_limit(line.reason) || is_none(line.rule) && !is_of_rules(line.reason))
        {
            totals.by_no_rule += 1;
            return Some(());
        }
        let known = self.known(line, totals)?;
        let verdict = match &known.standing {
            Standing::Gone => {
                let reason = Cow::Borrowed("there is no such tenant any more");
                Ok(Verdict { outcome: Outcome::Deny, rule: None, reason })
            }
            Standing::Settled(verdict) => Ok(verdict.clone()),
            Standing::Nameless => Err(None),
            Standing::Depends(caller, asker) => {
                let now = values::when(&text(line.time)?).ok()?.start_unix_s();
                again(known, caller, asker, line, now)
            }
        };
        if !totals.tenants.contains_key(&*known.tenant) {
            totals.tenants.insert(known.tenant.to_string(), Counts::default());
        }
        let counts = totals.tenants.get_mut(&*known.tenant)?;
        counts.decided += 1;
        match verdict {
            Err(rule) => {
                counts.untold += 1;
                let rule = rule.map(|rule| rule.source.to_string());
                *totals.untold.entry((known.tenant.to_string(), rule)).or_default() += 1;
            }
            Ok(verdict) if verdict.outcome != was => {
                counts.changed += 1;
                let change = changed(known, line, was, &verdict);
                let turn = Turn {
                    tenant: change.tenant.clone(),
                    was: was.as_str(),
                    now: verdict.outcome.as_str(),
                    rule_was: change.rule_was.clone(),
                    rule_now: change.rule_now.clone(),
                };
                *totals.turns.entry(turn).or_default() += 1;
                changes.push(change);
            }
            Ok(_) => {}
        }
        Some(())
    }

    /// Who calls what, looked up once for all calls that are alike.
    fn known(&mut self, line: &Line<'_>, totals: &mut Totals) -> Option<&Known<'c>> {
        let mut id = Vec::with_capacity(128);
        for part in [line.tenant, line.key, line.place, line.tool] {
            // A newline stands in no line.
            id.extend_from_slice(part);
            id.push(b'\n');
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        if !self.known.contains_key(&id) {
            let known = self.look_up(line)?;
            self.known.insert(id.clone(), known);
        }
        let known = self.known.get(&id)?;
        if matches!(known.standing, Standing::Gone) && !totals.tenants_gone.contains(&*known.tenant) {
            totals.tenants_gone.insert(known.tenant.to_string());
        }
        if known.key_is_gone {
            totals.keys_gone.insert((known.tenant.to_string(), known.key.clone()));
        }
        Some(known)
    }

    fn look_up(&self, line: &Line<'_>) -> Option<Known<'c>> {
        let tenant = text(line.tenant)?.into_owned();
        let key = if is_none(line.key) { String::new() } else { text(line.key)?.into_owned() };
        let place = Place::named(&text(line.place)?)?;
        let tool = if is_none(line.tool) { None } else { Some(text(line.tool)?.into_owned()) };
        let member = self.configuration.snapshot.directory.find(&tenant);
        let key_is_gone = !key.is_empty() && member.is_some_and(|member| member.key(&key).is_none());
        let standing = match (member, &tool) {
            (Some(member), Some(tool)) if !is_cut(tool) => {
                let asker = Asker::new(&self.configuration.snapshot, member.tenant(), member.key(&key));
                standing(asker, &key, tool, place)
            }
            (Some(_), _) => Standing::Nameless,
            (None, _) => Standing::Gone,
        };
        Some(Known {
            tenant: tenant.into(),
            key,
            key_is_gone,
            place,
            tool: tool.unwrap_or_default(),
            standing,
        })
    }
}

fn is_of_rules(reason: &[u8]) -> bool {
    text(reason).is_some_and(|reason| REASONS_WITHOUT_RULE.contains(&&*reason))
}

fn is_of_limit(reason: &[u8]) -> bool {
    let (begins, goes_on) = BEYOND_LIMIT;
    text(reason).is_some_and(|reason| reason.starts_with(begins) && reason.contains(goes_on))
}

fn is_of_nobody(reason: &[u8]) -> bool {
    text(reason).is_some_and(|reason| {
        [CHANGED, NOBODY_IN_TIME, TOO_MANY_WAIT].iter().any(|said| reason.starts_with(said))
    })
}

/// Whether a text is not whole: something in it was redacted, or its middle left out.
fn is_cut(text: &str) -> bool {
    holds_placeholder(text.as_bytes()) || text.contains(CUT)
}

fn standing<'c>(asker: Asker<'c>, key: &str, tool: &str, place: Place) -> Standing<'c> {
    let caller = asker.key.map_or_else(|| asker.tenant.caller.with_key(key), |key| key.caller.clone());
    let rules = asker.tenant.policy.matching(tool);
    let mut enforced = rules.iter().filter(|rule| rule.mode == Mode::Enforce);
    let depends = |rule: &&&Rule| {
        let when = rule.when.as_ref().is_some_and(|when| when.depends_on(&["args", "now"]));
        when || !rule.args.is_empty() || !rule.set.is_empty()
    };
    if enforced.any(|rule| depends(&rule)) {
        return Standing::Depends(Box::new(caller), asker);
    }
    let question = question(&asker, &caller, tool, &Arguments::Open, (place, 0));
    Standing::Settled(asker.tenant.policy.decide(&question).into())
}

fn question<'q>(
    asker: &'q Asker<'_>,
    caller: &'q Caller,
    tool: &'q str,
    args: &'q Arguments<'q>,
    (place, now): (Place, i64),
) -> Question<'q> {
    let key_tools = asker.key.and_then(|key| key.tools.as_ref());
    Question { caller, key_tools, tool, args, place, now }
}

/// Decides a call again by its recorded arguments; an error names the rule that reads what is not there.
fn again<'c>(
    known: &Known<'c>,
    caller: &Caller,
    asker: &Asker<'c>,
    line: &Line<'_>,
    now: i64,
) -> Result<Verdict<'c>, Option<&'c Rule>> {
    let tenant: &'c Tenant = asker.tenant;
    let decide = |args: &Arguments<'_>| {
        let decision = tenant.policy.decide(&question(asker, caller, &known.tool, args, (known.place, now)));
        Verdict::from(decision)
    };
    let recorded = recorded(line);
    let rules = tenant.policy.matching(&known.tool);
    let may_ask = rules.iter().any(|rule| rule.mode == Mode::Enforce && rule.effect == Effect::Ask);
    let mut enforced = rules.into_iter().filter(|rule| rule.mode == Mode::Enforce);
    let doubtful = match &recorded {
        Recorded::Arguments(Arguments::Known(args)) if holds_placeholder(line.args) => {
            let question = question(asker, caller, &known.tool, &Arguments::Open, (known.place, now));
            enforced.find(|rule| doubt::reads_redacted(rule, &question, args))
        }
        Recorded::Arguments(_) => None,
        Recorded::Left => enforced.find(|rule| doubt::reads_arguments(rule)),
    };
    match (doubtful, &recorded) {
        (None, Recorded::Arguments(args)) => Ok(decide(args)),
        (None, Recorded::Left) => Ok(decide(&Arguments::Open)),
        (Some(rule), _) => {
            // The most and the least that any arguments could come to; but that a person is asked lies between the two.
            let (most, least) = (decide(&Arguments::Open), decide(&Arguments::Unreadable));
            let denied = most.rule.is_some_and(|rule| rule.effect == Effect::Deny);
            // An ask that reads what is not there may not be met: then the call could be denied as well.
            let asks_surely = most.rule.is_none_or(|rule| !doubt::reads_arguments(rule));
            let nothing_between = match most.outcome {
                Outcome::Allow => true,
                Outcome::Ask => asks_surely,
                Outcome::Deny => denied || !may_ask,
            };
            if most.outcome == least.outcome && nothing_between { Ok(least) } else { Err(Some(rule)) }
        }
    }
}

fn recorded<'l>(line: &Line<'l>) -> Recorded<'l> {
    match line.args {
        args if is_none(args) && is_none(line.args_hmac) => Recorded::Arguments(Arguments::Open),
        args if is_none(args) => Recorded::Left,
        // What was no JSON is written as a text, and so is what was cut.
        args if args.starts_with(b"\"") => match text(args) {
            Some(text) if text.contains(CUT) => Recorded::Left,
            Some(text) if text.trim().is_empty() => {
                Recorded::Arguments(Arguments::Known(Value::Object(Vec::new())))
            }
            Some(_) | None => Recorded::Arguments(Arguments::Unreadable),
        },
        args => Recorded::Arguments(
            json::parse(args, json::NESTING_MAX).map_or(Arguments::Unreadable, Arguments::of),
        ),
    }
}

fn changed(known: &Known<'_>, line: &Line<'_>, was: Outcome, verdict: &Verdict<'_>) -> Change {
    Change {
        time: text(line.time).unwrap_or_default().into_owned(),
        tenant: known.tenant.to_string(),
        key: known.key.clone(),
        place: known.place.as_str(),
        tool: known.tool.clone(),
        was,
        now: verdict.outcome,
        rule_was: text(line.rule).map(Cow::into_owned),
        rule_now: verdict.rule.map(|rule| rule.source.to_string()),
        reason: verdict.reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
