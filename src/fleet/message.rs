//! What is said to Redis and what it answers: commands and their replies, nothing that waits.

use crate::quota::fleet::{self, Bound, Meter, Told, Verdict};
use redis::{Cmd, Value};
use std::{fs, path::Path, sync::Arc, time::Duration};

/// The scripts, by the name that Redis gives them.
pub(super) struct Scripts {
    pub(super) limits: String,
    pub(super) members: String,
}

pub(super) const LIMITS: &str = include_str!("limits.lua");
pub(super) const MEMBERS: &str = include_str!("members.lua");
/// All that is kept in Redis begins with this.
const PREFIX: &str = "tollgate:";
/// A gateway that is not heard of for so long is gone.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// What is asked of one limit, read when it is sent.
pub(super) struct Item {
    pub(super) meter: Arc<Meter>,
    spend: u64,
    hold: u64,
}

impl Item {
    pub(super) fn of(item: &fleet::Item) -> Self {
        Self { meter: Arc::clone(&item.meter), spend: item.spend, hold: item.hold }
    }

    /// Something is told, nothing asked for.
    pub(super) fn tell(meter: Arc<Meter>) -> Self {
        Self { meter, spend: 0, hold: 0 }
    }
}

/// Who this gateway is to the others, and who they are.
pub(super) struct Members {
    /// The moment up to which they are known.
    known: String,
    pub(super) me: String,
    /// `1,2,`
    alive: String,
    pub(super) count: u32,
}

impl Members {
    /// Asks who lives, and says that this gateway does.
    pub(super) fn ask(scripts: &Scripts, me: &str) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&scripts.members).arg(1).arg(format!("{PREFIX}gateways"));
        cmd.arg(me).arg(u64::try_from(GONE_AFTER.as_millis()).unwrap_or(u64::MAX));
        cmd
    }

    pub(super) fn read(answer: &Value) -> Option<Self> {
        let Value::Array(parts) = answer else { return None };
        let mut parts = parts.iter().map(text);
        let (known, me) = (parts.next()??, parts.next()??);
        let alive: Vec<String> = parts.collect::<Option<_>>()?;
        let count = u32::try_from(alive.len()).ok().filter(|count| *count > 0)?;
        Some(Self { known, me, alive: alive.join(","), count })
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// What is sent of some limits: told, or claimed.
pub(super) struct Message {
    pub(super) cmd: Cmd,
    /// What was told of each limit, to be taken back if it does not arrive.
    pub(super) told: Vec<(Arc<Meter>, u64)>,
}

/// Whether all of it is asked for at once, or only told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Claim,
    Tell,
    /// Told after a time alone: of rates no more than is left.
    TellLate,
}

impl Message {
    /// `unix_s` is now, in seconds since 1970.
    pub(super) fn of(
        kind: Kind,
        items: &[Item],
        (scripts, members): (&Scripts, &Members),
        unix_s: i64,
    ) -> Self {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&scripts.limits).arg(items.len());
        for item in items {
            cmd.arg(format!("{PREFIX}{}", item.meter.name()));
        }
        cmd.arg(if kind == Kind::Claim { "claim" } else { "tell" });
        cmd.arg(&members.me).arg(&members.known).arg(&members.alive);
        cmd.arg(if kind == Kind::TellLate { "late" } else { "soon" });
        let mut told = Vec::with_capacity(items.len());
        for Item { meter, spend, hold } in items {
            let used = meter.take_untold();
            told.push((Arc::clone(meter), used));
            let (letter, a, b, c) = match meter.bound() {
                Bound::Rate(rate) => {
                    let per = u64::try_from(rate.per.as_micros()).unwrap_or(u64::MAX);
                    ("r", u64::from(rate.count.get()), per, u64::from(rate.burst.get()))
                }
                Bound::Places(limit) => ("c", u64::from(limit), 0, 0),
                Bound::Money { budget, until, known } => {
                    let left = u64::try_from(until.saturating_sub(unix_s)).unwrap_or(0);
                    ("m", budget.limit.0, left, known)
                }
            };
            cmd.arg(letter).arg(meter.held()).arg(used).arg(*hold).arg(*spend).arg(a).arg(b).arg(c);
        }
        Self { cmd, told }
    }

    /// It did not arrive, as far as is known: what it told has to be told again.
    pub(super) fn is_lost(self) {
        self.told.into_iter().for_each(|(meter, used)| meter.is_back(used));
    }
}

/// Reads what came of a message of so many limits.
pub(super) fn read_verdict(answer: &Value, limits: usize) -> Option<Verdict> {
    let Value::Array(parts) = answer else { return None };
    let number = |value: &Value| match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let numbers: Vec<u64> = parts.iter().map(number).collect::<Option<_>>()?;
    let (head, rest) = numbers.split_at_checked(2)?;
    let told: Vec<Told> = rest
        .chunks_exact(2)
        .filter_map(|pair| Some(Told { first: *pair.first()?, second: *pair.get(1)? }))
        .collect();
    if told.len() != limits {
        return None;
    }
    let (short, wait) = (*head.first()?, *head.get(1)?);
    Some(match usize::try_from(short).ok()?.checked_sub(1) {
        None => Verdict::Granted(told),
        Some(at) => Verdict::Refused { at, wait: Duration::from_micros(wait), told },
    })
}

const SEEN: &str = "gateways";

/// How many gateways there were when this one last saw them.
pub(super) fn read_seen(data_dir: &Path) -> Option<u32> {
    fs::read_to_string(data_dir.join(SEEN)).ok()?.trim().parse().ok().filter(|count| *count > 0)
}

/// Keeps how many there are.
pub(super) fn write_seen(data_dir: &Path, count: u32) -> std::io::Result<()> {
    fs::write(data_dir.join(SEEN), format!("{count}\n"))
}
