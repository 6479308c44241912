//! The secret that the tenants' are derived from.

use super::*;
use crate::redact::TenantSecret;

#[test]
fn a_secret_is_made_once_and_never_replaced() {
    let dir = Dir::new();
    let inner = Dir(dir.0.join("data"));
    assert!(secret::existing(&inner.0).unwrap().is_none());
    let made = secret::master(&inner.0, None).unwrap();
    assert!(made.len() >= secret::BYTES_MIN && made.iter().any(|byte| *byte != 0));
    assert_eq!(secret::master(&inner.0, None).unwrap(), made);
    assert_eq!(secret::existing(&inner.0).unwrap(), Some(made));
    assert_eq!(files(&inner.0), [inner.0.join("secret")]);
    assert_eq!(secret::master(&inner.0, Some(vec![1; 32])).unwrap(), [1; 32]);
    assert!(matches!(
        secret::master(&inner.0, Some(vec![1; 31])),
        Err(secret::SecretError::GivenTooShort(31))
    ));
    fs::write(inner.0.join("secret"), "short").unwrap();
    assert!(matches!(
        secret::master(&inner.0, None),
        Err(secret::SecretError::FoundTooShort { found: 5, .. })
    ));
    assert_eq!(fs::read(inner.0.join("secret")).unwrap(), b"short");
    fs::remove_file(inner.0.join("secret")).unwrap();
    fs::create_dir(inner.0.join("secret")).unwrap();
    assert!(matches!(secret::master(&inner.0, None), Err(secret::SecretError::Read { .. })));
}

fn open_secrets(dir: &Dir, whose: Master) -> TenantSecrets {
    TenantSecrets::open(&dir.0, MASTER.to_vec(), whose).unwrap()
}

fn told(secrets: &TenantSecrets, tenant: &str) -> String {
    secrets.of(tenant).hmac_hex("test", b"")
}

#[test]
fn a_tenant_s_own_secret_lasts_until_it_is_destroyed() {
    let dir = Dir::new();
    let lock = DataDirLock::take(&dir.0).unwrap();
    let secrets = open_secrets(&dir, Master::Own);
    let (acme, globex) = (told(&secrets, "acme"), told(&secrets, "globex"));
    assert!(secrets.is_fresh());
    secrets.save(&lock).unwrap();
    assert!(!secrets.is_fresh());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(dir.0.join("secrets.json")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let again = open_secrets(&dir, Master::Own);
    assert_eq!((told(&again, "acme"), told(&again, "globex")), (acme.clone(), globex.clone()));
    assert!(again.holds("acme") && again.fate("acme").destroyed == Destroyed::Forever);
    again.destroy("acme", again.fate("acme"), &lock).unwrap();
    let after = open_secrets(&dir, Master::Own);
    assert!(!after.holds("acme"));
    assert_ne!(told(&after, "acme"), acme);
    assert_eq!(told(&after, "globex"), globex);
}

/// Else a gateway whose erasure was interrupted would make other tokens than those it shares a secret with.
#[test]
fn an_erasure_that_is_gone_on_with_counts_once() {
    let dir = Dir::new();
    let lock = DataDirLock::take(&dir.0).unwrap();
    let secrets = open_secrets(&dir, Master::Given);
    let before = told(&secrets, "acme");
    let fate = secrets.fate("acme");
    secrets.destroy("acme", fate, &lock).unwrap();
    let once = told(&secrets, "acme");
    assert!(once != before && !secrets.holds("acme"));
    open_secrets(&dir, Master::Given).destroy("acme", fate, &lock).unwrap();
    let again = open_secrets(&dir, Master::Given);
    assert_eq!(told(&again, "acme"), once);
    again.destroy("acme", again.fate("acme"), &lock).unwrap();
    assert_ne!(told(&again, "acme"), once);
}

#[test]
fn records_from_before_go_on_under_the_secret_that_they_had() {
    let dir = Dir::new();
    chain(&dir, &[0]);
    let secrets = open_secrets(&dir, Master::Own);
    assert_eq!(told(&secrets, "acme"), TenantSecret::derive(&MASTER, "acme").hmac_hex("test", b""));
    assert!(!secrets.is_fresh());
}

#[test]
fn lost_or_broken_secrets_are_told_and_not_made_anew() {
    let dir = Dir::new();
    let lock = DataDirLock::take(&dir.0).unwrap();
    let secrets = Arc::new(open_secrets(&dir, Master::Own));
    assert_eq!(told(&secrets, "acme").len(), 64);
    secrets.save(&lock).unwrap();
    let mut sink = Sink::open(&dir.0, secrets, None, YEAR, time(0)).unwrap();
    write(&mut sink, [denied("acme")]);
    sync(&mut sink);
    drop(sink);
    let path = dir.0.join("secrets.json");
    let good = fs::read_to_string(&path).unwrap();
    for bad in ["", "{", "[]", r#"{"acme":{"salt":"00"}}"#, r#"{"acme":{}}"#, &good.replace("salt", "epoch")]
    {
        fs::write(&path, bad).unwrap();
        let opened = TenantSecrets::open(&dir.0, MASTER.to_vec(), Master::Own);
        assert!(matches!(opened, Err(secret::SecretError::Unreadable { .. })), "{bad}");
    }
    fs::remove_file(&path).unwrap();
    let sink = Sink::open(&dir.0, Arc::new(open_secrets(&dir, Master::Own)), None, YEAR, time(0)).unwrap();
    assert!(matches!(sink.warnings[..], [Warning::Tampered { .. }]), "{:?}", sink.warnings);
}
