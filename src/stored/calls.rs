//! What became of calls that a limit or a person could deny, on the shelf: it is known again after a restart. The gateway
//! knows it from memory (`denials`); here it is only written, and read once at the start.

use crate::denials::{Fate, KEPT_FOR, Mark, TENANT_MAX};
use rusqlite::{Connection, Transaction, params};
use std::sync::Arc;

/// What is known of one call, or of all that do the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub tenant: Arc<str>,
    pub mark: Mark,
    pub fate: Fate,
    /// When it was last known, in seconds since 1970.
    pub time: i64,
}

fn since(now: i64) -> i64 {
    now.saturating_sub(i64::try_from(KEPT_FOR.as_secs()).unwrap_or(i64::MAX))
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS calls (
            tenant TEXT NOT NULL, mark BLOB NOT NULL, has_left INTEGER NOT NULL, time INTEGER NOT NULL,
            PRIMARY KEY (tenant, mark)
        ) WITHOUT ROWID;",
    )
}

pub(super) fn write(transaction: &Transaction<'_>, noted: &Noted) -> rusqlite::Result<()> {
    let Noted { tenant, mark, fate, time } = noted;
    transaction.prepare_cached("INSERT OR REPLACE INTO calls VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        &**tenant,
        mark,
        *fate == Fate::Left,
        time
    ])?;
    Ok(())
}

/// Forgets what is too old, and of each tenant the oldest beyond what the gateway keeps in memory.
pub(super) fn sweep(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM calls WHERE time <= ?1", [since(now)])?;
    connection.execute(
        "DELETE FROM calls WHERE (tenant, mark) IN (
            SELECT tenant, mark FROM (
                SELECT tenant, mark, row_number() OVER (PARTITION BY tenant ORDER BY time DESC, mark) AS place FROM calls
            ) WHERE place > ?1
        )",
        [i64::try_from(TENANT_MAX).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}

/// Everything that is not too old, the oldest first.
pub(super) fn read(connection: &Connection, now: i64) -> rusqlite::Result<Vec<Noted>> {
    let mut statement =
        connection.prepare("SELECT tenant, mark, has_left, time FROM calls WHERE time > ?1 ORDER BY time")?;
    let rows = statement.query_map([since(now)], |row| {
        let fate = if row.get(2)? { Fate::Left } else { Fate::Denied };
        Ok(Noted { tenant: row.get::<_, String>(0)?.into(), mark: row.get(1)?, fate, time: row.get(3)? })
    })?;
    rows.collect()
}
