//! An answer that leaves whole, or not at all: judged, which may wait for a person, or read for what it took alone. Apart from
//! streams, of which what came first has left when the rest comes.

use super::{
    Body, Gateway, Visit,
    answer::{JSON, SHUTTING_DOWN, label, refused},
    cache::Pending,
    gathered::{self, Gathered, LENGTH_MAX},
    person::Waits,
    reserve, stored,
    visit::{self, Summary},
};
use crate::{
    asked::{AskedModel, End},
    clock,
    dialect::{Family, Progress},
    exchange::{Exchange, Terms},
    identity::Identity,
    quota::Standing,
    refusal::Refusal,
    translate,
    upstream::apart::Leave,
    upstream::http1::{AnswerBody, Read},
};
use bytes::Bytes;
use http::{Response, StatusCode, header};
use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

const ANSWERED: Refusal = Refusal::UpstreamError { message: "the request is already answered" };

/// `unread` is why the client could not read it, whatever it holds.
pub(super) async fn answered(
    visit: &mut Visit,
    terms: Terms,
    translation: Option<translate::Answer>,
    (gathered, leave): (Gathered, Leave),
    unread: Option<Refusal>,
) -> Result<Response<Body>, Refusal> {
    let Gathered { bytes, held } = gathered;
    let (mut answering, label) = Answering::of(visit, terms, translation)?;
    let judged = match unread {
        None => answering.judged(bytes, leave).await,
        Some(refusal) => leave.work(|| answering.counted(bytes)).and(Err(refusal)),
    };
    let (response, end) = match judged {
        Ok(bytes) => {
            let mut response = Response::new(Body::full(held.until_sent(bytes)));
            response.headers_mut().insert(header::CONTENT_TYPE, JSON);
            (response, End::Complete)
        }
        Err(refusal) => (label.refused(&refusal), End::Refused(refusal)),
    };
    Ok(label.finished(answering, response, &end))
}

/// A stream that comes where a whole answer was asked for, `refused` for that: nothing of it leaves, and what it took is in it,
/// since the provider has it paid.
pub(super) async fn unasked_stream(
    visit: &mut Visit,
    terms: Terms,
    translation: Option<translate::Answer>,
    (body, refusal): (AnswerBody, Refusal),
) -> Result<Response<Body>, Refusal> {
    let terms = Terms { stream: true, ..terms };
    let (mut answering, label) = Answering::of(visit, terms, translation)?;
    let exchange = answering.exchange.take().ok_or(ANSWERED)?;
    answering.exchange = Some(exchange.streamed());
    answering.read_all(body, &refusal).await;
    let response = label.refused(&refusal);
    Ok(label.finished(answering, response, &End::Refused(refusal)))
}

/// What an answer carries beside its body.
struct Label {
    family: Family,
    request_id: Arc<str>,
    standing: Option<Standing>,
    identity: Identity,
    model: Option<AskedModel>,
}

impl Label {
    fn refused(&self, refusal: &Refusal) -> Response<Body> {
        refused(refusal, self.family, &self.request_id, None)
    }

    /// The answer, once it is recorded.
    fn finished(self, mut answering: Answering, response: Response<Body>, end: &End) -> Response<Body> {
        let is_alone = answering.gateway.fleet.is_none();
        // What was decided could not be written down: then nothing of it leaves.
        let mut response = match answering.finish(end, Some(response.status())) {
            Ok(()) => response,
            Err(refusal) => self.refused(&refusal),
        };
        // What others used too is known only once they are asked.
        let mut standing = self.standing;
        if !response.status().is_success() && is_alone {
            let (tokens, budget) = reserve::left(&self.identity, self.model.as_ref(), reserve::now());
            standing = standing.map(|standing| Standing { tokens, budget, ..standing });
        }
        label(response.headers_mut(), self.family, &self.request_id, standing);
        response
    }
}

/// A whole answer while it is judged, which may wait for a person. Dropped before it is finished, its client left.
struct Answering {
    gateway: Arc<Gateway>,
    exchange: Option<Exchange>,
    /// Time that others took.
    waited: Duration,
    keeping: Option<Arc<Pending>>,
}

impl Answering {
    /// The answer to the request of a visit, and what it carries.
    fn of(
        visit: &mut Visit,
        terms: Terms,
        translation: Option<translate::Answer>,
    ) -> Result<(Self, Label), Refusal> {
        let gateway = Arc::clone(visit.gateway());
        let (waited, denied) = (visit.waited, std::mem::take(&mut visit.tools_denied));
        let asked = visit.hand_over()?;
        let (request_id, standing) = (Arc::clone(&asked.request_id), asked.standing);
        let (identity, model) = (asked.identity.clone(), asked.model.clone());
        let label = Label { family: visit.family, request_id, standing, identity, model };
        let exchange = Some(Exchange::new(asked, terms, denied).translated(translation));
        Ok((Self { gateway, exchange, waited, keeping: visit.keeping.take() }, label))
    }

    /// Reads a stream that goes nowhere, to its end, or as far as it can be read.
    async fn read_all(&mut self, mut body: AnswerBody, refusal: &Refusal) {
        let waiting = clock::now();
        let closing = self.gateway.closing.clone();
        let Some(exchange) = self.exchange.as_mut() else { return };
        let (mut out, mut length) = (Vec::new(), 0);
        let mut progress = Progress::Continue;
        while progress == Progress::Continue && !exchange.is_suspended() && length <= LENGTH_MAX {
            let read = poll_fn(|cx| {
                body.poll_read(cx, &mut |bytes| {
                    length += bytes.len();
                    if progress == Progress::Continue {
                        progress = exchange.read(bytes, clock::now(), &mut out);
                    }
                })
            });
            let read = tokio::select! {
                read = read => read,
                () = closing.cancelled() => break,
            };
            out.clear();
            match read {
                Ok(Read::More) => {}
                Ok(Read::End) if progress == Progress::Continue => {
                    progress = exchange.end(&mut out);
                    break;
                }
                Err(error) if progress == Progress::Continue => {
                    progress = exchange.break_off(gathered::broke_off(error), &mut out);
                    break;
                }
                Ok(Read::End) | Err(_) => break,
            }
        }
        if progress == Progress::Continue {
            exchange.fail(refusal.clone(), &mut out);
        }
        self.waited += clock::now().saturating_duration_since(waiting);
    }

    /// Reads what it took, of an answer that goes nowhere.
    fn counted(&mut self, bytes: Bytes) -> Result<(), Refusal> {
        let exchange = self.exchange.as_mut().ok_or(ANSWERED)?;
        exchange.take_whole(bytes, clock::now())?;
        exchange.whole().map(drop)
    }

    /// The answer as it leaves, once everybody who is asked about a call has answered.
    async fn judged(&mut self, bytes: Bytes, leave: Leave) -> Result<Bytes, Refusal> {
        let exchange = self.exchange.as_mut().ok_or(ANSWERED)?;
        let mut waits = Waits::default();
        let mut judged = leave.work(|| {
            exchange.take_whole(bytes, clock::now())?;
            exchange.whole()
        });
        loop {
            self.gateway.remember(exchange);
            let evidence = exchange.evidence();
            evidence.into_iter().try_for_each(|line| visit::record(&self.gateway, line))?;
            if let Some(bytes) = judged? {
                return Ok(bytes);
            }
            waits.ask(&self.gateway, exchange);
            let waiting = clock::now();
            let closing = self.gateway.closing.clone();
            tokio::select! {
                () = poll_fn(|cx| match waits.poll(cx, &self.gateway, exchange) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }) => {}
                () = closing.cancelled() => return Err(SHUTTING_DOWN),
            }
            self.waited += clock::now().saturating_duration_since(waiting);
            judged = exchange.whole();
        }
    }

    /// Keeps, measures and records what came of it.
    fn finish(&mut self, end: &End, status: Option<StatusCode>) -> Result<(), Refusal> {
        let Some(mut exchange) = self.exchange.take() else { return Ok(()) };
        if *end == End::ClientGone {
            exchange.leave();
        }
        let summary = Summary::of(exchange.asked());
        self.gateway.remember(&mut exchange);
        stored::shelve(&self.gateway, &exchange, end);
        let status = status.map_or(499, |status| status.as_u16());
        let (evidence, entry) = exchange.finish(end, status, clock::now());
        self.keeping.take().into_iter().for_each(|pending| pending.ended(end, &entry));
        let recorded = evidence.into_iter().try_for_each(|line| visit::record(&self.gateway, line));
        summary.tell(&self.gateway, end, entry, self.waited);
        recorded
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        drop(self.finish(&End::ClientGone, None));
    }
}
