//! `/v1/files…` and `/v1/vector_stores…`: what the provider keeps for a tenant, in an account that all share. Every id that
//! a request names is the tenant's own, what it makes becomes that, and of the account's lists its own are shown.

use super::{Received, Speaker, denied, failed, judge, keep, told};
use crate::{
    asked::{Asked, End},
    authorize::{self, Description, FILE_SEARCH, Findings, Permit},
    clock,
    dialect::Family,
    gateway::{Body, Visit, answer::JSON, apart, body as bodies, gathered::Form, reserve, sent},
    json::{self, Value},
    policy::glob::Glob,
    refusal::Refusal,
    retrieval::Sending,
    room::Held,
    snapshot::{Model, Snapshot},
    stored::{
        Stored, What,
        object::{self, Act, Plan},
    },
    tenant::Wire,
    tool_api::{self, Request},
    upstream::{Repeat, Upstream},
    wire,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use std::{num::NonZeroU32, sync::Arc};

/// So many pages of the account's list are read for one of the tenant's.
const PAGES_MAX: usize = 200;
/// As many as OpenAI shows at once.
const PAGE_MAX: usize = 100;
const PAGE: usize = 20;
const NESTING_MAX: usize = 64;

pub(in crate::gateway) async fn respond(
    visit: &mut Visit,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let is_form = head.method == Method::POST && head.uri.path() == "/v1/files";
    let mut held = visit.held()?;
    let bytes = read(visit, (head, body), is_form, &mut held).await?;
    let nesting_max = visit.snapshot().limits.nesting;
    let parsed = if is_form {
        None
    } else {
        apart::turn(visit, bytes.len()).await?.work(|| tool_api::body(&bytes, nesting_max))?
    };
    parsed.iter().try_for_each(|parsed| held.keep(parsed))?;
    let path = head.uri.path().strip_prefix("/v1").unwrap_or_default();
    let request = Request::read(&head.method, path, head.uri.query(), parsed)?;
    let plan = object::plan(&request)?;
    let query = request.query.iter().map(|(_, value)| Value::string(value.as_str())).collect();
    look_through(visit, &Value::Array(query).to_string().into())?;
    let leave = leave(visit)?;
    let upstream = keeper(visit, &plan).await?;
    visit.asked()?.upstream = Some(upstream.name.shared());
    if let Some(refusal) = reserve::spent(visit) {
        return Err(refusal);
    }
    let tenant = visit.asked()?.identity.tenant();
    let mut headers = sent::headers(Family::OpenAi, tenant.wire, &tenant.journal.redactor, &head.headers);
    match plan.act {
        Act::List(what) => return list(visit, (&request, what), (&leave, upstream, headers)).await,
        Act::Upload => upload(visit, head, &mut headers)?,
        _ => {}
    }
    if plan.act != Act::Upload {
        look_through(visit, &bytes)?;
    }
    let (permit, sending) = match plan.act {
        Act::Search => search(visit, &plan, request).await?,
        Act::Upload => {
            let sending = Sending { body: bytes.clone(), ..Sending::of(&request) };
            (leave.body(bytes), sending)
        }
        _ => {
            let sending = Sending::of(&request);
            (leave.body(sending.body.clone()), sending)
        }
    };
    if sending.body.is_empty() {
        headers.remove(header::CONTENT_TYPE);
    }
    // A file is handed on as it is.
    let form = if plan.act == Act::Content { Form::Text } else { Form::Json };
    let received = send(visit, (permit, &sending), (headers, Arc::clone(&upstream)), form).await?;
    if !received.status.is_success() {
        return Err(failed(visit, &received));
    }
    remember(visit, &plan, (&upstream, &received.body))?;
    let media = received.headers.get(header::CONTENT_TYPE).cloned().filter(|_| plan.act == Act::Content);
    let body = received.held.until_sent(received.body);
    let mut response = told(visit, &End::Complete, (received.status, media.unwrap_or(JSON)), body)?;
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn read(
    visit: &mut Visit,
    (head, mut body): (&Parts, Incoming),
    is_form: bool,
    held: &mut Held,
) -> Result<Bytes, Refusal> {
    let accepted = visit.check_records().await;
    let bytes_max = visit.snapshot().limits.body;
    let read = match accepted {
        Ok(()) if is_form => bodies::read_form(head, &mut body, bytes_max, held).await,
        Ok(()) => bodies::read(head, &mut body, bytes_max, Some(held)).await,
        Err(refusal) => Err(refusal),
    };
    if read.is_err() {
        bodies::discard(head, body, bytes_max).await;
    }
    read
}

/// Leave to keep anything there: whoever may search files somehow has it.
fn leave(visit: &mut Visit) -> Result<Description, Refusal> {
    let mut findings = Findings::default();
    let refused = authorize::denied_over_http(visit.asked()?, FILE_SEARCH, &mut findings);
    keep(visit, findings)?;
    let tool = FILE_SEARCH.to_owned();
    if let Some(reason) = refused {
        return Err(Refusal::ToolNotAllowed { tool, reason });
    }
    let leave = authorize::describe(visit.asked()?, std::iter::once(tool.clone()));
    leave.ok_or_else(|| Refusal::ToolNotAllowed { tool, reason: "no rule allows it".to_owned() })
}

/// The upstream that has what a request names, all of it the tenant's own; where it names nothing, the first that a
/// model of the tenant's is at.
async fn keeper(visit: &mut Visit, plan: &Plan) -> Result<Arc<Upstream>, Refusal> {
    let snapshot = Arc::clone(visit.snapshot());
    let tenant = visit.asked()?.identity.tenant().id.shared();
    let found = own(visit, plan.named.iter().map(|(id, _)| id.clone()).collect()).await?;
    let mut at: Option<Arc<str>> = None;
    for ((id, what), stored) in plan.named.iter().zip(found) {
        let missing = || Refusal::StoredNotFound { id: id.chars().take(256).collect() };
        let stored = stored.filter(|stored| stored.what == *what).ok_or_else(missing)?;
        if at.as_ref().is_some_and(|at| *at != stored.upstream) {
            return Err(missing());
        }
        at = Some(stored.upstream);
    }
    let asked = visit.asked()?;
    let mut all = snapshot.upstreams.iter().filter(|upstream| upstream.speaks == Family::OpenAi);
    let upstream = match at {
        // What was made with one key is not there for one whose models are elsewhere.
        Some(at) => {
            all.find(|upstream| upstream.name.as_str() == &*at && reaches(asked, &snapshot, upstream))
        }
        None => all.find(|upstream| reaches(asked, &snapshot, upstream)),
    };
    let missing = || match plan.named.first() {
        Some((id, _)) => Refusal::StoredNotFound { id: id.chars().take(256).collect() },
        None => Refusal::NotFound,
    };
    upstream.map(|upstream| snapshot.upstream_of(&tenant, upstream)).ok_or_else(missing)
}

/// Whether a model that the tenant may use is at an upstream.
fn reaches(asked: &Asked, snapshot: &Snapshot, upstream: &Upstream) -> bool {
    let (tenant, key) = (asked.identity.tenant(), asked.identity.key());
    let is_there =
        |model: &Model| model.destination.upstreams.iter().any(|known| known.name == upstream.name);
    let mut declared = snapshot.models.iter().filter(|model| is_there(model));
    // Of two patterns an example tells.
    let example = |name: &str| name.replace(['*', '?'], "x");
    let mut listed = tenant.models.iter().map(Glob::as_str);
    declared.any(|model| tenant.may_use(key, &example(&model.name)))
        || listed.any(|name| {
            let name = example(name);
            tenant.may_use(key, &name) && snapshot.models.find(&name).is_some_and(|model| is_there(model))
        })
}

/// What is kept for the tenant under these ids.
async fn own(visit: &mut Visit, ids: Vec<String>) -> Result<Vec<Option<Stored>>, Refusal> {
    let gateway = Arc::clone(visit.gateway());
    let tenant = visit.asked()?.identity.tenant().id.shared();
    let now = clock::unix_seconds(clock::wall());
    let count = ids.len();
    let found = tokio::task::spawn_blocking(move || {
        ids.into_iter().map(|id| gateway.stored.find(&tenant, &id, now)).collect()
    });
    Ok(found.await.unwrap_or_else(|_| vec![None; count]))
}

/// Whoever has values covered towards the provider cannot send it what nobody looks into.
fn upload(visit: &mut Visit, head: &Parts, headers: &mut HeaderMap) -> Result<(), Refusal> {
    if visit.asked()?.identity.tenant().wire != Wire::Off {
        let message =
            "files are not looked through, and the provider is not to see some of what may be in them";
        return Err(Refusal::ContentBlocked { message: message.to_owned(), place: None });
    }
    let form =
        || Refusal::UnsupportedMediaType { message: "a file is sent as multipart/form-data".to_owned() };
    let media = head.headers.get(header::CONTENT_TYPE).cloned().ok_or_else(form)?;
    headers.insert(header::CONTENT_TYPE, media);
    Ok(())
}

/// Values that the provider does not get to see are in nothing that it keeps: they could not be restored from it.
fn look_through(visit: &mut Visit, body: &Bytes) -> Result<(), Refusal> {
    let tenant = visit.asked()?.identity.tenant();
    if tenant.wire == Wire::Off || body.is_empty() {
        return Ok(());
    }
    wire::cover(Wire::Block, &tenant.journal.redactor, body).map(drop)
}

/// A search is a call of the tool that searches for models: the same rules decide, and force what they force.
async fn search(
    visit: &mut Visit,
    plan: &Plan,
    mut request: Request<'_>,
) -> Result<(Permit, Sending), Refusal> {
    let store = plan.named.first().map(|(id, _)| id.clone()).unwrap_or_default();
    let body = request.body.take().unwrap_or_default();
    // A list of questions is as many searches.
    let questions = body.get("query").and_then(Value::items).map_or(1, <[_]>::len);
    let count = u32::try_from(questions).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let permit = judge(visit, FILE_SEARCH, &object::arguments(&store, &body), count).await?;
    let arguments = json::parse(permit.arguments(), json::NESTING_MAX)
        .map_err(|error| Refusal::invalid(error.to_string(), None))?;
    let forced = object::forced(&store, &arguments);
    let refusal =
        |reason: &str| Refusal::ToolNotAllowed { tool: FILE_SEARCH.to_owned(), reason: reason.to_owned() };
    let forced = forced.map_err(|reason| denied(visit, refusal(reason)))?;
    request.body = Some(forced);
    let sending = Sending::of(&request);
    Ok((permit.body(sending.body.clone()), sending))
}

async fn send(
    visit: &mut Visit,
    (permit, sending): (Permit, &Sending),
    (headers, upstream): (HeaderMap, Arc<Upstream>),
    form: Form,
) -> Result<Received, Refusal> {
    let repeats = [Method::GET, Method::DELETE].contains(&sending.method);
    let repeat = if repeats { Repeat::Always } else { Repeat::IfUnsent };
    let started = clock::now();
    let mut speaker = Speaker::new(visit, upstream, form)?;
    let received = speaker.send(permit, sending, (headers, repeat)).await;
    visit.progress = speaker.progress;
    visit.waited += clock::now().saturating_duration_since(started);
    received.inspect_err(|refusal| visit.rejected(refusal))
}

/// Whose what was made is, before the client can read its id; and what is gone.
fn remember(
    visit: &mut Visit,
    plan: &Plan,
    (upstream, body): (&Arc<Upstream>, &Bytes),
) -> Result<(), Refusal> {
    let tenant = visit.asked()?.identity.tenant().id.shared();
    let now = clock::unix_seconds(clock::wall());
    let what = match plan.act {
        Act::Make(what) => what,
        Act::Upload => What::File,
        Act::Delete => {
            if let Some((id, _)) = plan.named.first() {
                visit.gateway().stored.forget(tenant, id, now);
            }
            return Ok(());
        }
        Act::Content | Act::List(_) | Act::Read | Act::Search | Act::Write => return Ok(()),
    };
    let answer = json::parse(body, NESTING_MAX).ok();
    let id = answer.as_ref().and_then(|answer| answer.get("id")?.as_str());
    let unreadable = Refusal::UpstreamError { message: "the answer does not say what was made" };
    let id = id.ok_or(unreadable)?;
    let upstream = upstream.name.shared();
    let stored =
        Stored { what, upstream, model: String::new(), denied: Vec::new(), offered: Vec::new(), tokens: 0 };
    visit.gateway().stored.keep(tenant, id, stored, now);
    Ok(())
}

/// A page of the tenant's own, from as many of the account's as it takes.
async fn list(
    visit: &mut Visit,
    (request, what): (&Request<'_>, What),
    (leave, upstream, mut headers): (&Description, Arc<Upstream>, HeaderMap),
) -> Result<Response<Body>, Refusal> {
    headers.remove(header::CONTENT_TYPE);
    let wanted = match request.parameter("limit") {
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| Refusal::invalid("`limit` is not a whole number above 0", Some("limit")))?,
        None => PAGE,
    };
    let wanted = wanted.min(PAGE_MAX);
    let mut request = request.clone();
    let mut page: Vec<Value<'static>> = Vec::new();
    for _ in 0..PAGES_MAX {
        request.query.retain(|(name, _)| name != "limit");
        request.query.push(("limit".to_owned(), PAGE_MAX.to_string()));
        let sending = Sending::of(&request);
        let permit = leave.body(Bytes::new());
        let sent = (headers.clone(), Arc::clone(&upstream));
        let received = send(visit, (permit, &sending), sent, Form::Json).await?;
        if !received.status.is_success() {
            return Err(failed(visit, &received));
        }
        let unreadable = || Refusal::UpstreamError { message: "the list cannot be read" };
        let answer = json::parse(&received.body, NESTING_MAX).map_err(|_| unreadable())?;
        let items = answer.get("data").and_then(Value::items).ok_or_else(unreadable)?;
        let id = |item: &Value<'_>| item.get("id").and_then(Value::as_str).map(ToOwned::to_owned);
        let ids: Vec<String> = items.iter().filter_map(id).collect();
        let last = ids.last().cloned();
        if ids.len() != items.len() {
            return Err(unreadable());
        }
        for (item, stored) in items.iter().zip(own(visit, ids).await?) {
            if stored.is_some_and(|stored| stored.what == what && stored.upstream == upstream.name.shared()) {
                page.push(item.clone().into_owned());
            }
        }
        let more = answer.get("has_more").and_then(Value::as_bool).unwrap_or(false);
        match last.filter(|_| more && page.len() <= wanted) {
            Some(last) => {
                request.query.retain(|(name, _)| name != "after");
                request.query.push(("after".to_owned(), last));
            }
            None => return listed(visit, page, wanted),
        }
    }
    Err(Refusal::UpstreamError { message: "the account holds too much for its list to be read" })
}

fn listed(
    visit: &mut Visit,
    mut page: Vec<Value<'static>>,
    wanted: usize,
) -> Result<Response<Body>, Refusal> {
    let has_more = page.len() > wanted;
    page.truncate(wanted);
    let id =
        |item: Option<&Value<'static>>| item.and_then(|item| item.get("id")).cloned().unwrap_or_default();
    let (first, last) = (id(page.first()), id(page.last()));
    let list = Value::object([
        ("object", Value::string("list")),
        ("data", Value::Array(page)),
        ("first_id", first),
        ("last_id", last),
        ("has_more", Value::Bool(has_more)),
    ]);
    let mut body = Vec::new();
    json::write(&list, &mut body);
    told(visit, &End::Complete, (StatusCode::OK, JSON), body.into())
}
