//! Turns of requests and answers to be worked on apart from everybody else's (`upstream::apart`).

use super::{Gateway, Visit};
use crate::{
    identity::Identity,
    refusal::Refusal,
    upstream::apart::{Leave, Matter, Share},
};
use std::sync::Arc;

/// What part of the places is this caller's.
pub(super) fn share(identity: &Identity) -> Share {
    let (tenant, priority) = (identity.tenant(), identity.key().priority);
    Share { tenant: tenant.id.shared(), weight: tenant.weight, priority }
}

/// Waits for the turn of a request with a body of so many bytes.
pub(super) async fn turn(visit: &mut Visit, bytes: usize) -> Result<Leave, Refusal> {
    let gateway = Arc::clone(visit.gateway());
    let share = share(&visit.asked()?.identity);
    gateway.means.apart.turn(&share, (Matter::Request, bytes), &gateway.closing).await
}

/// The same of a body that is to be worked on apart whatever its size.
pub(super) async fn turn_of_any(visit: &mut Visit, bytes: usize) -> Result<Leave, Refusal> {
    let gateway = Arc::clone(visit.gateway());
    let share = share(&visit.asked()?.identity);
    gateway.means.apart.turn_of_any(&share, (Matter::Request, bytes), &gateway.closing).await
}

/// Waits for the turn of an answer of so many bytes to this caller.
pub(super) async fn turn_of_answer(
    (gateway, identity): (&Gateway, &Identity),
    bytes: usize,
) -> Result<Leave, Refusal> {
    gateway.means.apart.turn(&share(identity), (Matter::Answer, bytes), &gateway.closing).await
}
