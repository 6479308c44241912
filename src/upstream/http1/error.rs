//! What can go wrong on the way to an upstream and back. The texts hold nothing that a peer or a tenant wrote,
//! so that they may be logged as they are.
use std::io;

/// Why an upstream's URL was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("the scheme is not http or https")]
    Scheme,
    #[error("a user name or password does not belong in the url")]
    UserInfo,
    #[error("a query or fragment does not belong in the url")]
    QueryOrFragment,
    #[error("the host is not a name or an address")]
    Host,
    #[error("the port is not a number from 1 to 65535")]
    Port,
    #[error("the path holds a character or segment that is not allowed")]
    Path,
}

/// Why no TLS configuration could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    #[error("the extra roots are not PEM")]
    Pem,
    #[error("the extra roots hold no certificate")]
    NoCertificate,
    #[error("an extra root is not a usable certificate")]
    Certificate,
    #[error("the TLS library offers no protocol version")]
    Protocol,
}

/// Why no connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    #[error("{0}")]
    Resolve(&'static str),
    #[error("the name resolves to no address")]
    NoAddress,
    #[error("{0}")]
    Io(io::ErrorKind),
    #[error("timed out")]
    Timeout,
    #[error("the TLS handshake timed out")]
    TlsTimeout,
    /// It is for want of something here: nobody else can help, and the origin has nothing to do with it.
    #[error("this machine gives the gateway no more connections: raise `ulimit -n`, or look for memory")]
    NoneLeft,
    #[error("the proxy: it cannot be reached in time")]
    ProxyTimeout,
    #[error("the proxy: it does not answer to CONNECT in time")]
    ProxySilent,
    #[error("the name resolves to private addresses alone, which `deny_private` denies")]
    Private,
    #[error("the proxy: {0}")]
    Proxy(&'static str),
}

impl ConnectFailure {
    /// Why the system opened no connection.
    pub(super) fn of(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Self::NoneLeft,
            _ => Self::Io(error.kind()),
        }
    }

    /// Why a name could not be looked up. The system tells it in words alone, of which these are glibc's and musl's.
    pub(super) fn of_name(error: &io::Error) -> Self {
        let text = error.to_string();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match Self::of(error) {
            Self::NoneLeft => Self::NoneLeft,
            _ if says(&["not known", "does not resolve", "has no usable address", "No address"]) => {
                Self::Resolve("the name was not found")
            }
            _ if says(&["Temporary failure", "Try again"]) => Self::Resolve(
                "the name cannot be looked up for now: the name server fails, or is not reached",
            ),
            _ => Self::Resolve("the name cannot be looked up"),
        }
    }

    /// Whether it came to nothing for want of time.
    pub(in crate::upstream) const fn is_timeout(self) -> bool {
        matches!(self, Self::Timeout | Self::TlsTimeout | Self::ProxyTimeout | Self::ProxySilent)
    }
}

/// What kept an answer from arriving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendErrorKind {
    /// The caller's path is not in origin form, or the method is CONNECT.
    #[error("the request cannot be sent as HTTP/1.1")]
    InvalidRequest,
    #[error("no connection to the upstream: {0}")]
    Connect(ConnectFailure),
    #[error("no TLS with the upstream: {0}")]
    Tls(&'static str),
    #[error("the upstream closed before its answer's head was complete")]
    ClosedBeforeAnswer,
    #[error("the upstream did not answer in time")]
    FirstByteTimeout,
    #[error("the upstream's answer is malformed: {0}")]
    MalformedAnswer(&'static str),
}

/// A request that got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct SendError {
    pub kind: SendErrorKind,
    reach: Reach,
    /// It went out on a connection that had rested, and nothing was heard there.
    pub(in crate::upstream) is_stale: bool,
}

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    NothingSent,
    SomethingSent,
}

impl SendError {
    pub(super) const fn before_sending(kind: SendErrorKind) -> Self {
        Self { kind, reach: Reach::NothingSent, is_stale: false }
    }

    pub(super) const fn after(reach: Reach, kind: SendErrorKind) -> Self {
        Self { kind, reach, is_stale: false }
    }

    /// The same, of a connection that had rested for who knows how long and was dead, if `is_stale`.
    pub(super) const fn stale(self, is_stale: bool) -> Self {
        Self { is_stale, ..self }
    }

    /// False only when no byte of the request was handed to a connection, or nobody was there to take it.
    #[must_use]
    pub fn may_have_been_processed(&self) -> bool {
        self.reach == Reach::SomethingSent
    }
}

/// What kept an answer's body from ending well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the upstream closed in the middle of its answer")]
    Truncated,
    #[error("the upstream fell silent in the middle of its answer")]
    IdleTimeout,
    #[error("the upstream's answer took longer than `timeout.total`")]
    TotalTimeout,
    #[error("the framing of the upstream's answer is malformed")]
    MalformedFraming,
    #[error("the upstream's answer is too large")]
    TooLarge,
    #[error("reading the upstream's answer failed: {0}")]
    Io(io::ErrorKind),
}
