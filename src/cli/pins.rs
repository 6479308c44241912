//! `tollgate pins`: what MCP servers say of their tools, what of it was approved, and what changed since. Reads and
//! writes the files of the gateway's data directory, whether it runs or not.

use super::{
    Config, Format, Status,
    print::{self, plural},
};
use crate::{
    clock,
    config::{self, compile, raw},
    json::Value,
    pins::{
        Book, Digest, Item, State, Which, difference,
        difference::Fate,
        disk::{self, Kept},
        hygiene::{self, Finding, Neighbours, shown},
    },
    policy::glob::Glob,
    records::rfc3339,
};
use std::{
    collections::BTreeSet,
    io::{IsTerminal, Write},
    path::PathBuf,
};

/// The options may stand before and after the subcommand's name.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Config,
    /// Only this MCP server
    #[arg(long, short, global = true)]
    server: Option<String>,
    #[arg(long, value_enum, default_value = "text", global = true)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List every definition and how it stands; so does no subcommand at all
    List,
    /// Show what is new or changed, against what was approved; exit status 1 if there is any
    Diff,
    /// Approve what is new or changed: all of it, or what is named
    Approve(Approve),
}

#[derive(Debug, clap::Args)]
struct Approve {
    /// `SERVER__tool`, `SERVER__instructions` or a pattern of these; `NAME@DIGEST` approves that definition and no other
    names: Vec<String>,
    /// Who approves, for the record
    #[arg(long, env = "USER", default_value = NOBODY_NAMED)]
    by: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

const NOBODY_NAMED: &str = "cli";
/// So much of a digest is shown, and at least so much is taken for one.
const DIGEST_SHOWN: usize = 12;
const DIGEST_MIN: usize = 8;

/// The books that there are, and who is beside whom.
struct Shelf {
    data_dir: PathBuf,
    books: Vec<Book>,
    neighbours: BTreeSet<String>,
}

/// One definition.
#[derive(Clone, Copy)]
struct Entry<'s> {
    book: &'s Book,
    which: &'s Which,
    item: &'s Item,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let shelf = match Shelf::open(arguments) {
        Ok(shelf) => shelf,
        Err(message) => return print::failed(&message),
    };
    match &arguments.command {
        None | Some(Command::List) => list(&shelf, arguments.format),
        Some(Command::Diff) => diff(&shelf, arguments.format),
        Some(Command::Approve(approve)) => approved(&shelf, approve, arguments.format),
    }
}

impl Shelf {
    fn open(arguments: &Arguments) -> Result<Self, String> {
        let loaded = print::sound(&arguments.config.config)?;
        let gateway = loaded.gateway.as_ref().ok_or("the configuration does not load")?;
        let is_mcp = |raw: &raw::Upstream| raw.kind.value == raw::UpstreamKind::Mcp;
        let configured = gateway.upstreams.0.iter().filter(|(_, raw)| is_mcp(raw));
        let neighbours: BTreeSet<String> = configured.map(|(name, _)| name.value.clone()).collect();
        let data_dir = compile::records_place(&loaded, &|name| std::env::var(name).ok()).data_dir;
        let known = disk::servers(&data_dir)
            .map_err(|error| format!("{} cannot be read: {error}", disk::directory(&data_dir).display()))?;
        if let Some(server) = &arguments.server
            && !known.contains(server)
            && !neighbours.contains(server)
        {
            let near = config::nearest(server, neighbours.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("there is no MCP server `{server}`{near}"));
        }
        let mut books = Vec::new();
        for server in known.iter().filter(|known| arguments.server.as_ref().is_none_or(|one| one == *known)) {
            match disk::read(&data_dir, server) {
                Kept::Nothing => {}
                Kept::Book(book) => books.push(book),
                Kept::Unreadable(what) => {
                    let path = disk::file(&data_dir, server);
                    return Err(format!(
                        "{}: {what}; mend the file, or remove it and approve its tools anew",
                        path.display()
                    ));
                }
            }
        }
        Ok(Self { data_dir, books, neighbours })
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.books
            .iter()
            .flat_map(|book| book.items.iter().map(move |(which, item)| Entry { book, which, item }))
    }

    fn pending(&self) -> Vec<Entry<'_>> {
        self.entries().filter(|entry| entry.item.pending.is_some()).collect()
    }

    /// What is beside a server.
    fn beside(&self, server: &str) -> Neighbours {
        let servers = self.neighbours.iter().filter(|other| *other != server).cloned().collect();
        let others = self.books.iter().filter(|book| book.server != server);
        let own: BTreeSet<&Which> = self
            .books
            .iter()
            .filter(|book| book.server == server)
            .flat_map(|book| book.items.keys())
            .collect();
        let tools = others.flat_map(|book| book.items.keys()).filter(|which| !own.contains(which));
        let tools = tools.filter_map(|which| match which {
            Which::Tool(name) => Some(name.clone()),
            Which::Instructions => None,
        });
        Neighbours { servers, tools: tools.collect() }
    }

    fn findings(&self, entry: Entry<'_>) -> Vec<Finding> {
        let server = &entry.book.server;
        let latest = entry.item.latest().filter(|_| entry.item.gone.is_none());
        latest.map(|latest| hygiene::inspect(server, &latest.value, &self.beside(server))).unwrap_or_default()
    }
}

impl Entry<'_> {
    fn name(&self) -> String {
        self.which.name(&self.book.server)
    }

    fn state(&self) -> State {
        self.book.state(self.item)
    }

    /// What waits.
    fn digest(&self) -> Option<Digest> {
        self.item.pending.as_ref().map(|(pinned, _)| pinned.digest)
    }

    /// Its state, for people.
    fn stands(&self) -> String {
        match self.state() {
            State::Renamed(from) => format!("renamed, was {from}"),
            state => state.as_str().to_owned(),
        }
    }

    fn to_json(self, findings: &[Finding]) -> Value<'static> {
        let text = |text: &str| Value::string(text.to_owned());
        let (tool, was) = match (self.which, self.state()) {
            (Which::Instructions, _) => (Value::Null, Value::Null),
            (Which::Tool(name), State::Renamed(from)) => (text(name), text(&from)),
            (Which::Tool(name), _) => (text(name), Value::Null),
        };
        let known = self.item.approved.as_ref();
        let of = |pick: &dyn Fn() -> Option<String>| pick().map_or(Value::Null, Value::string);
        Value::object([
            ("server", text(&self.book.server)),
            ("tool", tool),
            ("name", text(&self.name())),
            ("state", text(self.state().as_str())),
            ("renamed_from", was),
            ("sha256", of(&|| Some(self.item.latest()?.digest.to_string()))),
            ("approved_sha256", of(&|| Some(known?.pinned.digest.to_string()))),
            ("first_seen", text(&self.item.first_seen)),
            ("pending_since", of(&|| Some(self.item.pending.as_ref()?.1.clone()))),
            ("gone_since", of(&|| self.item.gone.clone())),
            ("approved", of(&|| Some(known?.time.clone()))),
            ("by", of(&|| Some(known?.by.clone()))),
            ("findings", Value::Array(findings.iter().map(finding_json).collect())),
        ])
    }
}

fn finding_json(finding: &Finding) -> Value<'static> {
    Value::object([
        ("code", Value::string(finding.code)),
        ("at", Value::string(finding.at.clone())),
        ("what", Value::string(finding.what.clone())),
    ])
}

fn list(shelf: &Shelf, format: Format) -> Status {
    match format {
        Format::Json => {
            let pins = shelf.entries().map(|entry| entry.to_json(&shelf.findings(entry))).collect();
            print::line(&Value::object([("pins", Value::Array(pins))]).to_string());
        }
        Format::Text => {
            let head = ["SERVER", "TOOL", "STATE", "FIRST SEEN", "APPROVED", "BY"].map(str::to_owned);
            let mut rows = vec![head.to_vec()];
            for entry in shelf.entries() {
                let tool = match entry.which {
                    Which::Instructions => "(instructions)".to_owned(),
                    Which::Tool(name) => shown(name),
                };
                let known = entry.item.approved.as_ref();
                rows.push(vec![
                    entry.book.server.clone(),
                    tool,
                    shown(&entry.stands()),
                    day(&entry.item.first_seen),
                    known.map_or_else(|| "-".to_owned(), |known| day(&known.time)),
                    known.map_or_else(|| "-".to_owned(), |known| shown(&known.by)),
                ]);
            }
            if rows.len() == 1 {
                return nothing();
            }
            print::text(&print::columns(&rows, 0));
            let told: Vec<String> =
                shelf.entries().map(|entry| findings_text(&entry.name(), &shelf.findings(entry))).collect();
            print::text(&told.concat());
        }
    }
    Status::Fine
}

fn nothing() -> Status {
    print::line(
        "no definition is recorded: they are when a client first lists the tools of a server with `pin: record` or `pin: enforce`",
    );
    Status::Fine
}

/// `2026-11-26 20:11` of a time in a book.
fn day(time: &str) -> String {
    shown(&time.chars().take(16).collect::<String>().replace('T', " "))
}

fn findings_text(name: &str, findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let Finding { code, at, what } = finding;
        format!("warning[{code}]: {}: {}: {}\n", shown(name), shown(at), shown(what))
    };
    findings.iter().map(line).collect()
}

fn diff(shelf: &Shelf, format: Format) -> Status {
    let pending = shelf.pending();
    match format {
        Format::Json => {
            let changes = pending.iter().map(|entry| change_json(shelf, *entry)).collect();
            print::line(&Value::object([("changes", Value::Array(changes))]).to_string());
        }
        Format::Text if pending.is_empty() => print::line("nothing is new or changed"),
        Format::Text => pending.iter().for_each(|entry| print::text(&change_text(shelf, *entry))),
    }
    if pending.is_empty() { Status::Fine } else { Status::Findings }
}

/// What was approved and what waits.
fn both<'e>(entry: Entry<'e>) -> (Option<&'e Value<'static>>, Option<&'e Value<'static>>) {
    let before = match entry.state() {
        // It is held against what it was under its old name.
        State::Renamed(from) => {
            entry.book.items.get(&Which::Tool(from)).and_then(|item| item.approved.as_ref())
        }
        State::Approved | State::Changed | State::Gone | State::New => entry.item.approved.as_ref(),
    };
    (before.map(|known| &known.pinned.value), entry.item.pending.as_ref().map(|(pinned, _)| &pinned.value))
}

fn change_json(shelf: &Shelf, entry: Entry<'_>) -> Value<'static> {
    let (before, after) = both(entry);
    let lines = difference::lines(before, after);
    let lines =
        lines.into_iter().map(|(fate, line)| Value::string(format!("{}{line}", mark(fate)))).collect();
    let mut value = entry.to_json(&shelf.findings(entry));
    value.set("before", before.cloned().unwrap_or_default());
    value.set("after", after.cloned().unwrap_or_default());
    value.set("lines", Value::Array(lines));
    value
}

fn mark(fate: Fate) -> &'static str {
    match fate {
        Fate::Kept => "  ",
        Fate::Went => "- ",
        Fate::Came => "+ ",
    }
}

fn change_text(shelf: &Shelf, entry: Entry<'_>) -> String {
    let colour = print::colour(&std::io::stdout());
    let (before, after) = both(entry);
    let digest: String = entry
        .digest()
        .map(|digest| digest.to_string())
        .unwrap_or_default()
        .chars()
        .take(DIGEST_SHOWN)
        .collect();
    let name = entry.name();
    let mut out = format!("{}@{digest}  {}\n", shown(&name), shown(&entry.stands()));
    for (fate, line) in difference::lines(before, after) {
        let line = format!("  {}{line}", mark(fate));
        out.push_str(&match fate {
            Fate::Kept => line,
            Fate::Went => colour.paint("31", &line),
            Fate::Came => colour.paint("32", &line),
        });
        out.push('\n');
    }
    out.push_str(&findings_text(&name, &shelf.findings(entry)));
    out.push('\n');
    out
}

/// A name of the command line: a pattern, and the digest that it is pinned to.
fn asked(name: &str) -> (Glob, Option<&str>) {
    let is_digest = |text: &str| {
        (DIGEST_MIN..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    };
    match name.rsplit_once('@').filter(|(_, digest)| is_digest(digest)) {
        Some((name, digest)) => (Glob::new(name), Some(digest)),
        None => (Glob::new(name), None),
    }
}

fn approved(shelf: &Shelf, approve: &Approve, format: Format) -> Status {
    let pending = shelf.pending();
    let mut chosen: Vec<Entry<'_>> = Vec::new();
    let mut missed = Vec::new();
    for name in &approve.names {
        let (glob, digest) = asked(name);
        let fits = |entry: &&Entry<'_>| {
            let is_it =
                |digest: &str| entry.digest().is_some_and(|found| found.to_string().starts_with(digest));
            glob.matches(&entry.name()) && digest.is_none_or(is_it)
        };
        let found: Vec<Entry<'_>> = pending.iter().filter(fits).copied().collect();
        if found.is_empty() {
            missed.push(name.as_str());
        }
        let is_new = |entry: &Entry<'_>| !chosen.iter().any(|one| std::ptr::eq(one.item, entry.item));
        let found: Vec<Entry<'_>> = found.into_iter().filter(is_new).collect();
        chosen.extend(found);
    }
    if approve.names.is_empty() {
        chosen = pending;
    }
    if !missed.is_empty() {
        let names: Vec<String> = missed.iter().map(|name| format!("`{}`", shown(name))).collect();
        return print::failed(&format!(
            "nothing that waits is called {}; nothing was approved. `tollgate pins diff` shows what waits",
            names.join(", ")
        ));
    }
    if format == Format::Text {
        if chosen.is_empty() {
            print::line("nothing is new or changed");
            return Status::Fine;
        }
        chosen.iter().for_each(|entry| print::text(&change_text(shelf, *entry)));
        if !approve.yes && std::io::stdin().is_terminal() && !says_yes(chosen.len()) {
            return print::failed("nothing was approved");
        }
    }
    write(shelf, &chosen, approve, format)
}

fn says_yes(count: usize) -> bool {
    let mut stderr = std::io::stderr().lock();
    drop(write!(stderr, "Approve {}? [y/N] ", plural(count, "definition")));
    drop(stderr.flush());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Approves what was shown, unless it is something else by now.
fn write(shelf: &Shelf, chosen: &[Entry<'_>], approve: &Approve, format: Format) -> Status {
    let now = rfc3339(clock::wall());
    let by = if approve.by.trim().is_empty() { NOBODY_NAMED } else { approve.by.as_str() };
    let (mut done, mut stale, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for book in &shelf.books {
        let ours: Vec<&Entry<'_>> = chosen.iter().filter(|entry| std::ptr::eq(entry.book, book)).collect();
        if ours.is_empty() {
            continue;
        }
        let changed = disk::change(&shelf.data_dir, &book.server, |book| {
            ours.into_iter().partition::<Vec<_>, _>(|entry| {
                entry.digest().is_some_and(|seen| book.approve(entry.which, seen, by, &now))
            })
        });
        match changed {
            Ok(((approved, changed), ..)) => {
                done.extend(approved.into_iter().map(Entry::name));
                stale.extend(changed.into_iter().map(Entry::name));
            }
            Err(message) => failed.push(format!("nothing of {} was approved: {message}", book.server)),
        }
    }
    let names = |names: &[String]| Value::Array(names.iter().cloned().map(Value::string).collect());
    match format {
        Format::Json => {
            let came_to = [
                ("approved", names(&done)),
                ("changed", names(&stale)),
                ("by", Value::string(by.to_owned())),
            ];
            print::line(&Value::object(came_to).to_string());
        }
        Format::Text => {
            done.iter().for_each(|name| print::line(&format!("approved {} by {}", shown(name), shown(by))));
        }
    }
    if !stale.is_empty() {
        let stale: Vec<String> = stale.iter().map(|name| shown(name)).collect();
        failed.push(format!(
            "not approved, for it changed while it was looked at: {}; look at `tollgate pins diff` again",
            stale.join(", ")
        ));
    }
    failed.iter().for_each(|message| print::error(message));
    if failed.is_empty() { Status::Fine } else { Status::Findings }
}
