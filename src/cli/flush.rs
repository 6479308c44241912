//! The last words of a gateway: what it has to write goes to the disk, for as long as it may drain.

use crate::{clock, gateway::Gateway, operator};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// What could not be written is tried again so often.
const RETRY_EVERY: Duration = Duration::from_millis(100);
/// A disk that answers has at least so long.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// Whether all is on disk: a full one may get room until then, unless the end is to come at once.
pub(super) async fn to_disk(gateway: &Arc<Gateway>, until: Instant, at_once: &CancellationToken) -> bool {
    let (flushing, at_once) = (Arc::clone(gateway), at_once.clone());
    let flushed = tokio::task::spawn_blocking(move || {
        flushing.stored.flush();
        flushing.ledger.flush();
        while flushing.records.flush().is_err() {
            let may_wait = flushing.records.must_not_lose() && !at_once.is_cancelled();
            if clock::now() >= until || !may_wait {
                return Err(flushing.records.unwritten());
            }
            std::thread::sleep(RETRY_EVERY);
        }
        Ok(())
    });
    // One that hangs keeps whoever writes to it.
    let left = until.saturating_duration_since(clock::now()).max(PATIENCE);
    let flushed = match tokio::time::timeout(left, flushed).await {
        Ok(flushed) => flushed.unwrap_or(Err(0)),
        Err(_) => Err(gateway.records.unwritten()),
    };
    match flushed {
        Ok(()) => {}
        Err(0) => operator::warn("the last records could not be brought to the disk"),
        Err(lost) => operator::warn(&format!("the last records could not be written: {lost} are lost")),
    }
    flushed.is_ok()
}
