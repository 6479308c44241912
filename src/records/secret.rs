//! The master secret, from which every tenant's is derived: given by the operator, or made once and kept in the data
//! directory. Apart because it must be made exactly once and never be overwritten: with another one, pseudonyms no
//! longer match earlier ones and audit heads no longer verify.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::disk;

/// Fewest bytes of a secret, given or found.
pub const BYTES_MIN: usize = 32;

/// Why there is no master secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(
        "the secret given in records.secret has {0} bytes; give at least {BYTES_MIN} random ones (openssl rand -hex 32)"
    )]
    GivenTooShort(usize),
    #[error("{path} has {found} bytes, fewer than {BYTES_MIN}: put the right secret back, or, if records may lose their link to earlier ones, remove the file to have a new one made", path = path.display())]
    FoundTooShort { path: PathBuf, found: usize },
    #[error("cannot read {path}: make it readable to the gateway, or give records.secret", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot create {path}: make the directory writable, or give records.secret", path = path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("{path} is no file of tenants' secrets: put the right one back", path = path.display())]
    Unreadable { path: PathBuf },
    #[error("the system gives no random bytes: give records.secret")]
    Random(#[source] getrandom::Error),
}

/// The master secret: the given one, else that of `data_dir/secret`, which is made (0600) if there is none.
pub fn master(data_dir: &Path, given: Option<Vec<u8>>) -> Result<Vec<u8>, SecretError> {
    if let Some(given) = given {
        return if given.len() < BYTES_MIN {
            Err(SecretError::GivenTooShort(given.len()))
        } else {
            Ok(given)
        };
    }
    match existing(data_dir)? {
        Some(found) => Ok(found),
        None => make(data_dir),
    }
}

/// The secret that was made in `data_dir` earlier, if one was. Creates nothing.
pub fn existing(data_dir: &Path) -> Result<Option<Vec<u8>>, SecretError> {
    let path = data_dir.join("secret");
    match disk::read(&path) {
        Ok(found) if found.len() < BYTES_MIN => Err(SecretError::FoundTooShort { path, found: found.len() }),
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SecretError::Read { path, source }),
    }
}

/// Writes a new secret beside its place and links it there, which fails where one appeared meanwhile: then that counts.
fn make(data_dir: &Path) -> Result<Vec<u8>, SecretError> {
    let path = data_dir.join("secret");
    let mut fresh = vec![0; BYTES_MIN];
    getrandom::fill(&mut fresh).map_err(SecretError::Random)?;
    let aside = data_dir.join(format!("secret.{}.tmp", std::process::id()));
    let linked = disk::create_dir(data_dir).and_then(|()| write_new(&aside, &fresh)).and_then(|()| {
        let linked = fs::hard_link(&aside, &path);
        fs::remove_file(&aside)?;
        linked
    });
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return existing(data_dir)?.ok_or(SecretError::Create { path, source: error });
        }
        Err(source) => return Err(SecretError::Create { path, source }),
    }
    disk::sync_dir(data_dir).map_err(|source| SecretError::Create { path, source })?;
    Ok(fresh)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = disk::private().write(true).create(true).truncate(true).open(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}
