//! Erasures of tenants that were begun and never finished, as the operator's chain tells: the command was killed, or the
//! disk failed it half-way. Apart from the erasure itself, because whoever reads the chains has to say so too: what such
//! an erasure leaves behind looks like records that were changed.

use std::{collections::BTreeMap, io, path::Path};

use serde_json::Value;

use super::{
    day_file::days,
    disk::{Lines, Next},
    erase::OPERATOR,
    tenant_secrets::Destroyed,
};

/// What the erasure of a tenant says of itself in the operator's chain: that it is meant, gone on with, and done.
pub(super) const BEGUN: &str = "tenant_erase_begun";
pub(super) const RESUMED: &str = "tenant_erase_resumed";
pub(super) const ERASED: &str = "tenant_erased";

/// An erasure that was begun and never finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub tenant: String,
    /// When it was begun.
    pub since: String,
    /// What was to become of the tenant's secret, and how often it is erased then, where that is counted.
    pub(super) secret: Option<Destroyed>,
    pub(super) epoch: Option<u64>,
}

/// The erasures that were begun and never finished, by tenant. What is no record is the verifier's to tell.
pub(super) fn unfinished(audit: &Path) -> io::Result<BTreeMap<String, Begun>> {
    let dir = audit.join(OPERATOR);
    let mut found = BTreeMap::new();
    for day in days(&dir)? {
        let mut lines = Lines::of(&dir, day, 0)?;
        while let Next::Line(line) = lines.next()? {
            note(&mut found, line);
        }
    }
    Ok(found)
}

fn note(found: &mut BTreeMap<String, Begun>, line: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Value>(line) else { return };
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let Some(tenant) = text("erased") else { return };
    match text("event") {
        Some(BEGUN) => {
            let what = record.get("what");
            let secret = what.and_then(|what| Destroyed::parse(what.get("secret")?.as_str()?));
            let epoch = what.and_then(|what| what.get("epoch")?.as_u64());
            let since = text("time").unwrap_or_default().to_owned();
            found.insert(tenant.to_owned(), Begun { tenant: tenant.to_owned(), since, secret, epoch });
        }
        Some(ERASED) => drop(found.remove(tenant)),
        Some(_) | None => {}
    }
}
