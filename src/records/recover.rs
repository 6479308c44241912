//! Where a tenant's chain goes on after a restart. Apart from the writer because here is decided what is believed of
//! the files found: nothing that hides a change. Where head and files disagree the chain goes on in a way that the
//! verifier finds for ever, and the operator is told at once.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    behind::Behind,
    chain::{Digest, Walk, links, severed},
    checkpoint::Signed,
    day_file::{self, bytes_before, count_lines, day_path, days},
    disk::{self, Lines, Next},
    head::{BadHead, Base, Head},
    stamp::Day,
    trail::{self, Found},
};
use crate::redact::TenantSecret;

/// Something that the operator should know of, found at the start or in the files later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error("{file}: the last line was cut short by a crash; its {bytes} bytes were moved to {file}.torn", file = file.display())]
    Torn { file: PathBuf, bytes: u64 },
    #[error(
        "audit chain of {tenant}: {records} records after its head were taken over (the gateway did not end cleanly)"
    )]
    Unsealed { tenant: String, records: u64 },
    #[error(
        "audit chain of {tenant}: {what}; records were changed or removed while the gateway was down. Run `tollgate audit verify`"
    )]
    Tampered { tenant: String, what: &'static str },
    #[error(
        "the erasure of {tenant} that was begun at {since} was never finished: what is left of its records may look as if they had been changed. Stop the gateway and run `tollgate tenant erase {tenant}` again"
    )]
    Unerased { tenant: String, since: String },
    #[error(
        "{path} is a link: it is followed, but `tollgate tenant erase` would leave what it leads to, and refuses it. Put that in its place", path = .path.display()
    )]
    Linked { path: PathBuf },
    #[error("{file} could not be compressed, and stays as it is: {why}. It is tried again in an hour", file = file.display())]
    Uncompressed { file: PathBuf, why: String },
    #[error(
        "{file}: the gateway had ended cleanly, but {bytes} bytes stood behind its last record: they were put there. They were moved to {file}.torn; look into it", file = .file.display()
    )]
    Planted { file: PathBuf, bytes: u64 },
    #[error(
        "the clock says {today}, but the last day that retention knows is {believed}: until the gateway has run for a day with that clock, nothing more is removed. If the clock is wrong, set it right: audit records that are written until then, and after it, stand in the file of {today} until that day is over"
    )]
    Clock { today: Day, believed: Day },
    #[error(
        "retention removed what is older than {before}: {audit_files} audit files ({records} records) and {log_files} log files"
    )]
    Removed { before: Day, audit_files: usize, records: u64, log_files: usize },
    #[error(
        "{file} is of a day that retention had removed, and not of the audit chain of {tenant}: it was put there. It stays as it is, and nothing shows it as a record; look into it, and move it out of the directory", file = .file.display()
    )]
    Stranger { tenant: String, file: PathBuf },
}

/// A chain as it was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) walk: Walk,
    pub(super) base: Base,
    /// Days whose files begin with a late record, as its head says.
    pub(super) late: BTreeSet<Day>,
    /// The last file and the length of what it holds.
    pub(super) at: Option<(Day, u64)>,
    /// The last day that is compressed.
    pub(super) compressed: Option<Day>,
    pub(super) has_head: bool,
    /// The removal of what is from before the base did not get to its end.
    pub(super) is_removing: bool,
    /// Its head says that it ends there.
    pub(super) is_ended: bool,
    /// Until when records may come behind its head.
    pub(super) until: Option<SystemTime>,
    pub(super) checkpoints: Found,
    pub(super) warnings: Vec<Warning>,
}

/// The head's file of a tenant.
pub(super) fn head_path(audit: &Path, tenant: &str) -> PathBuf {
    audit.join(".heads").join(format!("{tenant}.json"))
}

/// Reads a tenant's head; None if it has none.
pub(super) fn read_head(
    audit: &Path,
    tenant: &str,
    secret: Option<&TenantSecret>,
) -> io::Result<Option<Result<Head, BadHead>>> {
    match disk::read(&head_path(audit, tenant)) {
        Ok(bytes) => {
            let text = std::str::from_utf8(&bytes).map_err(|_| BadHead::Shape);
            Ok(Some(text.and_then(|text| Head::parse(text, tenant, secret))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finds where a tenant's chain goes on, after mending a torn last line. `is_known`: it is on the roll.
pub(super) fn recover(
    audit: &Path,
    tenant: &str,
    secret: &TenantSecret,
    is_known: bool,
) -> io::Result<Recovered> {
    let dir = audit.join(tenant);
    let head = read_head(audit, tenant, Some(secret))?;
    let base = head.as_ref().and_then(|head| head.as_ref().ok()?.base.day);
    // What is from before the base is no more of the chain, or never was.
    let days: Vec<Day> = days(&dir)?.into_iter().filter(|day| base.is_none_or(|base| *day >= base)).collect();
    let mut warnings = Vec::new();
    let is_ended = matches!(&head, Some(Ok(head)) if head.is_end);
    let mut at = last_file(&dir, &days, is_ended, &mut warnings)?;
    let has_head = matches!(head, Some(Ok(_)));
    let late = head.as_ref().and_then(|head| Some(head.as_ref().ok()?.late.clone())).unwrap_or_default();
    let is_removing = matches!(&head, Some(Ok(head)) if head.is_removing);
    let until = head.as_ref().and_then(|head| head.as_ref().ok()?.until);
    let signed = head.as_ref().and_then(|head| head.as_ref().ok()?.signed);
    let checkpoints = take_up(trail::recover(&dir, tenant)?, tenant, signed, &mut warnings);
    let (walk, base) = match head {
        Some(Ok(head)) => {
            let (walk, is_followed) = behind_head(&dir, &days, tenant, &head, &mut warnings)?;
            if let (Some((sealed, _)), false) = (head.at, is_followed) {
                // What somebody put behind the last day of the chain is not gone on from.
                at = last_file(&dir, &up_to(&days, sealed), is_ended, &mut warnings)?;
            }
            (walk, head.base)
        }
        None => without_head(&dir, &days, (tenant, is_known), None, &mut warnings)?,
        Some(Err(bad)) => without_head(&dir, &days, (tenant, is_known), Some(bad), &mut warnings)?,
    };
    let compressed = day_file::last_compressed(&dir)?.filter(|day| at.is_some_and(|(last, _)| *day <= last));
    Ok(Recovered {
        walk,
        base,
        late,
        at,
        compressed,
        has_head,
        is_removing,
        is_ended,
        until,
        checkpoints,
        warnings,
    })
}

fn up_to(days: &[Day], last: Day) -> Vec<Day> {
    days.iter().copied().filter(|day| *day <= last).collect()
}

/// Where a chain goes on from its head, and whether behind the records that follow that. Tells of them.
fn behind_head(
    dir: &Path,
    days: &[Day],
    tenant: &str,
    head: &Head,
    warnings: &mut Vec<Warning>,
) -> io::Result<(Walk, bool)> {
    let mut walk = Walk { expected: head.last, records: head.records, latest: head.at.map(|(day, _)| day) };
    let followed = match follow(dir, days, head, &mut walk) {
        Err(error) if day_file::is_damage(&error) => Followed::Astray,
        followed => followed?,
    };
    // So that what comes next does not follow what was put there.
    let is_put_there = matches!((&followed, head.is_end), (Followed::Whole, true) | (Followed::Beyond, _));
    if is_put_there {
        walk.expected = head.last;
    }
    let what = match followed {
        Followed::Whole if walk.records == head.records => return Ok((walk, true)),
        Followed::Whole if head.is_end => "records were put behind the place where it ended",
        Followed::Whole => {
            let records = walk.records.saturating_sub(head.records);
            warnings.push(Warning::Unsealed { tenant: tenant.to_owned(), records });
            return Ok((walk, true));
        }
        Followed::Beyond => {
            "records came later behind its head than the head allows: they were put there, or an old head was"
        }
        Followed::Astray => "its files do not hold the record that its head names as the last",
        Followed::Broken => "the records after its head do not hang together",
    };
    warnings.push(Warning::Tampered { tenant: tenant.to_owned(), what });
    Ok((walk, false))
}

/// Where a chain goes on that has no head that can be believed.
fn without_head(
    dir: &Path,
    days: &[Day],
    (tenant, is_known): (&str, bool),
    bad: Option<BadHead>,
    warnings: &mut Vec<Warning>,
) -> io::Result<(Walk, Base)> {
    let mut records = 0;
    for &day in days {
        records += count_lines(dir, day)?;
    }
    let base = Base::genesis(tenant);
    let what = match bad {
        None if records == 0 && !is_known => {
            return Ok((Walk { expected: base.prev, records, latest: None }, base));
        }
        None if records == 0 => "it was removed, its head too",
        None => "its head is missing",
        Some(BadHead::Shape) => "its head is unreadable",
        Some(BadHead::Mac) => "its head was not made with this secret (a new secret needs a new data_dir)",
    };
    warnings.push(Warning::Tampered { tenant: tenant.to_owned(), what });
    Ok((Walk { expected: severed(tenant), records, latest: None }, base))
}

/// The last file that holds anything, and how long that is, after mending a torn last line.
fn last_file(
    dir: &Path,
    days: &[Day],
    is_ended: bool,
    warnings: &mut Vec<Warning>,
) -> io::Result<Option<(Day, u64)>> {
    for &day in days.iter().rev() {
        let file = day_path(dir, day);
        let (length, torn) =
            if file.exists() { disk::mend(&file)? } else { (day_file::length(dir, day)?, 0) };
        if torn > 0 {
            // A crash cuts no line of a chain that had ended.
            warnings.push(if is_ended {
                Warning::Planted { file, bytes: torn }
            } else {
                Warning::Torn { file, bytes: torn }
            });
        }
        if length > 0 {
            return Ok(Some((day, length)));
        }
    }
    Ok(None)
}

/// Where the checkpoints go on. Where they do not fit the head they go on from what it names, so that what is missing
/// stays found.
fn take_up(
    mut found: Found,
    tenant: &str,
    signed: Option<(u64, Digest)>,
    warnings: &mut Vec<Warning>,
) -> Found {
    warnings.extend(found.torn.take().map(|(file, bytes)| Warning::Torn { file, bytes }));
    let fits = signed.is_none_or(|(number, last)| {
        found.signed.number > number || found.signed.number == number && found.signed.last == last
    });
    if !fits || found.is_unreadable {
        let what = "its signed checkpoints do not go as far as its head says";
        warnings.push(Warning::Tampered { tenant: tenant.to_owned(), what });
        if let Some((number, last)) = signed {
            found.signed = Signed { number, last, ..found.signed };
        }
    }
    found
}

enum Followed {
    /// Up to the end of the files.
    Whole,
    /// The record that the head names is not where it says.
    Astray,
    /// A record after the head came later than the head allows.
    Beyond,
    /// A record after the head is wrong; the walk stands before it, and counts the rest.
    Broken,
}

/// Walks from the record that the head names to the end of the files.
fn follow(dir: &Path, days: &[Day], head: &Head, walk: &mut Walk) -> io::Result<Followed> {
    let sealed = head.at.filter(|(day, _)| head.base.day.is_none_or(|base| *day >= base));
    if let Some((day, bytes)) = sealed {
        if !days.contains(&day) || !ends_with(dir, day, bytes, &head.last)? {
            return Ok(Followed::Astray);
        }
    } else if head.last != head.base.prev {
        return Ok(Followed::Astray);
    }
    let (mut broken, mut beyond, mut behind) = (false, false, Behind::of(head));
    for day in days.iter().copied().filter(|day| sealed.is_none_or(|(sealed, _)| *day >= sealed)) {
        let from = sealed.filter(|(sealed, _)| *sealed == day).map_or(0, |(_, bytes)| bytes);
        let mut lines = Lines::of(dir, day, from)?;
        loop {
            match lines.next()? {
                Next::Line(_) if broken => walk.records += 1,
                Next::Line(line) => {
                    if walk.step(line, day).is_err() {
                        broken = true;
                        walk.records += 1;
                    }
                    beyond |= !behind.admits(line);
                }
                Next::TooLong => return Ok(Followed::Broken),
                Next::Torn(_) | Next::End => break,
            }
        }
    }
    Ok(match (broken, beyond && !head.is_end) {
        (true, _) => Followed::Broken,
        (false, true) => Followed::Beyond,
        (false, false) => Followed::Whole,
    })
}

/// Whether the line that ends at `bytes` is the record of this hash; at 0, whether nothing is expected there.
fn ends_with(dir: &Path, day: Day, bytes: u64, last: &Digest) -> io::Result<bool> {
    let tail = bytes_before::<67>(dir, day, bytes)?;
    Ok(tail.is_some_and(|tail| tail == *format!("{}\"}}\n", last.as_str()).as_bytes()))
}

/// The base of a chain when its files before `cutoff` go, and their days. None if there are none.
pub(super) fn rebase(
    dir: &Path,
    cutoff: Day,
    base: &Base,
    last: Digest,
) -> io::Result<Option<(Base, Vec<Day>)>> {
    let mut days = days(dir)?;
    days.retain(|day| base.day.is_none_or(|base| *day >= base));
    let old: Vec<Day> = days.iter().copied().filter(|day| *day < cutoff).collect();
    if old.is_empty() {
        return Ok(None);
    }
    let mut records = base.records;
    for &day in &old {
        records += count_lines(dir, day)?;
    }
    let mut prev = last;
    for &day in days.iter().filter(|day| **day >= cutoff) {
        match Lines::of(dir, day, 0)?.next() {
            // A line that is none keeps its place: what it should follow, no line names, so the verifier finds it.
            Ok(Next::Line(line)) => {
                prev = links(line).map_or_else(|| severed("retention"), |(prev, _)| prev);
                break;
            }
            Err(error) if day_file::is_damage(&error) => {
                prev = severed("retention");
                break;
            }
            Err(error) => return Err(error),
            Ok(Next::Torn(_) | Next::TooLong | Next::End) => {}
        }
    }
    Ok(Some((Base { day: Some(cutoff), prev, records }, old)))
}
