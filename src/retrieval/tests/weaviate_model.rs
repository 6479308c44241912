//! Weaviate in a few lines: one class of records with a vector of one number, its filters, and its questions.

use super::{FIELD, Model};
use crate::retrieval::weaviate::parse_for_test;
use serde_json::{Value as Json, json};
use std::{cmp::Ordering, collections::BTreeMap};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) properties: Json,
    pub(super) vector: f64,
}

pub(super) const CLASS: &str = "Article";
pub(super) const MISSING: &str = "there is no record of this id to search from";

/// A store with one class. Records lie in Weaviate's own tenants; where there are none, in one without a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weaviate {
    pub(super) spaces: BTreeMap<String, BTreeMap<String, Record>>,
    pub(super) tokenization: &'static str,
    /// Whether it looks at filters at all.
    pub(super) ignores_filters: bool,
    made: u32,
}

/// What a GraphQL error is told as.
pub(super) fn failed(message: &str) -> Json {
    json!({ "error": [{ "message": message }] })
}

impl Model for Weaviate {
    fn handle(&mut self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut asked: BTreeMap<&str, &str> = BTreeMap::new();
        asked.extend(query.split('&').filter_map(|pair| pair.split_once('=')));
        let none = json!({});
        let body = body.unwrap_or(&none);
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let space =
            asked.get("tenant").copied().or_else(|| body["tenant"].as_str()).unwrap_or_default().to_owned();
        match (method, parts.as_slice()) {
            ("POST", ["graphql"]) => (200, self.asked(body["query"].as_str().unwrap())),
            ("GET", ["schema", CLASS]) => {
                let naming =
                    json!({ "name": FIELD, "dataType": ["text"], "tokenization": self.tokenization });
                let other = json!({ "name": "tag", "dataType": ["text"], "tokenization": "word" });
                (200, json!({ "class": CLASS, "properties": [other, naming] }))
            }
            ("GET", ["objects"]) => {
                let all = self.spaces.get(&space).into_iter().flatten();
                let all: Vec<Json> = all.map(|(id, record)| shown(id, record, &space)).collect();
                (200, json!({ "totalResults": all.len(), "objects": all }))
            }
            ("GET" | "HEAD", ["objects", CLASS, id]) => {
                match self.spaces.get(&space).and_then(|all| all.get(*id)) {
                    Some(_) if method == "HEAD" => (204, Json::Null),
                    Some(record) => (200, shown(id, record, &space)),
                    None => (404, Json::Null),
                }
            }
            ("POST", ["objects"]) => self.create(&space, body),
            ("PUT", ["objects", CLASS, id]) => self.replace(&space, id, body),
            ("PATCH", ["objects", CLASS, id]) => self.merge(&space, id, body),
            ("DELETE", ["objects", CLASS, id]) => match self.spaces.entry(space).or_default().remove(*id) {
                Some(_) => (204, Json::Null),
                None => (404, Json::Null),
            },
            ("POST", ["batch", "objects"]) => {
                let told = body["objects"].as_array().unwrap().iter().map(|one| {
                    let space = one["tenant"].as_str().unwrap_or_default();
                    let mut told = self.put(space, one);
                    told["result"] = json!({ "status": "SUCCESS" });
                    told
                });
                (200, told.collect())
            }
            ("DELETE", ["batch", "objects"]) => (200, self.delete(space, body)),
            other => panic!("{other:?}"),
        }
    }

    fn only(&self, tenant: &str) -> Self {
        self.with(|record| record.properties[FIELD] == tenant)
    }

    fn without(&self, tenant: &str) -> Self {
        self.with(|record| record.properties[FIELD] != tenant)
    }
}

fn shown(id: &str, record: &Record, space: &str) -> Json {
    let mut shown =
        json!({ "class": CLASS, "id": id, "properties": record.properties, "vector": [record.vector] });
    if !space.is_empty() {
        shown["tenant"] = json!(space);
    }
    shown
}

/// The first letter of a property is a small one.
fn lowered(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

impl Weaviate {
    pub(super) fn new(spaces: BTreeMap<String, BTreeMap<String, Record>>) -> Self {
        Self { spaces, tokenization: "field", ignores_filters: false, made: 0 }
    }

    /// All its records.
    pub(super) fn records(&self) -> impl Iterator<Item = (&String, &Record)> {
        self.spaces.values().flatten()
    }

    fn with(&self, keep: impl Fn(&Record) -> bool) -> Self {
        let mut kept = self.clone();
        kept.spaces.values_mut().for_each(|records| records.retain(|_, record| keep(record)));
        Self { ignores_filters: false, ..kept }
    }

    fn put(&mut self, space: &str, body: &Json) -> Json {
        let id = body["id"].as_str().map_or_else(
            || {
                self.made += 1;
                format!("00000000-0000-4000-8000-{:012}", self.made)
            },
            ToOwned::to_owned,
        );
        let mut properties = serde_json::Map::new();
        for (name, value) in body["properties"].as_object().into_iter().flatten() {
            // The first letter is a small one, and the last word holds.
            let name = lowered(name);
            properties.insert(name, value.clone());
        }
        let record = Record {
            properties: Json::Object(properties),
            vector: body["vector"][0].as_f64().unwrap_or(0.0),
        };
        let told = shown(&id, &record, space);
        self.spaces.entry(space.to_owned()).or_default().insert(id, record);
        told
    }

    fn delete(&mut self, space: String, body: &Json) -> Json {
        let gone = self.matching(&space, &body["match"]["where"]);
        let objects: Vec<Json> = gone.iter().map(|id| json!({ "id": id, "status": "SUCCESS" })).collect();
        let mut results = json!({ "matches": gone.len(), "successful": gone.len(), "failed": 0 });
        if body["output"] == "verbose" {
            results["objects"] = json!(objects);
        }
        if body["dryRun"] != true {
            self.spaces.entry(space).or_default().retain(|id, _| !gone.contains(id));
        }
        json!({ "match": body["match"], "output": body["output"], "dryRun": body["dryRun"], "results": results })
    }

    fn create(&mut self, space: &str, body: &Json) -> (u16, Json) {
        let is_there = |id: &str| self.spaces.get(space).is_some_and(|records| records.contains_key(id));
        match body["id"].as_str() {
            Some(id) if is_there(id) => (422, failed("the id is taken")),
            _ => (200, self.put(space, body)),
        }
    }

    fn replace(&mut self, space: &str, id: &str, body: &Json) -> (u16, Json) {
        assert_eq!(body["id"], id);
        (200, self.put(space, body))
    }

    fn merge(&mut self, space: &str, id: &str, body: &Json) -> (u16, Json) {
        let Some(record) = self.spaces.entry(space.to_owned()).or_default().get_mut(id) else {
            return (404, Json::Null);
        };
        for (name, value) in body["properties"].as_object().into_iter().flatten() {
            record.properties[lowered(name)] = value.clone();
        }
        record.vector = body["vector"][0].as_f64().unwrap_or(record.vector);
        (204, Json::Null)
    }

    fn matching(&self, space: &str, filter: &Json) -> Vec<String> {
        let all = self.spaces.get(space).into_iter().flatten();
        let fits = |id: &str, record: &Record| {
            self.ignores_filters || filter.is_null() || self.holds(filter, id, record)
        };
        all.filter(|(id, record)| fits(id, record)).map(|(id, _)| id.clone()).collect()
    }

    fn holds(&self, filter: &Json, id: &str, record: &Record) -> bool {
        let one = [filter["operands"].clone()];
        let mut operands = filter["operands"].as_array().map_or(&one[..], Vec::as_slice).iter();
        let operator = filter["operator"].as_str().unwrap();
        match operator {
            "And" => return operands.all(|operand| self.holds(operand, id, record)),
            "Or" => return operands.any(|operand| self.holds(operand, id, record)),
            "Not" => return !operands.all(|operand| self.holds(operand, id, record)),
            _ => {}
        }
        let name = filter["path"][0].as_str().unwrap();
        let found = if name == "id" { json!(id) } else { record.properties[name].clone() };
        let (_, operand) =
            filter.as_object().unwrap().iter().find(|(name, _)| name.starts_with("value")).unwrap();
        let is = |operand: &Json| match (found.as_str(), operand.as_str()) {
            // Of words, all that are asked for are there.
            (Some(found), Some(operand)) if name == FIELD && self.tokenization == "word" => {
                let words: Vec<&str> = found.split('-').collect();
                operand.split('-').all(|word| words.contains(&word))
            }
            _ => found == *operand,
        };
        let order = || found.as_f64()?.partial_cmp(&operand.as_f64()?);
        match operator {
            "Equal" => is(operand),
            "NotEqual" => !is(operand),
            "ContainsAny" => operand.as_array().unwrap().iter().any(is),
            "ContainsAll" => operand.as_array().unwrap().iter().all(is),
            "IsNull" => found.is_null() == (operand == true),
            "Like" => {
                let front = operand.as_str().unwrap().trim_end_matches('*');
                found.as_str().is_some_and(|found| found.starts_with(front))
            }
            "GreaterThan" => order() == Some(Ordering::Greater),
            "LessThan" => order() == Some(Ordering::Less),
            "GreaterThanEqual" => order().is_some_and(Ordering::is_ge),
            "LessThanEqual" => order().is_some_and(Ordering::is_le),
            other => panic!("{other}"),
        }
    }

    /// The answer to a question.
    fn asked(&self, text: &str) -> Json {
        let form: Json = serde_json::from_str(&parse_for_test(text).unwrap().to_string()).unwrap();
        let space = form["tenant"].as_str().unwrap_or_default();
        let mut ids = self.matching(space, &form["where"]);
        let root = form["root"].as_str().unwrap();
        assert_eq!(form["class"], CLASS);
        if root == "Aggregate" {
            return json!({ "data": { root: { CLASS: [{ "meta": { "count": ids.len() } }] } } });
        }
        let records = self.spaces.get(space).cloned().unwrap_or_default();
        let mut target = form["nearVector"]["vector"][0].as_f64();
        let begins = form["nearObject"].as_object().and_then(|near| {
            let id = near.get("id").or_else(|| near.get("beacon"))?.as_str()?;
            Some(id.rsplit('/').next().unwrap().to_lowercase())
        });
        if let Some(id) = begins {
            let Some(record) = records.get(&id) else {
                return json!({ "data": { root: { CLASS: null } }, "errors": [{ "message": MISSING, "path": [root] }] });
            };
            target = Some(record.vector);
        }
        let distance = |id: &String| target.map_or(0.0, |target| (records[id].vector - target).abs());
        if let Some(word) = form["bm25"]["query"].as_str() {
            ids.retain(|id| records[id].properties["tag"] == word);
        }
        ids.sort_by(|a, b| distance(a).total_cmp(&distance(b)).then_with(|| a.cmp(b)));
        let number = |name: &str| form[name].as_u64().and_then(|number| usize::try_from(number).ok());
        let page = ids.iter().skip(number("offset").unwrap_or(0)).take(number("limit").unwrap_or(10));
        let rows = page.map(|id| {
            let mut row = json!({});
            for field in form["fields"].as_array().unwrap() {
                match field.as_str() {
                    Some(name) => row[name] = records[id].properties[name].clone(),
                    None => {
                        for part in field["fields"].as_array().unwrap() {
                            row["_additional"][part.as_str().unwrap()] = match part.as_str().unwrap() {
                                "id" => json!(id),
                                "vector" => json!([records[id].vector]),
                                _ => json!(distance(id)),
                            };
                        }
                    }
                }
            }
            row
        });
        json!({ "data": { root: { CLASS: rows.collect::<Vec<_>>() } } })
    }
}
