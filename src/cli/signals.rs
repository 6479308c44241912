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

/// Sent where a file would grow beyond what the process may write (`ulimit -f`); it ends whoever does not take it.
const SIGXFSZ: i32 = 25;

/// Once somebody listens to it, a file that may not grow is an error, as a full disk is. Tokio listens for ever.
pub(super) fn of_files_are_errors() -> std::io::Result<()> {
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop)
}
