//! Pins of what MCP servers say of themselves: each tool's whole definition, and the server's instructions. A person
//! approves a definition, or the first look does (`record`); what is new or changed since is told, and under `enforce`
//! neither listed nor called.
//!
//! Pure: `canonical` (one form, one digest), `book` (what is known, and its file), this file (what becomes of a list),
//! `hygiene` (what hides in a definition), `difference` (for people). Shell: `disk` (the files), `watch` (a server's
//! pins in a gateway that runs).

pub mod book;
mod canonical;
pub mod difference;
pub mod disk;
pub mod hygiene;
pub mod watch;

#[cfg(test)]
mod tests;

pub use book::{Approval, Book, Item, Pinned, State, Which};
pub use canonical::{Digest, canonical};
pub use watch::Watch;

use book::FIRST_USE;
use std::collections::BTreeMap;

/// What is done with what was not approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What is first seen is approved; changes are told.
    Record,
    /// What is new or changed is withheld.
    Enforce,
}

/// Why a definition is withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    New,
    Changed,
    Renamed,
    /// It is not known what was approved.
    Unreadable,
}

impl Withheld {
    /// What the audit trail says of a call of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "it is not approved yet",
            Self::Changed => "its definition changed since it was approved",
            Self::Renamed => "it is an approved tool under a name that is not approved yet",
            Self::Unreadable => "what was approved of its server cannot be read",
        }
    }
}

/// What a server says of itself just now: its tools by name, and its instructions where they are known.
pub type Observed = BTreeMap<Which, Pinned>;

/// Writes down what is seen. Instructions that are not seen are not taken for gone.
pub fn observe(book: &mut Book, observed: &Observed, mode: Mode, now: &str) {
    book.items.retain(|which, item| {
        if *which == Which::Instructions || observed.contains_key(which) {
            return true;
        }
        item.pending = None;
        item.gone.get_or_insert_with(|| now.to_owned());
        item.approved.is_some()
    });
    for (which, pinned) in observed {
        let is_approved = book.items.get(which).is_some_and(|item| item.approved.is_some());
        let is_renamed = !is_approved && book.was(pinned).is_some();
        let item = book.items.entry(which.clone()).or_insert_with(|| Item::new(now));
        item.gone = None;
        let pending = item.pending.take();
        match &item.approved {
            Some(known) if known.pinned == *pinned => {}
            None if mode == Mode::Record && !is_renamed => {
                let (time, by) = (now.to_owned(), FIRST_USE.to_owned());
                item.approved = Some(Approval { pinned: pinned.clone(), time, by });
            }
            Some(_) | None => {
                let same = pending.filter(|(before, _)| before == pinned);
                item.pending = Some(same.unwrap_or_else(|| (pinned.clone(), now.to_owned())));
            }
        }
    }
    book.trim();
}

/// Why a definition is withheld, if it is. `None` for a book stands for one that cannot be read.
pub fn verdict(book: Option<&Book>, which: &Which, pinned: &Pinned, mode: Mode) -> Option<Withheld> {
    if mode == Mode::Record {
        return None;
    }
    let Some(book) = book else { return Some(Withheld::Unreadable) };
    match book.items.get(which).and_then(|item| item.approved.as_ref()) {
        Some(known) if known.pinned == *pinned => None,
        Some(_) => Some(Withheld::Changed),
        None if book.was(pinned).is_some() => Some(Withheld::Renamed),
        None => Some(Withheld::New),
    }
}

/// Why a server's instructions are withheld, if they are.
pub fn instructions_verdict(book: Option<&Book>, text: &str, mode: Mode) -> Option<Withheld> {
    let pinned = Pinned::new(crate::json::Value::string(text.to_owned()));
    verdict(book, &Which::Instructions, &pinned, mode)
}
