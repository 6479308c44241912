//! What the mock received, for tests to ask about: the requests of late, how each ended, and how often a message was
//! failed on purpose. Shared by all connections.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

const REQUESTS_MAX: usize = 256;
const BODY_BYTES_MAX: usize = 1 << 20;
const FAILING_MAX: usize = 1024;

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Counts from 1, also over forgotten requests.
    pub number: u64,
    pub method: String,
    /// With its query.
    pub path: String,
    /// In the order and number in which they came, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The first MiB, as text.
    pub body: String,
    pub outcome: Outcome,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not yet.
    Open,
    /// All of the answer was handed to the connection.
    Answered,
    /// The mock closed it half-way, as asked for.
    Cut,
    /// The client left before the end.
    ClientGone,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Cut => "cut",
            Self::ClientGone => "client_gone",
        }
    }
}

/// The requests of late; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last_number: u64,
    requests: VecDeque<Request>,
    failures: HashMap<String, usize>,
}

impl Seen {
    /// The last 256 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.iter().cloned().collect()
    }

    /// The same as JSON: a list of `{number, method, path, headers: [[name, value]], body, outcome}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let request = |request: Request| {
            json!({
                "number": request.number,
                "method": request.method,
                "path": request.path,
                "headers": request.headers,
                "body": request.body,
                "outcome": request.outcome.word(),
            })
        };
        self.requests().into_iter().map(request).collect()
    }

    /// Forgets all requests and all counted failures.
    pub fn clear(&self) {
        let mut state = self.state();
        state.requests.clear();
        state.failures.clear();
    }

    /// Keeps a request. Its number is given here, and the ticket is for telling how it ended.
    pub(super) fn note(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: &[u8],
    ) -> Ticket {
        let mut state = self.state();
        state.last_number += 1;
        let number = state.last_number;
        if state.requests.len() == REQUESTS_MAX {
            state.requests.pop_front();
        }
        let start = body.get(..BODY_BYTES_MAX).unwrap_or(body);
        state.requests.push_back(Request {
            number,
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: String::from_utf8_lossy(start).into_owned(),
            outcome: Outcome::Open,
        });
        Ticket { seen: self.clone(), number }
    }

    /// Counts a message that is to fail `times` times: true while it still is. Then the count starts anew.
    pub(super) fn still_fails(&self, message: &str, times: usize) -> bool {
        let mut state = self.state();
        let failed = state.failures.get(message).copied().unwrap_or(0);
        if failed >= times {
            state.failures.remove(message);
            return false;
        }
        if state.failures.len() >= FAILING_MAX {
            state.failures.clear();
        }
        state.failures.insert(message.to_owned(), failed + 1);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open exchange. Dropped without a word it counts as one that the client left.
#[derive(Debug)]
pub(super) struct Ticket {
    seen: Seen,
    number: u64,
}

impl Ticket {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn close(self, outcome: Outcome) {
        self.tell(outcome);
    }

    fn tell(&self, outcome: Outcome) {
        let mut state = self.seen.state();
        let mine = state.requests.iter_mut().rev().find(|request| request.number == self.number);
        if let Some(request) = mine.filter(|request| request.outcome == Outcome::Open) {
            request.outcome = outcome;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.tell(Outcome::ClientGone);
    }
}
