//! Erasing a tenant: its secret, its logs, its audit chain; and the operator's chain, which keeps a proof that it was
//! done. Apart because nothing else removes what was recorded. Its order lets it be done again after a crash: what is
//! meant is on record first, then the secret goes, then the files, and at the end what was done is on record. One that was
//! begun and never finished is gone on with, whatever is left ([`begun`]).

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use serde_json::{Value, json};

use super::{
    DataDirLock, Warning,
    begun::{self, BEGUN, Begun, ERASED, RESUMED},
    chain::seal,
    disk,
    progress::Progress,
    recover::{head_path, recover},
    roll::{self, BadRoll, Loss, Roll},
    secret::SecretError,
    signing::Signer,
    stamp::{parse_time, rfc3339},
    strays,
    stream::Stream,
    sync::{Kind, sync_round},
    tenant_secrets::{Destroyed, Fate, TenantSecrets},
    verify::{Finding, Means, verify_tenant},
};
use crate::redact::{Detectors, Redactor};

/// The name that the operator's chain goes by. No tenant can have it.
pub const OPERATOR: &str = "_operator";

/// Why a tenant could not be erased, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    #[error("{0}")]
    Secret(#[from] SecretError),
    #[error("{path}: {source}; run the command again", path = path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("{0}; nothing was erased, since the proof of it could not be trusted")]
    Operator(Warning),
    #[error(
        "{0}; nothing was erased, since the proof of it could not be trusted. Run `tollgate audit verify`"
    )]
    Broken(Finding),
    #[error(
        "{0}; nothing was erased, since the proof of it could not be trusted. Run `tollgate audit verify`"
    )]
    Roll(BadRoll),
}

/// What is there of a tenant, and whether its chain was whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    pub audit_records: u64,
    pub audit_removed_by_retention: u64,
    /// Hash of the last audit record that hangs together with those before.
    pub last: String,
    pub is_whole: bool,
    pub log_files: usize,
    pub log_bytes: u64,
    /// Whether the tenant has a secret of its own here, and what is to become of it.
    has_secret: bool,
    fate: Fate,
    /// An erasure that was begun and never finished: this one finishes it.
    pub begun: Option<Begun>,
    /// Whether something was recorded since that was begun: the tenant lived on, under what the first run left.
    lived_on: bool,
}

impl Holdings {
    /// Whether nothing was ever recorded of the tenant, or all of it is gone already, and somebody said so.
    pub fn is_empty(&self) -> bool {
        self.audit_records == 0
            && self.audit_removed_by_retention == 0
            && self.log_files == 0
            && !self.has_secret
            && self.begun.is_none()
    }

    /// What becomes of the secret: an erasure that is gone on with does what it set out to do, where it said so.
    fn fate(&self) -> Fate {
        // What gateways that share a master count, they count alike: an erasure once, however often its command ran. What the
        // tenant made since out of a master of this gateway's own, no first run destroyed.
        let begun = self.begun.as_ref().filter(|begun| !self.lived_on || begun.epoch.is_some());
        let said = begun.and_then(|begun| Some(Fate { destroyed: begun.secret?, epoch: begun.epoch }));
        said.unwrap_or(self.fate)
    }

    fn told(&self) -> Value {
        let fate = self.fate();
        json!({
            "audit_records": self.audit_records, "audit_removed_by_retention": self.audit_removed_by_retention,
            "audit_last": self.last, "audit_whole": self.is_whole,
            "log_files": self.log_files, "log_bytes": self.log_bytes,
            "secret": fate.destroyed.as_str(), "epoch": fate.epoch,
        })
    }
}

/// What is kept of a tenant below `audit` and `log`.
pub fn holdings(data_dir: &Path, tenant: &str, secrets: &TenantSecrets) -> io::Result<Holdings> {
    let audit = data_dir.join("audit");
    let means = Means { secrets: Some(secrets), keys: &[] };
    // Before somebody asks for a secret, which makes one.
    let (has_secret, fate) = (secrets.holds(tenant), secrets.fate(tenant));
    let begun = begun::unfinished(&audit)?.remove(tenant);
    let (report, last) = verify_tenant(&audit, tenant, means, &mut Progress::new(&mut |_| {}));
    let log = data_dir.join("log").join(tenant);
    let since = begun.as_ref().and_then(|begun| parse_time(&begun.since));
    let lived_on = match since {
        Some(since) => changed_since(&audit.join(tenant), since)? || changed_since(&log, since)?,
        None => false,
    };
    let mut held = Holdings {
        audit_records: report.records,
        audit_removed_by_retention: report.removed,
        last: last.as_str().to_owned(),
        is_whole: report.finding.is_none(),
        log_files: 0,
        log_bytes: 0,
        has_secret,
        fate,
        begun,
        lived_on,
    };
    for name in disk::names(&log)? {
        held.log_files += 1;
        held.log_bytes += fs::metadata(log.join(name))?.len();
    }
    Ok(held)
}

/// Whether a file of a directory was written to since. An erasure writes to none: the gateway does.
fn changed_since(dir: &Path, since: SystemTime) -> io::Result<bool> {
    for name in disk::names(dir)? {
        if fs::metadata(dir.join(name))?.modified()? > since {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The links among what an erasure removes. Of such a one only the link would go, so nothing is erased before it is none.
pub fn links(data_dir: &Path, tenant: &str) -> io::Result<Vec<PathBuf>> {
    let audit = data_dir.join("audit");
    let head = head_path(&audit, tenant);
    let places = [audit.join(tenant), head, data_dir.join("log").join(tenant), data_dir.join("secrets.json")];
    let mut found = Vec::new();
    for place in places {
        found.extend(strays::links(&place)?);
    }
    Ok(found)
}

/// The operator's chain, open to say what is done.
pub struct Erasure<'e> {
    data_dir: &'e Path,
    tenant: &'e str,
    by: String,
    secrets: &'e TenantSecrets,
    lock: &'e DataDirLock,
    operator: Stream,
    /// The chains that are here.
    roll: Roll,
}

impl std::fmt::Debug for Erasure<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasure").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl<'e> Erasure<'e> {
    /// Takes up the operator's chain.
    pub fn begin(
        data_dir: &'e Path,
        (tenant, by): (&'e str, &'e str),
        secrets: &'e TenantSecrets,
        signer: Option<Arc<Signer>>,
        lock: &'e DataDirLock,
    ) -> Result<Self, EraseError> {
        let (operator, mut roll) = operators(data_dir, secrets, signer, lock)?;
        roll.chains.insert(OPERATOR.to_owned());
        let by = named(by, secrets);
        Ok(Self { roll, data_dir, tenant, by, secrets, lock, operator })
    }

    /// Erases what the records hold. `others` erases what is kept elsewhere, and says how much that was.
    pub fn run(
        mut self,
        now: SystemTime,
        held: &Holdings,
        others: impl FnOnce() -> Result<u64, String>,
    ) -> Result<(Destroyed, u64), EraseError> {
        let fate = held.fate();
        self.say(now, if held.begun.is_some() { RESUMED } else { BEGUN }, held.told())?;
        self.secrets.destroy(self.tenant, fate, self.lock)?;
        let (audit, log) = (self.data_dir.join("audit"), self.data_dir.join("log"));
        // The operator's chain has a head now. The tenant's is missed no more.
        self.roll.chains.remove(self.tenant);
        roll::write(&audit, &self.roll, self.secrets)
            .map_err(|source| EraseError::Disk { path: roll::path(&audit), source })?;
        for dir in [audit.join(self.tenant), log.join(self.tenant)] {
            gone(fs::remove_dir_all(&dir)).map_err(|source| EraseError::Disk { path: dir, source })?;
        }
        let head = head_path(&audit, self.tenant);
        gone(fs::remove_file(&head)).map_err(|source| EraseError::Disk { path: head, source })?;
        for dir in [audit.join(".heads"), audit, log] {
            gone(disk::sync_dir(&dir)).map_err(|source| EraseError::Disk { path: dir, source })?;
        }
        let elsewhere = others().map_err(|text| EraseError::Disk {
            path: self.data_dir.to_owned(),
            source: io::Error::other(text),
        })?;
        let what = json!({ "secret": fate.destroyed.as_str(), "stored_entries": elsewhere });
        self.say(now, ERASED, what)?;
        Ok((fate.destroyed, elsewhere))
    }

    fn say(&mut self, now: SystemTime, event: &str, what: Value) -> Result<(), EraseError> {
        let about = [("erased", self.tenant.into()), ("by", self.by.as_str().into()), ("what", what)];
        say(&mut self.operator, self.data_dir, (now, event), &about)
    }
}

/// Has an operator acknowledge that a roll of chains could not be believed: it is on record, and `audit verify` tells of
/// it no more. What was lost; nothing where nothing is to be acknowledged.
pub fn acknowledge(
    data_dir: &Path,
    (by, now): (&str, SystemTime),
    secrets: &TenantSecrets,
    signer: Option<Arc<Signer>>,
    lock: &DataDirLock,
) -> Result<Option<Loss>, EraseError> {
    let (mut operator, mut roll) = operators(data_dir, secrets, signer, lock)?;
    let Some(loss) = roll.lost.take() else { return Ok(None) };
    let what = json!({ "what": loss.what, "seen": loss.seen });
    say(
        &mut operator,
        data_dir,
        (now, "loss_acknowledged"),
        &[("by", named(by, secrets).into()), ("what", what)],
    )?;
    roll.chains.insert(OPERATOR.to_owned());
    let audit = data_dir.join("audit");
    roll::write(&audit, &roll, secrets)
        .map_err(|source| EraseError::Disk { path: roll::path(&audit), source })?;
    Ok(Some(loss))
}

/// Who did it, redacted: what people type there is as often an address as a name.
fn named(by: &str, secrets: &TenantSecrets) -> String {
    Redactor::new(secrets.of(OPERATOR), Detectors::all(), Vec::new()).text(by).into_string()
}

/// Takes up the operator's chain, and the roll of all.
fn operators(
    data_dir: &Path,
    secrets: &TenantSecrets,
    signer: Option<Arc<Signer>>,
    lock: &DataDirLock,
) -> Result<(Stream, Roll), EraseError> {
    let audit = data_dir.join("audit");
    let disk = |source| EraseError::Disk { path: audit.clone(), source };
    let secret = secrets.of(OPERATOR);
    secrets.save(lock)?;
    disk::create_dir(&audit.join(".heads")).map_err(disk)?;
    let roll = roll::read(&audit, Some(secrets)).map_err(disk)?;
    let is_known = roll.as_ref().is_ok_and(|roll| roll.chains.contains(OPERATOR));
    // All of it, not only from its head on: what is written behind it is to prove something.
    let means = Means { secrets: Some(secrets), keys: &[] };
    let (report, _) = verify_tenant(&audit, OPERATOR, means, &mut Progress::new(&mut |_| {}));
    if let Some(finding) = report.finding {
        return Err(EraseError::Broken(finding));
    }
    let found = recover(&audit, OPERATOR, &secret, is_known).map_err(disk)?;
    if let Some(broken) = found.warnings.iter().find(|warning| matches!(warning, Warning::Tampered { .. })) {
        return Err(EraseError::Operator(broken.clone()));
    }
    let roll = match roll {
        Ok(roll) => roll,
        Err(BadRoll::Missing) if disk::names(&audit.join(".heads")).map_err(disk)?.is_empty() => {
            Roll::default()
        }
        Err(bad) => return Err(EraseError::Roll(bad)),
    };
    Ok((Stream::audit(audit, (OPERATOR.into(), secret), found, signer), roll))
}

/// Appends a record to the operator's chain, and waits until it is on disk.
fn say(
    operator: &mut Stream,
    data_dir: &Path,
    (now, event): (SystemTime, &str),
    about: &[(&str, Value)],
) -> Result<(), EraseError> {
    let body = [("time", Value::from(rfc3339(now))), ("tenant", OPERATOR.into()), ("event", event.into())];
    operator.line(now, |out, tip| {
        let Some(tip) = tip else { return };
        let start = out.len();
        out.push(b'{');
        for (at, (name, value)) in body.iter().chain(about).enumerate() {
            let comma = if at > 0 { "," } else { "" };
            out.extend_from_slice(format!("{comma}\"{name}\":{value}").as_bytes());
        }
        tip.expected = seal(out, start, &tip.expected);
        tip.records += 1;
    });
    let failed = |source| EraseError::Disk { path: data_dir.join("audit").join(OPERATOR), source };
    operator.write(&mut 0).map_err(failed)?;
    let round = vec![(OPERATOR.into(), Kind::Audit, operator.sync_job(Some(now)))];
    let ended = operator.end().map(|job| (OPERATOR.into(), Kind::Audit, job));
    if sync_round(round).is_empty() && sync_round(ended.into_iter().collect()).is_empty() {
        Ok(())
    } else {
        Err(failed(io::Error::other("what was written could not be synced")))
    }
}

/// What is not there need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
