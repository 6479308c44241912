//! Where policy tests are: beside the tenants' files, or wherever somebody points. Apart from `load`, which reads what
//! runs; tests run nothing.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{Loaded, load::tidy, raw};

/// How the names of test files end.
const ENDINGS: [&str; 2] = [".test.yaml", ".test.yml"];
/// So deep are directories looked through.
const DEPTH_MAX: usize = 16;

/// A path that leads to no tests.
#[derive(Debug, thiserror::Error)]
pub enum NoTests {
    #[error("there is no file or directory `{}`", .0.display())]
    Missing(PathBuf),
    #[error("`{}` is no test file: its name must end in `.test.yaml`", .0.display())]
    WrongName(PathBuf),
    #[error("`{}` holds no test file: none has a name that ends in `.test.yaml`", .0.display())]
    Empty(PathBuf),
    #[error("`{path}` cannot be read: {1}", path = .0.display())]
    Unreadable(PathBuf, io::ErrorKind),
}

impl NoTests {
    /// Whether the path itself is wrong, not what it leads to.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Missing(_) | Self::WrongName(_) => true,
            Self::Empty(_) | Self::Unreadable(..) => false,
        }
    }
}

/// The test files that stand beside the tenants' files of a configuration, sorted.
pub fn test_files_beside(loaded: &Loaded) -> Result<Vec<PathBuf>, NoTests> {
    let Some(gateway) = &loaded.gateway else { return Ok(Vec::new()) };
    let base = |file| loaded.files.base_dir(file).to_path_buf();
    let dirs = match &gateway.tenants {
        Some(raw::Tenants::Dirs(dirs)) => {
            dirs.iter().map(|dir| tidy(&base(dir.at.file).join(&dir.value))).collect()
        }
        Some(raw::Tenants::Inline(_)) | None => vec![base(gateway.at.file)],
    };
    let mut found = BTreeSet::new();
    for dir in dirs {
        search(&dir, 1, &mut found)?;
    }
    Ok(found.into_iter().collect())
}

/// The test files that paths lead to: files as they are, directories with all below them. All that is wrong, at once.
pub fn test_files_at(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<NoTests>> {
    let (mut found, mut wrong) = (BTreeSet::new(), Vec::new());
    for path in paths {
        wrong.extend(at(path, &mut found).err());
    }
    if wrong.is_empty() { Ok(found.into_iter().collect()) } else { Err(wrong) }
}

fn at(path: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), NoTests> {
    let kind = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NoTests::Missing(path.to_path_buf()),
        kind => NoTests::Unreadable(path.to_path_buf(), kind),
    })?;
    if kind.is_dir() {
        let mut below = BTreeSet::new();
        search(path, DEPTH_MAX, &mut below)?;
        if below.is_empty() {
            return Err(NoTests::Empty(path.to_path_buf()));
        }
        found.append(&mut below);
    } else if is_test_file(path) {
        found.insert(path.to_path_buf());
    } else {
        return Err(NoTests::WrongName(path.to_path_buf()));
    }
    Ok(())
}

/// Test files of a directory and of those within it. Links to directories are not followed, hidden names left out.
fn search(dir: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) -> Result<(), NoTests> {
    let unreadable = |error: io::Error| NoTests::Unreadable(dir.to_path_buf(), error.kind());
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = tidy(&dir.join(entry.file_name()));
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type().map_err(unreadable)?.is_dir() {
            if depth > 1 && !is_hidden {
                search(&path, depth - 1, found)?;
            }
        } else if !is_hidden && is_test_file(&path) {
            found.insert(path);
        }
    }
    Ok(())
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}
