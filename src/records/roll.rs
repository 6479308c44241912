//! The roll: which tenants have a chain here. Apart from the heads, which tell of one chain each: what shows that a chain
//! was removed together with its head is that its name is on the roll. Under the master secret, so that nobody without
//! it can strike a name off. A name is put on it once the chain has a head, and struck off by `tenant erase` alone.

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

/// Reads the roll. Without secrets its MAC is not checked.
pub(super) fn read(
    audit: &Path,
    secrets: Option<&TenantSecrets>,
) -> io::Result<Result<BTreeSet<String>, BadRoll>> {
    match fs::read(path(audit)) {
        Ok(text) => Ok(parse(&text, secrets)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err(BadRoll::Missing)),
        Err(error) => Err(error),
    }
}

/// Whether there were no records yet: nobody has a log beside the chains. A roll that is missing then was never made.
pub(super) fn is_first(audit: &Path) -> io::Result<bool> {
    let Some(data_dir) = audit.parent() else { return Ok(true) };
    match fs::read_dir(data_dir.join("log")) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Puts the roll in place, and waits until it is on the disk.
pub(super) fn write(audit: &Path, names: &BTreeSet<String>, secrets: &TenantSecrets) -> io::Result<()> {
    let chains = json!({ "chains": names });
    let document = json!({ "chains": names, "mac": mac(&chains, secrets) });
    let path = path(audit);
    disk::replace(&path, &format!("{document}\n"))?;
    path.parent().map_or(Ok(()), disk::sync_dir)
}

fn parse(text: &[u8], secrets: Option<&TenantSecrets>) -> Result<BTreeSet<String>, BadRoll> {
    let document: Value = serde_json::from_slice(text).map_err(|_| BadRoll::Shape)?;
    let members = document.as_object().filter(|members| members.len() == 2).ok_or(BadRoll::Shape)?;
    let names = members.get("chains").and_then(Value::as_array).ok_or(BadRoll::Shape)?;
    let names: Option<BTreeSet<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    let names = names.ok_or(BadRoll::Shape)?;
    let said = members.get("mac").and_then(Value::as_str).ok_or(BadRoll::Shape)?;
    match secrets {
        Some(secrets) if mac(&json!({ "chains": names }), secrets) != said => Err(BadRoll::Mac),
        Some(_) | None => Ok(names),
    }
}

fn mac(chains: &Value, secrets: &TenantSecrets) -> String {
    TenantSecret::derive(secrets.master(), NAME).hmac_hex("audit roll", chains.to_string().as_bytes())
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
        for names in [vec![], vec!["acme"], vec!["_operator", "acme", "globex"]] {
            let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
            write(&audit, &names, &secrets).unwrap();
            assert_eq!(read(&audit, Some(&secrets)).unwrap(), Ok(names.clone()));
            assert_eq!(read(&audit, None).unwrap(), Ok(names));
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
