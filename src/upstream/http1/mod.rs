//! An HTTP/1.1 client for one origin at a time: connect, TLS, pool, send, read the answer as it comes.
//! It is our own because a held stream must cost little: no task, no read buffer, no timer per chunk.
//!
//! `request`, `head` and `framing` are pure; `client`, `exchange`, `body`, `connect` and `pool` touch sockets.
//! A `Client` belongs to the runtime it was first used on: its idle connections live in that reactor.
mod address;
mod body;
mod client;
mod connect;
mod error;
mod exchange;
mod framing;
mod head;
mod origin;
mod pool;
mod proxy;
mod request;
mod scratch;
mod timer;
mod tls;
mod upload;
mod wire;

#[cfg(test)]
mod tests;

pub use body::{AnswerBody, Read};
pub use client::{Again, Answer, Client, Outgoing, Timeouts};
pub use error::{BodyError, ConnectFailure, SendError, SendErrorKind, TlsError, UrlError};
pub(crate) use framing::Framing;
pub use origin::{Origin, Scheme};
pub use proxy::{BadProxy, Proxies, Proxy};
pub use tls::{http2_tls_config, tls_config};
pub use wire::Wire;
