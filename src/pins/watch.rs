//! A server's pins in a gateway that runs: each list is held against the book, what is new is written down, what is
//! withheld is taken out, and the operator is told once of each change.

use super::{
    Book, Digest, Mode, Observed, Pinned, State, Which, Withheld,
    disk::{self, Kept, Stamp},
    hygiene::{self, Neighbours},
    instructions_verdict, observe, verdict,
};
use crate::{
    clock,
    json::{self, Value},
    mcp::list::{Definition, Definitions, Kind},
    operator,
    records::rfc3339,
};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Watches one server.
#[derive(Debug)]
pub struct Watch {
    server: String,
    mode: Mode,
    /// A digest of where the server is.
    address: String,
    data_dir: PathBuf,
    neighbours: Neighbours,
    /// Held while the disk is waited for.
    state: Mutex<Standing>,
    shown: Mutex<Shown>,
}

/// What others ask for, as of the last list.
#[derive(Debug, Default)]
struct Shown {
    book: Option<Book>,
    counts: Counts,
}

/// How the last list stood.
#[derive(Debug, Default)]
struct Standing {
    /// The bytes that were listed, how the file was, and what came of it.
    last: Option<(Digest, Option<Stamp>)>,
    withheld: HashMap<Box<str>, Withheld>,
    told: Told,
}

/// How many definitions there are, by state.
pub type Counts = BTreeMap<&'static str, u64>;

/// What the operator was told last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Told {
    trouble: Option<String>,
    pending: BTreeMap<Which, Digest>,
    suspicious: BTreeMap<Which, Digest>,
}

impl Watch {
    /// Pins of a server that is at this address, or started by this command. Touches no disk yet.
    pub fn new(server: &str, mode: Mode, address: &str, data_dir: PathBuf, neighbours: Neighbours) -> Self {
        let address = Digest::of("tollgate/pin/address/1", address.as_bytes()).to_string();
        let (state, shown) = (Mutex::default(), Mutex::default());
        Self { server: server.to_owned(), mode, address, data_dir, neighbours, state, shown }
    }

    /// Takes out of a list what is not to be served. Waits for the disk.
    pub fn decide(&self, tools: &mut Definitions, instructions: Option<&str>) {
        let mut state = lock(&self.state);
        let mut listed = Vec::new();
        for tool in tools.iter() {
            tool.write_as(Kind::Tools, &tool.name, &mut listed);
        }
        if let Some(text) = instructions {
            listed.push(b'\n');
            listed.extend_from_slice(text.as_bytes());
        }
        let listed = Digest::of("tollgate/pin/list/1", &listed);
        if state.last != Some((listed, disk::stamp(&self.data_dir, &self.server))) {
            state.last = self.look(tools, instructions, &mut state).map(|stamp| (listed, stamp));
        }
        tools.withhold(|name| state.withheld.get(name).map(|why| why.as_str()));
    }

    /// Whether a server's instructions may be shown to clients, by what was approved when its tools were last listed.
    pub fn shows_instructions(&self, text: &str) -> bool {
        instructions_verdict(lock(&self.shown).book.as_ref(), text, self.mode).is_none()
    }

    /// How many definitions there are by state, as of the last list.
    pub fn counts(&self) -> Counts {
        lock(&self.shown).counts.clone()
    }

    /// How the file was that this list was held against; nothing where it has to be held against it again.
    fn look(
        &self,
        tools: &Definitions,
        instructions: Option<&str>,
        state: &mut Standing,
    ) -> Option<Option<Stamp>> {
        let mut observed: Observed = tools.iter().filter_map(pinned).collect();
        if let Some(text) = instructions {
            observed.insert(Which::Instructions, Pinned::new(Value::string(text.to_owned())));
        }
        let now = rfc3339(clock::wall());
        let mut moved = false;
        let mut note = |book: &mut Book| {
            moved = !book.address.is_empty() && book.address != self.address;
            book.address.clone_from(&self.address);
            observe(book, &observed, self.mode, &now);
        };
        let (book, stamp, trouble) = match disk::change(&self.data_dir, &self.server, &mut note) {
            Ok(((), book, stamp)) => (Some(book), Some(stamp), None),
            // It cannot be written. What was approved may still be there to read.
            Err(what) => {
                let kept = match disk::read(&self.data_dir, &self.server) {
                    Kept::Book(book) => Some(book),
                    Kept::Nothing => Some(Book::default()),
                    Kept::Unreadable(_) => None,
                };
                let book = kept.map(|mut book| {
                    note(&mut book);
                    book
                });
                (book, None, Some(what))
            }
        };
        let judged = |which: &Which, pinned: &Pinned| verdict(book.as_ref(), which, pinned, self.mode);
        state.withheld = observed
            .iter()
            .filter_map(|(which, pinned)| match which {
                Which::Tool(name) => Some((name.as_str().into(), judged(which, pinned)?)),
                Which::Instructions => None,
            })
            .collect();
        // A tool that could not be read again is not known to be any that was approved.
        if self.mode == Mode::Enforce {
            let known = |tool: &&Definition| !observed.contains_key(&Which::Tool(tool.name.to_string()));
            state
                .withheld
                .extend(tools.iter().filter(known).map(|tool| (tool.name.clone(), Withheld::Unreadable)));
        }
        let told = self.told(book.as_ref(), trouble);
        self.tell(&told, &state.told, book.as_ref(), moved);
        state.told = told;
        *lock(&self.shown) = Shown { counts: book.as_ref().map(counts).unwrap_or_default(), book };
        stamp
    }

    fn told(&self, book: Option<&Book>, trouble: Option<String>) -> Told {
        let mut told = Told { trouble, ..Told::default() };
        for (which, item) in book.into_iter().flat_map(|book| &book.items) {
            if let Some((pinned, _)) = &item.pending {
                told.pending.insert(which.clone(), pinned.digest);
            }
            let trusted = item.pending.is_none()
                && item.approved.as_ref().is_some_and(|known| known.by != super::book::FIRST_USE);
            let Some(latest) = item.latest().filter(|_| !trusted && item.gone.is_none()) else { continue };
            if !hygiene::inspect(&self.server, &latest.value, &self.neighbours).is_empty() {
                told.suspicious.insert(which.clone(), latest.digest);
            }
        }
        told
    }

    /// Tells what is news. Never in the server's words.
    fn tell(&self, now: &Told, before: &Told, book: Option<&Book>, moved: bool) {
        let server = &self.server;
        let news = |now: &BTreeMap<Which, Digest>, before: &BTreeMap<Which, Digest>| -> Vec<Which> {
            let is_new = |(which, digest): &(&Which, &Digest)| before.get(*which) != Some(*digest);
            now.iter().filter(is_new).map(|(which, _)| which.clone()).collect()
        };
        if let Some(trouble) = now.trouble.as_ref().filter(|_| now.trouble != before.trouble) {
            let (what, then) = match (book.is_some(), self.mode) {
                (true, _) => ("written", "what is new or changed is not recorded"),
                (false, Mode::Enforce) => ("read", "all its tools are withheld"),
                (false, Mode::Record) => ("read", "its tools are served unwatched"),
            };
            operator::warn(&format!(
                "the pins of the MCP server {server} cannot be {what}, {then} ({trouble}); mend the file or remove it, \
                 and approve anew with `tollgate pins approve --server {server}`"
            ));
        }
        if moved {
            operator::warn(&format!(
                "the address of the MCP server {server} changed since its tools were pinned"
            ));
        }
        let state = |which: &Which| Some(book?.state(book?.items.get(which)?));
        let (fresh, changed): (Vec<Which>, Vec<Which>) = news(&now.pending, &before.pending)
            .into_iter()
            .partition(|which| state(which) == Some(State::New));
        let (end, help) = match self.mode {
            Mode::Enforce => ("withheld", ", `approve` lets them through"),
            Mode::Record => ("served all the same", ""),
        };
        for (which, what) in
            [(fresh, "that are not approved yet"), (changed, "that changed since they were approved")]
        {
            if !which.is_empty() {
                let count = which.len();
                operator::warn(&format!(
                    "definitions of the MCP server {server} {what}: {count}; they are {end}; \
                     `tollgate pins diff --server {server}` shows them{help}"
                ));
            }
        }
        let suspicious = news(&now.suspicious, &before.suspicious).len();
        if suspicious > 0 {
            operator::warn(&format!(
                "definitions of the MCP server {server} that hide something or speak to the model: {suspicious}; \
                 `tollgate pins list --server {server}` says what"
            ));
        }
    }
}

/// Whoever panicked while holding one of these left it as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A tool as its server described it.
fn pinned(tool: &Definition) -> Option<(Which, Pinned)> {
    let mut text = Vec::new();
    tool.write_as(Kind::Tools, &tool.name, &mut text);
    let definition = json::parse(&text, json::NESTING_MAX).ok()?.into_owned();
    Some((Which::Tool(tool.name.to_string()), Pinned::new(definition)))
}

fn counts(book: &Book) -> Counts {
    let mut counts: Counts = ["approved", "changed", "gone", "new", "renamed"].map(|state| (state, 0)).into();
    for item in book.items.values() {
        *counts.entry(book.state(item).as_str()).or_default() += 1;
    }
    counts
}
