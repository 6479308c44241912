//! Qdrant's REST API. Source: its OpenAPI description, server 1.16 and later, and the endpoints that came before `query`.
//!
//! Points that a request names by id are looked at first: is one of them another tenant's, a write is refused whole, and
//! an example for a search is told as one that does not exist. No race is left where Qdrant can do it: deletes and changes
//! of payloads by id are sent as a filter (`has_id` and the tenant's clause), which holds when it is done; upserts and new
//! vectors carry an `update_filter`, so that a point that became another's meanwhile is left alone. Qdrant before 1.16 does
//! not know `update_filter`: there, a point that another gateway's tenant makes between look and write is overwritten.

mod answer;
mod collections;
mod filter;
mod id;
mod query;
mod read;
mod talk;
mod write;

use super::{Endpoint, Operation, Verdict};
use Operation::{Count, Delete, Describe, Get, Manage, Query, Write};
use Verdict::{Refuses, Serves};

const fn endpoint(method: &'static str, path: &'static str, verdict: Verdict) -> Endpoint {
    Endpoint { method, path, verdict }
}

const SNAPSHOT: &str = "a snapshot holds the records of all tenants";
const CLUSTER: &str = "it is of the cluster, which all tenants share";
const FIGURES: &str = "its figures are those of all tenants";
const ALIAS: &str = "rules speak of collections by their names, and an alias is another one";
const PROBE: &str = "it is for probes of the store itself";

/// Paths below a collection.
macro_rules! collection {
    ($rest:literal) => {
        concat!("/collections/{collection_name}", $rest)
    };
}

/// The whole API, with what becomes of each endpoint.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint("GET", "/", Serves(Describe, collections::plain)),
    endpoint("GET", "/collections", Serves(Describe, collections::list)),
    endpoint("GET", collection!(""), Serves(Describe, collections::describe)),
    endpoint("GET", collection!("/exists"), Serves(Describe, collections::exists)),
    endpoint("PUT", collection!(""), Serves(Manage, collections::create)),
    endpoint("PATCH", collection!(""), Serves(Manage, collections::update)),
    endpoint("DELETE", collection!(""), Serves(Manage, collections::drop_collection)),
    endpoint("PUT", collection!("/index"), Serves(Manage, collections::index)),
    endpoint("DELETE", collection!("/index/{field_name}"), Serves(Manage, collections::drop_part)),
    endpoint("PUT", collection!("/vectors/{vector_name}"), Serves(Manage, collections::vector)),
    endpoint("DELETE", collection!("/vectors/{vector_name}"), Serves(Manage, collections::drop_part)),
    endpoint("POST", collection!("/points/query"), Serves(Query, query::query)),
    endpoint("POST", collection!("/points/query/batch"), Serves(Query, query::query_batch)),
    endpoint("POST", collection!("/points/query/groups"), Serves(Query, query::query_groups)),
    endpoint("POST", collection!("/points/search"), Serves(Query, query::search)),
    endpoint("POST", collection!("/points/search/batch"), Serves(Query, query::search_batch)),
    endpoint("POST", collection!("/points/search/groups"), Serves(Query, query::search_groups)),
    endpoint("POST", collection!("/points/recommend"), Serves(Query, query::recommend)),
    endpoint("POST", collection!("/points/recommend/batch"), Serves(Query, query::recommend_batch)),
    endpoint("POST", collection!("/points/recommend/groups"), Serves(Query, query::recommend_groups)),
    endpoint("POST", collection!("/points/discover"), Serves(Query, query::discover)),
    endpoint("POST", collection!("/points/discover/batch"), Serves(Query, query::discover_batch)),
    endpoint("POST", collection!("/points/search/matrix/pairs"), Serves(Query, read::matrix)),
    endpoint("POST", collection!("/points/search/matrix/offsets"), Serves(Query, read::matrix)),
    endpoint("POST", collection!("/points/scroll"), Serves(Get, read::scroll)),
    endpoint("POST", collection!("/points"), Serves(Get, read::points)),
    endpoint("GET", collection!("/points/{id}"), Serves(Get, read::point)),
    endpoint("POST", collection!("/points/count"), Serves(Count, read::count)),
    endpoint("POST", collection!("/facet"), Serves(Count, read::facet)),
    endpoint("PUT", collection!("/points"), Serves(Write, write::upsert)),
    endpoint("POST", collection!("/points/delete"), Serves(Delete, write::delete)),
    endpoint("POST", collection!("/points/payload"), Serves(Write, write::set_payload)),
    endpoint("PUT", collection!("/points/payload"), Serves(Write, write::overwrite_payload)),
    endpoint("POST", collection!("/points/payload/delete"), Serves(Write, write::delete_payload)),
    endpoint("POST", collection!("/points/payload/clear"), Serves(Write, write::clear_payload)),
    endpoint("PUT", collection!("/points/vectors"), Serves(Write, write::update_vectors)),
    endpoint("POST", collection!("/points/vectors/delete"), Serves(Write, write::delete_vectors)),
    endpoint("POST", collection!("/points/batch"), Serves(Write, write::batch)),
    endpoint("GET", "/aliases", Refuses(ALIAS)),
    endpoint("GET", collection!("/aliases"), Refuses(ALIAS)),
    endpoint("POST", "/collections/aliases", Refuses(ALIAS)),
    endpoint("GET", collection!("/optimizations"), Refuses(FIGURES)),
    endpoint("GET", collection!("/cluster"), Refuses(CLUSTER)),
    endpoint("POST", collection!("/cluster"), Refuses(CLUSTER)),
    endpoint("GET", collection!("/shards"), Refuses(CLUSTER)),
    endpoint("PUT", collection!("/shards"), Refuses(CLUSTER)),
    endpoint("POST", collection!("/shards/delete"), Refuses(CLUSTER)),
    endpoint("GET", "/cluster", Refuses(CLUSTER)),
    endpoint("GET", "/cluster/telemetry", Refuses(CLUSTER)),
    endpoint("POST", "/cluster/recover", Refuses(CLUSTER)),
    endpoint("DELETE", "/cluster/peer/{peer_id}", Refuses(CLUSTER)),
    endpoint("GET", "/snapshots", Refuses(SNAPSHOT)),
    endpoint("POST", "/snapshots", Refuses(SNAPSHOT)),
    endpoint("GET", "/snapshots/{snapshot_name}", Refuses(SNAPSHOT)),
    endpoint("DELETE", "/snapshots/{snapshot_name}", Refuses(SNAPSHOT)),
    endpoint("GET", collection!("/snapshots"), Refuses(SNAPSHOT)),
    endpoint("POST", collection!("/snapshots"), Refuses(SNAPSHOT)),
    endpoint("GET", collection!("/snapshots/{snapshot_name}"), Refuses(SNAPSHOT)),
    endpoint("DELETE", collection!("/snapshots/{snapshot_name}"), Refuses(SNAPSHOT)),
    endpoint("PUT", collection!("/snapshots/recover"), Refuses(SNAPSHOT)),
    endpoint("POST", collection!("/snapshots/upload"), Refuses(SNAPSHOT)),
    endpoint("GET", collection!("/shards/{shard_id}/snapshot"), Refuses(SNAPSHOT)),
    endpoint("GET", collection!("/shards/{shard_id}/snapshots"), Refuses(SNAPSHOT)),
    endpoint("POST", collection!("/shards/{shard_id}/snapshots"), Refuses(SNAPSHOT)),
    endpoint("GET", collection!("/shards/{shard_id}/snapshots/{snapshot_name}"), Refuses(SNAPSHOT)),
    endpoint("DELETE", collection!("/shards/{shard_id}/snapshots/{snapshot_name}"), Refuses(SNAPSHOT)),
    endpoint("PUT", collection!("/shards/{shard_id}/snapshots/recover"), Refuses(SNAPSHOT)),
    endpoint("POST", collection!("/shards/{shard_id}/snapshots/upload"), Refuses(SNAPSHOT)),
    endpoint("GET", "/quotas", Refuses(FIGURES)),
    endpoint("PUT", "/quotas", Refuses(CLUSTER)),
    endpoint("GET", "/issues", Refuses(FIGURES)),
    endpoint("DELETE", "/issues", Refuses(CLUSTER)),
    endpoint("GET", "/telemetry", Refuses(FIGURES)),
    endpoint("GET", "/metrics", Refuses(FIGURES)),
    endpoint("GET", "/healthz", Refuses(PROBE)),
    endpoint("GET", "/livez", Refuses(PROBE)),
    endpoint("GET", "/readyz", Refuses(PROBE)),
];
