//! `tollgate audit verify`: reads audit chains from the first record to the last and says where one is broken. Apart
//! from the writer, of which it shares only the chain and the head, so that it works on a copy, as anybody, later.
//! Without the master secret the heads' MACs are not checked: then whoever can write the files can make a new chain.

use std::{
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
};

use super::{
    chain::{Broken, Digest, Walk},
    day_file::days,
    disk::{self, Lines, Next},
    entry::is_recordable,
    head::{BadHead, Base, Head},
    recover::read_head,
    tenant_secrets::TenantSecrets,
};
use crate::redact::TenantSecret;

/// What was found in an audit directory.
#[derive(Debug)]
pub struct Report {
    /// One a tenant, by name.
    pub tenants: Vec<TenantReport>,
    /// Bytes read.
    pub bytes: u64,
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
    /// How many of them are behind the head: about a second's worth while a gateway runs, none after a clean end.
    pub unsealed: u64,
    /// Bytes of a last line that is still being written, or that a crash cut short.
    pub torn: u64,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
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

/// Checks every chain under a data_dir or its `audit/`. With the master secret the heads' MACs are checked too.
pub fn verify(dir: &Path, secrets: Option<&TenantSecrets>) -> Result<Report, VerifyError> {
    verify_heard(dir, secrets, &mut |_| {})
}

/// The same; `heard` is told how many bytes were read, as it goes on.
pub fn verify_heard(
    dir: &Path,
    secrets: Option<&TenantSecrets>,
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
    let mut names: BTreeSet<String> =
        list(audit.clone())?.into_iter().filter(|name| is_recordable(name)).collect();
    let heads = list(audit.join(".heads"))?;
    names.extend(heads.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned));
    let mut report = Report { tenants: Vec::new(), bytes: 0 };
    let mut progress = Progress::new(heard);
    for tenant in names {
        let secret = secrets.map(|secrets| secrets.of(&tenant));
        report.tenants.push(verify_tenant(&audit, &tenant, secret.as_ref(), &mut progress).0);
    }
    report.bytes = progress.bytes;
    Ok(report)
}

/// Checks one chain; once more when a running gateway moved its head meanwhile, since retention moves files with it.
/// Tells the last hash that fits too.
pub(super) fn verify_tenant(
    audit: &Path,
    tenant: &str,
    secret: Option<&TenantSecret>,
    progress: &mut Progress<'_>,
) -> (TenantReport, Digest) {
    let read = || read_head(audit, tenant, secret);
    let mut head = read();
    for _ in 0..3 {
        let report = verify_against(audit, tenant, &head, progress);
        if report.0.finding.is_none() {
            return report;
        }
        let now = read();
        if matches!((&head, &now), (Ok(before), Ok(now)) if before == now) {
            return report;
        }
        head = now;
    }
    verify_against(audit, tenant, &head, progress)
}

type FoundHead = io::Result<Option<Result<Head, BadHead>>>;

fn verify_against(
    audit: &Path,
    tenant: &str,
    head: &FoundHead,
    progress: &mut Progress<'_>,
) -> (TenantReport, Digest) {
    let base = match head {
        Ok(Some(Ok(head))) => head.base.clone(),
        Ok(Some(Err(_)) | None) | Err(_) => Base::genesis(tenant),
    };
    let mut reading = Reading {
        walk: Walk { expected: base.prev, records: base.records },
        place: None,
        seal: head.as_ref().ok().and_then(|head| head.as_ref()?.as_ref().ok()),
        torn: 0,
        progress,
    };
    let walked = reading.compare_seal().and_then(|()| reading.read_files(&audit.join(tenant), &base));
    let fault = walked.err().or_else(|| match head {
        Ok(Some(Ok(head))) if reading.walk.records < head.records => {
            Some(Fault::Cut { found: reading.walk.records, counted: head.records })
        }
        Ok(Some(Ok(_))) => None,
        Ok(Some(Err(BadHead::Shape))) => Some(Fault::HeadShape),
        Ok(Some(Err(BadHead::Mac))) => Some(Fault::HeadMac),
        Ok(None) if reading.walk.records == 0 => None,
        Ok(None) => Some(Fault::HeadMissing(tenant.to_owned())),
        Err(error) => Some(Fault::Read(io::Error::from(error.kind()))),
    });
    let sealed = match head {
        Ok(Some(Ok(head))) => head.records,
        Ok(Some(Err(_)) | None) | Err(_) => 0,
    };
    let last = reading.walk.expected;
    let report = TenantReport {
        tenant: tenant.to_owned(),
        records: reading.walk.records.saturating_sub(base.records),
        removed: base.records,
        unsealed: reading.walk.records.saturating_sub(sealed),
        torn: reading.torn,
        finding: fault.map(|fault| Finding { tenant: tenant.to_owned(), place: reading.place, fault }),
    };
    (report, last)
}

/// So many bytes later it is told again how many were read.
const TOLD_EVERY_BYTES: u64 = 4 << 20;

/// What was read so far, and who hears of it.
pub(super) struct Progress<'p> {
    bytes: u64,
    told: u64,
    heard: &'p mut dyn FnMut(u64),
}

impl<'p> Progress<'p> {
    pub(super) fn new(heard: &'p mut dyn FnMut(u64)) -> Self {
        Self { bytes: 0, told: 0, heard }
    }

    fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.bytes - self.told >= TOLD_EVERY_BYTES {
            self.told = self.bytes;
            (self.heard)(self.bytes);
        }
    }
}

struct Reading<'a, 'p> {
    walk: Walk,
    /// The line that was read last.
    place: Option<(PathBuf, u64)>,
    /// The head, until the walk comes to its record and fits it.
    seal: Option<&'a Head>,
    torn: u64,
    progress: &'a mut Progress<'p>,
}

impl Reading<'_, '_> {
    fn read_files(&mut self, dir: &Path, base: &Base) -> Result<(), Fault> {
        for day in days(dir).map_err(Fault::Read)? {
            // What is older than the base was removed by retention, or is about to be.
            if base.day.is_some_and(|base| day < base) {
                continue;
            }
            // A torn line is the writer's, who is in the middle of it, only at the very end.
            let torn = std::mem::take(&mut self.torn);
            let mut lines = Lines::of(dir, day, 0).map_err(Fault::Read)?;
            let file = lines.path().to_owned();
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
                        self.compare_seal()?;
                    }
                    Next::TooLong => {
                        self.place = Some((file, number));
                        return Err(Fault::Record(Broken::TooLong));
                    }
                    Next::Torn(bytes) => {
                        self.torn = bytes as u64;
                        break;
                    }
                    Next::End => break,
                }
            }
        }
        Ok(())
    }

    /// Where the walk stands at the head's record, they must be the same.
    fn compare_seal(&mut self) -> Result<(), Fault> {
        match self.seal {
            Some(head) if head.records == self.walk.records => {
                self.seal = None;
                if head.last == self.walk.expected { Ok(()) } else { Err(Fault::Replaced) }
            }
            Some(_) | None => Ok(()),
        }
    }
}
