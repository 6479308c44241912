//! What providers keep for tenants: whose it is, where it is, and which calls in it were denied. A provider's account
//! is shared by all tenants, so that an id alone says nothing of whose answer it names: here it does.
//!
//! An entry is there before the client has read the id, and stays for 30 days; files and vector stores until they are
//! deleted. It is found in memory until it is on
//! disk; one thread writes. Beside them stands what became of calls that a limit or a person could deny, for the gateway that
//! starts next (`calls`). A disk that fails costs later requests their way back to an answer, and never shows it to
//! another tenant.

mod calls;
pub mod object;
mod shelf;

pub use calls::Noted;
pub use shelf::{OpenError, Shelf, count, erase};

use crate::{
    dialect::{DeniedCall, Notice},
    json::{self, Value},
};
use std::sync::Arc;

/// Entries are kept for so long, in seconds: as long as OpenAI keeps responses.
pub const KEPT_FOR_S: i64 = 30 * 86_400;
/// A longer id is none.
pub const ID_BYTES_MAX: usize = 256;

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An answer, all of whose calls are known.
    Answer,
    Container,
    File,
    /// Files that are put into a vector store together.
    FileBatch,
    /// An item of an answer.
    Item,
    /// An answer that did not come to its end here: of calls in it that were not seen, nothing is known.
    Unfinished,
    VectorStore,
}

impl What {
    const ALL: [Self; 7] = [
        Self::Answer,
        Self::Container,
        Self::File,
        Self::FileBatch,
        Self::Item,
        Self::Unfinished,
        Self::VectorStore,
    ];

    /// Its name on disk.
    fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Container => "container",
            Self::File => "file",
            Self::FileBatch => "file_batch",
            Self::Item => "item",
            Self::Unfinished => "unfinished",
            Self::VectorStore => "vector_store",
        }
    }

    /// The same, read again.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.as_str() == name)
    }

    /// Whether the provider has it until somebody deletes it.
    pub fn lasts(self) -> bool {
        matches!(self, Self::File | Self::FileBatch | Self::VectorStore)
    }

    /// Whether it is a whole answer or a part of one.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Answer | Self::Unfinished)
    }
}

/// Something that a provider keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub what: What,
    /// The upstream that has it.
    pub upstream: Arc<str>,
    /// The model as the tenant asked for it.
    pub model: String,
    /// Calls for which the provider waits, and which the client never saw. Of an item: the call in whose place it stands.
    pub denied: Vec<DeniedCall>,
    /// Of an answer: tools that its request offered and that calls in it may name otherwise. They were decided on their
    /// parameters then.
    pub offered: Vec<String>,
    /// Of an answer: the tokens that it used, input and output. A request that goes on from it is billed for them again.
    /// 0 where that is not known.
    pub tokens: u64,
}

impl Stored {
    /// As other gateways are told of it.
    pub fn to_text(&self) -> String {
        let (denied, offered) = (write_denied(&self.denied), write_offered(&self.offered));
        let tokens = self.tokens.to_string();
        let texts = [self.what.as_str(), &self.upstream, &self.model, &denied, &offered, &tokens];
        Value::Array(texts.into_iter().map(|text| Value::string(text.to_owned())).collect()).to_string()
    }

    /// The same, read again. `None` for what was not written so.
    pub fn read(text: &str) -> Option<Self> {
        let parsed = json::parse(text.as_bytes(), 2).ok()?;
        let texts: Vec<&str> = parsed.items()?.iter().map(Value::as_str).collect::<Option<_>>()?;
        let (what, upstream, model, denied, offered, tokens) = match texts.as_slice() {
            [what, upstream, model, denied, offered, tokens] => {
                (what, upstream, model, denied, offered, tokens.parse().ok()?)
            }
            // Of a gateway of before.
            [what, upstream, model, denied, offered] => (what, upstream, model, denied, offered, 0),
            _ => return None,
        };
        Some(Self {
            what: What::named(what)?,
            upstream: (*upstream).into(),
            model: (*model).to_owned(),
            denied: read_denied(denied)?,
            offered: read_offered(offered)?,
            tokens,
        })
    }
}

/// What a request goes on from: kept answers and items of its tenant.
#[derive(Debug, Default)]
pub struct Recalled {
    /// The answer that it names as the one before.
    pub previous: Option<Stored>,
    /// Items and containers that it names, by their ids.
    pub named: Vec<(String, Stored)>,
}

impl Recalled {
    /// What an id names, if it is one of these.
    pub fn find(&self, id: &str, what: What) -> Option<&Stored> {
        let mut found = self.named.iter().filter(|(known, stored)| known == id && stored.what == what);
        found.next().map(|(_, stored)| stored)
    }

    /// Calls that the provider waits for.
    pub fn denied(&self) -> &[DeniedCall] {
        self.previous.as_ref().map(|stored| stored.denied.as_slice()).unwrap_or_default()
    }

    /// The tokens of the conversation that the provider puts before what the request says; 0 where that is not known.
    pub fn tokens(&self) -> u64 {
        self.previous.as_ref().map_or(0, |stored| stored.tokens)
    }

    /// Items that are ours: what the client was told in the place of denied calls.
    pub fn notices(&self) -> Vec<Notice> {
        let told = |(id, stored): &(String, Stored)| {
            let text = stored.denied.first()?.notice.clone();
            Some(Notice { id: id.clone(), text })
        };
        self.named.iter().filter_map(told).collect()
    }
}

/// So many denied calls are remembered along a conversation.
const REMEMBERED_MAX: usize = 256;

/// What an answer's successor has to know: its own denied calls, and those of the turns before, which are answered.
pub fn remembered(own: &[DeniedCall], before: &[DeniedCall]) -> Vec<DeniedCall> {
    let again = |call: &&DeniedCall| own.iter().any(|own| own.call_id == call.call_id);
    let before = before.iter().filter(|call| !again(call));
    let answered = before.map(|call| DeniedCall { open: false, ..call.clone() });
    own.iter().cloned().chain(answered).take(REMEMBERED_MAX).collect()
}

/// Denied calls as text, for the disk: `[[call_id, tool, kind, notice, open], …]`.
fn write_denied(denied: &[DeniedCall]) -> String {
    let rows = denied.iter().map(|call| {
        let texts = [&call.call_id, &call.tool, &call.kind, &call.notice];
        let mut row: Vec<_> = texts.into_iter().map(|text| Value::string(text.as_str())).collect();
        row.push(Value::Bool(call.open));
        Value::Array(row)
    });
    Value::Array(rows.collect()).to_string()
}

/// The same, read again. `None` for what was not written so.
fn read_denied(text: &str) -> Option<Vec<DeniedCall>> {
    let rows = json::parse(text.as_bytes(), 4).ok()?;
    let row = |row: &Value<'_>| {
        let mut texts = row.items()?.iter().map(|text| Some(text.as_str()?.to_owned()));
        let mut next = || texts.next().flatten();
        let open = row.items()?.last()?.as_bool()?;
        Some(DeniedCall { call_id: next()?, tool: next()?, kind: next()?, notice: next()?, open })
    };
    rows.items()?.iter().map(row).collect()
}

/// Names of tools as text, for the disk.
fn write_offered(offered: &[String]) -> String {
    Value::Array(offered.iter().map(|tool| Value::string(tool.as_str())).collect()).to_string()
}

/// The same, read again. `None` for what was not written so.
fn read_offered(text: &str) -> Option<Vec<String>> {
    let names = json::parse(text.as_bytes(), 2).ok()?;
    names.items()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect()
}
