//! Where audit files are: in a data_dir, in its `audit/`, in a tenant's directory there, or wherever a copy was put.

use super::{
    OPERATOR,
    before_base::kept_from,
    day_file::{compressed, parse_day},
    disk::{Lines, Next},
};
use std::{
    fs, io,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

/// A path that leads to no audit file.
#[derive(Debug, thiserror::Error)]
pub enum NoAuditFiles {
    #[error("`{path}` holds no audit files (TENANT/YYYY-MM-DD.jsonl)", path = .0.display())]
    Empty(PathBuf),
    #[error("there is no file or directory `{path}`", path = .0.display())]
    Missing(PathBuf),
    #[error("`{path}` cannot be read: {1}", path = .0.display())]
    Unreadable(PathBuf, io::ErrorKind),
}

/// The audit files that a path leads to, by tenant, the oldest first; the operator's are none, nor is what
/// is from before a chain's base. A file is taken whatever its name.
pub fn audit_files(path: &Path) -> Result<Vec<PathBuf>, NoAuditFiles> {
    let kind = fs::metadata(path).map_err(|error| refused(path, &error))?;
    if !kind.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let inner = path.join("audit");
    let dir = if inner.is_dir() { inner } else { path.to_path_buf() };
    let mut files = day_files(&dir)?;
    for name in names(&dir)?.iter().filter(|name| !name.starts_with('.') && *name != OPERATOR) {
        let tenant = dir.join(name);
        if tenant.is_dir() {
            files.extend(day_files(&tenant)?);
        }
    }
    if files.is_empty() { Err(NoAuditFiles::Empty(path.to_path_buf())) } else { Ok(files) }
}

/// Reads a file's whole lines, one by one, until `heard` has enough.
pub fn each_line(path: &Path, heard: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<()> {
    let mut lines = Lines::open(path)?;
    loop {
        match lines.next()? {
            Next::Line(line) => {
                if heard(line).is_break() {
                    return Ok(());
                }
            }
            Next::TooLong => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than any record"));
            }
            Next::Torn(_) | Next::End => return Ok(()),
        }
    }
}

fn day_files(dir: &Path) -> Result<Vec<PathBuf>, NoAuditFiles> {
    let names = names(dir)?;
    let base = kept_from(dir);
    let is_kept = |name: &&String| parse_day(name).is_some_and(|day| base.is_none_or(|base| day >= base));
    let mut files: Vec<PathBuf> = names.iter().filter(is_kept).map(|name| dir.join(name)).collect();
    // Of a day that is both plain and compressed the plain one counts; it sorts before the other.
    files.dedup_by(|next, file| *next == compressed(file));
    Ok(files)
}

fn names(dir: &Path) -> Result<Vec<String>, NoAuditFiles> {
    super::disk::names(dir).map_err(|error| refused(dir, &error))
}

fn refused(path: &Path, error: &io::Error) -> NoAuditFiles {
    match error.kind() {
        io::ErrorKind::NotFound => NoAuditFiles::Missing(path.to_path_buf()),
        kind => NoAuditFiles::Unreadable(path.to_path_buf(), kind),
    }
}
