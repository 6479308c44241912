//! A configuration that is looked at, not served: what the commands share that decide calls without a gateway.
//!
//! [`Configuration::read`] works wherever the files are: secrets and certificates that only the gateway's own place has
//! are not missed. Every other error is an error here too. Apart from the commands so that these only print.

pub mod access;
pub mod cases;
pub mod diff;
pub mod explain;
pub mod replay;
pub mod universe;

use crate::{
    call::{Arguments, Place},
    config::{self, Files, Loaded, Mark, Problem, Severity, compile},
    identity::Member,
    policy::{
        Decision, Question, Source,
        explain::Explanation,
        reach::{Reached, Whose},
    },
    snapshot::Snapshot,
    tenant::{Key, Tenant},
};
use std::path::Path;

/// A configuration, ready to be asked.
#[derive(Debug)]
pub struct Configuration {
    pub snapshot: Snapshot,
    pub loaded: Loaded,
}

/// A configuration with errors: these, and the files that they stand in.
#[derive(Debug)]
pub struct Unfit {
    pub problems: Vec<Problem>,
    pub files: Files,
}

/// A name that nothing has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSuch(String);

/// Who calls: a tenant, with one of its keys or with none that narrows it.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'c> {
    pub tenant: &'c Tenant,
    pub key: Option<&'c Key>,
    snapshot: &'c Snapshot,
}

/// A call, as it is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Call<'q> {
    pub tool: &'q str,
    pub args: &'q Arguments<'q>,
    pub place: Place,
    /// Seconds since 1970, UTC.
    pub now: i64,
}

impl Configuration {
    /// Reads a configuration. `path` is shown in messages as it is given; `now` in seconds since 1970, UTC.
    pub fn read(path: &Path, now: i64) -> Result<Self, Unfit> {
        let loaded = config::load(path);
        let (snapshot, mut problems) = compile::compile_to_read(&loaded, now);
        match snapshot {
            Some(snapshot) => Ok(Self { snapshot, loaded }),
            None => {
                problems.retain(|problem| problem.severity == Severity::Error);
                Err(Unfit { problems, files: loaded.files })
            }
        }
    }

    /// The tools that the policy tests beside the tenants' files call. What cannot be read is for `tollgate test` to tell.
    pub fn tested_tools(&self) -> Vec<String> {
        let mut files = Files::default();
        let paths = config::test_files(&self.loaded);
        let tests = paths.iter().filter_map(|path| config::load_tests(path, &mut files).0);
        tests.flat_map(|tests| tests.cases).filter_map(|case| case.call).map(|call| call.value).collect()
    }

    /// A place as records name it, relative to the directory of `tollgate.yaml`.
    pub fn place(&self, at: Mark) -> Source {
        compile::place(&self.loaded, at)
    }

    /// All tenants, sorted by name. Abstract ones too, which nobody can be: see [`Tenant::is_abstract`].
    pub fn tenants(&self) -> impl Iterator<Item = &Member> {
        self.snapshot.directory.iter()
    }

    /// The tenant of this name.
    pub fn tenant(&self, name: &str) -> Result<&Member, NoSuch> {
        let names = || self.tenants().map(|member| member.tenant().id.as_str());
        let found = self.snapshot.directory.find(name);
        found.ok_or_else(|| no_such("there is no tenant", name, names()))
    }

    /// The tenant of this name, with the key of this id or with none.
    pub fn asker(&self, tenant: &str, key: Option<&str>) -> Result<Asker<'_>, NoSuch> {
        let member = self.tenant(tenant)?;
        let key = key.map(|id| key_of(member, id)).transpose()?;
        Ok(Asker { tenant: member.tenant(), key, snapshot: &self.snapshot })
    }
}

/// The key of a tenant with this id.
fn key_of<'c>(member: &'c Member, id: &str) -> Result<&'c Key, NoSuch> {
    let ids = member.keys().map(|key| key.id.as_str());
    member.key(id).ok_or_else(|| no_such(&format!("the tenant `{}` has no key", member.tenant().id), id, ids))
}

fn no_such<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> NoSuch {
    NoSuch(config::test_cases::no_such(what, name, known))
}

impl<'c> Asker<'c> {
    /// A tenant of a snapshot's, with one of its keys or with none.
    pub fn new(snapshot: &'c Snapshot, tenant: &'c Tenant, key: Option<&'c Key>) -> Self {
        Self { tenant, key, snapshot }
    }

    /// Decides a call of this tenant's.
    pub fn decide(&self, call: &Call<'_>) -> Decision<'c> {
        self.tenant.policy.decide(&self.question(call))
    }

    /// Decides a call of this tenant's, and tells why.
    pub fn explain(&self, call: &Call<'_>) -> Explanation<'c> {
        self.tenant.policy.explain(&self.question(call))
    }

    /// How far this one gets with a tool, whatever the arguments; `None` where the key is narrowed to others.
    pub fn reach(&self, tool: &str) -> Option<Reached<'c>> {
        let narrowed = self.key.and_then(|key| key.tools.as_ref());
        if narrowed.is_some_and(|globs| !globs.take_in(tool)) {
            return None;
        }
        let caller = self.key.map_or(&self.tenant.caller, |key| &key.caller);
        Some(self.tenant.policy.reach(tool, Whose { caller, key_is_known: self.key.is_some() }))
    }

    /// Whether a model exists and may be asked for.
    pub fn may_use(&self, model: &str) -> bool {
        self.why_not(model).is_none()
    }

    /// Why a model may not be asked for; `None` where it may.
    pub fn why_not(&self, model: &str) -> Option<&'static str> {
        let narrowed = self.key.and_then(|key| key.models.as_ref());
        if self.snapshot.models.find(model).is_none() {
            Some("no such model is configured")
        } else if !self.tenant.models.matches(model) {
            Some("the model is not among the tenant's")
        } else if narrowed.is_some_and(|globs| !globs.take_in(model)) {
            Some("the key is narrowed to other models")
        } else {
            None
        }
    }

    fn question<'q>(&self, call: &Call<'q>) -> Question<'q>
    where
        'c: 'q,
    {
        Question {
            caller: self.key.map_or(&self.tenant.caller, |key| &key.caller),
            key_tools: self.key.and_then(|key| key.tools.as_ref()),
            tool: call.tool,
            args: call.args,
            place: call.place,
            now: call.now,
        }
    }
}

#[cfg(test)]
mod tests;
