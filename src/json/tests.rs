//! What strict JSON accepts, keeps and refuses; laws against serde_json.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, expected: Result<&str, Kind>) {
    let read = parse(text.as_bytes(), 4).map(|value| value.to_string());
    assert_eq!(read.as_deref().map_err(|error| error.kind), expected, "{text}");
}

#[test]
fn accepts_and_keeps() {
    check(
        r#" { "a" : [ 1 , 2.50, -0, 1e5, true,false,null,"x" ] } "#,
        Ok(r#"{"a":[1,2.50,-0,1e5,true,false,null,"x"]}"#),
    );
    check("123456789012345678901234567890.10", Ok("123456789012345678901234567890.10"));
    check(r#""\u0041\n\/\ud83d\ude00é""#, Ok(r#""A\n/😀é""#));
    check("[[[[]]]]", Ok("[[[[]]]]"));
    check(r#""0123456789abcdef\"0123456789""#, Ok(r#""0123456789abcdef\"0123456789""#));
}

#[test]
fn refuses() {
    check("[[[[[]]]]]", Err(Kind::TooDeep));
    check(r#"{"a":1,"a":2}"#, Err(Kind::DuplicateKey));
    check(r#"{"model":1,"mode\u006c":2}"#, Err(Kind::DuplicateKey));
    for (text, place) in [(r#"{"v":1,"v":1}"#, 7), (r#"[{"a":{"v":[{}] , "w":2, "\u0076" :1}}]"#, 25)] {
        assert_eq!(parse(text.as_bytes(), 8).unwrap_err().offset, place, "{text}");
    }
    check(r#""\ud800""#, Err(Kind::LoneSurrogate));
    check(r#""\ud800\u0041""#, Err(Kind::LoneSurrogate));
    check(r#""\udc00""#, Err(Kind::LoneSurrogate));
    check("1e400", Err(Kind::NumberTooLarge));
    check(&"9".repeat(310), Err(Kind::NumberTooLarge));
    check("\u{feff}{}", Err(Kind::ByteOrderMark));
    for text in ["", "{", "[1", r#"{"a""#, r#""abc"#, "-", "1.", "1e", "tru"] {
        assert!(parse(text.as_bytes(), 4).is_err(), "{text}");
    }
    for text in [
        "01",
        "+1",
        ".5",
        "{} x",
        "[1,]",
        "{,}",
        r#"{"a":1,}"#,
        "'a'",
        "NaN",
        "\"\u{1}\"",
        "\"a\nb\"",
        r#""\x""#,
    ] {
        check(text, Err(Kind::Syntax));
    }
    assert_eq!(parse(b"\"\xff\"", 4).unwrap_err().kind, Kind::NotUtf8);
    let large: Vec<String> = (0..40).chain([7]).map(|n| format!("\"k{n}\":{n}")).collect();
    check(&format!("{{{}}}", large.join(",")), Err(Kind::DuplicateKey));
}

fn documents() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            proptest::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_and_written_again(document in documents()) {
        let text = document.to_string();
        let value = parse(text.as_bytes(), 64).unwrap();
        prop_assert_eq!(value.to_string(), text);
    }

    /// What is set aside before a document is read is enough for it; where vectors stay text, of one that mixes nothing with
    /// its numbers.
    #[test]
    fn no_document_weighs_more_than_its_signs_tell(document in documents(), pretty: bool, cut in 1..9_usize, vectors in proptest::collection::vec(proptest::collection::vec(-9.0..9.0_f64, 1..40), 0..4)) {
        let written = |document: &serde_json::Value| match pretty {
            true => serde_json::to_string_pretty(document).unwrap(),
            false => document.to_string(),
        };
        let text = written(&document);
        let weight = parse(text.as_bytes(), 64).unwrap().weight();
        prop_assert!(weight <= Value::weight_max(text.as_bytes(), false));
        // In pieces it weighs as much.
        let mut signs = Signs::default();
        text.as_bytes().chunks(cut).for_each(|piece| signs.add(piece));
        for vectors in [true, false] {
            prop_assert_eq!(signs.weight_max(vectors), Value::weight_max(text.as_bytes(), vectors));
        }
        let data: Vec<_> = vectors.iter().map(|v| serde_json::json!({ "object": "embedding", "embedding": v, "index": 1 })).collect();
        let text = written(&serde_json::json!({ "object": "list", "data": data, "model": "m\u{e9}" }));
        let weight = parse_with_vectors(text.as_bytes(), 64).unwrap().weight();
        prop_assert!(weight <= Value::weight_max(text.as_bytes(), true));
        prop_assert!(Value::weight_max(text.as_bytes(), true) < 4000);
    }

    #[test]
    fn arbitrary_bytes_agree_with_serde_json(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if parse(&bytes, 64).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn jsonish_text_agrees_with_serde_json(text in r#"[\[\]{}",:\\u0-9a-f truenlfs.eE+-]{0,40}"#) {
        let ours = parse(text.as_bytes(), 64);
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match ours {
            Ok(_) => prop_assert!(theirs.is_ok()),
            // Ours is stricter in duplicate keys alone, within serde_json's depth.
            Err(error) => prop_assert!(theirs.is_err() || error.kind == Kind::DuplicateKey, "{text}"),
        }
    }
}

#[test]
fn vectors_stay_text_and_nothing_hides_in_them() {
    let read = |text: &str| parse_with_vectors(text.as_bytes(), 8).map(|value| value.to_string());
    let answer = |text: &str| parse_answer_with_vectors(text.as_bytes(), 8).map(|value| value.to_string());
    let long = format!("[{}1]", "-0.25e1, ".repeat(100));
    for text in ["[1]", "[1,2.5,-3e2]", "[ 1 , 2 ]", &long] {
        let value = parse_with_vectors(text.as_bytes(), 8).unwrap();
        assert_eq!(
            (value.vector(), value.as_u64(), value.type_name()),
            (Some(text), None, "an array"),
            "{text}"
        );
        assert_eq!((read(text).unwrap(), answer(text).unwrap()), (text.to_owned(), text.to_owned()));
    }
    for text in
        ["[]", "[ ]", "[\"1\"]", "[1,null]", "[[1],[2]]", "{\"a\":[1,2]}", "[{\"a\":[1]},2]", "[true]"]
    {
        let plain = parse(text.as_bytes(), 8).unwrap().to_string();
        assert_eq!((read(text).unwrap(), answer(text).unwrap()), (plain.clone(), plain), "{text}");
        assert_eq!(parse_with_vectors(text.as_bytes(), 8).unwrap().vector(), None, "{text}");
    }
    for text in ["[1,]", "[,1]", "[1 2]", "[01]", "[1e999]", "[+1]", "[1", "[1,2", "[-]"] {
        assert!(read(text).is_err(), "{text}");
    }
    for text in ["[1", "[1,\"a]", "[1,{]", "[-]", "[,]"] {
        assert!(answer(text).is_err(), "{text}");
    }
}
