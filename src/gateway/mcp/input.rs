//! What servers ask of clients. In the older era a server asks while it works on a call, and the client answers with a
//! message of its own; in 2026-07-28 it answers a call with its questions, and the client calls again. What it asks is
//! decided by the tenant's rules, as is every call again.

use super::{
    ClientSession,
    events::{Out, Sink},
    post::{Reply, Talk},
    session::{Told, Waiting},
};
use crate::{
    asked::Asked,
    authorize::{self, Findings},
    clock,
    gateway::{Gateway, apart, visit},
    json::{self, Value},
    mcp::{
        Request, answer,
        envelope::{self, Retry},
        message::{self, Fault, INVALID_PARAMS, METHOD_NOT_FOUND},
        question::{self, Question},
        task,
    },
    refusal::Refusal,
    seal::{Bond, Seals},
    upstream::{
        apart::Share,
        mcp::{Caller, Server},
    },
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{borrow::Cow, sync::Arc};

/// So long an exchange may take that a server asks for input in, in seconds: a day.
const STATE_KEPT: i64 = 86_400;
/// So long a server's question may be, in bytes.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// What a client is told that declines for its user. Source: the specification, "Sampling".
const DECLINED: i64 = -1;

/// What comes of a server's question.
pub(super) enum Asking {
    /// The client was asked. The server's own id of it, and whose answer is waited for.
    Client(Value<'static>, Waiting),
    /// It is answered already.
    Answered(Vec<u8>),
}

/// What comes of a result.
pub(super) enum Inputs {
    /// It asks for nothing.
    None,
    /// The client answered; the call is made again with this.
    Brought(Retry),
    /// The client is told this.
    Told(Box<Reply>),
}

impl Asking {
    /// What the server is answered with.
    pub(super) async fn answer(self) -> Vec<u8> {
        let (id, waiting) = match self {
            Self::Answered(message) => return message,
            Self::Client(id, waiting) => (id, waiting),
        };
        match waiting.answer().await {
            Some(Told::Result(result)) => message::result(&id, &result),
            Some(Told::Error(error)) => message::error_as_it_is(&id, &error),
            None => envelope::not_served(&id),
        }
    }
}

/// Whom servers' questions are put to.
pub(super) struct Desk<'d> {
    pub(super) gateway: &'d Gateway,
    pub(super) asked: &'d Asked,
    /// Without a session there is no way to ask.
    pub(super) session: Option<&'d Arc<ClientSession>>,
    pub(super) sink: &'d Sink,
}

/// Puts a server's question to a client, if the tenant's rules let it. On record, and in `denied`, if they do not.
pub(super) async fn put(
    desk: &Desk<'_>,
    server: &Server,
    (id, method): (&Value<'static>, &str),
    params: &Value<'_>,
    denied: &mut Vec<String>,
) -> Asking {
    if method == "ping" {
        return Asking::Answered(message::result(id, &Value::object([])));
    }
    let known = Question::of(method).zip(desk.session);
    let Some((question, session)) =
        known.filter(|(question, session)| question.is_announced(&session.capabilities))
    else {
        return Asking::Answered(envelope::not_served(id));
    };
    let params = match may_ask(desk, server, question, params, denied) {
        Ok(params) => params,
        Err(_) if question == Question::Elicitation => {
            let declined = Value::object([("action", Value::string("decline"))]);
            return Asking::Answered(message::result(id, &declined));
        }
        Err(reason) => {
            let fault = Fault::new(DECLINED, format!("Denied: {reason}"));
            return Asking::Answered(message::error(Some(id), &fault));
        }
    };
    let Some(waiting) = session.ask() else {
        return Asking::Answered(envelope::not_served(id));
    };
    let asked = message::request(&waiting.id, method, &params);
    drop(desk.sink.send(Out::Event(message::event(&asked).into())).await);
    Asking::Client(id.clone(), waiting)
}

/// What a client is asked, as JSON; else why it is not. On record either way.
fn may_ask(
    desk: &Desk<'_>,
    server: &Server,
    question: Question,
    params: &Value<'_>,
    denied: &mut Vec<String>,
) -> Result<Bytes, String> {
    let mut findings = Findings::default();
    let name = question.name(server.name());
    let judged = authorize::question(desk.asked, &name, params, MESSAGE_BYTES_MAX, &mut findings);
    denied.append(&mut findings.tools_denied);
    for entry in findings.evidence {
        visit::record(desk.gateway, entry).map_err(|refusal| refusal.message())?;
    }
    judged
}

impl Talk {
    /// On whose behalf a server is asked.
    pub(super) fn caller(
        &mut self,
        server: &Arc<Server>,
        request: Option<&Request<'_>>,
    ) -> Result<Caller, Refusal> {
        let session = self.session.clone();
        let asked = self.visit.asked()?;
        let may_ask = |question: Question| authorize::sees(asked, &question.name(server.name()));
        let stated = request.and_then(|request| request.meta("io.modelcontextprotocol/clientCapabilities"));
        let announced = session.as_ref().map(|session| &session.capabilities).or(stated);
        let capabilities =
            announced.map_or_else(|| Value::object([]), |announced| question::narrowed(announced, may_ask));
        let mut capabilities = capabilities;
        if session.is_none() && stated.is_some_and(task::is_declared) {
            capabilities.set("extensions", task::declaration());
        }
        if let Some(session) = &session {
            session.uses(server);
        }
        let Share { tenant, weight, priority } = apart::share(&asked.identity);
        Ok(Caller {
            tenant,
            weight,
            priority,
            session: session.as_ref().map(|session| session.id),
            capabilities: Arc::new(capabilities),
            resources: session.as_ref().map(|session| session.subscribed(server.name())).unwrap_or_default(),
            log_level: session.and_then(|session| session.log_level()),
        })
    }

    /// Puts a server's question to the client, if the tenant's rules let it.
    pub(super) async fn question(
        &mut self,
        server: &Server,
        id: &Value<'static>,
        method: &str,
        params: &Value<'_>,
    ) -> Asking {
        let gateway = Arc::clone(self.visit.gateway());
        let mut denied = Vec::new();
        let asking = match self.visit.asked() {
            Ok(asked) => {
                let session = self.session.as_ref().filter(|_| self.streams);
                let desk = Desk { gateway: &gateway, asked, session, sink: &self.sink };
                put(&desk, server, (id, method), params, &mut denied).await
            }
            Err(_) => Asking::Answered(envelope::not_served(id)),
        };
        self.visit.tools_denied.append(&mut denied);
        asking
    }

    /// A server's error that has the user do something at an address first: what it asks is decided like any question.
    pub(super) fn elicitation_required(
        &mut self,
        id: &Value<'_>,
        server: &Server,
        message: String,
        data: Option<&Value<'_>>,
    ) -> Reply {
        let announced = self.session.as_ref().map(|session| session.capabilities.clone());
        let can = announced.is_some_and(|all| Question::Elicitation.is_announced(&all));
        let asked = data.and_then(|data| data.get("elicitations")?.items()).unwrap_or_default();
        let denied = |reason: String| Fault::new(INVALID_PARAMS, format!("Denied: {reason}"));
        if !can || asked.is_empty() {
            let reason = "its server asks for input that the client does not give".to_owned();
            return Reply::fault(Some(id), &denied(reason));
        }
        let mut passed = Vec::new();
        for question in asked {
            match self.may_ask(server, Question::Elicitation, question) {
                Ok(params) => match json::parse(&params, json::NESTING_MAX) {
                    Ok(params) => passed.push(params.into_owned()),
                    Err(_) => return Reply::fault(Some(id), &denied("it cannot be read".to_owned())),
                },
                Err(reason) => return Reply::fault(Some(id), &denied(reason)),
            }
        }
        let data = Value::object([("elicitations", Value::Array(passed))]);
        let fault = Fault::new(message::URL_ELICITATION_REQUIRED, message);
        Reply::fault(Some(id), &Fault { data: Some(data), ..fault })
    }

    /// What the client brings back to a server that asked for input.
    pub(super) fn retry(&mut self, request: &Request<'_>, server: &Server) -> Result<Retry, Fault> {
        let asked = self.visit.asked().map_err(|refusal| answer::refused(&refusal))?;
        // Where its server may ask nothing, there is nothing to answer.
        let may_ask = || {
            question::ALL.into_iter().any(|question| authorize::sees(asked, &question.name(server.name())))
        };
        let responses = request.param("inputResponses").filter(|_| may_ask());
        let responses = responses.map(|responses| responses.clone().into_owned());
        let responses_max = self.visit.snapshot().limits.tool_arguments;
        if responses.as_ref().is_some_and(|responses| responses.to_string().len() > responses_max) {
            return Err(Fault::new(INVALID_PARAMS, "Denied: `inputResponses` are too long"));
        }
        let Some(state) = request.param("requestState") else { return Ok(Retry { responses, state: None }) };
        let unknown = || Fault::new(INVALID_PARAMS, "`requestState` is not one that this call was given");
        let state = state.as_str().ok_or_else(unknown)?;
        let opened = self.sealing(request, server, |seals, bond| {
            seals.open(bond, state, clock::unix_seconds(clock::wall()))
        });
        Ok(Retry { responses, state: Some(opened.flatten().ok_or_else(unknown)?) })
    }

    /// Seals and bond of the state of a call: the tenant's, its key's, this server's, this call's with these arguments.
    fn sealing<R>(
        &mut self,
        request: &Request<'_>,
        server: &Server,
        use_them: impl FnOnce(&Seals, &Bond<'_>) -> R,
    ) -> Option<R> {
        let identity = &self.visit.asked().ok()?.identity;
        let name = request.param("name").or_else(|| request.param("uri")).and_then(Value::as_str)?;
        let arguments = request.param("arguments").map_or_else(|| "{}".to_owned(), ToString::to_string);
        let digest: String = Sha256::digest(arguments).iter().map(|byte| format!("{byte:02x}")).collect();
        let seals = Seals::new(&identity.tenant().journal.secret.key("mcp seal v1"));
        let (key, subject) = (identity.key().id.as_str(), [request.method, name, &digest]);
        let bond = Bond { purpose: "state", key, server: server.name(), subject: &subject };
        Some(use_them(&seals, &bond))
    }

    /// What becomes of a result that asks for input.
    pub(super) async fn inputs(
        &mut self,
        request: &Request<'_>,
        server: &Arc<Server>,
        result: &Value<'static>,
    ) -> Inputs {
        if !answer::asks_for_input(result) {
            return Inputs::None;
        }
        let told = |reply| Inputs::Told(Box::new(reply));
        let failed = |text: &str, revision| Reply::result(request.id, &answer::failed(text, revision));
        let state = result.present("requestState").map(|state| state.as_str().map(ToOwned::to_owned));
        let asked = result.get("inputRequests").map_or(Some(&[][..]), Value::members);
        let (Some(asked), None | Some(Some(_))) = (asked, &state) else {
            return told(failed("The server asks for input in a way that cannot be read.", self.revision));
        };
        let state = state.flatten();
        if self.revision.is_modern() {
            return told(self.pass_questions(request, server, asked, state));
        }
        let mut responses = Value::object([]);
        for (name, question) in asked {
            let none = Value::object([]);
            let method = question.get("method").and_then(Value::as_str).unwrap_or_default();
            let params = question.get("params").unwrap_or(&none);
            let asking = self.question(server, &Value::Null, method, params).await;
            let brought = match asking {
                Asking::Client(_, waiting) => waiting.answer().await,
                Asking::Answered(_) => None,
            };
            let Some(Told::Result(brought)) = brought else {
                let text = format!("Denied: the server asks for input ({method}) that it does not get.");
                return told(failed(&text, self.revision));
            };
            responses.set(name, brought);
        }
        Inputs::Brought(Retry { responses: Some(responses), state })
    }

    fn may_ask(&mut self, server: &Server, question: Question, params: &Value<'_>) -> Result<Bytes, String> {
        let gateway = Arc::clone(self.visit.gateway());
        let mut denied = Vec::new();
        let asked = self.visit.asked().map_err(|refusal| refusal.message())?;
        let desk = Desk { gateway: &gateway, asked, session: None, sink: &self.sink };
        let judged = may_ask(&desk, server, question, params, &mut denied);
        self.visit.tools_denied.append(&mut denied);
        judged
    }

    /// Passes on what a server asks; one question that is denied denies the call.
    fn pass_questions(
        &mut self,
        request: &Request<'_>,
        server: &Arc<Server>,
        asked: &[(Cow<'static, str>, Value<'static>)],
        state: Option<String>,
    ) -> Reply {
        let passed = match self.passed_questions(request, server, asked) {
            Ok(passed) => passed,
            Err(reply) => return *reply,
        };
        let until = clock::unix_seconds(clock::wall()).saturating_add(STATE_KEPT);
        let state = state
            .and_then(|state| self.sealing(request, server, |seals, bond| seals.seal(bond, &state, until)));
        Reply::result(request.id, &answer::input_required(passed, state))
    }

    /// A server's questions as the client is asked them; one that is denied denies all.
    pub(super) fn passed_questions(
        &mut self,
        request: &Request<'_>,
        server: &Arc<Server>,
        asked: &[(Cow<'static, str>, Value<'static>)],
    ) -> Result<Value<'static>, Box<Reply>> {
        // What the rules deny of what the client announces is denied where it stands on record.
        let none = Value::object([]);
        let announced = request.meta("io.modelcontextprotocol/clientCapabilities").unwrap_or(&none);
        let mut passed = Value::object([]);
        for (name, question) in asked {
            let method = question.get("method").and_then(Value::as_str).unwrap_or_default();
            let none = Value::object([]);
            let params = question.present("params").unwrap_or(&none);
            let known = Question::of(method).filter(|question| question.is_announced(announced));
            let judged = match known {
                Some(question) => self.may_ask(server, question, params),
                None => Err(format!("its server asks for input ({method}) that the client does not give")),
            };
            let params = match judged {
                Ok(params) => json::parse(&params, json::NESTING_MAX).map(Value::into_owned),
                Err(reason) => {
                    let denied = answer::denied(&reason, self.revision);
                    return Err(Box::new(match request.method {
                        "tools/call" => Reply::result(request.id, &denied),
                        _ => Reply::fault(
                            Some(request.id),
                            &Fault::new(INVALID_PARAMS, format!("Denied: {reason}")),
                        ),
                    }));
                }
            };
            let Ok(params) = params else {
                let fault = Fault::new(METHOD_NOT_FOUND, "unreadable question");
                return Err(Box::new(Reply::fault(Some(request.id), &fault)));
            };
            let mut question = Value::object([("method", Value::string(method.to_owned()))]);
            question.set("params", params);
            passed.set(name, question);
        }
        Ok(passed)
    }
}
