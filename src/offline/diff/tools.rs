//! Tools that a tenant gains and loses, or gets under other conditions.

use super::{Direction, Kind, Note, Side};
use crate::{
    config::{raw, values},
    offline::universe::{Name, Universe},
    policy::{
        Effect, Mode, Rule,
        glob::Glob,
        reach::{Reach, Reached, Whose},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ptr,
    time::Duration,
};

/// How a tenant may use a tool: what is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    reach: Reach,
    conditions: String,
    forced: String,
    limits: String,
    within: String,
    /// Where the rule stands that is named.
    by: Option<String>,
}

/// How much of a rule is compared, all of it but its place: its globs, and the rest.
type Text = (String, String);

pub(super) fn compare(tenant: &str, sides: [Side<'_>; 2], universe: &Universe) -> Vec<Note> {
    let texts = sides.map(rule_texts);
    let [old_texts, new_texts] = &texts;
    // The rules of either side that the other does not have in the same words.
    let changed = [only_in(old_texts, new_texts), only_in(new_texts, old_texts)];
    let mut suspects: Vec<&Rule> = changed.iter().flatten().map(|(rule, _)| *rule).collect();
    let [old_layers, new_layers] = sides.map(allowing_layers);
    if old_layers != new_layers {
        // Another file has to allow whatever is allowed.
        suspects.extend(texts.iter().flatten().map(|(rule, _)| *rule));
    }
    if labels(sides[0]) != labels(sides[1]) {
        let conditional = |rule: &&Rule| rule.when.as_ref().is_some_and(|when| when.depends_on(&["tenant"]));
        suspects.extend(texts.iter().flatten().map(|(rule, _)| *rule).filter(conditional));
    }
    let globs: BTreeSet<&str> =
        suspects.iter().flat_map(|rule| rule.tools.iter()).map(Glob::as_str).collect();
    if globs.is_empty() {
        return Vec::new();
    }
    let [old_extras, new_extras] = &sides.map(Extras::of);
    let (mut notes, mut shown) = (Vec::new(), BTreeSet::new());
    let mut told: BTreeMap<Name, [Use; 2]> = BTreeMap::new();
    for name in names(&globs, sides, universe) {
        let Some(sample) = name.sample() else { continue };
        let [was, now] = sides.map(|side| reach(side, &sample));
        let (old, new) = (usage(was.as_ref(), old_extras), usage(now.as_ref(), new_extras));
        let Some(note) = note(tenant, &name, &old, &new) else { continue };
        let matching = |side: Side<'_>| matching(side, &sample);
        shown.extend(sides.into_iter().flat_map(matching));
        let uses = [old, new];
        if !is_told(&told, &name, &sample, &uses) {
            told.insert(name, uses);
            notes.push(note);
        }
    }
    let words = [("loses the rule", new_texts), ("gains the rule", old_texts)];
    for (rules, (word, others)) in changed.iter().zip(words) {
        let is_hidden = |(rule, text): &&(&Rule, Text)| {
            !shown.contains(&ptr::from_ref(*rule)) && !is_within_another(rule, text, others)
        };
        notes.extend(rules.iter().filter(is_hidden).map(|(rule, _)| hidden(tenant, rule, word)));
    }
    notes
}

/// Whether a rule says of all its tools what one of these says of them and of more: what was widened is not lost.
fn is_within_another(rule: &Rule, (_, rest): &Text, others: &[(&Rule, Text)]) -> bool {
    let encloses = |around: &Glob, name: &str| {
        let prefix = around.as_str().strip_suffix('*').filter(|prefix| !prefix.contains(['*', '?']));
        around.as_str() == name
            || prefix.is_some_and(|prefix| name.starts_with(prefix))
            || (!name.contains(['*', '?']) && around.matches(name))
    };
    others.iter().any(|(other, (_, theirs))| {
        let is_enclosed = |glob: &Glob| other.tools.iter().any(|around| encloses(around, glob.as_str()));
        theirs == rest && rule.tools.iter().all(is_enclosed)
    })
}

/// Whether what changes for a glob, or for what two have in common, was told of a glob around it.
fn is_told(told: &BTreeMap<Name, [Use; 2]>, name: &Name, sample: &str, uses: &[Use; 2]) -> bool {
    let around = |other: &Name| match (name, other) {
        (Name::Exact(_), _) | (_, Name::Exact(_) | Name::Both(..)) => false,
        (Name::Glob(_) | Name::Both(..), Name::Glob(glob)) => Glob::new(glob).matches(sample),
    };
    told.iter().any(|(other, told)| around(other) && told == uses)
}

/// The rules of a tenant, and all that each of them says.
fn rule_texts<'c>(side: Side<'c>) -> Vec<(&'c Rule, Text)> {
    let Some(member) = side.member else { return Vec::new() };
    let extras = Extras::of(side);
    let text = |rule: &Rule| {
        let mut globs: Vec<&str> = rule.tools.iter().map(Glob::as_str).collect();
        globs.sort_unstable();
        let (limit, within) = extras.find(rule);
        let mode = if rule.mode == Mode::Shadow { "shadow" } else { "" };
        let rest = format!(
            "{} {} [{}] [{}] {:?} {mode} {limit} {within}",
            rule.layer,
            rule.effect.as_str(),
            rule.conditions(),
            rule.forced(),
            rule.reason
        );
        (format!("{globs:?}"), rest)
    };
    member.tenant().policy.rules().iter().map(|rule| (rule, text(rule))).collect()
}

fn only_in<'c>(these: &[(&'c Rule, Text)], others: &[(&'c Rule, Text)]) -> Vec<(&'c Rule, Text)> {
    let others: BTreeSet<&Text> = others.iter().map(|(_, text)| text).collect();
    these.iter().filter(|(_, text)| !others.contains(text)).cloned().collect()
}

/// The layers that allow something, each of which has to allow whatever is allowed.
fn allowing_layers(side: Side<'_>) -> BTreeSet<u8> {
    let rules = side.member.map(|member| member.tenant().policy.rules()).unwrap_or_default();
    let allows = |rule: &&Rule| rule.effect == Effect::Allow && rule.mode == Mode::Enforce;
    rules.iter().filter(allows).map(|rule| rule.layer).collect()
}

fn labels(side: Side<'_>) -> BTreeMap<&str, String> {
    let labels = side.effective().and_then(|effective| effective.labels.as_ref());
    labels.into_iter().flatten().map(|(name, value)| (*name, value.value.to_string())).collect()
}

/// The names on which these globs can show: those of the universe that match one, the globs themselves, and what each
/// has in common with every other glob of the tenant's.
fn names(globs: &BTreeSet<&str>, sides: [Side<'_>; 2], universe: &Universe) -> BTreeSet<Name> {
    let compiled: Vec<Glob> = globs.iter().map(|glob| Glob::new(glob)).collect();
    let matches =
        |name: &&Name| name.sample().is_some_and(|sample| compiled.iter().any(|glob| glob.matches(&sample)));
    let mut names: BTreeSet<Name> = universe.names().filter(matches).cloned().collect();
    let written = |glob: &str| glob.contains(['*', '?']);
    let all: BTreeSet<&str> = sides
        .iter()
        .filter_map(|side| side.member)
        .flat_map(|member| member.tenant().policy.rules())
        .flat_map(|rule| rule.tools.iter().map(Glob::as_str))
        .filter(|glob| written(glob))
        .collect();
    for glob in globs.iter().filter(|glob| written(glob)) {
        let others = all.iter().filter(|other| *other != glob);
        names.extend(others.map(|other| {
            let (a, b) = if glob < other { (glob, other) } else { (other, glob) };
            Name::Both((*a).to_owned(), (*b).to_owned())
        }));
    }
    names
}

fn reach<'c>(side: Side<'c>, tool: &str) -> Option<Reached<'c>> {
    let tenant = side.member?.tenant();
    Some(tenant.policy.reach(tool, Whose { caller: &tenant.caller, key_is_known: false }))
}

/// The rules whose globs match, for what was shown of them.
fn matching(side: Side<'_>, tool: &str) -> Vec<*const Rule> {
    let enforced = |rule: &&Rule| rule.mode == Mode::Enforce;
    let rules = side.member.map(|member| member.tenant().policy.matching(tool)).unwrap_or_default();
    rules.into_iter().filter(enforced).map(ptr::from_ref).collect()
}

fn usage(reached: Option<&Reached<'_>>, extras: &Extras) -> Use {
    let Some(reached) = reached else {
        let none = String::new;
        return Use {
            reach: Reach::No,
            conditions: none(),
            forced: none(),
            limits: none(),
            within: none(),
            by: None,
        };
    };
    let by = reached.by.map(|rule| rule.source.to_string());
    let granted = |text: String| if reached.reach == Reach::No { String::new() } else { text };
    let found = || reached.rules.iter().map(|rule| extras.find(rule));
    let join = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>().join(", ");
    Use {
        reach: reached.reach,
        conditions: granted(reached.conditions()),
        forced: granted(reached.forced()),
        limits: granted(join(found().map(|(limit, _)| limit).filter(|text| !text.is_empty()).collect())),
        within: granted(join(found().map(|(_, within)| within).filter(|text| !text.is_empty()).collect())),
        by,
    }
}

fn note(tenant: &str, name: &Name, old: &Use, new: &Use) -> Option<Note> {
    let through = |usage: &Use| usage.by.as_ref().map(|by| format!(" through {by}")).unwrap_or_default();
    let conditions = |usage: &Use| match usage.conditions.as_str() {
        "" => String::new(),
        conditions => format!(": {conditions}"),
    };
    let direction = match old.reach.cmp(&new.reach) {
        std::cmp::Ordering::Less => Direction::Gains,
        std::cmp::Ordering::Greater => Direction::Loses,
        std::cmp::Ordering::Equal => Direction::Changes,
    };
    let text = match (old.reach, new.reach) {
        (Reach::No, Reach::No) => return None,
        (Reach::No, Reach::Asks) => {
            format!("{tenant} gains {name} when a person approves{}{}", through(new), conditions(new))
        }
        (Reach::No, Reach::If) => {
            format!("{tenant} gains {name} under conditions{}{}", through(new), conditions(new))
        }
        (Reach::No, Reach::Yes) => format!("{tenant} gains {name}{}", through(new)),
        (_, Reach::No) => {
            let was = old.by.as_ref().map(|by| format!(", which {by} {}", gave(old.reach)));
            let now = match &new.by {
                Some(by) => format!("; now {by} denies it"),
                None => "; now no rule allows it".to_owned(),
            };
            format!("{tenant} loses {name}{}{now}", was.unwrap_or_default())
        }
        (was, now) if was != now => format!(
            "{tenant}: {name} was {}{}, is {} now{}{}",
            state(was),
            place(old),
            state(now),
            place(new),
            conditions(new)
        ),
        _ => return otherwise(tenant, name, old, new),
    };
    let mut note =
        Note::new(Kind::Tool, &name.to_string(), direction, text).values(Some(shown(old)), Some(shown(new)));
    note.rules = [old.by.clone(), new.by.clone()];
    Some(note)
}

/// Allowed as before, but not in the same way.
fn otherwise(tenant: &str, name: &Name, old: &Use, new: &Use) -> Option<Note> {
    let none = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    let parts = [
        (&old.conditions, &new.conditions, "none", "under other conditions"),
        (&old.forced, &new.forced, "nothing", "with other values in `set`"),
        (&old.limits, &new.limits, "none", "with another limit"),
        (&old.within, &new.within, "the usual time", "with another time to approve it"),
    ];
    let differs: Vec<String> = parts
        .into_iter()
        .filter(|(was, now, ..)| was != now)
        .map(|(was, now, empty, words)| {
            format!("{words}: was {}, now {}", none(was, empty), none(now, empty))
        })
        .collect();
    if differs.is_empty() {
        return None;
    }
    let how = if new.reach == Reach::Asks { "is asked about" } else { "is allowed" };
    let text = format!("{tenant}: {name} {how} {}{}", differs.join("; "), place(new));
    let mut note = Note::new(Kind::Tool, &name.to_string(), Direction::Changes, text)
        .values(Some(shown(old)), Some(shown(new)));
    note.rules = [old.by.clone(), new.by.clone()];
    Some(note)
}

fn place(usage: &Use) -> String {
    usage.by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default()
}

fn gave(reach: Reach) -> &'static str {
    match reach {
        Reach::Asks => "gave when a person approved",
        Reach::If => "gave under conditions",
        Reach::No | Reach::Yes => "gave",
    }
}

fn state(reach: Reach) -> &'static str {
    match reach {
        Reach::Asks => "only when a person approves",
        Reach::If => "allowed under conditions",
        Reach::No => "never allowed",
        Reach::Yes => "always allowed",
    }
}

/// All of it in one line: `if: when args.n > 1, set a 1`.
fn shown(usage: &Use) -> String {
    let named = |name: &str, text: &str| (!text.is_empty()).then(|| format!("{name}{text}"));
    let parts = [
        named("", &usage.conditions),
        named("set ", &usage.forced),
        named("limit ", &usage.limits),
        named("within ", &usage.within),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let reach = usage.reach.as_str();
    if parts.is_empty() { reach.to_owned() } else { format!("{reach}: {}", parts.join(", ")) }
}

/// A rule that differs and shows on no name.
fn hidden(tenant: &str, rule: &Rule, word: &str) -> Note {
    let reason = rule.reason.as_ref().map(|reason| format!(", reason {reason:?}")).unwrap_or_default();
    let text = format!("{tenant} {word} at {}: {rule}{reason}", rule.source);
    let mut note = Note::new(Kind::Rule, &rule.to_string(), Direction::Changes, text);
    let at = usize::from(word.starts_with("gains"));
    if let Some(place) = note.rules.get_mut(at) {
        *place = Some(rule.source.to_string());
    }
    note
}

/// What rules say that is not decided by: `limit` and `within`, as they are written.
struct Extras(BTreeMap<(String, String), (String, String)>);

impl Extras {
    fn of(side: Side<'_>) -> Self {
        let layers = side.effective().map(|effective| effective.tools.as_slice()).unwrap_or_default();
        let rules = layers.iter().flat_map(|layer| layer.rules);
        let one = |rule: &raw::Rule| {
            let limit = rule.limit.as_ref().map(|limit| rate(limit.value)).unwrap_or_default();
            let within = rule.within.as_ref().map(|within| duration(within.value)).unwrap_or_default();
            let globs = match &rule.effect {
                raw::Effect::Allow(globs) | raw::Effect::Ask(globs) | raw::Effect::Deny(globs) => globs,
            };
            let globs: Vec<&str> = globs.iter().map(|glob| glob.value.as_str()).collect();
            let place = side.configuration.place(rule.at).to_string();
            ((place, format!("{globs:?}")), (limit, within))
        };
        Self(rules.map(one).filter(|(_, (limit, within))| !limit.is_empty() || !within.is_empty()).collect())
    }

    fn find(&self, rule: &Rule) -> (String, String) {
        let globs: Vec<&str> = rule.tools.iter().map(Glob::as_str).collect();
        self.0.get(&(rule.source.to_string(), format!("{globs:?}"))).cloned().unwrap_or_default()
    }
}

/// `600/min burst 50`.
pub(super) fn rate(rate: values::Rate) -> String {
    let per = match rate.per {
        values::Per::Second => "s",
        values::Per::Minute => "min",
        values::Per::Hour => "hour",
        values::Per::Day => "day",
    };
    let burst = rate.burst.filter(|burst| *burst != rate.count).map(|burst| format!(" burst {burst}"));
    format!("{}/{per}{}", rate.count, burst.unwrap_or_default())
}

/// `10m`, in the largest unit that is whole.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match [(86_400, 'd'), (3_600, 'h'), (60, 'm')].into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit))
    {
        Some((unit, name)) if seconds > 0 && duration.subsec_millis() == 0 => {
            format!("{}{name}", seconds / unit)
        }
        _ if duration.subsec_millis() == 0 => format!("{seconds}s"),
        _ => format!("{}ms", duration.as_millis()),
    }
}
