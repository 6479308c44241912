//! The thread that waits for the disk, so that the writer need not: it syncs what was written since last time and then
//! puts checkpoints and heads in place, at most one round at a time. Apart because nothing else in here may take as long.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io,
    path::Path,
    sync::{Arc, mpsc},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use super::{
    disk,
    pulse::{Hand, Pulse},
    stream::{Dirty, SyncJob},
    trail,
};

/// Which records are meant: decisions or requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Audit,
    Log,
}

/// While the writer waits for a round it says so often that it is not the one that hangs.
const BEAT_EVERY: Duration = Duration::from_secs(1);

pub(super) type Round = Vec<(Arc<str>, Kind, SyncJob)>;

/// The syncing thread. Ends when this is dropped and its round is done.
pub(super) struct Syncer {
    rounds: mpsc::SyncSender<Round>,
    results: mpsc::Receiver<Round>,
    is_busy: bool,
    pulse: Arc<Pulse>,
    _thread: JoinHandle<()>,
}

impl Syncer {
    pub(super) fn start(pulse: Arc<Pulse>) -> io::Result<Self> {
        let (rounds, to_do) = mpsc::sync_channel::<Round>(1);
        let (done, results) = mpsc::sync_channel(1);
        let beating = Arc::clone(&pulse);
        let work = move || {
            while let Ok(round) = to_do.recv() {
                let failed = sync_each(round, &mut || beating.beat(Hand::Syncer));
                beating.rest(Hand::Syncer);
                if done.send(failed).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new().name("records-sync".into()).spawn(work)?;
        Ok(Self { rounds, results, is_busy: false, pulse, _thread: thread })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Starts a round. One must not be under way.
    pub(super) fn begin(&mut self, round: Round) {
        self.is_busy = self.rounds.send(round).is_ok();
    }

    /// What of the round under way failed, if it is over. Waits for that when asked to.
    pub(super) fn outcome(&mut self, patience: Patience) -> Option<Round> {
        if !self.is_busy {
            return None;
        }
        let failed = match patience {
            Patience::Look => match self.results.try_recv() {
                Err(mpsc::TryRecvError::Empty) => return None,
                outcome => outcome.unwrap_or_default(),
            },
            Patience::Wait => loop {
                // Whether the disk takes what is synced, the other thread shows.
                self.pulse.beat(Hand::Writer);
                match self.results.recv_timeout(BEAT_EVERY) {
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    outcome => break outcome.unwrap_or_default(),
                }
            },
        };
        self.is_busy = false;
        Some(failed)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    Look,
    Wait,
}

/// Does a round; returns the jobs that failed.
pub(super) fn sync_round(round: Round) -> Round {
    sync_each(round, &mut || {})
}

/// The same, and tells `beat` before each.
fn sync_each(round: Round, beat: &mut dyn FnMut()) -> Round {
    let mut heads = BTreeSet::new();
    let mut failed = Vec::new();
    for (tenant, kind, job) in round {
        beat();
        match sync_job(&job) {
            Ok(()) => heads.extend(job.head.as_ref().and_then(|(path, _)| path.parent().map(Path::to_owned))),
            Err(_) => failed.push((tenant, kind, job)),
        }
    }
    for dir in heads {
        // The heads are in place; only a power cut within the kernel's own write-back would bring older ones back,
        // and an older head fits its chain as well. So a failure here is no failure of the round.
        drop(disk::sync_dir(&dir));
    }
    failed
}

pub(super) fn sync_job(job: &SyncJob) -> io::Result<()> {
    for Dirty { path, from, length, again } in &job.dirty {
        // Only a chain has a head. A log that was emptied, moved or removed since is its operator's business.
        let is_log = job.head.is_none();
        let file = match disk::open(OpenOptions::new().append(true), path) {
            Err(error) if is_log && error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        if !is_log && file.metadata()?.len() < *length {
            return Err(io::Error::other("the file is shorter than what was written to it"));
        }
        if *again {
            disk::write_again(path, *from, *length)?;
        }
        file.sync_data()?;
    }
    if let Some(dir) = &job.dir {
        disk::sync_dir(dir)?;
    }
    if let Some(checkpoint) = &job.checkpoint {
        trail::append(checkpoint)?;
    }
    if let Some((path, text)) = &job.head {
        disk::replace(path, text)?;
    }
    Ok(())
}
