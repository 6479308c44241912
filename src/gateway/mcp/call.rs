//! One `tools/call`: found by table, decided, put before a person where a rule says so, sent, and its answer passed on.

use super::{
    Target,
    events::Out,
    input::Inputs,
    post::{Reply, Talk, limited},
};
use crate::{
    authorize::{self, Findings, Judged, ToolCall, ToolPermit, Waiting},
    call::Place,
    clock,
    exchange::WaitingCall,
    gateway::{apart, person::Wait},
    json::Value,
    mcp::{
        Request, Revision,
        act::Act,
        answer,
        envelope::{Retry, Wishes},
        list::Definitions,
        message::{self, Fault, INVALID_PARAMS},
        names, task,
    },
    records::{Content, Raw, Said},
    refusal::Refusal,
    trace::{Came, Going, McpCall, Underway},
    upstream::{
        self,
        mcp::{Calling, Failed, Happened, Server},
    },
};
use std::{
    future::poll_fn,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// While a call waits for a person, the stream carries comments.
const COMMENT_EVERY: Duration = Duration::from_secs(10);
const COMMENT: &[u8] = b": a tool call waits for a person\n\n";
/// So many times a server may ask for input before it answers.
const ROUNDS_MAX: usize = 10;
/// So many questions of a server may wait in one call.
const QUESTIONS_MAX: usize = 64;
/// So much of a result's text is kept for its record.
const COMPLETION_BYTES_MAX: usize = 1 << 20;
pub(super) const SHUTTING_DOWN: Refusal =
    Refusal::UpstreamError { message: "the gateway is shutting down; try again" };

/// Something that was found, perhaps.
pub(super) struct Found {
    pub(super) act: Act,
    pub(super) server: Arc<Server>,
    /// The server's own name for it.
    pub(super) tool: String,
    /// The name that rules and records have for it: `SERVER__tool`.
    pub(super) name: String,
}

impl Talk {
    /// Answers a call.
    pub(super) async fn call(&mut self, request: &Request<'_>) -> Reply {
        let fault = |text: &str| Reply::fault(Some(request.id), &Fault::new(INVALID_PARAMS, text));
        let Some(asked_name) = request.param("name").and_then(Value::as_str) else {
            return fault("`name` is missing or not a string");
        };
        let (permit, server) = match self.permit(request, asked_name).await {
            Ok(permitted) => permitted,
            Err(reply) => return *reply,
        };
        match self.exchange(request, &permit, &server).await {
            Ok(Ok(result)) if task::is_task(&result) => {
                let tool = names::combined(server.name(), permit.tool());
                self.task_created(request, &server, &tool, result)
            }
            Ok(Ok(result)) => {
                let (keeps, revision) = (self.keeps_content(), self.revision);
                let made = self.made(move || {
                    let said = keeps.then(|| Raw::said(content_of(&result)));
                    (Reply::result(request.id, &answer::passed(result, revision)), said)
                });
                made.await.unwrap_or_else(|_| Reply::refusal(Some(request.id), Refusal::AnswerLost))
            }
            // It was carried out.
            Ok(Err(Failed::Refusal(Refusal::NoRoom { .. }))) => {
                Reply::refusal(Some(request.id), Refusal::AnswerLost)
            }
            Ok(Err(failed)) => self.failed(request.id, &server, failed),
            Err(reply) => *reply,
        }
    }

    /// Sends what was permitted, again with what the client brings where the server asks for input first. What comes of
    /// it, or what the client is told instead.
    pub(super) async fn exchange(
        &mut self,
        request: &Request<'_>,
        permit: &ToolPermit,
        server: &Arc<Server>,
    ) -> Result<Result<Value<'static>, Failed>, Box<Reply>> {
        let retry = self.retry(request, server);
        let mut retry = retry.map_err(|fault| Box::new(Reply::fault(Some(request.id), &fault)))?;
        for _ in 0..ROUNDS_MAX {
            let result = match self.send(request, permit, server, &retry).await {
                Ok(result) => result,
                Err(Failed::Refusal(refusal @ Refusal::Overloaded { .. })) => {
                    return Err(Box::new(limited(request, refusal, self.revision)));
                }
                Err(failed) => return Ok(Err(failed)),
            };
            match self.inputs(request, server, &result).await {
                Inputs::None => return Ok(Ok(result)),
                Inputs::Brought(brought) => {
                    retry = brought;
                    self.is_the_same(request, permit, server).await?;
                }
                Inputs::Told(reply) => return Err(reply),
            }
        }
        let told = answer::failed("The server asks for input again and again.", self.revision);
        Err(Box::new(Reply::result(request.id, &told)))
    }

    /// Leave to send a call, and whom to; else what it is answered with.
    async fn permit(
        &mut self,
        request: &Request<'_>,
        asked_name: &str,
    ) -> Result<(ToolPermit, Arc<Server>), Box<Reply>> {
        let revision = self.revision;
        let refuse = |refusal| Box::new(Reply::refusal(Some(request.id), refusal));
        let arguments = request.param("arguments");
        let found = self.find(Act::CallTool, asked_name);
        let asked = self.visit.asked().map_err(refuse)?;
        let unknown = answer::unknown(Act::CallTool, asked_name, revision);
        let Some(found) = found else {
            return Err(self.unknown(request, Act::CallTool, asked_name, &unknown));
        };
        let Found { server, tool, name, .. } = &found;
        if !authorize::sees(asked, name) {
            return Err(self.unknown(request, Act::CallTool, name, &unknown));
        }
        asked.upstream = Some(server.shared_name());
        let tools = self.listed(request, server, tool, name).await?;
        let none = Value::object([]);
        let arguments = arguments.unwrap_or(&none);
        if arguments.members().is_none() {
            let fault = Fault::new(INVALID_PARAMS, "`arguments` is not an object");
            return Err(Box::new(Reply::fault(Some(request.id), &fault)));
        }
        if revision.is_modern() {
            let mirrors = tools.find(tool).map(|tool| &*tool.mirrors).unwrap_or_default();
            let agreed = self.stated.agree(mirrors, arguments);
            agreed.map_err(|fault| Box::new(Reply::fault(Some(request.id), &fault)))?;
        }
        self.judge(request, found, arguments, revision).await
    }

    /// What the server lists, where the tool is in it and may be served.
    async fn listed(
        &mut self,
        request: &Request<'_>,
        server: &Arc<Server>,
        tool: &str,
        name: &str,
    ) -> Result<Arc<Definitions>, Box<Reply>> {
        let waiting = clock::now();
        let tools = server.tools().await;
        self.visit.waited += clock::now().saturating_duration_since(waiting);
        let tools = tools.map_err(|failed| Box::new(self.failed(request.id, server, failed)))?;
        if tools.find(tool).is_some() {
            return Ok(tools);
        }
        let asked_name = request.param("name").and_then(Value::as_str).unwrap_or_default();
        let unknown = answer::unknown(Act::CallTool, asked_name, self.revision);
        let Some(why) = tools.withheld(tool) else {
            return Err(self.unknown(request, Act::CallTool, name, &unknown));
        };
        Err(self.refuse_unknown(request, (name, request.param("arguments")), &unknown, why))
    }

    /// While somebody was asked, a tool may have become another than the one that they were asked about.
    async fn is_the_same(
        &mut self,
        request: &Request<'_>,
        permit: &ToolPermit,
        server: &Arc<Server>,
    ) -> Result<(), Box<Reply>> {
        if server.pins().is_some() && permit.act() == Act::CallTool {
            let name = names::combined(server.name(), permit.tool());
            self.listed(request, server, permit.tool(), &name).await?;
        }
        Ok(())
    }

    /// Decides on what was found, with these arguments.
    pub(super) async fn judge(
        &mut self,
        request: &Request<'_>,
        found: Found,
        arguments: &Value<'_>,
        revision: Revision,
    ) -> Result<(ToolPermit, Arc<Server>), Box<Reply>> {
        let refuse = |refusal| Box::new(Reply::refusal(Some(request.id), refusal));
        let Found { act, server, tool, name } = found;
        let arguments_max = self.visit.snapshot().limits.tool_arguments;
        let keeps_content = self.keeps_content();
        let asked = self.visit.asked().map_err(refuse)?;
        asked.tool = Some(name.as_str().into());
        if keeps_content {
            asked.prompt = Some(Said::called(&name, arguments));
        }
        let mut findings = Findings::default();
        let call = ToolCall {
            act,
            place: Place::Mcp,
            name: &name,
            tool: &tool,
            arguments,
            arguments_max,
            count: NonZeroU32::MIN,
        };
        let judged = authorize::tool_call(asked, &call, &mut findings);
        self.keep(findings).map_err(refuse)?;
        match judged {
            Judged::Permitted(permit) => Ok((permit, server)),
            Judged::Denied { reason, .. } => Err(denied(request, &reason, revision)),
            Judged::Waits(waiting) => {
                let permit = self.ask_a_person(request, waiting).await?;
                self.is_the_same(request, &permit, &server).await?;
                Ok((permit, server))
            }
        }
    }

    /// The tool, or the prompt, that a name may stand for. Whether it exists is told by its server's list.
    pub(super) fn find(&self, act: Act, asked_name: &str) -> Option<Found> {
        let (server, tool) = match &self.target {
            Target::One(server) => (server, asked_name),
            Target::All(servers) => servers
                .iter()
                .find_map(|server| Some((server, names::tool_of(server.name(), asked_name)?)))
                .filter(|_| names::fits(asked_name))?,
        };
        let name = act.ruled(server.name(), tool);
        Some(Found { act, server: Arc::clone(server), tool: tool.to_owned(), name })
    }

    /// The answer for what is not there, or not to be seen; on record either way.
    pub(super) fn unknown(
        &mut self,
        request: &Request<'_>,
        act: Act,
        name: &str,
        fault: &Fault,
    ) -> Box<Reply> {
        let nothing = format!("there is no such {}", act.noun());
        let arguments = match act {
            Act::CallTool | Act::GetPrompt => request.param("arguments").cloned(),
            Act::ReadResource => request.param("uri").map(|uri| Value::object([("uri", uri.clone())])),
        };
        self.refuse_unknown(request, (name, arguments.as_ref()), fault, &nothing)
    }

    fn refuse_unknown(
        &mut self,
        request: &Request<'_>,
        (name, arguments): (&str, Option<&Value<'_>>),
        fault: &Fault,
        why: &str,
    ) -> Box<Reply> {
        let mut findings = Findings::default();
        if let Ok(asked) = self.visit.asked() {
            asked.upstream = None;
            authorize::unknown(asked, name, arguments, why, &mut findings);
        }
        Box::new(match self.keep(findings) {
            Ok(()) => Reply::fault(Some(request.id), fault),
            Err(refusal) => Reply::refusal(Some(request.id), refusal),
        })
    }

    /// Records what was found, before anything is done.
    pub(super) fn keep(&mut self, findings: Findings) -> Result<(), Refusal> {
        let Findings { evidence, mut tools_denied, .. } = findings;
        self.visit.tools_denied.append(&mut tools_denied);
        self.visit.record(evidence)
    }

    /// Waits for a person, as long as the client can.
    async fn ask_a_person(
        &mut self,
        request: &Request<'_>,
        waiting: Waiting,
    ) -> Result<ToolPermit, Box<Reply>> {
        let revision = self.revision;
        let refuse = |refusal| Box::new(Reply::refusal(Some(request.id), refusal));
        let gateway = Arc::clone(self.visit.gateway());
        let call = WaitingCall {
            tool: waiting.tool.clone(),
            produced: waiting.asked_args.clone(),
            judged: Some(waiting.asked_args.clone()),
            args: waiting.args.clone(),
            rule: Arc::clone(&waiting.rule),
            rule_text: waiting.rule_text.clone(),
            reason: Arc::clone(&waiting.reason),
            within: waiting.within,
        };
        let asked = self.visit.asked().map_err(refuse)?;
        let mut wait = Wait::ask(&gateway, asked, call, Place::Mcp);
        let started = clock::now();
        let mut comments = tokio::time::interval(COMMENT_EVERY);
        comments.reset();
        let ruling = loop {
            tokio::select! {
                biased;
                ruling = poll_fn(|cx| wait.poll(cx, &gateway, asked)) => break ruling,
                () = gateway.closing.cancelled() => return Err(refuse(SHUTTING_DOWN)),
                _ = comments.tick(), if self.streams => {
                    drop(self.sink.send(Out::Event(COMMENT.into())).await);
                }
                () = &mut self.patience, if !self.streams => {
                    let text = format!(
                        "This call waits for a person to approve it ({}). Make the same call again later: it passes once it is approved.",
                        wait.id()
                    );
                    return Err(told(request, &text, revision));
                }
            }
        };
        self.visit.waited += clock::now().saturating_duration_since(started);
        let mut findings = Findings::default();
        let asked = self.visit.asked().map_err(refuse)?;
        let ruled = waiting.ruled(asked, ruling, clock::wall(), &mut findings);
        self.keep(findings).map_err(refuse)?;
        ruled.map_err(|reason| denied(request, &reason, revision))
    }

    /// Waits until a call may go to its server.
    async fn turn(
        &mut self,
        server: &Server,
        cancelled: &CancellationToken,
    ) -> Result<Option<upstream::Place>, Failed> {
        let gateway = Arc::clone(self.visit.gateway());
        let started = clock::now();
        let mut turn = self.visit.turn(&gateway, 0).map_err(Failed::Refusal)?;
        let place = tokio::select! {
            place = turn.at(server.name()) => place.map_err(Failed::Refusal),
            () = cancelled.cancelled() => Err(Failed::Cancelled),
        };
        self.visit.waited += clock::now().saturating_duration_since(started);
        if let Err(Failed::Refusal(refusal)) = &place {
            self.visit.rejected(refusal);
        }
        place
    }

    /// Sends a call, and passes on what its server tells and asks meanwhile.
    async fn send(
        &mut self,
        request: &Request<'_>,
        permit: &ToolPermit,
        server: &Arc<Server>,
        retry: &Retry,
    ) -> Result<Value<'static>, Failed> {
        let caller = self.caller(server, Some(request)).map_err(Failed::Refusal)?;
        let progress = request.meta("progressToken").filter(|_| self.streams);
        let log_level = request.meta("io.modelcontextprotocol/logLevel").and_then(Value::as_str);
        let log_level = log_level.or(caller.log_level.as_deref()).map(ToOwned::to_owned);
        let tells = !self.revision.is_modern() || log_level.is_some();
        let wishes = Wishes { progress: progress.is_some(), log_level, ..Wishes::default() };
        let gateway = Arc::clone(self.visit.gateway());
        let running = self.session.as_ref().map(|session| session.runs(request.id));
        let cancelled = running.as_ref().map(|running| running.cancelled.clone()).unwrap_or_default();
        // Held until the result is there.
        let _place = self.turn(server, &cancelled).await?;
        let underway = self.begin(permit, server);
        let wishes = Wishes { trace: underway.as_ref().map(|underway| underway.context), ..wishes };
        let started = clock::now();
        let mut answers = JoinSet::new();
        let calling = server.call(&caller, permit, retry, &wishes);
        let calling = tokio::select! {
            calling = calling => calling,
            () = gateway.closing.cancelled() => Err(Failed::Refusal(SHUTTING_DOWN)),
            () = cancelled.cancelled() => Err(Failed::Cancelled),
        };
        let mut calling: Calling = match calling {
            Ok(calling) => calling,
            Err(failed) => return self.ended(underway, started, Err(failed)),
        };
        let result = loop {
            let happened = tokio::select! {
                happened = calling.next() => happened,
                () = gateway.closing.cancelled() => break Err(Failed::Refusal(SHUTTING_DOWN)),
                () = cancelled.cancelled() => break Err(Failed::Cancelled),
                Some(_) = answers.join_next() => continue,
            };
            match happened {
                Err(failed) => break Err(failed),
                Ok(Happened::Result(result)) => break Ok(result),
                Ok(Happened::Paused) if self.session.is_some() && self.streams => {
                    drop(self.sink.send(Out::Pause).await);
                }
                Ok(Happened::Paused) => {}
                Ok(Happened::Notification { method, params }) => {
                    let passed = passed(&method, params, progress, calling.number, tells);
                    if let (true, Some(event)) = (self.streams, passed) {
                        drop(self.sink.send(Out::Event(message::event(event.as_bytes()).into())).await);
                    }
                }
                Ok(Happened::Question { id, method, params }) => {
                    // Who asks too much at once gets no answer.
                    let answerer = calling.answerer().filter(|_| answers.len() < QUESTIONS_MAX);
                    if let Some(answerer) = answerer {
                        let asking = self.question(server, &id, &method, &params).await;
                        answers.spawn(async move { answerer.answer(asking.answer().await).await });
                    }
                }
            }
        };
        self.taken = calling.taken();
        self.ended(underway, started, result)
    }

    /// Notes a message to a server in the request's trace.
    fn begin(&mut self, permit: &ToolPermit, server: &Server) -> Option<Underway> {
        let asked = self.visit.asked().ok()?;
        let trace = asked.trace.as_ref()?;
        let (act, redactor) = (permit.act(), &asked.identity.tenant().journal.redactor);
        // A resource's URI is no name of few.
        let is_name = trace.context.is_sampled && act != Act::ReadResource;
        let name = is_name.then(|| redactor.name(permit.tool()).as_str().into());
        let mcp = Some(McpCall { method: act.method(), name, version: None });
        let going = Going {
            upstream: server.shared_name(),
            method: "POST",
            server: server.address(),
            url: None,
            mcp,
        };
        Some(trace.outbound().begin(going, clock::now()))
    }

    /// Counts the time that a server took, and notes what came of a message to it.
    fn ended(
        &mut self,
        underway: Option<Underway>,
        started: Instant,
        result: Result<Value<'static>, Failed>,
    ) -> Result<Value<'static>, Failed> {
        let now = clock::now();
        self.visit.waited += now.saturating_duration_since(started);
        let Some(underway) = underway else { return result };
        let is_error = |result: &Value<'_>| result.get("isError") == Some(&Value::Bool(true));
        let came = match &result {
            Ok(result) if is_error(result) => Came::Failed("tool_error"),
            Ok(_) => Came::Answer,
            Err(Failed::Error { code, .. }) => Came::Code(*code),
            Err(Failed::Refusal(refusal)) => Came::Failed(refusal.code()),
            Err(Failed::Cancelled) => Came::Failed("cancelled"),
        };
        underway.end(came, now);
        result
    }

    /// Makes a reply of a server's result, and what is recorded of it; of a large one apart from others' requests.
    pub(super) async fn made(
        &mut self,
        work: impl FnOnce() -> (Reply, Option<Raw>) + Send,
    ) -> Result<Reply, Refusal> {
        let gateway = Arc::clone(self.visit.gateway());
        let caller = (&*gateway, &self.visit.asked()?.identity);
        let leave = apart::turn_of_answer(caller, self.taken.bytes).await?;
        let (reply, said) = leave.work(work);
        self.completion = said;
        Ok(reply)
    }

    pub(super) fn keeps_content(&mut self) -> bool {
        let asked = self.visit.asked();
        asked.is_ok_and(|asked| asked.identity.tenant().journal.content == Content::Redacted)
    }
}

fn denied(request: &Request<'_>, reason: &str, revision: Revision) -> Box<Reply> {
    told(request, &format!("Denied: {reason}"), revision)
}

/// Why there is no answer: a model that calls a tool reads it in its result, anybody else in an error.
fn told(request: &Request<'_>, text: &str, revision: Revision) -> Box<Reply> {
    Box::new(if request.method == Act::CallTool.method() {
        Reply::result(request.id, &answer::failed(text, revision))
    } else {
        Reply::fault(Some(request.id), &answer::denial(text, "tool_not_allowed"))
    })
}

/// A server's notification as the client reads it; `None` for one that is not its.
fn passed(
    method: &str,
    mut params: Value<'static>,
    progress: Option<&Value<'_>>,
    number: u64,
    tells: bool,
) -> Option<String> {
    match method {
        "notifications/progress" if params.get("progressToken")?.as_u64() == Some(number) => {
            params.set("progressToken", progress?.clone().into_owned());
        }
        "notifications/message" if tells => {}
        "notifications/elicitation/complete" => {}
        _ => return None,
    }
    let message = Value::object([
        ("jsonrpc", Value::string("2.0")),
        ("method", Value::string(method.to_owned())),
        ("params", params),
    ]);
    Some(message.to_string())
}

pub(super) fn content_of(result: &Value<'_>) -> Said {
    let items = result.get("content").and_then(Value::items).unwrap_or_default();
    text_of(items.iter().filter_map(|item| item.get("text")?.as_str()))
}

/// The text of a result, for its record.
pub(super) fn text_of<'r>(parts: impl Iterator<Item = &'r str>) -> Said {
    let mut text = Said::default();
    for part in parts {
        let left = COMPLETION_BYTES_MAX.saturating_sub(text.len());
        if !text.is_empty() && left > 0 {
            text.note("\n");
        }
        text.say(part.get(..part.floor_char_boundary(left)).unwrap_or_default());
    }
    text
}
