//! The secret that the tenants' are derived from.

use super::*;

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
