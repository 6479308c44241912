//! HTTP APIs of tools and stores as they were written to those that are called.

use super::{Compiler, credentials::Own};
use crate::{
    config::{At, Problem, raw},
    dialect::Family,
    retrieval::{Store, weaviate},
    snapshot::{Accounts, ToolApi, ToolKind},
    tool_api::operation::{Operation, Operations},
};
use std::{collections::HashMap, sync::Arc};

/// The member of records that names their tenant, where none is written.
const TENANT_FIELD: &str = "tenant_id";
/// A tenant's own collections, where nothing is written. No tenant's name holds an underscore.
const COLLECTIONS: &str = "{tenant.id}_{collection}";

impl Compiler<'_> {
    /// The APIs, by name.
    pub(super) fn tool_apis(
        &mut self,
        gateway: &raw::Gateway,
        own: &Own,
        accounts: &mut Accounts,
    ) -> HashMap<Arc<str>, Arc<ToolApi>> {
        let mut apis = HashMap::new();
        for (name, raw) in &gateway.upstreams.0 {
            let kind = match raw.kind.value {
                raw::UpstreamKind::Chroma => self.store(raw, Store::Chroma),
                raw::UpstreamKind::Opensearch => self.store(raw, Store::Opensearch),
                raw::UpstreamKind::Pinecone => self.store(raw, Store::Pinecone),
                raw::UpstreamKind::Qdrant => self.store(raw, Store::Qdrant),
                raw::UpstreamKind::Weaviate => self.store(raw, Store::Weaviate),
                raw::UpstreamKind::Http => Some(ToolKind::Http(self.operations(raw))),
                raw::UpstreamKind::Anthropic | raw::UpstreamKind::Mcp | raw::UpstreamKind::Openai => continue,
            };
            if name.value.ends_with('_') {
                let message =
                    "the name of an upstream with tools must not end in `_`: they are `UPSTREAM__operation`";
                self.error("bad-name", name.at, message);
            }
            // What it speaks is JSON of its own; the name of a dialect only finds its parcel.
            let upstream = self.upstream(name, raw, Family::OpenAi);
            let Some((upstream, kind)) = upstream.zip(kind) else { continue };
            for (tenant, credential) in own.get(&name.value).into_iter().flatten() {
                let known = accounts.upstreams.entry(Arc::clone(tenant)).or_default();
                known.push(Arc::new(self.account(&upstream, tenant, credential)));
            }
            let api = ToolApi { upstream: Arc::new(upstream), kind };
            apis.insert(api.upstream.name.shared(), Arc::new(api));
        }
        apis
    }

    fn store(&mut self, raw: &raw::Upstream, store: Store) -> Option<ToolKind> {
        let field = raw.tenant_field.as_ref();
        if let Some(at) = field {
            let plain = at.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            if !plain || at.value.is_empty() || at.value.len() > 64 {
                let message = "a field's name holds letters, digits, `_` and `-`, and is no path";
                self.error("bad-field", at.at, message);
                return None;
            }
            if store == Store::Weaviate && !weaviate::is_property(&at.value) {
                let message =
                    "a property of Weaviate's begins with a small letter, and holds letters, digits and `_`";
                self.error("bad-field", at.at, message);
                return None;
            }
        }
        let (field, own_collections) = match raw.scope.as_ref().map(|at| at.value) {
            // Where nothing is written, both: it cannot keep to a tenant's own ids among others'.
            None if store == Store::Pinecone => {
                (Some(field.map_or(TENANT_FIELD, |at| at.value.as_str())), Some(self.template(raw)?))
            }
            None | Some(raw::Scope::Field) => {
                (Some(field.map_or(TENANT_FIELD, |at| at.value.as_str())), None)
            }
            // Weaviate's own tenants are named as the tenants are.
            Some(raw::Scope::Collection) if store == Store::Weaviate => {
                if let Some(at) = &raw.collections {
                    let message = "not for `kind: weaviate`: each tenant has the one of Weaviate's own tenants that is named as it is";
                    self.error("bad-collections", at.at, message);
                }
                (field.map(|at| at.value.as_str()), Some(("".into(), "".into())))
            }
            Some(raw::Scope::Collection) => (field.map(|at| at.value.as_str()), Some(self.template(raw)?)),
        };
        Some(ToolKind::Store { store, field: field.map(Into::into), own_collections })
    }

    /// What stands before and behind the tenant's name in its collections' names. No tenant's may begin as another's do.
    fn template(&mut self, raw: &raw::Upstream) -> Option<(Box<str>, Box<str>)> {
        let text = raw.collections.as_ref().map_or(COLLECTIONS, |at| at.value.as_str());
        let found = text.strip_suffix("{collection}").and_then(|front| front.split_once("{tenant.id}"));
        let separates = |c: char| "_.".contains(c);
        let plain = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        match found.filter(|(before, behind)| behind.starts_with(separates) && plain(before) && plain(behind))
        {
            Some((before, behind)) => Some((before.into(), behind.into())),
            None => {
                let at = raw.collections.as_ref().map_or(raw.kind.at, |at| at.at);
                let message = "not a template of collections; write `{tenant.id}`, `_` or `.`, and `{collection}` at the end";
                let hint =
                    "no name of a tenant holds `_` or `.`: so no collection of one is taken for another's";
                self.say(Problem::error("bad-collections", at, message).hint(hint));
                None
            }
        }
    }

    fn operations(&mut self, raw: &raw::Upstream) -> Operations {
        let mut operations: Vec<(Operation, &At<String>)> = Vec::new();
        for (name, at) in &raw.operations.0 {
            match Operation::parse(&name.value, &at.value) {
                Ok(operation) => match operations.iter().find(|(known, _)| known.collides(&operation)) {
                    Some((known, there)) => {
                        let message = format!("the same requests are the operation `{}`", known.name);
                        self.say(
                            Problem::error("same-operation", at.at, message).see("it is here", there.at),
                        );
                    }
                    None => operations.push((operation, at)),
                },
                Err(bad) => self.error("bad-operation", at.at, bad.to_string()),
            }
        }
        Operations::new(operations.into_iter().map(|(operation, _)| operation).collect())
    }
}
