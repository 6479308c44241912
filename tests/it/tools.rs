//! `/tools/UPSTREAM/…`: HTTP tools and vector stores behind the real binary, with upstreams that are scripted here.

use crate::support::{ACME, Answer, GLOBEX, Gateway};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

const SECRET: &str = "sk-billing-secret";
/// What an upstream was asked: head and body.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// An upstream that answers by a script, a connection a request.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    seen: Seen,
}

impl Upstream {
    pub(crate) fn start(script: fn(&str, &str) -> (u16, String, String)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, seen) = (listener.local_addr().unwrap().port(), Seen::default());
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || answer(&socket, &kept, script));
            }
        });
        Self { port, seen }
    }

    pub(crate) fn seen(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn answer(socket: &TcpStream, seen: &Seen, script: fn(&str, &str) -> (u16, String, String)) -> Option<()> {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    let (status, headers, text) = script(head.lines().next()?, &body);
    seen.lock().unwrap().push((head, body));
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{text}"
    );
    (&*socket).write_all(answer.as_bytes()).ok()
}

fn billing(request: &str, body: &str) -> (u16, String, String) {
    let json = "content-type: application/json\r\n".to_owned();
    match request {
        line if line.starts_with("GET /api/invoices/moved") => {
            (302, "location: http://elsewhere/\r\n".into(), String::new())
        }
        line if line.starts_with("GET /api/invoices/none") => {
            (404, json, r#"{"message":"no invoice for ada@example.org, said sk-billing-secret"}"#.into())
        }
        line if line.starts_with("GET /api/invoices/denied") => (401, json, "{}".into()),
        line if line.starts_with("GET /api/invoices/broken") => (500, json, "at line 7".into()),
        _ => {
            let headers =
                format!("{json}etag: \"1\"\r\nset-cookie: a=b\r\nx-internal: y\r\nserver: billing\r\n");
            (200, headers, format!(r#"{{"asked":{body:?},"key":"{SECRET}"}}"#))
        }
    }
}

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    labels: { region: eu }
    tools:
      - allow: billing__get_invoice
      - allow: billing__refund
        args: { amount: { max: 100 } }
        set: { tenant: "{tenant.id}", region: "{tenant.labels.region}" }
      - allow: billing__list
        limit: 1/hour
      - ask: billing__cancel
      - allow: ["docs__query", "docs__get"]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    tools: [{ allow: "docs__*" }]
"#;

fn gateway(billing: &Upstream, docs: u16) -> Gateway {
    let port = billing.port;
    let upstreams = format!(
        "  billing:\n    kind: http\n    url: http://127.0.0.1:{port}/api\n    auth: {{ bearer: {SECRET} }}\n    operations:\n      get_invoice: \"GET /invoices/{{id}}\"\n      refund: \"POST /refunds\"\n      list: \"GET /invoices\"\n      cancel: \"DELETE /invoices/{{id}}\"\n      hidden: \"GET /hidden\"\n  docs: {{ kind: chroma, url: \"http://127.0.0.1:{docs}\" }}\n"
    );
    Gateway::with_mock(TENANTS, |_| upstreams.clone())
}

fn refused(answer: &Answer) -> (u16, String, String) {
    (answer.status, answer.code(), answer.json()["error"]["message"].as_str().unwrap().to_owned())
}

#[test]
fn what_is_declared_and_allowed_is_written_anew_and_sent() {
    let upstream = Upstream::start(billing);
    let gateway = gateway(&upstream, 1);
    let request = format!(
        "GET /tools/billing/invoices/%37?full=1 HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\nx-tenant-id: globex\r\ncookie: a=b\r\nidempotency-key: k\r\naccept: text/plain\r\nconnection: close\r\n\r\n"
    );
    let answer = gateway.raw(&request);
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Its own credential comes back to nobody, and of its headers few do.
    assert_eq!(answer.json()["key"], "[API_KEY]");
    assert_eq!((answer.header("etag"), answer.header("cache-control")), (Some("\"1\""), Some("no-store")));
    for header in ["set-cookie", "x-internal", "server"] {
        assert_eq!(answer.header(header), None, "{header}");
    }
    let (head, body) = upstream.seen().remove(0);
    assert!(head.starts_with("GET /api/invoices/7?full=1 HTTP/1.1\r\n") && body.is_empty(), "{head}");
    assert!(
        head.contains(&format!("authorization: Bearer {SECRET}")) && head.contains("accept: text/plain"),
        "{head}"
    );
    for gone in [ACME, "x-tenant-id", "cookie", "idempotency-key: k\r\n"] {
        assert!(!head.contains(gone), "{gone}: {head}");
    }
    let answer = gateway.post("/tools/billing/refunds", ACME, r#"{"amount":1.50,"tenant":"globex"}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let expected = r#"{"amount":1.50,"tenant":"acme","region":"eu"}"#;
    assert_eq!(upstream.seen().remove(0).1, expected);
    let lines = gateway.lines("audit", "acme", 2);
    let told = |line: &serde_json::Value| {
        ["place", "tool", "decision"].map(|name| line[name].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(told(&lines[0]), ["http", "billing__get_invoice", "allow"]);
    assert_eq!(told(&lines[1]), ["http", "billing__refund", "allow"]);
    let log = gateway.lines("log", "acme", 2);
    assert_eq!((log[0]["upstream"].as_str(), log[0]["status"].as_u64()), (Some("billing"), Some(200)));
    assert!(
        !log[0].to_string().contains("full=1") && !log[0].to_string().contains("invoices/"),
        "{}",
        log[0]
    );
}

#[test]
fn what_is_not_is_refused_and_never_sent() {
    let upstream = Upstream::start(billing);
    let gateway = gateway(&upstream, 1);
    // Not there, not reached, and not a name: one answer.
    let check = |path: &str, key: &str| (gateway.get(path, key), path.to_owned());
    for (answer, path) in [
        check("/tools/nothing/x", ACME),
        check("/tools/billing/invoices/7", GLOBEX),
        check("/tools/a__b/x", ACME),
    ] {
        let (status, code, message) = refused(&answer);
        assert_eq!((status, code.as_str()), (404, "not_found"), "{path}");
        assert!(message.starts_with("no such path here: "), "{path}: {message}");
    }
    // Not declared, and declared but not the tenant's: one answer.
    let unknown = refused(&gateway.get("/tools/billing/nothing", ACME));
    assert_eq!(unknown, refused(&gateway.get("/tools/billing/hidden", ACME)));
    assert_eq!((unknown.0, unknown.1.as_str()), (403, "tool_not_allowed"));
    let answer = gateway.post("/tools/billing/refunds", ACME, r#"{"amount":101}"#);
    assert_eq!((answer.status, answer.code().as_str()), (403, "tool_not_allowed"));
    for path in [
        "invoices/%2e%2e",
        "invoices/a%2fb",
        "invoices//7",
        "/invoices/7",
        "invoices/7/",
        "invoices/7?a=1&a=2",
        "invoices/7;x",
    ] {
        let answer = gateway.get(&format!("/tools/billing/{path}"), ACME);
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_request"), "{path}");
    }
    for body in ["{", "[1]", r#"{"amount":1,"amount":2}"#] {
        assert_eq!(gateway.post("/tools/billing/refunds", ACME, body).status, 400, "{body}");
    }
    let answer = gateway.post("/tools/billing/refunds?amount=1", ACME, r#"{"amount":1}"#);
    assert_eq!((answer.status, answer.json()["error"]["param"].as_str()), (400, Some("amount")));
    assert!(upstream.seen().is_empty());
    assert_eq!(gateway.get("/tools/billing/invoices", ACME).status, 200);
    let limited = gateway.get("/tools/billing/invoices", ACME);
    assert_eq!((limited.status, limited.code().as_str()), (429, "rate_limit_exceeded"));
    assert!(limited.header("retry-after").is_some());
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(gateway.get("/tools/billing/invoices/7", "wrong").status, 401);
    let audit = gateway.lines("audit", "globex", 1);
    assert_eq!((audit[0]["tool"].as_str(), audit[0]["decision"].as_str()), (Some("billing__"), Some("deny")));
}

/// A client makes up the name of an upstream: it is on record that one was asked for, and nowhere by which name.
#[test]
fn the_name_of_an_upstream_that_is_not_there_is_in_no_record() {
    let upstream = Upstream::start(billing);
    let gateway = gateway(&upstream, 1);
    let names: Vec<String> = (0..5).map(|n| format!("zq{n}made-up")).collect();
    for name in &names {
        assert_eq!(gateway.get(&format!("/tools/{name}/x"), ACME).status, 404);
    }
    for line in gateway.lines("audit", "acme", 5) {
        assert_eq!((line["tool"].as_str(), line["decision"].as_str()), (Some("_OTHER__"), Some("deny")));
    }
    for line in gateway.lines("log", "acme", 5) {
        assert_eq!(line["tools_denied"][0], "_OTHER__");
    }
    let (status, out, err) =
        crate::support::run(&["usage", "--config", "tollgate.yaml"], gateway.dir.path(), "");
    assert_eq!(status, 0);
    for text in [out, err, gateway.stderr()] {
        assert!(names.iter().all(|name| !text.contains(name)), "{text}");
    }
}

#[test]
fn what_an_upstream_refuses_is_told_and_nothing_more() {
    let upstream = Upstream::start(billing);
    let gateway = gateway(&upstream, 1);
    let get = |id: &str| gateway.get(&format!("/tools/billing/invoices/{id}"), ACME);
    let moved = get("moved");
    assert_eq!((moved.status, moved.header("location")), (502, None));
    let (status, _, message) = refused(&get("none"));
    assert_eq!(status, 404);
    assert!(
        message.contains("no invoice") && !message.contains("ada@") && !message.contains(SECRET),
        "{message}"
    );
    assert_eq!(get("denied").status, 502);
    let broken = get("broken");
    assert_eq!(broken.status, 502);
    assert!(!broken.body.contains("line 7"));
}

#[test]
fn a_person_is_asked_first() {
    let upstream = Upstream::start(billing);
    let gateway = gateway(&upstream, 1);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| gateway.delete("/tools/billing/invoices/7", ACME));
        let listed = || gateway.admin_get("/admin/approvals").json().as_array().unwrap().clone();
        gateway.wait("a call that waits", |_| !listed().is_empty());
        let items = listed();
        assert_eq!(
            (items[0]["tool"].as_str(), &items[0]["args"]["id"]),
            (Some("billing__cancel"), &"7".into())
        );
        assert!(upstream.seen().is_empty());
        let id = items[0]["id"].as_str().unwrap();
        gateway.admin_post(&format!("/admin/approvals/{id}"), r#"{"approve":true,"by":"ada"}"#);
        assert_eq!(call.join().unwrap().status, 200);
    });
    assert!(upstream.seen()[0].0.starts_with("DELETE /api/invoices/7 "));
}

/// A store that does not keep to filters.
fn leaky(request: &str, _: &str) -> (u16, String, String) {
    let json = "content-type: application/json\r\n".to_owned();
    let text = if request.contains("/by-id/") {
        r#"{"id":"c1","name":"shared"}"#
    } else if request.contains("/get") {
        r#"{"ids":["a","b","c"],"documents":["mine","theirs","nobody's"],"metadatas":[{"tenant_id":"acme"},{"tenant_id":"globex"},null],"embeddings":null,"include":["documents","metadatas"]}"#
    } else if request.starts_with("GET /api/v2/heartbeat") {
        r#"{"nanosecond heartbeat":1}"#
    } else {
        return (404, json, r#"{"error":"NotFoundError","message":"nothing for ada@example.org"}"#.into());
    };
    (200, json, text.into())
}

#[test]
fn a_store_that_leaks_is_found_out() {
    let (upstream, store) = (Upstream::start(billing), Upstream::start(leaky));
    let gateway = gateway(&upstream, store.port);
    let base = "/tools/docs/api/v2/tenants/t/databases/d/collections/c1";
    let answer = gateway.post(&format!("{base}/get"), ACME, r#"{"where":{"a":1},"include":["documents"]}"#);
    let expected =
        r#"{"ids":["a"],"documents":["mine"],"metadatas":null,"embeddings":null,"include":["documents"]}"#;
    assert_eq!((answer.status, answer.body.as_str()), (200, expected));
    let seen = store.seen();
    assert!(seen[0].0.starts_with("GET /api/v2/tenants/t/databases/d/collections/by-id/c1 "), "{seen:?}");
    assert!(seen[1].1.contains(r#""where":{"$and":[{"tenant_id":{"$eq":"acme"}},{"a":1}]}"#), "{seen:?}");
    assert!(gateway.stderr().contains("2 records that are not its own"), "{}", gateway.stderr());
    let metric = r#"tollgate_foreign_records_total{tenant="acme",upstream="docs"} 2"#;
    assert!(gateway.admin_get("/metrics").body.contains(metric));
    let audit = gateway.lines("audit", "acme", 2);
    assert!(
        audit
            .iter()
            .any(|line| line["reason"].as_str().is_some_and(|reason| reason.contains("2 records of others")))
    );
    // Another's id in a write, and an operation that no rule allows: refused, and nothing is written.
    let answer = gateway.post(&format!("{base}/upsert"), GLOBEX, r#"{"ids":["a"],"embeddings":[[1]]}"#);
    assert_eq!((answer.status, answer.code().as_str()), (403, "tool_not_allowed"));
    assert!(store.seen().iter().all(|(head, _)| !head.contains("/upsert") && !head.contains("/add")));
    let answer = gateway.post(&format!("{base}/upsert"), ACME, r#"{"ids":["a"],"embeddings":[[1]]}"#);
    assert_eq!((answer.status, answer.code().as_str()), (403, "tool_not_allowed"));
    assert!(store.seen().is_empty(), "who may not write does not even look");
    // What the store says of its own is told in its own shape, redacted.
    let answer = gateway.get("/tools/docs/api/v2/version", ACME);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (404, Some("NotFoundError")));
    assert!(!answer.body.contains("ada@"), "{}", answer.body);
    assert_eq!(gateway.get("/tools/docs/api/v2/heartbeat", ACME).status, 200);
    assert_eq!(gateway.post("/tools/docs/api/v2/reset", GLOBEX, "").status, 403);
}
