//! A Presidio analyzer beside the detectors, through the real binary: what it finds is not written, what it does not
//! answer for is left out, and no request waits for it.

use crate::support::{ACME, GLOBEX, Gateway, chat, tools};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Well,
    Slow,
    Failing,
    Lying,
    Huge,
}

/// Finds `Jane Doe`, and keeps what it was asked.
struct Presidio {
    port: u16,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Presidio {
    fn start(how: How) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let heard = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = Arc::clone(&heard);
                thread::spawn(move || serve(stream, how, &heard));
            }
        });
        Self { port, asked }
    }
}

fn serve(stream: TcpStream, how: How, heard: &Mutex<Vec<Value>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (mut length, mut line) = (0, String::new());
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        assert!(line.starts_with("POST /nlp/analyze "), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).ok()?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let question: Value = serde_json::from_slice(&body).ok()?;
        let text = question["text"].as_str()?.to_owned();
        heard.lock().unwrap().push(question);
        let mark = |start: usize, end: usize| json!({ "entity_type": "PERSON", "start": start, "end": end, "score": 0.85 });
        let start = text.find("Jane Doe").map(|at| text[..at].chars().count());
        let answer = match how {
            How::Well => start.map(|start| mark(start, start + 8)).into_iter().collect(),
            How::Slow => {
                thread::sleep(Duration::from_secs(20));
                Value::Array(Vec::new())
            }
            How::Lying => json!([mark(0, 9_999_999)]),
            How::Huge => Value::Array((0..40_000).map(|_| mark(0, 1)).collect()),
            How::Failing => Value::Null,
        };
        let status = if how == How::Failing { "500 Internal Server Error" } else { "200 OK" };
        let answer = answer.to_string();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        )
        .ok()?;
    }
}

fn gateway(port: u16, timeout: &str) -> Gateway {
    let tenants = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [gpt-5]
    tools: [{ allow: \"get_*\" }]
    redact:
      epoch: 2026-Q4
      analyzer: { url: \"http://127.0.0.1:PORT/nlp\", timeout: TIMEOUT, language: de, entities: [PERSON], threshold: 55% }
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [gpt-5]
";
    Gateway::with(&tenants.replace("PORT", &port.to_string()).replace("TIMEOUT", timeout), "")
}

fn ask(gateway: &Gateway, key: &str) {
    let started = Instant::now();
    let answer = gateway.chat(key, &chat("Grüße an Jane Doe, jane@example.com", &tools(&["get_weather"])));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "a request waits for the analyzer");
}

#[test]
fn names_are_found_by_an_analyzer_that_sees_no_more_than_what_is_redacted() {
    let presidio = Presidio::start(How::Well);
    let gateway = gateway(presidio.port, "20s");
    ask(&gateway, ACME);
    ask(&gateway, GLOBEX);
    let line = gateway.lines("log", "acme", 1).remove(0);
    let prompt = line["prompt"].as_str().unwrap();
    assert!(
        prompt.contains("[PERSON:") && prompt.contains("[EMAIL_ADDRESS:") && !prompt.contains("Jane"),
        "{prompt}"
    );
    assert!(line.get("left_out").is_none());
    let other = gateway.lines("log", "globex", 1).remove(0);
    assert!(other["prompt"].as_str().unwrap().contains("Jane Doe"), "the other tenant has none: {other}");
    let asked = presidio.asked.lock().unwrap();
    assert!(!asked.is_empty());
    for question in asked.iter() {
        assert!(!question.to_string().contains("jane@example.com"), "{question}");
        assert_eq!((&question["language"], &question["entities"]), (&json!("de"), &json!(["PERSON"])));
        assert_eq!(question["score_threshold"], json!(0.55));
    }
    drop(asked);
    // Of an epoch: the same address reads otherwise than without one.
    let token =
        |text: &str| text.split("[EMAIL_ADDRESS:").nth(1).unwrap().split(']').next().unwrap().to_owned();
    let before = token(prompt);
    let file = gateway.dir.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, yaml.replace("2026-Q4", "2027-Q1")).unwrap();
    assert_eq!(gateway.reload().status, 200);
    ask(&gateway, ACME);
    let line = gateway.lines("log", "acme", 2).remove(1);
    assert_ne!(token(line["prompt"].as_str().unwrap()), before);
}

#[test]
fn without_an_answer_the_text_is_left_out_and_counted() {
    for how in [How::Slow, How::Failing, How::Lying, How::Huge] {
        let presidio = Presidio::start(how);
        check_left_out(presidio.port, how);
    }
    // Nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    check_left_out(port, How::Failing);
}

fn check_left_out(port: u16, how: How) {
    let gateway = gateway(port, "700ms");
    ask(&gateway, ACME);
    let line = gateway.lines("log", "acme", 1).remove(0);
    assert!(line["prompt"].is_null() && line["left_out"] == "analyzer", "{how:?}: {line}");
    let metrics = gateway.admin_get("/metrics").body;
    assert!(metrics.contains("tollgate_texts_left_out_total{tenant=\"acme\"}"), "{metrics}");
    ask(&gateway, GLOBEX);
    assert!(gateway.lines("log", "globex", 1)[0]["prompt"].is_string(), "{how:?}");
}

#[test]
fn values_are_let_through_for_one_tenant_and_only_whole() {
    let tenants = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    redact: { allow: [support@acme.com, \"*@docs.acme.com\", \"+43 1 58858\"] }
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
";
    let gateway = Gateway::with(tenants, "");
    let text = "to Support@acme.com, x@docs.acme.com, jane.support@acme.com or +43-1-58858\n";
    let redact = |tenant| {
        let arguments = ["redact", "--config", "tollgate.yaml", "--tenant", tenant];
        crate::support::run(&arguments, gateway.dir.path(), text).1
    };
    let own = redact("acme");
    assert!(
        own.starts_with("to Support@acme.com, x@docs.acme.com, [EMAIL_ADDRESS:")
            && own.ends_with("or +43-1-58858\n"),
        "{own}"
    );
    let other = redact("globex");
    assert!(!other.contains("acme.com") && !other.contains("58858"), "{other}");
}
