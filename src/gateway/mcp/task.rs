//! Tasks: calls that were answered with one, and what clients ask of it afterwards.

use super::{
    Target,
    post::{Reply, Talk},
};
use crate::{
    authorize, clock,
    json::Value,
    mcp::{
        Request, answer,
        message::{Fault, INVALID_PARAMS, MISSING_CAPABILITY},
        task::{self, Step, Task},
    },
    records::{Content, Raw},
    seal::Seals,
    upstream::mcp::{Failed, Server},
};
use std::sync::Arc;

impl Talk {
    /// Whether the client declares that it can handle tasks.
    pub(super) fn takes_tasks(&self, request: &Request<'_>) -> bool {
        let stated = request.meta("io.modelcontextprotocol/clientCapabilities");
        self.revision.is_modern() && stated.is_some_and(task::is_declared)
    }

    /// A call that is answered with a task: the client gets an id that only it can ask with.
    pub(super) fn task_created(
        &mut self,
        request: &Request<'_>,
        server: &Server,
        tool: &str,
        mut result: Value<'static>,
    ) -> Reply {
        let id = result.get("taskId").and_then(Value::as_str).map(ToOwned::to_owned);
        let (Some(id), true, Ok(asked)) = (id, self.takes_tasks(request), self.visit.asked()) else {
            let told =
                answer::failed("The server answered with a task, which was not asked for.", self.revision);
            return Reply::result(request.id, &told);
        };
        let seals = Seals::new(&asked.identity.tenant().journal.secret.key("mcp seal v1"));
        let task = Task { tool: tool.to_owned(), id };
        let key = asked.identity.key().id.as_str();
        let sealed = task::seal(&seals, key, server.name(), &task, clock::unix_seconds(clock::wall()));
        result.set("taskId", Value::string(sealed));
        // What it asks, and what comes of it, is told when the task is asked for, and decided then.
        for later in ["inputRequests", "requestState", "result", "error"] {
            result.remove(later);
        }
        Reply::result(request.id, &result)
    }

    /// Answers what a client asks of a task.
    pub(super) async fn task(&mut self, request: &Request<'_>, step: Step) -> Reply {
        if !self.takes_tasks(request) {
            let needed = Value::object([("extensions", task::declaration())]);
            let data = Value::object([("requiredCapabilities", needed)]);
            let fault = Fault::new(MISSING_CAPABILITY, "Missing required client capability");
            return Reply::fault(Some(request.id), &Fault { status: 400, data: Some(data), ..fault });
        }
        let sealed = request.param("taskId").and_then(Value::as_str).unwrap_or_default();
        let unknown = || Reply::fault(Some(request.id), &Fault::new(INVALID_PARAMS, "Unknown task"));
        let Some((server, task)) = self.find_task(sealed) else { return unknown() };
        let caller = match self.caller(&server, Some(request)) {
            Ok(caller) => caller,
            Err(refusal) => return Reply::refusal(Some(request.id), refusal),
        };
        let responses = request.param("inputResponses").filter(|_| step == Step::Update);
        let gateway = Arc::clone(self.visit.gateway());
        let waiting = clock::now();
        let answered = tokio::select! {
            answered = server.task(&caller, step, &task.id, responses) => answered,
            () = gateway.closing.cancelled() => Err(Failed::Refusal(super::call::SHUTTING_DOWN)),
        };
        self.visit.waited += clock::now().saturating_duration_since(waiting);
        match answered {
            Ok((result, taken)) => {
                self.taken = taken;
                self.task_told(request, &server, sealed, result).await
            }
            Err(Failed::Error { code: INVALID_PARAMS, .. }) => unknown(),
            Err(failed) => self.failed(request.id, &server, failed),
        }
    }

    /// Whose task an id is, and at which server: one that this key was given, of a tool that it sees still.
    fn find_task(&mut self, sealed: &str) -> Option<(Arc<Server>, Task)> {
        let servers = match &self.target {
            Target::One(server) => std::slice::from_ref(server),
            Target::All(servers) => servers,
        };
        let asked = self.visit.asked().ok()?;
        let (tenant, key) = (asked.identity.tenant(), asked.identity.key().id.as_str());
        let seals = Seals::new(&tenant.journal.secret.key("mcp seal v1"));
        let now = clock::unix_seconds(clock::wall());
        let mut found = servers
            .iter()
            .filter_map(|server| Some((server, task::open(&seals, key, server.name(), sealed, now)?)));
        let (server, task) = found.next().filter(|(_, task)| authorize::sees(asked, &task.tool))?;
        let server = Arc::clone(server);
        asked.upstream = Some(server.shared_name());
        if asked.identity.tenant().journal.content == Content::Redacted {
            asked.prompt = Some(task.tool.clone().into());
        }
        Some((server, task))
    }

    /// What a server tells of a task, as its client reads it: under its own id, with the questions that it may be asked.
    async fn task_told(
        &mut self,
        request: &Request<'_>,
        server: &Arc<Server>,
        sealed: &str,
        mut result: Value<'static>,
    ) -> Reply {
        if result.get("taskId").is_some() {
            result.set("taskId", Value::string(sealed.to_owned()));
        }
        result.remove("requestState");
        if let Some(asked) = result.remove("inputRequests") {
            let asked = asked.members().map(<[_]>::to_vec).unwrap_or_default();
            match self.passed_questions(request, server, &asked) {
                Ok(questions) => result.set("inputRequests", questions),
                Err(reply) => return *reply,
            }
        }
        let (keeps, revision) = (self.keeps_content(), self.revision);
        let made = self.made(move || {
            let mut said = None;
            if let Some(ended) = result.remove("result") {
                said = keeps.then(|| Raw::said(super::call::content_of(&ended)));
                let is_modern = ended.get("resultType").is_some();
                let mut ended = answer::passed(ended, revision);
                if !is_modern {
                    ended.remove("resultType");
                }
                result.set("result", ended);
            }
            if let Some(error) = result.get_mut("error") {
                error.remove("data");
            }
            (Reply::result(request.id, &answer::told(result)), said)
        });
        made.await.unwrap_or_else(|refusal| Reply::refusal(Some(request.id), refusal))
    }
}
