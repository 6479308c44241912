//! Changes of what an event says: keys that read as others, values of other types and places, calls where none belong.

use super::{golden::events, mutate::place};
use crate::{
    json::{self, Value},
    sse,
};
use proptest::prelude::*;
use std::borrow::Cow;

/// What marks a call that was hidden in a stream. It may leave only in what the judge released.
pub(in crate::dialect) const HIDDEN: &str = "hidden7";

/// One change of one event: of the object or the value that `at` names, counted through the event.
#[derive(Debug, Clone)]
pub(in crate::dialect) enum Twist {
    /// A key is written otherwise, or a twin of it is put beside it, with this value.
    Twin { event: usize, at: usize, beside: Option<Odd> },
    /// A value is another.
    Value { event: usize, at: usize, odd: Odd },
    /// A call is put into an object or an array.
    Hide { event: usize, at: usize, key: &'static str, twin: bool },
    /// A type is that of something else.
    Type { event: usize, at: usize, kind: usize },
    /// A place is another.
    Index { event: usize, at: usize, index: u64 },
    /// A tool has another name.
    Name { event: usize, at: usize, name: &'static str },
}

impl Twist {
    /// What puts calls in comes behind what could make something else of them.
    pub(in crate::dialect) fn rank(&self) -> u8 {
        match self {
            Self::Index { .. } | Self::Name { .. } | Self::Twin { beside: None, .. } | Self::Type { .. } => 0,
            Self::Hide { .. } => 3,
            Self::Twin { beside: Some(Odd::Call | Odd::Calls), .. } => 2,
            Self::Value { odd: Odd::Call | Odd::Calls, .. } => 2,
            Self::Twin { .. } | Self::Value { .. } => 1,
        }
    }
}

/// A value that stands where another is expected.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect) enum Odd {
    Null,
    Number(u64),
    Text(&'static str),
    List,
    Object,
    Call,
    Calls,
}

pub(in crate::dialect) fn twists() -> impl Strategy<Value = Twist> {
    let any_at = || any::<usize>();
    let odd = || {
        prop_oneof![
            Just(Odd::Null),
            (0..4_u64).prop_map(Odd::Number),
            prop::sample::select(vec!["", "get_b", "delete_b", "{\"v\":9}", "x\n\ndata: {}"])
                .prop_map(Odd::Text),
            Just(Odd::List),
            Just(Odd::Object),
            Just(Odd::Call),
            Just(Odd::Calls),
        ]
    };
    let keys = vec![
        "extra",
        "content",
        "content_block",
        "delta",
        "item",
        "items",
        "output",
        "part",
        "tool_calls",
        "function_call",
        "message",
        "response",
        "input",
        "arguments",
        "action",
        "annotations",
        "error",
        "metadata",
    ];
    let names = vec!["get_a", "get_z", "delete_z", "set_z", "web_search", "delete_search"];
    prop_oneof![
        3 => (any_at(), any_at(), prop::option::of(odd()))
            .prop_map(|(event, at, beside)| Twist::Twin { event, at, beside }),
        2 => (any_at(), any_at(), odd()).prop_map(|(event, at, odd)| Twist::Value { event, at, odd }),
        4 => (any_at(), any_at(), prop::sample::select(keys), any::<bool>())
            .prop_map(|(event, at, key, twin)| Twist::Hide { event, at, key, twin }),
        4 => (any_at(), any_at(), any_at()).prop_map(|(event, at, kind)| Twist::Type { event, at, kind }),
        4 => (any_at(), any_at(), 0..4_u64).prop_map(|(event, at, index)| Twist::Index { event, at, index }),
        1 => (any_at(), any_at(), prop::sample::select(names)).prop_map(|(event, at, name)| Twist::Name { event, at, name }),
    ]
}

/// What a dialect calls things, and how it tells of a call.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect) struct Words {
    pub(in crate::dialect) kinds: &'static [&'static str],
    /// A call of `delete_hidden`, marked, as JSON.
    pub(in crate::dialect) call: &'static str,
}

/// Twists an event of a stream; one that cannot be read stays as it is.
pub(in crate::dialect) fn twist(input: &mut Vec<u8>, twist: &Twist, words: Words) {
    let all = events(input);
    let (Twist::Twin { event, .. }
    | Twist::Value { event, .. }
    | Twist::Hide { event, .. }
    | Twist::Type { event, .. }
    | Twist::Index { event, .. }
    | Twist::Name { event, .. }) = twist;
    let at = place(*event, all.len());
    let Some(data) = sse::event(all[at]).and_then(|event| event.data) else { return };
    let Ok(value) = json::parse(data.as_bytes(), 64) else { return };
    let mut value = value.into_owned();
    change(&mut value, twist, words);
    let kind =
        value.get("type").and_then(Value::as_str).filter(|kind| !kind.contains('\n')).map(ToOwned::to_owned);
    let name = kind.map(|kind| format!("event: {kind}\n")).unwrap_or_default();
    let mut out = all[..at].concat();
    out.extend_from_slice(format!("{name}data: {value}\n\n").as_bytes());
    out.extend(all[at + 1..].concat());
    *input = out;
}

/// Twists a whole answer.
pub(in crate::dialect) fn twist_whole(body: &mut String, by: &Twist, words: Words) {
    let Ok(value) = json::parse(body.as_bytes(), 64) else { return };
    let mut value = value.into_owned();
    change(&mut value, by, words);
    *body = value.to_string();
}

fn change(value: &mut Value<'static>, twist: &Twist, words: Words) {
    let call = || json::parse(words.call.as_bytes(), 32).unwrap().into_owned();
    match *twist {
        Twist::Twin { at, beside, .. } => with(
            value,
            at,
            &|value| matches!(value, Value::Object(members) if !members.is_empty()),
            |object| {
                let Value::Object(members) = object else { return };
                let member = place(at / 7, members.len());
                let twin = folded_twin(&members[member].0);
                match beside {
                    None => members[member].0 = twin,
                    Some(odd) => members.push((twin, odd.value(&call))),
                }
            },
        ),
        Twist::Value { at, odd, .. } => with(value, at, &|_| true, |value| *value = odd.value(&call)),
        Twist::Hide { at, key, twin, .. } => {
            with(value, at, &|value| matches!(value, Value::Object(_) | Value::Array(_)), |place| {
                let mut hidden = call();
                if let (true, Value::Object(members)) = (twin, &mut hidden) {
                    members[0].0 = folded_twin("type");
                }
                match place {
                    Value::Array(items) => items.push(hidden),
                    Value::Object(members) if !members.iter().any(|(known, _)| known == key) => {
                        members.push((Cow::Borrowed(key), hidden));
                    }
                    _ => {}
                }
            });
        }
        Twist::Type { at, kind, .. } => {
            set(value, at, &["type"], Value::string(words.kinds[place(kind, words.kinds.len())]));
        }
        Twist::Index { at, index, .. } => {
            set(
                value,
                at,
                &["index", "output_index", "content_index", "sequence_number"],
                Value::integer(index),
            );
        }
        Twist::Name { at, name, .. } => {
            set(value, at, &["name", "id", "call_id", "item_id", "tool_use_id"], Value::string(name));
        }
    }
}

impl Odd {
    fn value(self, call: &dyn Fn() -> Value<'static>) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Number(number) => Value::integer(number),
            Self::Text(text) => Value::string(text),
            Self::List => Value::Array(Vec::new()),
            Self::Object => Value::Object(Vec::new()),
            Self::Call => call(),
            Self::Calls => Value::Array(vec![call()]),
        }
    }
}

/// A key that readers which fold case take for this one.
fn folded_twin(key: &str) -> Cow<'static, str> {
    let twin = if key.contains('s') && key.len().is_multiple_of(2) {
        key.replace('s', "\u{17f}")
    } else {
        key.to_uppercase()
    };
    Cow::Owned(twin)
}

/// Acts on one of the values that are wanted, if there are any.
fn with(
    value: &mut Value<'static>,
    at: usize,
    wanted: &dyn Fn(&Value<'_>) -> bool,
    act: impl FnOnce(&mut Value<'static>),
) {
    let count = count(value, wanted);
    if count > 0 {
        let mut left = place(at, count);
        if let Some(found) = find(value, wanted, &mut left) {
            act(found);
        }
    }
}

fn count(value: &Value<'_>, wanted: &dyn Fn(&Value<'_>) -> bool) -> usize {
    let inner: usize = match value {
        Value::Array(items) => items.iter().map(|item| count(item, wanted)).sum(),
        Value::Object(members) => members.iter().map(|(_, member)| count(member, wanted)).sum(),
        _ => 0,
    };
    inner + usize::from(wanted(value))
}

fn find<'v>(
    value: &'v mut Value<'static>,
    wanted: &dyn Fn(&Value<'_>) -> bool,
    left: &mut usize,
) -> Option<&'v mut Value<'static>> {
    if wanted(value) {
        if *left == 0 {
            return Some(value);
        }
        *left -= 1;
    }
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| find(item, wanted, left)),
        Value::Object(members) => members.iter_mut().find_map(|(_, member)| find(member, wanted, left)),
        _ => None,
    }
}

/// Sets one of the members of these names, if there are any.
fn set(value: &mut Value<'static>, at: usize, keys: &[&str], new: Value<'static>) {
    let has = |value: &Value<'_>| keys.iter().any(|key| value.get(key).is_some());
    with(value, at, &has, |object| {
        let present: Vec<&&str> = keys.iter().filter(|key| object.get(key).is_some()).collect();
        let key = present[place(at / 7, present.len())];
        object.set(key, new);
    });
}
