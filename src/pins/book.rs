//! What is known of one server's definitions: what was approved, and what was seen since. The file that it is kept in.

use super::canonical::Digest;
use crate::{
    json::{self, Value},
    mcp::{list, names},
};
use std::collections::BTreeMap;

/// What an approval says where nobody gave it: the definition was the first that was seen.
pub const FIRST_USE: &str = "first use";
/// The version of the file's form.
const VERSION: u64 = 1;
/// A definition stands a little deeper in the file than in a server's list.
const NESTING_MAX: usize = json::NESTING_MAX + 8;
/// Of tools that are gone and were approved by being first, so many are remembered beside those that are there.
const ITEMS_MAX: usize = 10_000;
const BYTES_MAX: usize = 2 * list::LIST_BYTES_MAX;

/// A definition, known again by its digest.
#[derive(Debug, Clone)]
pub struct Pinned {
    pub digest: Digest,
    /// Of all but the name.
    pub(super) nameless: Digest,
    /// A tool's object, or the text of instructions.
    pub value: Value<'static>,
    bytes: usize,
}

impl PartialEq for Pinned {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Pinned {
    /// A tool's definition, or a server's instructions.
    pub fn new(value: Value<'static>) -> Self {
        let bytes = value.to_string().len();
        let (digest, nameless) = match value.as_str() {
            Some(text) => (Digest::of_instructions(text), Digest::of_instructions(text)),
            None => (Digest::of_tool(&value), Digest::of_nameless(&value)),
        };
        Self { digest, nameless, value, bytes }
    }
}

/// A definition that may be served.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    pub pinned: Pinned,
    pub time: String,
    pub by: String,
}

/// What is known of one tool, or of the instructions.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub first_seen: String,
    pub approved: Option<Approval>,
    /// What was seen last, where it is not what was approved, and since when.
    pub pending: Option<(Pinned, String)>,
    /// Since when it is not listed any more.
    pub gone: Option<String>,
}

impl Item {
    pub(super) fn new(first_seen: &str) -> Self {
        Self { first_seen: first_seen.to_owned(), approved: None, pending: None, gone: None }
    }

    /// What is looked at when its definition is judged: what would be served next.
    pub fn latest(&self) -> Option<&Pinned> {
        let pending = self.pending.as_ref().map(|(pinned, _)| pinned);
        pending.or_else(|| self.approved.as_ref().map(|known| &known.pinned))
    }

    fn bytes(&self) -> usize {
        self.approved.as_ref().map_or(0, |known| known.pinned.bytes)
            + self.pending.as_ref().map_or(0, |(pinned, _)| pinned.bytes)
    }
}

/// Which of a server's definitions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    Instructions,
    Tool(String),
}

impl Which {
    /// What the command line calls it: `SERVER__tool`, `SERVER__instructions`.
    pub fn name(&self, server: &str) -> String {
        match self {
            Self::Instructions => names::combined(server, "instructions"),
            Self::Tool(tool) => names::combined(server, tool),
        }
    }
}

/// All that is known of a server's definitions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book {
    pub server: String,
    /// A digest of where the server is, or of the command that starts it.
    pub address: String,
    pub items: BTreeMap<Which, Item>,
}

/// How a definition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Approved,
    New,
    Changed,
    /// New, and the same as one that was approved under this name and is gone.
    Renamed(String),
    Gone,
}

impl State {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::New => "new",
            Self::Changed => "changed",
            Self::Renamed(_) => "renamed",
            Self::Gone => "gone",
        }
    }

    /// Whether it waits for a person.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::New | Self::Changed | Self::Renamed(_))
    }
}

impl Book {
    /// How a definition stands.
    pub fn state(&self, item: &Item) -> State {
        match (&item.approved, &item.pending) {
            (Some(_), Some(_)) => State::Changed,
            (None, Some((pinned, _))) => self.was(pinned).map_or(State::New, State::Renamed),
            (_, None) if item.gone.is_some() => State::Gone,
            (_, None) => State::Approved,
        }
    }

    /// The name under which a definition was approved that is gone by now.
    pub(super) fn was(&self, pinned: &Pinned) -> Option<String> {
        self.items.iter().find_map(|(which, item)| match (which, &item.approved) {
            (Which::Tool(name), Some(known)) => {
                (item.gone.is_some() && known.pinned.nameless == pinned.nameless).then(|| name.clone())
            }
            (Which::Instructions | Which::Tool(_), _) => None,
        })
    }

    /// Approves what waits, if it still is what was seen. False where it is something else by now.
    pub fn approve(&mut self, which: &Which, seen: Digest, by: &str, now: &str) -> bool {
        let Some(item) = self.items.get_mut(which) else { return false };
        match item.pending.take() {
            Some((pinned, _)) if pinned.digest == seen => {
                item.approved = Some(Approval { pinned, time: now.to_owned(), by: by.to_owned() });
                true
            }
            other => {
                item.pending = other;
                false
            }
        }
    }

    /// Forgets tools that are gone and that nobody but the first look approved, where there are too many: a server that
    /// names its tools anew with each list fills no disk.
    pub(super) fn trim(&mut self) {
        let mut bytes: usize = self.items.values().map(Item::bytes).sum();
        let mut count = self.items.len();
        let is_spare = |item: &Item| item.approved.as_ref().is_some_and(|known| known.by == FIRST_USE);
        let mut spare: Vec<(String, Which)> = self
            .items
            .iter()
            .filter(|(_, item)| is_spare(item))
            .filter_map(|(which, item)| Some((item.gone.clone()?, which.clone())))
            .collect();
        spare.sort();
        for (_, which) in spare {
            if count <= ITEMS_MAX && bytes <= BYTES_MAX {
                break;
            }
            bytes -= self.items.remove(&which).map_or(0, |item| item.bytes());
            count -= 1;
        }
    }

    /// The file's text: JSON, a line a definition.
    pub fn to_text(&self) -> String {
        let mut out = format!("{{\n\"version\": {VERSION},\n");
        let line = |key: &str, value: Value<'_>| format!("{}: {value}", Value::string(key.to_owned()));
        let text = |text: &str| Value::string(text.to_owned());
        out.push_str(&format!("{},\n", line("server", text(&self.server))));
        out.push_str(&format!("{},\n", line("address", text(&self.address))));
        if let Some(item) = self.items.get(&Which::Instructions) {
            out.push_str(&format!("{},\n", line("instructions", item_value(item))));
        }
        let tools = self.items.iter().filter_map(|(which, item)| match which {
            Which::Tool(name) => Some(line(name, item_value(item))),
            Which::Instructions => None,
        });
        let tools: Vec<String> = tools.collect();
        out.push_str(&format!("\"tools\": {{\n{}\n}}\n}}\n", tools.join(",\n")));
        out
    }

    /// Reads a file's text. The error says what is wrong with it.
    ///
    /// # Errors
    /// Whatever the gateway did not write so.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let value = json::parse(text, NESTING_MAX).map_err(|error| format!("it is no JSON: {error}"))?;
        let version = value.get("version").and_then(Value::as_u64);
        if version != Some(VERSION) {
            return Err(format!("its `version` is not {VERSION}"));
        }
        let string = |key: &str| {
            let text = value.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
            text.ok_or_else(|| format!("`{key}` is missing or no text"))
        };
        let mut book =
            Self { server: string("server")?, address: string("address")?, items: BTreeMap::new() };
        if let Some(item) = value.get("instructions") {
            let read = read_item(item, |value| value.as_str().is_some());
            book.items.insert(Which::Instructions, read.map_err(|what| format!("`instructions`: {what}"))?);
        }
        let tools = value.get("tools").and_then(Value::members).ok_or("`tools` is missing or no object")?;
        for (name, item) in tools {
            let is_its = |value: &Value<'_>| value.get("name").and_then(Value::as_str) == Some(name);
            let item = read_item(item, is_its).map_err(|what| format!("a tool: {what}"))?;
            book.items.insert(Which::Tool(name.to_string()), item);
        }
        Ok(book)
    }
}

fn item_value(item: &Item) -> Value<'_> {
    let text = |text: &'_ str| Value::string(text.to_owned());
    let mut value = Value::object([("first_seen", text(&item.first_seen))]);
    if let Some(gone) = &item.gone {
        value.set("gone", text(gone));
    }
    if let Some(Approval { pinned, time, by }) = &item.approved {
        let approved = [
            ("sha256", text(&pinned.digest.to_string())),
            ("time", text(time)),
            ("by", text(by)),
            ("definition", pinned.value.clone()),
        ];
        value.set("approved", Value::object(approved));
    }
    if let Some((pinned, time)) = &item.pending {
        let pending = [
            ("sha256", text(&pinned.digest.to_string())),
            ("time", text(time)),
            ("definition", pinned.value.clone()),
        ];
        value.set("pending", Value::object(pending));
    }
    value
}

fn read_item(value: &Value<'_>, is_its: impl Fn(&Value<'_>) -> bool) -> Result<Item, String> {
    let text = |value: &Value<'_>, key: &str| {
        let text = value.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        text.ok_or_else(|| format!("`{key}` is missing or no text"))
    };
    let pinned = |value: &Value<'_>| {
        let definition = value.get("definition").filter(|value| is_its(value));
        let definition = definition.ok_or("a definition is missing, or another's")?;
        let pinned = Pinned::new(definition.clone().into_owned());
        if text(value, "sha256")? != pinned.digest.to_string() {
            return Err("a definition was changed, and its `sha256` was not".to_owned());
        }
        Ok::<_, String>(pinned)
    };
    let mut item = Item::new(&text(value, "first_seen")?);
    item.gone = value.get("gone").map(|_| text(value, "gone")).transpose()?;
    if let Some(value) = value.get("approved") {
        let (time, by) = (text(value, "time")?, text(value, "by")?);
        item.approved = Some(Approval { pinned: pinned(value)?, time, by });
    }
    if let Some(value) = value.get("pending") {
        item.pending = Some((pinned(value)?, text(value, "time")?));
    }
    if item.approved.is_none() && item.pending.is_none() {
        return Err("neither `approved` nor `pending`".to_owned());
    }
    Ok(item)
}
