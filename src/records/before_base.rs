//! Day files from before the base of a chain. Retention removes such files after the head says where the chain begins
//! now, so a crash can leave some; whatever else lies there was put there. Apart because verifier and writer must tell
//! the two apart alike: a file is the chain's own while the head says that a removal is under way, and its records lead,
//! hash by hash, up to the first record that is kept. Nobody can make others that do.

use std::{io, path::Path};

use super::{
    chain::{Digest, Walk, links},
    day_file::{self, days, differs_beside},
    disk::{Lines, Next},
    head::Base,
    recover::read_head,
    stamp::Day,
};

/// The days before the base of a chain of which there are files, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BeforeBase {
    /// Of the chain: their removal did not get to its end.
    pub(super) own: Vec<Day>,
    /// Of nobody knows what: retention removed these days, or there never was such a day.
    pub(super) strangers: Vec<Day>,
}

impl BeforeBase {
    pub(super) fn find(dir: &Path, base: &Base, is_removing: bool) -> io::Result<Self> {
        let Some(first) = base.day else { return Ok(Self::default()) };
        let mut found = Self::default();
        let mut end = is_removing.then_some(base.prev);
        for day in days(dir)?.into_iter().rev().filter(|day| *day < first) {
            end = match end {
                Some(end) => leads_to(dir, day, end)?,
                None => None,
            };
            if end.is_some() { found.own.push(day) } else { found.strangers.push(day) }
        }
        found.own.reverse();
        found.strangers.reverse();
        Ok(found)
    }
}

/// What the first record of a day's file names as the one before it, where its records hang together up to `end`.
fn leads_to(dir: &Path, day: Day, end: Digest) -> io::Result<Option<Digest>> {
    let led = || -> io::Result<Option<Digest>> {
        let mut lines = Lines::of(dir, day, 0)?;
        let mut walk: Option<(Digest, Walk)> = None;
        loop {
            match lines.next()? {
                Next::Line(line) => {
                    let Some((prev, _)) = links(line) else { return Ok(None) };
                    let fresh = Walk { expected: prev, records: 0, latest: Some(day) };
                    let (_, walk) = walk.get_or_insert((prev, fresh));
                    if walk.step(line, day).is_err() {
                        return Ok(None);
                    }
                }
                Next::Torn(_) | Next::TooLong => return Ok(None),
                Next::End => break,
            }
        }
        let (first, last) = walk.map_or((end, end), |(first, walk)| (first, walk.expected));
        Ok((last == end && !differs_beside(dir, day)?).then_some(first))
    };
    match led() {
        // Its removal has got on meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(end)),
        Err(error) if day_file::is_damage(&error) => Ok(None),
        led => led,
    }
}

/// The days of a tenant's directory that are of its chain or log: none from before the base, as far as a head says it.
pub(super) fn kept_days(dir: &Path) -> io::Result<Vec<Day>> {
    let base = kept_from(dir);
    Ok(days(dir)?.into_iter().filter(|day| base.is_none_or(|base| *day >= base)).collect())
}

/// The day from which on a directory's records are kept. The head is believed: whether it may be, the verifier says.
pub(super) fn kept_from(dir: &Path) -> Option<Day> {
    let (audit, tenant) = (dir.parent()?, dir.file_name()?.to_str()?);
    read_head(audit, tenant, None).ok()??.ok()?.base.day
}
