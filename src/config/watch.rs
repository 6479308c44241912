//! Has a file of the configuration changed? Names, sizes, times and inodes tell, without reading a byte: cheap
//! enough to ask every second, and true on every file system, ConfigMap mounts (whose links are swapped) included.

use super::{Loaded, raw};
use sha2::{Digest, Sha256};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The files that a configuration consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    file: PathBuf,
    dirs: Vec<PathBuf>,
    /// Key sets of issuers, and the certificates of listeners.
    named: Vec<PathBuf>,
}

impl Watched {
    /// The files that were loaded, and those that may join them in the tenants' directories.
    pub fn of(path: &Path, loaded: &Loaded) -> Self {
        let tenants = loaded.gateway.as_ref().and_then(|gateway| gateway.tenants.as_ref());
        let dirs = match tenants {
            Some(raw::Tenants::Dirs(dirs)) => {
                dirs.iter().map(|dir| loaded.files.base_dir(dir.at.file).join(&dir.value)).collect()
            }
            Some(raw::Tenants::Inline(_)) | None => Vec::new(),
        };
        let identity = loaded.gateway.as_ref().and_then(|gateway| gateway.identity.as_ref());
        let sets =
            identity.into_iter().flat_map(|identity| &identity.jwt).filter_map(|jwt| match &jwt.jwks {
                raw::Jwks::File(at) => Some(loaded.files.base_dir(at.at.file).join(&at.value)),
                raw::Jwks::Url(..) => None,
            });
        let listeners = loaded.gateway.iter().filter_map(|gateway| gateway.listen.as_ref());
        let tls = listeners.flat_map(|many| &many.0).filter_map(|listener| listener.tls.as_ref());
        let certificates = tls.flat_map(|tls| [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()]);
        let certificates = certificates.flatten().map(|at| loaded.files.base_dir(at.at.file).join(&at.value));
        Self { file: path.to_owned(), dirs, named: sets.chain(certificates).collect() }
    }

    /// Another one as soon as a file is changed, added or removed.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        note(&mut hash, &self.file);
        self.named.iter().for_each(|file| note(&mut hash, file));
        for dir in &self.dirs {
            let mut entries: Vec<PathBuf> =
                fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            entries.sort_unstable();
            entries.iter().for_each(|entry| note(&mut hash, entry));
        }
        hash.finalize().into()
    }
}

fn note(hash: &mut Sha256, path: &Path) {
    hash.update(path.as_os_str().as_encoded_bytes());
    match fs::metadata(path) {
        Ok(found) => {
            hash.update([1]);
            for number in [found.ino(), found.len()] {
                hash.update(number.to_le_bytes());
            }
            for number in [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()] {
                hash.update(number.to_le_bytes());
            }
        }
        Err(_) => hash.update([0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_tells() {
        let dir = tempfile::tempdir().unwrap();
        let (file, tenants) = (dir.path().join("tollgate.yaml"), dir.path().join("tenants"));
        let keys = dir.path().join("jwks.json");
        fs::create_dir(&tenants).unwrap();
        fs::write(&file, "a").unwrap();
        let watched = Watched { file: file.clone(), dirs: vec![tenants.clone()], named: vec![keys.clone()] };
        let mut seen = vec![watched.fingerprint()];
        assert_eq!(watched.fingerprint(), seen[0]);
        let mut changed = |act: &dyn Fn()| {
            act();
            let now = watched.fingerprint();
            assert!(!seen.contains(&now));
            seen.push(now);
        };
        changed(&|| fs::write(&file, "ab").unwrap());
        changed(&|| fs::write(tenants.join("acme.yaml"), "x").unwrap());
        changed(&|| fs::write(tenants.join("acme.yaml"), "xy").unwrap());
        changed(&|| fs::rename(tenants.join("acme.yaml"), tenants.join("globex.yaml")).unwrap());
        changed(&|| fs::write(&keys, "k").unwrap());
        changed(&|| fs::write(&keys, "K").unwrap());
        changed(&|| fs::remove_file(&file).unwrap());
    }
}
