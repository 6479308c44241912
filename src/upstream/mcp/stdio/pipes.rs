//! What goes through a program's stdin, and who owns what comes out of its stdout without being asked for.

use crate::{
    mcp::{envelope, lines::line_of},
    upstream::mcp::wire::Said,
};
use bytes::Bytes;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{broadcast, mpsc},
};
use tokio_util::sync::CancellationToken;

/// Writes to a program until it is to end, or does not listen; then its stdin is closed.
pub(super) async fn write(
    mut stdin: impl AsyncWrite + Unpin,
    mut messages: mpsc::Receiver<Bytes>,
    stop: CancellationToken,
) {
    let writing = async {
        while let Some(message) = messages.recv().await {
            if stdin.write_all(&message).await.is_err() || stdin.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = stop.cancelled() => {}
    }
}

/// The owner of what a program says without being asked: it declines requests, and tells notifications to who listens.
pub(super) async fn attend(
    mut heard: mpsc::Receiver<Said>,
    told: broadcast::Sender<Said>,
    out: mpsc::Sender<Bytes>,
    stop: CancellationToken,
) {
    let declining = async {
        while let Some(said) = heard.recv().await {
            match said {
                Said::Request { id, .. } => drop(out.send(line_of(envelope::not_served(&id))).await),
                // What it says while several were asked may be of any of them.
                Said::Notification { method, .. } if method == "notifications/message" => {}
                // Nobody may listen.
                said => drop(told.send(said)),
            }
        }
    };
    tokio::select! {
        () = declining => {}
        () = stop.cancelled() => {}
    }
}
