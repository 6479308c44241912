//! Qdrant in a few lines: one collection of points in the order of their ids, and its filters.

use super::{FIELD, Model};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) vector: Option<f64>,
    pub(super) payload: Json,
}

/// A store with one collection.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Qdrant {
    pub(super) points: BTreeMap<u64, Point>,
    /// Whether it looks at filters at all.
    pub(super) ignores_filters: bool,
}

pub(super) const BASE: &str = "/collections/shared";

impl Model for Qdrant {
    fn handle(&mut self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        let none = json!({});
        let body = body.unwrap_or(&none);
        let part = path.split('?').next().unwrap().strip_prefix(BASE).unwrap();
        let result = match (method, part) {
            ("POST", "/points/query") => self.query(body),
            ("POST", "/points/query/batch") => {
                body["searches"].as_array().unwrap().iter().map(|search| self.query(search)).collect()
            }
            ("POST", "/points/query/groups") => self.groups(body),
            ("POST", "/points/search" | "/points/recommend") => {
                self.query(body).map(|found| found["points"].clone())
            }
            ("POST", "/points/scroll") => Ok(self.scroll(body)),
            ("POST", "/points") => Ok(self.retrieve(body)),
            ("GET", _) if part.starts_with("/points/") => {
                let id: u64 = part.trim_start_matches("/points/").parse().unwrap();
                let all = json!({ "ids": [id], "with_vector": true });
                self.retrieve(&all)
                    .get(0)
                    .cloned()
                    .ok_or_else(|| format!("Not found: Point with id {id} does not exists!"))
            }
            ("POST", "/points/count") => Ok(json!({ "count": self.selected(body).len() })),
            ("POST", "/facet") => Ok(self.facet(body)),
            ("POST", "/points/search/matrix/pairs") => {
                let ids = self.selected(body);
                let pair = |pair: &[u64]| json!({ "a": pair[0], "b": pair[1], "score": 1 });
                Ok(json!({ "pairs": ids.windows(2).map(pair).collect::<Vec<_>>() }))
            }
            ("POST", "/points/batch") => {
                for operation in body["operations"].as_array().unwrap() {
                    let (name, change) = operation.as_object().unwrap().iter().next().unwrap();
                    self.change(name, change);
                }
                Ok(json!([]))
            }
            _ => {
                let name = match (method, part) {
                    ("PUT", "/points") => "upsert",
                    ("POST", "/points/delete") => "delete",
                    ("POST", "/points/payload") => "set_payload",
                    ("PUT", "/points/payload") => "overwrite_payload",
                    ("POST", "/points/payload/delete") => "delete_payload",
                    ("POST", "/points/payload/clear") => "clear_payload",
                    ("PUT", "/points/vectors") => "update_vectors",
                    ("POST", "/points/vectors/delete") => "delete_vectors",
                    other => panic!("{other:?}"),
                };
                self.change(name, body);
                Ok(json!({ "status": "completed" }))
            }
        };
        match result {
            Ok(result) => (200, json!({ "result": result, "status": "ok", "time": 0 })),
            Err(text) => (404, json!({ "status": { "error": text }, "time": 0 })),
        }
    }

    fn only(&self, tenant: &str) -> Self {
        let own = self.points.iter().filter(|(_, point)| point.payload[FIELD] == tenant);
        Self { points: own.map(|(id, point)| (*id, point.clone())).collect(), ignores_filters: false }
    }

    fn without(&self, tenant: &str) -> Self {
        let others = self.points.iter().filter(|(_, point)| point.payload[FIELD] != tenant);
        Self { points: others.map(|(id, point)| (*id, point.clone())).collect(), ignores_filters: false }
    }
}

impl Qdrant {
    fn is_in(&self, filter: &Json, id: u64) -> bool {
        self.ignores_filters || filter.is_null() || holds(filter, id, &self.points[&id])
    }

    fn selected(&self, body: &Json) -> Vec<u64> {
        self.points.keys().copied().filter(|id| self.is_in(&body["filter"], *id)).collect()
    }

    /// The vector that something stands for.
    fn vector(&self, input: &Json) -> Result<f64, String> {
        match input {
            Json::Array(vector) => Ok(vector[0].as_f64().unwrap()),
            id => {
                let missing = || format!("Not found: No point with id {id} found");
                let point = self.points.get(&id.as_u64().unwrap()).ok_or_else(missing)?;
                Ok(point.vector.unwrap_or(0.0))
            }
        }
    }

    fn found(&self, search: &Json) -> Result<Vec<(u64, f64)>, String> {
        let mut candidates: BTreeSet<u64> = self.points.keys().copied().collect();
        let prefetch = match &search["prefetch"] {
            Json::Null => Vec::new(),
            Json::Array(items) => items.clone(),
            single => vec![single.clone()],
        };
        if !prefetch.is_empty() {
            candidates.clear();
            for item in &prefetch {
                candidates.extend(self.found(item)?.into_iter().map(|(id, _)| id));
            }
        }
        let query = [&search["query"]["nearest"], &search["query"], &search["vector"]]
            .into_iter()
            .find(|query| !query.is_null());
        let recommend =
            if search["query"]["recommend"].is_null() { search } else { &search["query"]["recommend"] };
        let positive = recommend["positive"]
            .as_array()
            .map(|items| items.iter().map(|item| self.vector(item)).collect::<Result<Vec<_>, _>>());
        let score = match (positive.transpose()?, query) {
            (Some(positive), _) => Some(positive.iter().sum::<f64>() / positive.len().max(1) as f64),
            (None, Some(query)) if query.is_object() => None,
            (None, Some(query)) => Some(self.vector(query)?),
            (None, None) => None,
        };
        let scored =
            candidates.into_iter().filter(|id| self.is_in(&search["filter"], *id)).filter_map(|id| {
                Some((id, score.map_or(Some(0.0), |score| Some(-(self.points[&id].vector? - score).abs()))?))
            });
        let mut scored: Vec<(u64, f64)> = scored.collect();
        scored.sort_by(|(a, left), (b, right)| right.total_cmp(left).then(a.cmp(b)));
        scored.truncate(usize::try_from(search["limit"].as_u64().unwrap_or(10)).unwrap());
        Ok(scored)
    }

    fn query(&self, search: &Json) -> Result<Json, String> {
        let found = self.found(search)?.into_iter();
        let points: Vec<Json> = found.map(|(id, score)| self.shown(id, search, false, Some(score))).collect();
        Ok(json!({ "points": points }))
    }

    fn groups(&self, search: &Json) -> Result<Json, String> {
        let mut all = search.clone();
        all["limit"] = json!(1000);
        let mut groups: Vec<(Json, Vec<Json>)> = Vec::new();
        for (id, score) in self.found(&all)? {
            let key = self.points[&id].payload[search["group_by"].as_str().unwrap()].clone();
            let shown = self.shown(id, search, false, Some(score));
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, hits)) => hits.push(shown),
                None if key.is_string() => groups.push((key, vec![shown])),
                None => {}
            }
        }
        let groups = groups.into_iter().take(2).map(|(id, hits)| json!({ "id": id, "hits": hits }));
        Ok(json!({ "groups": groups.collect::<Vec<_>>() }))
    }

    fn shown(&self, id: u64, request: &Json, otherwise: bool, score: Option<f64>) -> Json {
        let point = &self.points[&id];
        let mut shown = json!({ "id": id });
        let all = point.payload.as_object().unwrap();
        let some = |keep: &dyn Fn(&str) -> bool| -> Json {
            all.iter()
                .filter(|(name, _)| keep(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Map<_, _>>()
                .into()
        };
        let listed = |list: &Json, name: &str| list.as_array().unwrap().contains(&json!(name));
        let payload = match &request["with_payload"] {
            Json::Null => otherwise.then(|| some(&|_| true)),
            Json::Bool(all) => all.then(|| some(&|_| true)),
            list @ Json::Array(_) => Some(some(&|name| listed(list, name))),
            object if !object["include"].is_null() => Some(some(&|name| listed(&object["include"], name))),
            object => Some(some(&|name| !listed(&object["exclude"], name))),
        };
        if let Some(payload) = payload {
            shown["payload"] = payload;
        }
        if request["with_vector"] == true {
            shown["vector"] = json!([point.vector]);
        }
        if let Some(score) = score {
            shown["score"] = json!(score);
        }
        shown
    }

    fn scroll(&self, body: &Json) -> Json {
        let from = body["offset"].as_u64().unwrap_or(0);
        let limit = usize::try_from(body["limit"].as_u64().unwrap_or(10)).unwrap();
        let found: Vec<u64> = self.selected(body).into_iter().filter(|id| *id >= from).collect();
        let points: Vec<Json> =
            found.iter().take(limit).map(|id| self.shown(*id, body, true, None)).collect();
        json!({ "points": points, "next_page_offset": found.get(limit) })
    }

    fn retrieve(&self, body: &Json) -> Json {
        let ids = body["ids"].as_array().unwrap().iter().filter_map(Json::as_u64);
        ids.filter(|id| self.points.contains_key(id)).map(|id| self.shown(id, body, true, None)).collect()
    }

    fn facet(&self, body: &Json) -> Json {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for id in self.selected(body) {
            *counts
                .entry(self.points[&id].payload[body["key"].as_str().unwrap()].to_string())
                .or_default() += 1;
        }
        json!({ "hits": counts.into_iter().map(|(value, count)| json!({ "value": value, "count": count })).collect::<Vec<_>>() })
    }

    fn change(&mut self, name: &str, change: &Json) {
        if name == "upsert" || name == "update_vectors" {
            for point in change["points"].as_array().unwrap() {
                let id = point["id"].as_u64().unwrap();
                // What is there is changed only where the condition holds.
                if self.points.get(&id).is_some_and(|_| {
                    !change["update_filter"].is_null() && !self.is_in(&change["update_filter"], id)
                }) {
                    continue;
                }
                let vector = point["vector"][0].as_f64();
                if name == "upsert" {
                    let payload =
                        if point["payload"].is_null() { json!({}) } else { point["payload"].clone() };
                    self.points.insert(id, Point { vector, payload });
                } else if let Some(point) = self.points.get_mut(&id) {
                    point.vector = vector;
                }
            }
            return;
        }
        let ids: Vec<u64> = match change["points"].as_array() {
            Some(ids) => {
                ids.iter().filter_map(Json::as_u64).filter(|id| self.points.contains_key(id)).collect()
            }
            None => self.selected(change),
        };
        for id in ids {
            let Some(point) = self.points.get_mut(&id) else { continue };
            match name {
                "delete" => drop(self.points.remove(&id)),
                "delete_vectors" => point.vector = None,
                "overwrite_payload" => point.payload = change["payload"].clone(),
                "clear_payload" => point.payload = json!({}),
                "set_payload" => {
                    for (key, value) in change["payload"].as_object().unwrap() {
                        match change["key"].as_str() {
                            Some(outer) => point.payload[outer] = json!({ key: value }),
                            None => point.payload[key] = value.clone(),
                        }
                    }
                }
                "delete_payload" => {
                    for key in change["keys"].as_array().unwrap() {
                        point.payload.as_object_mut().unwrap().remove(key.as_str().unwrap());
                    }
                }
                other => panic!("{other}"),
            }
        }
    }
}

fn holds(filter: &Json, id: u64, point: &Point) -> bool {
    let list = |name: &str| match &filter[name] {
        Json::Null => Vec::new(),
        Json::Array(items) => items.clone(),
        single => vec![single.clone()],
    };
    let check = |condition: &Json| condition_holds(condition, id, point);
    let should = list("should");
    let conditions = filter["min_should"]["conditions"].as_array();
    let least = filter["min_should"]["min_count"].as_u64().unwrap_or(0);
    let reached = conditions.is_none_or(|all| all.iter().filter(|item| check(item)).count() as u64 >= least);
    list("must").iter().all(check)
        && !list("must_not").iter().any(check)
        && (should.is_empty() || should.iter().any(check))
        && reached
}

fn condition_holds(condition: &Json, id: u64, point: &Point) -> bool {
    if let Some(ids) = condition["has_id"].as_array() {
        return ids.contains(&json!(id));
    }
    if let Some(key) = condition["is_empty"]["key"].as_str() {
        return point.payload[key].is_null();
    }
    let Some(key) = condition["key"].as_str() else { return holds(condition, id, point) };
    let found = &point.payload[key];
    // Any value of a list may match.
    let values = match found {
        Json::Array(items) => items.clone(),
        Json::Null => Vec::new(),
        single => vec![single.clone()],
    };
    let matches = &condition["match"];
    if let Some(any) = matches["any"].as_array() {
        return values.iter().any(|value| any.contains(value));
    }
    if let Some(except) = matches["except"].as_array() {
        return values.iter().any(|value| !except.contains(value));
    }
    if !matches["value"].is_null() {
        return values.contains(&matches["value"]);
    }
    values.iter().any(|value| value.as_f64() >= condition["range"]["gte"].as_f64())
}
