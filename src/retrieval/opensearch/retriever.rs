//! Retrievers: searches that others rank again. The tenant's clause is in each leaf.

use super::{query, sort};
use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        endpoint::Asking,
        members::{self, Place},
    },
};

const STANDARD: [&str; 6] = ["query", "filter", "search_after", "sort", "min_score", "terminate_after"];
const KNN: [&str; 10] = [
    "field",
    "query_vector",
    "query_vector_builder",
    "k",
    "num_candidates",
    "filter",
    "similarity",
    "min_score",
    "rescore_vector",
    "visit_percentage",
];
const RRF: [&str; 5] = ["retrievers", "filter", "rank_constant", "rank_window_size", "min_score"];
const LINEAR: [&str; 5] = ["retrievers", "filter", "normalizer", "rank_window_size", "min_score"];
const RERANKER: [&str; 8] = [
    "retriever",
    "field",
    "inference_id",
    "inference_text",
    "rank_window_size",
    "min_score",
    "filter",
    "allow_rerank_failures",
];

/// Checks a retriever. What comes back has the tenant's clause in each leaf.
pub(super) fn check<'v>(
    asking: &Asking<'_>,
    value: &Value<'v>,
    place: &Place<'_>,
) -> Result<Value<'v>, Refusal> {
    let found = value.members().ok_or_else(|| place.wrong("an object", value))?;
    let [(name, retriever)] = found else { return Err(place.bad("has to have one member")) };
    let here = place.member(name);
    let known: &[&str] = match name.as_ref() {
        "standard" => &STANDARD,
        "knn" => &KNN,
        "rrf" => &RRF,
        "linear" => &LINEAR,
        "text_similarity_reranker" => &RERANKER,
        _ => return Err(asking.refuse(format!("`{place}` is a retriever that is not known here"))),
    };
    members::object(asking, retriever, &here, known)?;
    let mut checked = retriever.clone();
    if let Some(sorted) = retriever.present("sort") {
        sort::check(asking, sorted, &here.member("sort"))?;
    }
    match name.as_ref() {
        "standard" => {
            let there = here.member("query");
            let given =
                retriever.present("query").map(|given| query::check(asking, given, &there)).transpose()?;
            if let Some(forced) = query::beside(asking.fence, given) {
                checked.set("query", forced);
            }
            if let Some(given) = retriever.present("filter") {
                checked.set("filter", query::check_each(asking, given, &here.member("filter"))?);
            }
        }
        "knn" => {
            let mut plain = retriever.clone();
            for own in ["min_score", "visit_percentage"] {
                plain.remove(own);
            }
            let forced = query::knn(asking, &plain, &here)?;
            if let Some(filter) = forced.get("filter") {
                checked.set("filter", filter.clone());
            }
        }
        _ => below(asking, retriever, &mut checked, &here)?,
    }
    Ok(Value::Object(vec![(name.clone(), checked)]))
}

/// The retrievers that another ranks again.
fn below<'v>(
    asking: &Asking<'_>,
    retriever: &Value<'v>,
    checked: &mut Value<'v>,
    place: &Place<'_>,
) -> Result<(), Refusal> {
    if let Some(given) = retriever.present("filter") {
        checked.set("filter", query::check_each(asking, given, &place.member("filter"))?);
    }
    if let Some(inner) = retriever.get("retriever") {
        checked.set("retriever", check(asking, inner, &place.member("retriever"))?);
    }
    let here = place.member("retrievers");
    let Some(items) = members::items(retriever, "retrievers", place)?.filter(|items| !items.is_empty())
    else {
        // One that ranks nothing else searches everything.
        return match checked.get("retriever") {
            Some(_) => Ok(()),
            None => Err(place.bad("has neither a `retriever` nor `retrievers`")),
        };
    };
    let each = items.iter().enumerate().map(|(at, item)| {
        let there = here.item(at);
        let Some(inner) = item.get("retriever") else { return check(asking, item, &there) };
        members::object(asking, item, &there, &["retriever", "weight", "normalizer"])?;
        let mut weighed = item.clone();
        weighed.set("retriever", check(asking, inner, &there.member("retriever"))?);
        Ok(weighed)
    });
    let each = each.collect::<Result<_, Refusal>>()?;
    checked.set("retrievers", Value::Array(each));
    Ok(())
}
