//! OpenSearch in a few lines: one index of records with a vector of one number, and its queries.

use super::{FIELD, Model};
use serde_json::{Map, Value as Json, json};
use std::{cmp::Ordering, collections::BTreeMap};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Doc {
    pub(super) source: Json,
    pub(super) number: u64,
}

/// A store with one index.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OpenSearch {
    pub(super) docs: BTreeMap<String, Doc>,
    pub(super) writes: u64,
    /// Whether it looks at queries at all.
    pub(super) ignores_filters: bool,
}

pub(super) const INDEX: &str = "shared";

type Scores = BTreeMap<String, f64>;
/// A parameter of the query, by its name.
type Parameter<'f, 'p> = &'f dyn Fn(&str) -> Option<&'p str>;

impl Model for OpenSearch {
    fn handle(&mut self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parameter = |name: &str| {
            let found = query.split('&').filter_map(|pair| pair.split_once('='));
            found.filter(|(known, _)| *known == name).map(|(_, value)| value).next()
        };
        let none = json!({});
        let body = body.unwrap_or(&none);
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let parts = if parts.first() == Some(&INDEX) { &parts[1..] } else { &parts[..] };
        match (method, parts) {
            (_, ["_search"]) => (200, self.search(body)),
            (_, ["_msearch"]) => {
                let searches = body.as_array().unwrap().chunks(2).map(|pair| {
                    let mut told = self.search(&pair[1]);
                    told["status"] = json!(200);
                    told
                });
                (200, json!({ "took": 1, "responses": searches.collect::<Vec<_>>() }))
            }
            (_, ["_count"]) => {
                (200, json!({ "count": self.matches(&body["query"]).len(), "_shards": shards() }))
            }
            ("GET", ["_doc", id]) => {
                let told = self.get(id, &Json::Null);
                (if told["found"] == true { 200 } else { 404 }, told)
            }
            ("GET", ["_source", id]) => match self.docs.get(*id) {
                Some(doc) => (200, doc.source.clone()),
                None => {
                    let error = json!({ "type": "resource_not_found_exception", "reason": "there is no such record" });
                    (404, json!({ "error": error, "status": 404 }))
                }
            },
            (_, ["_mget"]) => {
                let ids = body["ids"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|id| self.get(id.as_str().unwrap(), &Json::Null));
                let docs = body["docs"].as_array().into_iter().flatten();
                let docs = docs.map(|doc| self.get(doc["_id"].as_str().unwrap(), &doc["_source"]));
                (200, json!({ "docs": ids.chain(docs).collect::<Vec<_>>() }))
            }
            (_, ["_bulk"]) => (200, self.bulk(body.as_array().unwrap())),
            (_, ["_delete_by_query"]) => {
                let gone = self.matches(&body["query"]);
                self.docs.retain(|id, _| !gone.contains_key(id));
                (200, json!({ "took": 1, "deleted": gone.len(), "failures": [] }))
            }
            (method, [kind, id]) => self.changed(method, kind, id, (&parameter, body)),
            other => panic!("{other:?}"),
        }
    }

    fn only(&self, tenant: &str) -> Self {
        self.with(|doc| doc.source[FIELD] == tenant)
    }

    fn without(&self, tenant: &str) -> Self {
        self.with(|doc| doc.source[FIELD] != tenant)
    }
}

fn shards() -> Json {
    json!({ "total": 1, "successful": 1, "skipped": 0, "failed": 0 })
}

impl OpenSearch {
    fn with(&self, keep: impl Fn(&Doc) -> bool) -> Self {
        let docs = self.docs.iter().filter(|(_, doc)| keep(doc)).map(|(id, doc)| (id.clone(), doc.clone()));
        Self { docs: docs.collect(), writes: self.writes, ignores_filters: false }
    }

    fn get(&self, id: &str, wanted: &Json) -> Json {
        let mut told = json!({ "_index": INDEX, "_id": id, "found": false });
        if let Some(doc) = self.docs.get(id) {
            told["found"] = json!(true);
            told["_seq_no"] = json!(doc.number);
            told["_primary_term"] = json!(1);
            if let Some(source) = shown(&doc.source, wanted) {
                told["_source"] = source;
            }
        }
        told
    }

    /// One change, by its own request.
    fn changed<'p>(
        &mut self,
        method: &str,
        kind: &str,
        id: &str,
        (parameter, body): (Parameter<'_, 'p>, &Json),
    ) -> (u16, Json) {
        let action = match (method, kind) {
            ("DELETE", _) => "delete",
            (_, "_create") => "create",
            (_, "_update") => "update",
            _ if parameter("op_type") == Some("create") => "create",
            _ => "index",
        };
        let number = parameter("if_seq_no").and_then(|number| number.parse().ok());
        let mut told = self.change(action, id, number, body);
        let status = u16::try_from(told["status"].as_u64().unwrap()).unwrap();
        // It stands in items of bulks, and in what is told of nothing.
        if told.get("error").is_none() && told["result"] != "not_found" {
            told.as_object_mut().unwrap().remove("status");
        }
        (status, told)
    }

    /// What a query finds, with scores.
    fn matches(&self, query: &Json) -> Scores {
        let all = || self.docs.keys().map(|id| (id.clone(), 1.0)).collect::<Scores>();
        if query.is_null() || self.ignores_filters {
            return all();
        }
        let (name, clause) = query.as_object().unwrap().iter().next().unwrap();
        let each = |value: &Json| match value {
            Json::Array(items) => items.iter().map(|item| self.matches(item)).collect::<Vec<_>>(),
            Json::Null => Vec::new(),
            one => vec![self.matches(one)],
        };
        match name.as_str() {
            "match_all" => all(),
            "match_none" => Scores::new(),
            "ids" => {
                let ids = clause["values"].as_array().unwrap();
                all().into_iter().filter(|(id, _)| ids.contains(&json!(id))).collect()
            }
            "bool" => {
                let (musts, filters) = (each(&clause["must"]), each(&clause["filter"]));
                let (shoulds, nots) = (each(&clause["should"]), each(&clause["must_not"]));
                let least = u64::from(musts.is_empty() && filters.is_empty() && !shoulds.is_empty());
                let least = clause["minimum_should_match"].as_u64().unwrap_or(least);
                let holds = |(id, _): (String, f64)| {
                    let fits = musts.iter().chain(&filters).all(|found| found.contains_key(&id))
                        && !nots.iter().any(|found| found.contains_key(&id))
                        && shoulds.iter().filter(|found| found.contains_key(&id)).count() as u64 >= least;
                    let score = musts.iter().chain(&shoulds).filter_map(|found| found.get(&id)).sum();
                    fits.then_some((id, score))
                };
                all().into_iter().filter_map(holds).collect()
            }
            "knn" => self.nearest(clause),
            _ => {
                let (field, operand) = clause.as_object().unwrap().iter().next().unwrap();
                let fits = |doc: &Doc| holds(name, field, operand, &doc.source);
                self.docs.iter().filter(|(_, doc)| fits(doc)).map(|(id, _)| (id.clone(), 1.0)).collect()
            }
        }
    }

    fn nearest(&self, knn: &Json) -> Scores {
        let target = knn["query_vector"][0].as_f64().unwrap();
        let filter = match &knn["filter"] {
            Json::Array(filters) => json!({ "bool": { "filter": filters } }),
            one => one.clone(),
        };
        let found = self.matches(&filter).into_keys();
        let score =
            |id: &String| 1.0 / (1.0 + (self.docs[id].source["v"].as_f64().unwrap_or(0.0) - target).abs());
        let mut found: Vec<_> = found.map(|id| (score(&id), id)).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        found.truncate(usize::try_from(knn["k"].as_u64().unwrap_or(3)).unwrap());
        found.into_iter().map(|(score, id)| (id, score)).collect()
    }

    fn retrieved(&self, retriever: &Json) -> Scores {
        let (name, inner) = retriever.as_object().unwrap().iter().next().unwrap();
        match name.as_str() {
            "standard" => {
                let mut found = self.matches(&inner["query"]);
                if !inner["filter"].is_null() {
                    let filter = self.matches(&inner["filter"]);
                    found.retain(|id, _| filter.contains_key(id));
                }
                found
            }
            "knn" => self.nearest(inner),
            "rrf" => {
                let mut all = Scores::new();
                for one in inner["retrievers"].as_array().unwrap() {
                    for (rank, (id, _)) in ranked(self.retrieved(one)).into_iter().enumerate() {
                        *all.entry(id).or_default() += 1.0 / (61.0 + f64::from(u32::try_from(rank).unwrap()));
                    }
                }
                all
            }
            other => panic!("{other}"),
        }
    }

    fn search(&self, body: &Json) -> Json {
        let mut found = match (&body["retriever"], &body["knn"]) {
            (Json::Object(_), _) => self.retrieved(&body["retriever"]),
            (_, Json::Null) => self.matches(&body["query"]),
            (_, knn) => {
                let mut found =
                    if body["query"].is_null() { Scores::new() } else { self.matches(&body["query"]) };
                let all = knn.as_array().cloned().unwrap_or_else(|| vec![knn.clone()]);
                for (id, score) in all.iter().flat_map(|knn| self.nearest(knn)) {
                    *found.entry(id).or_default() += score;
                }
                found
            }
        };
        let aggregations = (!body["aggs"].is_null()).then(|| self.aggregated(&body["aggs"], &found));
        if !body["post_filter"].is_null() {
            let filter = self.matches(&body["post_filter"]);
            found.retain(|id, _| filter.contains_key(id));
        }
        let total = found.len();
        let number = |name: &str| body[name].as_u64().and_then(|number| usize::try_from(number).ok());
        let page =
            ranked(found).into_iter().skip(number("from").unwrap_or(0)).take(number("size").unwrap_or(10));
        let hits = page.map(|(id, score)| {
            let mut hit = json!({ "_index": INDEX, "_id": id, "_score": score });
            if let Some(source) = shown(&self.docs[&id].source, &body["_source"]) {
                hit["_source"] = source;
            }
            hit
        });
        let hits: Vec<Json> = hits.collect();
        let best = hits.first().map_or(Json::Null, |hit| hit["_score"].clone());
        let hits = json!({ "total": { "value": total, "relation": "eq" }, "max_score": best, "hits": hits });
        let mut answer = json!({ "took": 1, "timed_out": false, "_shards": shards(), "hits": hits });
        if let Some(aggregations) = aggregations {
            answer["aggregations"] = aggregations;
        }
        answer
    }

    fn aggregated(&self, aggs: &Json, found: &Scores) -> Json {
        let mut told = Map::new();
        for (name, agg) in aggs.as_object().unwrap() {
            let (kind, inner) = agg.as_object().unwrap().iter().find(|(name, _)| *name != "aggs").unwrap();
            let values = |field: &Json| {
                let field = field.as_str().unwrap().to_owned();
                found
                    .keys()
                    .map(move |id| self.docs[id].source[&field].clone())
                    .filter(|value| !value.is_null())
            };
            let figures = match kind.as_str() {
                "terms" => {
                    let mut counts = BTreeMap::<String, u64>::new();
                    values(&inner["field"])
                        .for_each(|value| *counts.entry(value.to_string()).or_default() += 1);
                    json!({ "buckets": counts.iter().map(|(key, count)| json!({ "key": key, "doc_count": count })).collect::<Vec<_>>() })
                }
                "sum" => {
                    json!({ "value": values(&inner["field"]).filter_map(|value| value.as_f64()).sum::<f64>() })
                }
                "filter" => {
                    let filter = self.matches(inner);
                    let both: Scores = found
                        .iter()
                        .filter(|(id, _)| filter.contains_key(*id))
                        .map(|(id, score)| (id.clone(), *score))
                        .collect();
                    let mut told = json!({ "doc_count": both.len() });
                    if !agg["aggs"].is_null() {
                        let below = self.aggregated(&agg["aggs"], &both);
                        told.as_object_mut().unwrap().extend(below.as_object().unwrap().clone());
                    }
                    told
                }
                other => panic!("{other}"),
            };
            told.insert(name.clone(), figures);
        }
        Json::Object(told)
    }

    fn change(&mut self, action: &str, id: &str, number: Option<u64>, body: &Json) -> Json {
        let told = |status: u16, more: Json| {
            let mut told = json!({ "_index": INDEX, "_id": id, "status": status });
            told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            told
        };
        let error = |status, kind: &str| {
            told(status, json!({ "error": { "type": kind, "reason": "the store refused it" } }))
        };
        let there = self.docs.get(id);
        let is_seen = number.is_none_or(|number| there.is_some_and(|doc| doc.number == number));
        if !is_seen || (action == "create" && there.is_some()) {
            return error(409, "version_conflict_engine_exception");
        }
        let source = match (action, there) {
            ("delete", None) => return told(404, json!({ "result": "not_found" })),
            ("delete", Some(_)) => {
                self.writes += 1;
                self.docs.remove(id);
                return told(200, json!({ "result": "deleted", "_seq_no": self.writes, "_primary_term": 1 }));
            }
            ("update", Some(doc)) => {
                let mut source = doc.source.clone();
                source.as_object_mut().unwrap().extend(body["doc"].as_object().unwrap().clone());
                source
            }
            ("update", None) if body["doc_as_upsert"] == true => body["doc"].clone(),
            ("update", None) if !body["upsert"].is_null() => body["upsert"].clone(),
            ("update", None) => {
                return told(
                    404,
                    json!({ "error": { "type": "document_missing_exception", "reason": "there is no such record" } }),
                );
            }
            _ => body.clone(),
        };
        let is_new = there.is_none();
        self.writes += 1;
        self.docs.insert(id.to_owned(), Doc { source, number: self.writes });
        let result = if is_new { "created" } else { "updated" };
        told(
            if is_new { 201 } else { 200 },
            json!({ "result": result, "_seq_no": self.writes, "_primary_term": 1 }),
        )
    }

    fn bulk(&mut self, lines: &[Json]) -> Json {
        let (mut items, mut lines) = (Vec::new(), lines.iter());
        while let Some(line) = lines.next() {
            let (action, target) = line.as_object().unwrap().iter().next().unwrap();
            let body = if action == "delete" { Json::Null } else { lines.next().unwrap().clone() };
            let told =
                self.change(action, target["_id"].as_str().unwrap(), target["if_seq_no"].as_u64(), &body);
            items.push(json!({ action: told }));
        }
        let errors = items
            .iter()
            .any(|item| item.as_object().unwrap().values().any(|item| item.get("error").is_some()));
        json!({ "took": 0, "errors": errors, "items": items })
    }
}

fn ranked(found: Scores) -> Vec<(String, f64)> {
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found
}

fn shown(source: &Json, wanted: &Json) -> Option<Json> {
    let names = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let (includes, excludes) = match wanted {
        Json::Bool(false) => return None,
        Json::Array(_) => (names(wanted), Vec::new()),
        Json::Object(_) => (names(&wanted["includes"]), names(&wanted["excludes"])),
        _ => (Vec::new(), Vec::new()),
    };
    let mut source = source.clone();
    source.as_object_mut().unwrap().retain(|name, _| {
        (includes.is_empty() || includes.contains(&json!(name))) && !excludes.contains(&json!(name))
    });
    Some(source)
}

fn holds(name: &str, field: &str, operand: &Json, source: &Json) -> bool {
    let found = source.get(field).filter(|found| !found.is_null());
    let is = |operand: &Json| {
        found.is_some_and(|found| {
            found == operand || found.as_array().is_some_and(|all| all.contains(operand))
        })
    };
    let order = |operand: &Json| found?.as_f64()?.partial_cmp(&operand.as_f64()?);
    match name {
        "term" | "match" => is(operand.get("value").or_else(|| operand.get("query")).unwrap_or(operand)),
        "terms" => operand.as_array().unwrap().iter().any(is),
        "exists" => source.get(operand.as_str().unwrap()).is_some_and(|found| !found.is_null()),
        "prefix" => {
            found.and_then(Json::as_str).is_some_and(|found| found.starts_with(operand.as_str().unwrap()))
        }
        "range" => operand.as_object().unwrap().iter().all(|(operator, operand)| match operator.as_str() {
            "gt" => order(operand) == Some(Ordering::Greater),
            "lt" => order(operand) == Some(Ordering::Less),
            "gte" => order(operand).is_some_and(Ordering::is_ge),
            "lte" => order(operand).is_some_and(Ordering::is_le),
            other => panic!("{other}"),
        }),
        other => panic!("{other}"),
    }
}
