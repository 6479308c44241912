//! An audit line, taken apart without being parsed: its members as the bytes that stand there. Most lines are decided
//! again by their names alone, and their arguments, which are nearly all of a line, need not be read.

use crate::json::{self, Value};
use std::borrow::Cow;

/// The members that a decision is made of, each as it stands in the line; empty where it is not there.
#[derive(Debug, Default)]
pub(super) struct Line<'l> {
    pub(super) time: &'l [u8],
    pub(super) tenant: &'l [u8],
    pub(super) key: &'l [u8],
    pub(super) place: &'l [u8],
    pub(super) tool: &'l [u8],
    pub(super) args: &'l [u8],
    pub(super) args_hmac: &'l [u8],
    pub(super) decision: &'l [u8],
    pub(super) rule: &'l [u8],
    pub(super) reason: &'l [u8],
    pub(super) mode: &'l [u8],
    pub(super) by: &'l [u8],
}

impl<'l> Line<'l> {
    /// Takes a line apart; `None` where it is no object.
    pub(super) fn read(line: &'l [u8]) -> Option<Self> {
        let mut found = Self::default();
        let mut rest = line.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")?.trim_ascii();
        while !rest.is_empty() {
            let (name, after) = split_value(rest)?;
            let (value, after) =
                split_value(after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())?;
            let place = match name {
                b"\"time\"" => Some(&mut found.time),
                b"\"tenant\"" => Some(&mut found.tenant),
                b"\"key\"" => Some(&mut found.key),
                b"\"place\"" => Some(&mut found.place),
                b"\"tool\"" => Some(&mut found.tool),
                b"\"args\"" => Some(&mut found.args),
                b"\"args_hmac\"" => Some(&mut found.args_hmac),
                b"\"decision\"" => Some(&mut found.decision),
                b"\"rule\"" => Some(&mut found.rule),
                b"\"reason\"" => Some(&mut found.reason),
                b"\"mode\"" => Some(&mut found.mode),
                b"\"by\"" => Some(&mut found.by),
                _ => None,
            };
            if let Some(place) = place {
                *place = value;
            }
            let after = after.trim_ascii_start();
            rest = match after.strip_prefix(b",") {
                Some(rest) => rest.trim_ascii_start(),
                None if after.is_empty() => after,
                None => return None,
            };
        }
        Some(found)
    }
}

/// The text of a string; `None` for any other value.
pub(super) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inside).is_none() {
        return std::str::from_utf8(inside).ok().map(Cow::Borrowed);
    }
    match json::parse(value, 1).ok()? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Whether a member is `null` or not there.
pub(super) fn is_none(value: &[u8]) -> bool {
    value.is_empty() || value == b"null"
}

/// The JSON value that the bytes begin with, and what follows. Only where it ends is looked for.
fn split_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match bytes.first()? {
        b'"' => string_end(bytes)?,
        b'{' | b'[' => {
            let (mut depth, mut at) = (0_usize, 0);
            loop {
                match bytes.get(at)? {
                    b'"' => at += string_end(bytes.get(at..)?)? - 1,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.checked_sub(1)?,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    break at;
                }
            }
        }
        _ => {
            let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
            let end = bytes.iter().position(|b| !is_part(b)).unwrap_or(bytes.len());
            (end > 0).then_some(end)?
        }
    };
    bytes.split_at_checked(end)
}

/// Where the string that begins with the first byte ends: behind its closing quote.
fn string_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(line: &str) -> Option<[String; 4]> {
        let shown = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let line = Line::read(line.as_bytes())?;
        Some([line.time, line.tool, line.args, line.by].map(shown))
    }

    #[test]
    fn members_as_they_stand() {
        let check = |line: &str, expected: Option<[&str; 4]>| {
            assert_eq!(shown(line), expected.map(|all| all.map(str::to_owned)), "{line}");
        };
        check(
            r#"{"time":"t","tool":"a\"}","args":{"x":[1,"}]"]},"by":null}"#,
            Some(["\"t\"", r#""a\"}""#, r#"{"x":[1,"}]"]}"#, "null"]),
        );
        check(r#" { "tool" : "x" , "args" : [ ] , "by" : 1 } "#, Some(["", "\"x\"", "[ ]", "1"]));
        check("{}", Some(["", "", "", ""]));
        for broken in [
            "",
            "[]",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":"b}"#,
            r#"{"a":[}"#,
            r#"{"a":1 2}"#,
            r#"{"a":1"b":2}"#,
        ] {
            check(broken, None);
        }
    }

    #[test]
    fn texts() {
        assert_eq!(text(br#""a\u00e9\n""#).as_deref(), Some("aé\n"));
        assert_eq!(text(b"null"), None);
        assert_eq!(text(b"\"\xff\""), None);
        assert!(is_none(b"") && is_none(b"null") && !is_none(b"\"\""));
    }

    proptest! {
        #[test]
        fn what_json_writes_is_taken_apart(tool in "\\PC{0,8}", args in "\\PC{0,8}", list in proptest::collection::vec("\\PC{0,4}", 0..3)) {
            let written = serde_json::json!({ "tool": tool, "args": { "a": args, "l": list }, "zz": [[{}]] }).to_string();
            let line = Line::read(written.as_bytes()).unwrap();
            prop_assert_eq!(text(line.tool).unwrap(), tool);
            let found: serde_json::Value = serde_json::from_slice(line.args).unwrap();
            prop_assert_eq!(found, serde_json::json!({ "a": args, "l": list }));
        }

        #[test]
        fn any_bytes_are_taken_apart_or_refused(line in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut object = vec![b'{'];
            object.extend(&line);
            object.push(b'}');
            let inside = |part: &[u8]| part.is_empty() || object.windows(part.len()).any(|window| window == part);
            for bytes in [&line, &object] {
                prop_assert!(Line::read(bytes).is_none_or(|line| inside(line.args) && inside(line.tool)));
            }
        }
    }
}
