//! Random and hostile requests to a Pinecone index that three tenants share: each in namespaces of its own, and all in one.

use super::{
    Asked, Dice, FIELD, Model, TENANTS, ask, cases, fence,
    pinecone_model::{DEFAULT, Pinecone, Record},
    to_model,
};
use crate::{
    refusal::Refusal,
    retrieval::{Fence, Store, members::Place},
};
use serde_json::{Value as Json, json};

fn id(dice: &mut Dice) -> String {
    format!("id{}", dice.roll(12))
}

fn value(dice: &mut Dice) -> f64 {
    f64::from(u32::try_from(dice.roll(100)).unwrap())
}

/// What a tenant calls its namespaces, and what it may try.
fn space(dice: &mut Dice) -> &'static str {
    dice.pick::<&str>(&["", DEFAULT, "x", "y", "globex", "globex_x", "acme_x", "acme"])
}

fn records(dice: &mut Dice, tenants: &[Json]) -> std::collections::BTreeMap<String, Record> {
    let ids = dice.several(0, 10, id);
    let each = ids.into_iter().map(|id| {
        let mut metadata = json!({ "n": dice.roll(5), "tag": *dice.pick(&["a", "b"]), "list": ["x", "y"] });
        metadata[FIELD] = dice.pick(tenants).clone();
        (id, Record { value: value(dice), metadata })
    });
    each.collect()
}

/// An index in which each tenant has namespaces of its own.
fn apart(dice: &mut Dice) -> Pinecone {
    let mut index = Pinecone::default();
    for tenant in TENANTS {
        for name in ["", "_x", "_y", "_globex_x"] {
            index.spaces.insert(format!("{tenant}{name}"), records(dice, &[json!(tenant)]));
        }
    }
    index.spaces.insert(DEFAULT.to_owned(), records(dice, &[json!("nobody")]));
    index.spaces.retain(|_, records| !records.is_empty());
    index
}

/// An index whose namespaces all share. Some records were written behind the gateway's back.
fn together(dice: &mut Dice) -> Pinecone {
    let mut tenants = TENANTS.map(|tenant| json!(tenant)).to_vec();
    tenants.extend([json!("acme"), json!("acme"), json!("globex"), Json::Null]);
    let mut index = Pinecone::default();
    for name in [DEFAULT, "x"] {
        index.spaces.insert(name.to_owned(), records(dice, &tenants));
    }
    index.spaces.retain(|_, records| !records.is_empty());
    index
}

fn filter(dice: &mut Dice, depth: u64) -> Json {
    if depth > 0 && dice.one_in(2) {
        let operator = *dice.pick(&["$and", "$or"]);
        return json!({ operator: dice.several(1, 3, |dice| filter(dice, depth - 1)) });
    }
    let tenant = *dice.pick(&TENANTS);
    match dice.roll(12) {
        0 => json!({ FIELD: { "$ne": "acme" } }),
        1 => json!({ FIELD: tenant }),
        2 => json!({ FIELD: { "$in": TENANTS } }),
        3 => json!({ FIELD: { "$exists": false } }),
        4 => json!({ "n": { *dice.pick(&["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"]): dice.roll(5) } }),
        5 => json!({ "n": { "$gte": 1, "$lt": 4 }, "tag": { "$nin": ["a"] } }),
        6 => json!({ "list": { "$in": ["x"] } }),
        7 => json!({ FIELD: tenant, "$or": [{ FIELD: tenant }, { "tag": "a" }] }),
        _ => json!({ "tag": *dice.pick(&["a", "b"]) }),
    }
}

/// Something that no filter is.
fn nonsense(dice: &mut Dice) -> Json {
    dice.pick(&[
        json!({}),
        json!([]),
        json!("x"),
        json!({ "$not": { FIELD: "acme" } }),
        json!({ "$or": [] }),
        json!({ "$or": { FIELD: "globex" } }),
        json!({ "a": ["x"] }),
        json!({ "a": {} }),
        json!({ "a": { "$eq": ["x"] } }),
        json!({ "a": { "$where": "1" } }),
        json!({ "a": { "$exists": 1 } }),
        json!({ "a": null }),
        json!({ "": "x" }),
    ])
    .clone()
}

fn filtered(dice: &mut Dice, body: &mut Json, always: bool) {
    if always || dice.one_in(2) {
        body["filter"] = if dice.one_in(12) { nonsense(dice) } else { filter(dice, 3) };
    }
    if dice.one_in(30) {
        body[*dice.pick(&["Namespace", "filters", "namespaces", "$or"])] = json!("globex");
    }
}

fn metadata(dice: &mut Dice) -> Json {
    match dice.roll(3) {
        0 => json!({ FIELD: *dice.pick(&TENANTS), "n": 1 }),
        1 => json!({ FIELD: ["acme", "globex"], "tag": "b" }),
        _ => json!({ "n": dice.roll(5) }),
    }
}

fn post(path: &str, body: Json) -> Asked {
    Asked { method: "POST", path: path.to_owned(), body: Some(body) }
}

/// Something that is written or deleted.
fn change(dice: &mut Dice, mut body: Json) -> Asked {
    match dice.roll(3) {
        0 => {
            let vectors = dice.several(1, 3, |dice| {
                let mut vector = json!({ "id": id(dice), "values": [value(dice)] });
                if dice.one_in(2) {
                    vector["metadata"] = metadata(dice);
                }
                vector
            });
            body["vectors"] = json!(vectors);
            post("/vectors/upsert", body)
        }
        1 => {
            if dice.one_in(2) {
                body["id"] = json!(id(dice));
                body["values"] = json!([value(dice)]);
            } else {
                filtered(dice, &mut body, true);
                body["dryRun"] = json!(dice.one_in(3));
            }
            body["setMetadata"] = metadata(dice);
            post("/vectors/update", body)
        }
        _ => {
            match dice.roll(4) {
                0 => body["deleteAll"] = json!(true),
                1 => filtered(dice, &mut body, true),
                2 => body["ids"] = json!(dice.several(1, 4, id)),
                _ => {
                    filtered(dice, &mut body, false);
                    body["ids"] = json!(dice.several(0, 2, id));
                }
            }
            post("/vectors/delete", body)
        }
    }
}

fn request(dice: &mut Dice) -> Asked {
    let mut body = json!({});
    let space = space(dice);
    if dice.one_in(2) {
        body["namespace"] = json!(space);
    }
    match dice.roll(11) {
        0 | 1 => {
            filtered(dice, &mut body, false);
            body["topK"] = json!(dice.roll(8));
            let (name, example) =
                if dice.one_in(4) { ("id", json!(id(dice))) } else { ("vector", json!([value(dice)])) };
            body[name] = example;
            for name in ["includeMetadata", "includeValues"] {
                if dice.one_in(2) {
                    body[name] = json!(dice.one_in(2));
                }
            }
            post("/query", body)
        }
        2 => {
            let ids = dice.several(1, 5, |dice| format!("ids={}", id(dice)));
            let path = format!("/vectors/fetch?{}&namespace={space}", ids.join("&"));
            Asked { method: "GET", path, body: None }
        }
        3 => {
            filtered(dice, &mut body, false);
            body["limit"] = json!(1 + dice.roll(5));
            post("/vectors/fetch_by_metadata", body)
        }
        4 => Asked {
            method: "GET",
            path: format!("/vectors/list?namespace={space}&prefix=id1&limit={}", 1 + dice.roll(3)),
            body: None,
        },
        5 => post("/describe_index_stats", json!({})),
        6 => {
            let mut query = json!({ "top_k": dice.roll(8), "vector": { "values": [value(dice)] } });
            filtered(dice, &mut query, false);
            let mut body = json!({ "query": query });
            if dice.one_in(2) {
                body["fields"] = json!(dice.several(0, 2, |dice| *dice.pick(&["n", "tag", FIELD])));
            }
            let space = if space.is_empty() { DEFAULT } else { space };
            post(&format!("/records/namespaces/{space}/search"), body)
        }
        7..=9 => change(dice, body),
        _ => Asked { method: "GET", path: "/namespaces".to_owned(), body: None },
    }
}

fn is_write(asked: &Asked) -> bool {
    ["/upsert", "/update", "/delete"].iter().any(|part| asked.path.ends_with(part))
}

fn own(tenant: &str) -> Fence {
    Fence { prefix: Some(format!("{tenant}_").into()), ..fence(tenant) }
}

/// The answer with the store's own cursor in it.
fn opened(fence: &Fence, asked: &Asked, mut answer: Json) -> Json {
    let space = asked.body.as_ref().and_then(|body| body["namespace"].as_str());
    let space = space.or_else(|| asked.path.split("namespace=").nth(1)?.split('&').next());
    let space = space.filter(|space| !space.is_empty()).unwrap_or(DEFAULT);
    if let Some(next) = answer["pagination"]["next"].as_str() {
        let next = fence.open(next, space, &Place::Body).unwrap();
        answer["pagination"]["next"] = json!(next);
    }
    answer
}

fn stamped(mut alone: Pinecone, tenant: &str) -> Pinecone {
    for record in alone.spaces.values_mut().flat_map(|records| records.values_mut()) {
        record.metadata[FIELD] = json!(tenant);
    }
    alone
}

fn is_refused(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Invalid { .. } | Refusal::ToolNotAllowed { .. })
}

#[test]
fn a_tenant_is_alone_in_its_namespaces() {
    let (mut allowed, mut refused) = (0_u64, 0_u64);
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (apart(dice), *dice.pick(&TENANTS), request(dice));
        let before = model.clone();
        let fence = own(tenant);
        let answered = ask(Store::Pinecone, &asked, &fence, &mut to_model(&mut model));
        let told = format!("{seed}: {tenant} {asked:?}\n{answered:?}");
        assert_eq!(answered.foreign, 0, "{told}");
        let foreign = |index: &Pinecone| {
            let is_own = |name: &str| name == tenant || name.starts_with(&format!("{tenant}_"));
            index
                .spaces
                .iter()
                .filter(|(name, _)| !is_own(name))
                .map(|(name, all)| (name.clone(), all.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(foreign(&model), foreign(&before), "{told}");
        match answered.told {
            Ok((status, answer)) => {
                allowed += 1;
                let mut alone = before.own_spaces(tenant);
                let mut expected = alone.handle(asked.method, &asked.path, asked.body.as_ref());
                if let Some(answer) = expected.1.as_object_mut() {
                    answer.remove("total_count");
                }
                assert_eq!((status, opened(&fence, &asked, answer)), expected, "{told}");
                assert_eq!(model.own_spaces(tenant), stamped(alone, tenant), "{told}");
            }
            Err(refusal) => {
                refused += 1;
                assert_eq!(model, before, "{told}");
                assert!(is_refused(&refusal), "{told}");
            }
        }
    }
    assert!(allowed > refused && refused > cases() / 40, "{allowed} allowed, {refused} refused");
}

#[test]
fn a_tenant_reads_its_own_in_namespaces_that_all_share() {
    let mut allowed = 0_u64;
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (together(dice), *dice.pick(&TENANTS), request(dice));
        let before = model.clone();
        let answered = ask(Store::Pinecone, &asked, &fence(tenant), &mut to_model(&mut model));
        let told = format!("{seed}: {tenant} {asked:?}\n{answered:?}");
        assert_eq!(answered.foreign, 0, "{told}");
        assert_eq!(model.without(tenant), before.without(tenant), "{told}");
        match answered.told {
            Ok(_) if asked.path == "/namespaces" => {}
            Ok((status, answer)) => {
                allowed += 1;
                let mut alone = before.only(tenant);
                let mut expected = alone.handle(asked.method, &asked.path, asked.body.as_ref());
                if is_write(&asked) {
                    // How many there were is not told.
                    expected.1 = json!({});
                }
                assert_eq!((status, opened(&fence(tenant), &asked, answer)), expected, "{told}");
                assert_eq!(model.only(tenant), stamped(alone, tenant), "{told}");
            }
            Err(refusal) => {
                assert_eq!(model, before, "{told}");
                assert!(is_refused(&refusal), "{told}");
            }
        }
    }
    assert!(allowed > cases() / 4, "{allowed} allowed");
}

#[test]
fn a_store_that_ignores_filters_and_namespaces_leaks_nothing() {
    let mut found = 0;
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let is_shared = dice.one_in(2);
        let mut model = if is_shared { together(dice) } else { apart(dice) };
        let (tenant, asked) = (*dice.pick(&TENANTS), request(dice));
        // Ids alone, names and counts are told by namespace.
        let unseen = ["/vectors/list", "/namespaces", "/describe_index_stats"];
        if is_write(&asked) || unseen.iter().any(|part| asked.path.starts_with(part)) {
            continue;
        }
        model.ignores_filters = true;
        let fence = if is_shared { fence(tenant) } else { own(tenant) };
        let answered = ask(Store::Pinecone, &asked, &fence, &mut to_model(&mut model));
        found += answered.foreign;
        let Ok((_, body)) = answered.told else { continue };
        let own = model.only(tenant);
        let known = |id: &str| own.spaces.values().any(|records| records.contains_key(id));
        let lists = [&body["matches"], &body["result"]["hits"]]
            .map(|list| list.as_array().cloned().unwrap_or_default());
        let ids =
            lists.iter().flatten().filter_map(|found| found["id"].as_str().or_else(|| found["_id"].as_str()));
        let keys =
            body["vectors"].as_object().into_iter().flat_map(|vectors| vectors.keys().map(String::as_str));
        assert!(ids.chain(keys).all(known), "{seed}: {asked:?} {body}");
        let text = body.to_string();
        for other in TENANTS.iter().filter(|other| **other != tenant) {
            assert!(!text.contains(&format!("\"{FIELD}\":\"{other}\"")), "{seed}: {asked:?} {body}");
        }
    }
    assert!(found > 0);
}
