//! What isolation costs a query of ten results beside 1,536-dimension vectors, from the request's bytes to the answer's:
//! parsed, checked, the tenant's clause added, written; the answer verified. Goal: under 100 µs, the vectors of the
//! results asked for or not.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench ends where its own input is wrong")]

use bytes::Bytes;
use divan::{Bencher, black_box};
use http::Method;
use tollgate::{
    retrieval::{Cursors, Fence, Reply, Step, Store},
    tool_api::Request,
};

/// The one that the gateway runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DIMENSIONS: usize = 1536;
const RESULTS: usize = 10;

fn main() {
    divan::main();
}

fn fence() -> Fence {
    Fence {
        upstream: "docs".into(),
        tenant: "acme".into(),
        field: Some("tenant_id".into()),
        prefix: None,
        cursors: Cursors::new(&[7; 32], 0),
    }
}

/// A vector as clients write one; `digits` of each number behind the point.
fn vector(digits: usize) -> String {
    let numbers: Vec<String> = (0..DIMENSIONS)
        .map(|at| format!("{:.digits$}", f64::from(u32::try_from(at).unwrap()).sin() / 7.3))
        .collect();
    format!("[{}]", numbers.join(","))
}

struct Case {
    store: Store,
    path: &'static str,
    body: String,
    answer: Bytes,
}

fn repeated(each: &str) -> String {
    [each; RESULTS].join(",")
}

fn chroma(with_vectors: bool) -> Case {
    let include = if with_vectors { r#","embeddings""# } else { "" };
    let body = format!(
        r#"{{"query_embeddings":[{}],"n_results":10,"where":{{"lang":"de"}},"include":["documents","metadatas","distances"{include}]}}"#,
        vector(17)
    );
    let embeddings = if with_vectors { format!("[[{}]]", repeated(&vector(8))) } else { "null".to_owned() };
    let document = format!(r#""{}""#, "A sentence of a document. ".repeat(40));
    let metadata = r#"{"lang":"de","source":"handbook.pdf","page":7,"tenant_id":"acme"}"#;
    let answer = format!(
        r#"{{"ids":[[{}]],"embeddings":{embeddings},"documents":[[{}]],"metadatas":[[{}]],"distances":[[{}]],"include":[]}}"#,
        repeated(r#""0b5c6c7e-5d1f-4f6a-9f1d-3f1f6d1f4a55""#),
        repeated(&document),
        repeated(metadata),
        repeated("0.123456")
    );
    let path = "/api/v2/tenants/t/databases/d/collections/c1/query";
    Case { store: Store::Chroma, path, body, answer: answer.into() }
}

fn qdrant(with_vectors: bool) -> Case {
    let body = format!(
        r#"{{"query":{},"limit":10,"filter":{{"must":[{{"key":"lang","match":{{"value":"de"}}}}]}},"with_payload":true,"with_vector":{with_vectors}}}"#,
        vector(17)
    );
    let vector = if with_vectors { format!(r#","vector":{}"#, vector(8)) } else { String::new() };
    let text = "A sentence of a document. ".repeat(40);
    let point = format!(
        r#"{{"id":"0b5c6c7e-5d1f-4f6a-9f1d-3f1f6d1f4a55","version":3,"score":0.87,"payload":{{"lang":"de","text":"{text}","tenant_id":"acme"}}{vector}}}"#
    );
    let answer = format!(r#"{{"result":{{"points":[{}]}},"status":"ok","time":0.001}}"#, repeated(&point));
    Case { store: Store::Qdrant, path: "/collections/c1/points/query", body, answer: answer.into() }
}

fn opensearch(with_vectors: bool) -> Case {
    let excludes = if with_vectors { "" } else { r#""excludes":["v"]"# };
    let body = format!(
        r#"{{"knn":{{"field":"v","query_vector":{},"k":10,"num_candidates":50,"filter":{{"term":{{"lang":"de"}}}}}},"size":10,"_source":{{{excludes}}}}}"#,
        vector(17)
    );
    let vector = if with_vectors { format!(r#","v":{}"#, vector(8)) } else { String::new() };
    let text = "A sentence of a document. ".repeat(40);
    let hit = format!(
        r#"{{"_index":"docs","_id":"0b5c6c7e-5d1f-4f6a-9f1d-3f1f6d1f4a55","_score":0.87,"_source":{{"lang":"de","text":"{text}","tenant_id":"acme"{vector}}}}}"#
    );
    let answer = format!(
        r#"{{"took":3,"timed_out":false,"_shards":{{"total":1,"successful":1,"skipped":0,"failed":0}},"hits":{{"total":{{"value":10,"relation":"eq"}},"max_score":0.87,"hits":[{}]}}}}"#,
        repeated(&hit)
    );
    Case { store: Store::Opensearch, path: "/docs/_search", body, answer: answer.into() }
}

fn pinecone(with_vectors: bool) -> Case {
    let body = format!(
        r#"{{"vector":{},"topK":10,"filter":{{"lang":"de"}},"includeMetadata":true,"includeValues":{with_vectors}}}"#,
        vector(17)
    );
    let values = if with_vectors { format!(r#","values":{}"#, vector(8)) } else { String::new() };
    let text = "A sentence of a document. ".repeat(40);
    let found = format!(
        r#"{{"id":"0b5c6c7e-5d1f-4f6a-9f1d-3f1f6d1f4a55","score":0.87{values},"metadata":{{"lang":"de","text":"{text}","tenant_id":"acme"}}}}"#
    );
    let answer =
        format!(r#"{{"matches":[{}],"namespace":"acme","usage":{{"readUnits":5}}}}"#, repeated(&found));
    Case { store: Store::Pinecone, path: "/query", body, answer: answer.into() }
}

fn weaviate(with_vectors: bool) -> Case {
    let asked = if with_vectors { "id distance vector" } else { "id distance" };
    let question = format!(
        r#"{{Get{{Docs(limit:10 nearVector:{{vector:{}}} where:{{path:[\"lang\"],operator:Equal,valueText:\"de\"}}){{lang text _additional{{{asked}}}}}}}}}"#,
        vector(17)
    );
    let vector = if with_vectors { format!(r#","vector":{}"#, vector(8)) } else { String::new() };
    let text = "A sentence of a document. ".repeat(40);
    let found = format!(
        r#"{{"_additional":{{"distance":0.12,"id":"0b5c6c7e-5d1f-4f6a-9f1d-3f1f6d1f4a55"{vector}}},"lang":"de","tenant_id":"acme","text":"{text}"}}"#
    );
    let answer = format!(r#"{{"data":{{"Get":{{"Docs":[{}]}}}}}}"#, repeated(&found));
    let body = format!(r#"{{"query":"{question}"}}"#);
    Case { store: Store::Weaviate, path: "/v1/graphql", body, answer: answer.into() }
}

fn bench(bencher: Bencher<'_, '_>, case: &Case) {
    let fence = fence();
    // Chroma's collections go by an id.
    let named = (case.store == Store::Chroma).then_some("shared");
    bencher.bench(|| {
        let body = case.store.body(case.path.trim_start_matches('/'), black_box(case.body.as_bytes()), 64);
        let request = Request::read(&Method::POST, case.path, None, body.unwrap()).unwrap();
        let understood = case.store.find(request).unwrap().understand(&fence, named).unwrap();
        black_box(understood.arguments.to_string());
        let mut conversation = understood.begin();
        let Step::Send(sending) = conversation.next(None).unwrap() else { panic!("nothing is sent") };
        black_box(sending);
        let reply = Reply { status: 200, body: case.answer.clone() };
        let Step::Tell(told) = conversation.next(Some(reply)).unwrap() else { panic!("nothing is answered") };
        black_box(told);
    });
}

#[divan::bench(args = [false, true])]
fn chroma_query(bencher: Bencher<'_, '_>, with_vectors: bool) {
    bench(bencher, &chroma(with_vectors));
}

#[divan::bench(args = [false, true])]
fn qdrant_query(bencher: Bencher<'_, '_>, with_vectors: bool) {
    bench(bencher, &qdrant(with_vectors));
}

#[divan::bench(args = [false, true])]
fn opensearch_query(bencher: Bencher<'_, '_>, with_vectors: bool) {
    bench(bencher, &opensearch(with_vectors));
}

#[divan::bench(args = [false, true])]
fn pinecone_query(bencher: Bencher<'_, '_>, with_vectors: bool) {
    bench(bencher, &pinecone(with_vectors));
}

#[divan::bench(args = [false, true])]
fn weaviate_query(bencher: Bencher<'_, '_>, with_vectors: bool) {
    bench(bencher, &weaviate(with_vectors));
}
