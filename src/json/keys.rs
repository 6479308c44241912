//! Keys that some readers take for others. Go's encoding/json, which several servers are written with, matches keys
//! without regard to case, by Unicode's simple folding: `Model`, and `tool\u{17f}` for `tools`. What is decided on must
//! be what every reader reads.

use super::Value;
use std::cmp::Ordering;

/// Whether a reader that folds case takes `key` for `name`, which is lower-case ASCII.
pub fn reads_as(key: &str, name: &str) -> bool {
    // Folding makes no text longer, and only what is beyond ASCII shorter.
    match key.len().cmp(&name.len()) {
        Ordering::Less => false,
        Ordering::Equal => key.eq_ignore_ascii_case(name),
        Ordering::Greater => !key.is_ascii() && key.chars().map(fold_char).eq(name.chars()),
    }
}

/// A key as a reader that folds case takes it.
pub fn fold(key: &str) -> String {
    key.chars().map(fold_char).collect()
}

fn fold_char(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    }
}

/// Whether a reader that folds case takes two different keys for one another.
pub fn are_twins(a: &str, b: &str) -> bool {
    a != b && a.chars().map(fold_char).eq(b.chars().map(fold_char))
}

/// Whether some reader takes `key` for what stands at `name`: one that folds case, or that makes objects and lists of
/// `name[]`, `name[a]` and `name.a`, as frameworks of the web do with parameters.
pub fn may_mean(key: &str, name: &str) -> bool {
    let folded = fold(key);
    let rest = folded.strip_prefix(&fold(name));
    rest.is_some_and(|rest| rest.starts_with(['[', '.'])) || are_twins(key, name)
}

/// Whether some object in a value has two keys that a reader who folds case takes for one.
pub fn has_twins(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_twins),
        Value::Object(members) => {
            let plain = |key: &str| key.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
            let all_plain = members.iter().all(|(key, _)| plain(key));
            !all_plain && fold_alike(members.iter().map(|(key, _)| key.as_ref()))
                || members.iter().any(|(_, value)| has_twins(value))
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}

fn fold_alike<'k>(keys: impl Iterator<Item = &'k str>) -> bool {
    let mut folded: Vec<String> = keys.map(fold).collect();
    folded.sort_unstable();
    folded.windows(2).any(|pair| pair.first() == pair.last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folds_as_go_does() {
        for (key, name) in
            [("Model", "model"), ("TOOLS", "tools"), ("tool\u{17f}", "tools"), ("to\u{212a}en", "token")]
        {
            assert!(reads_as(key, name), "{key}");
        }
        assert!(!reads_as("tool", "tools") && !reads_as("modèl", "model"));
    }

    proptest! {
        #[test]
        fn a_key_reads_as_what_it_folds_to(key in "[kKsS\u{17f}\u{212a}éa]{0,5}", name in "[ksa]{0,5}") {
            prop_assert_eq!(reads_as(&key, &name), fold(&key) == name);
            prop_assert!(reads_as(&key, &fold(&key)) || !fold(&key).is_ascii());
        }
    }

    #[test]
    fn twins_are_found_at_any_depth() {
        let check = |text: &str, expected: bool| {
            assert_eq!(has_twins(&super::super::parse(text.as_bytes(), 8).unwrap()), expected, "{text}");
        };
        for text in
            [r#"{"a":1,"A":2}"#, r#"[{"x":{"to":1,"b":0,"To":2}}]"#, "{\"to\":1,\"\u{212a}\":1,\"k\":2}"]
        {
            check(text, true);
        }
        for text in [r#"{"a":1,"b":{"A":2}}"#, r#"{"Accept":1,"Host":2}"#, r#"["a","A"]"#, "{}", "1"] {
            check(text, false);
        }
    }
}
