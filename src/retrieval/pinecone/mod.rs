//! Pinecone's REST API to one index, its data plane. Source: its Python client, version 10, and its API reference of 2025-10.
//!
//! Pinecone writes without conditions, and what was written is seen a while later: a look at an id says nothing of whose
//! it is when it is written. So each tenant has namespaces of its own, and there its ids meet nobody's; the tenant's clause
//! and the check of every answer are a second wall. Where tenants share namespaces nevertheless (`scope: field`), they are
//! read by filter and cleared by filter; whatever goes by an id or counts is refused.

mod filter;
mod namespace;
mod read;
mod records;
mod write;

pub(super) use namespace::named;

use super::{Endpoint, Operation, Verdict};
use Operation::{Count, Delete, Describe, Get, Manage, Query, Write};
use Verdict::{Refuses, Serves};

const DOCUMENTS: &str = "documents are not read: use the vectors or the records of the index";
const IMPORT: &str = "an import writes records that nobody stamped";

/// The whole API of an index, with what becomes of each endpoint.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new("POST", "/query", Serves(Query, read::query)),
    Endpoint::new("POST", "/records/namespaces/{namespace}/search", Serves(Query, records::search)),
    Endpoint::new("GET", "/vectors/fetch", Serves(Get, read::fetch)),
    Endpoint::new("POST", "/vectors/fetch_by_metadata", Serves(Get, read::fetch_by_metadata)),
    Endpoint::new("GET", "/vectors/list", Serves(Get, read::list)),
    Endpoint::new("GET", "/describe_index_stats", Serves(Count, namespace::stats)),
    Endpoint::new("POST", "/describe_index_stats", Serves(Count, namespace::stats)),
    Endpoint::new("POST", "/vectors/upsert", Serves(Write, write::upsert)),
    Endpoint::new("POST", "/vectors/update", Serves(Write, write::update)),
    Endpoint::new("POST", "/records/namespaces/{namespace}/upsert", Serves(Write, records::upsert)),
    Endpoint::new("POST", "/vectors/delete", Serves(Delete, write::delete)),
    Endpoint::new("GET", "/namespaces", Serves(Describe, namespace::list)),
    Endpoint::new("GET", "/namespaces/{namespace}", Serves(Describe, namespace::describe)),
    Endpoint::new("POST", "/namespaces", Serves(Manage, namespace::create)),
    Endpoint::new("DELETE", "/namespaces/{namespace}", Serves(Manage, namespace::drop_namespace)),
    Endpoint::new("POST", "/namespaces/{namespace}/documents/search", Refuses(DOCUMENTS)),
    Endpoint::new("POST", "/namespaces/{namespace}/documents/fetch", Refuses(DOCUMENTS)),
    Endpoint::new("POST", "/namespaces/{namespace}/documents/list", Refuses(DOCUMENTS)),
    Endpoint::new("POST", "/namespaces/{namespace}/documents/upsert", Refuses(DOCUMENTS)),
    Endpoint::new("POST", "/namespaces/{namespace}/documents/update", Refuses(DOCUMENTS)),
    Endpoint::new("POST", "/namespaces/{namespace}/documents/delete", Refuses(DOCUMENTS)),
    Endpoint::new("POST", "/bulk/imports", Refuses(IMPORT)),
    Endpoint::new("GET", "/bulk/imports", Refuses(IMPORT)),
    Endpoint::new("GET", "/bulk/imports/{id}", Refuses(IMPORT)),
    Endpoint::new("DELETE", "/bulk/imports/{id}", Refuses(IMPORT)),
];
