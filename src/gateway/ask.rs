//! Understand and authorize: from a body to a permit and the place it goes to.

use super::Visit;
use crate::{
    asked::AskedModel,
    authorize::{self, Body, Findings, Permit},
    clock,
    dialect::openai::{self, Api},
    json,
    records::Content,
    refusal::Refusal,
    snapshot::Model,
    upstream::{Received, Target},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::sync::Arc;

/// Headers of a client's that mean something to an upstream. All others stay here: they could name another
/// organisation, carry a credential, or tell who the tenant is.
const FORWARDED: [HeaderName; 3] =
    [header::ACCEPT, header::USER_AGENT, HeaderName::from_static("openai-beta")];

/// A call that may be forwarded.
#[derive(Debug)]
pub(super) struct Ask {
    permit: Permit,
    model: Arc<Model>,
}

/// Reads the body, decides on all that it asks for, and records the decisions.
pub(super) fn understand_and_authorize(visit: &mut Visit, api: Api, bytes: &Bytes) -> Result<Ask, Refusal> {
    let snapshot = Arc::clone(visit.snapshot());
    let asked = visit.asked()?;
    let parsed = json::parse(bytes, snapshot.limits.nesting)
        .map_err(|error| Refusal::invalid(error.to_string(), None))?;
    if asked.identity.tenant().journal.content == Content::Redacted {
        asked.prompt = Some(openai::prompt(&parsed, bytes.len()));
    }
    let request = openai::understand(api, &parsed)?;
    let known = snapshot.models.find(request.model);
    asked.model = Some(known.map_or_else(
        || AskedModel::Unknown(request.model.chars().take(256).collect()),
        |model| AskedModel::Declared {
            name: Arc::clone(&model.name),
            asked: (*model.name != *request.model).then(|| request.model.chars().take(256).collect()),
            price: model.price,
        },
    ));
    let may_use = asked.identity.tenant().may_use(asked.identity.key(), request.model);
    let Some(model) = known.filter(|_| may_use) else {
        return Err(Refusal::ModelNotFound { model: request.model.chars().take(256).collect() });
    };
    let body = Body { bytes, parsed: &parsed, model_as: model.model_as.as_deref() };
    let mut found = Findings::default();
    let permit = authorize::authorize(asked, &request, &body, &mut found);
    visit.tools_denied.append(&mut found.tools_denied);
    visit.repeated_offers(found.repeated);
    visit.record(found.evidence)?;
    Ok(Ask { permit: permit?, model: Arc::clone(model) })
}

impl Ask {
    /// Sends the call on and waits for the head of its answer.
    pub(super) async fn forward(
        &self,
        visit: &mut Visit,
        api: Api,
        headers: &HeaderMap,
    ) -> Result<Received, Refusal> {
        let path = match api {
            Api::Chat => "/chat/completions",
            Api::Completions => "/completions",
            Api::Embeddings => "/embeddings",
            Api::Moderations => "/moderations",
        };
        let mut sent = HeaderMap::new();
        sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for name in FORWARDED {
            if let Some(value) = headers.get(&name) {
                sent.insert(name, value.clone());
            }
        }
        let target = Target { method: Method::POST, path, headers: sent };
        let started = clock::now();
        let received = self.model.destination.forward(&self.permit, &target).await;
        visit.waited += clock::now().saturating_duration_since(started);
        let (upstream, result) = match received {
            Ok(received) => (received.upstream.name.shared(), Ok(received)),
            Err((upstream, refusal)) => (upstream, Err(refusal)),
        };
        visit.asked()?.upstream = Some(upstream);
        result
    }
}
