//! The files of the configuration, while it is served: they are looked at, and read anew when they changed.

use super::{Gateway, Reloader};
use std::{sync::Arc, time::Duration};

/// The configuration's files are looked at this often.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Reloads when a file of the configuration changed, once it stays as it is for a moment.
pub(super) async fn watch(reloader: Arc<Reloader>, gateway: Arc<Gateway>) {
    let mut before = None;
    let mut ticks = tokio::time::interval(WATCH_EVERY);
    while !gateway.closing.is_cancelled() {
        ticks.tick().await;
        let (asked, gateway) = (Arc::clone(&reloader), Arc::clone(&gateway));
        let looked = tokio::task::spawn_blocking(move || {
            let (now, changed) = asked.look();
            if changed && before == Some(now) {
                drop(asked.reload(&gateway));
            }
            now
        });
        if let Ok(now) = looked.await {
            before = Some(now);
        }
    }
}
