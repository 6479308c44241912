//! What an index is made of: the settings and the kinds of fields that are known to make nothing else of a record than what
//! it says, and to reach nothing beyond the index. Whatever else there is, of another index, a script, a file or a model, is
//! not known.

use crate::{
    json::Value,
    refusal::Refusal,
    retrieval::{
        endpoint::Asking,
        members::{self, Place},
    },
};

/// Settings, without `index.` in front.
const SETTINGS: [&str; 25] = [
    "auto_expand_replicas",
    "codec",
    "knn",
    "knn.advanced.approximate_threshold",
    "knn.algo_param.ef_construction",
    "knn.algo_param.ef_search",
    "knn.algo_param.m",
    "knn.space_type",
    "mapping.coerce",
    "mapping.depth.limit",
    "mapping.field_name_length.limit",
    "mapping.ignore_malformed",
    "mapping.nested_fields.limit",
    "mapping.nested_objects.limit",
    "mapping.total_fields.limit",
    "max_ngram_diff",
    "max_shingle_diff",
    "number_of_replicas",
    "number_of_routing_shards",
    "number_of_shards",
    "refresh_interval",
    "similarity.default.b",
    "similarity.default.discount_overlaps",
    "similarity.default.k1",
    "similarity.default.type",
];
/// What is made of texts: `analysis.KIND.NAME.PART`.
const ANALYSIS: [&str; 5] = ["analyzer", "char_filter", "filter", "normalizer", "tokenizer"];
const PARTS: [&str; 24] = [
    "articles",
    "articles_case",
    "char_filter",
    "filter",
    "ignore_case",
    "language",
    "length",
    "lowercase",
    "max",
    "max_gram",
    "max_shingle_size",
    "max_token_length",
    "min",
    "min_gram",
    "min_shingle_size",
    "name",
    "output_unigrams",
    "pattern",
    "position_increment_gap",
    "preserve_original",
    "replacement",
    "stopwords",
    "token_chars",
    "tokenizer",
];
const KINDS: [&str; 37] = [
    "binary",
    "boolean",
    "byte",
    "constant_keyword",
    "date",
    "date_nanos",
    "date_range",
    "dense_vector",
    "double",
    "double_range",
    "flat_object",
    "flattened",
    "float",
    "float_range",
    "geo_point",
    "geo_shape",
    "half_float",
    "integer",
    "integer_range",
    "ip",
    "ip_range",
    "keyword",
    "knn_vector",
    "long",
    "long_range",
    "match_only_text",
    "nested",
    "object",
    "rank_feature",
    "rank_features",
    "scaled_float",
    "search_as_you_type",
    "short",
    "sparse_vector",
    "text",
    "unsigned_long",
    "wildcard",
];
/// What is said of a field beside its kind, its own fields and whether others may come.
const FIELD: [&str; 35] = [
    "analyzer",
    "coerce",
    "compression_level",
    "data_type",
    "depth_limit",
    "dimension",
    "dims",
    "doc_values",
    "eager_global_ordinals",
    "element_type",
    "enabled",
    "format",
    "ignore_above",
    "ignore_malformed",
    "include_in_parent",
    "include_in_root",
    "index",
    "index_options",
    "index_phrases",
    "index_prefixes",
    "locale",
    "meta",
    "method",
    "mode",
    "norms",
    "null_value",
    "positive_score_impact",
    "scaling_factor",
    "search_analyzer",
    "search_quote_analyzer",
    "similarity",
    "space_type",
    "store",
    "term_vector",
    "value",
];
/// They hold how vectors are found, prefixes, or words of the client's.
const WITHIN: [&str; 18] = [
    "bits",
    "clip",
    "code_size",
    "confidence_interval",
    "ef_construction",
    "ef_search",
    "encoder",
    "engine",
    "m",
    "max_chars",
    "min_chars",
    "name",
    "nlist",
    "nprobes",
    "parameters",
    "rescore_vector",
    "space_type",
    "type",
];
const TEMPLATE: [&str; 8] = [
    "mapping",
    "match",
    "match_mapping_type",
    "match_pattern",
    "path_match",
    "path_unmatch",
    "unmatch",
    "unmatch_mapping_type",
];

fn unknown(asking: &Asking<'_>, place: &Place<'_>) -> Refusal {
    asking.refuse(format!(
        "`{place}` is not known here: it may make something else of a record than what it says"
    ))
}

/// One value or a list of them.
fn plain(value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| members::scalar(item, &place.item(at)))
        }
        one => members::scalar(one, place),
    }
}

/// Checks settings: by their whole names, nested or with dots.
pub(super) fn check_settings(
    asking: &Asking<'_>,
    value: &Value<'_>,
    place: &Place<'_>,
) -> Result<(), Refusal> {
    value.members().ok_or_else(|| place.wrong("an object", value))?;
    setting(asking, value, (String::new(), place))
}

fn setting(
    asking: &Asking<'_>,
    value: &Value<'_>,
    (name, place): (String, &Place<'_>),
) -> Result<(), Refusal> {
    let Some(inner) = value.members() else {
        let short = name.strip_prefix("index.").unwrap_or(&name);
        let is_known = SETTINGS.contains(&short) || is_analysis(short);
        return if is_known { plain(value, place) } else { Err(unknown(asking, place)) };
    };
    inner.iter().try_for_each(|(part, value)| {
        let whole = if name.is_empty() { part.to_string() } else { format!("{name}.{part}") };
        setting(asking, value, (whole, &place.member(part)))
    })
}

fn is_analysis(name: &str) -> bool {
    let mut parts = name.split('.');
    parts.next() == Some("analysis")
        && parts.next().is_some_and(|kind| ANALYSIS.contains(&kind))
        && parts.next().is_some_and(|name| !name.is_empty())
        && parts.next().is_some_and(|part| part == "type" || PARTS.contains(&part))
        && parts.next().is_none()
}

/// Checks mappings beside the members that they have.
pub(super) fn check_mappings(
    asking: &Asking<'_>,
    value: &Value<'_>,
    place: &Place<'_>,
) -> Result<(), Refusal> {
    if let Some(dynamic) = value.present("dynamic") {
        check_dynamic(asking, dynamic, &place.member("dynamic"))?;
    }
    for name in ["date_detection", "numeric_detection"] {
        members::flag(value, name, place)?;
    }
    if let Some(properties) = value.present("properties") {
        check_fields(asking, properties, &place.member("properties"))?;
    }
    let there = place.member("dynamic_templates");
    for (at, one) in members::items(value, "dynamic_templates", place)?.unwrap_or_default().iter().enumerate()
    {
        let here = there.item(at);
        for (name, template) in one.members().ok_or_else(|| here.wrong("an object", one))? {
            let here = here.member(name);
            for (part, value) in members::object(asking, template, &here, &TEMPLATE)? {
                let here = here.member(part);
                if part == "mapping" { check_field(asking, value, &here)? } else { plain(value, &here)? }
            }
        }
    }
    Ok(())
}

fn check_dynamic(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let is_word = |word: &str| ["true", "false", "strict", "strict_allow_templates"].contains(&word);
    match value.as_str().map(is_word) {
        Some(true) => Ok(()),
        None if value.as_bool().is_some() => Ok(()),
        _ => Err(unknown(asking, place)),
    }
}

fn check_fields(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let fields = value.members().ok_or_else(|| place.wrong("an object", value))?;
    fields.iter().try_for_each(|(name, field)| check_field(asking, field, &place.member(name)))
}

fn check_field(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    for (name, part) in value.members().ok_or_else(|| place.wrong("an object", value))? {
        let here = place.member(name);
        match name.as_ref() {
            // What a template of dynamic fields finds.
            "type" if part.as_str() == Some("{dynamic_type}") => {}
            "type" if part.as_str().is_some_and(|kind| KINDS.contains(&kind)) => {}
            "dynamic" => check_dynamic(asking, part, &here)?,
            "fields" | "properties" => check_fields(asking, part, &here)?,
            name if !FIELD.contains(&name) => return Err(unknown(asking, &here)),
            // A client's own words; nothing reads them.
            "meta" => {}
            _ => check_within(asking, part, &here)?,
        }
    }
    Ok(())
}

fn check_within(asking: &Asking<'_>, value: &Value<'_>, place: &Place<'_>) -> Result<(), Refusal> {
    let Some(inner) = value.members() else { return plain(value, place) };
    inner.iter().try_for_each(|(name, value)| {
        let here = place.member(name);
        if WITHIN.contains(&name.as_ref()) {
            check_within(asking, value, &here)
        } else {
            Err(unknown(asking, &here))
        }
    })
}
