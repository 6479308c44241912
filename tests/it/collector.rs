//! A store that takes OTLP logs, or does not: one that is slow, one that is full, one that refuses.

use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{KeyValue, any_value::Value as Any},
};
use prost::Message;
use serde_json::{Map, Value};
use std::{
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

#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) port: u16,
    status: Arc<AtomicU16>,
    tries: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self {
            port: listener.local_addr().unwrap().port(),
            status: Arc::new(AtomicU16::new(200)),
            tries: Arc::default(),
            heads: Arc::default(),
            records: Arc::default(),
        };
        let own = collector.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let own = own.clone();
                thread::spawn(move || while own.answer(&socket).is_some() {});
            }
        });
        collector
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
        self.heads.lock().unwrap().push(head);
        self.tries.fetch_add(1, Relaxed);
        let status = self.status.load(Relaxed);
        if status == SILENT {
            loop {
                thread::park();
            }
        }
        if status == 200 {
            self.records.lock().unwrap().extend(records(&body));
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

fn object(attributes: &[KeyValue]) -> Value {
    let mut object = Map::new();
    for pair in attributes {
        let value: Option<Value> = match pair.value.clone().unwrap().value.unwrap() {
            Any::StringValue(text) => Some(text.into()),
            Any::BoolValue(flag) => Some(flag.into()),
            Any::IntValue(number) => Some(number.into()),
            Any::DoubleValue(number) => Some(number.into()),
            _ => None,
        };
        let name = pair.key.strip_prefix("tollgate.").unwrap_or(&pair.key);
        assert!(object.insert(name.to_owned(), value.unwrap()).is_none(), "{name} is there twice");
    }
    Value::Object(object)
}
