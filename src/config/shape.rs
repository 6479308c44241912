//! How the description of the configuration is made up: shapes of nodes, keys with their documentation, kinds of
//! scalars. The descriptions themselves are in `gateway_shape`, `tenant_shape` and `test_shape`; the validator,
//! the JSON Schema and the words in error messages all come from them, so that they cannot differ.

use std::collections::BTreeSet;

use super::{gateway_shape::GATEWAY, scalar::Scalar, tenant_shape::TENANT, test_shape::TESTS};

/// What a node may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any JSON value.
    Any,
    /// One of several, told apart by what kind of node they take.
    Either(&'static [Self]),
    List(&'static Self),
    /// A list that holds at least one.
    Some(&'static Self),
    /// A map of keys that are all known.
    Map(&'static MapShape),
    /// A map whose keys the user chooses.
    Names {
        name: Scalar,
        each: &'static Self,
    },
    Scalar(Scalar),
    /// A secret: bare text, or a map that says where it is.
    Secret,
}

/// A map of known keys.
#[derive(Debug)]
pub(crate) struct MapShape {
    /// What the map is, in a word or two, for headings and messages.
    pub(crate) title: &'static str,
    pub(crate) keys: &'static [Key],
    pub(crate) rules: &'static [Together],
    /// Whether everything in it is hidden from messages, but for what is known to be harmless.
    pub(crate) hush: Hush,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hush {
    Hidden,
    Shown,
}

/// A key of a map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// One line.
    pub(crate) doc: &'static str,
    pub(crate) need: Need,
    /// YAML flow style.
    pub(crate) example: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Absent means what `doc` says.
    Optional,
    /// Absent means this value, in YAML flow style.
    Default(&'static str),
    Required,
}

/// How the keys of a map hang together.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Together {
    ExactlyOne(&'static [&'static str]),
    /// `key` only where `other` is there.
    Needs {
        key: &'static str,
        other: &'static str,
    },
    /// `key` only where `other` is not there. For the schema: what is wrong with it says who compiles it.
    NotWith {
        key: &'static str,
        other: &'static str,
    },
    /// `key` only where the key `by` holds one of `words`.
    OnlyFor {
        key: &'static str,
        by: &'static str,
        words: &'static [&'static str],
    },
    /// `key` is required where the key `by` holds one of `words`.
    RequiredFor {
        key: &'static str,
        by: &'static str,
        words: &'static [&'static str],
    },
}

/// A key that may be absent.
pub(crate) const fn key(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, doc, need: Need::Optional, example: None }
}

impl Key {
    pub(crate) const fn required(self) -> Self {
        Self { need: Need::Required, ..self }
    }

    pub(crate) const fn or(self, value: &'static str) -> Self {
        Self { need: Need::Default(value), ..self }
    }

    pub(crate) const fn like(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }
}

pub(crate) const fn scalar(scalar: Scalar) -> Shape {
    Shape::Scalar(scalar)
}

/// A map that is shown in messages and whose keys do not depend on each other.
pub(crate) const fn map(title: &'static str, keys: &'static [Key]) -> MapShape {
    MapShape { title, keys, rules: &[], hush: Hush::Shown }
}

/// Where a secret is.
pub(crate) static SECRET: MapShape = MapShape {
    title: "secret reference",
    keys: &[
        key("env", scalar(Scalar::Variable), "The environment variable that holds the secret.")
            .like("OPENAI_API_KEY"),
        key(
            "file",
            scalar(Scalar::Path),
            "The file that holds the secret; a line break at its end does not count.",
        )
        .like("/run/secrets/openai"),
    ],
    rules: &[Together::ExactlyOne(&["env", "file"])],
    hush: Hush::Hidden,
};

/// Every map that is described, the three kinds of file first.
pub(crate) fn maps() -> Vec<&'static MapShape> {
    let mut found: Vec<&'static MapShape> = Vec::new();
    let mut open: Vec<Shape> = vec![Shape::Map(&TESTS), Shape::Map(&TENANT), Shape::Map(&GATEWAY)];
    while let Some(shape) = open.pop() {
        match shape {
            Shape::Any | Shape::Scalar(_) => {}
            Shape::Either(shapes) => open.extend(shapes),
            Shape::List(each) | Shape::Some(each) | Shape::Names { each, .. } => open.push(*each),
            Shape::Secret => open.push(Shape::Map(&SECRET)),
            Shape::Map(map) => {
                if !found.iter().any(|known| std::ptr::eq(*known, map)) {
                    found.push(map);
                    open.extend(map.keys.iter().map(|key| key.shape));
                }
            }
        }
    }
    found
}

/// Every word that means something in the configuration: keys, and the words that scalars choose from.
pub(crate) fn vocabulary() -> BTreeSet<&'static str> {
    let mut words = BTreeSet::new();
    for key in maps().into_iter().flat_map(|map| map.keys) {
        words.insert(key.name);
        if let Shape::Scalar(Scalar::Word(choices)) = key.shape {
            words.extend(choices.iter().map(|(word, _)| *word));
        }
    }
    words
}
