//! Where values differ, as tests tell it.

use super::*;
use crate::json::parse;
use proptest::prelude::*;

fn found(expected: &str, got: &str) -> Vec<String> {
    let value = |text: &str| parse(text.as_bytes(), 16).unwrap().into_owned();
    let shown = |value: &Option<Value<'_>>| value.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
    let differences = differences(&value(expected), &value(got));
    differences.iter().map(|d| format!("{}: {} {}", d.path, shown(&d.expected), shown(&d.got))).collect()
}

#[test]
fn differences_name_the_place() {
    let check = |expected: &str, got: &str, differences: &[&str]| {
        assert_eq!(found(expected, got), differences, "{expected} {got}");
    };
    check(r#"{"a":1,"b":[1,2]}"#, r#"{"b":[1.0,2],"a":1e0}"#, &[]);
    check(r#"{"f":{"t":"a"}}"#, r#"{"f":{"t":"b","x":null}}"#, &[r#"f.t: "a" "b""#, "f.x: - null"]);
    check(r#"{"to":["a","b"]}"#, r#"{"to":["a"]}"#, &[r#"to.1: "b" -"#]);
    check(r#"{"n":1}"#, r#"{"n":"1"}"#, &[r#"n: 1 "1""#]);
    check("[]", "{}", &[": [] {}"]);
    check("null", "null", &[]);
}

fn value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (0_u64..3).prop_map(Value::integer),
        "[ab]".prop_map(Value::string),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::btree_map("[ab]", inner, 0..3).prop_map(|members| {
                Value::Object(members.into_iter().map(|(key, value)| (Cow::Owned(key), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_differs_exactly_where_values_are_the_same(a in value(), b in value()) {
        prop_assert_eq!(differences(&a, &b).is_empty(), matcher::same(&a, &b));
        prop_assert!(differences(&a, &a).is_empty());
    }
}
