//! The matrix: who can reach which model, tool and upstream, and by which rule. Made of a configuration that runs, so
//! that the admin port can show it too; where the files are at hand, models are told with their place.

use super::{
    Asker, Configuration,
    universe::{Name, Universe},
};
use crate::{
    config::{
        At,
        lineage::{self, Held},
    },
    identity::Member,
    json::Value,
    policy::{
        glob::Glob,
        reach::{Reach, Reached},
    },
    snapshot::Snapshot,
    tenant::Key,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a tenant reaches with one of its keys.
#[derive(Debug, Clone)]
pub struct Row<'c> {
    pub tenant: &'c str,
    /// `None` where the tenant has no keys.
    pub key: Option<&'c str>,
    pub is_expired: bool,
    pub models: Vec<Entry>,
    /// Those that some rule of the tenant's matches. Whatever is not there is never reached.
    pub tools: Vec<Entry>,
    pub upstreams: Vec<Entry>,
}

/// One thing that somebody reaches, or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub reach: Reach,
    /// What makes it so: a rule's `file:line`, or words.
    pub by: String,
    /// Under which conditions, or where it goes.
    pub about: String,
}

/// Somebody who can call a tool.
#[derive(Debug, Clone)]
pub struct Who<'c> {
    pub tenant: &'c str,
    pub key: Option<&'c str>,
    pub is_expired: bool,
    pub entry: Entry,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Looked<'c> {
    pub snapshot: &'c Snapshot,
    /// The files that it came from, where they are at hand.
    pub configuration: Option<&'c Configuration>,
    /// Seconds since 1970, UTC.
    pub now: i64,
}

/// The models that tenants list themselves, or that the defaults list for them.
type Lists<'h> = BTreeMap<&'h str, &'h [At<String>]>;

fn own_list<'h>(held: &'h Held<'_>) -> Option<(&'h str, &'h [At<String>])> {
    Some((held.raw.tenant.value.as_str(), held.effective.models.last().copied()?))
}

const BY_KEY: &str = "the key's own list";

impl<'c> Looked<'c> {
    /// The matrix of all tenants, or of one.
    pub fn matrix(&self, universe: &Universe, tenant: Option<&str>) -> Vec<Row<'c>> {
        let held = self.configuration.map(|configuration| lineage::resolve(&configuration.loaded).0);
        let lists: Lists<'_> = held.iter().flatten().filter_map(own_list).collect();
        let members = self.snapshot.directory.iter().filter(|member| !member.tenant().is_abstract);
        let members = members.filter(|member| tenant.is_none_or(|name| member.tenant().id.as_str() == name));
        let mut rows = Vec::new();
        for member in members {
            rows.extend(keys(member).into_iter().map(|key| self.row(member, key, &lists, universe)));
        }
        rows
    }

    /// Everybody who can call a tool, at least sometimes.
    pub fn who_can(&self, tool: &str, tenant: Option<&str>) -> Vec<Who<'c>> {
        let members = self.snapshot.directory.iter().filter(|member| !member.tenant().is_abstract);
        let members = members.filter(|member| tenant.is_none_or(|name| member.tenant().id.as_str() == name));
        let each = members.flat_map(|member| keys(member).into_iter().map(move |key| (member, key)));
        each.filter_map(|(member, key)| {
            let asker = Asker::new(self.snapshot, member.tenant(), key);
            let reached = asker.reach(tool).filter(|reached| reached.reach != Reach::No)?;
            Some(Who {
                tenant: member.tenant().id.as_str(),
                key: key.map(|key| key.id.as_str()),
                is_expired: self.is_expired(key),
                entry: entry(tool.to_owned(), &reached),
            })
        })
        .collect()
    }

    fn is_expired(&self, key: Option<&Key>) -> bool {
        key.and_then(|key| key.expires).is_some_and(|expires| self.now >= expires)
    }

    fn row(
        &self,
        member: &'c Member,
        key: Option<&'c Key>,
        lists: &Lists<'_>,
        universe: &Universe,
    ) -> Row<'c> {
        let asker = Asker::new(self.snapshot, member.tenant(), key);
        let models = self.models(&asker, lists);
        let tools = tools(&asker, universe);
        let upstreams = self.upstreams(&asker, &models, &tools, universe);
        Row {
            tenant: member.tenant().id.as_str(),
            key: key.map(|key| key.id.as_str()),
            is_expired: self.is_expired(key),
            models: models.into_iter().map(|(_, entry)| entry).collect(),
            tools: tools.into_iter().map(|(_, entry)| entry).collect(),
            upstreams,
        }
    }

    /// The models that are configured, with the upstreams that each goes to.
    fn models(&self, asker: &Asker<'_>, lists: &Lists<'_>) -> Vec<(Vec<String>, Entry)> {
        let mut found = Vec::new();
        for model in self.snapshot.models.iter() {
            let name = Name::written(&model.name);
            let upstreams: Vec<String> =
                model.destination.upstreams.iter().map(|upstream| upstream.name.to_string()).collect();
            let goes = upstreams.join(", then ");
            let usable = |name: &Name| name.sample().filter(|sample| asker.may_use(sample));
            let within = within(asker, &name);
            let (reach, by, about) = match (usable(&name), within.iter().find_map(usable)) {
                (Some(sample), _) => (Reach::Yes, self.model_place(asker, lists, &sample), goes),
                (None, Some(sample)) => {
                    let only = within.iter().filter(|name| usable(name).is_some());
                    let only: Vec<String> = only.map(ToString::to_string).collect();
                    let about = format!("{goes}; only {}", only.join(", "));
                    (Reach::If, self.model_place(asker, lists, &sample), about)
                }
                (None, None) => {
                    let why = name.sample().and_then(|sample| asker.why_not(&sample));
                    (Reach::No, why.unwrap_or_default().to_owned(), goes)
                }
            };
            found.push((upstreams, Entry { name: model.name.to_string(), reach, by, about }));
        }
        found
    }

    /// Where the tenant's list names a model.
    fn model_place(&self, asker: &Asker<'_>, lists: &Lists<'_>, model: &str) -> String {
        let listed = lists.get(asker.tenant.id.as_str()).copied().unwrap_or_default();
        let at = listed.iter().find(|at| Glob::new(&at.value).matches(model));
        let place = at.zip(self.configuration).map(|(at, files)| files.place(at.at).to_string());
        let glob = || asker.tenant.models.iter().find(|glob| glob.matches(model));
        place.unwrap_or_else(|| glob().map(|glob| glob.as_str().to_owned()).unwrap_or_default())
    }

    fn upstreams(
        &self,
        asker: &Asker<'_>,
        models: &[(Vec<String>, Entry)],
        tools: &[(Name, Entry)],
        universe: &Universe,
    ) -> Vec<Entry> {
        let mut found: BTreeMap<String, Entry> = BTreeMap::new();
        let mut add = |name: &str, reach: Reach, by: String| {
            let entry = Entry { name: name.to_owned(), reach, by, about: String::new() };
            match found.get_mut(name) {
                Some(known) if known.reach >= reach => {}
                Some(known) => *known = entry,
                None => drop(found.insert(name.to_owned(), entry)),
            }
        };
        for upstream in &self.snapshot.upstreams {
            add(upstream.name.as_str(), Reach::No, "no model and no rule leads there".to_owned());
        }
        for (upstreams, model) in models.iter().filter(|(_, model)| model.reach != Reach::No) {
            for upstream in upstreams {
                add(upstream, model.reach, format!("the model {}", model.name));
            }
        }
        for (upstream, operations) in universe.upstreams() {
            add(upstream, Reach::No, "no rule allows one of its tools".to_owned());
            let samples = operations.iter().filter_map(|tool| Name::written(tool).sample());
            for reached in samples.filter_map(|tool| asker.reach(&tool)) {
                add(upstream, reached.reach, entry(String::new(), &reached).by);
            }
            for (_, tool) in tools.iter().filter(|(_, tool)| is_of(&tool.name, upstream)) {
                add(upstream, tool.reach, tool.by.clone());
            }
        }
        found.into_values().collect()
    }
}

/// What a tenant and its key name within a glob that is configured as a model.
fn within(asker: &Asker<'_>, configured: &Name) -> BTreeSet<Name> {
    let Name::Glob(configured) = configured else { return BTreeSet::new() };
    let configured = Glob::new(configured);
    let own = asker.key.and_then(|key| key.models.as_ref());
    let globs = asker.tenant.models.iter().chain(own.iter().flat_map(|globs| globs.iter()));
    globs
        .map(|glob| Name::written(glob.as_str()))
        .filter(|name| name.sample().is_some_and(|sample| configured.matches(&sample)))
        .collect()
}

fn is_of(tool: &str, upstream: &str) -> bool {
    tool.strip_prefix(upstream).is_some_and(|rest| rest.starts_with("__"))
}

fn keys(member: &Member) -> Vec<Option<&Key>> {
    let keys: Vec<Option<&Key>> = member.keys().map(Some).collect();
    if keys.is_empty() { vec![None] } else { keys }
}

/// The names that some rule of the tenant's matches, and how far the key gets with each.
fn tools(asker: &Asker<'_>, universe: &Universe) -> Vec<(Name, Entry)> {
    let rules = asker.tenant.policy.rules();
    let globs: BTreeSet<&str> = rules.iter().flat_map(|rule| rule.tools.iter()).map(Glob::as_str).collect();
    let narrowed = asker.key.and_then(|key| key.tools.as_ref());
    let own = narrowed.iter().flat_map(|globs| globs.iter()).map(Glob::as_str);
    let mut names: BTreeSet<Name> = universe.names().cloned().collect();
    // What a key's own glob and a rule's have in common is named by neither.
    for own in own.filter(|own| own.contains('*')) {
        let others = globs.iter().filter(|glob| glob.contains('*') && **glob != own);
        names.extend(others.map(|glob| Name::Both((*glob).to_owned(), own.to_owned())));
    }
    let mut found: Vec<(Name, Entry)> = Vec::new();
    for name in names {
        let Some(sample) = name.sample() else { continue };
        if asker.tenant.policy.matching(&sample).is_empty() {
            continue;
        }
        let entry = match asker.reach(&sample) {
            Some(reached) => entry(name.to_string(), &reached),
            None => Entry {
                name: name.to_string(),
                reach: Reach::No,
                by: BY_KEY.to_owned(),
                about: String::new(),
            },
        };
        if !matches!(name, Name::Both(..)) || entry.reach != Reach::No {
            found.push((name, entry));
        }
    }
    found
}

fn entry(name: String, reached: &Reached<'_>) -> Entry {
    let by = reached.by.map_or_else(|| "no rule allows it".to_owned(), |rule| rule.source.to_string());
    let about = match (reached.conditions(), reached.forced()) {
        (conditions, forced) if forced.is_empty() || reached.reach == Reach::No => conditions,
        (conditions, forced) if conditions.is_empty() => format!("set {forced}"),
        (conditions, forced) => format!("{conditions}; set {forced}"),
    };
    Entry { name, reach: reached.reach, by, about }
}

/// What `tollgate access --format json` says, of a configuration that runs: the matrix, or who can call a tool. Its names
/// are those of rules and keys; `now` in seconds since 1970, UTC.
pub fn json(snapshot: &Snapshot, now: i64, tenant: Option<&str>, tool: Option<&str>) -> Value<'static> {
    let looked = Looked { snapshot, configuration: None, now };
    match tool {
        Some(tool) => {
            let who = who_json(&looked.who_can(tool, tenant));
            Value::object([("tool", Value::string(tool.to_owned())), ("who", who)])
        }
        None => {
            let rows = looked.matrix(&Universe::of_snapshot(snapshot), tenant);
            Value::object([("access", matrix_json(&rows))])
        }
    }
}

/// The matrix as JSON: `[{ tenant, key, expired, models, tools, upstreams }]`.
pub fn matrix_json(rows: &[Row<'_>]) -> Value<'static> {
    let list = |entries: &[Entry]| Value::Array(entries.iter().map(entry_json).collect());
    let row = |row: &Row<'_>| {
        Value::object([
            ("tenant", Value::string(row.tenant.to_owned())),
            ("key", row.key.map_or(Value::Null, |key| Value::string(key.to_owned()))),
            ("expired", Value::Bool(row.is_expired)),
            ("models", list(&row.models)),
            ("tools", list(&row.tools)),
            ("upstreams", list(&row.upstreams)),
        ])
    };
    Value::Array(rows.iter().map(row).collect())
}

/// Who can call a tool, as JSON: `[{ tenant, key, expired, name, access, by, about }]`.
pub fn who_json(who: &[Who<'_>]) -> Value<'static> {
    let one = |who: &Who<'_>| {
        let mut object = Value::object([
            ("tenant", Value::string(who.tenant.to_owned())),
            ("key", who.key.map_or(Value::Null, |key| Value::string(key.to_owned()))),
            ("expired", Value::Bool(who.is_expired)),
        ]);
        if let Value::Object(members) = entry_json(&who.entry) {
            for (name, value) in members {
                object.set(&name, value);
            }
        }
        object
    };
    Value::Array(who.iter().map(one).collect())
}

fn entry_json(entry: &Entry) -> Value<'static> {
    Value::object([
        ("name", Value::string(entry.name.clone())),
        ("access", Value::string(entry.reach.as_str())),
        ("by", Value::string(entry.by.clone())),
        ("about", Value::string(entry.about.clone())),
    ])
}

#[cfg(test)]
mod tests;
