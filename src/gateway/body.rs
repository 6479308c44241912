//! Reading a request's body: bounded in size and in patience, and only what the gateway can read.

use crate::{clock, refusal::Refusal, room::Held, server::Caller};
use bytes::{Bytes, BytesMut};
use http::{Version, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::time::Duration;

/// A client may pause so long within its body.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Beside one such pause a body comes at least this fast: a drip holds its place for minutes, not for days.
const BYTES_PER_SECOND_MIN: u64 = 1 << 10;

/// A body smaller than this is copied out of the connection's buffer.
const SHARED_BYTES: usize = 16 << 10;

/// Of a body that nobody will read, so much is read, for so long.
const DISCARD_BYTES_MAX: usize = 16 << 20;
const DISCARD_MAX: Duration = Duration::from_secs(2);

/// What a client announces is believed up to here; memory beyond it grows with what comes.
const RESERVED_BYTES_MAX: usize = 1 << 20;

const JSON: &str = "application/json";
/// JSON and lines of it, as clients of stores call them.
const STORE_MEDIA: [&str; 4] = [
    JSON,
    "application/x-ndjson",
    "application/vnd.elasticsearch+json",
    "application/vnd.elasticsearch+x-ndjson",
];

/// The whole body of a request, which takes what it needs of the room that there is; one that nobody holds is small.
pub(super) async fn read(
    head: &Parts,
    body: &mut Incoming,
    bytes_max: u64,
    held: Option<&mut Held>,
) -> Result<Bytes, Refusal> {
    check_coding(head, &[JSON])?;
    read_whole(body, bytes_max, held).await
}

/// The same of a request to a store, whose clients may have names of their own for JSON.
pub(super) async fn read_for_store(
    head: &Parts,
    body: &mut Incoming,
    bytes_max: u64,
    held: &mut Held,
) -> Result<Bytes, Refusal> {
    check_coding(head, &STORE_MEDIA)?;
    read_whole(body, bytes_max, Some(held)).await
}

/// The body of a request that carries a file, in a form. Nobody here looks into it.
pub(super) async fn read_form(
    head: &Parts,
    body: &mut Incoming,
    bytes_max: u64,
    held: &mut Held,
) -> Result<Bytes, Refusal> {
    check_coding(head, &["multipart/form-data"])?;
    read_whole(body, bytes_max, Some(held)).await
}

async fn read_whole(
    body: &mut Incoming,
    bytes_max: u64,
    mut held: Option<&mut Held>,
) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::TooLarge { limit: bytes_max };
    let announced = body.size_hint().lower();
    if announced > bytes_max {
        return Err(too_large());
    }
    let mut taken = 0;
    if let Some(held) = &mut held {
        held.grow(announced)?;
        taken = announced;
    }
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    let started = clock::now();
    while let Some(frame) = next(body).await? {
        let Ok(data) = frame.into_data() else { continue };
        let length = whole.len() + data.len() + first.as_ref().map_or(0, Bytes::len);
        if u64::try_from(length).unwrap_or(u64::MAX) > bytes_max {
            return Err(too_large());
        }
        let length_now = u64::try_from(length).unwrap_or(u64::MAX);
        if let Some(held) = &mut held {
            held.grow(length_now.saturating_sub(taken))?;
            taken = taken.max(length_now);
        }
        let patience =
            PAUSE_MAX + Duration::from_secs(u64::try_from(length).unwrap_or(0) / BYTES_PER_SECOND_MIN);
        if started.elapsed() > patience {
            return Err(Refusal::BodyTimeout);
        }
        // Most bodies come in one piece, which needs no copy.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            earlier => {
                if whole.is_empty() {
                    let announced = usize::try_from(announced.min(bytes_max)).unwrap_or(0);
                    whole.reserve(announced.min(RESERVED_BYTES_MAX));
                }
                whole.extend_from_slice(&earlier.unwrap_or_default());
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(match first {
        // A small piece shares the connection's read buffer, which is not to be kept for as long as a stream runs.
        Some(data) if data.len() < SHARED_BYTES => Bytes::copy_from_slice(&data),
        Some(data) => data,
        None => whole.freeze(),
    })
}

/// Reads what a client still sends of a request that is refused, within bounds: a client that is cut off while it
/// writes never reads the answer, and one that is read out can go on. Who waits to be told to go on (`Expect`), or
/// announces more than `bytes_max`, hears at once; what it sends is read once the answer is out. Where connections are
/// scarce, this one makes room meanwhile.
pub(super) async fn discard(head: &Parts, mut body: Incoming, bytes_max: u64) {
    if head.headers.contains_key(header::EXPECT) || body.size_hint().lower() > bytes_max {
        // A stream of HTTP/2 is reset with its body, and some clients then look at no answer.
        if head.version == Version::HTTP_2 {
            tokio::spawn(async move { read_out(&mut body).await });
        }
        return;
    }
    let _waited_for = head.extensions.get::<Caller>().map(Caller::is_waited_for);
    read_out(&mut body).await;
}

/// Whoever sends for longer, or more, is cut off.
async fn read_out(body: &mut Incoming) {
    let reading = async {
        let mut left = DISCARD_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    drop(tokio::time::timeout(DISCARD_MAX, reading).await);
}

async fn next(body: &mut Incoming) -> Result<Option<hyper::body::Frame<Bytes>>, Refusal> {
    if body.is_end_stream() {
        return Ok(None);
    }
    match tokio::time::timeout(PAUSE_MAX, body.frame()).await {
        Err(_) => Err(Refusal::BodyTimeout),
        Ok(None) => Ok(None),
        Ok(Some(Ok(frame))) => Ok(Some(frame)),
        Ok(Some(Err(_))) => {
            Err(Refusal::invalid("the request body broke off or is not validly framed", None))
        }
    }
}

/// JSON, not compressed; a body without a content type is read as JSON.
fn check_coding(head: &Parts, medias: &[&str]) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(Refusal::UnsupportedMediaType { message: message.to_owned() });
    for coding in head.headers.get_all(header::CONTENT_ENCODING) {
        if !coding.as_bytes().eq_ignore_ascii_case(b"identity") {
            return refuse("the body is compressed; send it plainly");
        }
    }
    let mut types = head.headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    if second.is_some() {
        return refuse("there are two content types; send application/json");
    }
    let Some(first) = first else { return Ok(()) };
    let text = first.to_str().unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    if !parts.next().is_some_and(|media| medias.iter().any(|known| media.eq_ignore_ascii_case(known))) {
        let first = medias.first().copied().unwrap_or_default();
        return refuse(&format!("the content type is not {first}; send `content-type: {first}`"));
    }
    let utf8 = parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    });
    if utf8 { Ok(()) } else { refuse("the body is not UTF-8") }
}
