//! References to secrets: where one is, and fetching it. Neither a reference to a bare secret nor a fetched one
//! shows its content in `Debug`. Apart because nothing else of the configuration reads the environment.

use std::{fmt, fs::File, io::Read as _, path::Path, path::PathBuf};

/// Largest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// A secret's text. Shown by nothing; [`Secret::expose`] is the only way to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In an environment variable.
    Env(String),
    /// In a file, relative to the file that names it.
    File(PathBuf),
    /// In the configuration itself, which `check` warns about.
    Plain(Secret),
}

/// Why a secret could not be fetched. Names the place, never what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretMissing {
    #[error("the secret is empty, or blank")]
    Empty,
    #[error("the environment variable {0} is not set")]
    Env(String),
    #[error("the file {path} cannot be read: {reason}", path = .0.display(), reason = .1)]
    File(PathBuf, String),
    #[error("the secret is not text, or longer than 64 KiB")]
    Unfit,
}

impl SecretRef {
    /// Whether the secret stands in the configuration itself.
    pub fn is_bare(&self) -> bool {
        match self {
            Self::Env(_) | Self::File(_) => false,
            Self::Plain(_) => true,
        }
    }

    /// Fetches the secret. `env` looks a variable up; `base_dir` is the directory of the naming file.
    /// One line break at the end of a file is not part of the secret.
    pub fn resolve(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<Secret, SecretMissing> {
        let text = match self {
            Self::Env(name) => env(name).ok_or_else(|| SecretMissing::Env(name.clone()))?,
            Self::File(path) => read(&base_dir.join(path))?,
            Self::Plain(secret) => return Ok(secret.clone()),
        };
        if text.trim().is_empty() { Err(SecretMissing::Empty) } else { Ok(Secret(text)) }
    }
}

/// The mode of a secret's file where others can read it, or anybody but its owner can write it.
pub(super) fn open_mode(path: &Path) -> Option<u32> {
    let mode = mode(path)? & 0o777;
    // What Kubernetes mounts is in a directory of its own, `..DATE`, and what Docker does in `/run/secrets`: the container's
    // alone.
    let is_mounted = path.canonicalize().is_ok_and(|path| {
        path.starts_with("/run/secrets")
            || path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b".."))
    });
    (mode & 0o026 != 0 && !is_mounted).then_some(mode)
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(path.metadata().ok()?.mode())
}

#[cfg(not(unix))]
fn mode(_: &Path) -> Option<u32> {
    None
}

/// Why a file cannot be read, in words for people.
pub fn why_unread(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        kind => kind.to_string(),
    }
}

fn read(path: &Path) -> Result<String, SecretMissing> {
    let failed = |error: std::io::Error| SecretMissing::File(path.to_path_buf(), why_unread(&error));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SECRET_BYTES_MAX {
        return Err(SecretMissing::Unfit);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| SecretMissing::Unfit)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
