//! `serve --take-over`: one gateway in the place of another, on the same ports and the same data directory.

use super::serve::chain;
use crate::{
    config::compile,
    operator,
    records::{DataDirLock, OpenError},
    server::{Listener, Tls},
};
use std::{io, net::SocketAddr, path::Path, time::Duration};

/// Whether a data directory is free is looked at so often.
const LOCK_EVERY: Duration = Duration::from_millis(20);

pub(super) fn bind(address: SocketAddr, tls: Option<Tls>, take_over: bool) -> Result<Listener, String> {
    let bound = if take_over { Listener::share(address, tls) } else { Listener::bind(address, tls) };
    bound.map_err(|error| unbound(address, &error))
}

/// Why nothing listens on an address, and what to do.
pub(super) fn unbound(address: SocketAddr, error: &io::Error) -> String {
    let next = match error.kind() {
        io::ErrorKind::AddrInUse => "; another program listens there: end it, or give another address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a right of their own: give one above",
        io::ErrorKind::AddrNotAvailable => {
            "; no interface of this machine has it: 0.0.0.0 stands for all of them"
        }
        _ => "",
    };
    format!("cannot listen on {address}: {error}{next}")
}

/// An address that a gateway whose place is taken listens on, too.
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) listener: Listener,
}

/// Connections that come from now on wait here, or go to the other.
pub(super) fn share(serve: &compile::Serve) -> Result<Vec<Shared>, String> {
    let share = |listen: &compile::Listen| {
        let address = listen.address;
        bind(address, None, true).map(|listener| Shared { address, listener })
    };
    serve.listen.iter().map(share).collect()
}

/// Takes the data directory; from another gateway, by telling it to end and waiting until it has.
pub(super) async fn lock(data_dir: &Path, take_over: bool) -> Result<DataDirLock, String> {
    let mut told = false;
    loop {
        match DataDirLock::take(data_dir) {
            Ok(lock) => return Ok(lock),
            Err(OpenError::InUse { .. }) if take_over => {
                if !told {
                    let other = DataDirLock::holder(data_dir).and_then(rustix::process::Pid::from_raw);
                    let other = other.ok_or("the gateway that uses the data directory is not known")?;
                    operator::info("taking the place of the gateway that runs: it drains");
                    rustix::process::kill_process(other, rustix::process::Signal::TERM)
                        .map_err(|error| format!("the gateway that runs cannot be told to end: {error}"))?;
                    told = true;
                }
                tokio::time::sleep(LOCK_EVERY).await;
            }
            Err(error) => return Err(chain(&error)),
        }
    }
}
