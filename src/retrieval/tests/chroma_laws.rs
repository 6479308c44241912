//! Random and hostile requests to a Chroma that three tenants share.

use super::{
    Asked, Dice, FIELD, Model, TENANTS, ask, cases,
    chroma_model::{BASE, Chroma, Record},
    fence, to_model,
};
use crate::{refusal::Refusal, retrieval::Store};
use serde_json::{Value as Json, json};

fn id(dice: &mut Dice) -> String {
    format!("id{}", dice.roll(24))
}

fn store(dice: &mut Dice) -> Chroma {
    let mut records: Vec<Record> = Vec::new();
    for number in 0..24 {
        if dice.one_in(3) {
            continue;
        }
        let mut metadata = json!({ "n": dice.roll(5), "tag": *dice.pick(&["a", "b"]), "list": ["x", "y"] });
        // Some were written behind the gateway's back: without a tenant, with one that is no text, with several.
        metadata[FIELD] = match dice.roll(12) {
            0 => Json::Null,
            1 => json!(["acme", "globex"]),
            _ => json!(dice.pick(&TENANTS)),
        };
        let embedding = f64::from(u32::try_from(dice.roll(100)).unwrap());
        let document = json!(format!("text {}", dice.roll(4)));
        records.push(Record { id: format!("id{number}"), embedding, metadata, document });
    }
    Chroma { records, ignores_filters: false }
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
        3 => json!({ "n": { *dice.pick(&["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"]): dice.roll(5) } }),
        4 => json!({ "tag": { *dice.pick(&["$in", "$nin"]): ["a"] } }),
        5 => json!({ "list": { *dice.pick(&["$contains", "$not_contains"]): "x" } }),
        6 => json!({ FIELD: { "$contains": tenant } }),
        7 => json!({ "#document": { "$contains": "1" } }),
        8 => json!({ "nothing": { "$ne": "x" } }),
        _ => json!({ "tag": *dice.pick(&["a", "b"]) }),
    }
}

/// Something that no filter is.
fn nonsense(dice: &mut Dice) -> Json {
    dice.pick(&[
        json!({}),
        json!([]),
        json!("x"),
        json!({ "a": 1, "b": 2 }),
        json!({ "$not": { FIELD: "acme" } }),
        json!({ "$or": [] }),
        json!({ "$or": { FIELD: "globex" } }),
        json!({ "a": ["x", "y"] }),
        json!({ "a": { "$eq": ["x"] } }),
        json!({ "a": { "$where": "1" } }),
        json!({ "a": null }),
        json!({ "#id": "b" }),
    ])
    .clone()
}

fn document_filter(dice: &mut Dice, depth: u64) -> Json {
    if depth > 0 && dice.one_in(3) {
        let operator = *dice.pick(&["$and", "$or"]);
        return json!({ operator: dice.several(1, 3, |dice| document_filter(dice, depth - 1)) });
    }
    json!({ *dice.pick(&["$contains", "$not_contains"]): *dice.pick(&["1", "2", "text"]) })
}

fn selection(dice: &mut Dice, body: &mut Json) {
    if dice.one_in(2) {
        body["where"] = if dice.one_in(12) { nonsense(dice) } else { filter(dice, 3) };
    }
    if dice.one_in(4) {
        body["where_document"] = document_filter(dice, 2);
    }
    if dice.one_in(3) {
        body["ids"] = json!(dice.several(0, 6, id));
    }
    if dice.one_in(30) {
        body[*dice.pick(&["tenant", "Where", "where_documents", "$where"])] = json!({ FIELD: "globex" });
    }
}

fn records(dice: &mut Dice) -> Json {
    let mut ids = dice.several(1, 4, id);
    ids.sort_unstable();
    ids.dedup();
    let mut body = json!({ "embeddings": ids.iter().map(|_| json!([dice.roll(100)])).collect::<Vec<_>>() });
    if dice.one_in(2) {
        body["documents"] = ids.iter().map(|_| json!(format!("text {}", dice.roll(4)))).collect();
    }
    if dice.one_in(2) {
        body["metadatas"] = ids
            .iter()
            .map(|_| match dice.roll(4) {
                0 => Json::Null,
                1 => json!({ FIELD: *dice.pick(&TENANTS), "n": 1 }),
                2 => json!({ FIELD: null, "tag": "b" }),
                _ => json!({ "n": dice.roll(5) }),
            })
            .collect();
    }
    body["ids"] = json!(ids);
    body
}

fn request(dice: &mut Dice) -> Asked {
    let asked = |method, part: &str, body| Asked { method, path: format!("{BASE}{part}"), body };
    let include = ["documents", "embeddings", "metadatas"];
    let mut body = json!({});
    match dice.roll(9) {
        0 => asked("GET", "/count", None),
        1 | 2 => {
            selection(dice, &mut body);
            if dice.one_in(2) {
                body["limit"] = json!(dice.roll(6));
                body["offset"] = json!(dice.roll(3));
            }
            if dice.one_in(2) {
                body["include"] = json!(dice.several(0, 2, |dice| *dice.pick(&include)));
            }
            asked("POST", "/get", Some(body))
        }
        3 | 4 => {
            selection(dice, &mut body);
            body["query_embeddings"] = json!(dice.several(1, 3, |dice| [dice.roll(100)]));
            body["n_results"] = json!(dice.roll(8));
            if dice.one_in(2) {
                body["include"] = json!(dice.several(0, 2, |dice| *dice.pick(&include)));
            }
            asked("POST", "/query", Some(body))
        }
        5 => {
            selection(dice, &mut body);
            asked("POST", "/delete", Some(body))
        }
        6 => asked("POST", "/add", Some(records(dice))),
        7 => asked("POST", "/update", Some(records(dice))),
        _ => asked("POST", "/upsert", Some(records(dice))),
    }
}

/// Whether a request names an id that is there and not the tenant's.
fn names_foreign(model: &Chroma, tenant: &str, asked: &Asked) -> bool {
    let ids = asked.body.as_ref().and_then(|body| body["ids"].as_array()).cloned().unwrap_or_default();
    model.without(tenant).records.iter().any(|record| ids.contains(&json!(record.id)))
}

fn is_write(asked: &Asked) -> bool {
    ["/delete", "/add", "/update", "/upsert"].iter().any(|part| asked.path.ends_with(part))
}

/// What the client would have been told, had the store nothing but its records.
fn expected(model: &Chroma, tenant: &str, asked: &Asked) -> (Chroma, (u16, Json)) {
    let mut alone = model.only(tenant);
    let told = alone.handle(asked.method, &asked.path, asked.body.as_ref());
    // What it writes is its own.
    let is_new = |record: &Record| !model.records.iter().any(|old| old == record);
    for record in &mut alone.records {
        if is_new(record) {
            record.metadata[FIELD] = json!(tenant);
        }
    }
    (alone, told)
}

fn sorted(model: &Chroma) -> Vec<Record> {
    let mut records = model.records.clone();
    records.sort_by(|a, b| a.id.cmp(&b.id));
    records
}

#[test]
fn a_tenant_is_alone_in_its_store() {
    let (mut allowed, mut refused) = (0_u64, 0_u64);
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (store(dice), *dice.pick(&TENANTS), request(dice));
        let before = model.clone();
        let answered = ask(Store::Chroma, &asked, &fence(tenant), &mut to_model(&mut model));
        let told = format!("{seed}: {tenant} {asked:?}\n{answered:?}");
        assert_eq!(answered.foreign, 0, "{told}");
        assert_eq!(model.without(tenant), before.without(tenant), "{told}");
        match answered.told {
            Ok(answer) => {
                allowed += 1;
                assert!(!is_write(&asked) || !names_foreign(&before, tenant, &asked), "{told}");
                let (alone, (status, body)) = expected(&before, tenant, &asked);
                assert_eq!(answer, (status, body), "{told}");
                assert_eq!(sorted(&model.only(tenant)), sorted(&alone), "{told}");
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
fn a_store_that_ignores_filters_leaks_nothing() {
    let mut found = 0;
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (store(dice), *dice.pick(&TENANTS), request(dice));
        if is_write(&asked) {
            continue;
        }
        model.ignores_filters = true;
        let answered = ask(Store::Chroma, &asked, &fence(tenant), &mut to_model(&mut model));
        found += answered.foreign;
        let Ok((_, body)) = answered.told else { continue };
        assert!(!asked.path.ends_with("/count") || model.records.is_empty(), "{seed}: {asked:?} {body}");
        // What is told of are its own records, whatever of them.
        let text = body.to_string();
        for foreign in model.without(tenant).records {
            assert!(!text.contains(&format!("\"{}\"", foreign.id)), "{seed}: {asked:?} {body}");
        }
        let lists = |name: &str| body[name].as_array().map(Vec::len);
        for name in ["documents", "embeddings", "metadatas", "distances"] {
            assert!(body[name].is_null() || lists(name) == lists("ids"), "{seed}: {body}");
        }
    }
    assert!(found > 0);
}
