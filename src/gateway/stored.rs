//! What a provider keeps for a tenant: looked up, listed, cancelled and deleted by the tenant that made it. Another
//! tenant's is one that does not exist.

use super::{
    Act, Body, Gateway, Visit, answer,
    ask::{self, Named},
    sent,
};
use crate::{
    asked::End,
    authorize::{Brought, Permit},
    clock,
    denials::Fate,
    dialect::{Api, DeniedCall, Family},
    exchange::{Exchange, Keeps, Terms},
    json::{self, Value},
    refusal::Refusal,
    stored::{ID_BYTES_MAX, KEPT_FOR_S, Recalled, Stored, What},
    upstream::{Destination, Parcel, Parcels, Repeat, Target},
};
use http::{Method, Response, request::Parts};
use std::sync::Arc;

/// Parameters of a look-up that say nothing of whose things are looked at.
const PARAMETERS: [&str; 7] = ["include", "include[]", "include%5B%5D", "limit", "order", "after", "before"];

/// What is kept of these ids for the tenant.
pub(super) async fn recall(visit: &mut Visit, named: Named) -> Result<Recalled, Refusal> {
    if named.previous.is_none() && named.ids.is_empty() {
        return Ok(Recalled::default());
    }
    let gateway = Arc::clone(visit.gateway());
    let tenant = visit.asked()?.identity.tenant().id.shared();
    let now = clock::unix_seconds(clock::wall());
    // Each with its id; the one before comes last.
    let mut ids = named.ids;
    let has_previous = named.previous.is_some();
    ids.extend(named.previous);
    let (shelf, whose) = (Arc::clone(&gateway), Arc::clone(&tenant));
    let looked = tokio::task::spawn_blocking(move || {
        let find = |id: String| (shelf.stored.find(&whose, &id, now), id);
        ids.into_iter().map(find).collect::<Vec<_>>()
    });
    let mut found = looked.await.unwrap_or_default();
    ask_others(&gateway, &tenant, &mut found).await;
    let previous = if has_previous { found.pop().and_then(|(stored, _)| stored) } else { None };
    let named = found.into_iter().filter_map(|(stored, id)| Some((id, stored?))).collect();
    Ok(Recalled { previous, named })
}

/// What is not known here may have been answered by another gateway.
async fn ask_others(gateway: &Gateway, tenant: &str, found: &mut [(Option<Stored>, String)]) {
    let Some(fleet) = &gateway.fleet else { return };
    let missing = found.iter().filter(|(stored, id)| stored.is_none() && id.len() <= ID_BYTES_MAX);
    let ids: Vec<String> = missing.map(|(_, id)| id.clone()).collect();
    let texts = fleet.find(tenant, &ids).await;
    for (id, text) in ids.iter().zip(texts) {
        let stored = text.and_then(|text| Stored::read(&text));
        let places = found.iter_mut().filter(|(known, name)| known.is_none() && name == id);
        places.for_each(|(known, _)| known.clone_from(&stored));
    }
}

/// Keeps whose an answer is that the provider keeps, before the client can ask for it.
pub(super) fn shelve(gateway: &Gateway, exchange: &Exchange, end: &End) {
    let asked = exchange.asked();
    if let (Some(kept), Some(upstream), Some(model)) = (exchange.kept(), &asked.upstream, &asked.model) {
        let whole = exchange.keeps() == Keeps::All;
        let tenant = asked.identity.tenant().id.shared();
        let now = clock::unix_seconds(clock::wall());
        let keep = |id: &str, what: What, denied: Vec<DeniedCall>| {
            let upstream = Arc::clone(upstream);
            let offered = if what.is_answer() { exchange.offered().to_vec() } else { Vec::new() };
            let tokens = if what.is_answer() { exchange.tokens(end) } else { 0 };
            let stored = Stored { what, upstream, model: model.name().to_owned(), denied, offered, tokens };
            if let Some(fleet) = gateway.fleet.as_ref().filter(|fleet| fleet.shares_all()) {
                fleet.keep(&tenant, id, &stored.to_text(), KEPT_FOR_S.unsigned_abs());
            }
            gateway.stored.keep(Arc::clone(&tenant), id, stored, now);
        };
        kept.items.iter().for_each(|id| keep(id, What::Item, Vec::new()));
        kept.containers.iter().for_each(|id| keep(id, What::Container, Vec::new()));
        for notice in &kept.notices {
            keep(&notice.id, What::Item, vec![DeniedCall::told(&notice.text)]);
        }
        if whole {
            let what = if kept.complete { What::Answer } else { What::Unfinished };
            keep(&kept.id, what, exchange.denied());
        }
    }
}

/// Calls whose results a request brings and of which nothing is known here: another gateway may know that one was denied.
pub(super) async fn check_brought(visit: &mut Visit, unknown: Vec<Brought>) -> Result<(), Refusal> {
    if unknown.is_empty() {
        return Ok(());
    }
    let gateway = Arc::clone(visit.gateway());
    let tenant = visit.asked()?.identity.tenant().id.shared();
    if let Some(fleet) = &gateway.fleet {
        let names: Vec<String> = unknown.iter().filter_map(|brought| brought.call.name()).collect();
        let told = fleet.find(&tenant, &names).await;
        let is_denied = |told: &Option<String>| told.as_deref() == Some(Fate::Denied.as_str());
        let denied = names.iter().zip(&told).find(|(_, told)| is_denied(told)).map(|(name, _)| name);
        let mut unknown = unknown.iter();
        if let Some(denied) =
            denied.and_then(|name| unknown.find(|one| one.call.name().as_ref() == Some(name)))
        {
            let (entry, refusal) = denied.denied(visit.asked()?);
            visit.tools_denied.push(denied.tool().to_owned());
            visit.record(vec![entry])?;
            return Err(refusal);
        }
    }
    gateway.trust(&tenant, unknown.iter().map(|brought| &brought.call));
    Ok(())
}

/// Answers a request for a stored response.
pub(super) async fn respond(
    visit: &mut Visit,
    id: String,
    act: Act,
    head: &Parts,
) -> Result<Response<Body>, Refusal> {
    visit.check_records().await?;
    let query = query(head)?;
    let missing = || Refusal::StoredNotFound { id: id.chars().take(256).collect() };
    let named = Named { previous: Some(id.clone()), ids: Vec::new() };
    let stored = recall(visit, named).await?.previous.filter(|stored| stored.what.is_answer());
    let stored = stored.ok_or_else(missing)?;
    let snapshot = Arc::clone(visit.snapshot());
    let asked = visit.asked()?;
    // A key that may not use the model may not read what it said.
    if !asked.identity.tenant().may_use(asked.identity.key(), &stored.model) {
        return Err(missing());
    }
    asked.model = Some(ask::asked_model(&stored.model, snapshot.models.find(&stored.model)));
    let keeper = snapshot.upstreams.iter().find(|upstream| upstream.name.as_str() == &*stored.upstream);
    let keeper = snapshot.upstream_of(asked.identity.tenant().id.as_str(), keeper.ok_or_else(missing)?);
    asked.upstream = Some(keeper.name.shared());
    let (method, api, behind) = match act {
        Act::Cancel => (Method::POST, Api::Responses, "/cancel"),
        Act::Delete => (Method::DELETE, Api::Responses, ""),
        Act::Get => (Method::GET, Api::Responses, ""),
        Act::ListInput => (Method::GET, Api::ResponseItems, "/input_items"),
    };
    let path = format!("{}/{id}{behind}{query}", api.path());
    let tenant = asked.identity.tenant();
    let headers = sent::headers(Family::OpenAi, tenant.wire, &tenant.journal.redactor, &head.headers);
    let parcel = Parcel {
        permit: Permit::for_stored(&stored),
        target: Target { method, path: &path, headers, repeat: Repeat::Always },
    };
    let destination = Destination { upstreams: vec![keeper] };
    let started = clock::now();
    let gateway = Arc::clone(visit.gateway());
    let parcels = Parcels::one(Family::OpenAi, parcel);
    let received = destination.forward(&parcels, &mut visit.turn(&gateway, 0)?).await;
    visit.waited += clock::now().saturating_duration_since(started);
    let received = received.map_err(|(_, refusal)| refusal).inspect_err(|refusal| visit.rejected(refusal))?;
    if act == Act::Delete && received.answer.status.is_success() {
        return deleted(visit, &id);
    }
    // An answer that was cut short is known once it was looked up.
    let is_news = api == Api::Responses && stored.what == What::Unfinished;
    let keeps = if is_news { Keeps::All } else { Keeps::Nothing };
    let plain = Terms::plain(api, ask::hold_limits(&snapshot));
    // Its own calls are judged again; those of the turns before are remembered.
    let denied = stored.denied.iter().filter(|call| !is_news || !call.open).cloned().collect();
    let terms = Terms { denied, keeps, offered: stored.offered, settled: !is_news, ..plain };
    answer::inspect(visit, terms, None, received).await
}

/// The query to send on, with its question mark.
fn query(head: &Parts) -> Result<String, Refusal> {
    let Some(query) = head.uri.query().filter(|query| !query.is_empty()) else { return Ok(String::new()) };
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if pair.contains(';') {
            return Err(Refusal::invalid("the query has a `;`, which some read as an `&`", None));
        }
        if name == "stream" && value == "false" {
            continue;
        }
        if name == "stream" || name == "starting_after" {
            let message = "a stored response is not streamed; ask for it whole";
            return Err(Refusal::invalid(message, Some("stream")));
        }
        if !PARAMETERS.contains(&name) {
            return Err(Refusal::invalid("the query has a parameter that is not known here", None));
        }
    }
    Ok(format!("?{query}"))
}

fn deleted(visit: &mut Visit, id: &str) -> Result<Response<Body>, Refusal> {
    let tenant = visit.asked()?.identity.tenant().id.shared();
    if let Some(fleet) = &visit.gateway().fleet {
        fleet.forget(&tenant, id);
    }
    visit.gateway().stored.forget(tenant, id, clock::unix_seconds(clock::wall()));
    let told = Value::object([
        ("id", Value::string(id.to_owned())),
        ("object", Value::string("response")),
        ("deleted", Value::Bool(true)),
    ]);
    let mut body = Vec::new();
    json::write(&told, &mut body);
    answer::own(visit, body)
}
