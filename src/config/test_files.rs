//! Policy tests wherever somebody points. Apart from `load`, which knows those beside the tenants' files.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::load::{is_test_file, tidy};

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
    } else if path.file_name().is_some_and(|name| is_test_file(Path::new(name))) {
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
        } else if is_test_file(Path::new(&entry.file_name())) {
            found.insert(path);
        }
    }
    Ok(())
}
