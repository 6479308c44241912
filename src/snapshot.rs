//! A configuration as it runs. A request takes one and sees no other; a reload puts a new one in its place.

use crate::{
    hosts::Hosts,
    identity::Directory,
    names::UpstreamName,
    policy::glob::Glob,
    quota::fair::FairQueue,
    retrieval::{Cursors, Fence, Store},
    tool_api::operation::Operations,
    upstream::{
        Destination, Health, Upstream,
        mcp::{Means, Server},
        published::Published,
        webhook::Webhook,
    },
    usage::Price,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// All that a request is decided and forwarded by.
#[derive(Debug)]
pub struct Snapshot {
    /// Hash of the files that this came from.
    pub hash: Arc<str>,
    pub directory: Directory,
    /// What issuers of tokens publish, by the URL that it is under and by who is trusted on the way.
    pub key_sets: HashMap<Arc<str>, Arc<Published>>,
    pub models: Models,
    pub upstreams: Vec<Arc<Upstream>>,
    /// HTTP APIs of tools and stores, by name.
    pub tool_apis: HashMap<Arc<str>, Arc<ToolApi>>,
    /// MCP servers, sorted by name.
    pub servers: Vec<Arc<Server>>,
    /// Upstreams and servers as single tenants reach them.
    pub accounts: Accounts,
    /// By upstream or server: how many requests it takes at a time, where that is limited.
    pub queues: HashMap<Arc<str>, FairQueue>,
    /// By which names agents speak to the gateway.
    pub hosts: Hosts,
    /// Where clients find the gateway: scheme, host and port.
    pub public_url: Option<String>,
    pub limits: Limits,
    /// By tenant: who is told of calls that wait for a person.
    pub webhooks: HashMap<Arc<str>, Arc<Webhook>>,
    pub tenants: usize,
}

/// An HTTP API whose operations are tools.
#[derive(Debug)]
pub struct ToolApi {
    pub upstream: Arc<Upstream>,
    pub kind: ToolKind,
}

/// What such an API is.
#[derive(Debug)]
pub enum ToolKind {
    /// Its operations are declared.
    Http(Operations),
    Store {
        store: Store,
        /// The member of a record that holds the tenant's name; `None` where collections alone keep tenants apart.
        field: Option<Arc<str>>,
        /// What stands before and behind the tenant's name in front of its own collections; `None` where they are shared.
        own_collections: Option<(Box<str>, Box<str>)>,
    },
}

impl ToolApi {
    /// Whether it is a store.
    pub fn is_store(&self) -> bool {
        matches!(self.kind, ToolKind::Store { .. })
    }

    /// The bounds of a tenant in a store.
    pub fn fence(&self, tenant: &Arc<str>, cursors: Cursors) -> Fence {
        let (field, own) = match &self.kind {
            ToolKind::Http(_) => (None, None),
            ToolKind::Store { field, own_collections, .. } => (field.clone(), own_collections.as_ref()),
        };
        Fence {
            upstream: self.upstream.name.shared(),
            tenant: Arc::clone(tenant),
            field,
            prefix: own.map(|(before, behind)| format!("{before}{tenant}{behind}").into()),
            cursors,
        }
    }
}

/// Upstreams and MCP servers that tenants reach with credentials of their own, by tenant.
#[derive(Debug, Default)]
pub struct Accounts {
    pub upstreams: HashMap<Arc<str>, Vec<Arc<Upstream>>>,
    pub servers: HashMap<Arc<str>, Vec<Arc<Server>>>,
}

impl Snapshot {
    /// The MCP servers as a tenant reaches them, sorted by name: with its own account, in its own process.
    pub fn servers_of<'s>(&'s self, tenant: &'s Arc<str>) -> impl Iterator<Item = Arc<Server>> + 's {
        let own = self.accounts.servers.get(tenant);
        self.servers.iter().map(move |shared| {
            let mut own = own.into_iter().flatten();
            let own = own.find(|own| own.name() == shared.name()).cloned();
            own.unwrap_or_else(|| shared.for_tenant(tenant))
        })
    }

    /// An upstream as a tenant reaches it.
    pub fn upstream_of(&self, tenant: &str, shared: &Arc<Upstream>) -> Arc<Upstream> {
        let mut own = self.accounts.upstreams.get(tenant).into_iter().flatten();
        Arc::clone(own.find(|own| own.name == shared.name).unwrap_or(shared))
    }

    /// The upstream of this name that is asked by HTTP.
    pub fn upstream(&self, name: &str) -> Option<&Upstream> {
        let tool_apis = self.tool_apis.values().map(|api| api.upstream.as_ref());
        let servers = self.servers.iter().filter_map(|server| server.upstream());
        let mut all = self.upstreams.iter().map(AsRef::as_ref).chain(tool_apis).chain(servers);
        all.find(|upstream| upstream.name.as_str() == name)
    }

    /// The same as a tenant with a credential of its own reaches it.
    pub fn account(&self, tenant: &str, name: &str) -> Option<&Upstream> {
        let upstreams = self.accounts.upstreams.get(tenant).into_iter().flatten().map(AsRef::as_ref);
        let servers = self.accounts.servers.get(tenant).into_iter().flatten();
        let mut all = upstreams.chain(servers.filter_map(|server| server.upstream()));
        all.find(|upstream| upstream.name.as_str() == name)
    }

    /// Goes on with what runs for the snapshot that this one replaces.
    pub fn take_over(&mut self, old: &Self) {
        for server in &mut self.servers {
            let before = old.servers.iter().find(|before| before.name() == server.name());
            let Some(before) = before else { continue };
            if server.is_same(before) {
                *server = Arc::clone(before);
                server.look_anew();
            } else if let Some(server) = Arc::get_mut(server) {
                server.take_over(before);
            }
        }
        for (tenant, own) in &mut self.accounts.servers {
            for server in own {
                let mut before = old.accounts.servers.get(tenant).into_iter().flatten();
                if let Some(before) = before.find(|before| server.is_same(before)) {
                    *server = Arc::clone(before);
                    server.look_anew();
                }
            }
        }
    }

    /// Lends MCP servers what all share.
    pub fn equip(&self, means: &Arc<Means>) {
        self.servers
            .iter()
            .chain(self.accounts.servers.values().flatten())
            .for_each(|server| server.equip(means));
    }

    /// How upstreams answer that are asked by HTTP, by name.
    pub fn healths(&self) -> impl Iterator<Item = (&UpstreamName, &Health)> {
        let tool_apis = self.tool_apis.values().map(|api| &api.upstream);
        let upstreams = self.upstreams.iter().chain(tool_apis);
        let upstreams = upstreams.map(|upstream| (&upstream.name, &upstream.health));
        let servers = self.servers.iter();
        upstreams.chain(servers.filter_map(|server| Some((server.upstream_name(), server.health()?))))
    }

    /// Closes connections to upstreams that idled for too long.
    pub fn sweep(&self) {
        self.upstreams.iter().for_each(|upstream| upstream.sweep());
        self.tool_apis.values().for_each(|api| api.upstream.sweep());
        self.servers.iter().for_each(|server| server.sweep());
        self.accounts.upstreams.values().flatten().for_each(|upstream| upstream.sweep());
        self.accounts.servers.values().flatten().for_each(|server| server.sweep());
        self.key_sets.values().for_each(|published| published.sweep());
    }

    /// Keeps what was fetched for the configuration before this one in the same way (an issuer that is away now still is
    /// known), and what was counted of its upstreams.
    pub fn keep_from(&self, before: &Self) {
        for (name, health) in self.healths() {
            if let Some((_, known)) = before.healths().find(|(known, _)| *known == name) {
                health.keep_from(known);
            }
        }
        for (how, published) in &self.key_sets {
            if let Some(known) = before.key_sets.get(how) {
                published.keep_from(known);
            }
        }
    }
}

/// Limits that hold for every tenant, in bytes, levels and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub body: u64,
    /// All bodies at once; None: what there is memory for.
    pub bodies: Option<u64>,
    /// All whole answers at once; None: what there is memory for.
    pub answers: Option<u64>,
    pub nesting: usize,
    pub tool_arguments: usize,
    pub header: usize,
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 10 << 20,
            bodies: None,
            answers: None,
            nesting: 64,
            tool_arguments: 256 << 10,
            header: 32 << 10,
            drain: Duration::from_secs(60),
        }
    }
}

/// What clients may ask for: exact names first, then the glob with the most literal characters.
#[derive(Debug, Default)]
pub struct Models {
    exact: HashMap<Box<str>, Arc<Model>>,
    /// Most literal characters first.
    globs: Vec<(Glob, Arc<Model>)>,
}

/// A model, or a family of models, and where its calls go.
#[derive(Debug)]
pub struct Model {
    /// The name or glob under which it is configured.
    pub name: Arc<str>,
    pub destination: Destination,
    /// Its name at the upstream, where that is another.
    pub model_as: Option<String>,
    pub price: Option<Price>,
}

impl Models {
    /// Models by their configured names; a name with a wildcard is a glob.
    pub fn new(models: impl IntoIterator<Item = Model>) -> Self {
        let mut found = Self::default();
        for model in models.into_iter().map(Arc::new) {
            if model.name.contains(['*', '?']) {
                found.globs.push((Glob::new(&model.name), model));
            } else {
                found.exact.insert(Box::from(&*model.name), model);
            }
        }
        found.globs.sort_by(|(a, _), (b, _)| {
            b.literal_len().cmp(&a.literal_len()).then_with(|| a.as_str().cmp(b.as_str()))
        });
        found
    }

    /// The model that a name stands for.
    pub fn find(&self, name: &str) -> Option<&Arc<Model>> {
        self.exact
            .get(name)
            .or_else(|| self.globs.iter().find(|(glob, _)| glob.matches(name)).map(|(_, model)| model))
    }

    /// All models: exact names sorted, then globs, those with the most literal characters first.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        let mut exact: Vec<&Arc<Model>> = self.exact.values().collect();
        exact.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        exact.into_iter().chain(self.globs.iter().map(|(_, model)| model)).map(AsRef::as_ref)
    }

    /// How many there are, patterns too.
    pub fn len(&self) -> usize {
        self.exact.len() + self.globs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names, or globs of names, under which providers know them.
    pub fn names_sent(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|model| model.model_as.as_deref().unwrap_or(&model.name))
    }

    /// The exact names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.exact.keys().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_first_then_the_longest_glob() {
        let model = |name: &str| Model {
            name: name.into(),
            destination: Destination { upstreams: Vec::new() },
            model_as: None,
            price: None,
        };
        let models = Models::new(["gpt-*", "gpt-5", "gpt-5-*", "*"].map(model));
        let check =
            |asked: &str, found: &str| assert_eq!(&*models.find(asked).unwrap().name, found, "{asked}");
        check("gpt-5", "gpt-5");
        check("gpt-5-mini", "gpt-5-*");
        check("gpt-4", "gpt-*");
        check("claude", "*");
        assert_eq!((models.names(), models.len()), (vec!["gpt-5"], 4));
    }
}
