//! Identify: who shows what a request shows. A key is found at once, a token that was seen before too; a new token may
//! wait a moment for its issuer's keys.

use crate::{
    clock,
    identity::{
        Identity, KeyDigest, Shown, Unidentified,
        key_set::KeySet,
        token::{Issuer, KeySource, Token},
    },
    server::Secure,
    snapshot::Snapshot,
};
use http::request::Parts;
use std::sync::Arc;

/// Identifies a request by its headers, and by its client's certificate. `now` in seconds since 1970, UTC.
pub(super) async fn identify(snapshot: &Snapshot, head: &Parts, now: i64) -> Result<Identity, Unidentified> {
    let shown = match snapshot.directory.look(&head.headers, now)? {
        Shown::Key(identity) => Ok(Some(identity.clone())),
        Shown::Nothing => Ok(None),
        Shown::Unknown => Err(Unidentified),
        Shown::Token { bytes, digest } => match remembered(snapshot, &digest, now) {
            Some(identity) => Ok(Some(identity)),
            None => Box::pin(verified(snapshot, bytes, digest)).await.map(Some),
        },
    };
    let certificate = head.extensions.get::<Secure>().and_then(|secure| secure.0.as_ref());
    if certificate.is_some() && snapshot.directory.takes_certificates() {
        // A certificate that names nobody, and what is wrong beside one, makes nobody somebody else.
        let found = snapshot.directory.certified(certificate, shown)?.ok_or(Unidentified)?;
        return snapshot.directory.settle(Ok(found));
    }
    snapshot.directory.settle(shown.and_then(|shown| shown.ok_or(Unidentified)))
}

fn remembered(snapshot: &Snapshot, digest: &KeyDigest, now: i64) -> Option<Identity> {
    let (identity, issuer, keys) = snapshot.directory.remembered(digest, now)?;
    (*current(snapshot, issuer)?.digest() == keys).then_some(identity)
}

fn current(snapshot: &Snapshot, issuer: &Issuer) -> Option<Arc<KeySet>> {
    match &issuer.keys {
        KeySource::Here(keys) => Some(Arc::clone(keys)),
        KeySource::Url(how) => snapshot.key_sets.get(how)?.current(),
    }
}

async fn verified(snapshot: &Snapshot, bytes: &[u8], digest: KeyDigest) -> Result<Identity, Unidentified> {
    let now = || clock::unix_seconds(clock::wall());
    let directory = &snapshot.directory;
    let token = Token::read(bytes).ok_or(Unidentified)?;
    let issuer = directory.issuer_of(&token, now()).ok_or(Unidentified)?;
    let keys = match &issuer.keys {
        KeySource::Here(keys) => Some(Arc::clone(keys)),
        KeySource::Url(how) => match snapshot.key_sets.get(how) {
            Some(published) => published.with(|keys| token.is_of(keys)).await,
            None => None,
        },
    };
    directory.verify(&token, &*keys.ok_or(Unidentified)?, digest, now())
}
