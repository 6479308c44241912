//! Upstreams: stores that tenants share without being told apart, servers that nobody may use, models without a price.

use super::{Found, View, may_call};
use crate::{
    config::{At, Problem, lineage::Held, raw},
    policy::glob::Glob,
    upstream::http1::{Origin, Scheme},
};
use raw::UpstreamKind as Kind;

pub(super) fn lint(view: &View<'_>, found: &mut Found) {
    for (name, upstream) in &view.gateway.upstreams.0 {
        let is_bare = upstream.tenant_field.is_none() && upstream.scope.is_none();
        if is_store(upstream.kind.value) && !is_apart(upstream) && is_bare {
            let message = format!("`{}` is a vector store without `tenant_field`", name.value);
            let problem = Problem::warning("shared-store", name.at, message);
            found.push(problem.hint(
                "records are told apart by `tenant_id` then; write the field that yours have, or `scope: collection`",
            ));
        }
        addresses(upstream, found);
        if is_store(upstream.kind.value) {
            for held in view.running() {
                manages(name, upstream, held, found);
            }
        }
        if view.whole && view.running().next().is_some() && !is_used(view, &name.value, upstream.kind.value) {
            unused(name, upstream.kind.value, found);
        }
    }
    for held in view.running() {
        unpriced(view, held, found);
    }
}

/// Addresses that stand there twice, and authorities that vouch for none of them.
fn addresses(upstream: &raw::Upstream, found: &mut Found) {
    let urls: Vec<&At<String>> = upstream.url.iter().chain(&upstream.urls).collect();
    let place = |url: &At<String>| Origin::parse(&url.value).ok();
    for (at, url) in urls.iter().enumerate() {
        let first = urls.iter().take(at).find(|first| place(first) == place(url));
        if let Some(first) = first.filter(|_| place(url).is_some()) {
            let message =
                "this address stands here twice: it gets twice its share, and is no other one to try";
            let problem = Problem::warning("twin-url", url.at, message).see("the first is here", first.at);
            found.push(problem.hint("remove it"));
        }
    }
    let is_plain = |url: &&At<String>| place(url).is_some_and(|(origin, _)| origin.scheme() == Scheme::Plain);
    if let Some(ca) = upstream.ca.as_ref().filter(|_| !urls.is_empty() && urls.iter().all(is_plain)) {
        let message = "no address here is `https`: `ca` is not used, and nothing on the way is encrypted";
        found.push(Problem::warning("unused-ca", ca.at, message).hint("write `https://`, or remove `ca`"));
    }
}

/// Whoever manages a store makes and deletes the collections of all: hardly meant where a pattern of everything allows it.
fn manages(name: &At<String>, upstream: &raw::Upstream, held: &Held<'_>, found: &mut Found) {
    if is_apart(upstream) {
        return;
    }
    let tool = format!("{}__manage", name.value);
    for rule in held.effective.tools.iter().flat_map(|layer| layer.rules) {
        let raw::Effect::Allow(globs) = &rule.effect else { continue };
        let wide = globs.iter().find(|glob| glob.value != tool && Glob::new(&glob.value).matches(&tool));
        if let Some(glob) = wide.filter(|_| rule.when.is_none() && rule.args.0.is_empty()) {
            let message = format!(
                "`{}` lets `{}` manage the collections of all tenants in `{}`",
                glob.value, held.raw.tenant.value, name.value
            );
            let hint = "name what it may do: `__query`, `__get`, `__count`, `__write`, `__delete`; or write `__manage` itself";
            found.push(Problem::warning("manages-store", glob.at, message).hint(hint));
        }
    }
}

/// Whether each tenant has collections of its own: Pinecone's namespaces are, unless something else is written.
fn is_apart(upstream: &raw::Upstream) -> bool {
    let scope = upstream.scope.as_ref().map(|scope| scope.value);
    scope.map_or(upstream.kind.value == Kind::Pinecone, |scope| scope == raw::Scope::Collection)
}

pub(super) fn is_store(kind: Kind) -> bool {
    match kind {
        Kind::Chroma | Kind::Opensearch | Kind::Pinecone | Kind::Qdrant | Kind::Weaviate => true,
        Kind::Anthropic | Kind::Http | Kind::Mcp | Kind::Openai => false,
    }
}

fn is_used(view: &View<'_>, name: &str, kind: Kind) -> bool {
    if matches!(kind, Kind::Anthropic | Kind::Openai) {
        let leads_here = |model: &raw::Model| model.upstream.0.iter().any(|upstream| upstream.value == name);
        let mut models = view.gateway.models.0.iter().filter(|(_, model)| leads_here(model));
        return models.any(|(model, _)| view.running().any(|held| may_use(view, held, &model.value)));
    }
    let tools = Glob::new(&format!("{name}__*"));
    view.running().any(|held| may_call(held, &tools))
}

fn unused(name: &At<String>, kind: Kind, found: &mut Found) {
    let (what, help) = if matches!(kind, Kind::Anthropic | Kind::Openai) {
        (
            "no tenant may use a model that leads to",
            "name it in `models`, and let a tenant use the model".to_owned(),
        )
    } else {
        ("no tenant may call a tool of", format!("allow `{}__…` in a tenant's `tools`", name.value))
    };
    let message = format!("{what} the upstream `{}`", name.value);
    found.push(Problem::warning("unused-upstream", name.at, message).hint(format!("{help}, or remove it")));
}

/// Whether a tenant may ask for some model that the entry serves. Exact names come before globs.
fn may_use(view: &View<'_>, held: &Held<'_>, entry: &str) -> bool {
    let entries = &view.gateway.models.0;
    let is_named = |model: &str| entries.iter().any(|(name, _)| name.value == model);
    let served = Glob::new(entry);
    let is_glob = entry.contains(['*', '?']);
    // A chain that says nothing of models has none.
    !held.effective.models.is_empty()
        && held.effective.models.iter().all(|list| {
            list.iter().any(|glob| {
                let plain = !glob.value.contains(['*', '?']);
                // A model that has an entry of its own is not served by a pattern.
                let elsewhere = plain && is_glob && is_named(&glob.value);
                !elsewhere && Glob::new(&glob.value).overlaps(&served)
            })
        })
}

fn unpriced(view: &View<'_>, held: &Held<'_>, found: &mut Found) {
    let Some(budget) = held.effective.budgets.first() else { return };
    for (name, model) in &view.gateway.models.0 {
        if model.price.is_none() && may_use(view, held, &name.value) {
            let tenant = &held.raw.tenant.value;
            let message = format!("`{}` has no price, and `{tenant}` may use it within a budget", name.value);
            let problem = Problem::warning("unpriced-model", name.at, message)
                .see("what it costs does not count here", budget.at)
                .hint("write `price: { input: …, output: … }`, in US dollars a million tokens");
            found.push(problem);
        }
    }
}
