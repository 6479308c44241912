//! The shelf on disk: one SQLite table, one thread that writes it, and what is on the way there in memory.

use super::{
    ID_BYTES_MAX, KEPT_FOR_S, Noted, Stored, What, calls, read_denied, read_offered, write_denied,
    write_offered,
};
use crate::operator;
use dashmap::DashMap;
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

const FILE: &str = "stored.sqlite";
/// So many entries may be on their way to disk; more are not taken, and their ids are unknown later.
const PENDING_MAX: usize = 100_000;
/// What came is written together, so often at most.
const WRITE_EVERY: Duration = Duration::from_millis(50);

/// Its columns by their names: a later version may have more.
const PUT: &str = "INSERT OR REPLACE INTO stored
    (tenant, id, upstream, model, time, denied, what, offered, tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
/// A process that ends waits no longer for the disk.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// The disk does not take it.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be opened: {source}; is the disk full, or the file another program's?")]
pub struct OpenError {
    path: String,
    source: rusqlite::Error,
}

type Key = (Arc<str>, String);

/// What providers keep, by tenant and id.
#[derive(Debug)]
pub struct Shelf {
    /// Written and not on disk yet; `None` for what was forgotten.
    pending: Arc<DashMap<Key, Option<Stored>>>,
    changes: Sender<Message>,
    reader: Mutex<Connection>,
}

#[derive(Debug)]
enum Message {
    Change(Change),
    Noted(Noted),
    /// Everything before it is to be on disk; told when it is.
    Flush(Sender<()>),
}

#[derive(Debug)]
struct Change {
    key: Key,
    stored: Option<Stored>,
    /// Seconds since 1970.
    now: i64,
}

impl Shelf {
    /// Opens the shelf of a data directory; `now` in seconds since 1970, UTC.
    ///
    /// # Errors
    /// When the directory cannot be written, or the file is not a shelf.
    pub fn open(data_dir: &Path, now: i64) -> Result<Self, OpenError> {
        let path = data_dir.join(FILE);
        let failed = |source| OpenError { path: path.display().to_string(), source };
        drop(std::fs::create_dir_all(data_dir));
        let mut writer = connect(&path).map_err(failed)?;
        prepare(&mut writer, now).map_err(failed)?;
        let reader = connect(&path).map_err(failed)?;
        let pending: Arc<DashMap<Key, Option<Stored>>> = Arc::default();
        let (changes, received) = channel();
        let shared = Arc::clone(&pending);
        // It ends when the shelf, and with it the sender, is dropped.
        thread::Builder::new()
            .name("stored".into())
            .spawn(move || write_all(writer, &received, &shared))
            .map_err(|error| failed(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))?;
        Ok(Self { pending, changes, reader: Mutex::new(reader) })
    }

    /// Keeps an entry, found from now on.
    pub fn keep(&self, tenant: Arc<str>, id: &str, stored: Stored, now: i64) {
        if id.is_empty() || id.len() > ID_BYTES_MAX || self.pending.len() >= PENDING_MAX {
            return;
        }
        self.change((tenant, id.to_owned()), Some(stored), now);
    }

    /// Forgets an entry.
    pub fn forget(&self, tenant: Arc<str>, id: &str, now: i64) {
        self.change((tenant, id.to_owned()), None, now);
    }

    fn change(&self, key: Key, stored: Option<Stored>, now: i64) {
        self.pending.insert(key.clone(), stored.clone());
        drop(self.changes.send(Message::Change(Change { key, stored, now })));
    }

    /// Writes down what became of a call.
    pub fn note(&self, noted: Noted) {
        drop(self.changes.send(Message::Noted(noted)));
    }

    /// What was written down of calls, the oldest first. Reads the disk.
    pub fn noted(&self, now: i64) -> Vec<Noted> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        calls::read(&reader, now).unwrap_or_else(|error| {
            operator::warn(&format!(
                "{FILE} cannot be read: {error}; results of calls that were denied before may pass"
            ));
            Vec::new()
        })
    }

    /// Waits until what was kept is on disk, or cannot be brought there. For the end of a process.
    pub fn flush(&self) {
        let (done, wait) = channel();
        if self.changes.send(Message::Flush(done)).is_ok() {
            let _told_or_late = wait.recv_timeout(FLUSH_MAX);
        }
    }

    /// A tenant's entry of this id. Reads the disk: not for a thread that must not wait.
    pub fn find(&self, tenant: &Arc<str>, id: &str, now: i64) -> Option<Stored> {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return None;
        }
        if let Some(pending) = self.pending.get(&(Arc::clone(tenant), id.to_owned())) {
            return pending.value().clone();
        }
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let row = reader
            .prepare_cached(
                "SELECT what, upstream, model, denied, offered, tokens FROM stored WHERE tenant = ?1 AND id = ?2 AND time > ?3",
            )
            .and_then(|mut statement| {
                let since = now.saturating_sub(KEPT_FOR_S);
                let columns = |row: &rusqlite::Row<'_>| {
                    let text = |column| row.get::<_, String>(column);
                    Ok((text(0)?, text(1)?, text(2)?, text(3)?, text(4)?, row.get::<_, i64>(5)?))
                };
                statement.query_row(params![&**tenant, id, since], columns).optional()
            });
        match row {
            Ok(row) => {
                let (what, upstream, model, denied, offered, tokens) = row?;
                let (denied, offered) = (read_denied(&denied)?, read_offered(&offered)?);
                let (what, upstream, tokens) =
                    (What::named(&what)?, upstream.into(), u64::try_from(tokens).unwrap_or(0));
                Some(Stored { what, upstream, model, denied, offered, tokens })
            }
            Err(error) => {
                operator::warn(&format!(
                    "{FILE} cannot be read: {error}; a stored answer is taken for unknown"
                ));
                None
            }
        }
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // Its companions take their mode from it.
    drop(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)));
    connection.busy_timeout(Duration::from_secs(2))?;
    Ok(connection)
}

/// How much of a tenant is on the shelf of a data directory that no gateway uses.
///
/// # Errors
/// When the file is there and no shelf.
pub fn count(data_dir: &Path, tenant: &str) -> Result<u64, OpenError> {
    of_stopped(data_dir, |connection| {
        calls::create(connection)?;
        let counted = "SELECT (SELECT count(*) FROM stored WHERE tenant = ?1) + (SELECT count(*) FROM calls WHERE tenant = ?1)";
        connection.query_row(counted, [tenant], |row| row.get::<_, i64>(0))
    })
}

/// Takes all of a tenant's off the shelf of a data directory that no gateway uses, and leaves no trace in the file.
/// Says how much it was.
///
/// # Errors
/// When the file is there and no shelf, or cannot be written.
pub fn erase(data_dir: &Path, tenant: &str) -> Result<u64, OpenError> {
    of_stopped(data_dir, |connection| {
        connection.pragma_update(None, "secure_delete", "on")?;
        calls::create(connection)?;
        let erased = connection.execute("DELETE FROM stored WHERE tenant = ?1", [tenant])?
            + connection.execute("DELETE FROM calls WHERE tenant = ?1", [tenant])?;
        connection.execute_batch("VACUUM")?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(i64::try_from(erased).unwrap_or(i64::MAX))
    })
}

fn of_stopped(
    data_dir: &Path,
    work: impl FnOnce(&Connection) -> rusqlite::Result<i64>,
) -> Result<u64, OpenError> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        return Ok(0);
    }
    let failed = |source| OpenError { path: path.display().to_string(), source };
    let counted = connect(&path).and_then(|connection| work(&connection)).map_err(failed)?;
    Ok(u64::try_from(counted).unwrap_or(0))
}

fn prepare(connection: &mut Connection, now: i64) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS stored (
            tenant TEXT NOT NULL, id TEXT NOT NULL, upstream TEXT NOT NULL, model TEXT NOT NULL,
            time INTEGER NOT NULL, denied TEXT NOT NULL, what TEXT NOT NULL, offered TEXT NOT NULL,
            tokens INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (tenant, id)
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS stored_by_time ON stored (time);",
    )?;
    calls::create(connection)?;
    // Written before items and answers were told apart, before offers were kept, and before tokens were.
    let columns = [
        ("what", "TEXT NOT NULL DEFAULT 'answer'"),
        ("offered", "TEXT NOT NULL DEFAULT '[]'"),
        ("tokens", "INTEGER NOT NULL DEFAULT 0"),
    ];
    for (column, form) in columns {
        let is_there = "SELECT count(*) FROM pragma_table_info('stored') WHERE name = ?1";
        if connection.query_row(is_there, [column], |row| row.get::<_, i64>(0))? == 0 {
            connection.execute_batch(&format!("ALTER TABLE stored ADD COLUMN {column} {form}"))?;
        }
    }
    sweep(connection, now)
}

/// Forgets what providers have forgotten too.
fn sweep(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM stored WHERE time <= ?1", [now.saturating_sub(KEPT_FOR_S)])?;
    calls::sweep(connection, now)
}

fn write_all(
    mut connection: Connection,
    messages: &Receiver<Message>,
    pending: &DashMap<Key, Option<Stored>>,
) {
    let mut swept = 0;
    while let Ok(first) = messages.recv() {
        if !matches!(first, Message::Flush(_)) {
            thread::sleep(WRITE_EVERY);
        }
        let (mut batch, mut noted, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for message in std::iter::once(first).chain(messages.try_iter()) {
            match message {
                Message::Change(change) => batch.push(change),
                Message::Noted(one) => noted.push(one),
                Message::Flush(done) => waiting.push(done),
            }
        }
        write_batch(&mut connection, (&batch, &noted), pending, &mut swept);
        for done in waiting {
            let _nobody_waits = done.send(());
        }
    }
}

fn write_batch(
    connection: &mut Connection,
    (batch, noted): (&[Change], &[Noted]),
    pending: &DashMap<Key, Option<Stored>>,
    swept: &mut i64,
) {
    if let Err(error) = write(connection, batch, noted) {
        operator::warn(&format!("{FILE} cannot be written: {error}; stored answers will be unknown later"));
        // They stay in memory, as far as there is room.
        return;
    }
    for change in batch {
        // Only what was written: it may have changed since.
        pending.remove_if(&change.key, |_, stored| *stored == change.stored);
    }
    let last = batch.last().map(|change| change.now).max(noted.last().map(|noted| noted.time));
    let Some(now) = last else { return };
    let day = now.div_euclid(86_400);
    if day != *swept && sweep(connection, now).is_ok() {
        *swept = day;
    }
}

fn write(connection: &mut Connection, batch: &[Change], noted: &[Noted]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    noted.iter().try_for_each(|noted| calls::write(&transaction, noted))?;
    for Change { key: (tenant, id), stored, now } in batch {
        match stored {
            Some(stored) => transaction.prepare_cached(PUT)?.execute(params![
                &**tenant,
                id,
                &*stored.upstream,
                stored.model,
                if stored.what.lasts() { i64::MAX } else { *now },
                write_denied(&stored.denied),
                stored.what.as_str(),
                write_offered(&stored.offered),
                i64::try_from(stored.tokens).unwrap_or(i64::MAX)
            ])?,
            None => transaction
                .prepare_cached("DELETE FROM stored WHERE tenant = ?1 AND id = ?2")?
                .execute(params![&**tenant, id])?,
        };
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        denials::{Fate, TENANT_MAX},
        dialect::DeniedCall,
    };

    fn stored(upstream: &str) -> Stored {
        let denied = DeniedCall {
            call_id: "call_1".into(),
            tool: "delete".into(),
            kind: "function_call".into(),
            notice: "[no \"really\"]".into(),
            open: true,
        };
        Stored {
            what: What::Unfinished,
            upstream: upstream.into(),
            model: "gpt-5".into(),
            denied: vec![denied],
            offered: vec!["builtin__web_search".into()],
            tokens: 1234,
        }
    }

    #[test]
    fn what_is_told_is_read_again() {
        assert_eq!(Stored::read(&stored("openai").to_text()), Some(stored("openai")));
        assert_eq!(Stored::read("[]"), None);
        let of_before = stored("openai").to_text().replace(",\"1234\"]", "]");
        assert_eq!(Stored::read(&of_before), Some(Stored { tokens: 0, ..stored("openai") }));
    }

    fn written(shelf: &Shelf) {
        shelf.flush();
        assert!(shelf.pending.is_empty());
    }

    #[test]
    fn an_entry_is_its_tenants_alone_in_memory_and_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let (acme, globex): (Arc<str>, Arc<str>) = ("acme".into(), "globex".into());
        let shelf = Shelf::open(directory.path(), 1000).unwrap();
        shelf.keep(Arc::clone(&acme), "resp_1", stored("openai"), 1000);
        for _ in 0..2 {
            assert_eq!(shelf.find(&acme, "resp_1", 1001), Some(stored("openai")));
            assert_eq!(shelf.find(&globex, "resp_1", 1001), None);
            assert_eq!(shelf.find(&acme, "resp_2", 1001), None);
            written(&shelf);
        }
        drop(shelf);
        let shelf = Shelf::open(directory.path(), 1002).unwrap();
        assert_eq!(shelf.find(&acme, "resp_1", 1002), Some(stored("openai")));
        shelf.forget(Arc::clone(&acme), "resp_1", 1003);
        for _ in 0..2 {
            assert_eq!(shelf.find(&acme, "resp_1", 1003), None);
            written(&shelf);
        }
    }

    #[test]
    fn what_an_older_version_wrote_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let older = connect(&directory.path().join(FILE)).unwrap();
        older
            .execute_batch(
                "CREATE TABLE stored (tenant TEXT NOT NULL, id TEXT NOT NULL, upstream TEXT NOT NULL,
                    model TEXT NOT NULL, time INTEGER NOT NULL, denied TEXT NOT NULL,
                    PRIMARY KEY (tenant, id)) WITHOUT ROWID;
                INSERT INTO stored VALUES ('acme', 'resp_1', 'openai', 'gpt-5', 1000, '[]');",
            )
            .unwrap();
        drop(older);
        let shelf = Shelf::open(directory.path(), 1001).unwrap();
        let acme: Arc<str> = "acme".into();
        let older = shelf.find(&acme, "resp_1", 1001).unwrap();
        assert_eq!((older.what, older.offered.len(), older.tokens), (What::Answer, 0, 0));
        shelf.keep(Arc::clone(&acme), "resp_2", stored("openai"), 1001);
        written(&shelf);
        assert_eq!(shelf.find(&acme, "resp_2", 1001), Some(stored("openai")));
    }

    #[test]
    fn what_was_written_before_tokens_were_kept_is_read_and_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let older = connect(&directory.path().join(FILE)).unwrap();
        older
            .execute_batch(
                "CREATE TABLE stored (tenant TEXT NOT NULL, id TEXT NOT NULL, upstream TEXT NOT NULL, model TEXT NOT NULL,
                    time INTEGER NOT NULL, denied TEXT NOT NULL, what TEXT NOT NULL, offered TEXT NOT NULL,
                    PRIMARY KEY (tenant, id)) WITHOUT ROWID;
                INSERT INTO stored VALUES ('acme', 'resp_1', 'openai', 'gpt-5', 1000, '[]', 'answer', '[\"x\"]');",
            )
            .unwrap();
        drop(older);
        let acme: Arc<str> = "acme".into();
        for _ in 0..2 {
            let shelf = Shelf::open(directory.path(), 1001).unwrap();
            let found = shelf.find(&acme, "resp_1", 1001).unwrap();
            assert_eq!((found.tokens, found.offered), (0, vec!["x".to_owned()]));
            let kept = Stored { tokens: u64::MAX, ..stored("openai") };
            shelf.keep(Arc::clone(&acme), "resp_2", kept, 1001);
            written(&shelf);
            let most = u64::try_from(i64::MAX).unwrap();
            assert_eq!(shelf.find(&acme, "resp_2", 1001), Some(Stored { tokens: most, ..stored("openai") }));
        }
    }

    #[test]
    fn what_became_of_calls_is_known_again_for_thirty_days() {
        let directory = tempfile::tempdir().unwrap();
        let noted = |tenant: &str, mark: u8, fate, time| Noted {
            tenant: tenant.into(),
            mark: [mark; 16],
            fate,
            time,
        };
        let (first, second) = (noted("acme", 1, Fate::Denied, 1000), noted("globex", 1, Fate::Left, 1001));
        let shelf = Shelf::open(directory.path(), 0).unwrap();
        shelf.note(second.clone());
        shelf.note(first.clone());
        written(&shelf);
        assert_eq!(shelf.noted(1002), [first, second.clone()]);
        let renewed = noted("acme", 1, Fate::Left, 1003);
        shelf.note(renewed.clone());
        written(&shelf);
        drop(shelf);
        let shelf = Shelf::open(directory.path(), 1004).unwrap();
        assert_eq!(shelf.noted(1004), [second.clone(), renewed.clone()]);
        assert_eq!(shelf.noted(1001 + KEPT_FOR_S), [renewed]);
        drop(shelf);
        assert_eq!(
            (count(directory.path(), "acme").unwrap(), erase(directory.path(), "acme").unwrap()),
            (1, 1)
        );
        assert_eq!(Shelf::open(directory.path(), 1004).unwrap().noted(1004), [second]);
    }

    #[test]
    fn of_a_tenants_calls_no_more_is_kept_than_is_in_memory() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path(), 0).unwrap();
        let most = i64::try_from(TENANT_MAX).unwrap();
        for time in 1..=most + 7 {
            let mut mark = [0; 16];
            mark[..8].copy_from_slice(&time.to_le_bytes());
            shelf.note(Noted { tenant: "acme".into(), mark, fate: Fate::Left, time });
        }
        written(&shelf);
        drop(shelf);
        let noted = Shelf::open(directory.path(), most).unwrap().noted(most);
        assert_eq!((noted.len(), noted[0].time), (TENANT_MAX, 8));
    }

    #[test]
    fn an_entry_is_gone_after_thirty_days() {
        let directory = tempfile::tempdir().unwrap();
        let acme: Arc<str> = "acme".into();
        let shelf = Shelf::open(directory.path(), 0).unwrap();
        shelf.keep(Arc::clone(&acme), "resp_1", stored("openai"), 1000);
        written(&shelf);
        assert!(shelf.find(&acme, "resp_1", 1000 + KEPT_FOR_S - 1).is_some());
        assert!(shelf.find(&acme, "resp_1", 1000 + KEPT_FOR_S).is_none());
        drop(shelf);
        let shelf = Shelf::open(directory.path(), 1000 + KEPT_FOR_S).unwrap();
        assert!(shelf.find(&acme, "resp_1", 1000).is_none(), "swept");
    }
}
