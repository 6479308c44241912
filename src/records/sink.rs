//! All tenants' streams: which line goes where, which files are open, what is pending and what is not synced yet, and
//! what retention removes. Apart from the writer's thread so that it can be tried without one, with any time as `now`.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    before_base::BeforeBase,
    begun::{self, Begun},
    day_file::{self, days, last_compressed, remove_day},
    disk,
    entry::{Entry, is_recordable},
    erase::OPERATOR,
    head::BadHead,
    line::{Notice, write_decision, write_request},
    pulse::{Hand, Pulse},
    recover::{Warning, read_head, rebase, recover},
    roll::{self, BadRoll, Roll},
    signed::SIGN_EVERY,
    signing::Signer,
    stamp::{Day, rfc3339},
    strays,
    stream::Stream,
    sync::{self, Kind, Round},
    tenant_secrets::TenantSecrets,
    trail,
};
use crate::trace::Traced;

/// Most files kept open between writes.
const FILES_OPEN_MAX: usize = 256;

pub(super) struct Sink {
    audit: PathBuf,
    log: PathBuf,
    secrets: Arc<TenantSecrets>,
    signer: Option<Arc<Signer>>,
    retain: Duration,
    /// Files of days before it are closed: nothing is appended to them any more.
    open_from: Day,
    streams: [HashMap<Arc<str>, Stream>; 2],
    pending: Vec<(Arc<str>, Kind)>,
    dirty: Vec<(Arc<str>, Kind)>,
    /// When chains are due to be signed.
    due: BTreeSet<(SystemTime, Arc<str>)>,
    /// A checkpoint that was due could not be written.
    is_owing: bool,
    /// The chains that are known to be here, and whether the file says so.
    roll: Roll,
    is_roll_written: bool,
    writes: u64,
    rounds: u64,
    /// The chains whose heads the last round puts in place.
    in_round: Vec<Arc<str>>,
    open: usize,
    pub(super) warnings: Vec<Warning>,
    /// Told of each tenant that it gets through with.
    pub(super) pulse: Arc<Pulse>,
}

impl Sink {
    /// Takes up every chain that is there.
    pub(super) fn open(
        data_dir: &Path,
        secrets: Arc<TenantSecrets>,
        signer: Option<Arc<Signer>>,
        retain: Duration,
        now: SystemTime,
    ) -> io::Result<Self> {
        let (audit, log) = (data_dir.join("audit"), data_dir.join("log"));
        disk::create_dir(&audit.join(".heads"))?;
        disk::create_dir(&log)?;
        let mut sink = Self {
            audit,
            log,
            secrets,
            signer,
            retain,
            open_from: Day::FIRST,
            streams: [HashMap::new(), HashMap::new()],
            pending: Vec::new(),
            dirty: Vec::new(),
            due: BTreeSet::new(),
            is_owing: false,
            roll: Roll::default(),
            is_roll_written: true,
            writes: 0,
            rounds: 0,
            in_round: Vec::new(),
            open: 0,
            warnings: Vec::new(),
            pulse: Arc::default(),
        };
        let unfinished = begun::unfinished(&sink.audit)?.into_values();
        sink.warnings
            .extend(unfinished.map(|Begun { tenant, since, .. }| Warning::Unerased { tenant, since }));
        sink.read_roll(now)?;
        let known: BTreeSet<String> = sink.chains()?.into_iter().chain(sink.roll.chains.clone()).collect();
        for tenant in known {
            for dir in [&sink.audit, &sink.log] {
                let links = strays::links(&dir.join(&tenant))?.into_iter();
                sink.warnings.extend(links.map(|path| Warning::Linked { path }));
            }
            let tenant: Arc<str> = tenant.into();
            if sink.stream(&tenant, Kind::Audit)?.is_behind() {
                sink.due.insert((SystemTime::UNIX_EPOCH, Arc::clone(&tenant)));
            }
            sink.enrol(&tenant);
        }
        sink.write_roll()?;
        sink.secrets.note_roll();
        Ok(sink)
    }

    /// What the roll says, and whether it can be believed.
    fn read_roll(&mut self, now: SystemTime) -> io::Result<()> {
        match roll::read(&self.audit, Some(&self.secrets))? {
            Ok(roll) => self.roll = roll,
            // It is there from the first start on, so that chains that are gone with it are missed.
            Err(BadRoll::Missing) if self.is_first()? => {
                self.is_roll_written = false;
            }
            Err(bad) => {
                let what = match bad {
                    BadRoll::Missing => "the roll of chains (audit/.heads/roll) is missing",
                    BadRoll::Shape => "the roll of chains (audit/.heads/roll) is unreadable",
                    BadRoll::Mac => "the roll of chains (audit/.heads/roll) was not made with this secret",
                };
                self.warnings.push(Warning::Tampered { tenant: OPERATOR.to_owned(), what });
                // It is made anew of what is here, and says for ever that it was.
                self.roll = Roll::instead_of(bad, rfc3339(now));
                self.is_roll_written = false;
            }
        }
        Ok(())
    }

    fn is_first(&self) -> io::Result<bool> {
        roll::is_first(&self.audit, !self.chains()?.is_empty(), Some(&self.secrets))
    }

    /// Puts a chain that has a head on the roll.
    fn enrol(&mut self, tenant: &Arc<str>) {
        let has_head = self.known(tenant, Kind::Audit).is_some_and(|stream| stream.has_head());
        if has_head && !self.roll.chains.contains(&**tenant) {
            self.roll.chains.insert(tenant.to_string());
            self.is_roll_written = false;
        }
    }

    fn write_roll(&mut self) -> io::Result<()> {
        if !self.is_roll_written {
            roll::write(&self.audit, &self.roll, &self.secrets)?;
            self.is_roll_written = true;
        }
        Ok(())
    }

    /// Has every chain say that it ends where it does. Everything must be written and synced.
    pub(super) fn end(&mut self) -> Round {
        let [audits, _] = &mut self.streams;
        let ends = audits
            .iter_mut()
            .filter_map(|(tenant, stream)| Some((Arc::clone(tenant), Kind::Audit, stream.end()?)));
        ends.collect()
    }

    /// Where the tenants' directories are.
    pub(super) fn dirs(&self) -> [PathBuf; 2] {
        [self.audit.clone(), self.log.clone()]
    }

    /// The tenants that have a chain or the head of one.
    fn chains(&self) -> io::Result<BTreeSet<String>> {
        let heads = disk::names(&self.audit.join(".heads"))?;
        let heads = heads.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned);
        // Whatever else lies there is no chain, and the verifier names it.
        let dirs = disk::names(&self.audit)?.into_iter().filter(|name| self.audit.join(name).is_dir());
        Ok(dirs.chain(heads).filter(|name| is_recordable(name)).collect())
    }

    /// A tenant's stream, made if this is its first use.
    fn stream(&mut self, tenant: &Arc<str>, kind: Kind) -> io::Result<&mut Stream> {
        let [audits, logs] = &mut self.streams;
        let streams = match kind {
            Kind::Audit => audits,
            Kind::Log => logs,
        };
        if !streams.contains_key(tenant) {
            let mut stream = match kind {
                Kind::Log => {
                    let dir = self.log.join(&**tenant);
                    let compressed = last_compressed(&dir)?;
                    Stream::log(dir, compressed)
                }
                Kind::Audit => {
                    let secret = self.secrets.of(tenant);
                    let mut found =
                        recover(&self.audit, tenant, &secret, self.roll.chains.contains(&**tenant))?;
                    self.warnings.append(&mut found.warnings);
                    Stream::audit(
                        self.audit.clone(),
                        (Arc::clone(tenant), secret),
                        found,
                        self.signer.clone(),
                    )
                }
            };
            stream.close_before(self.open_from);
            streams.insert(Arc::clone(tenant), stream);
        }
        streams.get_mut(tenant).ok_or_else(|| io::Error::other("no stream"))
    }

    fn known(&mut self, tenant: &Arc<str>, kind: Kind) -> Option<&mut Stream> {
        let [audits, logs] = &mut self.streams;
        match kind {
            Kind::Audit => audits.get_mut(tenant),
            Kind::Log => logs.get_mut(tenant),
        }
    }

    /// Makes an entry's line. Gives the entry back if its chain cannot be taken up.
    pub(super) fn render(&mut self, entry: Entry, notice: &dyn Notice) -> Result<(), (Entry, io::Error)> {
        let tenant = Arc::clone(&entry.journal().tenant);
        let kind = match &entry {
            Entry::Request(_) => Kind::Log,
            Entry::Decision(_) => Kind::Audit,
        };
        let stream = match self.stream(&tenant, kind) {
            Ok(stream) => stream,
            Err(error) => return Err((entry, error)),
        };
        let was_pending = stream.is_pending();
        let made = |out: &[u8], start: usize, traced: Option<Traced>| {
            notice.made(&tenant, kind, out.get(start..).unwrap_or_default(), traced);
        };
        match entry {
            Entry::Request(mut request) => stream.line(request.time, |out, _| {
                let (start, traced) = (out.len(), request.trace.take().map(Traced::Request));
                write_request(out, *request, notice);
                made(out, start, traced);
            }),
            Entry::Decision(decision) => stream.line(decision.time, |out, tip| {
                if let Some(tip) = tip {
                    let (start, traced) = (out.len(), decision.trace.map(Traced::Decision));
                    tip.expected = write_decision(out, *decision, &tip.expected, notice);
                    tip.records += 1;
                    made(out, start, traced);
                }
            }),
        }
        if !was_pending {
            self.pending.push((tenant, kind));
        }
        Ok(())
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether a chain needs another head before it can go on, and the last round is not to put one in its place after that.
    pub(super) fn waits_for_round(&self) -> bool {
        let [audits, _] = &self.streams;
        let pending = self.pending.iter().filter(|(_, kind)| *kind == Kind::Audit);
        pending
            .filter_map(|(tenant, _)| audits.get(tenant))
            .any(|stream| stream.taken == self.rounds && stream.goes_beyond())
    }

    /// Appends everything that is pending; what fails stays so. Adds up what was written, and returns the last error.
    pub(super) fn write(&mut self, records: &mut u64) -> io::Result<()> {
        let mut outcome = Ok(());
        for (tenant, kind) in std::mem::take(&mut self.pending) {
            self.writes += 1;
            self.pulse.beat(Hand::Writer);
            let writes = self.writes;
            let Some(stream) = self.known(&tenant, kind) else { continue };
            let (was_open, was_dirty) = (stream.is_open(), stream.is_dirty());
            let written = stream.write(records);
            stream.used = writes;
            let (is_open, is_dirty) = (stream.is_open(), stream.is_dirty());
            self.open = self.open + usize::from(is_open) - usize::from(was_open);
            if is_dirty && !was_dirty {
                self.dirty.push((Arc::clone(&tenant), kind));
            }
            if kind == Kind::Audit && !was_open {
                self.enrol(&tenant);
            }
            if let Err(error) = written {
                self.pending.push((tenant, kind));
                outcome = Err(error);
            }
            if self.open > FILES_OPEN_MAX {
                self.close_idle();
            }
        }
        outcome.and_then(|()| self.write_roll())
    }

    /// Closes the quarter of the open files that was written longest ago.
    fn close_idle(&mut self) {
        let mut open: Vec<&mut Stream> =
            self.streams.iter_mut().flat_map(HashMap::values_mut).filter(|stream| stream.is_open()).collect();
        open.sort_unstable_by_key(|stream| stream.used);
        for stream in open.into_iter().take(FILES_OPEN_MAX / 4) {
            stream.close();
            self.open -= 1;
        }
    }

    /// Gives up what is pending. Returns how many records are lost.
    pub(super) fn discard(&mut self) -> u64 {
        let pending = std::mem::take(&mut self.pending);
        pending.iter().map(|(tenant, kind)| self.known(tenant, *kind).map_or(0, Stream::discard)).sum()
    }

    /// Whether a chain is due to be signed.
    pub(super) fn is_sign_due(&self, now: SystemTime) -> bool {
        self.due.first().is_some_and(|(due, _)| is_due(*due, now))
    }

    /// Whether chains wait to be signed, due or not.
    pub(super) fn is_unsigned(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether a checkpoint that was due is still to be written.
    pub(super) fn is_owing(&self) -> bool {
        self.is_owing
    }

    /// Takes what has to be synced and signed, as of now.
    pub(super) fn sync_round(&mut self, now: SystemTime, sign: Sign) -> Round {
        self.is_owing = false;
        self.rounds += 1;
        let rounds = self.rounds;
        let mut round = std::mem::take(&mut self.dirty);
        let dirty: HashSet<Arc<str>> = round
            .iter()
            .filter(|(_, kind)| *kind == Kind::Audit)
            .map(|(tenant, _)| Arc::clone(tenant))
            .collect();
        let is_taken = |due: SystemTime| sign == Sign::All || is_due(due, now);
        let mut taken = HashSet::new();
        while self.due.first().is_some_and(|(due, _)| is_taken(*due)) {
            taken.extend(self.due.pop_first().map(|(_, tenant)| tenant));
        }
        round.extend(
            taken.into_iter().filter(|tenant| !dirty.contains(tenant)).map(|tenant| (tenant, Kind::Audit)),
        );
        let mut jobs = Vec::with_capacity(round.len());
        for (tenant, kind) in round {
            let Some(stream) = self.known(&tenant, kind) else { continue };
            let due = stream.sign_due().filter(|_| stream.is_behind());
            if !stream.is_dirty() && due.is_none() {
                continue;
            }
            stream.taken = rounds;
            let job = stream.sync_job(due.filter(|due| is_taken(*due)).map(|_| now));
            if let Some(due) = due.filter(|due| !is_taken(*due)) {
                self.due.insert((due, Arc::clone(&tenant)));
            }
            jobs.push((tenant, kind, job));
        }
        let audits = jobs.iter().filter(|(_, kind, _)| *kind == Kind::Audit);
        self.in_round = audits.map(|(tenant, ..)| Arc::clone(tenant)).collect();
        jobs
    }

    /// The last round is over, and what of it failed is taken back.
    pub(super) fn settle(&mut self) {
        let (rounds, [audits, _]) = (self.rounds, &mut self.streams);
        for tenant in std::mem::take(&mut self.in_round) {
            if let Some(stream) = audits.get_mut(&tenant).filter(|stream| stream.taken == rounds) {
                stream.settle();
            }
        }
    }

    /// Takes back what could not be synced, to be tried again.
    pub(super) fn sync_failed(&mut self, failed: Round) -> io::Result<()> {
        let mut outcome = Ok(());
        for (tenant, kind, job) in failed {
            if job.checkpoint.is_some() {
                self.is_owing = true;
                self.due.insert((SystemTime::UNIX_EPOCH, Arc::clone(&tenant)));
            }
            let Some(stream) = self.known(&tenant, kind) else { continue };
            let (was_open, was_dirty) = (stream.is_open(), stream.is_dirty());
            stream.sync_failed(job);
            let reopened = stream.reopen();
            let (is_open, is_dirty) = (stream.is_open(), stream.is_dirty());
            self.open = self.open + usize::from(is_open) - usize::from(was_open);
            if is_dirty && !was_dirty {
                self.dirty.push((tenant, kind));
            }
            outcome = outcome.and(reopened);
        }
        outcome
    }

    /// Closes the files of all days before `today`: what is late goes into today's. Everything must be written and synced.
    pub(super) fn close_days(&mut self, today: Day) {
        self.open_from = self.open_from.max(today);
        for stream in self.streams.iter_mut().flat_map(HashMap::values_mut) {
            let was_open = stream.is_open();
            stream.close_before(today);
            self.open -= usize::from(was_open) - usize::from(stream.is_open());
        }
    }

    /// Removes day files that are older than `retain` on a day. Everything must be written and synced.
    pub(super) fn prune(&mut self, now: SystemTime, today: Day) -> io::Result<()> {
        let cutoff = today.before(self.retain);
        let mut gone = Gone::default();
        let outcome = self.prune_before(cutoff, now, &mut gone);
        if gone != Gone::default() {
            let Gone { audit_files, records, log_files } = gone;
            self.warnings.push(Warning::Removed { before: cutoff, audit_files, records, log_files });
        }
        outcome
    }

    fn prune_before(&mut self, cutoff: Day, now: SystemTime, gone: &mut Gone) -> io::Result<()> {
        // The operator's chain proves what is gone: it outlasts it.
        for tenant in self.chains()?.into_iter().filter(|name| name != OPERATOR) {
            self.pulse.beat(Hand::Writer);
            self.prune_chain(&tenant.into(), (cutoff, now), gone)?;
        }
        for tenant in disk::names(&self.log)? {
            self.pulse.beat(Hand::Writer);
            let dir = self.log.join(&tenant);
            if !is_recordable(&tenant) || !dir.is_dir() {
                continue;
            }
            for day in days(&dir)?.into_iter().filter(|day| *day < cutoff) {
                remove_day(&dir, day)?;
                gone.log_files += 1;
            }
        }
        Ok(())
    }

    /// First checkpoint and head say from where on there are records, then the files go.
    fn prune_chain(
        &mut self,
        tenant: &Arc<str>,
        (cutoff, now): (Day, SystemTime),
        all_gone: &mut Gone,
    ) -> io::Result<()> {
        let dir = self.audit.join(&**tenant);
        let is_signed = self.signer.is_some();
        let heads = self.audit.join(".heads");
        let stream = self.stream(tenant, Kind::Audit)?;
        let Some(chain) = &mut stream.chain else { return Ok(()) };
        let BeforeBase { mut own, strangers } = BeforeBase::find(&dir, &chain.base, chain.is_removing)?;
        let rebased = rebase(&dir, cutoff, &chain.base, chain.tip.expected)?;
        let old_checkpoints = if is_signed { trail::old(&dir, cutoff)? } else { None };
        if rebased.is_some() || old_checkpoints.is_some() || chain.is_removing {
            let (base, old) = rebased.unwrap_or_else(|| (chain.base.clone(), Vec::new()));
            own.extend(old);
            let records = base.records.saturating_sub(chain.base.records);
            let before = (std::mem::replace(&mut chain.base, base), chain.is_removing);
            chain.is_removing = !own.is_empty();
            let (gone, first) = old_checkpoints.unzip();
            if let Some(job) = stream.rebased(now, first.map(|first| first.saturating_sub(1))) {
                if let Err(error) = sync::sync_job(&job) {
                    if let Some(chain) = &mut stream.chain {
                        (chain.base, chain.is_removing) = before;
                    }
                    stream.sync_failed(job);
                    return Err(error);
                }
                disk::sync_dir(&heads)?;
            }
            // The oldest first: what a crash leaves leads up to the base without a gap.
            for day in &own {
                remove_day(&dir, *day)?;
                all_gone.audit_files += 1;
            }
            all_gone.records += records;
            gone.iter().flatten().try_for_each(|day| trail::remove(&dir, *day))?;
            Self::removed(stream, &dir, !own.is_empty())?;
        }
        self.warnings.extend(
            strangers.into_iter().map(|day| Warning::Stranger {
                tenant: tenant.to_string(),
                file: day_file::there(&dir, day),
            }),
        );
        Ok(())
    }

    /// Once what was removed is gone for good, the head says that it is.
    fn removed(stream: &mut Stream, dir: &Path, has_removed: bool) -> io::Result<()> {
        let Some(chain) = stream.chain.as_mut().filter(|_| has_removed) else { return Ok(()) };
        chain.is_removing = false;
        let job = stream.head_job();
        let done = disk::sync_dir(dir).and_then(|()| job.as_ref().map_or(Ok(()), sync::sync_job));
        if let Some(chain) = stream.chain.as_mut().filter(|_| done.is_err()) {
            chain.is_removing = true;
        }
        done
    }
}

/// Whether the records of a data directory were made under another master secret: then the roll was, and so was every head.
/// Of a single one that does not fit, somebody made another.
pub(super) fn are_anothers(data_dir: &Path, secrets: &TenantSecrets) -> io::Result<bool> {
    let audit = data_dir.join("audit");
    if !matches!(roll::read(&audit, Some(secrets))?, Err(BadRoll::Mac)) {
        return Ok(false);
    }
    let heads = disk::names(&audit.join(".heads"))?;
    let mut tenants = heads.iter().filter_map(|name| name.strip_suffix(".json")).peekable();
    let has_heads = tenants.peek().is_some();
    for tenant in tenants {
        match read_head(&audit, tenant, Some(&secrets.of(tenant)))? {
            Some(Err(BadHead::Mac)) => {}
            Some(Ok(_) | Err(BadHead::Shape)) | None => return Ok(false),
        }
    }
    Ok(has_heads)
}

/// What retention removed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Gone {
    audit_files: usize,
    records: u64,
    log_files: usize,
}

/// Which chains are signed in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Those that are due.
    Due,
    /// All that are behind.
    All,
}

/// Whether a time has come. One that lies further ahead than it was ever set is of a clock that was put back.
fn is_due(due: SystemTime, now: SystemTime) -> bool {
    due.duration_since(now).map_or(true, |left| left.is_zero() || left > SIGN_EVERY)
}
