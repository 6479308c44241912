//! Random and hostile requests to a class of Weaviate's that three tenants share, and to one with Weaviate's own tenants.

use super::{
    Asked, Dice, FIELD, Model, TENANTS, ask, cases, fence, to_model,
    weaviate_model::{CLASS, MISSING, Record, Weaviate, failed},
};
use crate::retrieval::{Fence, Store};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

fn id(dice: &mut Dice) -> String {
    format!("0f8fad5b-d9cb-469f-a165-7086772895{:02x}", dice.roll(12))
}

/// An id as a client may write it.
fn spelled(dice: &mut Dice) -> String {
    let id = id(dice);
    if dice.one_in(4) { id.to_uppercase() } else { id }
}

fn value(dice: &mut Dice) -> f64 {
    f64::from(u32::try_from(dice.roll(100)).unwrap())
}

fn records(dice: &mut Dice, tenants: &[Json]) -> BTreeMap<String, Record> {
    let ids = dice.several(0, 11, id);
    let each = ids.into_iter().map(|id| {
        let tenant = dice.pick(tenants).clone();
        // What tells whose a record is, whatever is asked of it.
        let mark = format!("mark of {}", tenant.as_str().unwrap_or("nobody"));
        let mut properties = json!({ "n": dice.roll(5), "tag": *dice.pick(&["a", "b"]), "mark": mark });
        if !tenant.is_null() {
            properties[FIELD] = tenant;
        }
        (id, Record { properties, vector: value(dice) })
    });
    each.collect()
}

/// A class that all share. Some records were written behind the gateway's back.
fn together(dice: &mut Dice) -> Weaviate {
    let mut tenants = TENANTS.map(|tenant| json!(tenant)).to_vec();
    tenants.extend([json!("acme"), json!("acme-eu"), json!("Acme"), Json::Null]);
    Weaviate::new([(String::new(), records(dice, &tenants))].into())
}

/// A class in which each has its own of Weaviate's tenants.
fn apart(dice: &mut Dice) -> Weaviate {
    let spaces = TENANTS.map(|tenant| (tenant.to_owned(), records(dice, &[json!(tenant)])));
    Weaviate::new(spaces.into())
}

/// A filter, in GraphQL and in JSON.
fn filter(dice: &mut Dice, depth: u64) -> (String, Json) {
    if depth > 0 && dice.one_in(2) {
        let operator = *dice.pick(&["And", "Or", "Not"]);
        let most = if operator == "Not" { 1 } else { 3 };
        let operands = dice.several(1, most, |dice| filter(dice, depth - 1));
        let texts: Vec<&str> = operands.iter().map(|(text, _)| text.as_str()).collect();
        let values: Vec<&Json> = operands.iter().map(|(_, value)| value).collect();
        let text = format!("{{operator: {operator} operands: [{}]}}", texts.join(" "));
        return (text, json!({ "operator": operator, "operands": values }));
    }
    let tenant = *dice.pick(&TENANTS);
    let order =
        *dice.pick(&["GreaterThan", "GreaterThanEqual", "LessThan", "LessThanEqual", "Equal", "NotEqual"]);
    let (path, operator, kind, operand) = match dice.roll(8) {
        0 => (FIELD, "NotEqual", "valueText", json!("acme")),
        1 => (FIELD, "Equal", "valueText", json!(tenant)),
        2 => (FIELD, "ContainsAny", "valueText", json!(TENANTS)),
        3 => (FIELD, "IsNull", "valueBoolean", json!(true)),
        4 => (FIELD, "Like", "valueText", json!("a*")),
        5 => ("id", *dice.pick(&["Equal", "NotEqual"]), "valueText", json!(id(dice))),
        6 => ("tag", "Equal", "valueString", json!(*dice.pick(&["a", "b"]))),
        _ => ("n", order, "valueInt", json!(dice.roll(5))),
    };
    let text = format!("{{path: [\"{path}\"], operator: {operator}, {kind}: {operand}}}");
    (text, json!({ "path": [path], "operator": operator, kind: operand }))
}

/// A question, of which some name one of Weaviate's own tenants.
fn question(dice: &mut Dice, tenant: &str) -> String {
    let mut arguments = Vec::new();
    if dice.one_in(2) {
        arguments.push(format!("where: {}", filter(dice, 3).0));
    }
    if !tenant.is_empty() {
        arguments.push(format!("tenant: \"{tenant}\""));
    }
    let write = |arguments: &[String]| {
        if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(" ")) }
    };
    if dice.one_in(5) {
        return format!("{{Aggregate{{{CLASS}{}{{meta{{count}}}}}}}}", write(&arguments));
    }
    match dice.roll(5) {
        0 => arguments.push(format!("nearVector: {{vector: [{}] distance: 100}}", value(dice))),
        1 => arguments.push(format!("nearObject: {{id: \"{}\"}}", spelled(dice))),
        2 => arguments.push(format!("nearObject: {{beacon: \"weaviate://localhost/{CLASS}/{}\"}}", id(dice))),
        3 => arguments.push(format!("bm25: {{query: \"{}\" properties: [\"tag\"]}}", dice.pick(&["a", "b"]))),
        _ => {}
    }
    if dice.one_in(2) {
        arguments.push(format!("limit: {}", dice.roll(6)));
    }
    if dice.one_in(4) {
        arguments.push(format!("offset: {}", dice.roll(3)));
    }
    let mut fields = vec![*dice.pick(&["mark", "mark n tag"])];
    fields.extend(dice.one_in(2).then_some(FIELD));
    fields.extend(dice.one_in(2).then_some("_additional { id, distance vector }"));
    let name = *dice.pick(&["", "query ", "query Mine "]);
    format!("{name}{{ Get {{ {CLASS}{} {{ {} }} }} }} # all", write(&arguments), fields.join(" "))
}

/// A record as a client writes it: with another's name on it, or none.
fn written(dice: &mut Dice, id: Option<String>, tenant: &str) -> Json {
    let mut properties = json!({ "n": dice.roll(5), "mark": "mark of a new one" });
    if dice.one_in(2) {
        properties[FIELD] = dice.pick(&[json!("acme"), json!("globex"), json!(["acme"]), Json::Null]).clone();
    }
    if dice.one_in(12) {
        properties["Tenant_id"] = json!("globex");
    }
    let mut body = json!({ "class": CLASS, "properties": properties });
    if dice.one_in(2) {
        body["vector"] = json!([value(dice)]);
    }
    if let Some(id) = id {
        body["id"] = json!(id);
    }
    if !tenant.is_empty() {
        body["tenant"] = json!(tenant);
    }
    body
}

fn request(dice: &mut Dice, tenant: &str) -> Asked {
    let query = if tenant.is_empty() { String::new() } else { format!("?tenant={tenant}") };
    let id = spelled(dice);
    let (method, path, body) = match dice.roll(12) {
        0 => ("GET", format!("/v1/objects/{CLASS}/{id}{query}"), None),
        1 => ("HEAD", format!("/v1/objects/{CLASS}/{id}{query}"), None),
        2 => ("DELETE", format!("/v1/objects/{CLASS}/{id}{query}"), None),
        3 => ("PUT", format!("/v1/objects/{CLASS}/{id}"), Some(written(dice, Some(id), tenant))),
        4 => ("PATCH", format!("/v1/objects/{CLASS}/{id}"), Some(written(dice, None, tenant))),
        5 => {
            let id = dice.one_in(2).then_some(id);
            ("POST", "/v1/objects".to_owned(), Some(written(dice, id, tenant)))
        }
        6 => {
            let mut ids = dice.several(0, 3, |dice| (!dice.one_in(4)).then(|| spelled(dice)));
            ids.push(Some(id));
            ids.sort_by_key(|id| id.as_ref().map(|id| id.to_lowercase()));
            ids.dedup_by_key(|id| id.as_ref().map(|id| id.to_lowercase()));
            let objects: Vec<Json> = ids.into_iter().map(|id| written(dice, id, tenant)).collect();
            ("POST", "/v1/batch/objects".to_owned(), Some(json!({ "fields": ["ALL"], "objects": objects })))
        }
        7 => {
            let mut body = json!({ "match": { "class": CLASS, "where": filter(dice, 2).1 } });
            body["output"] = json!(*dice.pick(&["minimal", "verbose"]));
            body["dryRun"] = json!(dice.one_in(2));
            ("DELETE", format!("/v1/batch/objects{query}"), Some(body))
        }
        _ => ("POST", "/v1/graphql".to_owned(), Some(json!({ "query": question(dice, tenant) }))),
    };
    Asked { method, path, body }
}

/// The records that a request writes, and its ids.
fn parts(asked: &mut Asked) -> Vec<&mut Json> {
    let Some(body) = &mut asked.body else { return Vec::new() };
    if body.get("objects").is_some() {
        body["objects"].as_array_mut().unwrap().iter_mut().collect()
    } else {
        Vec::from_iter(body.get("properties").is_some().then_some(body))
    }
}

/// The request as the tenant would send it to a store of its own.
fn stamped(asked: &Asked, tenant: &str) -> (Asked, Vec<String>) {
    let mut own = asked.clone();
    own.path = own
        .path
        .split('/')
        .map(|part| if part.contains("5B-") { part.to_lowercase() } else { part.to_owned() })
        .collect::<Vec<_>>()
        .join("/");
    let named = own
        .path
        .strip_prefix(&format!("/v1/objects/{CLASS}/"))
        .and_then(|rest| rest.get(..36))
        .map(ToOwned::to_owned);
    let mut ids = Vec::from_iter(named.clone());
    for part in parts(&mut own) {
        part["properties"][FIELD] = json!(tenant);
        if let Some(id) = part["id"].as_str().map(str::to_lowercase) {
            part["id"] = json!(id);
            ids.push(id);
        } else if let Some(named) = &named {
            part["id"] = json!(named);
        }
    }
    (own, ids)
}

fn is_write(asked: &Asked) -> bool {
    asked.path != "/v1/graphql" && !["GET", "HEAD"].contains(&asked.method)
}

/// What a client is told of a store's answer.
fn told((status, body): (u16, Json)) -> (u16, Json) {
    match body.get("errors").map(|errors| errors[0]["message"].clone()) {
        Some(message) => (422, failed(message.as_str().unwrap())),
        None => (status, body),
    }
}

#[test]
fn a_tenant_has_a_store_of_its_own() {
    let (mut refused, mut written, mut found) = (0, 0, 0);
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (together(dice), *dice.pick(&TENANTS), request(dice, ""));
        let (before, others) = (model.clone(), model.without(tenant));
        let (own, ids) = stamped(&asked, tenant);
        let mut alone = model.only(tenant);
        let expected = told(alone.handle(own.method, &own.path, own.body.as_ref()));
        let answered = ask(Store::Weaviate, &asked, &fence(tenant), &mut to_model(&mut model));
        let is_foreign = ids.iter().any(|id| others.spaces[""].contains_key(id)) && is_write(&asked);
        let lies = parts(&mut asked.clone()).iter().any(|part| part["properties"].get("Tenant_id").is_some());
        if is_foreign || lies {
            assert_eq!(answered.told.unwrap_err().status(), 403, "{seed}: {asked:?}");
            assert_eq!(model, before, "{seed}: {asked:?}");
            refused += 1;
            continue;
        }
        assert_eq!(answered.told.unwrap(), expected, "{seed}: {tenant} {asked:?}");
        assert_eq!(answered.foreign, 0, "{seed}: {asked:?}");
        assert_eq!(model.only(tenant), alone, "{seed}: {asked:?}");
        assert_eq!(model.without(tenant).spaces, others.spaces, "{seed}: {asked:?}");
        written += u64::from(model != before);
        found += u64::from(expected.1["data"]["Get"][CLASS].as_array().is_some_and(|rows| !rows.is_empty()));
    }
    assert!(refused > 0 && written > 0 && found > 0);
}

/// No record of others in what is told: neither what it holds nor its id.
fn check_told(seed: u64, asked: &Asked, body: &Json, (own, others): (&Weaviate, &Weaviate)) {
    let text = body.to_string();
    let is_foreign = |mark: &&str| {
        text.contains(mark) && !own.records().any(|(_, record)| record.properties["mark"] == **mark)
    };
    let marks = others.records().filter_map(|(_, record)| record.properties["mark"].as_str());
    assert_eq!(marks.into_iter().find(is_foreign), None, "{seed}: {asked:?} {body}");
    let mut ids =
        others.records().map(|(id, _)| id).filter(|id| own.records().all(|(known, _)| known != *id));
    // What was asked for by its id is told as missing.
    let leaked = ids.find(|id| text.contains(id.as_str()) && !is_write(asked));
    assert_eq!(leaked, None, "{seed}: {asked:?} {body}");
}

#[test]
fn a_store_that_ignores_filters_leaks_nothing() {
    let mut found = 0;
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (together(dice), *dice.pick(&TENANTS), request(dice, ""));
        let (own, others) = (model.only(tenant), model.without(tenant));
        model.ignores_filters = true;
        let answered = ask(Store::Weaviate, &asked, &fence(tenant), &mut to_model(&mut model));
        found += answered.foreign;
        assert_eq!(model.without(tenant).spaces, others.spaces, "{seed}: {asked:?}");
        let Ok((_, body)) = answered.told else { continue };
        assert!(
            body["data"].get("Aggregate").is_none() || own.records().count() + others.records().count() == 0,
            "{seed}: {asked:?} {body}"
        );
        check_told(seed, &asked, &body, (&own, &others));
    }
    assert!(found > 0);
}

/// Where a name is told by its words, `acme` is found in `acme-eu` too.
#[test]
fn a_class_that_tells_tenants_apart_by_words_leaks_nothing() {
    let (mut found, mut refused) = (0, 0);
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant, asked) = (together(dice), "acme", request(dice, ""));
        let (own, others) = (model.only(tenant), model.without(tenant));
        model.tokenization = "word";
        let answered = ask(Store::Weaviate, &asked, &fence(tenant), &mut to_model(&mut model));
        found += answered.foreign;
        assert_eq!(model.without(tenant).spaces, others.spaces, "{seed}: {asked:?}");
        let by_id = asked.path.starts_with(&format!("/v1/objects/{CLASS}/")) && asked.method == "DELETE";
        let counts = asked
            .body
            .as_ref()
            .is_some_and(|body| body["query"].as_str().is_some_and(|text| text.contains("Aggregate")));
        if (is_write(&asked) && !by_id) || counts {
            assert_eq!(answered.told.unwrap_err().status(), 403, "{seed}: {asked:?}");
            refused += 1;
            continue;
        }
        if let Ok((_, body)) = answered.told {
            check_told(seed, &asked, &body, (&own, &others));
        }
    }
    assert!(found > 0 && refused > 0);
}

#[test]
fn a_tenant_has_one_of_the_stores_own_tenants() {
    let (mut refused, mut written) = (0, 0);
    for seed in 0..cases() {
        let dice = &mut Dice(seed);
        let (mut model, tenant) = (apart(dice), *dice.pick(&TENANTS));
        let named = *dice.pick(&["", "", tenant, "globex", "Acme", "nobody"]);
        let asked = request(dice, named);
        let before = model.clone();
        let field = dice.one_in(2).then(|| FIELD.into());
        let own = Fence { prefix: Some(tenant.into()), field: field.clone(), ..fence(tenant) };
        let answered = ask(Store::Weaviate, &asked, &own, &mut to_model(&mut model));
        for other in TENANTS.iter().filter(|other| **other != tenant) {
            assert_eq!(model.spaces[*other], before.spaces[*other], "{seed}: {asked:?}");
        }
        assert_eq!(model.spaces.len(), TENANTS.len(), "{seed}: {asked:?}");
        if !named.is_empty() && named != tenant {
            assert_eq!(answered.told.unwrap_err().status(), 403, "{seed}: {asked:?}");
            assert_eq!(model, before, "{seed}: {asked:?}");
            refused += 1;
            continue;
        }
        written += u64::from(model != before);
        // What it reads is what is in its own.
        let Ok(mut told_of) = answered.told else { continue };
        let mut alone = before.clone();
        alone.spaces.retain(|name, _| name == tenant);
        let at_own = |asked: &Asked| {
            let mut asked = asked.clone();
            let text = asked.body.as_ref().and_then(|body| body["query"].as_str()).map(ToOwned::to_owned);
            if let Some(text) = text.filter(|text| !text.contains("tenant:")) {
                let (front, rest) = text.split_once(CLASS).unwrap();
                let given = rest.strip_prefix('(').unwrap_or(rest);
                let close = if given.len() == rest.len() { ") " } else { " " };
                asked.body =
                    Some(json!({ "query": format!("{front}{CLASS}(tenant: \"{tenant}\"{close}{given}") }));
            } else if asked.body.is_none() && !asked.path.contains("tenant=") {
                asked.path.push_str(&format!("?tenant={tenant}"));
            }
            asked
        };
        if !is_write(&asked) {
            let (own, _) = stamped(&at_own(&asked), tenant);
            let expected = told(alone.handle(own.method, &own.path, own.body.as_ref()));
            if expected == (422, failed(MISSING)) {
                told_of.0 = 422;
            }
            assert_eq!(told_of, expected, "{seed}: {asked:?}");
        }
    }
    assert!(refused > 0 && written > 0);
}
