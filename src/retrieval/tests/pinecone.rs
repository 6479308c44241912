//! Pinecone: what is sent, to the letter; what is refused, and in which words.

use super::{Asked, Json, ask, fence};
use crate::{
    refusal::Refusal,
    retrieval::{Fence, Operation, Reply, Sending, Store},
    tool_api::Request,
};
use http::Method;
use serde_json::json;

fn own() -> Fence {
    Fence { prefix: Some("acme_".into()), ..fence("acme") }
}

/// What is sent of a request, and what is told of this answer.
fn sent(
    method: &'static str,
    path: &str,
    body: Json,
    answer: &Json,
) -> (Sending, Result<(u16, Json), Refusal>) {
    let mut sent = Vec::new();
    let asked = Asked { method, path: path.to_owned(), body: (!body.is_null()).then_some(body) };
    let answered = ask(Store::Pinecone, &asked, &own(), &mut |sending| {
        sent.push(sending.clone());
        Reply { status: 200, body: answer.to_string().into() }
    });
    assert_eq!(sent.len(), 1, "{answered:?}");
    (sent.remove(0), answered.told)
}

#[track_caller]
fn sends(method: &'static str, path: &str, body: Json, target: &str, expected: &Json) {
    let (sending, _) = sent(method, path, body, &json!({}));
    let body = (!sending.body.is_empty()).then(|| serde_json::from_slice::<Json>(&sending.body).unwrap());
    assert_eq!((sending.method.as_str(), sending.target.as_str()), (method, target));
    assert_eq!(body.unwrap_or_default(), *expected);
}

#[test]
fn the_tenant_stands_in_the_namespace_and_in_the_filter() {
    let clause = json!({ "tenant_id": { "$eq": "acme" } });
    sends(
        "POST",
        "/query",
        json!({ "vector": [0.5, 1], "topK": 3 }),
        "/query",
        &json!({ "vector": [0.5, 1], "topK": 3, "filter": clause, "namespace": "acme", "includeMetadata": true }),
    );
    let given = json!({ "$or": [{ "a": 1 }, { "tenant_id": "globex" }] });
    sends(
        "POST",
        "/query",
        json!({ "id": "a", "topK": 3, "namespace": "notes", "filter": given }),
        "/query",
        &json!({ "id": "a", "topK": 3, "namespace": "acme_notes", "filter": { "$and": [clause, given] }, "includeMetadata": true }),
    );
    sends(
        "GET",
        "/vectors/fetch?ids=a&ids=b",
        Json::Null,
        "/vectors/fetch?ids=a&ids=b&namespace=acme",
        &Json::Null,
    );
    sends(
        "GET",
        "/vectors/list?namespace=notes&prefix=a",
        Json::Null,
        "/vectors/list?prefix=a&namespace=acme_notes",
        &Json::Null,
    );
    sends(
        "POST",
        "/vectors/upsert",
        json!({ "vectors": [{ "id": "a", "values": [1], "metadata": { "tenant_id": "globex", "n": 1 } }] }),
        "/vectors/upsert",
        &json!({ "namespace": "acme", "vectors": [{ "id": "a", "values": [1], "metadata": { "tenant_id": "acme", "n": 1 } }] }),
    );
    sends(
        "POST",
        "/vectors/update",
        json!({ "id": "a", "setMetadata": { "tenant_id": null }, "namespace": "notes" }),
        "/vectors/update",
        &json!({ "id": "a", "setMetadata": { "tenant_id": "acme" }, "namespace": "acme_notes" }),
    );
    sends(
        "POST",
        "/vectors/delete",
        json!({ "filter": { "n": 1 }, "namespace": "" }),
        "/vectors/delete",
        &json!({ "filter": { "$and": [clause, { "n": 1 }] }, "namespace": "acme" }),
    );
    sends(
        "POST",
        "/records/namespaces/notes/search",
        json!({ "query": { "inputs": { "text": "x" }, "top_k": 2 }, "fields": ["text"] }),
        "/records/namespaces/acme_notes/search",
        &json!({ "query": { "inputs": { "text": "x" }, "top_k": 2, "filter": clause }, "fields": ["text", "tenant_id"] }),
    );
    sends("DELETE", "/namespaces/__default__", Json::Null, "/namespaces/acme", &Json::Null);
}

#[test]
fn records_are_stamped_line_by_line() {
    let body = "{\"_id\":\"a\",\"text\":\"x\",\"tenant_id\":\"globex\"}\n{\"_id\":\"b\",\"text\":\"y\"}\n";
    let path = "/records/namespaces/notes/upsert";
    let parsed = Store::Pinecone.body(path, body.as_bytes(), 64).unwrap();
    let request = Request::read(&Method::POST, path, None, parsed).unwrap();
    let understood = Store::Pinecone.find(request).unwrap().understand(&own(), None).unwrap();
    assert_eq!(understood.operation(), Operation::Write);
    assert_eq!(understood.arguments.to_string(), r#"{"collection":"notes"}"#);
    let Ok(crate::retrieval::Step::Send(sending)) = understood.begin().next(None) else { panic!() };
    let expected = "{\"_id\":\"a\",\"text\":\"x\",\"tenant_id\":\"acme\"}\n{\"_id\":\"b\",\"text\":\"y\",\"tenant_id\":\"acme\"}\n";
    assert_eq!((sending.lines, &*sending.body), (true, expected.as_bytes()));
    let twice = "{\"_id\":\"a\"}\n{\"_id\":\"b\",\"_id\":\"c\"}";
    let refusal = Store::Pinecone.body(path, twice.as_bytes(), 64).unwrap_err();
    assert_eq!((refusal.status(), refusal.param()), (400, Some("body.1")));
}

#[test]
fn namespaces_of_others_are_not_there() {
    let all = json!({ "acme": { "vectorCount": 1 }, "acme_x": { "vectorCount": 2 }, "acme-b": { "vectorCount": 4 }, "globex_acme_x": { "vectorCount": 8 } });
    let stats = json!({ "namespaces": all, "dimension": 3, "indexFullness": 0.7, "totalVectorCount": 15, "storageFullness": 0.5 });
    let (_, told) = sent("POST", "/describe_index_stats", json!({}), &stats);
    let own = json!({ "__default__": { "vectorCount": 1 }, "x": { "vectorCount": 2 } });
    assert_eq!(
        told.unwrap().1,
        json!({ "namespaces": own, "dimension": 3, "totalVectorCount": 3, "indexFullness": 0 })
    );
    let names =
        ["acme", "acme_x", "acme-b", "acme2_x"].map(|name| json!({ "name": name, "record_count": 1 }));
    let (sending, told) =
        sent("GET", "/namespaces", Json::Null, &json!({ "namespaces": names, "total_count": 9 }));
    assert_eq!(sending.target, "/namespaces?prefix=acme");
    let own = ["__default__", "x"].map(|name| json!({ "name": name, "record_count": 1 }));
    assert_eq!(told.unwrap().1, json!({ "namespaces": own }));
    // A store that answers of another namespace.
    let other = json!({ "vectors": [{ "id": "a" }], "namespace": "globex" });
    assert_eq!(sent("GET", "/vectors/list", Json::Null, &other).1.unwrap_err().status(), 502);
}

#[track_caller]
fn refuses(fence: &Fence, method: &'static str, path: &str, body: Json, expected: &str) {
    let asked = Asked { method, path: path.to_owned(), body: (!body.is_null()).then_some(body) };
    let refusal = ask(Store::Pinecone, &asked, fence, &mut |_| panic!("sent")).told.unwrap_err();
    let text = format!("{} {} {}", refusal.status(), refusal.param().unwrap_or("-"), refusal.message());
    assert!(text.contains(expected), "{method} {path}: {text}");
}

#[test]
fn what_is_not_known_or_cannot_be_kept_apart_goes_no_further() {
    let refuse = |path: &str, body: Json, expected: &str| refuses(&own(), "POST", path, body, expected);
    refuse("/query", json!({ "topK": 1, "vector": [1], "filters": {} }), "403");
    refuse("/query?namespace=x", json!({ "topK": 1, "vector": [1] }), "403");
    refuse(
        "/query",
        json!({ "topK": 1, "vector": [1], "filter": { "a": { "$regex": "x" } } }),
        "400 filter.a.$regex",
    );
    refuse(
        "/query",
        json!({ "topK": 1, "vector": [1], "filter": { "a": { "$eq": [1] } } }),
        "400 filter.a.$eq",
    );
    refuse("/query", json!({ "topK": "1", "vector": [1] }), "400 topK");
    refuse("/query", json!({ "topK": 1, "vector": [1], "namespace": ["globex"] }), "400 namespace");
    refuse("/vectors/delete", json!({}), "400 body");
    refuse("/vectors/delete", json!({ "ids": ["a"], "deleteAll": true }), "400 body");
    refuse("/vectors/update", json!({ "setMetadata": {} }), "400 body");
    refuse("/vectors/upsert", json!({ "vectors": [{ "id": "a", "namespace": "x" }] }), "403");
    refuse("/describe_index_stats", json!({ "filter": {} }), "403");
    refuse(
        "/vectors/fetch_by_metadata",
        json!({ "filter": { "a": 1 }, "paginationToken": "abc" }),
        "400 paginationToken",
    );
    refuse("/bulk/imports", json!({}), "403");
    refuse("/namespaces/x/documents/search", json!({}), "403");
    refuse("/indexes", json!({}), "403");
    let shared = fence("acme");
    let refuse = |method, path: &str, body: Json| refuses(&shared, method, path, body, "403");
    refuse("POST", "/query", json!({ "id": "a", "topK": 1 }));
    refuse("POST", "/vectors/upsert", json!({ "vectors": [] }));
    refuse("POST", "/vectors/update", json!({ "id": "a", "values": [1] }));
    refuse("POST", "/vectors/delete", json!({ "ids": ["a"] }));
    refuse("GET", "/vectors/list", Json::Null);
    refuse("GET", "/describe_index_stats", Json::Null);
}

#[test]
fn rules_see_and_set_what_is_asked() {
    let seen = |method: Method, path: &str, query: Option<&str>, body: &Json| {
        let bytes = if body.is_null() { String::new() } else { body.to_string() };
        let parsed =
            Store::Pinecone.body(path, bytes.as_bytes(), 64).unwrap().map(crate::json::Value::into_owned);
        let request = Request::read_with_lists(&method, path, query, parsed, &["ids"]).unwrap();
        Store::Pinecone.find(request).unwrap().understand(&own(), None).unwrap()
    };
    let set = |understood: crate::retrieval::Understood<'static>, set: Json| {
        let text = set.to_string();
        let forced = crate::json::parse(text.as_bytes(), 64).unwrap().into_owned();
        let mut begun = understood.with(&forced)?.begin();
        let Ok(crate::retrieval::Step::Send(sending)) = begun.next(None) else { panic!() };
        Ok::<_, Refusal>((sending.target, serde_json::from_slice::<Json>(&sending.body).unwrap_or_default()))
    };
    let query = json!({ "vector": [1], "topK": 50, "filter": { "a": 1 }, "id": null });
    let understood = seen(Method::POST, "/query", None, &query);
    assert_eq!(
        understood.arguments.to_string(),
        r#"{"collection":"__default__","filter":{"a":1},"limit":50}"#
    );
    let forced = json!({ "collection": "notes", "limit": 5, "filter": { "b": 2 } });
    let (_, body) = set(understood, forced).unwrap();
    assert_eq!((&body["namespace"], &body["topK"]), (&json!("acme_notes"), &json!(5)));
    assert_eq!(body["filter"]["$and"][1], json!({ "b": 2 }));
    let understood = seen(Method::GET, "/vectors/fetch", Some("ids=a&ids=b"), &Json::Null);
    assert_eq!(understood.arguments.to_string(), r#"{"collection":"__default__","ids":["a","b"]}"#);
    let (target, _) = set(understood, json!({ "collection": "notes", "ids": ["a", "b"] })).unwrap();
    assert_eq!(target, "/vectors/fetch?ids=a&ids=b&namespace=acme_notes");
    let understood = seen(Method::GET, "/vectors/fetch", Some("ids=a&ids=b"), &Json::Null);
    assert!(set(understood, json!({ "collection": "__default__", "ids": ["c"] })).is_err());
    let search = json!({ "query": { "inputs": { "text": "secret" }, "top_k": 9 }, "fields": ["a"] });
    let understood = seen(Method::POST, "/records/namespaces/notes/search", None, &search);
    assert_eq!(understood.arguments.to_string(), r#"{"collection":"notes","limit":9,"fields":["a"]}"#);
    let forced = json!({ "collection": "other", "limit": 3, "filter": { "b": 2 }, "fields": ["a"] });
    let (target, body) = set(understood, forced).unwrap();
    assert_eq!(
        (target.as_str(), &body["query"]["top_k"]),
        ("/records/namespaces/acme_other/search", &json!(3))
    );
    assert_eq!(body["query"]["filter"]["$and"][1], json!({ "b": 2 }));
}
