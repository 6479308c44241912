//! What the journey hands over to be recorded. Apart because it is the one place where raw text travels towards a
//! record: it sits in [`Raw`], which shows nothing of itself and can be read only by the writer, to redact it.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use super::{line::Prepared, said::Said, study::Analyst, turns::Turns};
use crate::{
    redact::{Masks, Redactor, TenantSecret},
    trace::{Moment, Trace},
};

/// Whose records an entry goes to, and what may be in them. One a tenant and configuration, shared by its requests.
pub struct Journal {
    /// Names the directory: 1 to 128 of `a-zA-Z0-9._-`, not beginning with a dot; anything else is not recorded.
    pub tenant: Arc<str>,
    /// Reads every text before it is written.
    pub redactor: Arc<Redactor>,
    /// Looks over texts before they are written; without one, they are written as they are redacted.
    pub analyst: Option<Arc<dyn Analyst>>,
    /// Makes `args_hmac`.
    pub secret: Arc<TenantSecret>,
    /// What is written of arguments, prompts and completions.
    pub content: Content,
    /// Weight of the tenant's entries that wait to be written.
    pub queued: Arc<AtomicUsize>,
    /// The tenant's requests that wait until less of it waits to be written.
    pub turns: Arc<Turns>,
}

impl Journal {
    /// The same, for a request of which this was masked: it is redacted wherever it stands in the request's records. `None`
    /// where that changes nothing.
    pub fn knowing(&self, masks: &Masks) -> Option<Self> {
        Some(Self {
            tenant: Arc::clone(&self.tenant),
            redactor: Arc::new(self.redactor.knowing(masks)?),
            analyst: self.analyst.clone(),
            secret: Arc::clone(&self.secret),
            content: self.content,
            queued: Arc::clone(&self.queued),
            turns: Arc::clone(&self.turns),
        })
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("tenant", &self.tenant)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// What is written of arguments, prompts and completions. There is no way to write them raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Redacted text.
    Redacted,
    /// Nothing.
    None,
}

/// Text that was not redacted yet, on its way to the writer. Its Debug shows a size only.
pub struct Raw(Source);

enum Source {
    Text(String),
    Said(Said),
    Json(Bytes),
    Lazy {
        make: Box<dyn FnOnce() -> Said + Send>,
        weight_bytes: usize,
    },
    /// Redacted already, with the HMAC of how it came.
    Prepared(Box<Prepared>, Option<String>),
}

/// Raw text in the writer's hands.
pub(super) enum Opened {
    /// Written as a string.
    Text(String),
    /// Written as a string, its documents redacted as such.
    Said(Said),
    /// Written as the JSON value it is.
    Json(Bytes),
}

impl Raw {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Source::Text(text.into()))
    }

    /// What was said, whose documents are redacted as such.
    pub fn said(said: impl Into<Said>) -> Self {
        Self(Source::Said(said.into()))
    }

    /// A JSON document, written as a value; what is no JSON after all is written as a string.
    pub fn json(document: impl Into<Bytes>) -> Self {
        Self(Source::Json(document.into()))
    }

    /// What was said, as the writer's thread makes it out of what weighs `weight_bytes` until then.
    pub fn lazy(make: Box<dyn FnOnce() -> Said + Send>, weight_bytes: usize) -> Self {
        Self(Source::Lazy { make, weight_bytes })
    }

    /// What it holds in memory, in bytes.
    pub fn weight(&self) -> usize {
        match &self.0 {
            Source::Text(text) => text.len(),
            Source::Said(said) => said.len(),
            Source::Json(document) => document.len(),
            Source::Lazy { weight_bytes, .. } => *weight_bytes,
            Source::Prepared(prepared, _) => prepared.weight(),
        }
    }

    /// A text as it may be shown; `None` for what is no plain text.
    pub fn redacted(&self, redactor: &Redactor) -> Option<String> {
        match &self.0 {
            Source::Text(text) => Some(redactor.name(text).as_str().to_owned()),
            Source::Said(_) | Source::Json(_) | Source::Lazy { .. } | Source::Prepared(..) => None,
        }
    }

    pub(super) fn prepared(prepared: Prepared, hmac: Option<String>) -> Self {
        Self(Source::Prepared(Box::new(prepared), hmac))
    }

    pub(super) fn is_prepared(&self) -> bool {
        matches!(self.0, Source::Prepared(..))
    }

    /// What was redacted before; None for raw text.
    pub(super) fn into_prepared(self) -> Option<(Prepared, Option<String>)> {
        match self.0 {
            Source::Prepared(prepared, hmac) => Some((*prepared, hmac)),
            Source::Text(_) | Source::Said(_) | Source::Json(_) | Source::Lazy { .. } => None,
        }
    }

    pub(super) fn open(self) -> Opened {
        match self.0 {
            // Never raw again.
            Source::Prepared(..) => Opened::Text(String::new()),
            Source::Text(text) => Opened::Text(text),
            Source::Said(said) => Opened::Said(said),
            Source::Json(document) => Opened::Json(document),
            Source::Lazy { make, .. } => Opened::Said(make()),
        }
    }
}

impl Opened {
    /// The text; what is not UTF-8 in it is replaced.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Said(said) => Cow::Borrowed(said.as_str()),
            // The strict check is the fast one, and nearly always enough.
            Self::Json(document) => std::str::from_utf8(document)
                .map_or_else(|_| String::from_utf8_lossy(document), Cow::Borrowed),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Said(said) => said.as_str().as_bytes(),
            Self::Json(document) => document,
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.weight())
    }
}

/// The model of a request.
#[derive(Debug)]
pub enum Model {
    /// One that the configuration declares: written as it is.
    Declared(Arc<str>),
    /// One that the client only asked for: redacted like any text of its.
    Asked(Raw),
}

/// A request that was answered or refused: one line of the request log.
#[derive(Debug)]
pub struct RequestEntry {
    pub journal: Arc<Journal>,
    pub time: SystemTime,
    pub key: Arc<str>,
    pub request_id: Arc<str>,
    pub dialect: &'static str,
    pub model: Option<Model>,
    pub upstream: Option<Arc<str>>,
    /// HTTP status that the client saw.
    pub status: u16,
    /// The error's code, of the table of the contract.
    pub error: Option<&'static str>,
    pub latency: Duration,
    /// Time to the first token.
    pub ttft: Option<Duration>,
    /// How long it waited for its turn at an upstream; `None` where it came by no queue.
    pub queued: Option<Duration>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    /// The tokens are an estimate: the provider did not count, or not to the end.
    pub usage_estimated: bool,
    pub cost_micro_usd: Option<u64>,
    pub tools_denied: Vec<Raw>,
    pub prompt: Option<Raw>,
    pub completion: Option<Raw>,
    /// No part of the line: its spans are made of both.
    pub trace: Option<Box<Trace>>,
}

/// A decision about a call: one line of the audit chain.
#[derive(Debug)]
pub struct DecisionEntry {
    pub journal: Arc<Journal>,
    pub time: SystemTime,
    pub key: Arc<str>,
    pub request_id: Arc<str>,
    /// offered, emitted, mcp or http.
    pub place: &'static str,
    pub tool: Raw,
    pub args: Option<Raw>,
    /// allow, deny or ask.
    pub decision: &'static str,
    /// Where the rule stands, `tenants/acme.yaml:14`.
    pub rule: Option<Arc<str>>,
    /// The configuration's own words, not redacted.
    pub reason: Option<Arc<str>>,
    /// Hash of the configuration that decided.
    pub config: Arc<str>,
    /// enforce or shadow.
    pub mode: &'static str,
    /// Who approved. Redacted, because an approver types it.
    pub by: Option<Arc<str>>,
    /// No part of the line: where its span belongs.
    pub trace: Option<Moment>,
}

/// Something to record. Boxed, so that the queue moves pointers.
#[derive(Debug)]
pub enum Entry {
    Request(Box<RequestEntry>),
    Decision(Box<DecisionEntry>),
}

/// What an entry takes besides its texts: the box, its shared strings' handles, its line's fixed part.
const WEIGHT_FIXED: usize = 1024;

impl Entry {
    pub(super) fn journal(&self) -> &Journal {
        match self {
            Self::Request(entry) => &entry.journal,
            Self::Decision(entry) => &entry.journal,
        }
    }

    pub(super) fn shared_journal(&self) -> Arc<Journal> {
        match self {
            Self::Request(entry) => Arc::clone(&entry.journal),
            Self::Decision(entry) => Arc::clone(&entry.journal),
        }
    }

    /// What it holds in memory, in bytes, about.
    pub(super) fn weight(&self) -> usize {
        let of = |raw: &Option<Raw>| raw.as_ref().map_or(0, Raw::weight);
        WEIGHT_FIXED
            + match self {
                Self::Request(entry) => {
                    let denied: usize = entry.tools_denied.iter().map(|tool| tool.weight() + 32).sum();
                    let model = match &entry.model {
                        Some(Model::Asked(raw)) => raw.weight(),
                        Some(Model::Declared(_)) | None => 0,
                    };
                    of(&entry.prompt) + of(&entry.completion) + denied + model
                }
                Self::Decision(entry) => entry.tool.weight() + of(&entry.args),
            }
    }
}

/// Whether a tenant's name can name a directory as it is.
pub(super) fn is_recordable(tenant: &str) -> bool {
    (1..=128).contains(&tenant.len())
        && !tenant.starts_with('.')
        && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_text_shows_only_its_size() {
        let secret = "hunter2 hunter2";
        let raws = [
            Raw::text(secret),
            Raw::json(secret),
            Raw::lazy(Box::new(|| secret.to_owned().into()), secret.len()),
        ];
        for raw in raws {
            assert_eq!(format!("{raw:?}"), "Raw(15 bytes)");
            assert_eq!(raw.open().bytes(), secret.as_bytes());
        }
    }

    #[test]
    fn only_plain_names_become_directories() {
        for name in ["acme", "a", "A-b_c.d", "_refused"] {
            assert!(is_recordable(name), "{name}");
        }
        for name in ["", ".", "..", ".heads", "a/b", "a\\b", "ä", "a b", "a\0", &"a".repeat(129)] {
            assert!(!is_recordable(name), "{name}");
        }
    }
}
