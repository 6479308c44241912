//! One body of a client's: a message, or a batch where its session has them. Each request is answered by itself.

use super::{
    ClientSession, Target, Visit,
    events::{Out, Sink},
    listen::{self, For},
    owner, session, unread,
};
use crate::{
    asked::End,
    gateway::{apart, reserve},
    json::{self, Value},
    mcp::{
        Head, Message, Request, Revision,
        act::{Act, Passed, method_named},
        answer,
        list::Kind,
        message::{
            self, BATCH_MAX, CANCELLED, Fault, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR,
        },
        mirror::Stated,
        task::Step,
    },
    quota::Exceeded,
    records::Raw,
    refusal::Refusal,
    room::Held,
    trace::{Context, McpCall},
    upstream::mcp::{Failed, Server, Taken},
};
use bytes::Bytes;
use std::{mem, pin::Pin, sync::Arc, time::Duration};
use tokio::time::Sleep;

/// Once the answers of a batch are as large as this, the rest of it is not asked.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Source: the specification, "Logging" (the severities of RFC 5424).
const LOG_LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
/// A client that takes no events waits so long for a person.
const WHOLE_WAIT: Duration = Duration::from_secs(45);

/// What a client sent, and where to.
pub(super) struct Post {
    pub(super) target: Target,
    pub(super) head: Head,
    pub(super) bytes: Bytes,
    /// The room that it takes.
    pub(super) held: Held,
}

/// What a client gets.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The session that was opened.
    pub(super) session: Option<u128>,
    pub(super) end: End,
    /// The room that it takes until it is sent.
    pub(super) room: Option<Held>,
}

/// What a request is answered with that is beyond the tenant's limits.
pub(super) fn limited(request: &Request<'_>, refusal: Refusal, revision: Revision) -> Reply {
    let reply = match Act::asked_by(request.method) {
        None => return Reply::refusal(Some(request.id), refusal),
        Some(Act::CallTool) => Reply::result(request.id, &answer::denied(&refusal.message(), revision)),
        Some(Act::GetPrompt | Act::ReadResource) => {
            let text = format!("Denied: {}", refusal.message());
            Reply::fault(Some(request.id), &answer::denial(&text, refusal.code()))
        }
    };
    Reply { end: End::Refused(refusal), ..reply }
}

/// A request on its way through.
pub(super) struct Talk {
    pub(super) visit: Visit,
    pub(super) target: Target,
    pub(super) sink: Sink,
    /// The client's session, where its revision has them.
    pub(super) session: Option<Arc<ClientSession>>,
    /// What the request speaks.
    pub(super) revision: Revision,
    /// Whether the client takes events.
    pub(super) streams: bool,
    /// What its headers say of a call's arguments.
    pub(super) stated: Stated,
    pub(super) patience: Pin<Box<Sleep>>,
    /// What was answered, for the record.
    pub(super) completion: Option<Raw>,
    /// What a server's result takes.
    pub(super) taken: Taken,
}

impl Reply {
    /// Nothing is to be said.
    pub(super) fn accepted() -> Self {
        Self { status: 202, body: Vec::new(), session: None, end: End::Complete, room: None }
    }

    /// What the client gets, in its room.
    pub(super) fn into_body(self) -> Bytes {
        in_room(self.body.into(), self.room)
    }

    /// The same as an event.
    pub(super) fn into_event(self) -> Bytes {
        in_room(message::event(&self.body).into(), self.room)
    }

    pub(super) fn result(id: &Value<'_>, result: &Value<'_>) -> Self {
        Self { status: 200, body: message::result(id, result), ..Self::accepted() }
    }

    /// An error of the protocol's, which is the client's.
    pub(super) fn fault(id: Option<&Value<'_>>, fault: &Fault) -> Self {
        let end = if fault.status == 200 { End::Complete } else { End::Refused(unread(fault)) };
        Self { status: fault.status, body: message::error(id, fault), session: None, end, room: None }
    }

    /// An error of the gateway's or the server's. Only where nothing can be recorded HTTP tells of it.
    pub(super) fn refusal(id: Option<&Value<'_>>, refusal: Refusal) -> Self {
        let fault = answer::refused(&refusal);
        let unrecorded = refusal == Refusal::RecordsUnavailable;
        let status = if unrecorded || id.is_none() { fault.status } else { 200 };
        let (body, end) = (message::error(id, &fault), End::Refused(refusal));
        Self { status, body, session: None, end, room: None }
    }
}

pub(super) fn in_room(bytes: Bytes, room: Option<Held>) -> Bytes {
    match room {
        Some(room) => room.until_sent(bytes),
        None => bytes,
    }
}

impl Post {
    /// Answers, and records.
    pub(super) async fn answer(self, visit: Visit, sink: Sink) {
        let Self { target, mut head, bytes, mut held } = self;
        let patience = Box::pin(tokio::time::sleep(WHOLE_WAIT));
        let stated = mem::take(&mut head.arguments);
        let (session, revision, streams) = (None, Revision::MODERN, head.streams);
        let mut talk = Talk {
            visit,
            target,
            sink,
            session,
            revision,
            streams,
            stated,
            patience,
            completion: None,
            taken: Taken::default(),
        };
        let reply = talk.answer(&head, &bytes, &mut held).await;
        let reply = Reply { room: talk.taken.held.take(), ..reply };
        let completion = talk.completion.take();
        talk.visit.ended(&reply.end, reply.status, completion);
        // A client that left has no use for it.
        drop(talk.sink.send(Out::Last(Box::new(reply))).await);
    }
}

impl Talk {
    async fn answer(&mut self, head: &Head, bytes: &Bytes, held: &mut Held) -> Reply {
        let nesting_max = self.visit.snapshot().limits.nesting;
        let leave = match apart::turn(&mut self.visit, bytes.len()).await {
            Ok(leave) => leave,
            Err(refusal) => return Reply::refusal(None, refusal),
        };
        let value = match leave.work(|| json::parse(bytes, nesting_max)) {
            Ok(value) => value,
            Err(error) => {
                let fault = Fault { status: 400, ..Fault::new(PARSE_ERROR, error.to_string()) };
                return Reply::fault(None, &fault);
            }
        };
        // It is there until the call is answered.
        if let Err(refusal) = held.keep(&value) {
            return Reply::refusal(None, refusal);
        }
        if let Some(messages) = value.items() {
            return self.batch(head, messages).await;
        }
        let request = match message::read_of_client(&value) {
            Ok(Message::Request(request)) => request,
            Ok(Message::Notification { .. }) if is_modern(head) => return Reply::accepted(),
            Ok(Message::Response { .. }) if is_modern(head) => {
                return Reply::fault(None, &Fault::bad("there are no responses of clients in this revision"));
            }
            Ok(told @ (Message::Notification { .. } | Message::Response { .. })) => {
                return match self.session(head) {
                    Ok(session) => hear(&session, &told, &value),
                    Err(fault) => Reply::fault(None, &fault),
                };
            }
            Err(fault) => return Reply::fault(None, &fault),
        };
        let revision = match head.modern(&request) {
            Some(Ok(())) => Ok(Revision::MODERN),
            Some(Err(fault)) => Err(fault),
            None if request.method == "initialize" => return self.initialize(&request).await,
            None => self.session(head).map(|session| session.revision),
        };
        match revision {
            Ok(revision) => {
                self.note(&request, revision);
                self.dispatch(&request, revision).await
            }
            Err(fault) => Reply::fault(Some(request.id), &fault),
        }
    }

    async fn batch(&mut self, head: &Head, messages: &[Value<'_>]) -> Reply {
        let session = match self.session(head) {
            Ok(session) => session,
            Err(fault) => return Reply::fault(None, &fault),
        };
        let revision = session.revision;
        if !revision.has_batches() || messages.is_empty() || messages.len() > BATCH_MAX {
            return Reply::fault(
                None,
                &Fault::bad("a batch is not taken here, or holds nothing or too much"),
            );
        }
        self.streams = false;
        let (mut body, mut asked) = (vec![b'['], 0_usize);
        for value in messages {
            let reply = match message::read_of_client(value) {
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
                Ok(told @ (Message::Notification { .. } | Message::Response { .. })) => {
                    hear(&session, &told, value);
                    continue;
                }
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
        let own = asked.identity.key().quota.as_ref().and_then(|quota| quota.count().err());
        let exceeded = own.or_else(|| asked.identity.tenant().quota.count().err())?;
        Some(match exceeded {
            Exceeded::Concurrency { limit, .. } => Refusal::Concurrency { limit },
            Exceeded::Requests { retry_after, .. } => Refusal::RateLimit { retry_after },
        })
    }

    /// The session that a request names.
    fn session(&mut self, head: &Head) -> Result<Arc<ClientSession>, Fault> {
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
        let session = session::find(self.visit.gateway(), &owner, id).ok_or_else(unknown)?;
        self.session = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Notes a message that came alone: its span is the request's.
    fn note(&mut self, request: &Request<'_>, revision: Revision) {
        let Some(trace) = self.visit.asked().ok().and_then(|asked| asked.trace.as_mut()) else { return };
        if let Some(named) = request.meta("traceparent").and_then(Value::as_str).and_then(Context::parse) {
            trace.adopt(named);
        }
        let method = method_named(request.method);
        trace.mcp = Some(McpCall { method, name: None, version: Some(revision.as_str()) });
    }

    async fn initialize(&mut self, request: &Request<'_>) -> Reply {
        let revision = Revision::agreed(request.param("protocolVersion").and_then(Value::as_str));
        self.note(request, revision);
        let mut id = [0; 16];
        let made = getrandom::fill(&mut id);
        let owner = owner(&mut self.visit, &self.target);
        let (Ok(()), Ok(owner)) = (made, owner) else {
            return Reply::refusal(Some(request.id), Refusal::RecordsUnavailable);
        };
        let told = self.about().await;
        let id = u128::from_be_bytes(id);
        let capabilities = request.param("capabilities").cloned().unwrap_or_else(|| Value::object([]));
        let tenant = Arc::clone(&owner.tenant);
        let opened = ClientSession::new(tenant, id, revision, &capabilities);
        session::open(self.visit.gateway(), owner, opened);
        Reply { session: Some(id), ..Reply::result(request.id, &answer::initialized(revision, told)) }
    }

    async fn dispatch(&mut self, request: &Request<'_>, revision: Revision) -> Reply {
        self.revision = revision;
        if Act::asked_by(request.method).is_some()
            && let Some(refusal) = reserve::spent(&mut self.visit)
        {
            return limited(request, refusal, revision);
        }
        match (request.method, revision.is_modern()) {
            ("ping", false) => Reply::result(request.id, &Value::object([])),
            ("server/discover", true) => Reply::result(request.id, &answer::discovered(self.about().await)),
            ("tools/call", _) => self.call(request).await,
            ("prompts/get", _) => self.get_prompt(request, revision).await,
            ("resources/read", _) => self.read_resource(request, revision).await,
            ("completion/complete", _) => self.complete(request, revision).await,
            ("resources/subscribe", false) => self.subscribe(request, Passed::Subscribe).await,
            ("resources/unsubscribe", false) => self.subscribe(request, Passed::Unsubscribe).await,
            ("logging/setLevel", false) => self.set_level(request).await,
            ("subscriptions/listen", true) if self.streams => self.listen(request).await,
            (method, true) if let Some(step) = Step::of(method) => self.task(request, step).await,
            (method, _) => match Kind::listed_by(method) {
                Some(kind) => self.list(request, kind, revision).await,
                None => Reply::fault(Some(request.id), &Fault::unknown_method(revision)),
            },
        }
    }

    /// Sets how much the servers of a session are to tell.
    async fn set_level(&mut self, request: &Request<'_>) -> Reply {
        let level = request.param("level").and_then(Value::as_str);
        let Some(level) = level.filter(|level| LOG_LEVELS.contains(level)) else {
            let text = format!("`level` is none of {}", LOG_LEVELS.join(", "));
            return Reply::fault(Some(request.id), &Fault::new(INVALID_PARAMS, text));
        };
        if let Some(session) = self.session.clone() {
            session.set_log_level(level);
            for server in session.servers() {
                if let Ok(caller) = self.caller(&server, None) {
                    server.level_set(&caller).await;
                }
            }
        }
        Reply::result(request.id, &Value::object([]))
    }

    /// Tells what a client of 2026-07-28 wants to be told of, as long as it listens.
    async fn listen(&mut self, request: &Request<'_>) -> Reply {
        let Some(wanted) = request.param("notifications").filter(|wanted| wanted.members().is_some()) else {
            let fault = Fault::new(INVALID_PARAMS, "`notifications` is missing or not an object");
            return Reply::fault(Some(request.id), &fault);
        };
        let (wishes, resources) = listen::wishes(wanted);
        let listens_for = For::Subscription { id: request.id.clone().into_owned(), wishes, resources };
        let server = match &self.target {
            Target::All(_) => None,
            Target::One(server) => Some(server.shared_name()),
        };
        match super::listener(&mut self.visit, server, listens_for, self.sink.clone()) {
            Ok(listener) => listener.run().await,
            Err(refusal) => return Reply::refusal(Some(request.id), refusal),
        }
        // The last of it was told.
        Reply { status: 200, ..Reply::accepted() }
    }

    /// What a server's failure is told as. Its own words are redacted.
    pub(super) fn failed(&mut self, id: &Value<'_>, server: &Server, failed: Failed) -> Reply {
        let Ok(asked) = self.visit.asked() else {
            return Reply::refusal(Some(id), Refusal::NotFound);
        };
        let redactor = &asked.identity.tenant().journal.redactor;
        let revision = self.revision;
        let redacted = |message: String| redactor.text(&server.conceal(message)).as_str().to_owned();
        match failed {
            Failed::Refusal(Refusal::UpstreamRefused { status, message, retry_after }) => {
                let message = redacted(message);
                Reply::refusal(Some(id), Refusal::UpstreamRefused { status, message, retry_after })
            }
            Failed::Refusal(refusal) => Reply::refusal(Some(id), refusal),
            Failed::Cancelled => Reply::fault(Some(id), &Fault::new(CANCELLED, "Request cancelled")),
            Failed::Error { code: message::URL_ELICITATION_REQUIRED, message, data } => {
                let message = redacted(message);
                self.elicitation_required(id, server, message, data.as_ref())
            }
            Failed::Error { code, message, data } => {
                // What the protocol keeps for itself is told by the gateway alone.
                let reserved = (-32768..=-32000).contains(&code) && !message::PASSED.contains(&code);
                let code = if reserved { INTERNAL_ERROR } else { code };
                let missing = code == message::MISSING_CAPABILITY && revision.is_modern();
                let status = if missing { 400 } else { 200 };
                let fault = Fault::new(code, redacted(message));
                Reply::fault(Some(id), &Fault { status, data: data.filter(|_| !reserved), ..fault })
            }
        }
    }
}

/// Takes what a client says in its session that wants no answer.
pub(super) fn hear(session: &ClientSession, told: &Message<'_>, value: &Value<'_>) -> Reply {
    match told {
        Message::Response { .. } => session.answered(value),
        Message::Notification { method: "notifications/cancelled", params } => {
            if let Some(id) = params.and_then(|params| params.get("requestId")) {
                session.cancel(id);
            }
        }
        Message::Notification { .. } | Message::Request(_) => {}
    }
    Reply::accepted()
}

fn is_modern(head: &Head) -> bool {
    head.version.as_deref() == Some(Revision::MODERN.as_str())
}
