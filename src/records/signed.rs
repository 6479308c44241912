//! How far a tenant's chain is signed, and when the next checkpoint is due. Apart from the stream, which knows what is
//! written, and from the disk, which may refuse a checkpoint that was made: then it is made anew.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    attest::GRACE,
    chain::{Digest, Walk},
    checkpoint::{Checkpoint, Signed},
    head::Base,
    signing::Signer,
    stamp::Day,
    trail::{Append, Found, path_of},
};

/// While records come, a checkpoint is made so often.
pub(super) const SIGN_EVERY: Duration = Duration::from_secs(60);

/// What a checkpoint is made of.
pub(super) struct State<'s> {
    pub(super) tenant: &'s str,
    pub(super) dir: &'s Path,
    pub(super) written: &'s Walk,
    /// The file of the last record.
    pub(super) day: Option<Day>,
    pub(super) base: &'s Base,
}

/// The checkpoints of a chain.
pub(super) struct Signing {
    signer: Option<Arc<Signer>>,
    now: Stand,
    /// Before the last checkpoint that was made: what is on the disk whatever becomes of that.
    sure: Stand,
    /// When this process made the last one.
    made: Option<SystemTime>,
    /// The time of the last one that is on the disk for sure.
    placed: Option<SystemTime>,
}

#[derive(Debug, Clone)]
struct Stand {
    signed: Signed,
    at: Option<(Day, u64)>,
    time: Option<SystemTime>,
}

impl Signing {
    pub(super) fn new(signer: Option<Arc<Signer>>, found: Found) -> Self {
        let now = Stand { signed: found.signed, at: found.at, time: found.time };
        Self { signer, sure: now.clone(), placed: now.time, now, made: None }
    }

    /// Whether there are records behind the last checkpoint that have to be signed.
    pub(super) fn is_behind(&self, written: &Walk) -> bool {
        self.signer.is_some() && written.records > self.now.signed.records
    }

    /// Whether a record of this time would be too young for the last checkpoint: behind it the chain would look as if
    /// checkpoints had been taken away, until the next one is made.
    pub(super) fn is_too_old_for(&self, record: SystemTime) -> bool {
        let until = self.placed.map(|placed| placed.checked_add(GRACE).unwrap_or(placed));
        self.signer.is_some() && until.is_none_or(|until| record > until)
    }

    /// Whether checkpoints are made at all.
    pub(super) fn is_on(&self) -> bool {
        self.signer.is_some()
    }

    /// When the next checkpoint is due, if there is anything to sign.
    pub(super) fn due(&self) -> SystemTime {
        self.made.map_or(SystemTime::UNIX_EPOCH, |made| made + SIGN_EVERY)
    }

    /// Makes the next checkpoint. Counts it as made until it is taken back.
    pub(super) fn sign(
        &mut self,
        state: &State<'_>,
        now: SystemTime,
        removed: Option<u64>,
    ) -> Option<Append> {
        let signer = self.signer.as_ref()?;
        self.sure = self.now.clone();
        self.made = Some(now);
        let before = &self.now.signed;
        let checkpoint = Checkpoint {
            time: super::rfc3339(now),
            tenant: state.tenant.to_owned(),
            number: before.number + 1,
            day: state.day,
            records: state.written.records,
            last: state.written.expected,
            base: state.base.clone(),
            removed: removed.unwrap_or(before.removed),
            prev: before.last,
            key: signer.id().clone(),
        };
        let day = self.now.at.into_iter().fold(Day::of(now), |today, (day, _)| today.max(day));
        let from = self.now.at.filter(|(last, _)| *last == day).map_or(0, |(_, length)| length);
        // A checkpoint that cannot be signed fails where it would be written.
        let (line, signed) = checkpoint.sign(signer).unwrap_or_else(|| (Vec::new(), before.clone()));
        self.now = Stand { signed, at: Some((day, from + line.len() as u64)), time: Some(now) };
        Some(Append { path: path_of(state.dir, day), from, line })
    }

    /// The last checkpoint did not reach the disk.
    pub(super) fn take_back(&mut self) {
        self.now = self.sure.clone();
        self.made = None;
    }

    /// The last checkpoint reached the disk.
    pub(super) fn settle(&mut self) {
        self.placed = self.now.time;
    }

    /// The last checkpoint is on the disk, before the records that it was made for: these are to be signed as soon as ever.
    pub(super) fn vouched(&mut self) {
        (self.sure, self.made) = (self.now.clone(), None);
        self.settle();
    }

    /// The number and hash of the last checkpoint, for the head that is put in place after it.
    pub(super) fn last(&self) -> Option<(u64, Digest)> {
        told(&self.now.signed)
    }

    /// The same of the last one that is on the disk for sure.
    pub(super) fn last_sure(&self) -> Option<(u64, Digest)> {
        told(&self.sure.signed)
    }
}

fn told(signed: &Signed) -> Option<(u64, Digest)> {
    (signed.number > 0).then_some((signed.number, signed.last))
}
