//! What lies in an audit directory: chains, and what somebody left there. Editors and backups leave things that are no
//! break; but nothing that looks like records may be there of which no chain accounts.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{day_file::parse_day, disk::names, entry::is_recordable, trail};

/// The entries of an audit directory.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The names of directories that are, or may be, a tenant's.
    pub(super) chains: BTreeSet<String>,
    /// Of no chain, and nothing like it.
    pub(super) strays: Vec<PathBuf>,
    /// Of no chain, but it looks like records, or like a head.
    pub(super) unaccounted: Vec<PathBuf>,
}

/// Sorts what is there; `heads` are the names that have one.
pub(super) fn sort(audit: &Path, heads: &BTreeSet<String>) -> io::Result<Entries> {
    let mut found = Entries::default();
    for name in names(audit)?.into_iter().filter(|name| name != ".heads") {
        let path = audit.join(&name);
        let is_dir = fs::metadata(&path).is_ok_and(|meta| meta.is_dir());
        if heads.contains(&name) {
            found.chains.insert(name);
        } else if is_dir && looks_like_a_chain(&path, is_recordable(&name)) {
            if is_recordable(&name) {
                found.chains.insert(name);
            } else {
                found.unaccounted.push(path);
            }
        } else if !is_dir && (parse_day(&name).is_some() || name.ends_with(".json")) {
            found.unaccounted.push(path);
        } else {
            found.strays.push(path);
        }
    }
    let heads = audit.join(".heads");
    let is_own = |name: &str| name == "roll" || [".json", ".tmp"].iter().any(|end| name.ends_with(end));
    found.strays.extend(names(&heads)?.iter().filter(|name| !is_own(name)).map(|name| heads.join(name)));
    Ok(found)
}

/// What lies in a chain's directory and is none of its files.
pub(super) fn within(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let is_own = |name: &str| {
        let day = [".torn", ".tmp"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        parse_day(day).is_some()
    };
    let mut found = Vec::new();
    for dir in [dir.to_owned(), dir.join(trail::DIR)].into_iter().filter(|dir| dir.is_dir()) {
        let strange = names(&dir)?.into_iter().filter(|name| !is_own(name) && name != trail::DIR);
        found.extend(strange.map(|name| dir.join(name)));
    }
    Ok(found)
}

/// The links in the place of a directory or a file, and below it: what one leads to is not removed with it.
pub(super) fn links(path: &Path) -> io::Result<Vec<PathBuf>> {
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        kind => kind?,
    };
    if kind.is_symlink() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in kind.is_dir().then(|| fs::read_dir(path)).transpose()?.into_iter().flatten() {
        found.extend(links(&entry?.path())?);
    }
    Ok(found)
}

/// Whether a directory holds records, or checkpoints of some. One that cannot be looked into might, if a tenant can have its
/// name (a volume's `lost+found` is none).
fn looks_like_a_chain(dir: &Path, is_recordable: bool) -> bool {
    names(dir).map_or(is_recordable, |names| {
        names.iter().any(|name| parse_day(name).is_some() || name == trail::DIR)
    })
}
