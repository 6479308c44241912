//! Random and hostile requests to a Qdrant that three tenants share.

use super::{
    Asked, Dice, FIELD, Model, TENANTS, ask, cases, fence,
    qdrant_model::{BASE, Point, Qdrant},
    to_model,
};
use crate::{refusal::Refusal, retrieval::Store};
use serde_json::{Value as Json, json};

const IDS: u64 = 24;

fn id(dice: &mut Dice) -> u64 {
    dice.roll(IDS)
}

fn store(dice: &mut Dice) -> Qdrant {
    let mut store = Qdrant::default();
    for id in 0..IDS {
        if dice.one_in(3) {
            continue;
        }
        let mut payload = json!({ "n": dice.roll(5), "tag": *dice.pick(&["a", "b"]), "list": ["x", "y"] });
        // Some were written behind the gateway's back: without a tenant, with one that is no text, with several.
        payload[FIELD] = match dice.roll(12) {
            0 => Json::Null,
            1 => json!(["acme", "globex"]),
            _ => json!(dice.pick(&TENANTS)),
        };
        store.points.insert(id, Point { vector: Some(vector(dice)), payload });
    }
    store
}

fn vector(dice: &mut Dice) -> f64 {
    f64::from(u32::try_from(dice.roll(100)).unwrap())
}

fn condition(dice: &mut Dice, depth: u64) -> Json {
    if depth > 0 && dice.one_in(2) {
        return filter(dice, depth - 1);
    }
    let tenant = *dice.pick(&TENANTS);
    match dice.roll(10) {
        0 => json!({ "key": FIELD, "match": { "except": ["acme"] } }),
        1 => json!({ "key": FIELD, "match": { "any": TENANTS } }),
        2 => json!({ "key": FIELD, "match": { "value": tenant } }),
        3 => json!({ "has_id": dice.several(0, 5, id) }),
        4 => json!({ "is_empty": { "key": FIELD } }),
        5 => json!({ "key": "n", "range": { "gte": dice.roll(5) } }),
        6 => json!({ "key": "list", "match": { "value": "x" } }),
        _ => json!({ "key": "tag", "match": { "value": *dice.pick(&["a", "b"]) } }),
    }
}

fn filter(dice: &mut Dice, depth: u64) -> Json {
    let mut filter = json!({});
    for name in ["must", "must_not", "should"] {
        if dice.one_in(3) {
            filter[name] = match dice.roll(4) {
                0 => condition(dice, depth),
                _ => json!(dice.several(1, 3, |dice| condition(dice, depth))),
            };
        }
    }
    if dice.one_in(8) {
        let conditions = dice.several(1, 3, |dice| condition(dice, depth));
        filter["min_should"] = json!({ "conditions": conditions, "min_count": dice.roll(3) });
    }
    filter
}

/// Something that no filter is.
fn nonsense(dice: &mut Dice) -> Json {
    dice.pick(&[
        json!([]),
        json!("x"),
        json!({ "musty": [] }),
        json!({ "must": [{}] }),
        json!({ "must": [{ "key": "a", "match": { "value": ["x"] } }] }),
        json!({ "must": [{ "key": "a", "match": { "any": "x" } }] }),
        json!({ "must": [{ "key": "a", "script": "1" }] }),
        json!({ "must": [{ "has_id": ["not an id"] }] }),
        json!({ "should": null, "must": [{ "is_empty": "a" }] }),
        json!({ "must": [{ "nested": { "key": "a", "filter": { "x": 1 } } }] }),
    ])
    .clone()
}

fn filtered(dice: &mut Dice, body: &mut Json) {
    if dice.one_in(2) {
        body["filter"] = if dice.one_in(12) { nonsense(dice) } else { filter(dice, 3) };
    }
    if dice.one_in(30) {
        let (name, value) = dice
            .pick(&[
                ("lookup_from", json!({ "collection": "other" })),
                ("with_lookup", json!("other")),
                ("filters", json!({})),
                ("shard_key_selector", json!("x")),
            ])
            .clone();
        body[name] = value;
    }
}

fn input(dice: &mut Dice) -> Json {
    if dice.one_in(3) { json!(id(dice)) } else { json!([vector(dice)]) }
}

fn query(dice: &mut Dice) -> Json {
    match dice.roll(5) {
        0 => json!({ "recommend": { "positive": dice.several(1, 3, input) } }),
        1 => json!({ "fusion": "rrf" }),
        2 => json!({ "nearest": input(dice) }),
        3 if dice.one_in(6) => json!({ "formula": { "sum": ["$score", 1] } }),
        _ => input(dice),
    }
}

fn search(dice: &mut Dice, depth: u64) -> Json {
    let mut search = json!({ "limit": dice.roll(8) });
    filtered(dice, &mut search);
    if dice.one_in(2) {
        search["query"] = query(dice);
    }
    if depth > 0 && dice.one_in(2) {
        search["prefetch"] = match dice.roll(3) {
            0 => prefetch(dice, depth - 1),
            _ => json!(dice.several(1, 3, |dice| prefetch(dice, depth - 1))),
        };
    }
    search
}

fn prefetch(dice: &mut Dice, depth: u64) -> Json {
    search(dice, depth)
}

fn shows(dice: &mut Dice, body: &mut Json) {
    if dice.one_in(2) {
        body["with_payload"] = dice
            .pick(&[
                json!(true),
                json!(false),
                json!(["n"]),
                json!(["n", FIELD]),
                json!({ "include": ["tag"] }),
                json!({ "exclude": [FIELD] }),
                json!({ "exclude": ["n"] }),
            ])
            .clone();
    }
    if dice.one_in(4) {
        body["with_vector"] = json!(true);
    }
}

fn selection(dice: &mut Dice, body: &mut Json) {
    if dice.one_in(2) {
        body["points"] = json!(dice.several(1, 4, id));
    } else {
        body["filter"] = filter(dice, 2);
    }
}

fn payload(dice: &mut Dice) -> Json {
    match dice.roll(3) {
        0 => json!({ FIELD: *dice.pick(&TENANTS), "n": 1 }),
        1 => json!({ FIELD: ["acme", "globex"], "tag": "b" }),
        _ => json!({ "n": dice.roll(5) }),
    }
}

fn points(dice: &mut Dice, with_payload: bool) -> Json {
    let mut ids = dice.several(1, 4, id);
    ids.sort_unstable();
    ids.dedup();
    let mut each = |id: u64| {
        let mut point = json!({ "id": id, "vector": [vector(dice)] });
        if with_payload && dice.one_in(2) {
            point["payload"] = payload(dice);
        }
        point
    };
    let points: Vec<Json> = ids.into_iter().map(&mut each).collect();
    json!({ "points": points })
}

/// A change, by its name in a batch.
fn change(dice: &mut Dice) -> (&'static str, Json) {
    let mut body = json!({});
    match dice.roll(8) {
        0 | 1 => ("upsert", points(dice, true)),
        2 => ("update_vectors", points(dice, false)),
        3 => {
            selection(dice, &mut body);
            ("delete", body)
        }
        4 => {
            selection(dice, &mut body);
            body["keys"] = json!(dice.several(1, 2, |dice| *dice.pick(&["n", "tag", "tag", FIELD])));
            ("delete_payload", body)
        }
        5 => {
            selection(dice, &mut body);
            ("clear_payload", body)
        }
        6 => {
            selection(dice, &mut body);
            body["vector"] = json!([""]);
            ("delete_vectors", body)
        }
        _ => {
            selection(dice, &mut body);
            body["payload"] = payload(dice);
            if dice.one_in(4) {
                body["key"] = json!(*dice.pick(&["tag", FIELD, "tenant_id.x"]));
                return ("set_payload", body);
            }
            (*dice.pick(&["set_payload", "overwrite_payload"]), body)
        }
    }
}

fn asked(method: &'static str, part: &str, body: Json) -> Asked {
    Asked { method, path: format!("{BASE}{part}"), body: Some(body) }
}

fn request(dice: &mut Dice) -> Asked {
    match dice.roll(14) {
        0..=5 => searching(dice),
        6..=11 => reading(dice),
        12 => {
            let operations = dice.several(1, 3, |dice| {
                let (name, change) = change(dice);
                json!({ name: change })
            });
            asked("POST", "/points/batch", json!({ "operations": operations }))
        }
        _ => {
            let (name, change) = change(dice);
            let (method, part) = match name {
                "upsert" => ("PUT", "/points"),
                "delete" => ("POST", "/points/delete"),
                "set_payload" => ("POST", "/points/payload"),
                "overwrite_payload" => ("PUT", "/points/payload"),
                "delete_payload" => ("POST", "/points/payload/delete"),
                "clear_payload" => ("POST", "/points/payload/clear"),
                "update_vectors" => ("PUT", "/points/vectors"),
                _ => ("POST", "/points/vectors/delete"),
            };
            asked(method, part, change)
        }
    }
}

fn shown_search(dice: &mut Dice, depth: u64) -> Json {
    let mut body = search(dice, depth);
    shows(dice, &mut body);
    body
}

fn searching(dice: &mut Dice) -> Asked {
    match dice.roll(6) {
        0 | 1 => asked("POST", "/points/query", shown_search(dice, 3)),
        2 => {
            let searches = dice.several(0, 3, |dice| shown_search(dice, 2));
            asked("POST", "/points/query/batch", json!({ "searches": searches }))
        }
        3 => {
            let mut body = shown_search(dice, 2);
            body["group_by"] = json!("tag");
            asked("POST", "/points/query/groups", body)
        }
        4 => {
            let mut body = json!({ "vector": [vector(dice)], "limit": dice.roll(6) });
            filtered(dice, &mut body);
            asked("POST", "/points/search", body)
        }
        _ => {
            let mut body = json!({ "positive": dice.several(1, 3, input), "limit": dice.roll(6) });
            filtered(dice, &mut body);
            asked("POST", "/points/recommend", body)
        }
    }
}

fn reading(dice: &mut Dice) -> Asked {
    let mut body = json!({});
    match dice.roll(6) {
        0 => {
            filtered(dice, &mut body);
            shows(dice, &mut body);
            if dice.one_in(2) {
                body["limit"] = json!(dice.roll(6));
                body["offset"] = json!(id(dice));
            }
            asked("POST", "/points/scroll", body)
        }
        1 => {
            shows(dice, &mut body);
            body["ids"] = json!(dice.several(0, 6, id));
            asked("POST", "/points", body)
        }
        2 => Asked { method: "GET", path: format!("{BASE}/points/{}", id(dice)), body: None },
        3 => {
            filtered(dice, &mut body);
            asked("POST", "/points/count", body)
        }
        4 => {
            filtered(dice, &mut body);
            body["key"] = json!(*dice.pick(&["tag", "n", FIELD]));
            asked("POST", "/facet", body)
        }
        _ => {
            filtered(dice, &mut body);
            asked("POST", "/points/search/matrix/pairs", body)
        }
    }
}

fn is_write(asked: &Asked) -> bool {
    let writes = ["/delete", "/payload", "/clear", "/vectors", "/batch"];
    let read = asked.path.contains("/query") || asked.method == "GET";
    !read && (asked.method == "PUT" || writes.iter().any(|part| asked.path.ends_with(part)))
}

/// The ids that a write names.
fn named(change: &Json, ids: &mut Vec<u64>) {
    for operation in change["operations"].as_array().into_iter().flatten() {
        operation.as_object().unwrap().values().for_each(|change| named(change, ids));
    }
    for point in change["points"].as_array().into_iter().flatten() {
        ids.extend(point.as_u64().or_else(|| point["id"].as_u64()));
    }
}

fn names_foreign(model: &Qdrant, tenant: &str, asked: &Asked) -> bool {
    let mut ids = Vec::new();
    named(asked.body.as_ref().unwrap_or(&Json::Null), &mut ids);
    model.without(tenant).points.keys().any(|id| ids.contains(id))
}

/// What the client would have been told, had the store nothing but its points.
fn expected(model: &Qdrant, tenant: &str, asked: &Asked) -> (Qdrant, (u16, Json)) {
    let mut alone = model.only(tenant);
    let body = asked.body.as_ref();
    // What a batch writes is stamped before its next operation looks at it.
    let operations = body.and_then(|body| body["operations"].as_array()).cloned();
    let parts =
        operations.map(|all| all.into_iter().map(|one| Some(json!({ "operations": [one] }))).collect());
    let mut told = None;
    for part in parts.unwrap_or_else(|| vec![body.cloned()]) {
        told = Some(alone.handle(asked.method, &asked.path, part.as_ref()));
        for point in alone.points.values_mut() {
            point.payload[FIELD] = json!(tenant);
        }
    }
    let told = told.unwrap_or_else(|| alone.handle(asked.method, &asked.path, body));
    (alone, told)
}

#[test]
fn a_tenant_is_alone_in_its_store() {
    let (mut allowed, mut refused) = (0_u64, 0_u64);
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (store(dice), *dice.pick(&TENANTS), request(dice));
        let before = model.clone();
        let answered = ask(Store::Qdrant, &asked, &fence(tenant), &mut to_model(&mut model));
        let told = format!("{seed}: {tenant} {asked:?}\n{answered:?}");
        assert_eq!(answered.foreign, 0, "{told}");
        assert_eq!(model.without(tenant), before.without(tenant), "{told}");
        match answered.told {
            Ok(answer) => {
                allowed += 1;
                assert!(!is_write(&asked) || !names_foreign(&before, tenant, &asked), "{told}");
                let (alone, expected) = expected(&before, tenant, &asked);
                // Of several points that are not there, either may be named.
                let is_same = answer == expected || (answer.0 == 404 && expected.0 == 404);
                assert!(is_same, "{told}\n{expected:?}");
                assert_eq!(model.only(tenant), alone, "{told}");
            }
            Err(refusal) => {
                refused += 1;
                assert_eq!(model, before, "{told}");
                assert!(is_refused(&refusal), "{told}");
            }
        }
    }
    assert!(allowed > refused && refused > cases() / 20, "{allowed} allowed, {refused} refused");
}

fn is_refused(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Invalid { .. } | Refusal::ToolNotAllowed { .. } | Refusal::UpstreamError { .. }
    )
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
        let answered = ask(Store::Qdrant, &asked, &fence(tenant), &mut to_model(&mut model));
        found += answered.foreign;
        let Ok((status, body)) = answered.told else { continue };
        let counts = ["/count", "/facet"].iter().any(|part| asked.path.ends_with(part));
        assert!(!counts || model.points.is_empty(), "{seed}: {asked:?} {body}");
        if status != 200 {
            continue;
        }
        let own = model.only(tenant);
        let mut open = vec![&body["result"]];
        while let Some(value) = open.pop() {
            if let Some(id) = ["id", "a", "b"].iter().find_map(|name| value[*name].as_u64()) {
                assert!(own.points.contains_key(&id), "{seed}: {asked:?} {body}");
            }
            let next = value["next_page_offset"].as_u64();
            assert!(next.is_none_or(|id| own.points.contains_key(&id)), "{seed}: {asked:?} {body}");
            match value {
                Json::Array(items) => open.extend(items),
                Json::Object(members) => open.extend(members.values()),
                _ => {}
            }
        }
    }
    assert!(found > 0);
}

/// Whoever names another's point in the filter of a write is told so, wherever in the filter, and nothing changes.
#[test]
fn a_write_whose_filter_names_anothers_point_changes_nothing() {
    let point = |tenant: &str| Point { vector: Some(1.0), payload: json!({ "tag": "a", FIELD: tenant }) };
    let mut store = Qdrant::default();
    store.points.insert(1, point("acme"));
    store.points.insert(2, point("globex"));
    let naming = |id: u64| {
        let named = json!({ "has_id": [1, id] });
        let inner = json!({ "must": [named] });
        [
            json!({ "must": [named] }),
            json!({ "must": named }),
            json!({ "should": [named] }),
            json!({ "must_not": [named] }),
            json!({ "must": [{ "should": [inner] }] }),
            json!({ "min_should": { "conditions": [named], "min_count": 1 } }),
            json!({ "must": [{ "nested": { "key": "list", "filter": inner } }] }),
        ]
    };
    let writes = |filter: &Json| {
        [
            asked("POST", "/points/delete", json!({ "filter": filter })),
            asked("POST", "/points/payload", json!({ "filter": filter, "payload": { "n": 1 } })),
            asked("PUT", "/points/payload", json!({ "filter": filter, "payload": { "n": 1 } })),
            asked("POST", "/points/payload/delete", json!({ "filter": filter, "keys": ["tag"] })),
            asked("POST", "/points/payload/clear", json!({ "filter": filter })),
            asked("POST", "/points/vectors/delete", json!({ "filter": filter, "vector": [""] })),
            asked("POST", "/points/batch", json!({ "operations": [{ "delete": { "filter": filter } }] })),
        ]
    };
    for write in naming(2).iter().flat_map(writes) {
        let mut touched = store.clone();
        let told = ask(Store::Qdrant, &write, &fence("acme"), &mut to_model(&mut touched)).told;
        assert_eq!(told.unwrap_err().status(), 403, "{write:?}");
        assert_eq!(touched.points, store.points, "{write:?}");
    }
    // Its own, and one that is not there, may be named.
    for write in naming(3).iter().flat_map(writes) {
        let told = ask(Store::Qdrant, &write, &fence("acme"), &mut to_model(&mut store.clone())).told;
        assert_eq!(told.unwrap().0, 200, "{write:?}");
    }
}
