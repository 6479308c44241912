//! What holds for a tenant: its own file, the chain of those that it extends, and the defaults, made one. Pure; the
//! compiler makes of it what runs, and `check` looks at the same.
//!
//! A file can only narrow what it extends (`narrow`). What a file does not say narrows nothing, and what no file of the
//! chain says is as `defaults` has it.

mod effective;
mod narrow;

pub(crate) use effective::{Detectors, Effective, Limits};

use super::{At, Loaded, Mark, Problem, nearest, raw};
use crate::policy::LAYERS_MAX;
use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    path::Path,
};

/// A tenant's file and what holds for it.
#[derive(Debug)]
pub(crate) struct Held<'l> {
    pub(crate) raw: &'l raw::Tenant,
    pub(crate) effective: Effective<'l>,
}

impl Held<'_> {
    /// Whether it is only there to be extended.
    pub(super) fn is_abstract(&self) -> bool {
        is_abstract(self.raw)
    }
}

/// Every tenant file, abstract ones too, in the order in which they were read; and what is wrong with `extends`.
pub(crate) fn resolve(loaded: &Loaded) -> (Vec<Held<'_>>, Vec<Problem>) {
    let mut by_name = HashMap::with_capacity(loaded.tenants.len());
    for tenant in &loaded.tenants {
        by_name.entry(tenant.tenant.value.as_str()).or_insert(tenant);
    }
    let defaults = loaded.gateway.as_ref().and_then(|gateway| gateway.defaults.as_ref());
    let mut resolver = Resolver {
        loaded,
        defaults,
        by_name,
        known: HashMap::new(),
        way: Vec::new(),
        told: HashSet::new(),
        problems: Vec::new(),
    };
    let held = loaded.tenants.iter().map(|raw| Held { raw, effective: resolver.effective(raw) });
    let mut held: Vec<Held<'_>> = held.collect();
    if let Some(defaults) = defaults {
        held.iter_mut().for_each(|held| held.effective.fill_from(defaults));
    }
    (held, resolver.problems)
}

fn is_abstract(tenant: &raw::Tenant) -> bool {
    tenant.is_abstract.as_ref().is_some_and(|at| at.value)
}

struct Resolver<'l> {
    loaded: &'l Loaded,
    defaults: Option<&'l raw::Settings>,
    by_name: HashMap<&'l str, &'l raw::Tenant>,
    /// What abstract tenants came to, by where their files begin.
    known: HashMap<Mark, Effective<'l>>,
    /// The tenants that are being resolved: each extends the next.
    way: Vec<(&'l raw::Tenant, &'l At<String>)>,
    /// The `extends` that something was said of: that of `defaults` is met with every tenant.
    told: HashSet<Mark>,
    problems: Vec<Problem>,
}

impl<'l> Resolver<'l> {
    fn effective(&mut self, tenant: &'l raw::Tenant) -> Effective<'l> {
        if let Some(known) = self.known.get(&tenant.at) {
            return known.clone();
        }
        let topmost = self.way.len();
        let effective = match self.parent(tenant) {
            Some((parent, extends)) => {
                self.way.push((tenant, extends));
                let parent = self.effective(parent);
                self.way.truncate(topmost);
                self.narrowed(&parent, tenant, extends)
            }
            None => Effective::topmost(&tenant.settings, is_abstract(tenant)),
        };
        if is_abstract(tenant) {
            self.known.insert(tenant.at, effective.clone());
        }
        effective
    }

    fn narrowed(
        &mut self,
        parent: &Effective<'l>,
        tenant: &'l raw::Tenant,
        extends: &'l At<String>,
    ) -> Effective<'l> {
        if parent.depth + 1 >= LAYERS_MAX {
            self.too_deep(extends);
            return Effective::topmost(&tenant.settings, is_abstract(tenant));
        }
        let (effective, problems) =
            narrow::narrow(parent, &tenant.settings, is_abstract(tenant), &extends.value);
        self.problems.extend(problems);
        effective
    }

    /// The tenant that a tenant extends. An abstract one does not take the defaults' `extends`: it may be the one that
    /// they name.
    fn parent(&mut self, tenant: &'l raw::Tenant) -> Option<(&'l raw::Tenant, &'l At<String>)> {
        let defaults = self.defaults.filter(|_| !is_abstract(tenant));
        let extends = tenant.settings.extends.as_ref();
        let extends = extends.or_else(|| defaults.and_then(|defaults| defaults.extends.as_ref()))?;
        let Some(&parent) = self.by_name.get(extends.value.as_str()) else {
            self.unknown(extends);
            return None;
        };
        if !is_abstract(parent) {
            let message = format!("`{}` is not there to be extended", extends.value);
            let problem = Problem::error("not-abstract", extends.at, message)
                .see("it would need `abstract: true`, and could have no keys", parent.tenant.at);
            self.tell(extends, problem);
            return None;
        }
        let cycle = self.way.iter().position(|(on_way, _)| on_way.at == parent.at);
        if cycle.is_some() || parent.at == tenant.at {
            let message = format!("`{}` extends itself in the end", extends.value);
            let mut problem = Problem::error("extends-cycle", extends.at, message);
            for (_, step) in self.way.iter().skip(cycle.unwrap_or(self.way.len())) {
                problem = problem.see(format!("over `{}` here", step.value), step.at);
            }
            self.tell(extends, problem);
            return None;
        }
        if self.way.len() >= usize::from(LAYERS_MAX) {
            self.too_deep(extends);
            return None;
        }
        Some((parent, extends))
    }

    fn unknown(&mut self, extends: &'l At<String>) {
        // A file that could not be read may be the one that is meant: that is said already.
        let broken = self.loaded.broken.iter().map(|file| Path::new(self.loaded.files.path(*file)));
        if broken.into_iter().any(|path| path.file_stem() == Some(OsStr::new(&extends.value))) {
            return;
        }
        let parents = self.by_name.iter().filter(|(_, tenant)| is_abstract(tenant)).map(|(name, _)| *name);
        let message = match nearest(&extends.value, parents) {
            Some(near) => format!("there is no tenant `{}`; did you mean `{near}`?", extends.value),
            None => format!("there is no tenant `{}`", extends.value),
        };
        let problem = Problem::error("unknown-tenant", extends.at, message);
        self.tell(extends, problem.hint("name a tenant file that has `abstract: true`"));
    }

    fn too_deep(&mut self, extends: &'l At<String>) {
        let message = format!("a chain of `extends` is at most {LAYERS_MAX} files long");
        self.tell(extends, Problem::error("too-deep", extends.at, message));
    }

    fn tell(&mut self, extends: &At<String>, problem: Problem) {
        if self.told.insert(extends.at) {
            self.problems.push(problem);
        }
    }
}
