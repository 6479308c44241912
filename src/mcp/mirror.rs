//! Arguments that a tool wants repeated in headers (`x-mcp-header` in its schema, `Mcp-Param-…` on the wire): which they
//! are, what is sent to its server, and whether what a client sent agrees with its body. The headers decide nothing.
//! Source: 2026-07-28, "Transports", "Custom Headers from Tool Parameters".

use super::{
    head::{decoded, encoded},
    message::{Fault, HEADER_MISMATCH},
};
use crate::json::Value;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::borrow::Cow;

const ANNOTATION: &str = "x-mcp-header";
const PREFIX: &str = "mcp-param-";
const TYPES: [&str; 3] = ["string", "integer", "boolean"];
/// More of them are no declaration, but an attempt at our headers.
const MIRRORS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 128;
/// Members of a schema that hold schemas under names.
const NAMED_SCHEMAS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Members of a schema that hold values, not schemas.
const VALUES: [&str; 5] = ["const", "default", "enum", "example", "examples"];
/// As large as integers may be here: beyond, two readers of the same digits may see two numbers.
const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// An argument that a header repeats.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mirror {
    header: HeaderName,
    /// Where it stands in the arguments.
    path: Box<[Box<str>]>,
}

/// The headers of a request that speak of arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated(HeaderMap);

/// What a tool with this schema wants repeated. `None`: it declares it in a way that clients have to refuse.
pub fn declared(schema: Option<&Value<'_>>) -> Option<Box<[Mirror]>> {
    let mut found = Vec::new();
    if let Some(schema) = schema {
        look(schema, &mut Vec::new(), true, &mut found)?;
    }
    (found.len() <= MIRRORS_MAX).then_some(found.into_boxed_slice())
}

/// Looks through a schema. Annotations are for properties that the root reaches by `properties` alone.
fn look<'v>(
    schema: &'v Value<'_>,
    path: &mut Vec<&'v str>,
    reached: bool,
    found: &mut Vec<Mirror>,
) -> Option<()> {
    for (key, value) in schema.members().unwrap_or_default() {
        match &**key {
            ANNOTATION => {
                let mirror = mirror(schema, value, path).filter(|_| reached && !path.is_empty())?;
                if found.iter().any(|other| other.header == mirror.header) {
                    return None;
                }
                found.push(mirror);
            }
            "properties" => {
                for (name, property) in value.members().unwrap_or_default() {
                    path.push(name);
                    look(property, path, reached, found)?;
                    path.pop();
                }
            }
            key if NAMED_SCHEMAS.contains(&key) => {
                for (_, schema) in value.members().unwrap_or_default() {
                    look(schema, path, false, found)?;
                }
            }
            key if VALUES.contains(&key) => {}
            _ => {
                look(value, path, false, found)?;
                for schema in value.items().unwrap_or_default() {
                    look(schema, path, false, found)?;
                }
            }
        }
    }
    Some(())
}

fn mirror(property: &Value<'_>, name: &Value<'_>, path: &[&str]) -> Option<Mirror> {
    let name = name.as_str().filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX)?;
    let kind = property.get("type")?.as_str()?;
    let header = HeaderName::from_bytes(format!("{PREFIX}{name}").as_bytes()).ok()?;
    TYPES.contains(&kind).then(|| Mirror { header, path: path.iter().map(|&step| step.into()).collect() })
}

impl Mirror {
    fn argument<'v, 'a>(&self, arguments: &'v Value<'a>) -> Option<&'v Value<'a>> {
        self.path.iter().try_fold(arguments, |value, step| value.get(step))
    }
}

/// An argument as a header says it, before it is encoded. `None`: a header cannot say it.
fn text<'v>(argument: &'v Value<'_>) -> Option<Cow<'v, str>> {
    match argument {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
        Value::Number(digits) => Some(whole(digits).map_or(Cow::Borrowed(&**digits), Cow::Owned)),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}

/// A whole number in its plain form.
fn whole(digits: &str) -> Option<String> {
    let is_number = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    let number: f64 = digits.parse().ok().filter(|_| is_number)?;
    let plain = number.fract() == 0.0 && number.abs() <= INTEGER_MAX;
    // No "-0".
    plain.then(|| format!("{}", number + 0.0))
}

/// The headers that repeat these arguments.
pub fn headers(mirrors: &[Mirror], arguments: &Value<'_>) -> HeaderMap {
    let said = mirrors.iter().filter_map(|mirror| {
        let value = HeaderValue::from_str(&encoded(&text(mirror.argument(arguments)?)?)).ok()?;
        Some((mirror.header.clone(), value))
    });
    said.collect()
}

impl Stated {
    /// Those of a request.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let named = headers.iter().filter(|(name, _)| name.as_str().starts_with(PREFIX));
        let mut stated = HeaderMap::new();
        for (name, value) in named {
            stated.append(name, value.clone());
        }
        Self(stated)
    }

    /// Whether they agree with the arguments in the body. Those that the tool does not declare say nothing.
    ///
    /// # Errors
    /// One is missing, comes twice, cannot be read, or says something else.
    pub fn agree(&self, mirrors: &[Mirror], arguments: &Value<'_>) -> Result<(), Fault> {
        mirrors.iter().try_for_each(|mirror| {
            let Some(argument) = mirror.argument(arguments) else { return Ok(()) };
            let Some(expected) = text(argument) else { return Ok(()) };
            let header = mirror.header.as_str();
            let mut values = self.0.get_all(&mirror.header).iter();
            let what = match (values.next().map(HeaderValue::to_str), values.next()) {
                (None, _) => "is missing",
                (Some(Ok(value)), None) => {
                    let value = decoded(header, value.trim())?;
                    let equal = || whole(&value).is_some_and(|number| number == expected);
                    if value == expected || argument.digits().is_some() && equal() {
                        return Ok(());
                    }
                    "does not agree with the body"
                }
                (Some(_), _) => "comes twice, or is not plain text",
            };
            let fault = Fault::new(HEADER_MISMATCH, format!("the header `{header}` {what}"));
            Err(Fault { status: 400, ..fault })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use proptest::prelude::*;

    const SCHEMA: &str = r#"{"type":"object","properties":{
        "region":{"type":"string","x-mcp-header":"Region"},
        "count":{"type":"integer","x-mcp-header":"Count"},
        "x-mcp-header":{"type":"string"},
        "deep":{"type":"object","properties":{"dry":{"type":"boolean","x-mcp-header":"Dry-Run"}}},
        "free":{"type":"string","default":{"x-mcp-header":"Region"}}}}"#;

    fn read(text: &str) -> Value<'static> {
        json::parse(text.as_bytes(), 64).unwrap().into_owned()
    }

    fn mirrors() -> Box<[Mirror]> {
        declared(Some(&read(SCHEMA))).unwrap()
    }

    fn sent(arguments: &str) -> Vec<(String, String)> {
        let headers = headers(&mirrors(), &read(arguments));
        let mut said: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
            .collect();
        said.sort();
        said
    }

    fn code(headers: &[(&'static str, &str)], arguments: &str) -> i64 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let agreed = Stated::of(&map).agree(&mirrors(), &read(arguments));
        agreed.err().map_or(0, |fault| if fault.status == 400 { fault.code } else { 1 })
    }

    #[test]
    fn what_is_declared_is_repeated() {
        let pair = |name: &str, value: &str| (format!("mcp-param-{name}"), value.to_owned());
        let said =
            sent(r#"{"region":"us-west1","count":-7,"deep":{"dry":true},"free":"x","x-mcp-header":"y"}"#);
        assert_eq!(said, [pair("count", "-7"), pair("dry-run", "true"), pair("region", "us-west1")]);
        let said = sent(r#"{"region":"Hello, 世界","count":42.0,"deep":{"dry":false}}"#);
        assert_eq!(
            said,
            [
                pair("count", "42"),
                pair("dry-run", "false"),
                pair("region", "=?base64?SGVsbG8sIOS4lueVjA==?=")
            ]
        );
        assert_eq!(sent(r#"{"region":null,"count":[1],"deep":{"dry":{}}}"#), []);
        assert_eq!(sent("{}"), []);
    }

    #[test]
    fn what_a_client_says_agrees_with_its_body_or_is_refused() {
        const REGION: &str = "mcp-param-region";
        const COUNT: &str = "mcp-param-count";
        let check = |headers: &[(&'static str, &str)], arguments: &str, agrees: bool| {
            let expected = if agrees { 0 } else { HEADER_MISMATCH };
            assert_eq!(code(headers, arguments), expected, "{headers:?} {arguments}");
        };
        let hello = r#"{"region":"Hello"}"#;
        check(&[(REGION, "Hello")], hello, true);
        check(&[(REGION, "=?base64?SGVsbG8=?=")], hello, true);
        check(&[(REGION, "=?base64?SGVsbG8?=")], hello, false);
        check(&[(REGION, "=?base64?SGVs!!!bG8=?=")], hello, false);
        check(&[(REGION, "=?BASE64?SGVsbG8=?=")], hello, false);
        check(&[(REGION, "SGVsbG8=")], r#"{"region":"SGVsbG8="}"#, true);
        check(&[(REGION, "=?base64?SGVsbG8=")], r#"{"region":"=?base64?SGVsbG8="}"#, true);
        check(&[(REGION, "hello")], hello, false);
        check(&[], hello, false);
        check(&[(REGION, "Hello"), (REGION, "Hello")], hello, false);
        check(&[(REGION, "Hellö")], r#"{"region":"Hellö"}"#, false);
        check(&[(REGION, "")], r#"{"region":""}"#, true);
        check(&[(REGION, "42.0")], r#"{"region":"42"}"#, false);
        // What is not in the body is not expected, and what is not declared says nothing.
        for none in ["{}", r#"{"region":null}"#] {
            check(&[], none, true);
            check(&[(REGION, "x"), ("mcp-param-tenant", "globex")], none, true);
        }
        for same in ["42", "42.0", "4.2e1", "042", "=?base64?NDI=?="] {
            check(&[(COUNT, same)], r#"{"count":42}"#, true);
            check(&[(COUNT, same)], r#"{"count":42.0}"#, true);
        }
        for other in ["43", "42.5", "", "NaN", "inf", "0x2a"] {
            check(&[(COUNT, other)], r#"{"count":42}"#, false);
        }
        // Beyond what all readers hold exactly, the digits are compared.
        check(&[(COUNT, "9007199254740993")], r#"{"count":9007199254740993}"#, true);
        check(&[(COUNT, "9007199254740992")], r#"{"count":9007199254740993}"#, false);
        check(&[(COUNT, "0")], r#"{"count":-0}"#, true);
    }

    #[test]
    fn what_clients_have_to_refuse() {
        let property = |inner: &str| format!(r#"{{"type":"object","properties":{{"a":{inner}}}}}"#);
        let annotated = r#"{"type":"string","x-mcp-header":"A"}"#;
        let count = |schema: &str| declared(Some(&read(schema))).map(|mirrors| mirrors.len());
        assert_eq!(count(&property(annotated)), Some(1));
        assert_eq!(count("{}"), Some(0));
        assert_eq!(count("true"), Some(0));
        assert_eq!(declared(None).map(|mirrors| mirrors.len()), Some(0));
        assert_eq!(count(annotated), None, "the root is no argument");
        for name in ["\"\"", "7", "null", "\"a b\"", "\"a:b\"", "\"a\\r\\nb\"", "\"ä\"", "\"a/b\""] {
            let schema = property(&format!(r#"{{"type":"string","x-mcp-header":{name}}}"#));
            assert_eq!(count(&schema), None, "{name}");
        }
        for kind in ["\"number\"", "\"object\"", "\"array\"", "\"null\"", "[\"string\"]", "null"] {
            let schema = property(&format!(r#"{{"type":{kind},"x-mcp-header":"A"}}"#));
            assert_eq!(count(&schema), None, "{kind}");
        }
        assert_eq!(count(&property(r#"{"x-mcp-header":"A"}"#)), None);
        let twice = r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#;
        assert_eq!(count(twice), None, "names that differ by case alone");
        for keyword in ["items", "not", "if", "then", "else", "additionalProperties", "contains", "x-else"] {
            assert_eq!(count(&format!(r#"{{"{keyword}":{annotated}}}"#)), None, "{keyword}");
            assert_eq!(count(&property(&format!(r#"{{"{keyword}":{annotated}}}"#))), None, "{keyword}");
            let below = format!(r#"{{"{keyword}":{}}}"#, property(annotated));
            assert_eq!(count(&below), None, "{keyword}");
        }
        for keyword in ["oneOf", "anyOf", "allOf", "prefixItems"] {
            assert_eq!(count(&format!(r#"{{"{keyword}":[true,{annotated}]}}"#)), None, "{keyword}");
        }
        for keyword in ["$defs", "definitions", "patternProperties", "dependentSchemas"] {
            assert_eq!(count(&format!(r#"{{"{keyword}":{{"x":{annotated}}}}}"#)), None, "{keyword}");
            assert_eq!(count(&format!(r#"{{"{keyword}":{{"x-mcp-header":{{}}}}}}"#)), Some(0), "{keyword}");
        }
        let many = |count: usize| {
            let all: Vec<_> =
                (0..count).map(|n| format!(r#""p{n}":{{"type":"string","x-mcp-header":"P{n}"}}"#)).collect();
            format!(r#"{{"properties":{{{}}}}}"#, all.join(","))
        };
        assert_eq!((count(&many(MIRRORS_MAX)), count(&many(MIRRORS_MAX + 1))), (Some(MIRRORS_MAX), None));
        let long = |bytes: usize| {
            property(&format!(r#"{{"type":"string","x-mcp-header":"{}"}}"#, "a".repeat(bytes)))
        };
        assert_eq!((count(&long(NAME_BYTES_MAX)), count(&long(NAME_BYTES_MAX + 1))), (Some(1), None));
    }

    proptest! {
        /// What is sent for some arguments agrees with them, and with no others.
        #[test]
        fn what_is_sent_agrees(
            region in proptest::option::of(any::<String>()),
            count in proptest::option::of(any::<i64>()),
            other in any::<String>(),
        ) {
            let mut arguments = Value::object([]);
            if let Some(region) = &region {
                arguments.set("region", Value::string(region.clone()));
            }
            if let Some(count) = count {
                arguments.set("count", Value::Number(count.to_string().into()));
            }
            let headers = headers(&mirrors(), &arguments);
            prop_assert_eq!(headers.len(), usize::from(region.is_some()) + usize::from(count.is_some()));
            prop_assert!(Stated::of(&headers).agree(&mirrors(), &arguments).is_ok());
            for name in headers.keys() {
                let mut without = headers.clone();
                without.remove(name);
                prop_assert!(Stated::of(&without).agree(&mirrors(), &arguments).is_err());
            }
            if region.as_ref() != Some(&other) {
                arguments.set("region", Value::string(other));
                prop_assert!(Stated::of(&headers).agree(&mirrors(), &arguments).is_err());
            }
        }

        /// A count that another number stands for is found out.
        #[test]
        fn numbers_agree_by_their_value(a in any::<i64>(), b in any::<i64>()) {
            let count = |number: i64| Value::object([("count", Value::Number(number.to_string().into()))]);
            let stated = Stated::of(&headers(&mirrors(), &count(a)));
            prop_assert_eq!(stated.agree(&mirrors(), &count(b)).is_ok(), a == b);
        }
    }
}
