//! Queries: what is known of them, and the tenant's clause beside them and in every branch that searches by itself.

use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        Fence,
        endpoint::Asking,
        members::{self, Place},
    },
};

/// Clauses of one field: `{ clause: { field: value } }` or `{ clause: { field: { option: value } } }`.
const OF_FIELD: [&str; 9] = [
    "fuzzy",
    "match",
    "match_bool_prefix",
    "match_phrase",
    "match_phrase_prefix",
    "prefix",
    "range",
    "regexp",
    "wildcard",
];
/// Clauses whose members are values, or lists of them.
const OF_VALUES: [&str; 7] =
    ["exists", "ids", "match_all", "match_none", "multi_match", "query_string", "simple_query_string"];
const BOOL: [&str; 7] =
    ["must", "should", "filter", "must_not", "minimum_should_match", "boost", "adjust_pure_negative"];
const KNN: [&str; 9] = [
    "field",
    "query_vector",
    "query_vector_builder",
    "k",
    "num_candidates",
    "filter",
    "similarity",
    "boost",
    "rescore_vector",
];
/// What stands in a field of OpenSearch's own `knn` and `neural`.
const NEAREST: [&str; 14] = [
    "vector",
    "k",
    "filter",
    "min_score",
    "max_distance",
    "method_parameters",
    "rescore",
    "expand_nested_docs",
    "boost",
    "query_text",
    "query_image",
    "query_tokens",
    "model_id",
    "analyzer",
];

type Scoped<'v> = Result<Value<'v>, Refusal>;

/// The tenant's clause.
pub(super) fn own<'v>(fence: &Fence) -> Option<Value<'v>> {
    fence.field.as_deref().map(|field| term(field, &fence.tenant))
}

/// A clause: this field has this value.
pub(super) fn term<'v>(field: &str, value: &str) -> Value<'v> {
    let is = Value::Object(vec![(field.to_owned().into(), Value::string(value.to_owned()))]);
    Value::object([("term", is)])
}

/// The caller's whole query and the tenant's clause, as siblings.
pub(super) fn beside<'v>(fence: &Fence, query: Option<Value<'v>>) -> Option<Value<'v>> {
    let Some(own) = own(fence) else { return query };
    let all = || Value::object([("match_all", Value::Object(Vec::new()))]);
    let both = Value::object([
        ("must", Value::Array(vec![query.unwrap_or_else(all)])),
        ("filter", Value::Array(vec![own])),
    ]);
    Some(Value::object([("bool", both)]))
}

/// Checks a query. What comes back is the same, with the tenant's clause in all of it that searches by itself.
pub(super) fn check<'v>(asking: &Asking<'_>, value: &Value<'v>, place: &Place<'_>) -> Scoped<'v> {
    let found = value.members().ok_or_else(|| place.wrong("an object", value))?;
    let [(name, clause)] = found else {
        return Err(place.bad("has to have one member; join clauses with `bool`"));
    };
    let here = place.member(name);
    let checked = match name.as_ref() {
        name if OF_FIELD.contains(&name) || name == "term" => {
            of_field(asking, clause, &here)?;
            clause.clone()
        }
        name if OF_VALUES.contains(&name) => {
            of_values(asking, clause, &here)?;
            clause.clone()
        }
        "terms" => {
            terms(asking, clause, &here)?;
            clause.clone()
        }
        "bool" => joined(asking, clause, &here, (&BOOL, &["must", "should", "filter", "must_not"]))?,
        "dis_max" => joined(asking, clause, &here, (&["queries", "tie_breaker", "boost"], &["queries"]))?,
        "hybrid" => joined(asking, clause, &here, (&["queries"], &["queries"]))?,
        "constant_score" => joined(asking, clause, &here, (&["filter", "boost"], &["filter"]))?,
        "boosting" => {
            let known = ["positive", "negative", "negative_boost", "boost"];
            joined(asking, clause, &here, (&known, &["positive", "negative"]))?
        }
        "nested" => {
            let known = ["path", "query", "score_mode", "ignore_unmapped", "boost"];
            joined(asking, clause, &here, (&known, &["query"]))?
        }
        "knn" if clause.get("field").is_some_and(|field| field.as_str().is_some()) => {
            knn(asking, clause, &here)?
        }
        "knn" | "neural" | "neural_sparse" => nearest(asking, clause, &here)?,
        "geo_bounding_box" | "geo_distance" => {
            clause.members().ok_or_else(|| here.wrong("an object", clause))?;
            clause.clone()
        }
        _ => return Err(asking.unknown(place)),
    };
    Ok(Value::Object(vec![(name.clone(), checked)]))
}

/// A query or a list of them.
pub(super) fn check_each<'v>(asking: &Asking<'_>, value: &Value<'v>, place: &Place<'_>) -> Scoped<'v> {
    match value {
        Value::Array(items) => {
            let each = items.iter().enumerate().map(|(at, item)| check(asking, item, &place.item(at)));
            each.collect::<Result<_, _>>().map(Value::Array)
        }
        _ => check(asking, value, place),
    }
}

/// A clause that joins queries: its members, and those of them that are queries.
fn joined<'v>(
    asking: &Asking<'_>,
    clause: &Value<'v>,
    place: &Place<'_>,
    (known, queries): (&[&str], &[&str]),
) -> Scoped<'v> {
    let mut joined = clause.clone();
    for (name, member) in members::object(asking, clause, place, known)? {
        let here = place.member(name);
        if queries.contains(&name.as_ref()) {
            joined.set(name, check_each(asking, member, &here)?);
        } else {
            members::scalar(member, &here)?;
        }
    }
    Ok(joined)
}

/// Whether something is a list of values.
fn is_list(value: &Value<'_>, place: &Place<'_>) -> Result<bool, Refusal> {
    match value {
        // Numbers that were taken for a vector.
        Value::Number(_) => Ok(value.vector().is_some()),
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| members::scalar(item, &place.item(at)))?;
            Ok(true)
        }
        Value::Bool(_) | Value::Null | Value::Object(_) | Value::String(_) => Ok(false),
    }
}

fn of_field(asking: &Asking<'_>, clause: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    for (field, value) in clause.members().ok_or_else(|| place.wrong("an object", clause))? {
        let here = place.member(field);
        let Some(options) = value.members() else {
            members::scalar(value, &here)?;
            continue;
        };
        for (option, value) in options {
            // An object here would be another query, or a look into another record.
            if value.members().is_some() {
                return Err(asking.unknown(&here));
            }
            if !value.is_null() {
                members::scalar(value, &here.member(option))?;
            }
        }
    }
    Ok(())
}

fn of_values(asking: &Asking<'_>, clause: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    for (name, value) in clause.members().ok_or_else(|| place.wrong("an object", clause))? {
        let here = place.member(name);
        if value.members().is_some() {
            return Err(asking.unknown(place));
        }
        if !is_list(value, &here)? {
            members::scalar(value, &here)?;
        }
    }
    Ok(())
}

/// Values that are written here; a look at those of another record is refused.
fn terms(asking: &Asking<'_>, clause: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    for (name, value) in clause.members().ok_or_else(|| place.wrong("an object", clause))? {
        let here = place.member(name);
        if name == "boost" {
            members::scalar(value, &here)?;
        } else if value.members().is_some() {
            return Err(asking.unknown(place));
        } else if !is_list(value, &here)? {
            return Err(here.wrong("an array", value));
        }
    }
    Ok(())
}

/// The nearest of a vector, as Elasticsearch writes it: the tenant's clause in its own filter.
pub(super) fn knn<'v>(asking: &Asking<'_>, clause: &Value<'v>, place: &Place<'_>) -> Scoped<'v> {
    members::object(asking, clause, place, &KNN)?;
    members::text(clause, "field", place)?.ok_or_else(|| place.bad("has no `field`"))?;
    for name in ["k", "num_candidates"] {
        members::count(clause, name, place)?;
    }
    if let Some(builder) = clause.present("query_vector_builder") {
        // Another builder takes the vector of a record.
        let here = place.member("query_vector_builder");
        members::object(asking, builder, &here, &["text_embedding"])?;
    }
    filtered(asking, clause, place)
}

/// The same as OpenSearch writes it, field by field.
fn nearest<'v>(asking: &Asking<'_>, clause: &Value<'v>, place: &Place<'_>) -> Scoped<'v> {
    let fields = clause.members().ok_or_else(|| place.wrong("an object", clause))?;
    let each = fields.iter().map(|(field, nearest)| {
        let here = place.member(field);
        members::object(asking, nearest, &here, &NEAREST)?;
        members::count(nearest, "k", &here)?;
        Ok((field.clone(), filtered(asking, nearest, &here)?))
    });
    each.collect::<Result<_, Refusal>>().map(Value::Object)
}

/// The same with the tenant's clause in its `filter`.
pub(super) fn filtered<'v>(asking: &Asking<'_>, clause: &Value<'v>, place: &Place<'_>) -> Scoped<'v> {
    let mut filtered = clause.clone();
    let here = place.member("filter");
    let given = clause.present("filter").map(|given| check_each(asking, given, &here)).transpose()?;
    // Several filters all hold.
    let given = given.map(|given| match given {
        Value::Array(_) => Value::object([("bool", Value::object([("filter", given)]))]),
        one => one,
    });
    match (own(asking.fence), given) {
        (Some(own), None) => filtered.set("filter", own),
        (_, given) => {
            if let Some(forced) = beside(asking.fence, given) {
                filtered.set("filter", forced);
            }
        }
    }
    Ok(filtered)
}
