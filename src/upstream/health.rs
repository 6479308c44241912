//! How an upstream answers: its tries by what came of them, and whether they fail one after the other.

use super::http1::{Answer, ConnectFailure, SendError, SendErrorKind};
use http::StatusCode;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// An upstream of which so many tries in a row failed is down, until one succeeds.
const FAILURES_MAX: u32 = 5;

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// An answer; whether the gateway can do something with it shows later.
    Answered,
    /// 429.
    Limited,
    /// Another 4xx.
    Refused,
    /// 5xx.
    Failed,
    /// No connection.
    Unreachable,
    /// A connection, and no answer, or none that can be read.
    Unanswered,
}

impl Came {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Answered, Self::Limited, Self::Refused, Self::Failed, Self::Unreachable, Self::Unanswered];

    /// What came of what was sent; None where nothing was sent.
    pub(super) fn of(sent: &Result<Answer, SendError>) -> Option<Self> {
        Some(match sent {
            Ok(Answer { status: StatusCode::TOO_MANY_REQUESTS, .. }) => Self::Limited,
            Ok(answer) if answer.status.is_client_error() => Self::Refused,
            Ok(answer) if answer.status.is_server_error() => Self::Failed,
            Ok(_) => Self::Answered,
            Err(error) => match error.kind {
                SendErrorKind::Connect(ConnectFailure::NoneLeft) => return None,
                SendErrorKind::Connect(_) | SendErrorKind::Tls(_) => Self::Unreachable,
                SendErrorKind::ClosedBeforeAnswer if error.is_stale => return None,
                SendErrorKind::ClosedBeforeAnswer
                | SendErrorKind::FirstByteTimeout
                | SendErrorKind::MalformedAnswer(_) => Self::Unanswered,
                SendErrorKind::InvalidRequest => return None,
            },
        })
    }

    /// As a metric's label has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Limited => "limited",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Unanswered => "unanswered",
        }
    }

    fn is_failure(self) -> bool {
        match self {
            Self::Answered | Self::Limited | Self::Refused => false,
            Self::Failed | Self::Unreachable | Self::Unanswered => true,
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    tries: [AtomicU64; Came::ALL.len()],
    /// In a row, up to now.
    failures: AtomicU32,
}

/// The tries at an upstream, over reloads. Clones are the same upstream's.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<OnceLock<Arc<Tally>>>);

impl Health {
    /// Notes what came of a try.
    pub(super) fn note(&self, came: Option<Came>) {
        let Some(came) = came else { return };
        let tally = self.tally();
        if let Some((_, count)) = Came::ALL.iter().zip(&tally.tries).find(|(known, _)| **known == came) {
            count.fetch_add(1, Relaxed);
        }
        if came.is_failure() {
            tally.failures.fetch_add(1, Relaxed);
        } else {
            tally.failures.store(0, Relaxed);
        }
    }

    /// Goes on counting where another one is, before anything was counted here.
    pub fn keep_from(&self, before: &Self) {
        // One that counted already goes on by itself.
        drop(self.0.set(Arc::clone(before.tally())));
    }

    /// Whether it answers, or was not asked yet.
    pub fn is_up(&self) -> bool {
        self.tally().failures.load(Relaxed) < FAILURES_MAX
    }

    /// Its tries, by what came of them.
    pub fn tries(&self) -> impl Iterator<Item = (Came, u64)> {
        let counts = self.tally().tries.iter().map(|count| count.load(Relaxed));
        Came::ALL.into_iter().zip(counts)
    }

    fn tally(&self) -> &Arc<Tally> {
        self.0.get_or_init(Arc::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_are_down_and_one_answer_is_up() {
        for good in [Came::Answered, Came::Limited, Came::Refused] {
            for bad in [Came::Failed, Came::Unreachable, Came::Unanswered] {
                let health = Health::default();
                assert!(health.is_up());
                for _ in 0..2 {
                    for _ in 1..FAILURES_MAX {
                        health.note(Some(bad));
                        assert!(health.is_up());
                    }
                    health.note(Some(good));
                }
                (0..FAILURES_MAX).for_each(|_| health.note(Some(bad)));
                assert!(!health.is_up());
                health.note(None);
                assert!(!health.is_up());
                health.note(Some(good));
                assert!(health.is_up());
            }
        }
    }

    #[test]
    fn counts_go_on_over_reloads_while_both_are_in_use() {
        let (old, new) = (Health::default(), Health::default());
        old.note(Some(Came::Failed));
        new.keep_from(&old);
        old.note(Some(Came::Failed));
        new.note(Some(Came::Answered));
        let counts = |health: &Health| health.tries().map(|(_, count)| count).collect::<Vec<_>>();
        assert_eq!(counts(&new), [1, 0, 0, 2, 0, 0]);
        assert_eq!(counts(&old), counts(&new));
    }
}
