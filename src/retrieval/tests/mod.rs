//! Laws of retrieval isolation: to a tenant, a store behind the gateway is a store that holds its own records alone.

mod chroma_laws;
mod chroma_model;
mod opensearch;
mod opensearch_laws;
mod opensearch_model;
mod pinecone;
mod pinecone_laws;
mod pinecone_model;
mod qdrant_laws;
mod qdrant_model;
mod refused;
mod table;
mod weaviate;
mod weaviate_laws;
mod weaviate_model;

use super::{Conversation, Cursors, Fence, Lookup, Reply, Sending, Step, Store, Told};
use crate::{refusal::Refusal, tool_api::Request};
use http::Method;
use serde_json::Value as Json;

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const FIELD: &str = "tenant_id";

/// How many random requests each law sees. `TOLLGATE_RETRIEVAL_CASES` asks for more.
fn cases() -> u64 {
    std::env::var("TOLLGATE_RETRIEVAL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

/// A store in memory that speaks a store's own API.
trait Model: Clone {
    fn handle(&mut self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json);
    /// The same with the records of one tenant alone.
    fn only(&self, tenant: &str) -> Self;
    /// The same with the records of the others alone.
    fn without(&self, tenant: &str) -> Self;
}

/// A request of a client's.
#[derive(Debug, Clone)]
struct Asked {
    method: &'static str,
    path: String,
    body: Option<Json>,
}

/// What a client was told.
#[derive(Debug)]
struct Answered {
    told: Result<(u16, Json), Refusal>,
    foreign: u64,
}

fn fence(tenant: &str) -> Fence {
    // Each tenant has a secret of its own.
    let mut key = [0; 32];
    key.iter_mut().zip(tenant.bytes()).for_each(|(to, from)| *to = from);
    Fence {
        upstream: "docs".into(),
        tenant: tenant.into(),
        field: Some(FIELD.into()),
        prefix: None,
        cursors: Cursors::new(&key, 1000),
    }
}

/// Carries a request to a store and back, as the journey does.
fn ask(store: Store, asked: &Asked, fence: &Fence, send: &mut dyn FnMut(&Sending) -> Reply) -> Answered {
    let refused = |refusal| Answered { told: Err(refusal), foreign: 0 };
    match begun(store, asked, fence, send) {
        Ok(mut conversation) => carry(conversation.as_mut(), send),
        Err(refusal) => refused(refusal),
    }
}

fn begun(
    store: Store,
    asked: &Asked,
    fence: &Fence,
    send: &mut dyn FnMut(&Sending) -> Reply,
) -> Result<Box<dyn Conversation>, Refusal> {
    let (path, query) =
        asked.path.split_once('?').map_or((asked.path.as_str(), None), |(path, query)| (path, Some(query)));
    let lines = asked.body.as_ref().and_then(Json::as_array).filter(|_| store.reads_lines(path));
    let bytes = match (lines, &asked.body) {
        (Some(lines), _) => lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes(),
        (None, body) => body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default(),
    };
    let method = Method::from_bytes(asked.method.as_bytes()).unwrap();
    // As the gateway has it, behind the upstream's name.
    let body = store.body(path.trim_start_matches('/'), &bytes, 64)?;
    let request = Request::read_with_lists(&method, path, query, body, store.lists())?;
    let found = store.find(request).map_err(|why| fence.refuse(super::Operation::Query, why))?;
    let name = found.lookup().map(|Lookup { sending, .. }| Lookup::name_in(&send(&sending)));
    let name = match name {
        Some(None) => return Err(Refusal::NotFound),
        other => other.flatten(),
    };
    Ok(found.understand(fence, name.as_deref())?.begin())
}

fn carry(conversation: &mut dyn Conversation, send: &mut dyn FnMut(&Sending) -> Reply) -> Answered {
    let mut reply = None;
    let told = loop {
        match conversation.next(reply.take()) {
            Ok(Step::Send(sending)) => reply = Some(send(&sending)),
            Ok(Step::Tell(Told { status, body })) => {
                break Ok((status, read(&body)));
            }
            Ok(Step::Fail(reply)) => break Ok((reply.status, read(&reply.body))),
            Err(refusal) => break Err(refusal),
        }
    };
    Answered { told, foreign: conversation.foreign() }
}

/// What a client reads; nothing is null.
fn read(body: &[u8]) -> Json {
    if body.is_empty() { Json::Null } else { serde_json::from_slice(body).unwrap() }
}

/// Sends to a model.
fn to_model<M: Model>(model: &mut M) -> impl FnMut(&Sending) -> Reply {
    |sending| {
        let lines = sending.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let body = if sending.lines {
            Some(lines.map(|line| serde_json::from_slice::<Json>(line).unwrap()).collect())
        } else {
            (!sending.body.is_empty()).then(|| serde_json::from_slice(&sending.body).unwrap())
        };
        let (status, body) = model.handle(sending.method.as_str(), &sending.target, body.as_ref());
        Reply { status, body: if body.is_null() { bytes::Bytes::new() } else { body.to_string().into() } }
    }
}

/// Random numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[usize::try_from(self.roll(of.len() as u64)).unwrap()]
    }

    /// Between `least` and `most` of what is made.
    fn several<T>(&mut self, least: u64, most: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = least + self.roll(most - least + 1);
        (0..count).map(|_| make(self)).collect()
    }
}
