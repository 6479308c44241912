//! Unary calls of gRPC over one HTTP/2 connection: as much of the protocol as an exporter needs. Source: gRPC's "PROTOCOL-HTTP2".

use super::target::{ANSWER_BYTES_MAX, Target, Tried, again};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;

/// What precedes a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// Status codes that another try may help with. Source: the OTLP specification, "OTLP/gRPC Response"; of an exhausted
/// resource, which may recover, nothing is lost by trying.
const PASSING: [u32; 7] = [1, 4, 8, 10, 11, 14, 15];

/// The connection, once there is one.
#[derive(Debug, Default)]
pub(super) struct Channel(Mutex<Option<SendRequest<Full<Bytes>>>>);

impl Channel {
    /// Calls a method once.
    pub(super) async fn send(&self, target: &Target, method: &str, message: Bytes) -> Tried {
        let mut sender = match self.sender(target).await {
            Ok(sender) => sender,
            Err(failed) => return failed,
        };
        let Some(request) = request(target, method, &message) else {
            return Tried::Refused { why: "its address cannot be asked".to_owned() };
        };
        let Ok(answer) = sender.send_request(request).await else {
            *self.0.lock().await = None;
            return again(&"it closed the connection without an answer");
        };
        let (head, body) = answer.into_parts();
        let Ok(body) = Limited::new(body, ANSWER_BYTES_MAX).collect().await else {
            return again(&"its answer broke off");
        };
        // Where there is no message, the status is in the head.
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = status(&trailers).or_else(|| status(&head.headers));
        judged(head.status, status, &body.to_bytes())
    }

    /// The connection that is there, else a new one.
    async fn sender(&self, target: &Target) -> Result<SendRequest<Full<Bytes>>, Tried> {
        let mut place = self.0.lock().await;
        if let Some(sender) = place.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let wire = target.endpoint.client.dial().await.map_err(|error| again(&error))?;
        let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(wire)).await;
        let (sender, connection) = connected.map_err(|_| again(&"it does not speak HTTP/2"))?;
        // It ends with its last sender, or when the other side closes it.
        tokio::spawn(async move { drop(connection.await) });
        *place = Some(sender.clone());
        Ok(sender)
    }
}

fn request(target: &Target, method: &str, message: &[u8]) -> Option<Request<Full<Bytes>>> {
    let mut body = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).ok()?);
    body.put_slice(message);
    let endpoint = &target.endpoint;
    let uri = format!("{}{}{method}", endpoint.client.origin(), endpoint.base_path);
    let mut request = Request::post(uri).body(Full::new(body.freeze())).ok()?;
    let headers = request.headers_mut();
    headers.extend(target.headers.clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    Some(request)
}

fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn judged(http: StatusCode, status: Option<u32>, body: &Bytes) -> Tried {
    match status {
        Some(0) => {
            Tried::Taken(body.get(PREFIX_BYTES..).map(|message| body.slice_ref(message)).unwrap_or_default())
        }
        Some(code) if PASSING.contains(&code) => {
            again(&format_args!("it answered with gRPC's status {code}"))
        }
        Some(code) => Tried::Refused { why: format!("it answered with gRPC's status {code}") },
        // A proxy before it answered. Source: gRPC's "HTTP to gRPC Status Code Mapping".
        None if matches!(http.as_u16(), 429 | 502 | 503 | 504) => {
            again(&format_args!("it answered with {}", http.as_u16()))
        }
        None => Tried::Refused { why: format!("it answered with {} and no status of gRPC's", http.as_u16()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_to_try_again() {
        let word = |http: u16, status: Option<u32>| match judged(
            StatusCode::from_u16(http).unwrap(),
            status,
            &Bytes::new(),
        ) {
            Tried::Taken(_) => "taken",
            Tried::Again { .. } => "again",
            Tried::Refused { .. } => "refused",
        };
        assert_eq!(word(200, Some(0)), "taken");
        for code in [1, 4, 8, 10, 11, 14, 15] {
            assert_eq!(word(200, Some(code)), "again", "{code}");
        }
        for code in [2, 3, 5, 6, 7, 9, 12, 13, 16, 99] {
            assert_eq!(word(200, Some(code)), "refused", "{code}");
        }
        assert_eq!(word(503, None), "again");
        assert_eq!((word(404, None), word(200, None)), ("refused", "refused"));
    }

    #[test]
    fn the_message_stands_behind_its_prefix() {
        let Tried::Taken(message) = judged(StatusCode::OK, Some(0), &Bytes::from_static(b"\0\0\0\0\x02ab"))
        else {
            panic!("it was taken");
        };
        assert_eq!(&message[..], b"ab");
        assert!(
            matches!(judged(StatusCode::OK, Some(0), &Bytes::from_static(b"\0\0")), Tried::Taken(m) if m.is_empty())
        );
    }
}
