//! Identify: who shows what a request shows. A key is found at once, a token that was seen before too; a new token may
//! wait a moment for its issuer's keys.

use crate::{
    clock,
    identity::{
        Identity, KeyDigest, Shown, Unidentified,
        key_set::KeySet,
        token::{Issuer, KeySource, Token},
    },
    snapshot::Snapshot,
};
use http::HeaderMap;
use std::sync::Arc;

/// Identifies a request by its headers. `now` in seconds since 1970, UTC.
pub(super) async fn identify(
    snapshot: &Snapshot,
    headers: &HeaderMap,
    now: i64,
) -> Result<Identity, Unidentified> {
    let found = match snapshot.directory.look(headers, now)? {
        Shown::Key(identity) => Ok(identity.clone()),
        Shown::Nothing => Err(Unidentified),
        Shown::Token { bytes, digest } => match remembered(snapshot, &digest, now) {
            Some(identity) => Ok(identity),
            None => Box::pin(verified(snapshot, bytes, digest)).await,
        },
    };
    snapshot.directory.settle(found)
}

fn remembered(snapshot: &Snapshot, digest: &KeyDigest, now: i64) -> Option<Identity> {
    let (identity, issuer, keys) = snapshot.directory.remembered(digest, now)?;
    (*current(snapshot, issuer)?.digest() == keys).then_some(identity)
}

fn current(snapshot: &Snapshot, issuer: &Issuer) -> Option<Arc<KeySet>> {
    match &issuer.keys {
        KeySource::Here(keys) => Some(Arc::clone(keys)),
        KeySource::Url(url) => snapshot.key_sets.get(url)?.current(),
    }
}

async fn verified(snapshot: &Snapshot, bytes: &[u8], digest: KeyDigest) -> Result<Identity, Unidentified> {
    let now = || clock::unix_seconds(clock::wall());
    let directory = &snapshot.directory;
    let token = Token::read(bytes).ok_or(Unidentified)?;
    let issuer = directory.issuer_of(&token, now()).ok_or(Unidentified)?;
    let keys = match &issuer.keys {
        KeySource::Here(keys) => Some(Arc::clone(keys)),
        KeySource::Url(url) => match snapshot.key_sets.get(url) {
            Some(published) => published.with(|keys| token.is_of(keys)).await,
            None => None,
        },
    };
    directory.verify(&token, &*keys.ok_or(Unidentified)?, digest, now())
}
