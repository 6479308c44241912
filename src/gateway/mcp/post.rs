//! One body of a client's: a message, or a batch where its session has them. Each request is answered by itself.

use super::{
    Target, Visit,
    events::{Out, Sink},
    owner, unread,
};
use crate::{
    asked::End,
    authorize, clock,
    json::{self, Value},
    mcp::{
        Head, Message, Request, Revision, answer,
        list::Tools,
        message::{self, BATCH_MAX, Fault, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR},
        names,
    },
    quota::Exceeded,
    records::Raw,
    refusal::Refusal,
    upstream::mcp::{Failed, Server},
};
use bytes::Bytes;
use std::{
    pin::Pin,
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::Sleep};

/// Once the answers of a batch are as large as this, the rest of it is not asked.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// A client that takes no events waits so long for a person.
const WHOLE_WAIT: Duration = Duration::from_secs(45);

/// What a client sent, and where to.
pub(super) struct Post {
    pub(super) target: Target,
    pub(super) head: Head,
    pub(super) bytes: Bytes,
}

/// What a client gets.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The session that was opened.
    pub(super) session: Option<u128>,
    pub(super) end: End,
}

/// What a request is answered with that is beyond the tenant's limits.
pub(super) fn limited(request: &Request<'_>, refusal: Refusal, revision: Revision) -> Reply {
    if request.method != "tools/call" {
        return Reply::refusal(Some(request.id), refusal);
    }
    let told = answer::denied(&refusal.message(), revision);
    Reply { end: End::Refused(refusal), ..Reply::result(request.id, &told) }
}

/// A request on its way through.
pub(super) struct Talk {
    pub(super) visit: Visit,
    pub(super) target: Target,
    pub(super) sink: Sink,
    /// Whether the client takes events.
    pub(super) streams: bool,
    pub(super) patience: Pin<Box<Sleep>>,
    /// What was answered, for the record.
    pub(super) completion: Option<Raw>,
}

impl Reply {
    /// Nothing is to be said.
    pub(super) fn accepted() -> Self {
        Self { status: 202, body: Vec::new(), session: None, end: End::Complete }
    }

    pub(super) fn result(id: &Value<'_>, result: &Value<'_>) -> Self {
        Self { status: 200, body: message::result(id, result), ..Self::accepted() }
    }

    /// An error of the protocol's, which is the client's.
    pub(super) fn fault(id: Option<&Value<'_>>, fault: &Fault) -> Self {
        let end = if fault.status == 200 { End::Complete } else { End::Refused(unread(fault)) };
        Self { status: fault.status, body: message::error(id, fault), session: None, end }
    }

    /// An error of the gateway's or the server's. Only where nothing can be recorded HTTP tells of it.
    pub(super) fn refusal(id: Option<&Value<'_>>, refusal: Refusal) -> Self {
        let fault = answer::refused(&refusal);
        let unrecorded = refusal == Refusal::RecordsUnavailable;
        let status = if unrecorded || id.is_none() { fault.status } else { 200 };
        Self { status, body: message::error(id, &fault), session: None, end: End::Refused(refusal) }
    }
}

impl Post {
    /// Answers, and records.
    pub(super) async fn answer(self, visit: Visit, sink: Sink) {
        let Self { target, head, bytes } = self;
        let patience = Box::pin(tokio::time::sleep(WHOLE_WAIT));
        let mut talk = Talk { visit, target, sink, streams: head.streams, patience, completion: None };
        let reply = talk.answer(&head, &bytes).await;
        let completion = talk.completion.take();
        talk.visit.ended(&reply.end, reply.status, completion);
        // A client that left has no use for it.
        drop(talk.sink.send(Out::Last(Box::new(reply))).await);
    }
}

impl Talk {
    async fn answer(&mut self, head: &Head, bytes: &Bytes) -> Reply {
        let value = match json::parse(bytes, self.visit.snapshot().limits.nesting) {
            Ok(value) => value,
            Err(error) => {
                let fault = Fault { status: 400, ..Fault::new(PARSE_ERROR, error.to_string()) };
                return Reply::fault(None, &fault);
            }
        };
        if let Some(messages) = value.items() {
            return self.batch(head, messages).await;
        }
        let request = match message::read(&value) {
            Ok(Message::Request(request)) => request,
            Ok(Message::Notification { .. }) if is_modern(head) => return Reply::accepted(),
            Ok(Message::Response { .. }) if is_modern(head) => {
                return Reply::fault(None, &Fault::bad("there are no responses of clients in this revision"));
            }
            Ok(Message::Notification { .. } | Message::Response { .. }) => {
                return match self.session(head) {
                    Ok(_) => Reply::accepted(),
                    Err(fault) => Reply::fault(None, &fault),
                };
            }
            Err(fault) => return Reply::fault(None, &fault),
        };
        let revision = match head.modern(&request) {
            Some(Ok(())) => Ok(Revision::MODERN),
            Some(Err(fault)) => Err(fault),
            None if request.method == "initialize" => return self.initialize(&request),
            None => self.session(head),
        };
        match revision {
            Ok(revision) => self.dispatch(&request, revision).await,
            Err(fault) => Reply::fault(Some(request.id), &fault),
        }
    }

    async fn batch(&mut self, head: &Head, messages: &[Value<'_>]) -> Reply {
        let revision = match self.session(head) {
            Ok(revision) => revision,
            Err(fault) => return Reply::fault(None, &fault),
        };
        if !revision.has_batches() || messages.is_empty() || messages.len() > BATCH_MAX {
            return Reply::fault(
                None,
                &Fault::bad("a batch is not taken here, or holds nothing or too much"),
            );
        }
        self.streams = false;
        let (mut body, mut asked) = (vec![b'['], 0_usize);
        for value in messages {
            let reply = match message::read(value) {
                Ok(Message::Request(request)) if request.method == "initialize" => {
                    let fault = Fault::new(INVALID_REQUEST, "`initialize` comes alone");
                    Reply::fault(Some(request.id), &fault)
                }
                Ok(Message::Request(request)) if body.len() > BATCH_BYTES_MAX => {
                    let fault = Fault::new(
                        INTERNAL_ERROR,
                        "the answers of this batch are too large; ask in smaller ones",
                    );
                    Reply::fault(Some(request.id), &fault)
                }
                Ok(Message::Request(request)) => {
                    asked += 1;
                    match self.over_limit(asked) {
                        None => self.dispatch(&request, revision).await,
                        Some(refusal) => limited(&request, refusal, revision),
                    }
                }
                Ok(Message::Notification { .. } | Message::Response { .. }) => continue,
                Err(fault) => Reply::fault(None, &fault),
            };
            if reply.end == End::Refused(Refusal::RecordsUnavailable) {
                return reply;
            }
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(&reply.body);
        }
        if body.len() == 1 {
            return Reply::accepted();
        }
        body.push(b']');
        Reply { status: 200, body, ..Reply::accepted() }
    }

    /// Why the so-manieth request of a batch is refused, if it is: each counts like one that comes alone.
    fn over_limit(&mut self, asked: usize) -> Option<Refusal> {
        if asked <= 1 {
            return None;
        }
        let asked = self.visit.asked().ok()?;
        let exceeded = asked.identity.tenant().quota.count().err()?;
        Some(match exceeded {
            Exceeded::Concurrency { limit, .. } => Refusal::Concurrency { limit },
            Exceeded::Requests { retry_after, .. } => Refusal::RateLimit { retry_after },
        })
    }

    /// The revision of the session that a request names.
    fn session(&mut self, head: &Head) -> Result<Revision, Fault> {
        let stated = head.version.as_deref().map(|version| (version, Revision::named(version)));
        if let Some((version, None | Some(Revision::MODERN))) = stated {
            return Err(Fault { code: INVALID_REQUEST, ..Fault::unsupported(version) });
        }
        let id = head.session.as_deref().ok_or_else(|| {
            Fault::bad("the header `mcp-session-id` is missing; a session begins with `initialize`")
        })?;
        let unknown =
            || Fault { status: 404, ..Fault::bad("there is no such session; begin with `initialize`") };
        let owner = owner(&mut self.visit, &self.target).map_err(|_| unknown())?;
        let now = clock::unix_seconds(clock::wall());
        let mut sessions = self.visit.gateway().sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.find(&owner, id, now).ok_or_else(unknown)
    }

    fn initialize(&mut self, request: &Request<'_>) -> Reply {
        let revision = Revision::agreed(request.param("protocolVersion").and_then(Value::as_str));
        let mut id = [0; 16];
        let made = getrandom::fill(&mut id);
        let owner = owner(&mut self.visit, &self.target);
        let (Ok(()), Ok(owner)) = (made, owner) else {
            return Reply::refusal(Some(request.id), Refusal::RecordsUnavailable);
        };
        let id = u128::from_be_bytes(id);
        let now = clock::unix_seconds(clock::wall());
        let mut sessions = self.visit.gateway().sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.open(owner, id, revision, now);
        Reply { session: Some(id), ..Reply::result(request.id, &answer::initialized(revision)) }
    }

    async fn dispatch(&mut self, request: &Request<'_>, revision: Revision) -> Reply {
        match (request.method, revision.is_modern()) {
            ("ping", false) => Reply::result(request.id, &Value::object([])),
            ("server/discover", true) => Reply::result(request.id, &answer::discovered()),
            ("tools/call", _) => self.call(request, revision).await,
            ("tools/list", _) => self.list(request, revision).await,
            _ => Reply::fault(Some(request.id), &Fault::unknown_method(revision)),
        }
    }

    async fn list(&mut self, request: &Request<'_>, revision: Revision) -> Reply {
        if request.param("cursor").is_some() {
            return Reply::fault(Some(request.id), &Fault::new(INVALID_PARAMS, "Invalid cursor"));
        }
        let tenant = match self.visit.asked() {
            Ok(asked) => asked.identity.tenant().id.shared(),
            Err(refusal) => return Reply::refusal(Some(request.id), refusal),
        };
        let waiting = clock::now();
        let listed = match &self.target {
            Target::One(server) => match server.tools(&tenant).await {
                Ok(tools) => vec![(Arc::clone(server), tools)],
                Err(failed) => {
                    let server = Arc::clone(server);
                    return self.failed(request.id, &server, failed);
                }
            },
            Target::All(servers) => list_all(servers, &tenant).await,
        };
        self.visit.waited += clock::now().saturating_duration_since(waiting);
        let prefixed = matches!(self.target, Target::All(_));
        let asked = match self.visit.asked() {
            Ok(asked) => asked,
            Err(refusal) => return Reply::refusal(Some(request.id), refusal),
        };
        if !prefixed {
            asked.upstream = listed.first().map(|(server, _)| server.shared_name());
        }
        let mut seen = Vec::new();
        for (server, tools) in &listed {
            for tool in tools.iter() {
                let name = names::combined(server.name(), &tool.name);
                if (!prefixed || names::fits(&name)) && authorize::sees(asked, &name) {
                    seen.push((if prefixed { name } else { tool.name.to_string() }, tool));
                }
            }
        }
        seen.sort_by(|(a, _), (b, _)| a.cmp(b));
        let tools = seen.iter().map(|(name, tool)| (name.as_str(), *tool));
        let body = message::result_of(request.id, |out| answer::write_list(tools, revision, out));
        Reply { status: 200, body, ..Reply::accepted() }
    }

    /// What a server's failure is told as. Its own words are redacted.
    pub(super) fn failed(&mut self, id: &Value<'_>, server: &Server, failed: Failed) -> Reply {
        let Ok(asked) = self.visit.asked() else {
            return Reply::refusal(Some(id), Refusal::NotFound);
        };
        let redactor = &asked.identity.tenant().journal.redactor;
        let redacted = |message: String| redactor.text(&server.conceal(message)).as_str().to_owned();
        match failed {
            Failed::Refusal(Refusal::UpstreamRefused { status, message, retry_after }) => {
                let message = redacted(message);
                Reply::refusal(Some(id), Refusal::UpstreamRefused { status, message, retry_after })
            }
            Failed::Refusal(refusal) => Reply::refusal(Some(id), refusal),
            Failed::Error { code, message } => {
                // What the protocol keeps for itself is told by the gateway alone.
                let reserved = (-32768..=-32000).contains(&code) && code != INVALID_PARAMS;
                let code = if reserved { INTERNAL_ERROR } else { code };
                Reply::fault(Some(id), &Fault::new(code, redacted(message)))
            }
        }
    }
}

fn is_modern(head: &Head) -> bool {
    head.version.as_deref() == Some(Revision::MODERN.as_str())
}

/// The tools of all servers that answer. One that does not takes away its own.
async fn list_all(servers: &[Arc<Server>], tenant: &Arc<str>) -> Vec<(Arc<Server>, Arc<Tools>)> {
    let mut asked = JoinSet::new();
    for server in servers {
        let (server, tenant) = (Arc::clone(server), Arc::clone(tenant));
        asked.spawn(async move { (Arc::clone(&server), server.tools(&tenant).await) });
    }
    let mut listed = Vec::new();
    while let Some(answered) = asked.join_next().await {
        if let Ok((server, Ok(tools))) = answered {
            listed.push((server, tools));
        }
    }
    listed
}
