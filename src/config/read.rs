//! From checked nodes to typed values with their places. Does not report: the validator has said all there is to say,
//! so what does not fit is left out here. Apart from `raw` so that that file is nothing but the types.

use std::{path::PathBuf, time::Duration};

use serde_json::{Map, Number, Value as Json};

use super::{
    files::{At, Mark},
    scalar,
    secret::{Secret, SecretRef},
    values::{self, Budget, MicroUsd, NumberText, Percent, Rate, Sha256Hex, Size, When},
    yaml::{Node, Scalar, Style, Value},
};

/// A value that is made of one node.
pub(crate) trait Read: Sized {
    fn read(node: &Node<'_>) -> Option<Self>;
}

/// A value under a key, which may be absent.
pub(crate) trait Field: Sized {
    fn field(node: Option<&Node<'_>>) -> Option<Self>;
}

/// A value made of one scalar's text or, for JSON, of a whole node. Stands in an [`At`].
pub(crate) trait Leaf: Sized {
    fn leaf(node: &Node<'_>) -> Option<Self>;
}

/// One or more of something, written as one or as a list.
#[derive(Debug, Clone)]
pub struct Many<T>(pub Vec<T>);

/// A map whose keys the user chose, in the order of the file; then the keys whose values could not be read.
#[derive(Debug, Clone)]
pub struct Entries<T>(pub Vec<(At<String>, T)>, pub Vec<String>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new(), Vec::new())
    }
}

impl<T> Entries<T> {
    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.0.iter().find(|(name, _)| name.value == key).map(|(_, value)| value)
    }
}

impl<T: Leaf> Read for At<T> {
    fn read(node: &Node<'_>) -> Option<Self> {
        Some(Self { value: T::leaf(node)?, at: node.at })
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node<'_>) -> Option<Self> {
        Some(node.list()?.iter().filter_map(T::read).collect())
    }
}

impl<T: Read> Read for Many<T> {
    fn read(node: &Node<'_>) -> Option<Self> {
        Some(Self(match node.list() {
            Some(items) => items.iter().filter_map(T::read).collect(),
            None => vec![T::read(node)?],
        }))
    }
}

impl<T: Read> Read for Entries<T> {
    fn read(node: &Node<'_>) -> Option<Self> {
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        for (key, value) in node.map()? {
            let Some(key) = <At<String>>::read(key) else { continue };
            match T::read(value) {
                Some(value) => found.push((key, value)),
                None => unread.push(key.value),
            }
        }
        Some(Self(found, unread))
    }
}

impl<T: Leaf> Field for At<T> {
    fn field(node: Option<&Node<'_>>) -> Option<Self> {
        Self::read(node?)
    }
}

impl<T: Read> Field for Many<T> {
    fn field(node: Option<&Node<'_>>) -> Option<Self> {
        Self::read(node?)
    }
}

impl<T: Read> Field for Option<T> {
    fn field(node: Option<&Node<'_>>) -> Option<Self> {
        Some(node.and_then(T::read))
    }
}

impl<T: Read> Field for Vec<T> {
    fn field(node: Option<&Node<'_>>) -> Option<Self> {
        Some(node.and_then(Self::read).unwrap_or_default())
    }
}

impl<T: Read> Field for Entries<T> {
    fn field(node: Option<&Node<'_>>) -> Option<Self> {
        Some(node.and_then(Self::read).unwrap_or_default())
    }
}

macro_rules! leaf {
    ($($type:ty: $parse:expr),* $(,)?) => {
        $(impl Leaf for $type {
            fn leaf(node: &Node<'_>) -> Option<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(node.text()?)
            }
        })*
    };
}

leaf! {
    String: |text| Some(text.to_owned()),
    PathBuf: |text| Some(Self::from(text)),
    u64: |text| values::whole(text).ok(),
    bool: |text| scalar::boolean(text).ok(),
    Duration: |text| values::duration(text).ok(),
    Size: |text| values::size(text).ok(),
    Rate: |text| values::rate(text).ok(),
    Budget: |text| values::budget(text).ok(),
    Percent: |text| values::percent(text).ok(),
    MicroUsd: |text| values::dollars(text).ok(),
    When: |text| values::when(text).ok(),
    Sha256Hex: |text| values::sha256_hex(text).ok(),
    NumberText: |text| values::number(text).ok(),
}

impl Leaf for SecretRef {
    fn leaf(node: &Node<'_>) -> Option<Self> {
        if let Some(text) = node.text() {
            return Some(Self::Plain(Secret::new(text.to_owned())));
        }
        let env = node.get("env").and_then(Node::text).map(|name| Self::Env(name.to_owned()));
        env.or_else(|| Some(Self::File(PathBuf::from(node.get("file")?.text()?))))
    }
}

impl Leaf for Json {
    fn leaf(node: &Node<'_>) -> Option<Self> {
        json(node).ok()
    }
}

/// Why a node is no JSON value, and where.
pub(crate) struct NoJson {
    pub(crate) at: Mark,
    pub(crate) reason: &'static str,
}

/// The JSON value of a node, after YAML 1.2's core schema. Whole numbers are exact or refused.
pub(crate) fn json(node: &Node<'_>) -> Result<Json, NoJson> {
    match &node.value {
        Value::Broken => Ok(Json::Null),
        Value::Scalar(scalar) => scalar_json(scalar).map_err(|reason| NoJson { at: node.at, reason }),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let entry = |(key, value): &(Node<'_>, Node<'_>)| {
                json(value).map(|value| (key.text().unwrap_or_default().to_owned(), value))
            };
            Ok(Json::Object(entries.iter().map(entry).collect::<Result<Map<_, _>, _>>()?))
        }
    }
}

fn scalar_json(scalar: &Scalar<'_>) -> Result<Json, &'static str> {
    let text = scalar.text.as_ref();
    if scalar.style == Style::Quoted {
        return Ok(Json::from(text));
    }
    if scalar::is_null(text) {
        return Ok(Json::Null);
    }
    if let Ok(truth) = scalar::boolean(text) {
        return Ok(Json::Bool(truth));
    }
    number(text).map_or_else(|| Ok(Json::from(text)), |number| number.map(Json::Number))
}

/// The number that a plain scalar means; None where it means text.
fn number(text: &str) -> Option<Result<Number, &'static str>> {
    const LARGE: &str = "a whole number too large to be exact; quote it if text is meant";
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Err("JSON has no such number"));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        let digits =
            text.strip_prefix(prefix).filter(|digits| digits.starts_with(|c: char| c.is_digit(radix)));
        if let Some(digits) = digits.filter(|digits| digits.chars().all(|c| c.is_digit(radix))) {
            return Some(u64::from_str_radix(digits, radix).map(Number::from).map_err(|_| LARGE));
        }
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if digits(unsigned) {
        let text = text.strip_prefix('+').unwrap_or(text);
        let whole = text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from));
        return Some(whole.map_err(|_| LARGE));
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_mantissa = (digits(whole) && (fraction.is_empty() || digits(fraction)))
        || (whole.is_empty() && digits(fraction));
    if !is_mantissa || !digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)) {
        return None;
    }
    Some(text.parse().ok().and_then(Number::from_f64).ok_or("JSON has no such number"))
}

/// A struct that mirrors a map but does not leave `raw`, where the map becomes something better.
macro_rules! part {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$doc])*
        pub(in crate::config) struct $name {
            $($field: $type,)*
        }

        impl $name {
            #[cfg(test)]
            pub(in crate::config) const KEYS: &'static [&'static str] = &[$($key),*];
        }

        impl Read for $name {
            fn read(node: &Node<'_>) -> Option<Self> {
                node.map()?;
                Some(Self { $($field: <$type as Field>::field(node.get($key))?,)* })
            }
        }
    };
}

/// A struct that mirrors a map: its fields under their keys. `KEYS` is held against the description by a test.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            /// Where it begins.
            pub at: Mark,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            #[cfg(test)]
            pub(crate) const KEYS: &'static [&'static str] = &[$($key),*];
        }

        impl Read for $name {
            fn read(node: &Node<'_>) -> Option<Self> {
                node.map()?;
                Some(Self { at: node.at, $($field: <$type as Field>::field(node.get($key))?,)* })
            }
        }

        impl Field for $name {
            fn field(node: Option<&Node<'_>>) -> Option<Self> {
                Self::read(node?)
            }
        }
    };
}

/// An enum whose variants are words of the configuration. With `or`, a word that is none of them, which was reported,
/// stands for the likeliest one, else for that: what stands beside it is looked at all the same.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident $(or $otherwise:ident)? { $($variant:ident = $word:literal, $variant_doc:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $variant_doc] $variant,)*
        }

        impl $name {
            pub(crate) const WORDS: &'static [(&'static str, &'static str)] = &[$(($word, $variant_doc)),*];
            const ALL: &'static [Self] = &[$(Self::$variant),*];
            const OTHERWISE: &'static [Self] = &[$(Self::$otherwise)?];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl Leaf for $name {
            fn leaf(node: &Node<'_>) -> Option<Self> {
                match node.text()? {
                    $($word => Some(Self::$variant),)*
                    wrong => {
                        let otherwise = Self::OTHERWISE.first()?;
                        let near = crate::config::nearest(wrong, Self::WORDS.iter().map(|(word, _)| *word));
                        Self::ALL.iter().find(|word| Some(word.as_str()) == near).or(Some(otherwise)).copied()
                    }
                }
            }
        }
    };
}

pub(crate) use {part, record, words};
