//! The kinds of scalars: for each the name in messages, the code of its error, a right example, the check, and the
//! pattern that the JSON Schema gives to editors. Apart from the parsers so that these stay plain functions.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    forms,
    values::{self, Bad},
    yaml::Style,
};

/// What a scalar may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar {
    Address,
    Bool,
    Budget,
    Cel,
    Claim,
    Count {
        min: u64,
        max: u64,
    },
    Dollars,
    Duration,
    Entity,
    Glob,
    HeaderName,
    Id,
    /// Text, a number, true or false, as YAML 1.2's core schema reads it.
    Label,
    Number,
    Operation,
    Path,
    Percent,
    Rate,
    Regex,
    SanPattern,
    Sha256,
    Size,
    TenantName,
    Text,
    UpstreamName,
    Url,
    Variable,
    When,
    /// One of these words, each with its documentation.
    Word(&'static [(&'static str, &'static str)]),
}

/// What there is to say about a kind of scalar.
pub(crate) struct About {
    /// With its article: `a rate`.
    pub(crate) what: &'static str,
    pub(crate) code: &'static str,
    pub(crate) example: &'static str,
    /// Empty where the schema has no pattern.
    pub(crate) pattern: &'static str,
}

const fn about(
    what: &'static str,
    code: &'static str,
    example: &'static str,
    pattern: &'static str,
) -> About {
    About { what, code, example, pattern }
}

const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";
const SIZE: &str = "^[0-9]+(B|KiB|MiB|GiB)?$";
const RATE: &str = "^0*[1-9][0-9]*/(s|min|hour|day)( burst 0*[1-9][0-9]*)?$";
const BUDGET: &str =
    "^[0-9]+(\\.[0-9]{1,6})? USD/(hour|day|month)(, [A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*)*)?$";
const PERCENT: &str = "^0*([0-9]{1,2}|100)%$";
const WHEN: &str =
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$";
const OPERATION: &str = "^(GET|HEAD|POST|PUT|PATCH|DELETE) /[^\\s?#]*$";
const UPSTREAM: &str = "^(?!.*__)[a-z0-9][a-z0-9_-]{0,62}$";

impl Scalar {
    pub(crate) fn about(self) -> About {
        match self {
            Self::Address => {
                about("an address with a port", "bad-address", "127.0.0.1:8080", "^.+:[0-9]{1,5}$")
            }
            Self::Bool => about("true or false", "wrong-type", "true", ""),
            Self::Budget => about("money over a time", "bad-money", "50 USD/day", BUDGET),
            Self::Cel => about("a condition in CEL", "bad-text", "args.amount <= 100", "\\S"),
            Self::Claim => about("the path of a claim", "bad-claim", "claims.org", "^claims\\.\\S+$"),
            Self::Count { .. } => about("a whole number", "bad-number", "64", ""),
            Self::Dollars => about("an amount in US dollars", "bad-money", "1.25", ""),
            Self::Duration => about("a duration", "bad-duration", "30s", DURATION),
            Self::Entity => about("an entity's name", "bad-name", "EMAIL_ADDRESS", "^[A-Z][A-Z0-9_]{0,62}$"),
            Self::Glob => about("a name or pattern", "bad-name", "get_*", "^(?!([^*]*\\*){17})\\S{1,256}$"),
            Self::HeaderName => about("a header's name", "bad-name", "x-api-key", "^[A-Za-z0-9_-]{1,63}$"),
            Self::Id => about("a name", "bad-name", "prod-1", "^[A-Za-z0-9._-]{1,63}$"),
            Self::Label => about("text, a number, true or false", "bad-text", "pro", ""),
            Self::Number => about("a number", "bad-number", "100", ""),
            Self::Operation => about("an HTTP operation", "bad-operation", "GET /invoices/{id}", OPERATION),
            Self::Percent => about("a percentage", "bad-percentage", "80%", PERCENT),
            Self::Path => about("a path", "bad-path", "certs/ca.pem", "."),
            Self::Rate => about("a rate", "bad-rate", "600/min burst 50", RATE),
            Self::Regex => about("a regular expression", "bad-text", "AC-[0-9]{6}", "\\S"),
            Self::SanPattern => about(
                "a certificate name's pattern",
                "bad-pattern",
                "spiffe://example.org/ns/{tenant}/sa/*",
                "\\{tenant\\}",
            ),
            Self::Sha256 => about("a SHA-256 digest", "bad-sha256", "", "^[0-9A-Fa-f]{64}$"),
            Self::Size => about("a size", "bad-size", "10MiB", SIZE),
            Self::TenantName => {
                about("a tenant's name", "bad-name", "acme", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
            }
            Self::Text => about("text", "bad-text", "some text", "\\S"),
            Self::UpstreamName => about("an upstream's name", "bad-name", "openai", UPSTREAM),
            Self::Url => about("an URL", "bad-url", "https://api.example.com/v1", "^https?://[^\\s/?#:]"),
            Self::Variable => about("a variable's name", "bad-name", "REDIS_URL", "^[A-Za-z_][A-Za-z0-9_]*$"),
            Self::When => about("a date", "bad-date", "2027-06-30", WHEN),
            Self::Word(words) => about(
                "one of the known words",
                "unknown-value",
                words.first().map_or("", |(word, _)| word),
                "",
            ),
        }
    }

    /// Whether the text is one, else why not.
    pub(crate) fn check(self, text: &str) -> Result<(), Cow<'static, str>> {
        let plain = |result: Result<(), Bad>| result.map_err(|bad| Cow::Borrowed(bad.0));
        match self {
            Self::Address => plain(forms::address(text)),
            Self::Bool => plain(boolean(text).map(drop)),
            Self::Budget => plain(values::budget(text).map(drop)),
            Self::Cel | Self::Text | Self::Regex => plain(forms::text(text)),
            Self::Claim => plain(forms::claim(text)),
            Self::Count { min, max } => in_range(text, min, max),
            Self::Dollars => plain(values::dollars(text).map(drop)),
            Self::Duration => plain(values::duration(text).map(drop)),
            Self::Entity => plain(forms::entity(text)),
            Self::Glob => plain(forms::glob(text)),
            Self::HeaderName => plain(forms::header_name(text)),
            Self::Id => plain(forms::id(text)),
            Self::Label => Ok(()),
            Self::Number => plain(values::number(text).map(drop)),
            Self::Operation => plain(forms::operation(text)),
            Self::Percent => plain(values::percent(text).map(drop)),
            Self::Path => plain(forms::path(text)),
            Self::Rate => plain(values::rate(text).map(drop)),
            Self::SanPattern => plain(forms::san_pattern(text)),
            Self::Sha256 => plain(values::sha256_hex(text).map(drop)),
            Self::Size => plain(values::size(text).map(drop)),
            Self::TenantName => plain(forms::tenant_name(text)),
            Self::UpstreamName => plain(forms::upstream_name(text)),
            Self::Url => plain(forms::url(text)),
            Self::Variable => plain(forms::variable(text)),
            Self::When => plain(values::when(text).map(drop)),
            Self::Word(words) => {
                words.iter().any(|(word, _)| *word == text).then_some(()).ok_or_else(|| one_of(words))
            }
        }
    }

    /// Whether true, false and nothing, written plainly, are to be taken as text.
    pub(crate) fn takes(self, text: &str, style: Style) -> bool {
        let has_meaning = style == Style::Plain && (is_null(text) || boolean(text).is_ok());
        match self {
            Self::Bool => style == Style::Plain && boolean(text).is_ok(),
            Self::Count { .. } | Self::Dollars | Self::Number => style == Style::Plain && !has_meaning,
            Self::Label => style == Style::Quoted || !is_null(text),
            _ => !has_meaning,
        }
    }

    /// What the JSON Schema says of it.
    pub(crate) fn schema(self) -> Value {
        match self {
            Self::Bool => json!({ "type": "boolean" }),
            Self::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Self::Dollars => json!({ "type": "number", "minimum": 0 }),
            Self::Label => json!({ "type": ["string", "number", "boolean"] }),
            Self::Number => json!({ "type": "number" }),
            Self::Size => json!({ "type": ["string", "integer"], "pattern": SIZE, "minimum": 0 }),
            Self::Word(words) => {
                let choices: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let docs: Vec<&str> = words.iter().map(|(_, doc)| *doc).collect();
                if words.iter().any(|(word, _)| *word == "off") {
                    // What YAML 1.1, which many editors read, makes of a bare `off`.
                    let choices: Vec<Value> =
                        choices.into_iter().map(Value::from).chain([Value::Bool(false)]).collect();
                    let docs: Vec<&str> = docs.into_iter().chain(["`off`, as YAML 1.1 reads it."]).collect();
                    return json!({ "enum": choices, "markdownEnumDescriptions": docs });
                }
                json!({ "type": "string", "enum": choices, "markdownEnumDescriptions": docs })
            }
            other => json!({ "type": "string", "pattern": other.about().pattern }),
        }
    }
}

fn one_of(words: &[(&'static str, &'static str)]) -> Cow<'static, str> {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    Cow::Owned(format!("expected {}", words.join(", ")))
}

fn in_range(text: &str, min: u64, max: u64) -> Result<(), Cow<'static, str>> {
    let number = values::whole(text).map_err(|bad| Cow::Borrowed(bad.0))?;
    if number < min {
        return Err(Cow::Owned(format!("must be at least {min}")));
    }
    if number > max {
        return Err(Cow::Owned(format!("must be at most {max}")));
    }
    Ok(())
}

/// YAML 1.2's core schema: nothing.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// YAML 1.2's core schema: true and false.
pub(crate) fn boolean(text: &str) -> Result<bool, Bad> {
    match text {
        "true" | "True" | "TRUE" => Ok(true),
        "false" | "False" | "FALSE" => Ok(false),
        _ => Err(Bad("expected true or false")),
    }
}
