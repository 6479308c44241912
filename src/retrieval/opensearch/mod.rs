//! The REST API of OpenSearch and Elasticsearch. Source: their API references and Python clients, OpenSearch 3 and
//! Elasticsearch 9.
//!
//! A record that is named by its id is looked up first, and is there for the tenant if it is the tenant's. What is then
//! written holds only if nothing changed: what was there is written under its sequence number, what was not is created. So
//! no race is left. One request names one index: rules speak of one. Cursors (scrolls, points in time) name their index
//! themselves and go out sealed.

mod aggregation;
mod answer;
mod change;
mod document;
mod indices;
mod mapping;
mod query;
mod retriever;
mod search;
mod sort;
mod source;
mod write;

pub(super) use indices::named;

use super::{Endpoint, Operation, Verdict};
use Operation::{Count, Delete, Describe, Get, Manage, Query, Write};
use Verdict::{Refuses, Serves};

const ALIAS: &str = "rules speak of indices by their names, and an alias is another one";
const CLUSTER: &str = "it is of the cluster, which all tenants share";
const FIELDS: &str = "it tells of the fields and terms of all tenants' records";
const INDEX: &str = "a query names its index in the path";
const LANGUAGE: &str = "queries in this language are not read";
const SCRIPT: &str = "scripts are not read";

/// Paths below an index.
macro_rules! index {
    ($rest:literal) => {
        concat!("/{index}", $rest)
    };
}

/// The API for records and indices, with what becomes of each endpoint. The others are not served either.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new("GET", "/", Serves(Describe, indices::info)),
    Endpoint::new("HEAD", "/", Serves(Describe, indices::info)),
    Endpoint::new("POST", index!("/_search"), Serves(Query, search::search)),
    Endpoint::new("GET", index!("/_search"), Serves(Query, search::search)),
    Endpoint::new("POST", "/_search", Serves(Query, search::search)),
    Endpoint::new("GET", "/_search", Serves(Query, search::search)),
    Endpoint::new("POST", index!("/_msearch"), Serves(Query, search::searches)),
    Endpoint::new("POST", "/_msearch", Serves(Query, search::searches)),
    Endpoint::new("POST", "/_search/scroll", Serves(Get, search::scroll)),
    Endpoint::new("DELETE", "/_search/scroll", Serves(Get, search::close_scroll)),
    Endpoint::new("POST", index!("/_search/point_in_time"), Serves(Query, search::point_in_time)),
    Endpoint::new("DELETE", "/_search/point_in_time", Serves(Query, search::close_point_in_time)),
    Endpoint::new("POST", index!("/_pit"), Serves(Query, search::point_in_time)),
    Endpoint::new("DELETE", "/_pit", Serves(Query, search::close_point_in_time)),
    Endpoint::new("POST", index!("/_count"), Serves(Count, search::count)),
    Endpoint::new("GET", index!("/_count"), Serves(Count, search::count)),
    Endpoint::new("GET", index!("/_doc/{id}"), Serves(Get, document::get)),
    Endpoint::new("HEAD", index!("/_doc/{id}"), Serves(Get, document::exists)),
    Endpoint::new("GET", index!("/_source/{id}"), Serves(Get, document::source)),
    Endpoint::new("HEAD", index!("/_source/{id}"), Serves(Get, document::exists)),
    Endpoint::new("POST", index!("/_mget"), Serves(Get, document::several)),
    Endpoint::new("GET", index!("/_mget"), Serves(Get, document::several)),
    Endpoint::new("POST", "/_mget", Serves(Get, document::several)),
    Endpoint::new("PUT", index!("/_doc/{id}"), Serves(Write, write::index)),
    Endpoint::new("POST", index!("/_doc/{id}"), Serves(Write, write::index)),
    Endpoint::new("POST", index!("/_doc"), Serves(Write, write::add)),
    Endpoint::new("PUT", index!("/_create/{id}"), Serves(Write, write::create)),
    Endpoint::new("POST", index!("/_create/{id}"), Serves(Write, write::create)),
    Endpoint::new("POST", index!("/_update/{id}"), Serves(Write, write::update)),
    Endpoint::new("POST", index!("/_bulk"), Serves(Write, write::bulk)),
    Endpoint::new("PUT", index!("/_bulk"), Serves(Write, write::bulk)),
    Endpoint::new("POST", "/_bulk", Serves(Write, write::bulk)),
    Endpoint::new("PUT", "/_bulk", Serves(Write, write::bulk)),
    Endpoint::new("POST", index!("/_refresh"), Serves(Write, indices::refresh)),
    Endpoint::new("DELETE", index!("/_doc/{id}"), Serves(Delete, write::delete)),
    Endpoint::new("POST", index!("/_delete_by_query"), Serves(Delete, write::delete_by_query)),
    Endpoint::new("HEAD", index!(""), Serves(Describe, indices::exists)),
    Endpoint::new("GET", index!(""), Serves(Describe, indices::describe)),
    Endpoint::new("GET", index!("/_mapping"), Serves(Describe, indices::describe)),
    Endpoint::new("PUT", index!(""), Serves(Manage, indices::create)),
    Endpoint::new("PUT", index!("/_mapping"), Serves(Manage, indices::map)),
    Endpoint::new("DELETE", index!(""), Serves(Manage, indices::drop_index)),
    Endpoint::new("GET", "/_msearch", Refuses("send it by POST")),
    Endpoint::new("POST", "/_count", Refuses(INDEX)),
    Endpoint::new("GET", "/_count", Refuses(INDEX)),
    Endpoint::new("POST", "/_pit", Refuses(INDEX)),
    Endpoint::new("GET", "/_search/point_in_time/_all", Refuses("it lists those of all tenants")),
    Endpoint::new("DELETE", "/_search/point_in_time/_all", Refuses("it closes those of all tenants")),
    Endpoint::new("DELETE", "/_search/scroll/_all", Refuses("it closes those of all tenants")),
    Endpoint::new("GET", "/_search/scroll", Refuses("send it by POST")),
    Endpoint::new("POST", index!("/_update_by_query"), Refuses(SCRIPT)),
    Endpoint::new("POST", "/_reindex", Refuses("it copies the records of all tenants")),
    Endpoint::new("POST", index!("/_search/template"), Refuses(SCRIPT)),
    Endpoint::new("POST", "/_search/template", Refuses(SCRIPT)),
    Endpoint::new("POST", "/_msearch/template", Refuses(SCRIPT)),
    Endpoint::new("POST", "/_render/template", Refuses(SCRIPT)),
    Endpoint::new("PUT", "/_scripts/{name}", Refuses(SCRIPT)),
    Endpoint::new(
        "POST",
        index!("/_async_search"),
        Refuses("its answer is fetched by an id that anybody may use"),
    ),
    Endpoint::new(
        "GET",
        "/_async_search/{name}",
        Refuses("its answer is fetched by an id that anybody may use"),
    ),
    Endpoint::new("POST", index!("/_knn_search"), Refuses("use `_search` with `knn`")),
    Endpoint::new("GET", index!("/_explain/{id}"), Refuses(FIELDS)),
    Endpoint::new("POST", index!("/_explain/{id}"), Refuses(FIELDS)),
    Endpoint::new("GET", index!("/_termvectors/{id}"), Refuses(FIELDS)),
    Endpoint::new("POST", index!("/_mtermvectors"), Refuses(FIELDS)),
    Endpoint::new("POST", index!("/_terms_enum"), Refuses(FIELDS)),
    Endpoint::new("GET", index!("/_field_caps"), Refuses(FIELDS)),
    Endpoint::new("GET", index!("/_validate/query"), Refuses(FIELDS)),
    Endpoint::new("GET", index!("/_stats"), Refuses(FIELDS)),
    Endpoint::new("GET", index!("/_settings"), Refuses(CLUSTER)),
    Endpoint::new("PUT", index!("/_settings"), Refuses(CLUSTER)),
    Endpoint::new("POST", index!("/_rank_eval"), Refuses("its searches are not read")),
    Endpoint::new("POST", index!("/_graph/explore"), Refuses(FIELDS)),
    Endpoint::new("POST", "/_sql", Refuses(LANGUAGE)),
    Endpoint::new("POST", "/_query", Refuses(LANGUAGE)),
    Endpoint::new("POST", index!("/_eql/search"), Refuses(LANGUAGE)),
    Endpoint::new("POST", "/_plugins/_sql", Refuses(LANGUAGE)),
    Endpoint::new("POST", "/_plugins/_ppl", Refuses(LANGUAGE)),
    Endpoint::new("GET", "/_alias", Refuses(ALIAS)),
    Endpoint::new("POST", "/_aliases", Refuses(ALIAS)),
    Endpoint::new("PUT", index!("/_alias/{name}"), Refuses(ALIAS)),
    Endpoint::new("POST", index!("/_close"), Refuses(CLUSTER)),
    Endpoint::new("POST", index!("/_forcemerge"), Refuses(CLUSTER)),
    Endpoint::new("GET", "/_cat/indices", Refuses(CLUSTER)),
    Endpoint::new("GET", "/_cluster/health", Refuses(CLUSTER)),
    Endpoint::new("GET", "/_cluster/settings", Refuses(CLUSTER)),
    Endpoint::new("GET", "/_nodes", Refuses(CLUSTER)),
    Endpoint::new("GET", "/_tasks", Refuses(CLUSTER)),
    Endpoint::new("GET", "/_snapshot", Refuses("a snapshot holds the records of all tenants")),
    Endpoint::new("PUT", "/_ingest/pipeline/{name}", Refuses(SCRIPT)),
    Endpoint::new("PUT", "/_search/pipeline/{name}", Refuses(SCRIPT)),
    Endpoint::new("PUT", "/_index_template/{name}", Refuses(CLUSTER)),
];
