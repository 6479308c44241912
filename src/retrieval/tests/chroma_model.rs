//! Chroma in a few lines: one collection of records in the order in which they came, and its filters.

use super::{FIELD, Model};
use serde_json::{Map, Value as Json, json};
use std::cmp::Ordering;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) embedding: f64,
    pub(super) metadata: Json,
    pub(super) document: Json,
}

/// A store with one collection.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Chroma {
    pub(super) records: Vec<Record>,
    /// Whether it looks at filters at all.
    pub(super) ignores_filters: bool,
}

pub(super) const BASE: &str = "/api/v2/tenants/t/databases/d/collections/c1";

impl Model for Chroma {
    fn handle(&mut self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        if path.ends_with("/by-id/c1") {
            return (200, json!({ "id": "c1", "name": "shared" }));
        }
        let part = path.strip_prefix(BASE).unwrap();
        let none = json!({});
        let body = body.unwrap_or(&none);
        match (method, part.split('?').next().unwrap()) {
            ("GET", "/count") => (200, json!(self.records.len())),
            ("POST", "/get") => (200, self.get(body)),
            ("POST", "/query") => (200, self.query(body)),
            ("POST", "/delete") => {
                let named = body.get("ids").is_some_and(Json::is_array);
                let filtered = ["where", "where_document"]
                    .iter()
                    .any(|name| body.get(*name).is_some_and(Json::is_object));
                let before = self.records.len();
                if named || filtered {
                    let gone: Vec<String> = self.selected(body).map(|record| record.id.clone()).collect();
                    self.records.retain(|record| !gone.contains(&record.id));
                }
                (200, json!({ "deleted": before - self.records.len() }))
            }
            ("POST", "/add" | "/update" | "/upsert") => {
                self.write(part.trim_start_matches('/'), body);
                (200, json!({}))
            }
            other => panic!("{other:?}"),
        }
    }

    fn only(&self, tenant: &str) -> Self {
        let records =
            self.records.iter().filter(|record| record.metadata[FIELD] == tenant).cloned().collect();
        Self { records, ignores_filters: false }
    }

    fn without(&self, tenant: &str) -> Self {
        let records =
            self.records.iter().filter(|record| record.metadata[FIELD] != tenant).cloned().collect();
        Self { records, ignores_filters: false }
    }
}

impl Chroma {
    fn selected(&self, body: &Json) -> impl Iterator<Item = &Record> {
        let ids = body.get("ids").and_then(Json::as_array).cloned();
        let filters = [body.get("where").cloned(), body.get("where_document").cloned()];
        self.records.iter().filter(move |record| {
            let [filter, document] = &filters;
            let named = ids.as_ref().is_none_or(|ids| ids.contains(&json!(record.id)));
            let holds = filter.as_ref().is_none_or(|filter| filter.is_null() || holds(filter, record));
            let reads =
                document.as_ref().is_none_or(|filter| filter.is_null() || reads(filter, &record.document));
            named && (self.ignores_filters || (holds && reads))
        })
    }

    fn get(&self, body: &Json) -> Json {
        let offset = body.get("offset").and_then(Json::as_u64).unwrap_or(0);
        let limit = body.get("limit").and_then(Json::as_u64).unwrap_or(u64::MAX);
        let page = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let found: Vec<&Record> = self.selected(body).skip(page(offset)).take(page(limit)).collect();
        let include = include(body, &["documents", "metadatas"]);
        let list = |name: &str, each: fn(&Record) -> Json| {
            if include.contains(&json!(name)) {
                found.iter().map(|record| each(record)).collect()
            } else {
                Json::Null
            }
        };
        json!({
            "ids": found.iter().map(|record| &record.id).collect::<Vec<_>>(),
            "embeddings": list("embeddings", |record| json!([record.embedding])),
            "documents": list("documents", |record| record.document.clone()),
            "metadatas": list("metadatas", |record| record.metadata.clone()),
            "include": include,
        })
    }

    fn query(&self, body: &Json) -> Json {
        let wanted = body.get("n_results").and_then(Json::as_u64).unwrap_or(10);
        let include = include(body, &["documents", "metadatas", "distances"]);
        let mut answer = json!({ "ids": [], "include": include });
        for name in ["distances", "documents", "embeddings", "metadatas"] {
            answer[name] = if include.contains(&json!(name)) { json!([]) } else { Json::Null };
        }
        for query in body["query_embeddings"].as_array().unwrap() {
            let distance = |record: &Record| (record.embedding - query[0].as_f64().unwrap()).abs();
            let mut found: Vec<&Record> = self.selected(body).collect();
            found.sort_by(|a, b| distance(a).total_cmp(&distance(b)).then_with(|| a.id.cmp(&b.id)));
            found.truncate(usize::try_from(wanted).unwrap());
            let mut push = |name: &str, each: &dyn Fn(&Record) -> Json| {
                if let Some(lists) = answer[name].as_array_mut() {
                    lists.push(found.iter().map(|record| each(record)).collect());
                }
            };
            push("ids", &|record| json!(record.id));
            push("distances", &|record| json!(distance(record)));
            push("documents", &|record| record.document.clone());
            push("embeddings", &|record| json!([record.embedding]));
            push("metadatas", &|record| record.metadata.clone());
        }
        answer
    }

    fn write(&mut self, how: &str, body: &Json) {
        for (at, id) in body["ids"].as_array().unwrap().iter().enumerate() {
            let id = id.as_str().unwrap();
            let there = self.records.iter().position(|record| record.id == id);
            let given = |name: &str| body[name].get(at).cloned().unwrap_or(Json::Null);
            let record = match (there, how) {
                (Some(at), "update" | "upsert") => &mut self.records[at],
                (None, "add" | "upsert") => {
                    let metadata = Json::Object(Map::new());
                    self.records.push(Record {
                        id: id.to_owned(),
                        embedding: 0.0,
                        metadata,
                        document: Json::Null,
                    });
                    self.records.last_mut().unwrap()
                }
                _ => continue,
            };
            if let Some(embedding) = given("embeddings")[0].as_f64() {
                record.embedding = embedding;
            }
            if !given("documents").is_null() {
                record.document = given("documents");
            }
            if let Json::Object(members) = given("metadatas") {
                for (name, value) in members {
                    if value.is_null() {
                        record.metadata.as_object_mut().unwrap().remove(&name);
                    } else {
                        record.metadata[name] = value;
                    }
                }
            }
        }
    }
}

fn include(body: &Json, otherwise: &[&str]) -> Vec<Json> {
    match body.get("include").and_then(Json::as_array) {
        Some(include) => include.clone(),
        None => otherwise.iter().map(|name| json!(name)).collect(),
    }
}

fn holds(filter: &Json, record: &Record) -> bool {
    let members = filter.as_object().unwrap();
    let (name, clause) = members.iter().next().unwrap();
    let all = || clause.as_array().unwrap().iter();
    match name.as_str() {
        "$and" => return all().all(|filter| holds(filter, record)),
        "$or" => return all().any(|filter| holds(filter, record)),
        "#document" => return reads(clause, &record.document),
        _ => {}
    }
    let found = record.metadata.get(name);
    let Some((operator, operand)) = clause.as_object().and_then(|clause| clause.iter().next()) else {
        return found == Some(clause);
    };
    let compare = || match (found?, operand) {
        (Json::Number(a), Json::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        _ => None,
    };
    let is_in = || operand.as_array().unwrap().iter().any(|item| found == Some(item));
    match operator.as_str() {
        "$eq" => found == Some(operand),
        "$ne" => found != Some(operand),
        "$in" => is_in(),
        "$nin" => !is_in(),
        "$gt" => compare() == Some(Ordering::Greater),
        "$lt" => compare() == Some(Ordering::Less),
        "$gte" => compare().is_some_and(Ordering::is_ge),
        "$lte" => compare().is_some_and(Ordering::is_le),
        "$contains" => found.and_then(Json::as_array).is_some_and(|items| items.contains(operand)),
        "$not_contains" => !found.and_then(Json::as_array).is_some_and(|items| items.contains(operand)),
        other => panic!("{other}"),
    }
}

fn reads(filter: &Json, document: &Json) -> bool {
    let (name, clause) = filter.as_object().unwrap().iter().next().unwrap();
    let text = document.as_str().unwrap_or_default();
    match name.as_str() {
        "$and" => clause.as_array().unwrap().iter().all(|filter| reads(filter, document)),
        "$or" => clause.as_array().unwrap().iter().any(|filter| reads(filter, document)),
        "$contains" | "$regex" => text.contains(clause.as_str().unwrap()),
        "$not_contains" | "$not_regex" => !text.contains(clause.as_str().unwrap()),
        other => panic!("{other}"),
    }
}
