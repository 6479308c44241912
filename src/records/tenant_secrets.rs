//! The secrets of tenants: derived from the master secret and, for each tenant, from something beside it that can be
//! destroyed. Apart from the master because this is what `tollgate tenant erase` takes away: without it nobody can
//! tell any more what a tenant's tokens stood for, with the master secret neither.
//!
//! `data_dir/secrets.json` (0600) holds it by tenant. Where the master is the data directory's own, it is 32 random
//! bytes, made before the tenant's first record. Where `records.secret` gives the master, gateways must agree without
//! telling each other: there is nothing at first, and a count of erasures afterwards. Such a secret is not destroyed
//! before `records.secret` is. So it is too for a tenant whose records are older than this file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value, json};

use super::{DataDirLock, disk, entry::is_recordable, recover::head_path, secret::SecretError};
use crate::redact::TenantSecret;

const FILE: &str = "secrets.json";
/// Stands among the tenants, of which none can have such a name, once there is a roll of chains.
const ROLL: &str = "_roll";
const SALT_BYTES: usize = 32;

/// Whose the master secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Master {
    /// Made in the data directory, for it alone.
    Own,
    /// Given by the operator, perhaps to several gateways.
    Given,
}

/// What a tenant's secret is derived from beside the master.
#[derive(Clone, PartialEq, Eq)]
enum Kept {
    Salt([u8; SALT_BYTES]),
    /// So often the tenant was erased.
    Epoch(u64),
}

/// What became of a tenant's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destroyed {
    /// Nobody can make it again.
    Forever,
    /// Another one is used from now on; whoever has the master secret can make the old one again.
    Replaced,
}

impl Destroyed {
    /// As a record says it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Forever => "destroyed",
            Self::Replaced => "replaced",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Forever, Self::Replaced].into_iter().find(|known| known.as_str() == text)
    }
}

/// What an erasure is to do with a tenant's secret: found out before it is begun, so that one that is gone on with does
/// the same, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    pub(super) destroyed: Destroyed,
    /// How often it is erased then; None where nobody counts.
    pub(super) epoch: Option<u64>,
}

/// The secrets of all tenants of a data directory.
pub struct TenantSecrets {
    master: Vec<u8>,
    whose: Master,
    /// None: only to be looked at, nothing is made.
    data_dir: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: BTreeMap<String, Kept>,
    /// Something is in there that is not in the file.
    is_fresh: bool,
    /// Why a tenant has no secret of its own that could be destroyed.
    failed: Option<SecretError>,
}

impl std::fmt::Debug for TenantSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantSecrets").field("whose", &self.whose).finish_non_exhaustive()
    }
}

impl TenantSecrets {
    /// Derived from a master secret alone.
    pub fn of_master(master: impl Into<Vec<u8>>) -> Self {
        Self { master: master.into(), whose: Master::Given, data_dir: None, state: Mutex::default() }
    }

    /// Those of a data directory.
    pub fn open(data_dir: &Path, master: Vec<u8>, whose: Master) -> Result<Self, SecretError> {
        let path = data_dir.join(FILE);
        let kept = match disk::read(&path) {
            Ok(text) => parse(&text).ok_or_else(|| SecretError::Unreadable { path: path.clone() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(SecretError::Read { path, source }),
        };
        let state = Mutex::new(State { kept, ..State::default() });
        Ok(Self { master, whose, data_dir: Some(data_dir.to_owned()), state })
    }

    /// The master secret, for what is no tenant's.
    pub fn master(&self) -> &[u8] {
        &self.master
    }

    /// A key of all gateways that were given the same master secret; none where this one made its own.
    pub fn shared(&self, purpose: &str) -> Option<[u8; 32]> {
        (self.whose == Master::Given).then(|| TenantSecret::derive(&self.master, "").key(purpose))
    }

    /// A tenant's secret. One that is made now must be saved before it is used.
    pub fn of(&self, tenant: &str) -> TenantSecret {
        let mut state = self.state();
        if !state.kept.contains_key(tenant) && self.begins(tenant) {
            let mut salt = [0; SALT_BYTES];
            match getrandom::fill(&mut salt) {
                Ok(()) => {
                    state.kept.insert(tenant.to_owned(), Kept::Salt(salt));
                    state.is_fresh = true;
                }
                Err(error) => state.failed = Some(SecretError::Random(error)),
            }
        }
        match state.kept.get(tenant) {
            None => TenantSecret::derive(&self.master, tenant),
            Some(Kept::Salt(salt)) => TenantSecret::derive_with(&self.master, tenant, salt),
            Some(Kept::Epoch(epoch)) => {
                TenantSecret::derive_with(&self.master, tenant, format!("epoch {epoch}").as_bytes())
            }
        }
    }

    /// Whether a roll of the chains here was made. What is not of a data directory does not know better.
    pub(super) fn knows_of_roll(&self) -> bool {
        self.data_dir.is_none() || self.state().kept.contains_key(ROLL)
    }

    /// A roll of the chains here was made: one that is missing from now on was removed. To be saved.
    pub(super) fn note_roll(&self) {
        if !self.knows_of_roll() {
            let mut state = self.state();
            state.kept.insert(ROLL.to_owned(), Kept::Epoch(1));
            state.is_fresh = true;
        }
    }

    /// Whether something was made that is not saved yet.
    pub fn is_fresh(&self) -> bool {
        let state = self.state();
        state.is_fresh || state.failed.is_some()
    }

    /// Writes what was made since. The lock shows that nobody else does.
    pub fn save(&self, _lock: &DataDirLock) -> Result<(), SecretError> {
        let mut state = self.state();
        if let Some(error) = state.failed.take() {
            return Err(error);
        }
        if state.is_fresh {
            self.write(&state.kept)?;
            state.is_fresh = false;
        }
        Ok(())
    }

    /// Whether a tenant has something of its own here that an erasure takes away.
    pub fn holds(&self, tenant: &str) -> bool {
        match self.state().kept.get(tenant) {
            Some(Kept::Salt(_)) => true,
            // A count of erasures is nobody's, while it is counted.
            Some(Kept::Epoch(_)) => self.whose == Master::Own,
            None => false,
        }
    }

    /// What erasing a tenant will do with its secret.
    pub fn fate(&self, tenant: &str) -> Fate {
        let kept = self.state().kept.get(tenant).cloned();
        let destroyed = match kept {
            Some(Kept::Salt(_)) => Destroyed::Forever,
            Some(Kept::Epoch(_)) | None => Destroyed::Replaced,
        };
        let before = match kept {
            Some(Kept::Epoch(epoch)) => epoch,
            Some(Kept::Salt(_)) | None => 0,
        };
        Fate { destroyed, epoch: (self.whose == Master::Given).then(|| before.saturating_add(1)) }
    }

    /// Takes a tenant's secret away. Done once more, it does nothing else.
    pub fn destroy(&self, tenant: &str, fate: Fate, _lock: &DataDirLock) -> Result<(), SecretError> {
        let mut kept = self.state().kept.clone();
        let before = kept.remove(tenant);
        if let Some(epoch) = fate.epoch.filter(|_| self.whose == Master::Given) {
            let reached = match before {
                Some(Kept::Epoch(reached)) => reached,
                Some(Kept::Salt(_)) | None => 0,
            };
            kept.insert(tenant.to_owned(), Kept::Epoch(epoch.max(reached)));
        }
        self.write(&kept)?;
        self.state().kept = kept;
        Ok(())
    }

    /// Whether this is a tenant's first time here, so that its secret may have something of its own.
    fn begins(&self, tenant: &str) -> bool {
        let Some(dir) = self.data_dir.as_ref().filter(|_| self.whose == Master::Own) else { return false };
        let audit = dir.join("audit");
        let places = [audit.join(tenant), head_path(&audit, tenant), dir.join("log").join(tenant)];
        is_recordable(tenant) && !places.iter().any(|place| place.exists())
    }

    fn write(&self, kept: &BTreeMap<String, Kept>) -> Result<(), SecretError> {
        let Some(dir) = &self.data_dir else { return Ok(()) };
        let path = dir.join(FILE);
        let text = format!("{}\n", render(kept));
        let written = disk::replace(&path, &text).and_then(|()| disk::sync_dir(dir));
        written.map_err(|source| SecretError::Create { path, source })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn render(kept: &BTreeMap<String, Kept>) -> Value {
    let member = |(tenant, kept): (&String, &Kept)| {
        let told = match kept {
            Kept::Salt(salt) => {
                json!({ "salt": salt.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
            }
            Kept::Epoch(epoch) => json!({ "epoch": epoch }),
        };
        (tenant.clone(), told)
    };
    Value::Object(kept.iter().map(member).collect())
}

fn parse(text: &[u8]) -> Option<BTreeMap<String, Kept>> {
    let members: Map<String, Value> = serde_json::from_slice(text).ok()?;
    let mut kept = BTreeMap::new();
    for (tenant, told) in members {
        let one = match (told.get("salt"), told.get("epoch")) {
            (Some(Value::String(hex)), None) => Kept::Salt(salt(hex)?),
            (None, Some(epoch)) => Kept::Epoch(epoch.as_u64()?),
            (Some(_) | None, _) => return None,
        };
        kept.insert(tenant, one);
    }
    Some(kept)
}

fn salt(hex: &str) -> Option<[u8; SALT_BYTES]> {
    let mut salt = [0; SALT_BYTES];
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != SALT_BYTES || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in salt.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(salt)
}
