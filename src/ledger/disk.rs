//! The ledger on disk: one SQLite table, one thread that writes it, and readers beside it.

use super::{Charge, Counts, Filter, Gathered, Place, Row, hour};
use crate::{operator, usage::MicroUsd};
use rusqlite::{Connection, OpenFlags, params};
use std::{
    collections::HashMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

const FILE: &str = "usage.sqlite";
/// What came is written together, so often at most.
const WRITE_EVERY: Duration = Duration::from_millis(5);
/// After a write that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// While the disk fails, so many rows are kept for it at most.
const ROWS_MAX: usize = 200_000;
/// So many events may wait for the thread that writes.
const WAITING_MAX: usize = 500_000;
/// About once a minute while it fails.
const WARN_EVERY: u64 = 240;
/// A process that ends waits no longer for the disk.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// The ledger cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; is the disk full, or the file another program's?")]
pub struct ReadError {
    path: String,
    source: rusqlite::Error,
}

/// Where the ledger is.
#[derive(Debug)]
pub struct Options {
    pub data_dir: PathBuf,
    /// Rows are kept for so long.
    pub retain: Duration,
    /// Now, in seconds since 1970, UTC.
    pub now: i64,
    /// The latest present that rows are forgotten by, in the same seconds, whatever the clock says.
    pub removes_until: Arc<AtomicI64>,
}

#[derive(Debug)]
enum Message {
    Charge(Charge),
    /// Everything before it is to be on disk; told when it is, or cannot be.
    Flush(Sender<()>),
}

/// What tenants used.
#[derive(Debug)]
pub struct Ledger {
    messages: Sender<Message>,
    reader: Mutex<Connection>,
    path: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_failing: AtomicBool,
    waiting: AtomicUsize,
    lost: AtomicU64,
}

/// Rows are kept at least as long as the longest window of a budget, a month in any zone: what was spent is read from them.
const BUDGETS: Duration = Duration::from_secs(33 * 86_400);

impl Ledger {
    /// Opens the ledger of a data directory.
    ///
    /// # Errors
    /// When the directory cannot be written, or the file is no ledger.
    pub fn open(options: &Options) -> Result<Self, ReadError> {
        let path = options.data_dir.join(FILE);
        let failed = |source| ReadError { path: path.display().to_string(), source };
        drop(std::fs::create_dir_all(&options.data_dir));
        let writer = connect(&path).map_err(failed)?;
        prepare(&writer).map_err(failed)?;
        let reader = connect(&path).map_err(failed)?;
        let (messages, received) = channel();
        let shared = Arc::<Shared>::default();
        let retain = i64::try_from(options.retain.max(BUDGETS).as_secs()).unwrap_or(i64::MAX);
        let mut book = Book {
            connection: writer,
            gathered: Gathered::default(),
            retain,
            removes_until: Arc::clone(&options.removes_until),
            swept: 0,
            failures: 0,
        };
        book.sweep(options.now);
        let told = Arc::clone(&shared);
        // It ends when the ledger, and with it the sender, is dropped.
        thread::Builder::new()
            .name("ledger".into())
            .spawn(move || write_all(book, &received, &told))
            .map_err(|error| failed(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))?;
        Ok(Self { messages, reader: Mutex::new(reader), path: path.display().to_string(), shared })
    }

    /// Adds an event. Whether it will be in the ledger.
    pub fn add(&self, charge: Charge) -> bool {
        if self.shared.waiting.load(Relaxed) >= WAITING_MAX {
            self.shared.lost.fetch_add(1, Relaxed);
            return false;
        }
        self.shared.waiting.fetch_add(1, Relaxed);
        self.messages.send(Message::Charge(charge)).is_ok()
    }

    /// Whether the last try to write failed.
    pub fn is_failing(&self) -> bool {
        self.shared.is_failing.load(Relaxed)
    }

    /// Events that are in no row, because there was no room for them.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed)
    }

    /// Waits until what was added is on disk, or cannot be brought there: not for a thread that must not wait.
    pub fn flush(&self) {
        let (done, wait) = channel();
        if self.messages.send(Message::Flush(done)).is_ok() {
            let _told_or_late = wait.recv_timeout(FLUSH_MAX);
        }
    }

    /// What a tenant spent since the hour that a time is in. Reads the disk.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn spent(&self, tenant: &str, since: i64) -> Result<MicroUsd, ReadError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = reader
            .prepare_cached(
                "SELECT coalesce(sum(cost_micro_usd), 0) FROM usage WHERE tenant = ?1 AND hour >= ?2",
            )
            .and_then(|mut statement| statement.query_row(params![tenant, hour(since)], |row| row.get(0)));
        let spent: i64 = spent.map_err(|source| self.failed(source))?;
        Ok(MicroUsd(u64::try_from(spent).unwrap_or(0)))
    }

    /// What was used. Reads the disk.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn rows(&self, filter: &Filter) -> Result<Vec<Row>, ReadError> {
        self.flush();
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        rows(&reader, filter).map_err(|source| self.failed(source))
    }

    /// What each tenant used since the hour that a time is in. Reads the disk.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn totals(&self, since: i64) -> Result<HashMap<String, Counts>, ReadError> {
        self.flush();
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = reader
            .prepare_cached(&format!("SELECT tenant, {SUMS} FROM usage WHERE hour >= ?1 GROUP BY tenant"))
            .and_then(|mut statement| {
                let read =
                    statement.query_map(params![hour(since)], |row| Ok((row.get(0)?, counts(row, 1)?)));
                read?.collect()
            });
        totals.map_err(|source| self.failed(source))
    }

    /// What a tenant, or all of them, used in each hour since a time, the oldest first. Reads the disk.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn hours(&self, filter: &Filter) -> Result<Vec<(i64, Counts)>, ReadError> {
        self.flush();
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let since = filter.since.map_or(i64::MIN, hour);
        let hours = reader
            .prepare_cached(&format!(
                "SELECT hour, {SUMS} FROM usage WHERE (?1 IS NULL OR tenant = ?1) AND hour >= ?2
                 GROUP BY hour ORDER BY hour"
            ))
            .and_then(|mut statement| {
                let read = statement
                    .query_map(params![filter.tenant, since], |row| Ok((row.get(0)?, counts(row, 1)?)));
                read?.collect()
            });
        hours.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> ReadError {
        ReadError { path: self.path.clone(), source }
    }
}

/// Reads the ledger of a data directory, which a gateway may write meanwhile. `None` where there is none yet.
///
/// # Errors
/// When it cannot be read.
pub fn read(data_dir: &Path, filter: &Filter) -> Result<Option<Vec<Row>>, ReadError> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let failed = |source| ReadError { path: path.display().to_string(), source };
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
    rows(&connection, filter).map(Some).map_err(failed)
}

/// How many rows the ledger of a data directory that no gateway has holds of a tenant.
///
/// # Errors
/// When it cannot be read.
pub fn count(data_dir: &Path, tenant: &str) -> Result<u64, ReadError> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        return Ok(0);
    }
    let failed = |source| ReadError { path: path.display().to_string(), source };
    let counted = || {
        let connection = Connection::open(&path)?;
        let is_ledger = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'usage'";
        if connection.query_row(is_ledger, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(0);
        }
        let counted = "SELECT count(*) FROM usage WHERE tenant = ?1";
        connection.query_row(counted, [tenant], |row| row.get::<_, i64>(0))
    };
    counted().map(|rows| u64::try_from(rows).unwrap_or(0)).map_err(failed)
}

/// Removes what a tenant used from the ledger of a data directory that no gateway has.
///
/// # Errors
/// When it cannot be written.
pub fn erase(data_dir: &Path, tenant: &str) -> Result<(), ReadError> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        return Ok(());
    }
    let failed = |source| ReadError { path: path.display().to_string(), source };
    let erased = || {
        let connection = Connection::open(&path)?;
        connection.pragma_update(None, "secure_delete", "on")?;
        connection.execute("DELETE FROM usage WHERE tenant = ?1", [tenant])?;
        connection.execute_batch("VACUUM")?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    };
    erased().map_err(failed)
}

/// The counts of several rows, in the order in which [`counts`] reads them.
const SUMS: &str = "sum(requests), sum(input_tokens), sum(output_tokens), sum(cost_micro_usd), sum(denied)";

fn counts(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<Counts> {
    let count = |at: usize| row.get::<_, i64>(from + at).map(|count| u64::try_from(count).unwrap_or(0));
    Ok(Counts {
        requests: count(0)?,
        input_tokens: count(1)?,
        output_tokens: count(2)?,
        cost_micro_usd: count(3)?,
        denied: count(4)?,
    })
}

fn rows(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT tenant, key, model, tool, {SUMS} FROM usage WHERE (?1 IS NULL OR tenant = ?1) AND hour >= ?2
         GROUP BY tenant, key, model, tool ORDER BY tenant, key, model, tool",
    ))?;
    let since = filter.since.map_or(i64::MIN, hour);
    let read = statement.query_map(params![filter.tenant, since], |row| {
        let name =
            |at: usize| row.get::<_, String>(at).map(|name| Some(name).filter(|name| !name.is_empty()));
        Ok(Row {
            tenant: row.get(0)?,
            key: row.get(1)?,
            model: name(2)?,
            tool: name(3)?,
            counts: counts(row, 4)?,
        })
    })?;
    read.collect()
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // Its companions take their mode from it.
    drop(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)));
    connection.busy_timeout(Duration::from_secs(2))?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS usage (
            tenant TEXT NOT NULL, hour INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL, tool TEXT NOT NULL,
            requests INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
            cost_micro_usd INTEGER NOT NULL, denied INTEGER NOT NULL,
            PRIMARY KEY (tenant, hour, key, model, tool)
        ) WITHOUT ROWID;",
    )
}

/// What the thread that writes has.
struct Book {
    connection: Connection,
    gathered: Gathered,
    retain: i64,
    removes_until: Arc<AtomicI64>,
    /// The last day on which old rows were forgotten.
    swept: i64,
    failures: u64,
}

impl Book {
    /// Forgets rows that are older than records are kept, once a day.
    fn sweep(&mut self, now: i64) {
        let now = now.min(self.removes_until.load(Relaxed));
        let day = now.div_euclid(86_400);
        let before = now.saturating_sub(self.retain);
        let forget = "DELETE FROM usage WHERE hour < ?1";
        if day > self.swept && self.connection.execute(forget, [before]).is_ok() {
            self.swept = day;
        }
    }

    fn write(&mut self) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (tenant, hour, key, model, tool) DO UPDATE SET
                    requests = requests + excluded.requests,
                    input_tokens = input_tokens + excluded.input_tokens,
                    output_tokens = output_tokens + excluded.output_tokens,
                    cost_micro_usd = cost_micro_usd + excluded.cost_micro_usd,
                    denied = denied + excluded.denied",
            )?;
            let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            for (Place { tenant, hour, key, model, tool }, counts) in &self.gathered.rows {
                statement.execute(params![
                    &**tenant,
                    hour,
                    &**key,
                    &**model,
                    &**tool,
                    whole(counts.requests),
                    whole(counts.input_tokens),
                    whole(counts.output_tokens),
                    whole(counts.cost_micro_usd),
                    whole(counts.denied),
                ])?;
            }
        }
        transaction.commit()?;
        self.gathered.rows.clear();
        Ok(())
    }
}

fn write_all(mut book: Book, messages: &Receiver<Message>, shared: &Shared) {
    loop {
        let first = if book.gathered.rows.is_empty() {
            messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            messages.recv_timeout(TRY_AGAIN_AFTER)
        };
        let mut waiting = Vec::new();
        match first {
            Ok(first) => {
                if matches!(first, Message::Charge(_)) {
                    thread::sleep(WRITE_EVERY);
                }
                for message in std::iter::once(first).chain(messages.try_iter()) {
                    match message {
                        Message::Flush(done) => waiting.push(done),
                        Message::Charge(charge) => take(&mut book, charge, shared),
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                drop(book.write());
                return;
            }
        }
        if !book.gathered.rows.is_empty() {
            let newest = book.gathered.hour;
            let written = book.write();
            shared.is_failing.store(written.is_err(), Relaxed);
            match written {
                Ok(()) => {
                    book.failures = 0;
                    book.sweep(newest);
                }
                Err(error) => {
                    if book.failures.is_multiple_of(WARN_EVERY) {
                        operator::warn(&format!("{FILE} cannot be written: {error}; it is tried again"));
                    }
                    book.failures += 1;
                }
            }
        }
        for done in waiting {
            let _nobody_waits = done.send(());
        }
    }
}

fn take(book: &mut Book, charge: Charge, shared: &Shared) {
    shared.waiting.fetch_sub(1, Relaxed);
    if book.gathered.rows.len() < ROWS_MAX {
        book.gathered.add(charge);
    } else {
        shared.lost.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, now: i64) -> Ledger {
        let retain = Duration::from_secs(400 * 86_400);
        let removes_until = Arc::new(AtomicI64::new(i64::MAX));
        Ledger::open(&Options { data_dir: dir.to_owned(), retain, now, removes_until }).unwrap()
    }

    fn charge(tenant: &str, time: i64, cost: u64) -> Charge {
        let counts =
            Counts { requests: 1, input_tokens: 10, output_tokens: 2, cost_micro_usd: cost, denied: 0 };
        let (key, model) = ("prod".into(), Some("gpt-5".into()));
        Charge { tenant: tenant.into(), key, model, tool: None, time, counts }
    }

    #[test]
    fn a_clock_that_jumps_forgets_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let day = 86_400;
        let (retain, until) = (Duration::from_secs(400 * 86_400), Arc::new(AtomicI64::new(1000 * day)));
        let open = |now| {
            let removes_until = Arc::clone(&until);
            Ledger::open(&Options { data_dir: dir.path().to_owned(), retain, now, removes_until }).unwrap()
        };
        // Opened with such a clock, and writing with it.
        for now in [1000, 2100, 2101] {
            let ledger = open(now * day);
            assert!(ledger.add(charge("acme", now * day, 5)));
            ledger.flush();
        }
        assert_eq!(open(2102 * day).spent("acme", 0).unwrap(), MicroUsd(15));
        until.store(2102 * day, Relaxed);
        assert_eq!(open(2102 * day).spent("acme", 0).unwrap(), MicroUsd(10));
    }

    #[test]
    fn what_a_budget_is_read_from_stays_for_as_long_as_its_window() {
        let dir = tempfile::tempdir().unwrap();
        let day = 86_400;
        let open = |now| {
            let removes_until = Arc::new(AtomicI64::new(i64::MAX));
            let options =
                Options { data_dir: dir.path().to_owned(), retain: Duration::ZERO, now, removes_until };
            Ledger::open(&options).unwrap()
        };
        let ledger = open(1000 * day);
        for days in [0, 31, 40] {
            ledger.add(charge("acme", (1000 - days) * day, 5));
        }
        ledger.flush();
        drop(ledger);
        assert_eq!(open(1000 * day).spent("acme", 0).unwrap(), MicroUsd(10));
    }

    #[test]
    fn what_was_added_is_there_after_a_restart_and_for_others() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path(), &Filter::default()).unwrap(), None);
        let ledger = open(dir.path(), 1_000_000);
        for time in [7200, 7300, 10_800, 1_000_000] {
            assert!(ledger.add(charge("acme", time, 5)));
        }
        ledger.add(charge("globex", 7200, 7));
        let acme = Filter { tenant: Some("acme".into()), since: None };
        let rows = ledger.rows(&acme).unwrap();
        let counts =
            Counts { requests: 4, input_tokens: 40, output_tokens: 8, cost_micro_usd: 20, denied: 0 };
        assert_eq!((rows.len(), rows[0].counts, rows[0].tool.as_deref()), (1, counts, None));
        assert_eq!(read(dir.path(), &acme).unwrap().unwrap(), rows);
        drop(ledger);
        let ledger = open(dir.path(), 1_000_001);
        assert_eq!(ledger.spent("acme", 0).unwrap(), MicroUsd(20));
        assert_eq!(ledger.spent("acme", 10_800 + 1).unwrap(), MicroUsd(10));
        assert_eq!(ledger.spent("nobody", 0).unwrap(), MicroUsd(0));
        assert_eq!(ledger.rows(&Filter { tenant: None, since: Some(10_800) }).unwrap().len(), 1);
        let totals = ledger.totals(0).unwrap();
        assert_eq!((totals["acme"], totals["globex"].cost_micro_usd, totals.len()), (counts, 7, 2));
        assert_eq!(ledger.totals(1_000_000).unwrap()["acme"].requests, 1);
        let hours = |filter: &Filter| {
            let hours = ledger.hours(filter).unwrap();
            hours.iter().map(|(hour, counts)| (*hour, counts.cost_micro_usd)).collect::<Vec<_>>()
        };
        assert_eq!(hours(&acme), [(7200, 10), (10_800, 5), (997_200, 5)]);
        assert_eq!(
            hours(&Filter { tenant: None, since: Some(10_000) }),
            [(7200, 17), (10_800, 5), (997_200, 5)]
        );
    }

    #[test]
    fn a_ledger_that_cannot_be_written_says_so_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path(), 0);
        let other = connect(&dir.path().join(FILE)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        ledger.add(charge("acme", 7200, 5));
        let began = crate::clock::now();
        while !ledger.is_failing() {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody said so");
            thread::sleep(Duration::from_millis(10));
        }
        other.execute_batch("ROLLBACK").unwrap();
        while ledger.is_failing() {
            assert!(began.elapsed() < Duration::from_secs(20), "it stays failing");
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(ledger.spent("acme", 0).unwrap(), MicroUsd(5));
    }

    #[test]
    fn old_rows_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path(), 0);
        ledger.add(charge("acme", 7200, 5));
        ledger.flush();
        drop(ledger);
        let ledger = open(dir.path(), 401 * 86_400);
        assert!(ledger.rows(&Filter::default()).unwrap().is_empty());
    }
}
