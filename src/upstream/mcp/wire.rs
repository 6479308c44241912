//! One request to an MCP server and its answer: a JSON body, or a stream of events that is read as it comes.

use super::{Failed, Server, Taken, large::Large};
use crate::{
    json::{self, Value},
    mcp::message::{self, Message},
    refusal::Refusal,
    sse,
    upstream::{
        apart::Leave,
        http1::{Answer, AnswerBody, BodyError, Read},
    },
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use std::{future::poll_fn, time::Duration};

/// A server's message may be this long.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Of an error, more than this is not read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// So long is waited for the end of a stream behind its last event.
const LINGER: Duration = Duration::from_millis(200);
const LINGER_BYTES_MAX: usize = 4096;

/// What a server says while it answers.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Notification {
        method: String,
        params: Value<'static>,
    },
    /// It asks something of the client.
    Request {
        id: Value<'static>,
        method: String,
        params: Value<'static>,
    },
    Result(Value<'static>),
    Error {
        code: i64,
        message: String,
        data: Option<Value<'static>>,
    },
}

impl Said {
    /// Takes out of it what a server was shown, which it may repeat.
    pub(super) fn conceal(&mut self, conceal: impl Fn(&mut Value<'_>)) {
        match self {
            Self::Notification { params, .. } | Self::Request { params, .. } | Self::Result(params) => {
                conceal(params);
            }
            Self::Error { data, .. } => data.iter_mut().for_each(conceal),
        }
    }
}

/// An answer on its way in. Dropping it before its end closes the connection.
#[derive(Debug)]
pub(super) struct Reply {
    /// The request that it answers; `None` for a stream that answers none.
    id: Option<u64>,
    /// `None` once it is over.
    body: Option<AnswerBody>,
    is_stream: bool,
    buffer: BytesMut,
    scan: sse::Scan,
    /// Where the stream can be taken up again when it breaks off.
    last_event: Option<Box<str>>,
    pub(super) retry: Option<Duration>,
    /// What large messages take, where that is counted.
    large: Option<Large>,
    /// How long the last message was.
    length: usize,
    /// A message that waits for room, or for its turn: a wait that is given up loses nothing.
    pending: Option<Bytes>,
}

/// An answer that is no success: its status, and the error in it, if it is one of JSON-RPC.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) error: Option<(i64, String, Option<Value<'static>>)>,
}

impl Reply {
    /// Reads on from an answer's head to the request of this id.
    pub(super) async fn of(answer: Answer, id: u64) -> Result<Self, Result<Refused, Failed>> {
        Self::read_on(answer, Some(id)).await
    }

    /// The rest of an answer that broke off.
    pub(super) async fn resumed(
        answer: Answer,
        id: u64,
        before: &Self,
    ) -> Result<Self, Result<Refused, Failed>> {
        let reply = Self::read_on(answer, Some(id)).await?;
        let large = before.large.as_ref().map(Large::another);
        Ok(Self { last_event: before.last_event.clone(), retry: before.retry, large, ..reply })
    }

    /// Large messages take this, from now on.
    pub(super) fn within(self, large: Option<Large>) -> Self {
        Self { large, ..self }
    }

    /// What the last message takes, which is its owner's from now on.
    pub(super) fn taken(&mut self) -> Taken {
        Taken { bytes: self.length, held: self.large.take().map(Large::into_held) }
    }

    /// Nothing of the last message is there any more.
    pub(super) fn frees(&mut self) {
        if let Some(large) = &mut self.large {
            large.frees();
        }
    }

    /// Reads on from the head of a stream that answers no request.
    pub(super) async fn unasked(answer: Answer) -> Result<Self, Result<Refused, Failed>> {
        let reply = Self::read_on(answer, None).await?;
        if reply.is_stream { Ok(reply) } else { Err(Err(unreadable())) }
    }

    async fn read_on(answer: Answer, id: Option<u64>) -> Result<Self, Result<Refused, Failed>> {
        let Answer { status, headers, body } = answer;
        if let Some(coding) = headers.get(header::CONTENT_ENCODING)
            && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(Err(failed("the upstream's answer is compressed and cannot be inspected")));
        }
        if !status.is_success() {
            return Err(Ok(refused(status, headers, body).await));
        }
        let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.and_then(|media| media.split(';').next()).unwrap_or_default().trim();
        let is_stream = media.eq_ignore_ascii_case("text/event-stream");
        let (buffer, scan) = (BytesMut::new(), sse::Scan::default());
        Ok(Self {
            id,
            body: Some(body),
            is_stream,
            buffer,
            scan,
            last_event: None,
            retry: None,
            large: None,
            length: 0,
            pending: None,
        })
    }

    /// Where to go on from, if the stream broke off and can be taken up again.
    pub(super) fn resumes_from(&self) -> Option<&str> {
        self.last_event.as_deref().filter(|_| self.body.is_none())
    }

    /// What the server says next, without what it was shown. The answer to the request is the last of it. A wait that is given
    /// up loses nothing.
    pub(super) async fn next(&mut self, server: &Server) -> Result<Said, Failed> {
        if !self.is_stream {
            // All at once: many that each came half would keep each other out.
            let announced = self.body.as_ref().and_then(|body| body.announced().ok().flatten());
            let announced = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
            if announced > MESSAGE_BYTES_MAX {
                return Err(body_failed(BodyError::TooLarge));
            }
            if let Some(large) = self.large.as_mut().filter(|_| self.buffer.is_empty()) {
                large.announced(announced).await?;
            }
            while self.body.is_some() {
                self.read().await?;
            }
            let bytes = match self.pending.take() {
                Some(bytes) => bytes,
                None => self.buffer.split().freeze(),
            };
            let leave = self.admit(&bytes).await?;
            return match leave.work(|| said(&bytes, self.id, server))? {
                Some(said @ (Said::Result(_) | Said::Error { .. })) => Ok(said),
                Some(_) | None => Err(unreadable()),
            };
        }
        loop {
            while let Some(bytes) = self.pending.take().or_else(|| self.take_event()) {
                let leave = self.admit(&bytes).await?;
                let Some(said) = leave.work(|| self.hear(&bytes, server)) else { continue };
                if matches!(said, Said::Result(_) | Said::Error { .. }) {
                    self.end();
                }
                return Ok(said);
            }
            if self.body.is_none() {
                return Err(broke_off());
            }
            self.read().await?;
        }
    }

    /// What an event says. What cannot be read is no answer; what has another name is for others.
    fn hear(&mut self, bytes: &[u8], server: &Server) -> Option<Said> {
        let event = sse::event(bytes)?;
        if let Some(id) = event.id {
            self.last_event = (!id.is_empty()).then(|| id.into());
        }
        self.retry = event.retry.map(Duration::from_millis).or(self.retry);
        let data = event.data.filter(|data| !data.is_empty())?;
        if event.name.is_some_and(|name| !matches!(name, "" | "message")) {
            return None;
        }
        said(data.as_bytes(), self.id, server).ok().flatten()
    }

    fn take_event(&mut self) -> Option<Bytes> {
        let sse::Boundary { end } = sse::boundary_from(&self.buffer, &mut self.scan)?;
        Some(self.buffer.split_to(end).freeze())
    }

    /// Reads some more. `body` is gone once there is no more, or it cannot be read.
    async fn read(&mut self) -> Result<(), Failed> {
        let body = self.body.as_mut().ok_or_else(broke_off)?;
        let buffer = &mut self.buffer;
        let read = poll_fn(|cx| body.poll_read(cx, &mut |bytes| buffer.extend_from_slice(bytes))).await;
        let read = match read {
            _ if self.buffer.len() > MESSAGE_BYTES_MAX => Err(BodyError::TooLarge),
            read => read,
        };
        if !matches!(read, Ok(Read::More)) {
            self.body = None;
            // A line feed that may follow does not come any more.
            if self.is_stream && self.buffer.ends_with(b"\r") {
                self.buffer.extend_from_slice(b"\n");
            }
        }
        read.map(drop).map_err(body_failed)?;
        match &mut self.large {
            Some(large) => large.reach(self.buffer.len()).await,
            None => Ok(()),
        }
    }

    /// Room for a message, and leave to read it.
    async fn admit(&mut self, message: &Bytes) -> Result<Leave, Failed> {
        self.length = message.len();
        let Some(large) = &mut self.large else { return Ok(Leave::default()) };
        self.pending = Some(message.clone());
        let leave = large.admit(message).await;
        self.pending = None;
        leave
    }

    /// The end of a stream comes with its last event, or just behind: then the connection can be used again.
    fn end(&mut self) {
        if let Some(mut body) = self.body.take() {
            body.suffices();
            tokio::spawn(async move {
                drop(tokio::time::timeout(LINGER, body.collect(LINGER_BYTES_MAX)).await);
            });
        }
    }
}

/// Reads a message. `None` for one that answers another request, or none that was asked.
fn said(bytes: &[u8], id: Option<u64>, server: &Server) -> Result<Option<Said>, Failed> {
    let mut said = said_by(json::parse(bytes, json::NESTING_MAX).map_err(|_| unreadable())?, id)?;
    if let Some(said) = &mut said {
        said.conceal(|value| server.link.conceal_in(value));
    }
    Ok(said)
}

/// The same, of a message that was parsed.
pub(super) fn said_by(mut value: Value<'_>, id: Option<u64>) -> Result<Option<Said>, Failed> {
    let message = message::read(&value).map_err(|_| unreadable())?;
    let is_answer = matches!(&message, Message::Response { id: Some(answered) } if id.is_some() && answered.as_u64() == id);
    if is_answer && value.get("error").is_none() {
        // It may be large: taken out, not copied.
        let result = value.remove("result").filter(|result| result.members().is_some());
        return Ok(Some(Said::Result(result.ok_or_else(unreadable)?.into_owned())));
    }
    Ok(match message {
        Message::Notification { method, params } => {
            let params = params.cloned().unwrap_or_else(|| Value::object([])).into_owned();
            Some(Said::Notification { method: method.to_owned(), params })
        }
        Message::Request(request) => {
            let params = request.params.cloned().unwrap_or_else(|| Value::object([])).into_owned();
            let id = request.id.clone().into_owned();
            Some(Said::Request { id, method: request.method.to_owned(), params })
        }
        Message::Response { .. } if is_answer => {
            let (code, message, data) = value.get("error").map(error_of).ok_or_else(unreadable)?;
            Some(Said::Error { code, message, data })
        }
        Message::Response { .. } => None,
    })
}

/// An error's code, message and data.
fn error_of(error: &Value<'_>) -> (i64, String, Option<Value<'static>>) {
    let code = error.get("code").and_then(Value::digits).and_then(|digits| digits.parse().ok());
    let message = error.get("message").and_then(Value::as_str).unwrap_or("the server answered with an error");
    let data = error.present("data").map(|data| data.clone().into_owned());
    (code.unwrap_or(message::INTERNAL_ERROR), message.chars().take(2000).collect(), data)
}

async fn refused(status: StatusCode, headers: HeaderMap, body: AnswerBody) -> Refused {
    let bytes = body.collect(ERROR_BYTES_MAX).await.unwrap_or_default();
    let error = json::parse(&bytes, 32).ok().and_then(|value| value.get("error").map(error_of));
    Refused { status, headers, error }
}

pub(super) fn failed(message: &'static str) -> Failed {
    Failed::Refusal(Refusal::UpstreamError { message })
}

fn broke_off() -> Failed {
    failed("the upstream's answer broke off")
}

fn unreadable() -> Failed {
    failed("the upstream's answer cannot be inspected")
}

fn body_failed(error: BodyError) -> Failed {
    match error {
        BodyError::IdleTimeout | BodyError::TotalTimeout => Failed::Refusal(Refusal::UpstreamTimeout),
        BodyError::TooLarge => failed("the upstream's answer is too large to be inspected"),
        BodyError::Truncated | BodyError::MalformedFraming | BodyError::Io(_) => broke_off(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dialect::Family,
        names::UpstreamName,
        upstream::{Upstream, apart::Share, mcp::Means},
    };
    use http::HeaderValue;
    use tokio::time::timeout;
    use tokio_util::sync::CancellationToken;

    fn share(tenant: &str) -> Share {
        Share { tenant: tenant.into(), weight: 1, priority: Default::default() }
    }

    /// Answers that are one large message, whole and in a stream, and how long its text is.
    async fn large() -> Vec<(Reply, usize)> {
        let text = "x".repeat(200_000);
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"text":"{text}"}}}}"#);
        let mut replies = Vec::new();
        for (media, body) in [
            ("application/json", message.clone()),
            ("text/event-stream", format!("id: 7\ndata: {message}\n\n")),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media))]);
            let answer = Answer { status: StatusCode::OK, headers, body: AnswerBody::whole(body.into()) };
            let Ok(reply) = Reply::of(answer, 1).await else { panic!("{media}") };
            replies.push((reply, text.len()));
        }
        replies
    }

    fn server() -> Server {
        let name = UpstreamName::try_from("crm").unwrap();
        Server::new(Upstream::new(name, Family::OpenAi, Vec::new(), Vec::new(), 0))
    }

    fn length(said: Result<Said, Failed>) -> Option<usize> {
        let Ok(Said::Result(result)) = said else { return None };
        result.get("text").and_then(Value::as_str).map(str::len)
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_room_that_is_given_up_loses_no_message() {
        let server = server();
        for (mut reply, expected) in large().await {
            let means = Means::on_this_machine(CancellationToken::new());
            means.configure(Some(4 << 20));
            let mut others = means.room("a".into());
            assert!(others.holds(2 << 20));
            reply = reply.within(Some(means.large(share("a"))));
            for _ in 0..3 {
                assert!(timeout(Duration::from_secs(1), reply.next(&server)).await.is_err());
            }
            drop(others);
            assert_eq!(length(reply.next(&server).await), Some(expected));
            let taken = reply.taken();
            assert!(
                taken.bytes > expected && !means.room("a".into()).holds(2 << 20),
                "it takes room: {taken:?}"
            );
            drop(taken);
            assert!(means.room("a".into()).holds(2 << 20));
        }
    }

    /// While all places for large work are taken, a large message waits, and is read by nobody who serves others.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_large_message_is_read_when_its_turn_has_come() {
        let server = server();
        for (mut reply, expected) in large().await {
            let means = Means::on_this_machine(CancellationToken::new());
            let mut held = Vec::new();
            while let Ok(turn) = timeout(Duration::from_millis(200), means.turn(&share("b"), expected)).await
            {
                held.push(turn);
            }
            reply = reply.within(Some(means.large(share("a"))));
            assert!(timeout(Duration::from_millis(200), reply.next(&server)).await.is_err());
            held.clear();
            assert_eq!(length(reply.next(&server).await), Some(expected));
        }
    }
}
