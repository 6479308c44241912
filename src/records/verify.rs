//! `tollgate audit verify`: reads audit chains from the first record to the last and says where one is broken. Apart
//! from the writer, of which it shares only the chain and the head, so that it works on a copy, as anybody, later.
//! With the master secret the heads' MACs are checked, with public keys the signed checkpoints; with neither, whoever can
//! write the files can make a new chain.

use std::{
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

use super::{
    attest::{Attest, Attested, BadCheckpoint, FoundHead},
    before_base::BeforeBase,
    begun::{self, Begun},
    behind::Behind,
    chain::{Broken, Digest, Walk, genesis},
    day_file::{self, days},
    disk::{self, Lines, Next},
    erase::OPERATOR,
    head::{BadHead, Base, Head},
    progress::Progress,
    recover::{head_path, read_head},
    roll::{self, BadRoll, Loss, Roll},
    signing::PublicKey,
    stamp::Day,
    strays::{self, Entries},
    tenant_secrets::TenantSecrets,
};

/// What was found in an audit directory.
#[derive(Debug)]
pub struct Report {
    /// One a tenant, by name.
    pub tenants: Vec<TenantReport>,
    /// Bytes read.
    pub bytes: u64,
    /// What lies in the directory, is of no chain, and does not look as if it were.
    pub strays: Vec<PathBuf>,
    /// Links in the place of a tenant's directory or file: they are followed, but `tenant erase` refuses them.
    pub links: Vec<PathBuf>,
    /// Erasures of tenants that were begun and never finished.
    pub unfinished: Vec<Begun>,
}

impl Report {
    /// Whether every chain is whole.
    pub fn is_whole(&self) -> bool {
        self.findings().next().is_none()
    }

    /// The first broken place of every tenant that has one.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.tenants.iter().filter_map(|tenant| tenant.finding.as_ref())
    }
}

/// What was found of one tenant's chain.
#[derive(Debug)]
pub struct TenantReport {
    pub tenant: String,
    /// Records that hang together, up to the finding if there is one.
    pub records: u64,
    /// Records that retention removed before those.
    pub removed: u64,
    /// The hash of the last of them: who keeps it elsewhere finds out later that it is not there any more.
    pub last: Digest,
    /// How many of them are behind the head: about a second's worth while a gateway runs, none after a clean end.
    pub unsealed: u64,
    /// Bytes of a last line that is still being written, or that a crash cut short.
    pub torn: u64,
    /// Files of days that hold no record: of nobody, or a crash was before the first one.
    pub empty: Vec<PathBuf>,
    /// Days whose files retention was removing when it was interrupted: the next start goes on with that.
    pub left: usize,
    /// How far it is signed; None: there is no checkpoint, or none of a given key.
    pub attested: Option<Attested>,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
}

impl TenantReport {
    /// What is no tenant's, such as the roll of them all.
    fn of_none(whose: &str, fault: Fault, path: PathBuf) -> Self {
        let tenant = whose.to_owned();
        let place = Some((path, 1));
        let finding = Some(Finding { tenant: tenant.clone(), place, fault });
        Self {
            tenant,
            records: 0,
            removed: 0,
            last: genesis(whose),
            unsealed: 0,
            torn: 0,
            empty: Vec::new(),
            left: 0,
            attested: None,
            finding,
        }
    }
}

/// Something wrong in a chain. Shown as `TENANT: FILE:LINE: what`.
#[derive(Debug)]
pub struct Finding {
    pub tenant: String,
    /// The file and the line in it, from 1; None where no file is left to point at.
    pub place: Option<(PathBuf, u64)>,
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.tenant)?;
        if let Some((file, line)) = &self.place {
            write!(f, "{}:{line}: ", file.display())?;
        }
        write!(f, "{}", self.fault)
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("this record {0}")]
    Record(Broken),
    #[error(
        "the chain ends after {found} records, but its head counts {counted}: the last ones were removed"
    )]
    Cut { found: u64, counted: u64 },
    #[error("the chain is not the one that its head was made for: records were replaced")]
    Replaced,
    #[error("the chain has no head (audit/.heads/{0}.json): it was removed")]
    HeadMissing(String),
    #[error("the chain's head is unreadable")]
    HeadShape,
    #[error("the chain's head was not made with this secret: it was changed, or the secret was")]
    HeadMac,
    #[error("this checkpoint {0}")]
    Checkpoint(BadCheckpoint),
    #[error(
        "its head counts {counted} signed checkpoints, but there are {found}: the last ones were removed"
    )]
    CheckpointsCut { found: u64, counted: u64 },
    #[error("its signed checkpoints are not those that its head was made for: they were replaced")]
    CheckpointsReplaced,
    #[error("it has records, but no checkpoint that a given key has signed")]
    Unsigned,
    #[error(
        "its last {0} records came too long after the last checkpoint that a given key has signed: checkpoints were removed, or signing has stopped"
    )]
    UnsignedEnd(u64),
    #[error("its last record stands in another file than its head says: a day's file was renamed")]
    Renamed,
    #[error(
        "this record is of the day before, of which there is no file, and its head does not say that it came late: a day's file was renamed"
    )]
    Moved,
    #[error("{0} is another day than the plain file beside it: it was put there")]
    Beside(PathBuf),
    #[error(
        "this record came later than its head allows: records were put there behind an old head. {0} records stand behind the head"
    )]
    Beyond(u64),
    #[error("records stand behind the place where its head says that it ended: they were put there")]
    Planted,
    #[error(
        "this file is of a day that retention had removed, and not of the chain: it was put there. Look into it, and move it out of the directory"
    )]
    Stranger,
    #[error(
        "{0} bytes that no line's end closes stand behind the place where its head says that it ended: they were put there"
    )]
    PlantedBytes(u64),
    #[error(
        "this looks like records, but is of no chain: it was put there. Look into it, and move it out of the directory"
    )]
    Unaccounted,
    #[error("its chain and its head are gone, but it is on the roll of chains: it was removed")]
    Removed,
    #[error("{0}")]
    Roll(BadRoll),
    #[error(
        "at {seen} the gateway found: {what}. Which chains were lost then is not known; an operator who has looked into it says so with `tollgate audit acknowledge`"
    )]
    Lost { what: String, seen: String },
    #[error("cannot be read: {0}")]
    Read(io::Error),
}

/// Why there is nothing to verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{path} is no data_dir and no audit directory", path = path.display())]
    NoAudit { path: PathBuf },
    #[error("cannot list {path}", path = path.display())]
    List { path: PathBuf, source: io::Error },
}

/// What chains are checked with, besides themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Means<'m> {
    /// The heads' MACs are made with them.
    pub secrets: Option<&'m TenantSecrets>,
    /// The checkpoints' signatures are checked with them; with none, only whether they fit.
    pub keys: &'m [PublicKey],
}

/// Checks every chain under a data_dir or its `audit/`, several at once. `heard` is told how many bytes were read, as it goes on.
pub fn verify(
    dir: &Path,
    means: Means<'_>,
    threads: usize,
    heard: &mut dyn FnMut(u64),
) -> Result<Report, VerifyError> {
    let inner = dir.join("audit");
    let audit = if inner.is_dir() { inner } else { dir.to_owned() };
    if !audit.join(".heads").is_dir() && audit.file_name().is_none_or(|name| name != "audit")
        || !audit.is_dir()
    {
        return Err(VerifyError::NoAudit { path: dir.to_owned() });
    }
    let list = |path: PathBuf| disk::names(&path).map_err(|source| VerifyError::List { path, source });
    let heads = list(audit.join(".heads"))?;
    let heads = heads.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect();
    let Entries { chains, strays, unaccounted } =
        strays::sort(&audit, &heads).map_err(|source| VerifyError::List { path: audit.clone(), source })?;
    let mut names: BTreeSet<String> = chains.into_iter().chain(heads).collect();
    let (roll, bad_roll) = read_roll(&audit, !names.is_empty(), means)?;
    let Roll { chains: roll, lost } = roll;
    names.extend(roll.iter().cloned());
    let names: Vec<String> = names.into_iter().collect();
    let mut report = begun_report(&audit, &names, strays)?;
    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, names.len().max(1)) {
            let (tell, names, next, audit, roll) = (tell.clone(), &names, &next, &audit, &roll);
            // Nobody hears any more only where the whole is given up.
            scope.spawn(move || {
                while let Some(tenant) = names.get(next.fetch_add(1, Relaxed)) {
                    let mut heard = |bytes| drop(tell.send(Told::Bytes(bytes)));
                    let mut progress = Progress::new(&mut heard);
                    let (mut found, _) = verify_tenant(audit, tenant, means, &mut progress);
                    let is_missed = roll.contains(tenant) && !head_path(audit, tenant).exists();
                    if is_missed && found.records == 0 && found.finding.is_none() {
                        found.finding =
                            Some(Finding { tenant: tenant.clone(), place: None, fault: Fault::Removed });
                    }
                    progress.finish();
                    drop(tell.send(Told::Tenant(Box::new(found))));
                }
            });
        }
        drop(tell);
        for told in told {
            match told {
                Told::Bytes(bytes) => {
                    report.bytes += bytes;
                    heard(report.bytes);
                }
                Told::Tenant(found) => report.tenants.push(*found),
            }
        }
    });
    let lost = lost.into_iter().map(|Loss { what, seen }| Fault::Lost { what, seen });
    let faults = bad_roll.map(Fault::Roll).into_iter().chain(lost);
    report.tenants.extend(faults.map(|fault| TenantReport::of_none("(all)", fault, roll::path(&audit))));
    let unaccounted = unaccounted.into_iter();
    report.tenants.extend(unaccounted.map(|path| TenantReport::of_none("(none)", Fault::Unaccounted, path)));
    report.tenants.sort_unstable_by(|a, b| a.tenant.cmp(&b.tenant));
    Ok(report)
}

/// A report that says so far what is no break.
fn begun_report(audit: &Path, names: &[String], mut strays: Vec<PathBuf>) -> Result<Report, VerifyError> {
    let failed = |path: PathBuf| move |source| VerifyError::List { path, source };
    let unfinished = begun::unfinished(audit).map_err(failed(audit.join(OPERATOR)))?;
    let within = names.iter().map(|name| strays::within(&audit.join(name))).collect::<io::Result<Vec<_>>>();
    strays.extend(within.map_err(failed(audit.to_owned()))?.concat());
    let links = names.iter().map(|name| strays::links(&audit.join(name))).collect::<io::Result<Vec<_>>>();
    let links = links.map_err(failed(audit.to_owned()))?.concat();
    Ok(Report {
        tenants: Vec::new(),
        bytes: 0,
        strays,
        links,
        unfinished: unfinished.into_values().collect(),
    })
}

/// The roll of chains, and why it cannot be believed where that is so.
fn read_roll(
    audit: &Path,
    has_chains: bool,
    means: Means<'_>,
) -> Result<(Roll, Option<BadRoll>), VerifyError> {
    let roll = roll::read(audit, means.secrets)
        .map_err(|source| VerifyError::List { path: roll::path(audit), source })?;
    let is_first = roll::is_first(audit, has_chains, means.secrets)
        .map_err(|source| VerifyError::List { path: audit.with_file_name("log"), source })?;
    Ok(match roll {
        Ok(roll) => (roll, None),
        Err(BadRoll::Missing) if is_first => (Roll::default(), None),
        Err(bad) => (Roll::default(), Some(bad)),
    })
}

/// What a thread has to tell.
enum Told {
    /// So many more bytes were read.
    Bytes(u64),
    Tenant(Box<TenantReport>),
}

/// Checks one chain; once more when a running gateway moved its head meanwhile, since retention moves files with it.
/// Tells the last hash that fits too.
pub(super) fn verify_tenant(
    audit: &Path,
    tenant: &str,
    means: Means<'_>,
    progress: &mut Progress<'_>,
) -> (TenantReport, Digest) {
    let secret = means.secrets.map(|secrets| secrets.of(tenant));
    let read = || read_head(audit, tenant, secret.as_ref());
    let mut head = read();
    for _ in 0..3 {
        let report = verify_against(audit, tenant, (&head, &read), (means.keys, secret.is_some()), progress);
        if report.0.finding.is_none() {
            return report;
        }
        let now = read();
        if matches!((&head, &now), (Ok(before), Ok(now)) if before == now) {
            return report;
        }
        head = now;
    }
    verify_against(audit, tenant, (&head, &read), (means.keys, secret.is_some()), progress)
}

/// How many days' files are left of a removal that was interrupted, and the first other one of such days.
fn before_base(dir: &Path, base: &Base, is_removing: bool) -> (usize, Option<(PathBuf, Fault)>) {
    match BeforeBase::find(dir, base, is_removing) {
        Ok(BeforeBase { own, strangers }) => {
            let strange = strangers.first().map(|day| (day_file::there(dir, *day), Fault::Stranger));
            (own.len(), strange)
        }
        Err(error) => (0, Some((dir.to_owned(), Fault::Read(error)))),
    }
}

type HeadFile = io::Result<Option<Result<Head, BadHead>>>;

fn verify_against(
    audit: &Path,
    tenant: &str,
    (head, reread): (&HeadFile, &dyn Fn() -> HeadFile),
    (keys, is_checked): (&[PublicKey], bool),
    progress: &mut Progress<'_>,
) -> (TenantReport, Digest) {
    let dir = audit.join(tenant);
    // Before the records are read: those that a checkpoint counts were written before it.
    let (attest, unread) = match Attest::open(&dir, tenant, keys) {
        Ok(attest) => (Some(attest), None),
        Err(error) => (None, Some(Fault::Read(error))),
    };
    let good = head.as_ref().ok().and_then(|head| head.as_ref()?.as_ref().ok());
    let base = good.map_or_else(|| Base::genesis(tenant), |head| head.base.clone());
    let mut reading = Reading {
        walk: Walk { expected: base.prev, records: base.records, latest: base.day },
        place: None,
        seal: good.cloned(),
        sealed: good.map_or(0, |head| head.records),
        behind: None,
        beyond: None,
        reread,
        attest,
        torn: 0,
        empty: Vec::new(),
        is_end: good.is_some_and(|head| head.is_end),
        day: None,
        last_made: None,
        progress,
    };
    let read_head = FoundHead { head: good, is_checked };
    let walked = reading.begin().and_then(|()| reading.read_files(&dir, &base));
    let (found, counted, is_end) = (reading.walk.records, reading.sealed, reading.is_end);
    let beyond = reading.beyond.take().map(|place| {
        reading.place = Some(place);
        Fault::Beyond(found.saturating_sub(counted))
    });
    let fault = unread.or(beyond).or_else(|| walked.err()).or_else(|| match head {
        Ok(Some(Ok(_))) if found < counted => Some(Fault::Cut { found, counted }),
        Ok(Some(Ok(_))) if is_end && found > counted => Some(Fault::Planted),
        Ok(Some(Ok(_))) if is_end && reading.torn > 0 => Some(Fault::PlantedBytes(reading.torn)),
        Ok(Some(Ok(_))) => None,
        Ok(Some(Err(BadHead::Shape))) => Some(Fault::HeadShape),
        Ok(Some(Err(BadHead::Mac))) => Some(Fault::HeadMac),
        Ok(None) if reading.walk.records == 0 => None,
        Ok(None) => Some(Fault::HeadMissing(tenant.to_owned())),
        Err(error) => Some(Fault::Read(io::Error::new(error.kind(), error.to_string()))),
    });
    let fault = fault.or_else(|| reading.finish(&base, read_head).err());
    let (left, strange) = before_base(&dir, &base, good.is_some_and(|head| head.is_removing));
    if let (None, Some((file, _))) = (&fault, &strange) {
        reading.place = Some((file.clone(), 1));
    }
    let fault = fault.or_else(|| strange.map(|(_, fault)| fault));
    let report = TenantReport {
        tenant: tenant.to_owned(),
        records: reading.walk.records.saturating_sub(base.records),
        removed: base.records,
        last: reading.walk.expected,
        unsealed: found.saturating_sub(counted),
        torn: reading.torn,
        empty: reading.empty,
        left,
        attested: reading.attest.as_ref().and_then(Attest::attested),
        finding: fault.map(|fault| Finding { tenant: tenant.to_owned(), place: reading.place, fault }),
    };
    (report, reading.walk.expected)
}

struct Reading<'a, 'p> {
    walk: Walk,
    /// The line that was read last.
    place: Option<(PathBuf, u64)>,
    /// The head, until the walk comes to its record and fits it.
    seal: Option<Head>,
    /// How many records it counts.
    sealed: u64,
    /// Passes what is behind it, and the first record that may not be there.
    behind: Option<Behind>,
    beyond: Option<(PathBuf, u64)>,
    /// The head as it is now: a gateway that runs puts new ones in its place.
    reread: &'a dyn Fn() -> HeadFile,
    /// The signed checkpoints; None where they cannot be read.
    attest: Option<Attest<'a>>,
    torn: u64,
    empty: Vec<PathBuf>,
    /// The head says that the chain ends where it does.
    is_end: bool,
    /// The day whose file is read.
    day: Option<Day>,
    /// The time of the line that was read last.
    last_made: Option<String>,
    progress: &'a mut Progress<'p>,
}

impl Reading<'_, '_> {
    /// What can be compared before the first record.
    fn begin(&mut self) -> Result<(), Fault> {
        let first = self.attest.as_mut().map_or(Ok(()), Attest::advance);
        self.at_checkpoint(first)?;
        self.compare_seal()?;
        self.compare_checkpoint()
    }

    /// Where the walk stands at what the next checkpoint counts, they must be the same.
    fn compare_checkpoint(&mut self) -> Result<(), Fault> {
        let Some(attest) = self.attest.as_mut().filter(|attest| attest.due() <= self.walk.records) else {
            return Ok(());
        };
        let compared = attest.compare(&self.walk, self.day);
        self.at_checkpoint(compared)
    }

    fn finish(&mut self, base: &Base, head: FoundHead<'_>) -> Result<(), Fault> {
        let Some(attest) = &mut self.attest else { return Ok(()) };
        attest.last_made = self.last_made.take();
        let finished = attest.finish(&self.walk, base, head);
        self.at_checkpoint(finished)
    }

    /// A fault of a checkpoint is at its place.
    fn at_checkpoint(&mut self, outcome: Result<(), Fault>) -> Result<(), Fault> {
        if matches!(outcome, Err(Fault::Checkpoint(_))) {
            self.place = self.attest.as_ref().and_then(|attest| attest.place.clone());
        }
        outcome
    }

    /// Keeps the time of a line.
    fn made(&mut self, line: &[u8]) {
        let made = self.last_made.get_or_insert_default();
        made.clear();
        made.push_str(Walk::time_of(line).unwrap_or_default());
    }

    /// A crash can leave a day's compressed file beside the plain one: then they hold the same.
    fn beside(dir: &Path, day: Day) -> Result<(), Fault> {
        match day_file::differs_beside(dir, day) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Fault::Beside(day_file::compressed(&day_file::day_path(dir, day)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Fault::Read(error)),
        }
    }

    fn read_files(&mut self, dir: &Path, base: &Base) -> Result<(), Fault> {
        let (mut before, late) = (None::<Day>, self.seal.as_ref().map(|head| head.late.clone()));
        for day in days(dir).map_err(Fault::Read)? {
            // What is older than the base is looked at apart from this.
            if base.day.is_some_and(|base| day < base) {
                continue;
            }
            // A torn line is the writer's, who is in the middle of it, only at the very end.
            let torn = std::mem::take(&mut self.torn);
            let mut lines = Lines::of(dir, day, 0).map_err(Fault::Read)?;
            let file = lines.path().to_owned();
            Self::beside(dir, day)?;
            self.day = Some(day);
            // Of a chain without a head nothing is known of days.
            let begins = late.as_ref().is_some_and(|late| !late.contains(&day))
                && base.day != Some(day)
                && before.is_none_or(|before| before.next() != day);
            before = Some(day);
            let mut number = 0;
            loop {
                let next = lines.next().map_err(Fault::Read)?;
                if torn > 0 && matches!(next, Next::Line(_) | Next::Torn(_)) {
                    return Err(Fault::Record(Broken::Shape));
                }
                number += 1;
                match next {
                    Next::Line(line) => {
                        self.progress.add(line.len() as u64 + 1);
                        let stepped = self.walk.step(line, day).map_err(Fault::Record);
                        if stepped.is_err() || self.place.as_ref().is_none_or(|(at, _)| *at != file) {
                            self.place = Some((file.clone(), number));
                        } else if let Some((_, at)) = &mut self.place {
                            *at = number;
                        }
                        stepped?;
                        if begins && number == 1 && Walk::time_of(line).and_then(Day::parse) != Some(day) {
                            return Err(Fault::Moved);
                        }
                        self.made(line);
                        self.pass_behind(line);
                        self.compare_seal()?;
                        self.compare_checkpoint()?;
                    }
                    Next::TooLong => {
                        self.place = Some((file, number));
                        return Err(Fault::Record(Broken::TooLong));
                    }
                    Next::Torn(bytes) => {
                        self.torn = bytes as u64;
                        if self.is_end {
                            self.place = Some((file, number));
                        }
                        break;
                    }
                    Next::End => {
                        self.empty.extend((number == 1).then_some(file));
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Where the walk stands at the head's record, they must be the same.
    fn compare_seal(&mut self) -> Result<(), Fault> {
        match self.seal.take_if(|head| head.records == self.walk.records) {
            Some(head) => {
                self.behind = (!head.is_end).then(|| Behind::of(&head));
                if head.last != self.walk.expected {
                    return Err(Fault::Replaced);
                }
                match (self.day, head.at) {
                    (Some(day), Some((at, _))) if day != at => Err(Fault::Renamed),
                    _ => Ok(()),
                }
            }
            None => Ok(()),
        }
    }

    /// A record behind the head must not be younger than that allows, unless a newer head counts it meanwhile.
    fn pass_behind(&mut self, line: &[u8]) {
        if self.behind.as_mut().is_none_or(|behind| behind.admits(line)) || self.beyond.is_some() {
            return;
        }
        match (self.reread)() {
            Ok(Some(Ok(newer))) if newer.records >= self.walk.records => {
                (self.sealed, self.is_end, self.behind) = (newer.records, newer.is_end, None);
                self.seal = Some(newer);
            }
            Ok(Some(_) | None) | Err(_) => self.beyond = self.place.clone(),
        }
    }
}
