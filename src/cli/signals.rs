//! When a command is told to end.

use tokio::signal::unix::{SignalKind, signal};

/// SIGINT or SIGTERM.
pub(super) fn told_to_end() -> impl Future<Output = ()> + use<> {
    // Heard from here on, not only once somebody waits.
    let signals = signal(SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    async move {
        let Ok((mut terminate, mut interrupt)) = signals else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
