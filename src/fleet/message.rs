//! What is said to Redis and what it answers: commands and their replies, nothing that waits.

use crate::quota::fleet::{Bound, Claim, Meter, Told, Verdict};
use redis::{Cmd, RedisError, Value};
use std::{fs, path::Path, sync::Arc, time::Duration};

/// An answer that takes longer does not come.
pub(super) const GIVE_UP_AFTER: Duration = Duration::from_secs(2);
/// A gateway that is not heard of for so long is gone.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// Why the link to Redis is lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer within {} s", GIVE_UP_AFTER.as_secs())]
    Silent,
    #[error("an answer that makes no sense")]
    Senseless,
}

/// The scripts, by the names that Redis gives them, and where they keep what they keep.
pub(super) struct Scripts {
    pub(super) limits: String,
    pub(super) members: String,
    /// All keys begin with it.
    pub(super) prefix: String,
    /// Under which this gateway's money counts, over restarts.
    pub(super) spender: String,
}

pub(super) const LIMITS: &str = include_str!("limits.lua");
pub(super) const MEMBERS: &str = include_str!("members.lua");

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
    /// Asks who lives, and says that this gateway does; `me` is empty where it is new.
    pub(super) fn ask(scripts: &Scripts, me: &str) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&scripts.members).arg(1).arg(format!("{}:gateways", scripts.prefix));
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
    /// The limits, and what was told of each.
    pub(super) limits: Vec<(Arc<Meter>, u64)>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All of it is asked for at once.
    Claim,
    /// It is only told.
    Tell,
    /// Told after a time alone: of rates no more than is left.
    TellLate,
}

/// A limit, and what a claim would hold and use of it.
type Wanted<'m> = (&'m Arc<Meter>, u64, u64);

impl Message {
    /// What changed of a limit. `unix_s` is now, in seconds since 1970.
    pub(super) fn tell(kind: Kind, meter: &Arc<Meter>, about: (&Scripts, &Members), unix_s: i64) -> Self {
        Self::of(kind, &[(meter, 0, 0)], about, unix_s)
    }

    /// All that a request needs.
    pub(super) fn claim(claim: &Claim, about: (&Scripts, &Members), unix_s: i64) -> Self {
        let wanted: Vec<Wanted<'_>> =
            claim.items().iter().map(|item| (&item.meter, item.hold, item.spend)).collect();
        Self::of(Kind::Claim, &wanted, about, unix_s)
    }

    fn of(kind: Kind, wanted: &[Wanted<'_>], (scripts, members): (&Scripts, &Members), unix_s: i64) -> Self {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&scripts.limits).arg(wanted.len());
        for (meter, _, _) in wanted {
            cmd.arg(format!("{}:{}", scripts.prefix, meter.name()));
        }
        cmd.arg(match kind {
            Kind::Claim => "claim",
            Kind::Tell => "tell",
            Kind::TellLate => "late",
        });
        cmd.arg(&members.me).arg(&members.known).arg(&members.alive).arg(&scripts.spender);
        let mut limits = Vec::with_capacity(wanted.len());
        for (meter, hold, spend) in wanted {
            let used = meter.tell();
            limits.push((Arc::clone(meter), used));
            let (letter, a, b, c) = match meter.bound() {
                Bound::Rate(rate) => {
                    let per = u64::try_from(rate.per.as_micros()).unwrap_or(u64::MAX);
                    ("r", u64::from(rate.count.get()), per, u64::from(rate.burst.get()))
                }
                Bound::Places(limit) => ("c", u64::from(limit), 0, 0),
                Bound::Money { budget, until } => {
                    let left = u64::try_from(until.saturating_sub(unix_s)).unwrap_or(0);
                    ("m", budget.limit.0, left, 0)
                }
            };
            cmd.arg(letter).arg(meter.held()).arg(used).arg(*hold).arg(*spend).arg(a).arg(b).arg(c);
        }
        Self { cmd, limits, kind }
    }
}

/// Reads what came of a message of so many limits.
pub(super) fn read_verdict(answer: Value, limits: usize) -> Result<Verdict, Lost> {
    match answer {
        Value::Array(parts) => verdict(&parts, limits).ok_or(Lost::Senseless),
        Value::ServerError(error) => Err(Lost::Redis(error.into())),
        _ => Err(Lost::Senseless),
    }
}

fn verdict(parts: &[Value], limits: usize) -> Option<Verdict> {
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
    match usize::try_from(short).ok()?.checked_sub(1) {
        None => Some(Verdict::Granted(told)),
        Some(at) if at < limits => Some(Verdict::Refused { at, wait: Duration::from_micros(wait), told }),
        Some(_) => None,
    }
}

const FILE: &str = "fleet";

/// What is kept in data_dir over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// How many gateways there were when this one last saw them; none where it never did.
    pub(super) gateways: u32,
    /// Under which this gateway's money counts.
    pub(super) spender: String,
}

impl Kept {
    /// Reads it. What was never kept is new.
    pub(super) fn read(data_dir: &Path) -> Self {
        let text = fs::read_to_string(data_dir.join(FILE)).unwrap_or_default();
        let mut words = text.split_ascii_whitespace();
        let mut known = || {
            let gateways = words.next()?.parse().ok().filter(|count| *count > 0)?;
            Some(Self { gateways, spender: uuid::Uuid::try_parse(words.next()?).ok()?.simple().to_string() })
        };
        known().unwrap_or_else(|| Self { gateways: 0, spender: uuid::Uuid::now_v7().simple().to_string() })
    }

    pub(super) fn write(&self, data_dir: &Path) -> std::io::Result<()> {
        fs::write(data_dir.join(FILE), format!("{} {}\n", self.gateways, self.spender))
    }
}
