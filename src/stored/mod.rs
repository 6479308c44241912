//! What providers keep for tenants: whose it is, where it is, and which calls in it were denied. A provider's account
//! is shared by all tenants, so that an id alone says nothing of whose answer it names: here it does.
//!
//! An entry is there before the client has read the id, and stays for 30 days. It is found in memory until it is on
//! disk; one thread writes. A disk that fails costs later requests their way back to an answer, and never shows it to
//! another tenant.

mod shelf;

pub use shelf::{OpenError, Shelf};

use crate::{
    dialect::{DeniedCall, Notice},
    json::{self, Value},
};
use std::sync::Arc;

/// Entries are kept for so long, in seconds: as long as OpenAI keeps responses.
pub const KEPT_FOR_S: i64 = 30 * 86_400;
/// A longer id is none.
pub const ID_BYTES_MAX: usize = 256;

/// An answer that a provider keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The upstream that has it.
    pub upstream: Arc<str>,
    /// The model as the tenant asked for it.
    pub model: String,
    /// Calls for which the provider waits, and which the client never saw. Of an item: the call in whose place it stands.
    pub denied: Vec<DeniedCall>,
}

/// What a request goes on from: kept answers and items of its tenant.
#[derive(Debug, Default)]
pub struct Recalled {
    /// The answer that it names as the one before.
    pub previous: Option<Stored>,
    /// Items that it names, by their ids.
    pub items: Vec<(String, Stored)>,
}

impl Recalled {
    /// Calls that the provider waits for.
    pub fn denied(&self) -> &[DeniedCall] {
        self.previous.as_ref().map(|stored| stored.denied.as_slice()).unwrap_or_default()
    }

    /// Items that are ours: what the client was told in the place of denied calls.
    pub fn notices(&self) -> Vec<Notice> {
        let told = |(id, stored): &(String, Stored)| {
            let text = stored.denied.first()?.notice.clone();
            Some(Notice { id: id.clone(), text })
        };
        self.items.iter().filter_map(told).collect()
    }
}

/// So many denied calls are remembered along a conversation.
const REMEMBERED_MAX: usize = 256;

/// What an answer's successor has to know: its own denied calls, and those of the turns before, which are answered.
pub fn remembered(own: &[DeniedCall], before: &[DeniedCall]) -> Vec<DeniedCall> {
    let answered = before.iter().map(|call| DeniedCall { open: false, ..call.clone() });
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
