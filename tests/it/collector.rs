//! A store that takes OTLP logs and traces, by HTTP or gRPC, or does not: one that is slow, one that is full, one that refuses.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value as Any},
    trace::v1::status::StatusCode,
};
use prost::Message;
use serde_json::{Map, Value};
use std::{
    convert::Infallible,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

/// A status that stands for never answering.
pub(crate) const SILENT: u16 = 0;

/// A log record as it came.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The tenant, which is its resource's.
    pub(crate) tenant: String,
    pub(crate) resource: Value,
    pub(crate) event: String,
    pub(crate) severity: String,
    /// The line.
    pub(crate) body: String,
    /// By their names without `tollgate.`.
    pub(crate) attributes: Value,
}

/// A span as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) tenant: String,
    pub(crate) schema: String,
    pub(crate) name: String,
    /// 1 internal, 2 server, 3 client.
    pub(crate) kind: i32,
    /// In hexadecimal digits.
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) links: Vec<(String, String)>,
    pub(crate) times: (u64, u64),
    pub(crate) is_error: bool,
    /// By their names without `tollgate.`.
    pub(crate) attributes: Value,
}

#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) port: u16,
    status: Arc<AtomicU16>,
    tries: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
    records: Arc<Mutex<Vec<Record>>>,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn new(port: u16, status: u16) -> Self {
        Self {
            port,
            status: Arc::new(AtomicU16::new(status)),
            tries: Arc::default(),
            heads: Arc::default(),
            records: Arc::default(),
            spans: Arc::default(),
        }
    }

    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self::new(listener.local_addr().unwrap().port(), 200);
        let own = collector.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let own = own.clone();
                thread::spawn(move || while own.answer(&socket).is_some() {});
            }
        });
        collector
    }

    /// One that is spoken to by gRPC. What it says is a status of gRPC's.
    pub(crate) fn start_grpc() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let collector = Self::new(listener.local_addr().unwrap().port(), 0);
        let own = collector.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((socket, _)) = listener.accept().await {
                    let own = own.clone();
                    let service = service_fn(move |request| own.clone().call(request));
                    let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(socket), service);
                    tokio::spawn(async move { drop(serving.await) });
                }
            });
        });
        collector
    }

    async fn call(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        self.heads.lock().unwrap().push(format!("{} {} {:?}", head.method, head.uri.path(), head.headers));
        self.tries.fetch_add(1, Relaxed);
        let status = self.status.load(Relaxed);
        // Behind the prefix, whose length has to be the message's.
        assert_eq!(u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize, body.len() - 5);
        if status == 0 {
            self.take(head.uri.path(), &body[5..]);
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(status));
        let trailers = std::future::ready(Some(Ok::<_, Infallible>(trailers)));
        let mut response = Response::new(Full::new(Bytes::from_static(&[0; 5])).with_trailers(trailers));
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        Ok(response)
    }

    /// The same, believed to be elsewhere.
    pub(crate) fn at(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// What it answers from now on.
    pub(crate) fn says(&self, status: u16) {
        self.status.store(status, Relaxed);
    }

    /// How often something was sent to it.
    pub(crate) fn tries(&self) -> usize {
        self.tries.load(Relaxed)
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    fn take(&self, path: &str, body: &[u8]) {
        if path.contains("/v1/logs") || path.ends_with("LogsService/Export") {
            self.records.lock().unwrap().extend(records(body));
        } else {
            assert!(path.contains("/v1/traces") || path.ends_with("TraceService/Export"), "{path}");
            self.spans.lock().unwrap().extend(spans(body));
        }
    }

    fn answer(&self, mut socket: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(socket);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let path = head.split(' ').nth(1).unwrap().to_owned();
        self.heads.lock().unwrap().push(head);
        self.tries.fetch_add(1, Relaxed);
        let status = self.status.load(Relaxed);
        if status == SILENT {
            loop {
                thread::park();
            }
        }
        if status == 200 {
            self.take(&path, &body);
        }
        let answer = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
        );
        socket.write_all(answer.as_bytes()).ok()
    }
}

fn records(body: &[u8]) -> Vec<Record> {
    let request = ExportLogsServiceRequest::decode(body).unwrap();
    let mut records = Vec::new();
    for logs in request.resource_logs {
        let resource = object(&logs.resource.unwrap().attributes);
        for record in logs.scope_logs.into_iter().flat_map(|logs| logs.log_records) {
            let body = match record.body.unwrap().value {
                Some(Any::StringValue(body)) => Some(body),
                _ => None,
            };
            let body = body.unwrap();
            records.push(Record {
                tenant: resource["tenant"].as_str().unwrap().to_owned(),
                resource: resource.clone(),
                event: record.event_name,
                severity: record.severity_text,
                body,
                attributes: object(&record.attributes),
            });
        }
    }
    records
}

fn spans(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut spans = Vec::new();
    for traces in request.resource_spans {
        let resource = object(&traces.resource.unwrap().attributes);
        assert_eq!(resource["service.name"], "tollgate");
        for span in traces.scope_spans.into_iter().flat_map(|traces| traces.spans) {
            let status = span.status.unwrap_or_default();
            spans.push(Span {
                tenant: resource["tenant"].as_str().unwrap().to_owned(),
                schema: traces.schema_url.clone(),
                name: span.name,
                kind: span.kind,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
                times: (span.start_time_unix_nano, span.end_time_unix_nano),
                is_error: status.code == i32::from(StatusCode::Error),
                attributes: object(&span.attributes),
            });
        }
    }
    spans
}

fn object(attributes: &[KeyValue]) -> Value {
    let mut object = Map::new();
    for pair in attributes {
        let value: Option<Value> = match pair.value.clone().unwrap().value.unwrap() {
            Any::StringValue(text) => Some(text.into()),
            Any::BoolValue(flag) => Some(flag.into()),
            Any::IntValue(number) => Some(number.into()),
            Any::DoubleValue(number) => Some(number.into()),
            Any::ArrayValue(array) => {
                let texts = array.values.into_iter().map(|value| match value.value.unwrap() {
                    Any::StringValue(text) => Value::from(text),
                    other => unreachable!("{other:?} in {}", pair.key),
                });
                Some(texts.collect())
            }
            _ => None,
        };
        let name = pair.key.strip_prefix("tollgate.").unwrap_or(&pair.key);
        assert!(object.insert(name.to_owned(), value.unwrap()).is_none(), "{name} is there twice");
    }
    Value::Object(object)
}
