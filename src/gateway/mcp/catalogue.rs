//! What the servers of an endpoint have, as its tenant sees it: what they say of themselves, their lists, prompts and
//! resources, and suggestions for what is typed about them.

use super::{
    Target,
    call::{Found, text_of},
    post::{Reply, Talk},
};
use crate::{
    asked::Asked,
    authorize::{self, ToolPermit},
    clock,
    json::{self, Value},
    mcp::{
        Request, Revision,
        about::{self, Capability, Heard, Told},
        act::{Act, Passed},
        answer,
        list::{self, Definition, Definitions, Kind},
        message::{self, Fault, INVALID_PARAMS, RESOURCE_NOT_FOUND},
        names, template, uri,
    },
    records::{Raw, Said},
    refusal::Refusal,
    upstream::mcp::{Failed, Server, Taken},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;

/// A list of fewer bytes takes no room.
const SMALL_BYTES: usize = 64 << 10;
/// So long a list waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(10);
const LIST_TOO_LARGE: Refusal =
    Refusal::UpstreamError { message: "the list takes more than half of `limits.answers`" };

/// The lists of one kind, of the servers that answered.
type Lists = Vec<(Arc<Server>, Arc<Definitions>)>;

/// What a tenant sees in a list: its name there, and whose it is.
type Seen<'l> = (String, &'l Definition, &'l Arc<Server>);

impl Talk {
    /// What the client is told of the servers here. One that does not answer takes away what it could do.
    pub(super) async fn about(&mut self) -> Told {
        let (servers, headings) = match &self.target {
            Target::One(server) => (vec![Arc::clone(server)], false),
            Target::All(servers) => (servers.clone(), true),
        };
        let servers: Vec<Arc<Server>> = match self.visit.asked() {
            Ok(asked) => servers
                .into_iter()
                .filter(|server| authorize::may_reach(asked, &names::combined(server.name(), "")))
                .collect(),
            Err(_) => Vec::new(),
        };
        let waiting = clock::now();
        let answered = ask_all(&servers, |server| async move {
            let said = server.about().await?;
            // What was not approved is not told.
            let instructions = said.instructions.clone().filter(|_| server.shows_instructions());
            Ok((said, instructions))
        })
        .await;
        self.visit.waited += clock::now().saturating_duration_since(waiting);
        let Ok(asked) = self.visit.asked() else { return about::merged(&[], headings) };
        let heard = answered.iter().map(|(server, (said, instructions))| Heard {
            server: server.name(),
            capabilities: reached(asked, server, &said.capabilities),
            instructions: instructions.as_deref(),
        });
        about::merged(&heard.collect::<Vec<_>>(), headings)
    }

    /// Answers with a list.
    pub(super) async fn list(&mut self, request: &Request<'_>, kind: Kind, revision: Revision) -> Reply {
        if request.param("cursor").is_some() {
            return Reply::fault(Some(request.id), &Fault::new(INVALID_PARAMS, "Invalid cursor"));
        }
        let lists = match self.lists(request, kind).await {
            Ok(lists) => lists,
            Err(reply) => return *reply,
        };
        let merged = matches!(self.target, Target::All(_));
        let asked = match self.visit.asked() {
            Ok(asked) => asked,
            Err(refusal) => return Reply::refusal(Some(request.id), refusal),
        };
        if !merged {
            asked.upstream = lists.first().map(|(server, _)| server.shared_name());
        }
        let mut seen: Vec<Seen<'_>> = Vec::new();
        for (server, list) in &lists {
            for definition in list.iter().filter(|each| is_seen(asked, kind, server, &each.name)) {
                let name = if merged && kind.is_prefixed() {
                    names::combined(server.name(), &definition.name)
                } else {
                    definition.name.to_string()
                };
                if !merged || !kind.is_prefixed() || names::fits(&name) {
                    seen.push((name, definition, server));
                }
            }
        }
        seen.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        if merged && !kind.is_prefixed() {
            seen = without_shared(seen);
        }
        let weight = seen.iter().map(|(_, definition, _)| definition.weight()).sum();
        let listed = || seen.iter().map(|(name, definition, _)| (name.as_str(), *definition));
        let write =
            || message::result_of(request.id, |out| answer::write_list(kind, listed(), revision, out));
        let reply = match self.takes(weight).await {
            Ok(()) => self.made(|| (Reply { status: 200, body: write(), ..Reply::accepted() }, None)).await,
            Err(refusal) => Err(refusal),
        };
        reply.unwrap_or_else(|refusal| Reply::refusal(Some(request.id), refusal))
    }

    /// Takes room for a reply of the gateway's own that is so long.
    async fn takes(&mut self, bytes: usize) -> Result<(), Refusal> {
        let tenant = self.visit.asked()?.identity.tenant().id.shared();
        let mut held = self.visit.gateway().means.room(tenant);
        if bytes > SMALL_BYTES {
            let taken = held.wait_to_hold(u64::try_from(bytes).unwrap_or(u64::MAX), ROOM_WAIT).await;
            taken.map_err(|refusal| refusal.unwrap_or(LIST_TOO_LARGE))?;
        }
        self.taken = Taken { bytes, held: Some(held) };
        Ok(())
    }

    /// Answers with a prompt.
    pub(super) async fn get_prompt(&mut self, request: &Request<'_>, revision: Revision) -> Reply {
        let Some(asked_name) = request.param("name").and_then(Value::as_str) else {
            return fault(request, "`name` is missing or not a string");
        };
        let found = match self.find_prompt(request, asked_name).await {
            Ok(Ok(found)) => found,
            Ok(Err(name)) => {
                let fault = answer::unknown(Act::GetPrompt, asked_name, revision);
                return *self.unknown(request, Act::GetPrompt, &name, &fault);
            }
            Err(reply) => return *reply,
        };
        let none = Value::object([]);
        let arguments = request.param("arguments").unwrap_or(&none);
        let is_text = |(_, value): &(_, Value<'_>)| value.as_str().is_some();
        if !arguments.members().is_some_and(|members| members.iter().all(is_text)) {
            return fault(request, "`arguments` is not an object of strings");
        }
        match self.judge(request, found, arguments, revision).await {
            Ok((permit, server)) => self.answer_with(request, revision, &permit, &server).await,
            Err(reply) => *reply,
        }
    }

    /// Answers with a resource.
    pub(super) async fn read_resource(&mut self, request: &Request<'_>, revision: Revision) -> Reply {
        let Some(uri) = request.param("uri").and_then(Value::as_str) else {
            return fault(request, "`uri` is missing or not a string");
        };
        let found = match self.find_resource(request, uri).await {
            Ok(Ok(found)) => found,
            Ok(Err(name)) => {
                let fault = answer::unknown(Act::ReadResource, uri, revision);
                return *self.unknown(request, Act::ReadResource, &name, &fault);
            }
            Err(reply) => return *reply,
        };
        let arguments = Value::object([("uri", Value::string(uri))]);
        match self.judge(request, found, &arguments, revision).await {
            Ok((permit, server)) => self.answer_with(request, revision, &permit, &server).await,
            Err(reply) => *reply,
        }
    }

    /// Answers with suggestions of the server that has the prompt, or the resource, in question.
    pub(super) async fn complete(&mut self, request: &Request<'_>, revision: Revision) -> Reply {
        let reference = request.param("ref");
        let text = |key| reference.and_then(|reference| reference.get(key)?.as_str());
        let found = match (text("type"), text("name"), text("uri")) {
            (Some("ref/prompt"), Some(name), _) => {
                let unknown = answer::unknown(Act::GetPrompt, name, revision);
                self.find_prompt(request, name).await.map(|found| found.map_err(|_| unknown))
            }
            (Some("ref/resource"), _, Some(uri)) => {
                let unknown = answer::unknown(Act::ReadResource, uri, revision);
                self.find_reference(request, uri).await.map(|found| found.ok_or(unknown))
            }
            _ => return fault(request, "`ref` refers to neither a prompt nor a resource"),
        };
        let found = match found {
            Ok(Ok(found)) => found,
            Ok(Err(unknown)) => return Reply::fault(Some(request.id), &unknown),
            Err(reply) => return *reply,
        };
        let Some(argument) = request.param("argument").filter(|argument| argument.members().is_some()) else {
            return fault(request, "`argument` is missing or not an object");
        };
        let params = completion_params(&found, argument, request.param("context"));
        match self.suggestions(&found.server, &params).await {
            Ok(None) => Reply::result(request.id, &answer::completed_with_nothing(revision)),
            Ok(Some(result)) => {
                let made = self.made(move || (passed_on(request, result, false, revision), None)).await;
                made.unwrap_or_else(|refusal| Reply::refusal(Some(request.id), refusal))
            }
            Err(failed) => self.failed(request.id, &found.server, failed),
        }
    }

    /// Has a server tell of a resource that changes, or no longer; it does on the session's stream.
    pub(super) async fn subscribe(&mut self, request: &Request<'_>, passed: Passed) -> Reply {
        let Some(uri) = request.param("uri").and_then(Value::as_str) else {
            return fault(request, "`uri` is missing or not a string");
        };
        let unknown = answer::unknown(Act::ReadResource, uri, self.revision);
        let found = match self.find_resource(request, uri).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => return Reply::fault(Some(request.id), &unknown),
            Err(reply) => return *reply,
        };
        let arguments = Value::object([("uri", Value::string(uri))]);
        // Who may not read it is not told of it.
        let (permit, server) = match self.judge(request, found, &arguments, self.revision).await {
            Ok(permitted) => permitted,
            Err(reply) => return *reply,
        };
        let caller = match self.caller(&server, None) {
            Ok(caller) => caller,
            Err(refusal) => return Reply::refusal(Some(request.id), refusal),
        };
        let wants = passed == Passed::Subscribe;
        let has_room =
            self.session.as_ref().is_none_or(|session| session.subscribes(&server.shared_name(), uri, wants));
        if !has_room {
            return fault(request, "too many resources are subscribed to in this session");
        }
        let params = permit.act().params(permit.tool(), permit.arguments());
        let waiting = clock::now();
        let subscribed = server.subscribe(&caller, passed, &params).await;
        self.visit.waited += clock::now().saturating_duration_since(waiting);
        match subscribed {
            Ok(()) => Reply::result(request.id, &Value::object([])),
            Err(Failed::Error { code: RESOURCE_NOT_FOUND | INVALID_PARAMS, .. }) => {
                Reply::fault(Some(request.id), &unknown)
            }
            Err(failed) => self.failed(request.id, &server, failed),
        }
    }

    async fn suggestions(
        &mut self,
        server: &Arc<Server>,
        params: &[u8],
    ) -> Result<Option<Value<'static>>, Failed> {
        let caller = self.caller(server, None).map_err(Failed::Refusal)?;
        let asked = self.visit.asked().map_err(Failed::Refusal)?;
        asked.upstream = Some(server.shared_name());
        let gateway = Arc::clone(self.visit.gateway());
        let waiting = clock::now();
        let answering = async {
            if !server.about().await?.capabilities.contains(&Capability::Completions) {
                return Ok(None);
            }
            let mut calling = server.request(&caller, Passed::Complete, params).await?;
            let result = calling.result().await?;
            Ok(Some((result, calling.taken())))
        };
        let result = tokio::select! {
            result = answering => result,
            () = gateway.closing.cancelled() => Err(Failed::Refusal(super::call::SHUTTING_DOWN)),
        };
        self.visit.waited += clock::now().saturating_duration_since(waiting);
        Ok(result?.map(|(result, taken)| {
            self.taken = taken;
            result
        }))
    }

    /// The lists of the servers here of which the tenant may reach something. One that does not answer takes away its own.
    async fn lists(&mut self, request: &Request<'_>, kind: Kind) -> Result<Lists, Box<Reply>> {
        let asked =
            self.visit.asked().map_err(|refusal| Box::new(Reply::refusal(Some(request.id), refusal)))?;
        let is_reached = |server: &&Arc<Server>| authorize::may_reach(asked, &kind.ruled(server.name(), ""));
        let waiting = clock::now();
        let lists = match &self.target {
            Target::One(server) if is_reached(&server) => {
                let server = Arc::clone(server);
                server
                    .list(kind)
                    .await
                    .map(|list| vec![(Arc::clone(&server), list)])
                    .map_err(|failed| (server, failed))
            }
            Target::One(_) => Ok(Vec::new()),
            Target::All(servers) => {
                let servers: Vec<_> = servers.iter().filter(is_reached).cloned().collect();
                Ok(ask_all(&servers, move |server| async move { server.list(kind).await }).await)
            }
        };
        self.visit.waited += clock::now().saturating_duration_since(waiting);
        lists.map_err(|(server, failed)| Box::new(self.failed(request.id, &server, failed)))
    }

    /// The prompt of this name; else the name under which it is recorded that there is none.
    async fn find_prompt(
        &mut self,
        request: &Request<'_>,
        asked_name: &str,
    ) -> Result<Result<Found, String>, Box<Reply>> {
        let Some(found) = self.find(Act::GetPrompt, asked_name) else {
            return Ok(Err(Act::GetPrompt.nowhere(asked_name)));
        };
        let asked =
            self.visit.asked().map_err(|refusal| Box::new(Reply::refusal(Some(request.id), refusal)))?;
        if !authorize::sees(asked, &found.name) {
            return Ok(Err(found.name));
        }
        asked.upstream = Some(found.server.shared_name());
        let waiting = clock::now();
        let prompts = found.server.prompts().await;
        self.visit.waited += clock::now().saturating_duration_since(waiting);
        match prompts {
            Ok(prompts) if prompts.find(&found.tool).is_some() => Ok(Ok(found)),
            Ok(_) => Ok(Err(found.name)),
            Err(failed) => Err(Box::new(self.failed(request.id, &found.server, failed))),
        }
    }

    /// The resource of this address: of the one server that the tenant sees it of, by its list, else by its templates. Else
    /// the name under which it is recorded that there is none.
    async fn find_resource(
        &mut self,
        request: &Request<'_>,
        address: &str,
    ) -> Result<Result<Found, String>, Box<Reply>> {
        let act = Act::ReadResource;
        let mut name = match &self.target {
            Target::One(server) => Some(act.ruled(server.name(), address)),
            Target::All(_) => None,
        };
        // What is listed is asked for as it is listed.
        let is_plain = uri::is_plain(address);
        for kind in [Kind::Resources, Kind::Templates] {
            let mut lists = self.lists(request, kind).await?;
            lists.retain(|(_, list)| match kind {
                Kind::Templates => is_plain && list.iter().any(|each| template::matches(&each.name, address)),
                Kind::Tools | Kind::Prompts | Kind::Resources => list.find(address).is_some(),
            });
            let asked =
                self.visit.asked().map_err(|refusal| Box::new(Reply::refusal(Some(request.id), refusal)))?;
            let ruled = |(server, _): &(Arc<Server>, _)| act.ruled(server.name(), address);
            name = name.or_else(|| lists.first().map(ruled));
            let mut seen = lists.iter().filter(|each| authorize::sees(asked, &ruled(each)));
            match (seen.next(), seen.next()) {
                (Some(each), None) => {
                    let server = Arc::clone(&each.0);
                    asked.upstream = Some(server.shared_name());
                    return Ok(Ok(Found { act, name: ruled(each), server, tool: address.to_owned() }));
                }
                (Some(each), Some(_)) => return Ok(Err(ruled(each))),
                (None, _) => {}
            }
        }
        let name = name.unwrap_or_else(|| act.nowhere(address));
        let asked =
            self.visit.asked().map_err(|refusal| Box::new(Reply::refusal(Some(request.id), refusal)))?;
        match &self.target {
            // It may have more than it lists: what a tool's result names.
            Target::One(server) if is_plain && authorize::sees(asked, &name) => {
                let server = Arc::clone(server);
                asked.upstream = Some(server.shared_name());
                Ok(Ok(Found { act, name, server, tool: address.to_owned() }))
            }
            Target::One(_) | Target::All(_) => Ok(Err(name)),
        }
    }

    /// The template, or the resource, of which suggestions are asked for.
    async fn find_reference(
        &mut self,
        request: &Request<'_>,
        uri: &str,
    ) -> Result<Option<Found>, Box<Reply>> {
        for kind in [Kind::Templates, Kind::Resources] {
            let lists = self.lists(request, kind).await?;
            let asked =
                self.visit.asked().map_err(|refusal| Box::new(Reply::refusal(Some(request.id), refusal)))?;
            let mut seen = lists
                .iter()
                .filter(|(server, list)| list.find(uri).is_some() && is_seen(asked, kind, server, uri));
            match (seen.next(), seen.next()) {
                (Some((server, _)), None) => {
                    let (act, server, tool) = (Act::ReadResource, Arc::clone(server), uri.to_owned());
                    return Ok(Some(Found { act, name: act.ruled(server.name(), uri), server, tool }));
                }
                (Some(_), Some(_)) => return Ok(None),
                (None, _) => {}
            }
        }
        Ok(None)
    }

    /// Sends what was permitted, and answers with what comes of it.
    async fn answer_with(
        &mut self,
        request: &Request<'_>,
        revision: Revision,
        permit: &ToolPermit,
        server: &Arc<Server>,
    ) -> Reply {
        let result = match self.exchange(request, permit, server).await {
            Ok(result) => result,
            Err(reply) => return *reply,
        };
        match result {
            Ok(result) => {
                let (keeps, is_kept) = (self.keeps_content(), permit.act() == Act::ReadResource);
                let made = self.made(move || {
                    let said = keeps.then(|| Raw::said(words_of(&result)));
                    (passed_on(request, result, is_kept, revision), said)
                });
                made.await.unwrap_or_else(|refusal| Reply::refusal(Some(request.id), refusal))
            }
            Err(Failed::Error { code: RESOURCE_NOT_FOUND | INVALID_PARAMS, .. })
                if permit.act() == Act::ReadResource =>
            {
                Reply::fault(Some(request.id), &answer::unknown(permit.act(), permit.tool(), revision))
            }
            Err(failed) => self.failed(request.id, server, failed),
        }
    }
}

fn fault(request: &Request<'_>, text: &str) -> Reply {
    Reply::fault(Some(request.id), &Fault::new(INVALID_PARAMS, text))
}

fn passed_on(request: &Request<'_>, result: Value<'static>, kept: bool, revision: Revision) -> Reply {
    match answer::passed_on(result, kept, revision) {
        Ok(result) => Reply::result(request.id, &result),
        Err(fault) => Reply::fault(Some(request.id), &fault),
    }
}

/// Asks all servers at once. What comes of it is sorted as they are, without those that do not answer.
pub(super) async fn ask_all<T: Send + 'static, A: Future<Output = Result<T, Failed>> + Send + 'static>(
    servers: &[Arc<Server>],
    ask: impl Fn(Arc<Server>) -> A,
) -> Vec<(Arc<Server>, T)> {
    let mut asking = JoinSet::new();
    for server in servers {
        let (server, answer) = (Arc::clone(server), ask(Arc::clone(server)));
        asking.spawn(async move { answer.await.ok().map(|answer| (server, answer)) });
    }
    let mut answered: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    answered.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
    answered
}

/// Of what a server can do, what the tenant has a use for.
fn reached(asked: &Asked, server: &Server, all: &BTreeSet<Capability>) -> BTreeSet<Capability> {
    let reaches = |kind: Kind| authorize::may_reach(asked, &kind.ruled(server.name(), ""));
    let (prompts, resources) = (reaches(Kind::Prompts), reaches(Kind::Resources));
    let is_of_use = |capability: &Capability| match capability {
        Capability::Tools | Capability::Tasks | Capability::Logging => true,
        Capability::Prompts => prompts,
        Capability::Resources | Capability::Subscribe => resources,
        Capability::Completions => prompts || resources,
    };
    all.iter().copied().filter(is_of_use).collect()
}

/// Whether a tenant sees something of a server's: of a template, whether it may see a resource that it describes.
pub(super) fn is_seen(asked: &Asked, kind: Kind, server: &Server, own: &str) -> bool {
    match kind {
        Kind::Templates => authorize::may_reach(asked, &kind.ruled(server.name(), template::prefix(own))),
        Kind::Tools | Kind::Prompts | Kind::Resources => {
            authorize::sees(asked, &kind.ruled(server.name(), own))
        }
    }
}

/// What only one server lists: nobody could say of which server another were.
fn without_shared<'l>(sorted: Vec<Seen<'l>>) -> Vec<Seen<'l>> {
    let count = |seen: &[Seen<'l>]| {
        let mut counts: BTreeMap<&'l str, (&'l Arc<Server>, usize)> = BTreeMap::new();
        for (_, _, server) in seen {
            counts.entry(server.name()).or_insert((server, 0)).1 += 1;
        }
        counts
    };
    let before = count(&sorted);
    let kept = list::without_twins(sorted, |(name, ..)| name);
    let after = count(&kept);
    for (name, (server, all)) in before {
        server.shares(all - after.get(name).map_or(0, |(_, left)| *left));
    }
    kept
}

fn completion_params(found: &Found, argument: &Value<'_>, context: Option<&Value<'_>>) -> Vec<u8> {
    let (kind, key) = match found.act {
        Act::GetPrompt => ("ref/prompt", "name"),
        Act::CallTool | Act::ReadResource => ("ref/resource", "uri"),
    };
    let reference = Value::object([("type", Value::string(kind)), (key, Value::string(&*found.tool))]);
    let mut out = Vec::new();
    for (key, value) in [("ref", Some(&reference)), ("argument", Some(argument)), ("context", context)] {
        let Some(value) = value else { continue };
        if !out.is_empty() {
            out.push(b',');
        }
        json::write_string(key, &mut out);
        out.push(b':');
        json::write(value, &mut out);
    }
    out
}

/// The words of a prompt or a resource, for its record.
fn words_of(result: &Value<'_>) -> Said {
    let items = |key: &str| result.get(key).and_then(Value::items).unwrap_or_default();
    let said = items("messages").iter().filter_map(|message| message.get("content")?.get("text")?.as_str());
    let read = items("contents").iter().filter_map(|content| content.get("text")?.as_str());
    text_of(said.chain(read))
}
