//! Understand and authorize: from a body to what is sent, and where.

use super::{Visit, apart, cache, reserve, sent};
use crate::{
    asked::AskedModel,
    authorize::{self, Body, Brought, Findings, Permit, Remembered},
    clock, denials,
    dialect::{self, Api, Family, HoldLimits, Request},
    exchange::{Keeps, Terms},
    json,
    quota::Amount,
    records::Content,
    redact::{Masks, Redactor},
    refusal::Refusal,
    snapshot::{Model, Snapshot},
    stored::{Recalled, Stored, What},
    tenant::Wire,
    translate::{self, About, Client},
    upstream::{
        Destination, Parcel, Parcels, Received, Repeat, Target,
        http1::{Answer, AnswerBody},
    },
    wire::{self, Placeholders},
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use std::{sync::Arc, time::Duration};

/// A call that may be forwarded.
#[derive(Debug)]
pub(super) struct Ask {
    permit: Permit,
    destination: Destination,
    api: Api,
    /// What a translated answer needs to know of the request.
    about: Option<About>,
    terms: Terms,
    /// The tokens that its input is taken for.
    input: u64,
    /// What the call may use at most.
    pub(super) amount: Amount,
    /// What was masked of the bodies that were sent.
    masks: Masks,
    /// Calls whose results it brings, of which this gateway knows nothing.
    pub(super) unknown: Vec<Brought>,
}

/// What a body names of what providers keep: to be looked up before anything is decided.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) previous: Option<String>,
    /// Items, containers and vector stores.
    pub(super) ids: Vec<String>,
}

/// A longer body is covered apart from other requests.
const COVERED_AT_ONCE: usize = 64 << 10;

/// So many items may be named in a request.
const REFERENCES_MAX: usize = 1024;

/// Whether an id may stand in a body: without one it names nothing, and is not read twice. A key may be written with escapes.
fn may_name(bytes: &[u8]) -> bool {
    let words: [&[u8]; 5] =
        [b"previous_response_id", b"\"id\"", b"container_id", b"vector_store_ids", b"\\u"];
    words.into_iter().any(|word| memchr::memmem::find(bytes, word).is_some())
}

/// What a body names of what providers keep.
pub(super) fn named(api: Api, bytes: &Bytes, nesting_max: usize) -> Result<Named, Refusal> {
    if api != Api::Responses || !may_name(bytes) {
        return Ok(Named::default());
    }
    let parsed = parse(bytes, nesting_max)?;
    let request = dialect::understand(api, &parsed)?;
    let ids = request.references.iter().chain(&request.containers);
    let mut ids: Vec<String> = ids.map(|id| (*id).to_owned()).collect();
    ids.append(&mut authorize::stores_of(&request)?);
    if ids.len() > REFERENCES_MAX {
        let message =
            format!("more than {REFERENCES_MAX} items are named by their ids; send the items themselves");
        return Err(Refusal::invalid(message, Some("input")));
    }
    Ok(Named { previous: request.previous.map(ToOwned::to_owned), ids })
}

fn parse(bytes: &Bytes, nesting_max: usize) -> Result<json::Value<'_>, Refusal> {
    json::parse(bytes, nesting_max).map_err(|error| Refusal::invalid(error.to_string(), None))
}

/// Reads the body, decides on all that it asks for, and records the decisions.
pub(super) fn understand_and_authorize(
    visit: &mut Visit,
    api: Api,
    bytes: &Bytes,
    recalled: &Recalled,
) -> Result<Ask, Refusal> {
    let (snapshot, gateway) = (Arc::clone(visit.snapshot()), Arc::clone(visit.gateway()));
    let asked = visit.asked()?;
    let parsed = parse(bytes, snapshot.limits.nesting)?;
    if asked.identity.tenant().journal.content == Content::Redacted {
        asked.prompt = Some(dialect::prompt(api, &parsed, bytes.len()));
    }
    let request = dialect::understand(api, &parsed)?;
    let known = snapshot.models.find(request.model);
    asked.model = Some(asked_model(request.model, known));
    let may_use = asked.identity.tenant().may_use(asked.identity.key(), request.model);
    let Some(model) = known.filter(|_| may_use) else {
        return Err(Refusal::ModelNotFound { model: request.model.chars().take(256).collect() });
    };
    let may_read = |stored: &Stored| asked.identity.tenant().may_use(asked.identity.key(), &stored.model);
    let destination = destination(model, recalled, &request, &may_read)?;
    let is_own = |id: &str| recalled.find(id, What::VectorStore).is_some();
    authorize::check_stores(asked, &request, &is_own)?;
    let notices = recalled.notices();
    let model_as = model.model_as.as_deref();
    let body = Body { bytes, parsed: &parsed, model_as, denied: recalled.denied(), notices: &notices };
    let mut found = Findings::default();
    let tenant = asked.identity.tenant().id.shared();
    let remembered = |call: &denials::Call| gateway.denials().fate(&tenant, call, clock::now());
    let remembered: Option<&Remembered<'_>> =
        if gateway.denials().knows_none(&tenant) { None } else { Some(&remembered) };
    let permit = authorize::authorize(asked, &request, &body, remembered, &mut found);
    visit.tools_denied.append(&mut found.tools_denied);
    visit.repeated_offers(found.repeated);
    visit.record(found.evidence)?;
    let permit = permit?;
    let name = model_as.unwrap_or(request.model);
    let said = reserve::input(visit.asked()?, name, &request, &parsed, permit.body());
    // The provider puts the conversation before it that the request goes on from, and bills all of it.
    let input = said.saturating_add(recalled.tokens());
    let amount = reserve::at_most(visit.asked()?, model, api, &parsed, input);
    if let Some(trace) = visit.asked()?.trace.as_mut().filter(|trace| trace.context.is_sampled) {
        trace.tokens_max = dialect::answer_max(api, &parsed);
    }
    let terms = Terms::of(&request, hold_limits(&snapshot), found.offered, input);
    let terms = Terms { denied: recalled.denied().to_vec(), ..terms };
    let created = u64::try_from(visit.asked()?.unix_seconds()).unwrap_or(0);
    let about = client(api).map(|client| About::request(client, &parsed, created, terms.limits));
    let (masks, unknown) = (Masks::default(), found.unknown);
    Ok(Ask { permit, destination, api, about, terms, input, amount, masks, unknown })
}

/// How much of an answer may be held.
pub(super) fn hold_limits(snapshot: &Snapshot) -> HoldLimits {
    let limits = snapshot.limits;
    HoldLimits { nesting: limits.nesting, tool_arguments: limits.tool_arguments }
}

/// A model as it was asked for.
pub(super) fn asked_model(name: &str, known: Option<&Arc<Model>>) -> AskedModel {
    let text = || name.chars().take(256).collect();
    known.map_or_else(
        || AskedModel::Unknown(text()),
        |model| AskedModel::Declared {
            name: Arc::clone(&model.name),
            asked: (*model.name != *name).then(text),
            price: model.price,
        },
    )
}

/// Where a call goes. What a provider keeps is known to that provider alone, and read by keys that may use its model.
fn destination(
    model: &Model,
    recalled: &Recalled,
    request: &Request<'_>,
    may_read: &dyn Fn(&Stored) -> bool,
) -> Result<Destination, Refusal> {
    let mut upstreams = model.destination.upstreams.clone();
    let mut keep_to = |stored: Option<&Stored>| {
        upstreams.retain(|upstream| {
            // Towards another dialect the translator says what cannot be named.
            let translated = upstream.speaks != request.api.family();
            match stored {
                Some(stored) => {
                    may_read(stored) && (translated || upstream.name.as_str() == &*stored.upstream)
                }
                None => translated,
            }
        });
        !upstreams.is_empty()
    };
    if let Some(id) = request.previous {
        let previous = recalled.previous.as_ref().filter(|stored| stored.what.is_answer());
        let shown = || id.chars().take(256).collect::<String>();
        if !keep_to(previous) {
            return Err(Refusal::PreviousNotFound { id: shown() });
        }
        if previous.is_some_and(|stored| stored.what == What::Unfinished) {
            let message = format!(
                "the response `{}` did not come to its end here, so that its calls are not known; look it up once, \
                 or send its turns themselves",
                shown()
            );
            return Err(Refusal::invalid(message, Some("previous_response_id")));
        }
    }
    // What was denied is told as that.
    let is_denied = |id: &&&str| recalled.denied().iter().any(|call| call.call_id == **id);
    let items = request.references.iter().filter(|id| !is_denied(id)).map(|id| (id, What::Item));
    for (id, what) in items.chain(request.containers.iter().map(|id| (id, What::Container))) {
        if !keep_to(recalled.find(id, what)) {
            let id: String = id.chars().take(256).collect();
            let message = match what {
                What::Container => format!("the container `{id}` was not found; leave its call out"),
                What::Answer
                | What::File
                | What::FileBatch
                | What::Item
                | What::Unfinished
                | What::VectorStore => {
                    format!("the item `{id}` was not found; send the item itself")
                }
            };
            return Err(Refusal::invalid(message, Some("input")));
        }
    }
    Ok(Destination { upstreams })
}

impl Ask {
    /// A count of tokens that no upstream of the model can make: an estimate. Anthropic's own is called one too.
    pub(super) fn counted_here(&self) -> Option<u64> {
        let counts = self.destination.upstreams.iter().any(|upstream| upstream.speaks == Family::Anthropic);
        let here = self.api == Api::CountTokens && !counts;
        here.then_some(self.input)
    }

    /// Sends the call on and waits for the head of its answer.
    pub(super) async fn forward(
        &mut self,
        visit: &mut Visit,
        headers: &HeaderMap,
    ) -> Result<Received, Refusal> {
        let journal = Arc::clone(&visit.asked()?.identity.tenant().journal);
        let wire = visit.asked()?.identity.tenant().wire;
        let parcels = self.parcels(visit, wire, &journal.redactor, headers).await?;
        if let Some(knowing) = journal.knowing(&self.masks) {
            visit.asked()?.knowing = Some(Arc::new(knowing));
        }
        let key = self.cache_key(visit, &parcels)?;
        if let Some(kept) = key.as_ref().and_then(|(key, ttl)| self.kept(visit, key, *ttl)) {
            return Ok(kept);
        }
        let upstreams = self.destination.upstreams.iter();
        let spoken = upstreams.filter(|upstream| parcels.of(upstream.speaks).is_some());
        let snapshot = Arc::clone(visit.snapshot());
        let tenant = visit.asked()?.identity.tenant().id.shared();
        let upstreams = spoken.map(|upstream| snapshot.upstream_of(&tenant, upstream)).collect();
        let destination = Destination { upstreams };
        visit.input_estimate = self.terms.input_estimate;
        visit.output_most = self.amount.tokens.saturating_sub(visit.input_estimate);
        let started = clock::now();
        let gateway = Arc::clone(visit.gateway());
        let tokens = if self.api == Api::CountTokens { 0 } else { self.amount.tokens };
        let received = destination.forward(&parcels, &mut visit.turn(&gateway, tokens)?).await;
        visit.waited += clock::now().saturating_duration_since(started);
        let (upstream, result) = match received {
            Ok(received) => (received.upstream.name.shared(), Ok(received)),
            Err((upstream, refusal)) => (upstream, Err(refusal)),
        };
        visit.asked()?.upstream = Some(upstream);
        if let Err(refusal) = &result {
            visit.rejected(refusal);
        }
        let received = result?;
        Ok(match key {
            Some((key, _)) if received.answer.status == StatusCode::OK => copied(visit, key, received),
            Some(_) | None => received,
        })
    }

    /// Under which key the answer is kept, and for how long, where the tenant wants that and the answer is one that can be
    /// given twice: no tool of the provider's runs for it, and the provider does not keep it.
    fn cache_key(
        &self,
        visit: &mut Visit,
        parcels: &Parcels<'_>,
    ) -> Result<Option<(cache::Key, Duration)>, Refusal> {
        let asked = visit.asked()?;
        let tenant = asked.identity.tenant();
        let Some(ttl) = tenant.cache else { return Ok(None) };
        let once =
            self.api == Api::CountTokens || self.terms.keeps == Keeps::All || !self.terms.offered.is_empty();
        let upstreams: Vec<&str> =
            self.destination.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
        let key = || cache::Key::of(tenant.id.shared(), &asked.config, &upstreams, parcels);
        Ok((!once).then(|| (key(), ttl)))
    }

    /// An answer that was kept, as if it came from its upstream.
    fn kept(&self, visit: &mut Visit, key: &cache::Key, ttl: Duration) -> Option<Received> {
        let kept = visit.gateway().cache.find(key, ttl, clock::now())?;
        let upstream =
            self.destination.upstreams.iter().find(|known| *known.name.shared() == *kept.upstream)?;
        let asked = visit.asked().ok()?;
        asked.upstream = Some(kept.upstream);
        asked.cached = true;
        let tenant = asked.identity.tenant().id.shared();
        visit.gateway().telemetry.cached(tenant);
        let answer =
            Answer { status: StatusCode::OK, headers: kept.headers, body: AnswerBody::whole(kept.body) };
        Some(Received { upstream: Arc::clone(upstream), answer })
    }

    /// The call in the dialect of every kind of upstream that it may go to.
    async fn parcels(
        &mut self,
        visit: &mut Visit,
        wire: Wire,
        redactor: &Arc<Redactor>,
        headers: &HeaderMap,
    ) -> Result<Parcels<'static>, Refusal> {
        let mut parcels = Parcels::default();
        let mut uncarried = None;
        for upstream in &self.destination.upstreams {
            if parcels.of(upstream.speaks).is_some() {
                continue;
            }
            let is_translated = upstream.speaks != self.api.family();
            let bytes = if is_translated { self.permit.body().len() } else { 0 };
            let leave = apart::turn(visit, bytes).await?;
            match leave.work(|| self.spoken(upstream.speaks)) {
                Ok((api, permit)) => {
                    let permit = match wire {
                        Wire::Off => permit,
                        Wire::Block | Wire::Mask => {
                            cover(visit, wire, redactor, permit, &mut self.masks).await?
                        }
                    };
                    let headers = sent::headers(upstream.speaks, wire, redactor, headers);
                    let target =
                        Target { method: Method::POST, path: api.path(), headers, repeat: Repeat::Always };
                    parcels.add(upstream.speaks, Parcel { permit, target });
                }
                Err(refusal) => uncarried = Some(refusal),
            }
        }
        // What one kind of upstream cannot be told, another may.
        match uncarried {
            Some(refusal) if parcels.is_empty() => Err(refusal),
            Some(_) | None => Ok(parcels),
        }
    }

    /// The call as such an upstream understands it.
    fn spoken(&self, speaks: Family) -> Result<(Api, Permit), Refusal> {
        if speaks == self.api.family() {
            return Ok((self.api, self.permit.clone()));
        }
        let (api, to, whose) = match speaks {
            Family::Anthropic => (Api::Messages, translate::Upstream::Messages, "Anthropic's Messages"),
            Family::OpenAi => (Api::Chat, translate::Upstream::Chat, "OpenAI's Chat Completions"),
            Family::Mcp => {
                return Err(Refusal::UpstreamError { message: "an MCP server answers for no model" });
            }
        };
        let Some(from) = client(self.api) else {
            let message =
                format!("the upstream of this model speaks {whose}, which has nothing like this path");
            return Err(Refusal::invalid(message, Some("model")));
        };
        Ok((api, self.permit.translated(|body| translate::request(from, to, body))?))
    }

    /// How the answer of an upstream is read, and how it is translated where it speaks another dialect.
    pub(super) fn answered_by(mut self, speaks: Family) -> (Terms, Option<translate::Answer>) {
        self.terms.placeholders = Placeholders::of(std::mem::take(&mut self.masks));
        let upstream = match speaks {
            _ if speaks == self.api.family() => None,
            Family::Anthropic => Some(translate::Upstream::Messages),
            Family::OpenAi => Some(translate::Upstream::Chat),
            Family::Mcp => None,
        };
        let Some(((upstream, client), about)) = upstream.zip(client(self.api)).zip(self.about) else {
            return (self.terms, None);
        };
        // A translated answer is kept by nobody.
        let terms = Terms { keeps: Keeps::Nothing, ..self.terms };
        (terms, Some(translate::Answer::new(upstream, client, about)))
    }
}

/// An answer of which a copy is kept once it has come to its end, in order.
fn copied(visit: &mut Visit, key: cache::Key, received: Received) -> Received {
    let Received { upstream, answer } = received;
    let mut headers = HeaderMap::new();
    if let Some(kind) = answer.headers.get(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, kind.clone());
    }
    if answer.headers.contains_key(header::CONTENT_ENCODING) {
        return Received { upstream, answer };
    }
    let pending = cache::Pending::new(visit.gateway(), key, upstream.name.shared(), headers);
    visit.keeping = Some(Arc::clone(&pending));
    let body = answer.body.copied(cache::ANSWER_BYTES_MAX, move |body| pending.read(body));
    Received { upstream, answer: Answer { body, ..answer } }
}

/// A body as the provider gets to see it: covered last of all, so that nothing is added behind it.
async fn cover(
    visit: &mut Visit,
    wire: Wire,
    redactor: &Redactor,
    permit: Permit,
    masks: &mut Masks,
) -> Result<Permit, Refusal> {
    let bytes = permit.body().len();
    let leave = if bytes < COVERED_AT_ONCE {
        apart::turn(visit, bytes).await?
    } else {
        apart::turn_of_any(visit, bytes).await?
    };
    let covered = leave.work(|| wire::cover(wire, redactor, permit.body()))?;
    masks.add(covered.masks);
    Ok(permit.covered(covered.body))
}

/// An API whose requests and answers can be translated.
fn client(api: Api) -> Option<Client> {
    match api {
        Api::Chat => Some(Client::Chat),
        Api::Messages => Some(Client::Messages),
        Api::Responses => Some(Client::Responses),
        Api::Completions | Api::CountTokens | Api::Embeddings | Api::Moderations | Api::ResponseItems => None,
    }
}
