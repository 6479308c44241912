//! Aggregations: those that count nothing but what the query found, which the tenant's clause is part of.

use super::query;
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        endpoint::Asking,
        members::{self, Place},
    },
};

/// Figures of a field.
const METRICS: [&str; 10] = [
    "avg",
    "cardinality",
    "extended_stats",
    "max",
    "min",
    "missing",
    "percentiles",
    "stats",
    "sum",
    "value_count",
];
/// Records in heaps, by a field.
const BUCKETS: [&str; 5] = ["date_histogram", "date_range", "histogram", "range", "terms"];
/// Figures of heaps.
const PIPELINES: [&str; 3] = ["avg_bucket", "max_bucket", "sum_bucket"];

/// Checks `aggs`. What comes back has the tenant's clause in all of it that searches by itself.
pub(super) fn check<'v>(
    asking: &Asking<'_>,
    value: &Value<'v>,
    place: &Place<'_>,
) -> Result<Value<'v>, Refusal> {
    let named = value.members().ok_or_else(|| place.wrong("an object", value))?;
    let each = named.iter().map(|(name, one)| Ok((name.clone(), checked(asking, one, &place.member(name))?)));
    each.collect::<Result<_, Refusal>>().map(Value::Object)
}

fn checked<'v>(asking: &Asking<'_>, value: &Value<'v>, place: &Place<'_>) -> Result<Value<'v>, Refusal> {
    let mut checked_all = value.clone();
    let mut kinds = 0;
    for (name, member) in value.members().ok_or_else(|| place.wrong("an object", value))? {
        let here = place.member(name);
        match name.as_ref() {
            "aggs" | "aggregations" => checked_all.set(name, check(asking, member, &here)?),
            "meta" => {}
            _ => {
                kinds += 1;
                checked_all.set(name, kind(asking, name, member, &here)?);
            }
        }
    }
    if kinds == 1 { Ok(checked_all) } else { Err(place.bad("has to have one kind of aggregation")) }
}

fn kind<'v>(
    asking: &Asking<'_>,
    name: &str,
    value: &Value<'v>,
    place: &Place<'_>,
) -> Result<Value<'v>, Refusal> {
    match name {
        "filter" => query::check(asking, value, place),
        "filters" => {
            members::object(asking, value, place, &["filters", "other_bucket", "other_bucket_key"])?;
            let mut checked = value.clone();
            let here = place.member("filters");
            let filters = value.get("filters").ok_or_else(|| here.bad("is missing"))?;
            let all = match filters.members() {
                Some(named) => {
                    let each = named.iter().map(|(name, filter)| {
                        Ok((name.clone(), query::check(asking, filter, &here.member(name))?))
                    });
                    Value::Object(each.collect::<Result<_, Refusal>>()?)
                }
                None => query::check_each(asking, filters, &here)?,
            };
            checked.set("filters", all);
            Ok(checked)
        }
        "nested" | "reverse_nested" => {
            members::object(asking, value, place, &["path"])?;
            members::text(value, "path", place)?;
            Ok(value.clone())
        }
        name if METRICS.contains(&name) || BUCKETS.contains(&name) || PIPELINES.contains(&name) => {
            plain(asking, value, place)?;
            // With 0, terms of records that were not found are told, too.
            let least = value.present("min_doc_count");
            if name == "terms" && least.is_some_and(|least| least.as_u64().is_none_or(|least| least == 0)) {
                return Err(asking.refuse(format!("`{place}` would tell of records that were not found")));
            }
            Ok(value.clone())
        }
        _ => Err(asking.refuse(format!("`{place}` is an aggregation that is not known here"))),
    }
}

/// No script, and nothing that is a query.
fn plain(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    const KNOWN: [&str; 28] = [
        "buckets_path",
        "calendar_interval",
        "collect_mode",
        "compression",
        "exclude",
        "execution_hint",
        "extended_bounds",
        "field",
        "fixed_interval",
        "format",
        "gap_policy",
        "hard_bounds",
        "hdr",
        "include",
        "interval",
        "keyed",
        "min_doc_count",
        "missing",
        "offset",
        "order",
        "percents",
        "precision_threshold",
        "ranges",
        "shard_size",
        "sigma",
        "size",
        "tdigest",
        "time_zone",
    ];
    members::object(asking, value, place, &KNOWN).map(drop)
}
