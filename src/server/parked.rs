//! HTTP/1 connections. hyper holds 16 KiB of buffers for each; it has one only from a request's head to a while after the
//! last answer. What waits for a request, or for the rest of a head, is parked: it takes next to nothing.

use super::{
    Client, IDLE_MAX, Listening, Stream,
    begun::Begun,
    crowd::{Answering, Place},
    guard::Guard,
    nothing_to_lose,
    standing::Clock,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

/// A connection on which nothing happens for so long is parked.
pub(super) const PARK_AFTER: Duration = Duration::from_secs(1);

type Guarded = Guard<Begun<Box<dyn Stream>>>;

/// Serves a connection to its end.
pub(super) async fn serve<S, F, B>(
    stream: Begun<Box<dyn Stream>>,
    client: Client,
    place: &Arc<Place>,
    listening: &Listening<S>,
) where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static,
{
    let mut guard = Guard::new(stream, listening.header_bytes_max);
    while has_head(&mut guard, place, &listening.stop).await {
        let Some(back) = Box::pin(requests(guard, client.clone(), place, listening)).await else { return };
        guard = back;
    }
    drop(guard.shutdown().await);
}

/// Waits for a request: whether its head is there.
async fn has_head(guard: &mut Guarded, place: &Place, stop: &CancellationToken) -> bool {
    let begun = tokio::select! {
        biased;
        begun = poll_fn(|cx| guard.poll_begun(cx)) => begun,
        () = tokio::time::sleep(IDLE_MAX.saturating_sub(PARK_AFTER)) => false,
        () = stop.cancelled() => false,
        () = place.let_go() => false,
    };
    begun
        && tokio::select! {
            biased;
            is_whole = poll_fn(|cx| guard.poll_head(cx)) => is_whole,
            () = nothing_to_lose(stop) => false,
            () = place.let_go() => false,
        }
}

/// Answers requests until the connection ends, or until none comes for a while: then it comes back.
async fn requests<S, F, B>(
    guard: Guarded,
    client: Client,
    place: &Arc<Place>,
    listening: &Listening<S>,
) -> Option<Guarded>
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static,
{
    let (service, standing) = (listening.service.clone(), guard.standing());
    let (underway, writing) = (Arc::clone(place), Arc::clone(&standing));
    let mut builder = listening.http1.clone();
    builder.timer(Clock(Arc::clone(&standing))).keep_alive(!listening.stop.is_cancelled());
    let service = service_fn(move |request: Request<Incoming>| {
        let (mut head, body) = request.into_parts();
        client.mark(&mut head);
        let (standing, number) = (Arc::clone(&standing), standing.next());
        let busy = underway.busy();
        super::place_of(&underway, &mut head, &body);
        // Boxed: it is large, and would be held for as long as its answer streams.
        let answer = Box::pin(service(Request::from_parts(head, body)));
        async move {
            let mut answer = answer.await;
            if standing.is_in_body_of(number) {
                // hyper does not read what nobody asked for, and ends the connection instead.
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| Answering::new(body, busy)))
        }
    });
    let mut connection = builder.serve_connection(TokioIo::new(guard), service);
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut connection => break Some(ended),
            () = listening.stop.cancelled() => break None,
            // What was answered is written first.
            () = place.let_go_idle() => if !writing.is_writing() { return None },
        }
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    // Idle: all that came was answered, and all that was answered is written. A broken connection is the client's
    // business; what it asked for is on record.
    ended.err().filter(hyper::Error::is_timeout)?;
    let parts = connection.into_parts();
    // Only whole heads are handed over, so that nothing is left of any.
    parts.read_buf.is_empty().then(|| parts.io.into_inner())
}

#[cfg(test)]
mod tests;
