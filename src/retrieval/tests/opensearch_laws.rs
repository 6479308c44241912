//! Random and hostile requests to an OpenSearch index that three tenants share.

use super::{
    Asked, Dice, FIELD, Model, TENANTS, ask, cases, fence,
    opensearch_model::{Doc, INDEX, OpenSearch},
    to_model,
};
use crate::{refusal::Refusal, retrieval::Store};
use serde_json::{Value as Json, json};

fn id(dice: &mut Dice) -> String {
    format!("id{}", dice.roll(24))
}

fn number(dice: &mut Dice) -> f64 {
    f64::from(u32::try_from(dice.roll(100)).unwrap())
}

/// Some records were written behind the gateway's back: without a tenant, and, where it `mixes`, with several.
fn store(dice: &mut Dice, mixes: bool) -> OpenSearch {
    let mut store = OpenSearch { writes: 100, ..OpenSearch::default() };
    for at in 0..24 {
        if dice.one_in(3) {
            continue;
        }
        let mut source = json!({ "n": dice.roll(5), "tag": *dice.pick(&["a", "b"]), "v": number(dice), "list": ["x", "y"] });
        source[FIELD] = match dice.roll(12) {
            0 => Json::Null,
            1 if mixes => json!(["acme", "globex"]),
            _ => json!(dice.pick(&TENANTS)),
        };
        store.docs.insert(format!("id{at}"), Doc { source, number: at });
    }
    store
}

fn query(dice: &mut Dice, depth: u64) -> Json {
    if depth > 0 && dice.one_in(2) {
        let mut joined = json!({});
        for name in ["must", "should", "must_not", "filter"] {
            if dice.one_in(3) {
                joined[name] = match dice.roll(4) {
                    0 => query(dice, depth - 1),
                    _ => json!(dice.several(1, 3, |dice| query(dice, depth - 1))),
                };
            }
        }
        if dice.one_in(4) {
            joined["minimum_should_match"] = json!(dice.roll(3));
        }
        return json!({ "bool": joined });
    }
    let tenant = *dice.pick(&TENANTS);
    match dice.roll(13) {
        0 => json!({ "bool": { "must_not": { "term": { FIELD: "acme" } } } }),
        1 => json!({ "term": { FIELD: tenant } }),
        2 => json!({ "terms": { FIELD: TENANTS } }),
        3 => json!({ "range": { "n": { *dice.pick(&["gt", "gte", "lt", "lte"]): dice.roll(5) } } }),
        4 => json!({ "exists": { "field": *dice.pick(&[FIELD, "nothing", "n"]) } }),
        5 => json!({ "ids": { "values": dice.several(1, 5, id) } }),
        6 => json!({ "match_all": {} }),
        7 => json!({ "knn": knn(dice, 1) }),
        8 => json!({ "prefix": { FIELD: "g" } }),
        9 => json!({ "term": { "list": { "value": "x" } } }),
        _ => json!({ "match": { "tag": *dice.pick(&["a", "b"]) } }),
    }
}

/// Something that no query is, or none that is served.
fn nonsense(dice: &mut Dice) -> Json {
    dice.pick(&[
        json!({}),
        json!([]),
        json!("x"),
        json!({ "term": { "a": 1 }, "match_all": {} }),
        json!({ "bool": { "must": [{ "script": { "script": "1" } }] } }),
        json!({ "terms": { FIELD: { "index": "other", "id": "1", "path": "x" } } }),
        json!({ "more_like_this": { "like": [{ "_id": "id1" }] } }),
        json!({ "function_score": { "query": { "match_all": {} } } }),
        json!({ "wrapper": { "query": "e30=" } }),
        json!({ "percolate": { "field": "q", "id": "id1" } }),
        json!({ "has_child": { "type": "x", "query": { "match_all": {} } } }),
        json!({ "nested": { "path": "x", "query": { "match_all": {} }, "inner_hits": {} } }),
        json!({ "geo_shape": { "at": { "indexed_shape": { "id": "id1" } } } }),
        json!({ "term": { "a": ["x"] } }),
        json!({ "bool": { "Must": [] } }),
    ])
    .clone()
}

fn knn(dice: &mut Dice, depth: u64) -> Json {
    let mut knn = json!({ "field": "v", "query_vector": [number(dice)], "k": 1 + dice.roll(6) });
    if dice.one_in(2) {
        knn["filter"] = match dice.roll(3) {
            0 => json!(dice.several(0, 2, |dice| query(dice, depth))),
            _ => query(dice, depth),
        };
    }
    knn
}

fn retriever(dice: &mut Dice, depth: u64) -> Json {
    match dice.roll(if depth > 0 { 3 } else { 2 }) {
        0 => {
            let mut standard = json!({ "query": query(dice, 2) });
            if dice.one_in(3) {
                standard["filter"] = query(dice, 1);
            }
            if dice.one_in(4) {
                standard = json!({});
            }
            json!({ "standard": standard })
        }
        1 => json!({ "knn": knn(dice, 1) }),
        _ => json!({ "rrf": { "retrievers": dice.several(1, 3, |dice| retriever(dice, depth - 1)) } }),
    }
}

fn aggs(dice: &mut Dice, depth: u64) -> Json {
    match dice.roll(if depth > 0 { 6 } else { 2 }) {
        0 => json!({ "each": { "terms": { "field": *dice.pick(&["tag", "n", FIELD]) } } }),
        1 => json!({ "sum": { "sum": { "field": "n" } } }),
        2 => dice
            .pick(&[
                json!({ "all": { "global": {}, "aggs": {} } }),
                json!({ "all": { "terms": { "field": FIELD, "min_doc_count": 0 } } }),
                json!({ "all": { "significant_terms": { "field": FIELD } } }),
                json!({ "all": { "sum": { "script": "1" } } }),
                json!({ "all": { "top_hits": {} } }),
            ])
            .clone(),
        _ => json!({ "some": { "filter": query(dice, 1), "aggs": aggs(dice, depth - 1) } }),
    }
}

fn search(dice: &mut Dice) -> Json {
    let mut body = json!({});
    match dice.roll(6) {
        0 => body["retriever"] = retriever(dice, 2),
        1 => body["knn"] = knn(dice, 2),
        2 => {
            body["knn"] = json!(dice.several(1, 2, |dice| knn(dice, 2)));
            body["query"] = query(dice, 2);
        }
        3 => {}
        _ => body["query"] = if dice.one_in(12) { nonsense(dice) } else { query(dice, 3) },
    }
    if dice.one_in(2) {
        body["size"] = json!(dice.roll(8));
        body["from"] = json!(dice.roll(3));
    }
    if dice.one_in(5) {
        body["aggs"] = aggs(dice, 2);
    }
    if dice.one_in(6) {
        body["post_filter"] = query(dice, 1);
    }
    if dice.one_in(2) {
        body["_source"] = wanted(dice);
    }
    if dice.one_in(30) {
        let (name, value) = dice
            .pick(&[
                ("suggest", json!({ "x": { "text": "a", "term": { "field": FIELD } } })),
                ("runtime_mappings", json!({ FIELD: { "type": "keyword" } })),
                ("script_fields", json!({})),
                ("explain", json!(true)),
                ("stored_fields", json!("_none_")),
                ("Query", json!({})),
            ])
            .clone();
        body[name] = value;
    }
    body
}

fn wanted(dice: &mut Dice) -> Json {
    dice.pick(&[
        json!(true),
        json!(false),
        json!(["n"]),
        json!(["n", FIELD]),
        json!({ "includes": ["tag", "n"], "excludes": ["n"] }),
        json!({ "excludes": [FIELD] }),
        json!({ "excludes": ["n"] }),
    ])
    .clone()
}

fn record(dice: &mut Dice) -> Json {
    match dice.roll(4) {
        0 => json!({ FIELD: *dice.pick(&TENANTS), "n": 1 }),
        1 => json!({ FIELD: ["acme", "globex"], "tag": "b", "v": number(dice) }),
        _ => json!({ "n": dice.roll(5), "v": number(dice) }),
    }
}

fn update(dice: &mut Dice) -> Json {
    let mut body = json!({ "doc": record(dice) });
    match dice.roll(4) {
        0 => body["doc_as_upsert"] = json!(true),
        1 => body["upsert"] = record(dice),
        2 if dice.one_in(5) => body["script"] = json!("ctx._source.tenant_id = 'globex'"),
        _ => {}
    }
    body
}

fn bulk(dice: &mut Dice) -> Json {
    let mut ids = dice.several(1, 4, id);
    ids.sort_unstable();
    ids.dedup();
    let deletes = dice.one_in(4);
    let mut lines = Vec::new();
    for id in ids {
        let action = if deletes { "delete" } else { *dice.pick(&["index", "create", "update"]) };
        lines.push(json!({ action: { "_id": id } }));
        match action {
            "delete" => {}
            "update" => lines.push(update(dice)),
            _ => lines.push(record(dice)),
        }
    }
    json!(lines)
}

fn asked(method: &'static str, part: &str, body: Json) -> Asked {
    Asked { method, path: format!("/{INDEX}/{part}"), body: (!body.is_null()).then_some(body) }
}

fn request(dice: &mut Dice) -> Asked {
    let id = id(dice);
    match dice.roll(14) {
        0..=3 => asked("POST", "_search", search(dice)),
        4 => {
            let lines = dice.several(1, 3, |dice| [json!({ "index": INDEX }), search(dice)]);
            asked("POST", "_msearch", json!(lines.concat()))
        }
        5 => {
            let given = if dice.one_in(12) { nonsense(dice) } else { query(dice, 3) };
            asked("POST", "_count", json!({ "query": given }))
        }
        6 => asked("GET", &format!("{}/{id}", *dice.pick(&["_doc", "_source"])), Json::Null),
        7 => {
            let ids = dice.several(1, 4, self::id);
            asked("POST", "_mget", json!({ "ids": ids }))
        }
        8 => asked("PUT", &format!("_doc/{id}{}", *dice.pick(&["", "", "?op_type=create"])), record(dice)),
        9 => asked("PUT", &format!("_create/{id}"), record(dice)),
        10 => asked("POST", &format!("_update/{id}"), update(dice)),
        11 => asked("DELETE", &format!("_doc/{id}"), Json::Null),
        12 => asked("POST", "_delete_by_query", json!({ "query": query(dice, 2) })),
        _ => asked("POST", "_bulk", bulk(dice)),
    }
}

fn is_write(asked: &Asked) -> bool {
    asked.method != "GET"
        && !["_search", "_count", "_mget"].iter().any(|part| asked.path.ends_with(part))
        && !asked.path.ends_with("_msearch")
}

fn names_foreign(model: &OpenSearch, tenant: &str, asked: &Asked) -> bool {
    let lines = asked.body.as_ref().and_then(Json::as_array).into_iter().flatten();
    let targets = lines.filter_map(|line| line.as_object()?.values().next()?["_id"].as_str());
    let path = asked.path.split('?').next().unwrap().rsplit('/').next();
    let ids: Vec<&str> = targets.chain(path).collect();
    model.without(tenant).docs.keys().any(|id| ids.contains(&id.as_str()))
}

/// What the client would have been told, had the store nothing but its records.
fn expected(model: &OpenSearch, tenant: &str, asked: &Asked) -> (OpenSearch, (u16, Json)) {
    let mut alone = model.only(tenant);
    let told = alone.handle(asked.method, &asked.path, asked.body.as_ref());
    for doc in alone.docs.values_mut() {
        doc.source[FIELD] = json!(tenant);
    }
    (alone, told)
}

#[test]
fn a_tenant_is_alone_in_its_index() {
    let (mut allowed, mut refused) = (0_u64, 0_u64);
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (store(dice, false), *dice.pick(&TENANTS), request(dice));
        let before = model.clone();
        let answered = ask(Store::Opensearch, &asked, &fence(tenant), &mut to_model(&mut model));
        let told = format!("{seed}: {tenant} {asked:?}\n{answered:?}");
        assert_eq!(answered.foreign, 0, "{told}");
        assert_eq!(model.without(tenant).docs, before.without(tenant).docs, "{told}");
        match answered.told {
            Ok(answer) => {
                allowed += 1;
                assert!(!is_write(&asked) || !names_foreign(&before, tenant, &asked), "{told}");
                let (alone, expected) = expected(&before, tenant, &asked);
                assert_eq!(answer, expected, "{told}");
                assert_eq!(model.only(tenant).docs, alone.docs, "{told}");
            }
            Err(refusal) => {
                refused += 1;
                assert_eq!(model, before, "{told}");
                assert!(
                    matches!(refusal, Refusal::Invalid { .. } | Refusal::ToolNotAllowed { .. }),
                    "{told}"
                );
            }
        }
    }
    assert!(allowed > refused && refused > cases() / 20, "{allowed} allowed, {refused} refused");
}

#[test]
fn a_store_that_ignores_queries_leaks_nothing() {
    let mut found = 0;
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (store(dice, true), *dice.pick(&TENANTS), request(dice));
        if is_write(&asked) {
            continue;
        }
        model.ignores_filters = true;
        let answered = ask(Store::Opensearch, &asked, &fence(tenant), &mut to_model(&mut model));
        found += answered.foreign;
        let Ok((_, body)) = answered.told else { continue };
        assert!(!asked.path.ends_with("_count") || model.docs.is_empty(), "{seed}: {asked:?} {body}");
        let own = model.only(tenant);
        let mut open = vec![&body];
        while let Some(value) = open.pop() {
            let is_found =
                value.get("_source").is_some() || value.get("_score").is_some() || value["found"] == true;
            if let Some(id) = value["_id"].as_str().filter(|_| is_found) {
                assert!(own.docs.contains_key(id), "{seed}: {asked:?} {body}");
            }
            assert!(value.get("aggregations").is_none() || model.docs.is_empty(), "{seed}: {asked:?} {body}");
            match value {
                Json::Array(items) => open.extend(items),
                Json::Object(members) => open.extend(members.values()),
                _ => {}
            }
        }
    }
    assert!(found > 0);
}
