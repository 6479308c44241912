//! Retrieval isolation: tenants share a vector store, and never see each other. Pure: a request comes in parsed, what is
//! to be sent comes out, and so does what the client is told of the answer. Nothing here waits for a socket.
//!
//! A store is a table of endpoints ([`Store::endpoints`]): what is not in it is refused, and the table in the
//! documentation is this one. The journey, a step each:
//!
//! 1. [`Store::find`]: which endpoint a request is for. An unknown one is 403.
//! 2. [`Found::lookup`]: where the path names a collection by an id of the store's, its name is asked for first: rules
//!    speak of names.
//! 3. [`Found::understand`]: one of the [`Operation`]s, and its arguments for the rules (`collection`, `filter`, `limit`).
//!    Everything is checked here: unknown members and clauses are 403, wrong types 400 with the place.
//! 4. The rules decide (`authorize`). Where they `set` something, [`Understood::with`] takes it over, and checks again.
//! 5. [`Understood::begin`] makes a [`Conversation`] with the store: the tenant's clause is a sibling of the caller's
//!    whole filter, writes are stamped, ids are looked at first. It says what to send, takes the answer, and says what
//!    to send next or what the client is told. It verifies every record: a foreign one is taken out and counted.
//! 6. While it lasts, nobody else writes the ids that it claims ([`Conversation::claims`]).
//!
//! A new store is a module like [`chroma`]: its endpoints, a handler each, a [`Conversation`] each.

mod arguments;
mod chain;
pub mod chroma;
mod clause;
mod cursor;
mod endpoint;
mod errors;
mod fence;
mod members;
pub mod opensearch;
pub mod pinecone;
pub mod qdrant;
mod talk;
mod vector;
pub mod weaviate;
mod wire;

pub use cursor::Cursors;
pub use endpoint::{Endpoint, Found, Handler, Understood, Verdict};
pub use errors::StoreError;
pub use fence::Fence;
pub use talk::{Conversation, Lookup, Reply, Sending, Step, Told};
pub use vector::body;

#[cfg(test)]
mod tests;

use crate::{json::Value, refusal::Refusal};

/// What a request does to a store, whatever the store's API calls it. Rules know the first six as `UPSTREAM__query` …
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Count,
    Delete,
    /// By id, or page by page.
    Get,
    /// Collections, and everything administrative.
    Manage,
    /// By similarity.
    Query,
    Write,
    /// Lists and describes collections: whoever has one of the six may do so.
    Describe,
}

impl Operation {
    /// The six that rules decide on.
    pub const RULED: [Self; 6] =
        [Self::Count, Self::Delete, Self::Get, Self::Manage, Self::Query, Self::Write];

    /// The operation as tools are named after it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Delete => "delete",
            Self::Describe => "describe",
            Self::Get => "get",
            Self::Manage => "manage",
            Self::Query => "query",
            Self::Write => "write",
        }
    }
}

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    Chroma,
    Opensearch,
    Pinecone,
    Qdrant,
    Weaviate,
}

impl Store {
    pub const ALL: [Self; 5] = [Self::Chroma, Self::Opensearch, Self::Pinecone, Self::Qdrant, Self::Weaviate];

    /// The store as the configuration names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chroma => "chroma",
            Self::Opensearch => "opensearch",
            Self::Pinecone => "pinecone",
            Self::Qdrant => "qdrant",
            Self::Weaviate => "weaviate",
        }
    }

    /// Its public API, with what becomes of each endpoint.
    pub fn endpoints(self) -> &'static [Endpoint] {
        match self {
            Self::Chroma => chroma::ENDPOINTS,
            Self::Opensearch => opensearch::ENDPOINTS,
            Self::Pinecone => pinecone::ENDPOINTS,
            Self::Qdrant => qdrant::ENDPOINTS,
            Self::Weaviate => weaviate::ENDPOINTS,
        }
    }

    /// The JSON of a body that is sent there; `None` where there is none.
    pub fn body<'b>(
        self,
        path: &str,
        bytes: &'b [u8],
        nesting_max: usize,
    ) -> Result<Option<Value<'b>>, Refusal> {
        if self.reads_lines(path) {
            return vector::lines(bytes, nesting_max);
        }
        let body = body(bytes, nesting_max)?;
        match &body {
            Some(body) if self == Self::Weaviate && weaviate::is_question(path) => {
                weaviate::question(body).map(Some)
            }
            _ => Ok(body),
        }
    }

    /// Whether the body of a request is lines of JSON.
    fn reads_lines(self, path: &str) -> bool {
        match self {
            Self::Pinecone => {
                path.trim_start_matches('/').starts_with("records/") && path.ends_with("/upsert")
            }
            Self::Opensearch => path.ends_with("_bulk") || path.ends_with("_msearch"),
            Self::Chroma | Self::Qdrant | Self::Weaviate => false,
        }
    }

    /// Parameters of queries that may stand there several times: together they are a list.
    pub fn lists(self) -> &'static [&'static str] {
        match self {
            Self::Pinecone => &["ids"],
            Self::Chroma | Self::Opensearch | Self::Qdrant | Self::Weaviate => &[],
        }
    }
}
