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
    Endpoint::new("GET", "/", Serves(Describe, collections::plain)),
    Endpoint::new("GET", "/collections", Serves(Describe, collections::list)),
    Endpoint::new("GET", collection!(""), Serves(Describe, collections::describe)),
    Endpoint::new("GET", collection!("/exists"), Serves(Describe, collections::exists)),
    Endpoint::new("PUT", collection!(""), Serves(Manage, collections::create)),
    Endpoint::new("PATCH", collection!(""), Serves(Manage, collections::update)),
    Endpoint::new("DELETE", collection!(""), Serves(Manage, collections::drop_collection)),
    Endpoint::new("PUT", collection!("/index"), Serves(Manage, collections::index)),
    Endpoint::new("DELETE", collection!("/index/{field_name}"), Serves(Manage, collections::drop_part)),
    Endpoint::new("PUT", collection!("/vectors/{vector_name}"), Serves(Manage, collections::vector)),
    Endpoint::new("DELETE", collection!("/vectors/{vector_name}"), Serves(Manage, collections::drop_part)),
    Endpoint::new("POST", collection!("/points/query"), Serves(Query, query::query)),
    Endpoint::new("POST", collection!("/points/query/batch"), Serves(Query, query::query_batch)),
    Endpoint::new("POST", collection!("/points/query/groups"), Serves(Query, query::query_groups)),
    Endpoint::new("POST", collection!("/points/search"), Serves(Query, query::search)),
    Endpoint::new("POST", collection!("/points/search/batch"), Serves(Query, query::search_batch)),
    Endpoint::new("POST", collection!("/points/search/groups"), Serves(Query, query::search_groups)),
    Endpoint::new("POST", collection!("/points/recommend"), Serves(Query, query::recommend)),
    Endpoint::new("POST", collection!("/points/recommend/batch"), Serves(Query, query::recommend_batch)),
    Endpoint::new("POST", collection!("/points/recommend/groups"), Serves(Query, query::recommend_groups)),
    Endpoint::new("POST", collection!("/points/discover"), Serves(Query, query::discover)),
    Endpoint::new("POST", collection!("/points/discover/batch"), Serves(Query, query::discover_batch)),
    Endpoint::new("POST", collection!("/points/search/matrix/pairs"), Serves(Query, read::matrix)),
    Endpoint::new("POST", collection!("/points/search/matrix/offsets"), Serves(Query, read::matrix)),
    Endpoint::new("POST", collection!("/points/scroll"), Serves(Get, read::scroll)),
    Endpoint::new("POST", collection!("/points"), Serves(Get, read::points)),
    Endpoint::new("GET", collection!("/points/{id}"), Serves(Get, read::point)),
    Endpoint::new("POST", collection!("/points/count"), Serves(Count, read::count)),
    Endpoint::new("POST", collection!("/facet"), Serves(Count, read::facet)),
    Endpoint::new("PUT", collection!("/points"), Serves(Write, write::upsert)),
    Endpoint::new("POST", collection!("/points/delete"), Serves(Delete, write::delete)),
    Endpoint::new("POST", collection!("/points/payload"), Serves(Write, write::set_payload)),
    Endpoint::new("PUT", collection!("/points/payload"), Serves(Write, write::overwrite_payload)),
    Endpoint::new("POST", collection!("/points/payload/delete"), Serves(Write, write::delete_payload)),
    Endpoint::new("POST", collection!("/points/payload/clear"), Serves(Write, write::clear_payload)),
    Endpoint::new("PUT", collection!("/points/vectors"), Serves(Write, write::update_vectors)),
    Endpoint::new("POST", collection!("/points/vectors/delete"), Serves(Write, write::delete_vectors)),
    Endpoint::new("POST", collection!("/points/batch"), Serves(Write, write::batch)),
    Endpoint::new("GET", "/aliases", Refuses(ALIAS)),
    Endpoint::new("GET", collection!("/aliases"), Refuses(ALIAS)),
    Endpoint::new("POST", "/collections/aliases", Refuses(ALIAS)),
    Endpoint::new("GET", collection!("/optimizations"), Refuses(FIGURES)),
    Endpoint::new("GET", collection!("/cluster"), Refuses(CLUSTER)),
    Endpoint::new("POST", collection!("/cluster"), Refuses(CLUSTER)),
    Endpoint::new("GET", collection!("/shards"), Refuses(CLUSTER)),
    Endpoint::new("PUT", collection!("/shards"), Refuses(CLUSTER)),
    Endpoint::new("POST", collection!("/shards/delete"), Refuses(CLUSTER)),
    Endpoint::new("GET", "/cluster", Refuses(CLUSTER)),
    Endpoint::new("GET", "/cluster/telemetry", Refuses(CLUSTER)),
    Endpoint::new("POST", "/cluster/recover", Refuses(CLUSTER)),
    Endpoint::new("DELETE", "/cluster/peer/{peer_id}", Refuses(CLUSTER)),
    Endpoint::new("GET", "/snapshots", Refuses(SNAPSHOT)),
    Endpoint::new("POST", "/snapshots", Refuses(SNAPSHOT)),
    Endpoint::new("GET", "/snapshots/{snapshot_name}", Refuses(SNAPSHOT)),
    Endpoint::new("DELETE", "/snapshots/{snapshot_name}", Refuses(SNAPSHOT)),
    Endpoint::new("GET", collection!("/snapshots"), Refuses(SNAPSHOT)),
    Endpoint::new("POST", collection!("/snapshots"), Refuses(SNAPSHOT)),
    Endpoint::new("GET", collection!("/snapshots/{snapshot_name}"), Refuses(SNAPSHOT)),
    Endpoint::new("DELETE", collection!("/snapshots/{snapshot_name}"), Refuses(SNAPSHOT)),
    Endpoint::new("PUT", collection!("/snapshots/recover"), Refuses(SNAPSHOT)),
    Endpoint::new("POST", collection!("/snapshots/upload"), Refuses(SNAPSHOT)),
    Endpoint::new("GET", collection!("/shards/{shard_id}/snapshot"), Refuses(SNAPSHOT)),
    Endpoint::new("GET", collection!("/shards/{shard_id}/snapshots"), Refuses(SNAPSHOT)),
    Endpoint::new("POST", collection!("/shards/{shard_id}/snapshots"), Refuses(SNAPSHOT)),
    Endpoint::new("GET", collection!("/shards/{shard_id}/snapshots/{snapshot_name}"), Refuses(SNAPSHOT)),
    Endpoint::new("DELETE", collection!("/shards/{shard_id}/snapshots/{snapshot_name}"), Refuses(SNAPSHOT)),
    Endpoint::new("PUT", collection!("/shards/{shard_id}/snapshots/recover"), Refuses(SNAPSHOT)),
    Endpoint::new("POST", collection!("/shards/{shard_id}/snapshots/upload"), Refuses(SNAPSHOT)),
    Endpoint::new("GET", "/quotas", Refuses(FIGURES)),
    Endpoint::new("PUT", "/quotas", Refuses(CLUSTER)),
    Endpoint::new("GET", "/issues", Refuses(FIGURES)),
    Endpoint::new("DELETE", "/issues", Refuses(CLUSTER)),
    Endpoint::new("GET", "/telemetry", Refuses(FIGURES)),
    Endpoint::new("GET", "/metrics", Refuses(FIGURES)),
    Endpoint::new("GET", "/healthz", Refuses(PROBE)),
    Endpoint::new("GET", "/livez", Refuses(PROBE)),
    Endpoint::new("GET", "/readyz", Refuses(PROBE)),
];
