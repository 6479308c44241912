//! The roll: which tenants have a chain here. Apart from the heads, which tell of one chain each: what shows that a chain
//! was removed together with its head is that its name is on the roll. Under the master secret, so that nobody without
//! it can strike a name off. A name is put on it once the chain has a head, and struck off by `tenant erase` alone.
//! Where a roll could not be believed, the one in its place says so for ever, until an operator acknowledges it.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{disk, tenant_secrets::TenantSecrets};
use crate::redact::TenantSecret;

/// No tenant can have such a name, nor does a head end so.
const FILE: &str = "roll";
const NAME: &str = ".roll";

/// Why a roll cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRoll {
    #[error("the roll of chains (audit/.heads/roll) is missing: it was removed")]
    Missing,
    #[error("the roll of chains is unreadable")]
    Shape,
    #[error("the roll of chains was not made with this secret: it was changed, or the secret was")]
    Mac,
}

/// The file below `audit`.
pub(super) fn path(audit: &Path) -> PathBuf {
    audit.join(".heads").join(FILE)
}

/// What a roll says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Roll {
    /// The chains that are here.
    pub(super) chains: BTreeSet<String>,
    /// That the one before could not be believed, until an operator has acknowledged it.
    pub(super) lost: Option<Loss>,
}

/// A roll that could not be believed: which chains stood on it, nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub what: String,
    /// When that was seen.
    pub seen: String,
}

impl Roll {
    /// A roll in the place of one that cannot be believed.
    pub(super) fn instead_of(bad: BadRoll, seen: String) -> Self {
        Self { chains: BTreeSet::new(), lost: Some(Loss { what: bad.to_string(), seen }) }
    }

    fn members(&self) -> Value {
        let mut members = json!({ "chains": self.chains });
        if let (Value::Object(members), Some(Loss { what, seen })) = (&mut members, &self.lost) {
            members.insert("lost".into(), json!({ "what": what, "seen": seen }));
        }
        members
    }

    fn of_members(members: &Value) -> Option<Self> {
        let names = members.get("chains")?.as_array()?.iter();
        let chains = names.map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>()?;
        let text = |loss: &Value, key: &str| loss.get(key)?.as_str().map(str::to_owned);
        let lost = match members.get("lost") {
            Some(loss) => Some(Loss { what: text(loss, "what")?, seen: text(loss, "seen")? }),
            None => None,
        };
        Some(Self { chains, lost })
    }
}

/// Reads the roll. Without secrets its MAC is not checked.
pub(super) fn read(audit: &Path, secrets: Option<&TenantSecrets>) -> io::Result<Result<Roll, BadRoll>> {
    match disk::read(&path(audit)) {
        Ok(text) => Ok(parse(&text, secrets)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err(BadRoll::Missing)),
        Err(error) => Err(error),
    }
}

/// Whether a roll that is missing was never made: there were no records yet, since nobody has a chain or a log beside the
/// chains, or they are older than rolls are.
pub(super) fn is_first(audit: &Path, has_chains: bool, secrets: Option<&TenantSecrets>) -> io::Result<bool> {
    if secrets.is_some_and(|secrets| !secrets.knows_of_roll()) {
        return Ok(true);
    }
    let Some(data_dir) = audit.parent().filter(|_| !has_chains) else { return Ok(!has_chains) };
    match fs::read_dir(data_dir.join("log")) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Puts the roll in place, and waits until it is on the disk.
pub(super) fn write(audit: &Path, roll: &Roll, secrets: &TenantSecrets) -> io::Result<()> {
    let mut document = roll.members();
    let mac = mac(&document, secrets);
    if let Value::Object(members) = &mut document {
        members.insert("mac".into(), mac.into());
    }
    let path = path(audit);
    disk::replace(&path, &format!("{document}\n"))?;
    path.parent().map_or(Ok(()), disk::sync_dir)
}

fn parse(text: &[u8], secrets: Option<&TenantSecrets>) -> Result<Roll, BadRoll> {
    let document: Value = serde_json::from_slice(text).map_err(|_| BadRoll::Shape)?;
    let said = document.get("mac").and_then(Value::as_str).ok_or(BadRoll::Shape)?;
    let roll = Roll::of_members(&document).ok_or(BadRoll::Shape)?;
    // What was understood, written again, leaves no room for a member that was not looked at.
    let mut own = roll.members();
    let signed = own.clone();
    if let Value::Object(members) = &mut own {
        members.insert("mac".into(), said.into());
    }
    if own != document {
        return Err(BadRoll::Shape);
    }
    match secrets {
        Some(secrets) if mac(&signed, secrets) != said => Err(BadRoll::Mac),
        Some(_) | None => Ok(roll),
    }
}

fn mac(members: &Value, secrets: &TenantSecrets) -> String {
    TenantSecret::derive(secrets.master(), NAME).hmac_hex("audit roll", members.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roll_reads_back_and_no_changed_byte_does() {
        let secrets = TenantSecrets::of_master([7; 32]);
        let dir = crate::records::tests::fixture::Dir::new();
        let audit = dir.0.join("audit");
        disk::create_dir(&audit.join(".heads")).unwrap();
        assert_eq!(read(&audit, None).unwrap(), Err(BadRoll::Missing));
        let loss = Loss { what: BadRoll::Missing.to_string(), seen: "2026-11-25T10:00:00.000Z".into() };
        for (names, lost) in
            [(vec![], Some(&loss)), (vec!["acme"], None), (vec!["_operator", "acme"], Some(&loss))]
        {
            let chains: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
            let roll = Roll { chains, lost: lost.cloned() };
            write(&audit, &roll, &secrets).unwrap();
            assert_eq!(read(&audit, Some(&secrets)).unwrap(), Ok(roll.clone()));
            assert_eq!(read(&audit, None).unwrap(), Ok(roll));
            let other = TenantSecrets::of_master([8; 32]);
            assert_eq!(read(&audit, Some(&other)).unwrap(), Err(BadRoll::Mac));
            let text = fs::read(path(&audit)).unwrap();
            for at in 0..text.len() - 1 {
                let mut changed = text.clone();
                changed[at] ^= 1;
                assert!(parse(&changed, Some(&secrets)).is_err(), "byte {at}");
            }
        }
    }
}
