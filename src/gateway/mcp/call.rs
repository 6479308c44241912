//! One `tools/call`: found by table, decided, put before a person where a rule says so, sent, and its answer passed on.

use super::{
    Target,
    events::Out,
    post::{Reply, Talk},
};
use crate::{
    authorize::{self, Findings, Judged, ToolCall, ToolPermit, Waiting},
    call::Place,
    clock,
    exchange::WaitingCall,
    gateway::person::Wait,
    json::Value,
    mcp::{
        Request, Revision, answer,
        envelope::Wishes,
        message::{self, Fault, INVALID_PARAMS},
        names,
    },
    records::{Content, Raw},
    refusal::Refusal,
    upstream::mcp::{Calling, Failed, Happened, Server},
};
use std::{future::poll_fn, sync::Arc, time::Duration};

/// While a call waits for a person, the stream carries comments.
const COMMENT_EVERY: Duration = Duration::from_secs(10);
const COMMENT: &[u8] = b": a tool call waits for a person\n\n";
/// So much of a result's text is kept for its record.
const COMPLETION_BYTES_MAX: usize = 1 << 20;
const SHUTTING_DOWN: Refusal = Refusal::UpstreamError { message: "the gateway is shutting down; try again" };

/// A tool that was found, perhaps.
struct Found {
    server: Arc<Server>,
    /// The server's own name for it.
    tool: String,
    /// `SERVER__tool`.
    name: String,
}

impl Talk {
    /// Answers a call.
    pub(super) async fn call(&mut self, request: &Request<'_>, revision: Revision) -> Reply {
        let fault = |text: &str| Reply::fault(Some(request.id), &Fault::new(INVALID_PARAMS, text));
        let Some(asked_name) = request.param("name").and_then(Value::as_str) else {
            return fault("`name` is missing or not a string");
        };
        if request.param("inputResponses").is_some() || request.param("requestState").is_some() {
            return fault("answers to a server's questions are not served yet");
        }
        let (permit, server) = match self.permit(request, asked_name, revision).await {
            Ok(permitted) => permitted,
            Err(reply) => return *reply,
        };
        let result = self.send(request, revision, &permit, &server).await;
        match result {
            Ok(result) => {
                self.completion = self.keeps_content().then(|| Raw::text(text_of(&result)));
                Reply::result(request.id, &answer::passed(result, revision))
            }
            Err(failed) => self.failed(request.id, &server, failed),
        }
    }

    /// Leave to send a call, and whom to; else what it is answered with.
    async fn permit(
        &mut self,
        request: &Request<'_>,
        asked_name: &str,
        revision: Revision,
    ) -> Result<(ToolPermit, Arc<Server>), Box<Reply>> {
        let refuse = |refusal| Box::new(Reply::refusal(Some(request.id), refusal));
        let arguments = request.param("arguments");
        let found = self.find(asked_name);
        let asked = self.visit.asked().map_err(refuse)?;
        let Some(Found { server, tool, name }) = found else {
            return Err(self.unknown(request, asked_name, asked_name));
        };
        if !authorize::sees(asked, &name) {
            return Err(self.unknown(request, asked_name, &name));
        }
        asked.upstream = Some(server.shared_name());
        let tenant = asked.identity.tenant().id.shared();
        let waiting = clock::now();
        let tools = server.tools(&tenant).await;
        self.visit.waited += clock::now().saturating_duration_since(waiting);
        let tools = tools.map_err(|failed| Box::new(self.failed(request.id, &server, failed)))?;
        if tools.find(&tool).is_none() {
            return Err(self.unknown(request, asked_name, &name));
        }
        let none = Value::object([]);
        let arguments = arguments.unwrap_or(&none);
        if arguments.members().is_none() {
            let fault = Fault::new(INVALID_PARAMS, "`arguments` is not an object");
            return Err(Box::new(Reply::fault(Some(request.id), &fault)));
        }
        let arguments_max = self.visit.snapshot().limits.tool_arguments;
        let keeps_content = self.keeps_content();
        let asked = self.visit.asked().map_err(refuse)?;
        if keeps_content {
            asked.prompt = Some(format!("{name} {arguments}"));
        }
        let mut findings = Findings::default();
        let call = ToolCall { name: &name, tool: &tool, arguments, arguments_max };
        let judged = authorize::tool_call(asked, &call, &mut findings);
        self.keep(findings).map_err(refuse)?;
        match judged {
            Judged::Permitted(permit) => Ok((permit, server)),
            Judged::Denied { reason } => Err(denied(request, &reason, revision)),
            Judged::Waits(waiting) => {
                let permit = self.ask_a_person(request, waiting, revision).await?;
                Ok((permit, server))
            }
        }
    }

    /// The tool that a name may stand for. Whether it exists is told by its server's list.
    fn find(&self, asked_name: &str) -> Option<Found> {
        let (server, tool) = match &self.target {
            Target::One(server) => (server, asked_name),
            Target::All(servers) => servers
                .iter()
                .find_map(|server| Some((server, names::tool_of(server.name(), asked_name)?)))
                .filter(|_| names::fits(asked_name))?,
        };
        let name = names::combined(server.name(), tool);
        Some(Found { server: Arc::clone(server), tool: tool.to_owned(), name })
    }

    /// The answer for a tool that is not there, or not to be seen; on record either way.
    fn unknown(&mut self, request: &Request<'_>, asked_name: &str, name: &str) -> Box<Reply> {
        let mut findings = Findings::default();
        if let Ok(asked) = self.visit.asked() {
            asked.upstream = None;
            authorize::unknown_tool(asked, name, request.param("arguments"), &mut findings);
        }
        Box::new(match self.keep(findings) {
            Ok(()) => Reply::fault(Some(request.id), &answer::unknown_tool(asked_name)),
            Err(refusal) => Reply::refusal(Some(request.id), refusal),
        })
    }

    /// Records what was found, before anything is done.
    fn keep(&mut self, findings: Findings) -> Result<(), Refusal> {
        let Findings { evidence, mut tools_denied, .. } = findings;
        self.visit.tools_denied.append(&mut tools_denied);
        self.visit.record(evidence)
    }

    /// Waits for a person, as long as the client can.
    async fn ask_a_person(
        &mut self,
        request: &Request<'_>,
        waiting: Waiting,
        revision: Revision,
    ) -> Result<ToolPermit, Box<Reply>> {
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
                    let told = answer::failed(&text, revision);
                    return Err(Box::new(Reply::result(request.id, &told)));
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

    /// Sends a call, and passes on what its server tells meanwhile.
    async fn send(
        &mut self,
        request: &Request<'_>,
        revision: Revision,
        permit: &ToolPermit,
        server: &Server,
    ) -> Result<Value<'static>, Failed> {
        let progress = request.meta("progressToken").filter(|_| self.streams);
        let log_level = request.meta("io.modelcontextprotocol/logLevel").and_then(Value::as_str);
        let wishes = Wishes { progress: progress.is_some(), log_level: log_level.map(ToOwned::to_owned) };
        let tells = !revision.is_modern() || wishes.log_level.is_some();
        let asked = self.visit.asked().map_err(Failed::Refusal)?;
        let tenant = asked.identity.tenant().id.shared();
        let gateway = Arc::clone(self.visit.gateway());
        let started = clock::now();
        let sink = self.streams.then_some(&self.sink);
        let answering = async {
            let mut calling: Calling<'_> = server.call(&tenant, permit, &wishes).await?;
            loop {
                let number = calling.number;
                match calling.next().await? {
                    Happened::Result(result) => return Ok(result),
                    Happened::Notification { method, params } => {
                        let passed = passed(&method, params, progress, number, tells);
                        if let (Some(sink), Some(event)) = (sink, passed) {
                            drop(sink.send(Out::Event(message::event(event.as_bytes()).into())).await);
                        }
                    }
                }
            }
        };
        let result = tokio::select! {
            result = answering => result,
            () = gateway.closing.cancelled() => Err(Failed::Refusal(SHUTTING_DOWN)),
        };
        self.visit.waited += clock::now().saturating_duration_since(started);
        result
    }

    fn keeps_content(&mut self) -> bool {
        let asked = self.visit.asked();
        asked.is_ok_and(|asked| asked.identity.tenant().journal.content == Content::Redacted)
    }
}

fn denied(request: &Request<'_>, reason: &str, revision: Revision) -> Box<Reply> {
    Box::new(Reply::result(request.id, &answer::denied(reason, revision)))
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
        _ => return None,
    }
    let message = Value::object([
        ("jsonrpc", Value::string("2.0")),
        ("method", Value::string(method.to_owned())),
        ("params", params),
    ]);
    Some(message.to_string())
}

/// The text of a result, for its record.
fn text_of(result: &Value<'_>) -> String {
    let mut text = String::new();
    let items = result.get("content").and_then(Value::items).unwrap_or_default();
    for part in items.iter().filter_map(|item| item.get("text")?.as_str()) {
        let left = COMPLETION_BYTES_MAX.saturating_sub(text.len());
        if !text.is_empty() && left > 0 {
            text.push('\n');
        }
        text.extend(part.chars().take(left));
    }
    text
}
