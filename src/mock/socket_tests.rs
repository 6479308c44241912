//! The mock over real sockets: what its pure parts cannot show, such as a connection that is cut or left.

use std::io;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::serve;

fn request(message: &str) -> Value {
    json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": message }] })
}

struct Mock {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<io::Result<()>>,
}

async fn start() -> Mock {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(serve(listener, async { drop(stopped.await) }));
    Mock { address, stop, running }
}

impl Mock {
    async fn open(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n");
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Everything until the connection closes.
    async fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut answer = Vec::new();
        self.open(method, path, body).await.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn chat(&self, message: &str) -> String {
        self.ask("POST", "/v1/chat/completions", &request(message).to_string()).await
    }

    async fn seen(&self) -> Vec<Value> {
        let answer = self.ask("GET", "/mock/requests", "").await;
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

#[tokio::test]
async fn a_conversation_over_a_socket() {
    let mock = start().await;
    let streamed = mock.chat("!say hi").await;
    assert!(
        streamed.starts_with("HTTP/1.1 200 OK\r\n") && streamed.contains("text/event-stream"),
        "{streamed}"
    );
    assert!(streamed.contains("data: [DONE]\n\n") && streamed.ends_with("0\r\n\r\n"), "{streamed}");

    let cut = mock.chat("!say hi\n!cut 2").await;
    assert!(cut.contains(r#"{"content":"hi"}"#) && !cut.ends_with("0\r\n\r\n"), "{cut}");

    let split = mock.chat("!say hi\n!split 1\n!headers").await;
    assert!(split.contains("1\r\nd\r\n1\r\na\r\n1\r\nt\r\n"), "{split}");
    assert!(split.contains("x-ratelimit-limit-tokens: ") && split.contains("set-cookie: "), "{split}");

    let failed = mock.chat("!status 429 retry-after 3").await;
    assert!(failed.starts_with("HTTP/1.1 429 ") && failed.contains("retry-after: 3\r\n"), "{failed}");
    assert!(failed.contains(" sk-") && failed.contains("rate_limit_exceeded"), "{failed}");

    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(mock.chat("!status-times 2 503").await.split(' ').nth(1).unwrap().to_owned());
    }
    assert_eq!(statuses, ["503", "503", "200"]);

    let model = mock.ask("GET", "/v1/models/gpt-5", "").await;
    assert!(model.contains(r#""id":"gpt-5""#), "{model}");
    assert!(mock.ask("GET", "/v1/nowhere", "").await.starts_with("HTTP/1.1 404 "));
    assert!(mock.ask("GET", "/mcp", "").await.starts_with("HTTP/1.1 405 "));

    let messages = mock.ask("POST", "/v1/messages", &request("!say hi").to_string()).await;
    assert!(messages.contains("request-id: req_") && messages.contains("authentication_error"), "{messages}");
    let response = mock.ask("POST", "/v1/responses", r#"{"model":"m","input":"hi","stream":true}"#).await;
    assert!(response.contains("event: response.completed\ndata: {\"type\":"), "{response}");
    let id = response.split(r#""id":""#).nth(1).unwrap().split('"').next().unwrap();
    let stored = mock.ask("GET", &format!("/v1/responses/{id}"), "").await;
    assert!(stored.starts_with("HTTP/1.1 200 ") && stored.contains(id), "{stored}");

    let seen = mock.seen().await;
    let outcomes: Vec<&str> = seen.iter().map(|request| request["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes[..3], ["answered", "cut", "answered"]);
    assert_eq!(seen[0]["path"], "/v1/chat/completions");
    assert_eq!(seen[0]["headers"][0], json!(["host", "mock"]));
    assert_eq!(serde_json::from_str::<Value>(seen[0]["body"].as_str().unwrap()).unwrap(), request("!say hi"));
    assert!(mock.ask("DELETE", "/mock/requests", "").await.starts_with("HTTP/1.1 204 "));
    assert_eq!(mock.seen().await, Vec::<Value>::new());

    mock.stop.send(()).unwrap();
    mock.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let mock = start().await;
    for (message, path) in [("!stall 1", "/v1/chat/completions"), ("!hang", "/v1/chat/completions")] {
        let stream = mock.open("POST", path, &request(message).to_string()).await;
        while mock.seen().await.last().is_none_or(|request| request["outcome"] != "open") {}
        drop(stream);
        while mock.seen().await.last().is_some_and(|request| request["outcome"] == "open") {}
        assert_eq!(mock.seen().await.last().unwrap()["outcome"], "client_gone", "{message}");
        mock.ask("DELETE", "/mock/requests", "").await;
    }
    let open = mock.open("POST", "/v1/chat/completions", &request("!hang").to_string()).await;
    while mock.seen().await.is_empty() {}
    mock.stop.send(()).unwrap();
    mock.running.await.unwrap().unwrap();
    drop(open);
}
