//! What is refused, and in which words; what becomes of what rules set; collections of a tenant's own.

use super::{Asked, Json, ask, fence};
use crate::{
    json,
    refusal::Refusal,
    retrieval::{Fence, Operation, Reply, Sending, Step, Store, body},
    tool_api::Request,
};
use http::Method;
use serde_json::json;

const CHROMA: &str = "/api/v2/tenants/t/databases/d/collections/c1";
const QDRANT: &str = "/collections/shared";

fn told(store: Store, method: &'static str, path: &str, body: Option<Json>) -> Result<(u16, Json), Refusal> {
    let asked = Asked { method, path: path.to_owned(), body };
    let mut send = |sending: &Sending| {
        assert!(sending.target.ends_with("/by-id/c1"), "sent: {sending:?}");
        Reply { status: 200, body: r#"{"name":"shared"}"#.into() }
    };
    ask(store, &asked, &fence("acme"), &mut send).told
}

#[track_caller]
fn refuses(store: Store, method: &'static str, path: &str, body: Json, expected: &str) {
    let body = (!body.is_null()).then_some(body);
    let refusal = told(store, method, path, body.clone()).unwrap_err();
    let text = format!("{} {} {}", refusal.status(), refusal.param().unwrap_or("-"), refusal.message());
    assert!(text.contains(expected), "{method} {path} {body:?}: {text}");
}

#[test]
fn what_is_not_known_goes_no_further() {
    let get = format!("{CHROMA}/get");
    let unknown = "403 - the tool `docs__get` is not allowed";
    refuses(Store::Chroma, "POST", &get, json!({ "where_documents": {} }), unknown);
    refuses(Store::Chroma, "POST", &format!("{get}?x=1"), json!({}), unknown);
    // It would stand in the place of `n_results`, for rules.
    let body = json!({ "query_embeddings": [[1]], "n_results": 1000 });
    refuses(Store::Chroma, "POST", &format!("{CHROMA}/query?limit=1"), body, "403");
    refuses(Store::Chroma, "POST", "/api/v2/reset", Json::Null, "403");
    refuses(Store::Chroma, "GET", "/api/v1/collections", Json::Null, "403");
    refuses(Store::Chroma, "POST", &format!("{CHROMA}/search"), json!({ "searches": [] }), "403");
    let query = format!("{QDRANT}/points/query");
    let unknown = "403 - the tool `docs__query` is not allowed";
    refuses(Store::Qdrant, "POST", &query, json!({ "lookup_from": { "collection": "x" } }), unknown);
    refuses(Store::Qdrant, "POST", &query, json!({ "prefetch": [{ "lookup_from": {} }] }), unknown);
    refuses(Store::Qdrant, "POST", &query, json!({ "query": { "formula": {} } }), unknown);
    refuses(
        Store::Qdrant,
        "POST",
        &query,
        json!({ "filter": { "must": [{ "key": "a", "script": "x" }] } }),
        unknown,
    );
    refuses(Store::Qdrant, "POST", "/collections/aliases", json!({}), "403");
    refuses(
        Store::Qdrant,
        "PUT",
        "/collections/x",
        json!({ "init_from": { "collection": "shared" } }),
        "403",
    );
    let batch =
        json!({ "operations": [{ "delete": { "points": [1] } }, { "clear_payload": { "points": [1] } }] });
    refuses(Store::Qdrant, "POST", &format!("{QDRANT}/points/batch"), batch, "send two batches");
    let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for odd in [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), format!("urn:uuid:{id}")] {
        let path = CHROMA.replace("c1", &odd);
        refuses(Store::Chroma, "POST", &format!("{path}/get"), json!({}), "403");
    }
    // Qdrant does not heed the key there, and writes the payload as it is.
    let planted = json!({ "key": "x", "payload": { "tenant_id": "globex" }, "points": [1] });
    refuses(Store::Qdrant, "PUT", &format!("{QDRANT}/points/payload"), planted.clone(), "403");
    let batch = json!({ "operations": [{ "overwrite_payload": planted }] });
    refuses(Store::Qdrant, "POST", &format!("{QDRANT}/points/batch"), batch, "403");
    // Counts of whatever the filter selects show in the scores.
    let corpus =
        json!({ "idf": { "corpus": { "must": [{ "key": "tenant_id", "match": { "value": "globex" } }] } } });
    let query = json!({ "query": [1.0], "params": corpus });
    refuses(Store::Qdrant, "POST", &format!("{QDRANT}/points/query"), query.clone(), "403");
    let prefetch = json!({ "prefetch": query });
    refuses(Store::Qdrant, "POST", &format!("{QDRANT}/points/query"), prefetch, "403");
    for key in ["tenant_id", "tenant_id.x", "tenant_id[0]", "\"tenant_id\"", ""] {
        let body = json!({ "payload": { "a": 1 }, "key": key, "filter": {} });
        refuses(Store::Qdrant, "POST", &format!("{QDRANT}/points/payload"), body, "403");
        let body = json!({ "keys": ["a", key], "filter": {} });
        refuses(Store::Qdrant, "POST", &format!("{QDRANT}/points/payload/delete"), body, "403");
    }
}

#[test]
fn what_is_of_the_wrong_type_is_told_with_its_place() {
    let get = format!("{CHROMA}/get");
    let check = |body: Json, expected: &str| refuses(Store::Chroma, "POST", &get, body, expected);
    check(json!([]), "400 body");
    check(json!({ "where": [] }), "400 where `where` is an array, not an object");
    check(json!({ "where": {} }), "400 where");
    check(json!({ "where": { "a": 1, "b": 1 } }), "400 where");
    check(json!({ "where": { "$and": [{ "a": 1 }, { "b": { "$eq": ["x"] } }] } }), "400 where.$and.1.b.$eq");
    check(json!({ "where": { "a": [1, 2] } }), "400 where.a `where.a` is an array");
    let is_none = "is no operator that is known here";
    check(
        json!({ "where": { "a": { "$like": "x" } } }),
        &format!("400 where.a.$like `where.a.$like` {is_none}"),
    );
    check(json!({ "where": { "$nor": [{ "a": 1 }] } }), &format!("400 where.$nor `where.$nor` {is_none}"));
    check(json!({ "where": { "#document": { "$eq": "x" } } }), "400 where.#document.$eq");
    check(json!({ "where_document": { "$like": "x" } }), "400 where_document.$like");
    check(json!({ "ids": ["a", 1] }), "400 ids.1");
    check(json!({ "limit": -1 }), "400 limit");
    check(json!({ "include": ["data"] }), "400 include.0");
    let add = format!("{CHROMA}/add");
    let check = |body: Json, expected: &str| refuses(Store::Chroma, "POST", &add, body, expected);
    check(json!({ "ids": ["a"], "embeddings": [[1], [2]] }), "400 embeddings");
    check(json!({ "ids": ["a", "a"], "embeddings": [[1], [2]] }), "400 ids");
    check(json!({ "ids": ["a"], "embeddings": [[1]], "metadatas": ["x"] }), "400 metadatas.0");
    refuses(Store::Chroma, "POST", &format!("{CHROMA}/delete"), json!({ "where": null }), "400 body");
    let query = format!("{QDRANT}/points/query");
    let check = |body: Json, expected: &str| refuses(Store::Qdrant, "POST", &query, body, expected);
    check(json!({ "prefetch": [{ "filter": [] }] }), "400 prefetch.0.filter");
    check(json!({ "filter": { "must": [{ "has_id": [1, "x"] }] } }), "400 filter.must.0.has_id.1");
    let condition = |condition: Json| json!({ "filter": { "must": [condition] } });
    check(condition(json!({ "key": "a", "match": { "like": "x" } })), "400 filter.must.0.match.like");
    check(condition(json!({ "key": "a", "range": { "near": 1 } })), "400 filter.must.0.range.near");
    check(json!({ "query": "not an id" }), "400 query");
    check(json!({ "with_payload": 1 }), "400 with_payload");
    let delete = format!("{QDRANT}/points/delete");
    refuses(Store::Qdrant, "POST", &delete, json!({}), "400 body");
    refuses(Store::Qdrant, "POST", &delete, json!({ "points": [1], "filter": {} }), "400 body");
}

/// What is sent at first of a request, with what rules set, and its arguments.
fn sent(
    store: Store,
    path: &str,
    given: &Json,
    set: Option<&Json>,
    fence: &Fence,
) -> Result<(Sending, Json), Refusal> {
    let bytes = given.to_string();
    let request = Request::read(&Method::POST, path, None, body(bytes.as_bytes(), 64)?)?;
    let found = store.find(request).unwrap();
    let mut understood = found.understand(fence, (store == Store::Chroma).then_some("shared"))?;
    let arguments = serde_json::from_str(&understood.arguments.to_string()).unwrap();
    if let Some(set) = set {
        understood = understood.with(&json::parse(set.to_string().as_bytes(), 64).unwrap().into_owned())?;
    }
    let Step::Send(sending) = understood.begin().next(None)? else { panic!() };
    Ok((sending, arguments))
}

#[test]
fn rules_see_what_is_asked_and_not_what_is_carried() {
    let given = json!({ "where": { "a": 1 }, "n_results": 3, "query_embeddings": [[1]], "ids": null });
    let (sending, arguments) =
        sent(Store::Chroma, &format!("{CHROMA}/query"), &given, None, &fence("acme")).unwrap();
    let expected = json!({ "collection": "shared", "store_tenant": "t", "database": "d", "filter": { "a": 1 }, "limit": 3 });
    assert_eq!(arguments, expected);
    let body: Json = serde_json::from_slice(&sending.body).unwrap();
    assert_eq!(body["where"], json!({ "$and": [{ "tenant_id": { "$eq": "acme" } }, { "a": 1 }] }));
    let given = json!({ "query": [0.5, 1], "filter": { "must": [] }, "limit": 3 });
    let (sending, arguments) =
        sent(Store::Qdrant, &format!("{QDRANT}/points/query"), &given, None, &fence("acme")).unwrap();
    assert_eq!(arguments, json!({ "collection": "shared", "filter": { "must": [] }, "limit": 3 }));
    let body: Json = serde_json::from_slice(&sending.body).unwrap();
    let own = json!({ "key": "tenant_id", "match": { "value": "acme" } });
    let other = json!({ "key": "tenant_id", "match": { "except": ["acme"] } });
    assert_eq!(body["filter"], json!({ "must": [own, { "must": [] }], "must_not": [other] }));
    assert!(String::from_utf8_lossy(&sending.body).contains("[0.5,1]"), "digit for digit");
}

#[test]
fn what_rules_set_is_sent_and_checked_again() {
    let given = json!({ "query_embeddings": [[1]], "n_results": 100 });
    let path = format!("{CHROMA}/query");
    let mut forced = json!({ "collection": "shared", "store_tenant": "t", "database": "d", "limit": 5, "filter": { "lang": "de" } });
    let (sending, _) = sent(Store::Chroma, &path, &given, Some(&forced), &fence("acme")).unwrap();
    let body: Json = serde_json::from_slice(&sending.body).unwrap();
    assert_eq!(body["n_results"], 5);
    assert_eq!(body["where"], json!({ "$and": [{ "tenant_id": { "$eq": "acme" } }, { "lang": "de" }] }));
    forced["filter"] = json!({ "lang": ["de"] });
    assert_eq!(sent(Store::Chroma, &path, &given, Some(&forced), &fence("acme")).unwrap_err().status(), 400);
    // Chroma's collections go by ids here: a rule cannot name another.
    let forced = json!({ "collection": "other", "store_tenant": "t", "database": "d", "limit": 100 });
    assert_eq!(sent(Store::Chroma, &path, &given, Some(&forced), &fence("acme")).unwrap_err().status(), 403);
    let path = format!("{QDRANT}/points/query");
    let forced = json!({ "collection": "other", "limit": 5 });
    let (sending, _) =
        sent(Store::Qdrant, &path, &json!({ "query": [1] }), Some(&forced), &fence("acme")).unwrap();
    assert_eq!(sending.target, "/collections/other/points/query");
    for collection in [json!("../x"), json!(".."), json!(""), json!(5)] {
        let forced = json!({ "collection": collection });
        let refused = sent(Store::Qdrant, &path, &json!({ "query": [1] }), Some(&forced), &fence("acme"));
        assert_eq!(refused.unwrap_err().status(), 403, "{forced}");
    }
}

#[test]
fn collections_of_its_own_are_all_that_a_tenant_sees() {
    let own = Fence { field: None, prefix: Some("acme_".into()), ..fence("acme") };
    let list = |store, path: &str, answer: Json| {
        let asked = Asked { method: "GET", path: path.to_owned(), body: None };
        ask(store, &asked, &own, &mut |_| Reply { status: 200, body: answer.to_string().into() })
            .told
            .unwrap()
            .1
    };
    let names = json!([{ "name": "acme_a" }, { "name": "acme-b_a" }, { "name": "globex_a" }, { "name": "a" }, { "name": "acme_b" }]);
    let collections = "/api/v2/tenants/t/databases/d/collections";
    assert_eq!(list(Store::Chroma, collections, names.clone()), json!([{ "name": "a" }, { "name": "b" }]));
    assert_eq!(
        list(Store::Chroma, &format!("{collections}?limit=1&offset=1"), names.clone()),
        json!([{ "name": "b" }])
    );
    assert_eq!(list(Store::Chroma, &format!("{collections}_count"), names.clone()), json!(2));
    let listed = list(Store::Qdrant, "/collections", json!({ "result": { "collections": names } }));
    assert_eq!(listed["result"]["collections"], json!([{ "name": "a" }, { "name": "b" }]));
    let (sending, arguments) =
        sent(Store::Qdrant, &format!("{QDRANT}/points/query"), &json!({ "query": [1] }), None, &own).unwrap();
    assert_eq!(
        (sending.target.as_str(), &arguments["collection"]),
        ("/collections/acme_shared/points/query", &json!("shared"))
    );
    // An id of a collection that is not its own.
    let asked = Asked { method: "GET", path: format!("{CHROMA}/count"), body: None };
    let answered = ask(Store::Chroma, &asked, &own, &mut |_| Reply {
        status: 200,
        body: r#"{"name":"globex_a"}"#.into(),
    });
    assert!(answered.told.is_err());
}

#[test]
fn figures_of_all_tenants_are_not_told() {
    let asked = Asked { method: "GET", path: QDRANT.to_owned(), body: None };
    let figures =
        json!({ "points_count": 9, "indexed_vectors_count": 9, "payload_schema": { "a": { "points": 9 } } });
    let answer = json!({ "result": figures }).to_string();
    let told = ask(Store::Qdrant, &asked, &fence("acme"), &mut |_| Reply {
        status: 200,
        body: answer.clone().into(),
    })
    .told;
    let expected = json!({ "points_count": null, "indexed_vectors_count": null, "payload_schema": { "a": { "points": 0 } } });
    assert_eq!(told.unwrap().1["result"], expected);
}

#[test]
fn a_batch_of_deletes_is_a_delete() {
    let path = format!("{QDRANT}/points/batch");
    let operation = |operations: Json| {
        let bytes = json!({ "operations": operations }).to_string();
        let request = Request::read(&Method::POST, &path, None, body(bytes.as_bytes(), 64).unwrap()).unwrap();
        Store::Qdrant.find(request).unwrap().understand(&fence("acme"), None).unwrap().operation()
    };
    assert_eq!(operation(json!([{ "delete": { "points": [1] } }])), Operation::Delete);
    assert_eq!(
        operation(json!([{ "delete_vectors": { "points": [1], "vector": ["a"] } }])),
        Operation::Write
    );
}
