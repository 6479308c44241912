//! A tenant's signed checkpoints, held against its chain while that is read. Apart from the verifier's walk, which needs
//! nobody's key: this is what an auditor with the public key can know without trusting whoever keeps the files.
//!
//! The last checkpoint that a given key signed vouches for all before it, those of older keys included: it names them by
//! their hashes, as it does the records. One of an unknown key behind it vouches for nothing, and is told.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    chain::{Digest, Walk},
    checkpoint::{Checkpoint, Read, Signed},
    head::{Base, Head},
    signing::{KeyId, PublicKey},
    stamp::{Day, parse_time},
    trail::{Step, Trail},
    verify::Fault,
};

/// A checkpoint is made every minute while records come; a record that is so much younger than the last one has none.
pub(super) const GRACE: Duration = Duration::from_secs(300);

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum BadCheckpoint {
    #[error("is no checkpoint")]
    Shape,
    #[error(
        "does not follow the one before it (one was removed, moved, repeated or put in, or it is another tenant's)"
    )]
    Order,
    #[error("was not signed with the key {0} that it names: it was changed or forged")]
    Forged(KeyId),
    #[error("was made for another chain: records were changed or replaced")]
    Unlike,
    #[error("counts {counted} records, but the chain ends after {found}: the last ones were removed")]
    Cut { found: u64, counted: u64 },
    #[error("is of the key {0}, which is not among those given: nothing vouches for it")]
    Stranger(KeyId),
    #[error("is the first one, but those before it were not removed by retention")]
    First,
    #[error("names another file for the record that it counts last: a day's file was renamed")]
    Elsewhere,
    #[error("says that {said} records were removed by retention, but {gone} are gone")]
    Gone { said: u64, gone: u64 },
}

/// How far a chain is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The number of the last checkpoint that was checked with a given key; without keys, of the last one.
    pub number: u64,
    /// The records that it counts, those that retention removed included.
    pub records: u64,
    pub time: String,
    pub key: KeyId,
    /// Whether its signature was checked.
    pub is_checked: bool,
}

struct Next {
    place: (PathBuf, u64),
    read: Read,
    signed: Signed,
}

/// The checkpoints on their way past the chain.
pub(super) struct Attest<'k> {
    tenant: String,
    keys: &'k [PublicKey],
    trail: Trail,
    next: Option<Next>,
    /// The last one that was read.
    last: Option<Signed>,
    /// The first one, and the last one that counts: checked with a key where there are keys.
    first: Option<(u64, (PathBuf, u64))>,
    counts: Option<(Checkpoint, (PathBuf, u64))>,
    stranger: Option<(KeyId, (PathBuf, u64))>,
    /// The time of the last record.
    pub(super) last_made: Option<String>,
    /// The one that something is wrong with.
    pub(super) place: Option<(PathBuf, u64)>,
}

/// A chain's head, and whether its MAC was checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundHead<'h> {
    pub(super) head: Option<&'h Head>,
    pub(super) is_checked: bool,
}

impl<'k> Attest<'k> {
    /// The checkpoints that are there now.
    pub(super) fn open(dir: &Path, tenant: &str, keys: &'k [PublicKey]) -> io::Result<Self> {
        Ok(Self {
            tenant: tenant.to_owned(),
            keys,
            trail: Trail::open(dir)?,
            next: None,
            last: None,
            first: None,
            counts: None,
            stranger: None,
            last_made: None,
            place: None,
        })
    }

    fn bad(&mut self, place: (PathBuf, u64), bad: BadCheckpoint) -> Fault {
        self.place = Some(place);
        Fault::Checkpoint(bad)
    }

    /// Takes the next checkpoint, and checks what can be known of it alone.
    pub(super) fn advance(&mut self) -> Result<(), Fault> {
        self.next = None;
        let (place, read) = match self.trail.next().map_err(Fault::Read)? {
            Step::End => return Ok(()),
            Step::Line { place, read } => (place, read),
        };
        let Some((read, signed)) = read.map(|read| *read) else {
            return Err(self.bad(place, BadCheckpoint::Shape));
        };
        let found = &read.checkpoint;
        let follows = match &self.last {
            Some(last) => {
                Some(found.number) == last.number.checked_add(1)
                    && found.prev == last.last
                    && found.records >= last.records
            }
            None => found.number != 1 || found.prev == Signed::genesis(&self.tenant).last,
        };
        if found.tenant != self.tenant || !follows {
            return Err(self.bad(place, BadCheckpoint::Order));
        }
        match self.keys.iter().find(|key| *key.id() == found.key) {
            Some(key) if !read.is_signed_by(key) => {
                let id = found.key.clone();
                return Err(self.bad(place, BadCheckpoint::Forged(id)));
            }
            Some(_) => {
                self.counts = Some((found.clone(), place.clone()));
                self.stranger = None;
            }
            None if self.keys.is_empty() => self.counts = Some((found.clone(), place.clone())),
            None => self.stranger = self.stranger.take().or_else(|| Some((found.key.clone(), place.clone()))),
        }
        self.first.get_or_insert_with(|| (found.number, place.clone()));
        self.last = Some(signed.clone());
        self.next = Some(Next { place, read, signed });
        Ok(())
    }

    /// How many records the next checkpoint counts.
    pub(super) fn due(&self) -> u64 {
        self.next.as_ref().map_or(u64::MAX, |next| next.signed.records)
    }

    /// The walk came to what the next checkpoint counts: they must agree. What is older than the walk cannot be compared.
    pub(super) fn compare(&mut self, walk: &Walk, day: Option<Day>) -> Result<(), Fault> {
        while let Some(next) = self.next.as_ref().filter(|next| next.signed.records <= walk.records) {
            if next.signed.records == walk.records && next.read.checkpoint.last != walk.expected {
                let place = next.place.clone();
                return Err(self.bad(place, BadCheckpoint::Unlike));
            }
            // Before the first record that is kept, the walk has come by no file.
            if next.signed.records == walk.records && day.is_some() && next.read.checkpoint.day != day {
                let place = next.place.clone();
                return Err(self.bad(place, BadCheckpoint::Elsewhere));
            }
            self.advance()?;
        }
        Ok(())
    }

    /// The walk is over: nothing must be left, missing, or without a signature that counts.
    pub(super) fn finish(&mut self, walk: &Walk, base: &Base, head: FoundHead<'_>) -> Result<(), Fault> {
        if let Some(next) = self.next.take() {
            let cut = BadCheckpoint::Cut { found: walk.records, counted: next.signed.records };
            return Err(self.bad(next.place, cut));
        }
        let found = self.last.as_ref().map_or((0, None), |last| (last.number, Some(last.last)));
        if let Some((counted, last)) = head.head.and_then(|head| head.signed) {
            Self::fits_head(found, (counted, last))?;
        }
        if self.keys.is_empty() {
            return Ok(());
        }
        if let Some((key, place)) = self.stranger.take() {
            return Err(self.bad(place, BadCheckpoint::Stranger(key)));
        }
        let Some((counts, place)) = self.counts.clone() else {
            // A head is put in place after the checkpoint of what it counts. One that anybody can have written is no word
            // against the records that are there.
            let counted = head.head.filter(|_| head.is_checked).map_or(walk.records, |head| head.records);
            return if counted == 0 { Ok(()) } else { Err(Fault::Unsigned) };
        };
        let behind = walk.records.saturating_sub(counts.records);
        if behind > 0 && self.is_late(&counts) {
            return Err(Fault::UnsignedEnd(behind));
        }
        if counts.base.records < base.records {
            let bad = BadCheckpoint::Gone { said: counts.base.records, gone: base.records };
            return Err(self.bad(place, bad));
        }
        match self.first.take() {
            Some((first, place)) if first > counts.removed.saturating_add(1) => {
                Err(self.bad(place, BadCheckpoint::First))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the last record came when a checkpoint of it was overdue.
    fn is_late(&self, counts: &Checkpoint) -> bool {
        let (signed, made) = (parse_time(&counts.time), self.last_made.as_deref().and_then(parse_time));
        signed
            .zip(made)
            .is_none_or(|(signed, made)| made.duration_since(signed).is_ok_and(|late| late > GRACE))
    }

    fn fits_head(found: (u64, Option<Digest>), head: (u64, Digest)) -> Result<(), Fault> {
        if found.0 < head.0 {
            return Err(Fault::CheckpointsCut { found: found.0, counted: head.0 });
        }
        if found.0 == head.0 && found.1 != Some(head.1) {
            return Err(Fault::CheckpointsReplaced);
        }
        Ok(())
    }

    /// How far the chain is signed.
    pub(super) fn attested(&self) -> Option<Attested> {
        let (counts, _) = self.counts.as_ref()?;
        Some(Attested {
            number: counts.number,
            records: counts.records,
            time: counts.time.clone(),
            key: counts.key.clone(),
            is_checked: !self.keys.is_empty(),
        })
    }
}
