//! Pinecone in a few lines: an index of namespaces, vectors of one number in the order of their ids, and its filters.

use super::{FIELD, Model};
use serde_json::{Map, Value as Json, json};
use std::{cmp::Ordering, collections::BTreeMap};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) value: f64,
    pub(super) metadata: Json,
}

pub(super) const DEFAULT: &str = "__default__";

/// An index.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pinecone {
    pub(super) spaces: BTreeMap<String, BTreeMap<String, Record>>,
    /// Whether it looks at filters and namespaces at all.
    pub(super) ignores_filters: bool,
}

impl Model for Pinecone {
    fn handle(&mut self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut asked = body.cloned().unwrap_or_else(|| json!({}));
        let mut ids = Vec::new();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if name == "ids" { ids.push(json!(value)) } else { asked[name] = json!(value) }
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if let ["records", "namespaces", name, _] = parts.as_slice() {
            asked["namespace"] = json!(name);
        }
        let space = match asked["namespace"].as_str() {
            None | Some("") => DEFAULT.to_owned(),
            Some(name) => name.to_owned(),
        };
        let shown = if space == DEFAULT { "" } else { &space };
        let mut answer = match (method, parts.as_slice()) {
            ("POST", ["query"]) => self.query(&space, &asked),
            ("GET", ["vectors", "fetch"]) => {
                let found = self.read(&space).filter(|(id, _)| ids.contains(&json!(id)));
                json!({ "vectors": found.map(|(id, record)| (id.clone(), shape(id, record))).collect::<Map<_, _>>() })
            }
            ("POST", ["vectors", "fetch_by_metadata"]) => self.page(&space, &asked, |found| {
                json!(
                    found
                        .iter()
                        .map(|(id, record)| ((*id).clone(), shape(id, record)))
                        .collect::<Map<_, _>>()
                )
            }),
            ("GET", ["vectors", "list"]) => {
                self.page(&space, &asked, |found| found.iter().map(|(id, _)| json!({ "id": id })).collect())
            }
            ("POST", ["vectors", "upsert"]) => self.upsert(&space, &asked),
            ("POST", ["vectors", "update"]) => return (200, self.update(&space, &asked)),
            ("POST", ["vectors", "delete"]) => {
                let gone = self.selected(&space, &asked);
                if let Some(records) = self.spaces.get_mut(&space) {
                    records.retain(|id, _| !gone.contains(id));
                }
                self.spaces.retain(|_, records| !records.is_empty());
                return (200, json!({}));
            }
            ("POST", ["records", _, _, "search"]) => return (200, self.search(&space, &asked)),
            (_, ["describe_index_stats"]) => return (200, self.stats()),
            ("GET", ["namespaces"]) => {
                let prefix = asked["prefix"].as_str().unwrap_or_default();
                let all = self.spaces.iter().filter(|(name, _)| name.starts_with(prefix));
                let all = all.map(|(name, records)| json!({ "name": name, "record_count": records.len() }));
                return (
                    200,
                    json!({ "namespaces": all.collect::<Vec<_>>(), "total_count": self.spaces.len() }),
                );
            }
            other => panic!("{other:?}"),
        };
        if answer.get("upsertedCount").is_none() {
            answer["namespace"] = json!(shown);
            answer["usage"] = json!({ "readUnits": 1 });
        }
        (200, answer)
    }

    fn only(&self, tenant: &str) -> Self {
        self.with(|record| record.metadata[FIELD] == tenant)
    }

    fn without(&self, tenant: &str) -> Self {
        self.with(|record| record.metadata[FIELD] != tenant)
    }
}

impl Pinecone {
    fn with(&self, keep: impl Fn(&Record) -> bool) -> Self {
        let mut kept = self.clone();
        kept.spaces.values_mut().for_each(|records| records.retain(|_, record| keep(record)));
        kept.spaces.retain(|_, records| !records.is_empty());
        Self { ignores_filters: false, ..kept }
    }

    /// A tenant's own namespaces as it calls them.
    pub(super) fn own_spaces(&self, tenant: &str) -> Self {
        let inner = |name: &String| match name.strip_prefix(tenant)? {
            "" => Some(DEFAULT.to_owned()),
            rest => rest.strip_prefix('_').map(ToOwned::to_owned),
        };
        let spaces = self.spaces.iter().filter_map(|(name, records)| Some((inner(name)?, records.clone())));
        Self { spaces: spaces.collect(), ignores_filters: false }
    }

    fn read(&self, space: &str) -> impl Iterator<Item = (&String, &Record)> {
        let is_read = move |name: &str| self.ignores_filters || name == space;
        self.spaces.iter().filter(move |(name, _)| is_read(name)).flat_map(|(_, records)| records)
    }

    fn matching<'m>(&'m self, space: &str, filter: &Json) -> Vec<(&'m String, &'m Record)> {
        let all = self.read(space);
        all.filter(|(_, record)| self.ignores_filters || filter.is_null() || holds(filter, &record.metadata))
            .collect()
    }

    fn nearest<'m>(&'m self, space: &str, asked: &Json, wanted: &Json) -> Vec<(&'m String, f64, &'m Record)> {
        let target = match asked["id"].as_str() {
            Some(id) => self.spaces.get(space).and_then(|records| records.get(id)).map(|record| record.value),
            None => asked["vector"][0].as_f64(),
        };
        let Some(target) = target else { return Vec::new() };
        let found = self.matching(space, &asked["filter"]).into_iter();
        let mut found: Vec<_> =
            found.map(|(id, record)| (id, -(record.value - target).abs(), record)).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        found.truncate(usize::try_from(wanted.as_u64().unwrap()).unwrap());
        found
    }

    fn query(&self, space: &str, asked: &Json) -> Json {
        let found = self.nearest(space, asked, &asked["topK"]).into_iter().map(|(id, score, record)| {
            let mut shown = json!({ "id": id, "score": score });
            if asked["includeValues"] == true {
                shown["values"] = json!([record.value]);
            }
            if asked["includeMetadata"] == true {
                shown["metadata"] = record.metadata.clone();
            }
            shown
        });
        json!({ "matches": found.collect::<Vec<_>>() })
    }

    fn search(&self, space: &str, asked: &Json) -> Json {
        let mut query = asked["query"].clone();
        query["vector"] = query["vector"]["values"].clone();
        let hits = self.nearest(space, &query, &query["top_k"]).into_iter().map(|(id, score, record)| {
            let mut fields = record.metadata.clone();
            if let Some(wanted) = asked["fields"].as_array() {
                fields.as_object_mut().unwrap().retain(|name, _| wanted.contains(&json!(name)));
            }
            json!({ "_id": id, "_score": score, "fields": fields })
        });
        json!({ "result": { "hits": hits.collect::<Vec<_>>() }, "usage": {} })
    }

    fn page(&self, space: &str, asked: &Json, shape: impl Fn(&[(&String, &Record)]) -> Json) -> Json {
        let number = |value: &Json| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let limit = usize::try_from(number(&asked["limit"]).unwrap_or(100)).unwrap();
        let after = asked["paginationToken"].as_str().unwrap_or_default();
        let prefix = asked["prefix"].as_str().unwrap_or_default();
        let mut found = self.matching(space, &asked["filter"]);
        found.retain(|(id, _)| id.as_str() > after && id.starts_with(prefix));
        let more = found.len() > limit;
        found.truncate(limit);
        let mut answer = json!({ "vectors": shape(&found) });
        if more && let Some((id, _)) = found.last() {
            answer["pagination"] = json!({ "next": id });
        }
        answer
    }

    fn stats(&self) -> Json {
        let spaces =
            self.spaces.iter().map(|(name, records)| (name.clone(), json!({ "vectorCount": records.len() })));
        let total: usize = self.spaces.values().map(BTreeMap::len).sum();
        json!({ "namespaces": spaces.collect::<Map<_, _>>(), "dimension": 1, "indexFullness": 0, "totalVectorCount": total })
    }

    fn upsert(&mut self, space: &str, asked: &Json) -> Json {
        let vectors = asked["vectors"].as_array().unwrap();
        for vector in vectors {
            let metadata = vector.get("metadata").cloned().unwrap_or_else(|| json!({}));
            let record = Record { value: vector["values"][0].as_f64().unwrap(), metadata };
            let space = self.spaces.entry(space.to_owned()).or_default();
            space.insert(vector["id"].as_str().unwrap().to_owned(), record);
        }
        json!({ "upsertedCount": vectors.len() })
    }

    fn update(&mut self, space: &str, asked: &Json) -> Json {
        let selected = self.selected(space, asked);
        if asked["dryRun"] != true {
            for id in &selected {
                let record = self.spaces.get_mut(space).unwrap().get_mut(id).unwrap();
                if let Some(value) = asked["values"][0].as_f64() {
                    record.value = value;
                }
                for (name, value) in asked["setMetadata"].as_object().into_iter().flatten() {
                    record.metadata[name] = value.clone();
                }
            }
        }
        if asked.get("id").is_some() { json!({}) } else { json!({ "matchedRecords": selected.len() }) }
    }

    /// The ids that a change is for.
    fn selected(&self, space: &str, asked: &Json) -> Vec<String> {
        let ids = asked["ids"].as_array();
        let id = asked["id"].as_str();
        let all = self.spaces.get(space).into_iter().flatten();
        all.filter(|(name, record)| {
            ids.is_some_and(|ids| ids.contains(&json!(name)))
                || id == Some(name)
                || asked["deleteAll"] == true
                || asked.get("filter").is_some_and(|filter| holds(filter, &record.metadata))
        })
        .map(|(name, _)| name.clone())
        .collect()
    }
}

fn shape(id: &str, record: &Record) -> Json {
    json!({ "id": id, "values": [record.value], "metadata": record.metadata })
}

fn holds(filter: &Json, metadata: &Json) -> bool {
    filter.as_object().unwrap().iter().all(|(name, clause)| {
        let each = || clause.as_array().unwrap().iter();
        match name.as_str() {
            "$and" => each().all(|filter| holds(filter, metadata)),
            "$or" => each().any(|filter| holds(filter, metadata)),
            _ => match clause.as_object() {
                Some(operators) => operators.iter().all(|(operator, operand)| {
                    compares(operator, metadata.get(name).filter(|found| !found.is_null()), operand)
                }),
                None => compares("$eq", metadata.get(name), clause),
            },
        }
    })
}

fn compares(operator: &str, found: Option<&Json>, operand: &Json) -> bool {
    let is = |operand: &Json| {
        found.is_some_and(|found| {
            found == operand || found.as_array().is_some_and(|all| all.contains(operand))
        })
    };
    let among = || operand.as_array().unwrap().iter().any(is);
    let order = || found?.as_f64()?.partial_cmp(&operand.as_f64()?);
    match operator {
        "$eq" => is(operand),
        "$ne" => !is(operand),
        "$in" => among(),
        "$nin" => !among(),
        "$exists" => found.is_some() == (operand == true),
        "$gt" => order() == Some(Ordering::Greater),
        "$lt" => order() == Some(Ordering::Less),
        "$gte" => order().is_some_and(Ordering::is_ge),
        "$lte" => order().is_some_and(Ordering::is_le),
        other => panic!("{other}"),
    }
}
