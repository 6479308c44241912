//! A request on its way: what the server tells and asks meanwhile, and its answer.

use super::{
    Failed, Server, Taken,
    caller::Session,
    link::Reply,
    stdio::Child,
    wire::{self, Said},
};
use crate::{
    json::Value,
    mcp::envelope::{self, Envelope},
    refusal::Refusal,
};
use http::HeaderMap;
use std::{sync::Arc, time::Duration};

/// A stream that breaks off is taken up again so many times in a row without anything new, and in all.
const RESUMES_MAX: u32 = 5;
const RESUMES_IN_ALL: u32 = 1000;
/// So long is waited before, where the server does not say, and at most.
const RESUME_AFTER: Duration = Duration::from_secs(1);
const RESUME_AFTER_MIN: Duration = Duration::from_millis(50);
const RESUME_AFTER_MAX: Duration = Duration::from_secs(30);

/// What comes of a request, one after the other.
#[derive(Debug)]
pub enum Happened {
    /// The server tells of something. Progress is told under the request's own number.
    Notification { method: String, params: Value<'static> },
    /// The server asks something of the client, under this id.
    Question { id: Value<'static>, method: String, params: Value<'static> },
    /// The server ended its stream before its answer, and is asked for the rest of it after a while.
    Paused,
    /// The end.
    Result(Value<'static>),
}

/// A request on its way. Dropping it cancels it.
#[derive(Debug)]
pub struct Calling {
    server: Arc<Server>,
    session: Option<Session>,
    reply: Reply,
    is_over: bool,
    /// So many times in a row the stream was taken up again.
    taken_up: u32,
    in_all: u32,
    is_paused: bool,
    /// The number under which progress is told.
    pub number: u64,
}

/// Brings an answer back to a server that asked.
#[derive(Debug, Clone)]
pub struct Answerer(Way);

#[derive(Debug, Clone)]
enum Way {
    Session(Arc<Server>, Session),
    Child(Arc<Child>),
}

impl Answerer {
    pub(super) fn in_session(server: &Arc<Server>, session: &Session) -> Self {
        Self(Way::Session(Arc::clone(server), session.clone()))
    }

    pub(super) fn of_child(child: &Arc<Child>) -> Self {
        Self(Way::Child(Arc::clone(child)))
    }

    /// Sends a message that answers the server's request.
    pub async fn answer(self, message: Vec<u8>) {
        match self.0 {
            Way::Session(server, session) => server.say(message, &session).await,
            // One that ended has no use for it.
            Way::Child(child) => drop(child.tell(message).await),
        }
    }
}

impl Calling {
    pub(super) fn new(server: &Arc<Server>, session: Option<Session>, reply: Reply, number: u64) -> Self {
        let server = Arc::clone(server);
        Self { server, session, reply, is_over: false, taken_up: 0, in_all: 0, is_paused: false, number }
    }

    /// What happens next. The result is the last of it. A wait that is given up loses nothing.
    pub async fn next(&mut self) -> Result<Happened, Failed> {
        loop {
            match self.reply.next(&self.server).await {
                Ok(said) => {
                    self.taken_up = 0;
                    if let Some(happened) = self.happened(said)? {
                        return Ok(happened);
                    }
                }
                // Told first, so that a wait that is given up is not one that goes on.
                Err(Failed::Refusal(refusal @ Refusal::NoRoom { .. })) => {
                    return Err(Failed::Refusal(refusal));
                }
                Err(_) if !self.is_paused && self.resumes().is_some() => {
                    self.is_paused = true;
                    return Ok(Happened::Paused);
                }
                Err(failed) => self.resume(failed).await?,
            }
        }
    }

    /// What its result takes, which is its owner's from now on.
    pub fn taken(&mut self) -> Taken {
        self.reply.taken()
    }

    /// Behind which event a stream goes on that broke off, if it does.
    fn resumes(&self) -> Option<&str> {
        self.session.as_ref()?;
        let may = self.taken_up < RESUMES_MAX && self.in_all < RESUMES_IN_ALL;
        self.reply.resumes_from().filter(|_| may)
    }

    fn happened(&mut self, said: Said) -> Result<Option<Happened>, Failed> {
        Ok(Some(match said {
            Said::Notification { method, params } => Happened::Notification { method, params },
            // Without a session there is no way back, and no such question.
            Said::Request { .. } if self.answerer().is_none() => return Ok(None),
            Said::Request { id, method, params } => Happened::Question { id, method, params },
            Said::Result(result) => {
                self.is_over = true;
                Happened::Result(result)
            }
            Said::Error { code, message, data } => {
                self.is_over = true;
                return Err(Failed::Error { code, message, data });
            }
        }))
    }

    /// A server of the older era may end a stream before its answer, and be asked for the rest of it.
    async fn resume(&mut self, failed: Failed) -> Result<(), Failed> {
        let (Some(session), Some(from)) = (&self.session, self.resumes()) else {
            self.is_over = self.reply.resumes_from().is_none();
            return Err(failed);
        };
        let from = from.to_owned();
        let after = self.reply.retry().unwrap_or(RESUME_AFTER);
        tokio::time::sleep(after.clamp(RESUME_AFTER_MIN, RESUME_AFTER_MAX)).await;
        self.taken_up += 1;
        self.in_all += 1;
        self.is_paused = false;
        let answer = self.server.get(session, Some(&from)).await?;
        let Reply::Http(before) = &self.reply else { return Err(failed) };
        match wire::Reply::resumed(answer, self.number, before).await {
            Ok(reply) => self.reply = Reply::Http(reply.into()),
            Err(_) => return Err(failed),
        }
        Ok(())
    }

    /// How the server is answered.
    pub fn answerer(&self) -> Option<Answerer> {
        self.reply.answerer(&self.server, self.session.as_ref())
    }

    /// The result of a request during which a client is told and asked nothing.
    pub async fn result(&mut self) -> Result<Value<'static>, Failed> {
        loop {
            match self.next().await? {
                Happened::Result(result) => return Ok(result),
                Happened::Notification { .. } | Happened::Paused => {}
                Happened::Question { id, .. } => {
                    if let Some(answerer) = self.answerer() {
                        answerer.answer(envelope::not_served(&id)).await;
                    }
                }
            }
        }
    }
}

impl Drop for Calling {
    /// A closed connection is no cancellation in the older era: the server is told.
    fn drop(&mut self) {
        // A process is told where its answer is dropped.
        if self.is_over || matches!(self.reply, Reply::Child(_)) {
            return;
        }
        drop(Unanswered::new(&self.server, self.session.as_ref(), self.number));
    }
}

/// A request of which nothing is heard yet. Dropping it tells the server that nobody waits for its answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    answerer: Option<Answerer>,
    number: u64,
}

impl Unanswered {
    /// Without a session a closed connection says it.
    pub(super) fn new(server: &Arc<Server>, session: Option<&Session>, number: u64) -> Self {
        Self { answerer: session.map(|session| Answerer::in_session(server, session)), number }
    }

    /// It is answered.
    pub(super) fn answered(mut self) {
        self.answerer = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let (Some(answerer), Ok(runtime)) = (self.answerer.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(answerer.answer(envelope::cancelled(self.number)));
        }
    }
}

impl Server {
    /// Says something in a session that is answered with nothing.
    pub(super) async fn say(&self, message: Vec<u8>, session: &Session) {
        let mut headers = HeaderMap::new();
        envelope::insert_version(&mut headers, session.revision);
        if let Ok(answer) = self.post_in(session, Envelope { body: message, headers }).await {
            drop(answer.body.collect(wire::MESSAGE_BYTES_MAX).await);
        }
    }
}
