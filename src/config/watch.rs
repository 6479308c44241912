//! Has a file of the configuration changed, or one that it names: a secret, an issuer's keys, an authority? Names, sizes, times and inodes tell, without reading a byte: cheap
//! enough to ask every second, and true on every file system, ConfigMap mounts (whose links are swapped) included.

use super::{At, Loaded, Mark, SecretRef, raw};
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
    /// Key sets of issuers, secrets that are shown to others, authorities, certificates of listeners.
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
        Self { file: path.to_owned(), dirs, named: named(loaded) }
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

/// The files that a configuration names and that are read again with it. What is read once, when the gateway starts
/// (the admin token, the records' secret), is not among them.
fn named(loaded: &Loaded) -> Vec<PathBuf> {
    let gateway = loaded.gateway.as_ref();
    let upstreams =
        || gateway.into_iter().flat_map(|gateway| &gateway.upstreams.0).map(|(_, upstream)| upstream);
    let shared = upstreams().filter_map(|upstream| upstream.auth.as_ref()).flat_map(|auth| &auth.0);
    let own = loaded.tenants.iter().flat_map(|tenant| &tenant.credentials.0).map(|(_, auth)| auth);
    let credentials = shared.chain(own).map(secret_of);
    let settings = || {
        let own = loaded.tenants.iter().map(|tenant| &tenant.settings);
        own.chain(gateway.and_then(|gateway| gateway.defaults.as_ref()))
    };
    let webhooks = settings().filter_map(|settings| settings.approvals.as_ref()?.webhook.as_ref());
    let variables = upstreams().flat_map(|upstream| &upstream.env.0).map(|(_, secret)| secret);
    let secrets = credentials.chain(webhooks).chain(variables).filter_map(secret_file);
    let issuers = gateway.and_then(|gateway| gateway.identity.as_ref());
    let issuers = issuers.into_iter().flat_map(|identity| &identity.jwt);
    let issuers = issuers.filter_map(|jwt| match &jwt.jwks {
        raw::Jwks::File(file) => Some(file),
        raw::Jwks::Url(_, authority) => authority.as_ref(),
    });
    let authorities = upstreams().filter_map(|upstream| upstream.ca.as_ref());
    let redacts = settings().filter_map(|settings| settings.redact.as_ref()?.analyzer.as_ref()?.ca.as_ref());
    let listeners = gateway.and_then(|gateway| gateway.listen.as_ref());
    let tls = listeners.into_iter().flat_map(|many| &many.0).filter_map(|listener| listener.tls.as_ref());
    let certificates =
        tls.flat_map(|tls| [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()]).flatten();
    let others = issuers
        .chain(authorities)
        .chain(redacts)
        .chain(certificates)
        .map(|file| (file.at, file.value.as_path()));
    let found = secrets.chain(others);
    let mut files: Vec<PathBuf> = found.map(|(at, path)| loaded.files.base_dir(at.file).join(path)).collect();
    // Many tenants may name the same.
    files.sort_unstable();
    files.dedup();
    files
}

fn secret_of(auth: &raw::Auth) -> &At<SecretRef> {
    match auth {
        raw::Auth::Bearer(secret) => secret,
        raw::Auth::Header(header) => &header.value,
    }
}

fn secret_file(secret: &At<SecretRef>) -> Option<(Mark, &Path)> {
    match &secret.value {
        SecretRef::File(path) => Some((secret.at, path)),
        SecretRef::Env(_) | SecretRef::Plain(_) => None,
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

    #[test]
    fn every_file_that_is_read_again_is_watched() {
        let dir = tempfile::tempdir().unwrap();
        let secret = |name: &str| format!("{{ file: {name} }}");
        let (bearer, header, variable) = (secret("bearer"), secret("header"), secret("variable"));
        let (webhook, own, default) = (secret("webhook"), secret("own"), secret("default"));
        let (once, other) = (secret("once"), secret("other"));
        let yaml = format!(
            "listen: {{ address: \"127.0.0.1:1\", tls: {{ cert: cert, key: private, client_ca: clients }} }}\nadmin_token: {once}\nrecords: {{ secret: {other} }}\ntenants:\n  acme:\n    approvals: {{ webhook: {webhook} }}\n    credentials: {{ a: {{ bearer: {own} }} }}\ndefaults: {{ approvals: {{ webhook: {default} }}, redact: {{ analyzer: {{ url: \"https://a\", ca: analyzer }} }} }}\nidentity:\n  jwt:\n    - {{ issuer: i, audience: a, jwks: {{ file: keys }}, tenant: claims.t }}\n    - {{ issuer: j, audience: a, jwks: {{ url: \"https://j\", ca: authority }}, tenant: claims.t }}\nupstreams:\n  a: {{ kind: openai, url: \"https://a\", ca: other_authority, auth: [{{ bearer: {bearer} }}, {{ header: {{ name: x, value: {header} }} }}] }}\n  b: {{ kind: mcp, command: [x], env: {{ V: {variable}, W: {{ env: W }} }} }}\n"
        );
        let file = dir.path().join("tollgate.yaml");
        fs::write(&file, yaml).unwrap();
        let loaded = super::super::load(&file);
        let watched = Watched::of(&file, &loaded);
        let names: Vec<_> =
            watched.named.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        let expected = [
            "analyzer",
            "authority",
            "bearer",
            "cert",
            "clients",
            "default",
            "header",
            "keys",
            "other_authority",
            "own",
            "private",
            "variable",
            "webhook",
        ];
        assert_eq!(names, expected, "{:?}", loaded.problems);
    }
}
