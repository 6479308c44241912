//! OpenSearch and Elasticsearch: what is sent, to the letter; cursors; what is refused, and in which words.

use super::{Asked, Json, ask, fence};
use crate::{
    json as strict,
    refusal::Refusal,
    retrieval::{Fence, Reply, Sending, Step, Store, Understood},
    tool_api::Request,
};
use http::Method;
use serde_json::json;

/// A request line, and the body in lines.
type Sent = (String, Vec<Json>);

/// What is sent of a request whose answers are these, and what is told.
fn sent(
    fence: &Fence,
    (method, path): (&'static str, &str),
    body: Json,
    answers: &[Json],
) -> (Vec<Sent>, Result<(u16, Json), Refusal>) {
    let (mut sent, mut answers) = (Vec::new(), answers.iter());
    let asked = Asked { method, path: path.to_owned(), body: (!body.is_null()).then_some(body) };
    let answered = ask(Store::Opensearch, &asked, fence, &mut |Sending { method, target, body, .. }| {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines = lines.map(|line| serde_json::from_slice(line).unwrap());
        sent.push((format!("{method} {target}"), lines.collect()));
        Reply { status: 200, body: answers.next().map_or_else(|| "{}".to_owned(), Json::to_string).into() }
    });
    (sent, answered.told)
}

fn clause() -> Json {
    json!({ "term": { "tenant_id": "acme" } })
}

#[test]
fn the_tenant_stands_beside_the_query_and_in_all_that_searches() {
    let check = |body: Json, expected: Json| {
        let (sent, _) = sent(&fence("acme"), ("POST", "/docs/_search"), body, &[]);
        assert_eq!(sent, [("POST /docs/_search".to_owned(), vec![expected])]);
    };
    let both = |query: Json| json!({ "bool": { "must": [query], "filter": [clause()] } });
    check(json!({}), json!({ "query": both(json!({ "match_all": {} })) }));
    let given =
        json!({ "bool": { "should": [{ "match": { "a": "x" } }, { "term": { "tenant_id": "globex" } }] } });
    check(json!({ "query": given }), json!({ "query": both(given.clone()) }));
    // A search by vector alone stays one.
    let knn = |filter: Json| json!({ "field": "v", "query_vector": [0.5], "k": 2, "num_candidates": 9, "filter": filter });
    let mut bare = knn(Json::Null);
    bare.as_object_mut().unwrap().remove("filter");
    check(json!({ "knn": bare }), json!({ "knn": knn(clause()) }));
    let filter = json!({ "term": { "a": 1 } });
    check(
        json!({ "knn": [knn(json!([filter])), bare], "query": given }),
        json!({ "knn": [knn(both(json!({ "bool": { "filter": [filter] } }))), knn(clause())], "query": both(given.clone()) }),
    );
    check(
        json!({ "query": { "knn": { "v": { "vector": [1], "k": 2 } } } }),
        json!({ "query": both(json!({ "knn": { "v": { "vector": [1], "k": 2, "filter": clause() } } })) }),
    );
    check(
        json!({ "query": { "hybrid": { "queries": [filter, { "neural": { "v": { "query_text": "x", "model_id": "m", "k": 2 } } }] } } }),
        json!({ "query": both(json!({ "hybrid": { "queries": [filter, { "neural": { "v": { "query_text": "x", "model_id": "m", "k": 2, "filter": clause() } } }] } })) }),
    );
    check(
        json!({ "retriever": { "rrf": { "retrievers": [{ "standard": { "query": given } }, { "knn": bare }] } } }),
        json!({ "retriever": { "rrf": { "retrievers": [{ "standard": { "query": both(given) } }, { "knn": knn(clause()) }] } } }),
    );
    check(
        json!({ "_source": ["a"], "sort": [{ "a": "asc" }, "_score"], "post_filter": filter }),
        json!({ "_source": ["a", "tenant_id"], "sort": [{ "a": "asc" }, "_score"], "post_filter": filter, "query": both(json!({ "match_all": {} })) }),
    );
}

#[test]
fn what_only_counts_is_asked_of_nobody_first() {
    let none = json!({ "count": 0 });
    let body = json!({ "size": 0, "aggs": { "a": { "terms": { "field": "tag" } } } });
    let answer = json!({ "hits": { "total": { "value": 3 }, "hits": [] }, "aggregations": { "a": {} } });
    let (asked, told) =
        sent(&fence("acme"), ("POST", "/docs/_search"), body.clone(), &[none, answer.clone()]);
    assert_eq!(asked[0].0, "POST /docs/_count");
    assert_eq!(
        asked[0].1[0],
        json!({ "query": { "bool": { "filter": [{ "term": { "tenant_id": "!nobody" } }] } } })
    );
    assert_eq!(told.unwrap().1, answer);
    let (asked, told) = sent(&fence("acme"), ("POST", "/docs/_search"), body, &[json!({ "count": 7 })]);
    assert_eq!((asked.len(), told.unwrap_err().status()), (1, 502));
}

#[test]
fn a_write_holds_for_what_was_seen() {
    let docs = json!({ "docs": [
        { "_id": "a", "found": true, "_seq_no": 7, "_primary_term": 2, "_source": { "tenant_id": "acme" } },
        { "_id": "b", "found": false },
        { "_id": "c", "found": false },
    ] });
    let lines = json!([
        { "index": { "_id": "a", "_index": "docs" } }, { "x": 1, "tenant_id": "globex" },
        { "index": { "_id": "b", "_index": "docs" } }, { "x": 2 },
        { "update": { "_id": "c", "_index": "docs" } }, { "doc": { "x": 3 } },
    ]);
    let done = json!({ "took": 3, "items": [
        { "index": { "_index": "docs", "_id": "a", "status": 200 } },
        { "create": { "_index": "docs", "_id": "b", "status": 409, "error": { "type": "version_conflict_engine_exception", "reason": "of globex" } } },
    ] });
    let (asked, told) = sent(&fence("acme"), ("POST", "/_bulk?refresh=true"), lines, &[docs, done]);
    assert_eq!(asked[0].0, "POST /docs/_mget");
    assert_eq!(asked[0].1[0]["docs"][2], json!({ "_id": "c", "_source": ["tenant_id"] }));
    let expected = [
        json!({ "index": { "_index": "docs", "_id": "a", "if_seq_no": 7, "if_primary_term": 2 } }),
        json!({ "x": 1, "tenant_id": "acme" }),
        json!({ "create": { "_index": "docs", "_id": "b" } }),
        json!({ "x": 2, "tenant_id": "acme" }),
    ];
    assert_eq!((asked[1].0.as_str(), &asked[1].1[..]), ("POST /_bulk?refresh=true", &expected[..]));
    let told = told.unwrap().1;
    assert_eq!((&told["errors"], &told["items"][1]["index"]["status"]), (&json!(true), &json!(409)));
    assert_eq!(told["items"][2]["update"]["error"]["type"], "document_missing_exception");
    assert!(!told.to_string().contains("globex"), "{told}");
    // Another's id.
    let foreign = json!({ "docs": [{ "_id": "a", "found": true, "_seq_no": 7, "_primary_term": 2, "_source": { "tenant_id": "globex" } }] });
    for (method, path, body) in [
        ("PUT", "/docs/_doc/a", json!({ "x": 1 })),
        ("PUT", "/docs/_create/a", json!({ "x": 1 })),
        ("POST", "/docs/_update/a", json!({ "doc": {} })),
        ("DELETE", "/docs/_doc/a", Json::Null),
        ("POST", "/docs/_bulk", json!([{ "delete": { "_id": "a" } }])),
    ] {
        let (asked, told) = sent(&fence("acme"), (method, path), body, std::slice::from_ref(&foreign));
        assert_eq!((asked.len(), told.unwrap_err().status()), (1, 403), "{method} {path}");
    }
    let own = json!({ "docs": [{ "_id": "a", "found": true, "_seq_no": 7, "_primary_term": 2, "_source": { "tenant_id": "acme" } }] });
    let (asked, _) = sent(&fence("acme"), ("DELETE", "/docs/_doc/a?refresh=true"), Json::Null, &[own]);
    assert_eq!(asked[1].0, "DELETE /docs/_doc/a?refresh=true&if_seq_no=7&if_primary_term=2");
}

#[test]
fn cursors_are_the_tenants_own() {
    let acme = fence("acme");
    let hit = json!({ "_index": "docs", "_id": "1", "_source": { "tenant_id": "acme", "a": 1 } });
    let alien = json!({ "_index": "docs", "_id": "2", "_source": { "tenant_id": "globex" } });
    let page = json!({ "_scroll_id": "raw", "hits": { "total": { "value": 9 }, "hits": [hit] } });
    let first = json!({ "_source": ["a"] });
    let (_, told) = sent(&acme, ("POST", "/docs/_search?scroll=1m"), first, &[page]);
    let sealed = told.unwrap().1["_scroll_id"].clone();
    assert_ne!(sealed, "raw");
    let next = json!({ "scroll": "1m", "scroll_id": sealed });
    let page = json!({ "_scroll_id": "raw2", "hits": { "total": { "value": 9 }, "hits": [hit, alien] } });
    let (asked, told) = sent(&acme, ("POST", "/_search/scroll"), next, std::slice::from_ref(&page));
    assert_eq!(asked[0].1[0], json!({ "scroll": "1m", "scroll_id": "raw" }));
    let told = told.unwrap().1;
    assert_eq!(told["hits"]["hits"], json!([{ "_index": "docs", "_id": "1", "_source": { "a": 1 } }]));
    assert_eq!(told["hits"]["total"]["value"], 1);
    for (fence, id) in [(fence("globex"), sealed), (acme, json!("raw"))] {
        let next = json!({ "scroll": "1m", "scroll_id": id });
        let (asked, told) = sent(&fence, ("POST", "/_search/scroll"), next, std::slice::from_ref(&page));
        assert_eq!((asked.len(), told.unwrap_err().status()), (0, 400));
    }
    let acme = fence("acme");
    let (_, told) = sent(&acme, ("POST", "/docs/_pit?keep_alive=1m"), Json::Null, &[json!({ "id": "raw" })]);
    let id = told.unwrap().1["id"].clone();
    let search = json!({ "pit": { "id": id, "keep_alive": "1m" }, "size": 2 });
    let (asked, _) = sent(&acme, ("POST", "/_search"), search, &[]);
    assert_eq!(asked[0].1[0]["pit"]["id"], "raw");
    let (asked, _) = sent(&acme, ("DELETE", "/_pit"), json!({ "id": id }), &[]);
    assert_eq!(asked[0], ("DELETE /_pit".to_owned(), vec![json!({ "id": "raw" })]));
}

#[test]
fn indices_of_its_own_are_all_that_a_tenant_sees() {
    let own = Fence { field: None, prefix: Some("acme_".into()), ..fence("acme") };
    let hits = json!({ "hits": { "hits": [{ "_index": "acme_docs", "_id": "1" }, { "_index": "globex_docs", "_id": "2" }] } });
    let (asked, told) = sent(&own, ("POST", "/docs/_search"), json!({}), &[hits]);
    assert_eq!(asked[0], ("POST /acme_docs/_search".to_owned(), vec![json!({})]));
    assert_eq!(told.unwrap().1["hits"]["hits"], json!([{ "_index": "docs", "_id": "1" }]));
    let lines = json!([{ "index": { "_index": "docs" } }, { "x": 1 }]);
    let (asked, _) = sent(&own, ("POST", "/_bulk"), lines, &[]);
    assert_eq!(asked[0].1[0], json!({ "index": { "_index": "acme_docs" } }));
    let (asked, told) = sent(
        &own,
        ("PUT", "/docs"),
        json!({ "settings": { "index.knn": true } }),
        &[json!({ "index": "acme_docs" })],
    );
    assert_eq!((asked[0].0.as_str(), told.unwrap().1), ("PUT /acme_docs", json!({ "index": "docs" })));
    // The field that tells tenants apart is an exact word in a new index.
    let (asked, _) = sent(
        &fence("acme"),
        ("PUT", "/docs"),
        json!({ "mappings": { "properties": { "tenant_id": { "type": "text" } } } }),
        &[],
    );
    assert_eq!(asked[0].1[0]["mappings"]["properties"]["tenant_id"], json!({ "type": "keyword" }));
}

#[test]
fn rules_see_and_set_what_is_asked() {
    let understood = |path: &str, query: Option<&str>, body: &Json| {
        let bytes = if body.is_null() { String::new() } else { body.to_string() };
        let parsed =
            Store::Opensearch.body(path, bytes.as_bytes(), 64).unwrap().map(strict::Value::into_owned);
        let request = Request::read(&Method::POST, path, query, parsed).unwrap();
        Store::Opensearch.find(request).unwrap().understand(&fence("acme"), None).unwrap()
    };
    let set = |understood: Understood<'static>, set: &Json| {
        let text = set.to_string();
        let mut begun = understood.with(&strict::parse(text.as_bytes(), 64).unwrap().into_owned())?.begin();
        let Ok(Step::Send(sending)) = begun.next(None) else { panic!() };
        Ok::<_, Refusal>((sending.target, serde_json::from_slice::<Json>(&sending.body).unwrap_or_default()))
    };
    let search = json!({ "query": { "term": { "a": 1 } }, "size": 50, "search_after": [1] });
    let asked = understood("/docs/_search", None, &search);
    let seen = r#"{"collection":"docs","filter":{"term":{"a":1}},"limit":50}"#;
    assert_eq!(asked.arguments.to_string(), seen);
    let forced = json!({ "collection": "other", "filter": { "term": { "b": 2 } }, "limit": 5 });
    let (target, body) = set(asked, &forced).unwrap();
    assert_eq!((target.as_str(), &body["size"]), ("/other/_search", &json!(5)));
    assert_eq!(body["query"]["bool"]["must"], json!([{ "term": { "b": 2 } }]));
    // A parameter of the query counts for more than the same in the body.
    let asked = understood("/docs/_search", Some("size=100"), &json!({ "size": 1 }));
    assert_eq!(asked.arguments.to_string(), r#"{"collection":"docs","limit":100}"#);
    assert_eq!(set(asked, &json!({ "collection": "docs", "limit": 5 })).unwrap().0, "/docs/_search?size=5");
    // What searches beside the query would pass a forced one by.
    let near = json!({ "knn": { "field": "v", "query_vector": [1], "k": 1 } });
    let forced = json!({ "collection": "docs", "filter": { "term": { "b": 2 } } });
    assert_eq!(set(understood("/docs/_search", None, &near), &forced).unwrap_err().status(), 403);
    // A record is no argument, and nothing is set in it.
    let asked = understood("/docs/_doc/a", None, &json!({ "text": "secret" }));
    assert_eq!(asked.arguments.to_string(), r#"{"collection":"docs","ids":["a"]}"#);
    let forced = json!({ "collection": "docs", "ids": ["a"], "lang": "de" });
    assert_eq!(set(asked, &forced).unwrap_err().status(), 403);
    let lines = json!([{ "index": { "_index": "docs" } }, { "x": 1 }]);
    let text = lines.as_array().unwrap().iter().map(|line| format!("{line}\n")).collect::<String>();
    let parsed = Store::Opensearch.body("/_bulk", text.as_bytes(), 64).unwrap();
    let request = Request::read(&Method::POST, "/_bulk", None, parsed).unwrap();
    let asked = Store::Opensearch.find(request).unwrap().understand(&fence("acme"), None).unwrap();
    assert_eq!(asked.arguments.to_string(), r#"{"collection":"docs"}"#);
}

#[track_caller]
fn refuses(method: &'static str, path: &str, body: Json, expected: &str) {
    let (sent, told) = sent(&fence("acme"), (method, path), body, &[]);
    let refusal = told.unwrap_err();
    let text = format!("{} {} {}", refusal.status(), refusal.param().unwrap_or("-"), refusal.message());
    assert!(sent.is_empty() && text.contains(expected), "{method} {path}: {text} {sent:?}");
}

#[test]
fn what_is_not_known_goes_no_further() {
    let search = |body: Json, expected: &str| refuses("POST", "/docs/_search", body, expected);
    search(json!({ "suggest": {} }), "403");
    search(json!({ "runtime_mappings": {} }), "403");
    search(json!({ "query": { "script_score": {} } }), "403");
    search(json!({ "query": { "terms": { "a": { "index": "x", "id": "1", "path": "p" } } } }), "403");
    search(
        json!({ "query": { "bool": { "must": [{ "term": { "a": ["x"] } }] } } }),
        "400 query.bool.must.0.term.a",
    );
    search(json!({ "query": { "match": { "a": { "query": { "x": 1 } } } } }), "403");
    search(json!({ "knn": { "field": "v", "query_vector_builder": { "lookup": {} } } }), "403");
    search(json!({ "retriever": { "rule": {} } }), "403");
    // What searches by nothing searches everything.
    search(json!({ "knn": [], "size": 0 }), "400 knn");
    for name in ["rrf", "linear", "text_similarity_reranker"] {
        for inner in [json!({}), json!({ "retrievers": [] })] {
            search(json!({ "retriever": { name: inner }, "size": 0 }), "40");
        }
    }
    let nested = json!({ "rrf": { "retrievers": [{ "linear": { "retrievers": [] } }] } });
    search(json!({ "retriever": nested }), "400");
    search(json!({ "retriever": { "rrf": { "query": "x" } } }), "403");
    search(json!({ "aggs": { "a": { "global": {} } } }), "403");
    search(json!({ "aggs": { "a": { "terms": { "field": "a", "script": "x" } } } }), "403");
    search(json!({ "aggs": { "a": { "terms": { "field": "a", "min_doc_count": 0 } } } }), "403");
    search(json!({ "sort": [{ "_script": {} }] }), "403");
    search(json!({ "sort": [{ "a": { "nested": {} } }] }), "403");
    search(json!({ "collapse": { "field": "a", "inner_hits": {} } }), "403");
    search(json!({ "highlight": { "fields": { "a": { "highlight_query": {} } } } }), "403");
    search(json!({ "rescore": { "query": { "rescore_query": { "script_score": {} } } } }), "403");
    search(json!({ "_source": { "excludes": ["ten*"] } }), "400");
    for path in [
        "/docs/_search?q=x",
        "/docs/_search?source=x",
        "/docs/_search?routing=x",
        "/docs/_search?filter_path=x",
    ] {
        refuses("POST", path, json!({}), "403");
    }
    for name in ["_all", "*", "a*", "a,b", "-a", ".kibana", "c:a", "<a>", "%3Ca%7Bnow%7D%3E"] {
        refuses("POST", &format!("/{name}/_search"), json!({}), "403");
    }
}

#[test]
fn what_is_for_no_index_or_for_several_goes_no_further() {
    refuses("POST", "/_search", json!({}), "403");
    refuses("POST", "/_msearch", json!([{ "index": "a" }, {}, { "index": "b" }, {}]), "403");
    refuses(
        "POST",
        "/_bulk",
        json!([{ "index": { "_index": "a" } }, {}, { "index": { "_index": "b" } }, {}]),
        "403",
    );
    refuses("POST", "/docs/_bulk", json!([{ "index": { "routing": "x" } }, {}]), "403");
    refuses(
        "POST",
        "/docs/_bulk",
        json!([{ "delete": { "_id": "a" } }, { "index": {} }, {}]),
        "send two requests",
    );
    refuses(
        "POST",
        "/docs/_bulk",
        json!([{ "delete": { "_id": "a" } }, { "delete": { "_id": "a" } }]),
        "400",
    );
    refuses("POST", "/docs/_bulk", json!([{ "update": { "_id": "a" } }, { "script": "x" }]), "403");
    refuses("PUT", "/docs/_doc/a?pipeline=x", json!({}), "403");
    refuses("PUT", "/docs/_doc/a", json!({ "tenant_id.x": "y" }), "403");
    refuses("POST", "/docs/_delete_by_query", json!({}), "400");
    refuses("PUT", "/docs", json!({ "mappings": { "runtime": {} } }), "403");
    refuses(
        "PUT",
        "/docs",
        json!({ "mappings": { "properties": { "a": { "type": "keyword", "copy_to": "tenant_id" } } } }),
        "403",
    );
    refuses("PUT", "/docs", json!({ "aliases": {} }), "403");
    refuses("PUT", "/docs", json!({ "settings": { "index.default_pipeline": "x" } }), "403");
    refuses("GET", "/docs/_mapping", Json::Null, "403");
    for path in
        ["/_sql", "/_reindex", "/_aliases", "/_search/template", "/docs/_update_by_query", "/_cat/indices"]
    {
        refuses("POST", path, json!({}), "403");
    }
}

/// An index is made of what is known of it; whatever else there is, is refused with its place.
#[test]
fn indices_are_made_of_what_is_known() {
    let known = json!({
        "settings": {
            "number_of_shards": 1,
            "index": { "knn": true, "refresh_interval": "1s", "knn.algo_param": { "ef_search": 100 } },
            "index.similarity.default": { "type": "BM25", "k1": 1.2 },
            "analysis": { "analyzer": { "mine": { "type": "custom", "tokenizer": "standard", "filter": ["lowercase"] } } },
        },
        "mappings": {
            "dynamic": "strict",
            "_meta": { "script": "a word of the client's" },
            "dynamic_templates": [{ "words": { "match_mapping_type": "string", "mapping": { "type": "keyword" } } }],
            "properties": {
                "title": { "type": "text", "analyzer": "mine", "fields": { "raw": { "type": "keyword", "ignore_above": 256 } } },
                "parts": { "type": "nested", "properties": { "n": { "type": "integer" } } },
                "v": { "type": "knn_vector", "dimension": 3, "method": { "name": "hnsw", "engine": "faiss", "parameters": { "m": 16, "ef_construction": 128 } } },
                "w": { "type": "dense_vector", "dims": 3, "index_options": { "type": "int8_hnsw", "m": 16 } },
            },
        },
    });
    let asked = Asked { method: "PUT", path: "/docs".to_owned(), body: Some(known.clone()) };
    let mut sent = Json::Null;
    let answered = ask(Store::Opensearch, &asked, &fence("acme"), &mut |sending| {
        sent = serde_json::from_slice(&sending.body).unwrap();
        Reply { status: 200, body: r#"{"acknowledged":true}"#.into() }
    });
    assert_eq!(answered.told.unwrap().0, 200);
    assert_eq!(sent["settings"], known["settings"]);
    assert_eq!(sent["mappings"]["properties"]["tenant_id"], json!({ "type": "keyword" }));
}

#[test]
fn settings_that_are_not_known_go_no_further() {
    let settings = [
        (
            "settings.index.resize.source.name",
            json!({ "index": { "resize": { "source": { "name": "theirs" } } } }),
        ),
        ("settings.index.resize.source.name", json!({ "index.resize.source": { "name": "theirs" } })),
        ("settings.index.final_pipeline", json!({ "index": { "final_pipeline": "x" } })),
        ("settings.default_pipeline", json!({ "default_pipeline": "x" })),
        ("settings.index.search.default_pipeline", json!({ "index.search.default_pipeline": "x" })),
        (
            "settings.index.routing.allocation.include._name",
            json!({ "index.routing": { "allocation": { "include": { "_name": "a" } } } }),
        ),
        ("settings.lifecycle.name", json!({ "lifecycle.name": "x" })),
        (
            "settings.analysis.filter.a.synonyms_path",
            json!({ "analysis": { "filter": { "a": { "type": "synonym", "synonyms_path": "/etc/passwd" } } } }),
        ),
        (
            "settings.analysis.filter.a.script.source",
            json!({ "analysis": { "filter": { "a": { "type": "condition", "script": { "source": "x" } } } } }),
        ),
        ("settings.similarity.mine.type", json!({ "similarity": { "mine": { "type": "scripted" } } })),
        ("settings.index", json!({ "index": 1 })),
    ];
    for (place, settings) in settings {
        refuses("PUT", "/docs", json!({ "settings": settings }), &format!("`{place}` is not known here"));
    }
    refuses(
        "PUT",
        "/docs",
        json!({ "settings": { "number_of_shards": [[1]] } }),
        "400 settings.number_of_shards.0",
    );
    refuses("PUT", "/docs", json!({ "aliases": { "theirs": {} } }), "403");
}

#[test]
fn mappings_that_are_not_known_go_no_further() {
    for (place, mappings) in [
        ("mappings.dynamic", json!({ "dynamic": "runtime" })),
        ("mappings.properties.a.type", json!({ "properties": { "a": { "type": "alias" } } })),
        ("mappings.properties.a.type", json!({ "properties": { "a": { "type": "join" } } })),
        ("mappings.properties.a.type", json!({ "properties": { "a": { "type": "semantic_text" } } })),
        (
            "mappings.properties.a.copy_to",
            json!({ "properties": { "a": { "type": "text", "copy_to": "b" } } }),
        ),
        ("mappings.properties.a.script", json!({ "properties": { "a": { "type": "long", "script": "x" } } })),
        (
            "mappings.properties.a.model_id",
            json!({ "properties": { "a": { "type": "knn_vector", "model_id": "x" } } }),
        ),
        (
            "mappings.properties.a.fields.b.copy_to",
            json!({ "properties": { "a": { "type": "text", "fields": { "b": { "type": "text", "copy_to": "c" } } } } }),
        ),
        (
            "mappings.dynamic_templates.0.a.mapping.script",
            json!({ "dynamic_templates": [{ "a": { "mapping": { "script": "x" } } }] }),
        ),
    ] {
        refuses(
            "PUT",
            "/docs",
            json!({ "mappings": mappings.clone() }),
            &format!("`{place}` is not known here"),
        );
        let within = place.strip_prefix("mappings.").unwrap();
        refuses("PUT", "/docs/_mapping", mappings, &format!("`{within}` is not known here"));
    }
}
