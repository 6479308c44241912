//! T: many tenants at once, in every way that they are told apart by: keys, tokens, connections, what they say of themselves.

use crate::{
    fault::{Upstream, whole},
    frames::{Client, DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE, frame, head_of, tls},
    hostile_ids::bodies,
    mcp::ask as ask_mcp,
    signer::Signer,
    support::{ACME, Gateway, TENANTS, chat, tools, wellbeing::written},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

/// Tenants `t0` to `tN`, each with a key of its own and what `more` says of it.
fn many(count: usize, more: impl Fn(usize) -> String) -> String {
    use sha2::Digest;
    let tenant = |n: usize| {
        let digest: String = sha2::Sha256::digest(key(n)).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\n  t{n}:\n    keys: [{{ id: prod, sha256: {digest} }}]\n{}", more(n))
    };
    (0..count).map(tenant).collect()
}

fn key(n: usize) -> String {
    format!("test-key-of-t{n}")
}

/// A sequence without a pattern that matters, the same in every run.
fn next(state: &mut usize, sides: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % sides
}

#[test]
fn t6_nothing_that_is_kept_crosses_from_one_of_fifty_tenants_to_another() {
    const COUNT: usize = 50;
    const ROUNDS: usize = 120;
    let tenants = many(COUNT, |n| {
        let model = if n % 2 == 0 { format!("m-t{n}") } else { "gpt-5".to_owned() };
        format!("    models: [{model}]\n    cache: 5m\n    tools: [{{ allow: get_t{n} }}]\n")
    });
    let models: String = (0..COUNT).map(|n| format!("  m-t{n}: {{ upstream: mock }}\n")).collect();
    let gateway = Gateway::with(&tenants, &models).watched();
    let served = Mutex::new((0, BTreeSet::new()));
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let (gateway, served) = (&gateway, &served);
            scope.spawn(move || {
                let mut state = seed;
                for _ in 0..ROUNDS {
                    let n = next(&mut state, COUNT);
                    let model = ["gpt-5".to_owned(), format!("m-t{n}"), "m-t4".to_owned()]
                        [next(&mut state, 3)]
                    .clone();
                    let own = if n.is_multiple_of(2) { format!("m-t{n}") } else { "gpt-5".to_owned() };
                    // The same bytes from everybody: all that differs is the key.
                    let offered: Vec<String> = (0..COUNT).map(|n| format!("get_t{n}")).collect();
                    let offered: Vec<&str> = offered.iter().map(String::as_str).collect();
                    let calls: String = (0..COUNT).map(|n| format!("!call get_t{n} {{}}\n")).collect();
                    let body = chat(calls.trim_end(), &tools(&offered)).replacen("gpt-5", &model, 1);
                    let answer = gateway.chat(&key(n), &body);
                    assert_eq!(
                        answer.status,
                        if model == own { 200 } else { 404 },
                        "t{n} {model} {answer:?}"
                    );
                    if answer.status == 200 {
                        let mut served = served.lock().unwrap();
                        served.0 += 1;
                        served.1.insert(n);
                        let told = answer.json();
                        let calls = told["choices"][0]["message"]["tool_calls"].as_array().unwrap();
                        let names: Vec<&Value> = calls.iter().map(|call| &call["function"]["name"]).collect();
                        assert_eq!(names, [&format!("get_t{n}")], "{told}");
                    }
                }
            });
        }
    });
    // Answers were kept, and for each tenant its own: it was asked for at least once.
    let (all, tenants) = served.into_inner().unwrap();
    let asked = bodies(&gateway).len();
    assert!(asked >= tenants.len() && asked < all, "{asked} of {all}, {} tenants", tenants.len());
    let lines = |gateway: &Gateway, kind: &str| {
        (0..COUNT)
            .flat_map(|n| gateway.lines(kind, &format!("t{n}"), 0).into_iter().map(move |line| (n, line)))
            .collect::<Vec<_>>()
    };
    gateway.wait("a line a request", |gateway| lines(gateway, "log").len() == 4 * ROUNDS);
    for (n, line) in lines(&gateway, "log").into_iter().chain(lines(&gateway, "audit")) {
        assert_eq!(line["tenant"], format!("t{n}"), "{line}");
    }
}

/// By which connection, credential and message requests came to an upstream that repeats the message.
type Came = Arc<Mutex<Vec<(usize, String, String)>>>;

fn echo() -> (u16, Came) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Came::default();
    let all = Arc::clone(&came);
    std::thread::spawn(move || {
        for (number, socket) in listener.incoming().flatten().enumerate() {
            let came = Arc::clone(&all);
            std::thread::spawn(move || echo_on(number, socket, &came));
        }
    });
    (port, came)
}

fn echo_on(number: usize, mut socket: TcpStream, came: &Mutex<Vec<(usize, String, String)>>) {
    let (mut read, mut chunk) = (Vec::new(), [0; 65536]);
    while let Ok(length @ 1..) = socket.read(&mut chunk) {
        read.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8(read.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        if body.len() < header("content-length").unwrap().parse::<usize>().unwrap() {
            continue;
        }
        read.clear();
        let body: Value = serde_json::from_str(body).unwrap();
        let message = body["messages"][0]["content"].as_str().unwrap().to_owned();
        came.lock().unwrap().push((number, header("authorization").unwrap(), message.clone()));
        let answer = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{ "index": 0, "message": { "role": "assistant", "content": message }, "finish_reason": "stop" }], "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 } });
        if socket.write_all(whole(200, &answer.to_string()).as_bytes()).is_err() {
            return;
        }
    }
}

/// What an upstream is shown for a tenant: every other one has a credential of its own.
fn credential(n: usize) -> String {
    if n.is_multiple_of(2) {
        "Bearer sk-shared-credential".to_owned()
    } else {
        format!("Bearer sk-credential-of-t{n}")
    }
}

/// A gateway for so many tenants before an upstream that repeats what they say, with TLS.
fn echoing(count: usize, port: u16, [cert, key]: [&str; 2]) -> Gateway {
    let tenants = many(count, |n| {
        let own = match credential(n).strip_prefix("Bearer ") {
            Some(bearer) if n % 2 == 1 => format!("    credentials: {{ echo: {{ bearer: {bearer} }} }}\n"),
            _ => String::new(),
        };
        format!("    models: [echoed]\n{own}")
    });
    let upstream = format!(
        "  echo: {{ kind: openai, url: \"http://127.0.0.1:{port}/v1\", auth: {{ bearer: sk-shared-credential }} }}\n"
    );
    let files = [("cert.crt", cert), ("key.key", key)];
    Gateway::with_all(&tenants, &|_| upstream.clone(), "  echoed: { upstream: echo }\n", &files).watched()
}

/// That of so many requests each went out with its tenant's credential, and no connection bore two.
fn bore_their_own(came: &Mutex<Vec<(usize, String, String)>>, requests: usize) {
    let came = came.lock().unwrap();
    assert_eq!(came.len(), requests);
    let mut of_connection: BTreeMap<usize, &str> = BTreeMap::new();
    for (number, shown, message) in came.iter() {
        let n = message.split(' ').next().unwrap()[1..].parse().unwrap();
        assert_eq!(*shown, credential(n), "{message}");
        assert_eq!(of_connection.entry(*number).or_insert(shown), shown, "connection {number}");
    }
    // They were used again, or it says nothing.
    assert!(of_connection.len() < requests / 2, "{} connections", of_connection.len());
}

/// So many threads, each with a connection of its own on which all tenants take turns.
const THREADS: usize = 5;
/// Requests of a thread.
const EACH: usize = 200;

fn on_threads(act: impl Fn(usize) + Sync) {
    let act = &act;
    std::thread::scope(|scope| {
        for seed in 1..=THREADS {
            scope.spawn(move || act(seed));
        }
    });
}

/// Tenants that take turns on a connection of HTTP/1.
fn take_turns(seed: usize, count: usize, socket: &mut (impl Read + Write)) {
    let mut state = seed;
    for round in 0..EACH {
        let n = next(&mut state, count);
        let message = format!("t{n} says {seed} {round}");
        let body = chat(&message, "").replace("gpt-5", "echoed");
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
            key(n),
            body.len()
        );
        socket.write_all((head + &body).as_bytes()).unwrap();
        let (mut answer, mut chunk) = (String::new(), [0; 4096]);
        while !answer.ends_with("}}") {
            let length = socket.read(&mut chunk).unwrap();
            assert!(length > 0, "{answer}");
            answer.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("\"{message}\"")), "{answer}");
    }
}

/// Tenants whose streams on a connection of HTTP/2 are open at once, and whose frames stand between each other's.
fn mingle(seed: usize, count: usize, mut client: Client) {
    const AT_ONCE: usize = 20;
    client.send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()));
    let mut state = seed;
    for round in 0..EACH / AT_ONCE {
        let streams: Vec<(u32, usize, String)> = (0..AT_ONCE)
            .map(|at| {
                let n = next(&mut state, count);
                let stream = u32::try_from((round * AT_ONCE + at) * 2 + 1).unwrap();
                (stream, n, format!("t{n} says {seed} {stream}"))
            })
            .collect();
        for (stream, n, _) in &streams {
            let head = head_of(&key(*n), "POST", "/v1/chat/completions");
            assert!(client.send(&frame(HEADERS, END_HEADERS, *stream, &head)));
        }
        let body = |message: &str| chat(message, "").replace("gpt-5", "echoed").into_bytes();
        for (stream, _, message) in &streams {
            let body = body(message);
            assert!(client.send(&frame(DATA, 0, *stream, &body[..20])));
        }
        // What began first ends last.
        for (stream, _, message) in streams.iter().rev() {
            let body = body(message);
            assert!(client.send(&frame(DATA, END_STREAM, *stream, &body[20..])));
        }
        let done = (round + 1) * AT_ONCE;
        let heard = client.hear_until(Duration::from_secs(60), |heard| heard.complete.len() == done);
        for (stream, _, message) in &streams {
            assert_eq!(heard.status(*stream), Some(200), "{stream} {heard:?}");
            let told: Value = serde_json::from_str(&heard.text(*stream)).unwrap();
            assert_eq!(told["choices"][0]["message"]["content"], message.as_str());
        }
    }
}

/// T7: whatever carries them, requests of tenants that take turns on a connection go out with their own credentials.
#[test]
fn t7_a_connection_bears_one_credential_and_every_tenant_its_own() {
    const COUNT: usize = 20;
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, private) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let (port, came) = echo();
    let gateway = echoing(COUNT, port, [&cert, &private]);
    on_threads(|seed| take_turns(seed, COUNT, &mut gateway.connect()));
    bore_their_own(&came, THREADS * EACH);
    on_threads(|seed| mingle(seed, COUNT, Client::connect(gateway.port, &[])));
    bore_their_own(&came, 2 * THREADS * EACH);
    on_threads(|seed| take_turns(seed, COUNT, &mut tls::connect(gateway.tls, &cert, b"http/1.1").1));
    bore_their_own(&came, 3 * THREADS * EACH);
    on_threads(|seed| mingle(seed, COUNT, Client::secure(gateway.tls, &cert)));
    bore_their_own(&came, 4 * THREADS * EACH);
}

/// T6: what is known of tokens is known of each by itself: fifty tenants' at random, good ones and others.
#[test]
fn t6_tokens_of_fifty_tenants_are_each_its_tenants_however_often_they_are_known_again() {
    const COUNT: usize = 50;
    const ROUNDS: usize = 150;
    let signer = Signer::of("ES256");
    let stranger = Signer::of("ES256");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    // They differ in what names the tenant, and in nothing else.
    let token = |signer: &Signer, n: usize, expires: u64| {
        let claims = json!({ "iss": "https://idp.example", "aud": "tollgate", "exp": expires, "iat": now - 60, "sub": "agent", "org": format!("t{n}") });
        signer.token(&json!({ "alg": "ES256", "kid": "k" }).to_string(), &claims.to_string())
    };
    let good: Vec<String> = (0..COUNT).map(|n| token(&signer, n, now + 3600)).collect();
    let tenants = many(COUNT, |n| format!("    models: [m-t{n}]\n    cache: 5m\n"));
    let models: String = (0..COUNT).map(|n| format!("  m-t{n}: {{ upstream: mock }}\n")).collect();
    let identity = "identity:\n  jwt: [{ issuer: \"https://idp.example\", audience: tollgate, jwks: { file: jwks.json }, tenant: claims.org }]\n";
    let jwks = json!({ "keys": [signer.jwk("k")] }).to_string();
    let gateway =
        Gateway::with_all(&tenants, &|_| String::new(), &(models + identity), &[("jwks.json", &jwks)])
            .watched();
    let asked = Mutex::new(vec![0; COUNT]);
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let (gateway, good, asked, token) = (&gateway, &good, &asked, &token);
            let (signer, stranger) = (&signer, &stranger);
            scope.spawn(move || {
                let mut state = seed;
                for _ in 0..ROUNDS {
                    let n = next(&mut state, COUNT);
                    let (shown, is_good) = match next(&mut state, 6) {
                        0 => (token(stranger, n, now + 3600), false),
                        1 => (token(signer, n, now - 3600), false),
                        // The claims of one, signed for another.
                        2 => {
                            let (mine, other) = (&good[n], &good[(n + 1) % COUNT]);
                            let head = mine.rsplit_once('.').unwrap().0;
                            (format!("{head}.{}", other.rsplit_once('.').unwrap().1), false)
                        }
                        3 => (key(n), true),
                        _ => (good[n].clone(), true),
                    };
                    let answer = gateway.get("/v1/models", &shown);
                    if is_good {
                        let told = answer.json();
                        let names: Vec<&Value> =
                            told["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
                        assert_eq!(names, [&format!("m-t{n}")], "{told}");
                        asked.lock().unwrap()[n] += 1;
                    } else {
                        assert_eq!(answer.status, 401, "{answer:?}");
                    }
                }
            });
        }
    });
    for (n, count) in asked.into_inner().unwrap().into_iter().enumerate() {
        assert_eq!(gateway.lines("log", &format!("t{n}"), count).len(), count, "t{n}");
    }
}

/// What clients say of themselves, in ways that others believe.
pub(crate) const SAID: [&str; 22] = [
    "X-Tenant-Id: globex",
    "x_tenant_id: globex",
    "X-Tollgate-Tenant: globex",
    "X-Forwarded-For: 203.0.113.7",
    "X-Forwarded-Host: other",
    "X-Forwarded-Proto: https",
    "Forwarded: for=203.0.113.9;host=other",
    "X-Real-IP: 203.0.113.8",
    "X-Original-URL: /admin",
    "X-Rewrite-URL: /admin",
    "X-HTTP-Method-Override: DELETE",
    "X-Ai-Eg-Subject: globex",
    "Connection: x-api-key, authorization",
    "Cookie: tenant=globex",
    "OpenAI-Organization: globex",
    "Via: 1.1 x",
    "X-Client-Cert: globex",
    "X-Forwarded-Client-Cert: URI=spiffe://example.org/ns/globex/sa/x",
    "Proxy-Authorization: Bearer x",
    "X-Tenant-Id: a",
    "TE: trailers",
    "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
];

#[test]
fn t1_what_a_client_says_of_itself_changes_nothing_on_any_way() {
    let billing = Upstream::acting(|_, socket| socket.write_all(whole(200, "{}").as_bytes()).is_ok());
    let yaml = |mock: u16| {
        let port = billing.port;
        format!(
            "  crm: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp\" }}\n  billing: {{ kind: http, url: \"http://127.0.0.1:{port}/api\", operations: {{ refund: \"POST /refunds\" }} }}\n  docs: {{ kind: qdrant, url: \"http://127.0.0.1:{port}\", scope: field, tenant_field: tenant }}\n"
        )
    };
    let tenants = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [\"*\"]
    tools: [{ allow: \"*\" }]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: []
";
    let gateway = Gateway::with_mock(tenants, yaml).watched();
    let all: String = SAID.iter().map(|header| format!("{header}\r\n")).collect();
    let user = json!([{ "role": "user", "content": "hi" }]);
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "crm__get_weather", "arguments": { "city": "Bern" } } });
    let ask = |path: &str, body: &Value| {
        let body = body.to_string();
        // `Connection` names headers beside `close`: it stands among what is said.
        gateway.raw(&format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\n{all}content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let asked: [(&str, Value); 6] = [
        ("/v1/chat/completions", json!({ "model": "gpt-5", "messages": user })),
        ("/v1/embeddings", json!({ "model": "gpt-5", "input": "hi" })),
        ("/v1/responses", json!({ "model": "gpt-5", "input": "hi" })),
        ("/v1/messages", json!({ "model": "claude", "max_tokens": 9, "messages": user })),
        ("/tools/billing/refunds", json!({ "amount": 1 })),
        ("/tools/docs/collections/c/points/count", json!({})),
    ];
    for (path, body) in &asked {
        let told = ask(path, body);
        // What the upstream of the store says is no answer of one.
        assert!(told.status == 200 || path.contains("docs") && told.status == 502, "{path} {told:?}");
    }
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    let session = ask_mcp(&gateway, "/mcp", ACME, &all, &initialize.to_string());
    let session = session.header("mcp-session-id").unwrap().to_owned();
    let called =
        ask_mcp(&gateway, "/mcp", ACME, &format!("{all}mcp-session-id: {session}\r\n"), &call.to_string());
    assert!(called.status == 200 && called.body.contains("in Bern"), "{called:?}");
    // No upstream hears of it.
    let heads = |text: &str| text.to_ascii_lowercase();
    let mut seen: Vec<String> = gateway
        .seen()
        .as_array()
        .unwrap()
        .iter()
        .map(|request| {
            let headers = request["headers"].as_array().unwrap().iter();
            headers
                .map(|header| format!("\n{}: {}", header[0].as_str().unwrap(), header[1].as_str().unwrap()))
                .collect()
        })
        .collect();
    assert!(seen.len() >= 5, "{seen:?}");
    assert_eq!(billing.requests(), 2);
    seen.push(billing.text().replace('\r', ""));
    for text in seen.iter().map(|text| heads(text)) {
        for header in SAID {
            let (name, value) = header.split_once(": ").unwrap();
            let (name, value) = (name.to_ascii_lowercase(), value.to_ascii_lowercase());
            assert!(!text.contains(&format!("\n{name}:")), "{name}: {text}");
            assert!(
                ["a", "x", "trailers", "1.1 x"].contains(&&*value) || !text.contains(&value),
                "{value}: {text}"
            );
        }
    }
    // All of it was acme's, and nothing another's.
    assert_eq!(gateway.lines("log", "acme", asked.len() + 2).len(), asked.len() + 2);
    assert!(gateway.lines("log", "globex", 0).is_empty());
}

/// T11: keys that are no keys are in nothing that is written: log, audit, ledger, metrics, standard error.
#[test]
fn t11_no_key_that_is_shown_is_written_anywhere() {
    let mut gateway = Gateway::with(TENANTS, "").watched();
    let hostile = [
        "marker'--".to_owned(),
        "marker\" OR 1=1; DROP TABLE spent; --".to_owned(),
        "marker%0d%0aX: y".to_owned(),
        "marker\u{e9}\u{202e}\u{2028}".to_owned(),
        format!("marker{}", "k".repeat(7000)),
        format!("marker{}", "k".repeat(31_000)),
    ];
    let ways = |key: &str| {
        [
            format!("authorization: Bearer {key}\r\n"),
            format!("x-api-key: {key}\r\n"),
            format!("x-api-key: {ACME}\r\nauthorization: Bearer {key}\r\n"),
        ]
    };
    let body = chat("!call delete_x {}", &tools(&["delete_x"]));
    let ask = |credential: &str| {
        gateway.raw(&format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{credential}content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    };
    assert_eq!(gateway.chat(ACME, &body).status, 200);
    for credential in hostile.iter().flat_map(|key| ways(key)) {
        let told = ask(&credential);
        assert_eq!(told.status, 401, "{credential} {told:?}");
        assert!(!format!("{told:?}").contains("marker"), "{told:?}");
    }
    // Of a megabyte, and of what cannot stand in a header, nothing is looked at; the refusal says nothing of it.
    for (key, status) in [
        ("k".repeat(1 << 20), 431),
        ("a\0b".to_owned(), 400),
        ("a\rb".to_owned(), 400),
        ("a\nb".to_owned(), 400),
    ] {
        let request = format!(
            "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer marker{key}\r\n\r\n"
        );
        let told = crate::fault::talk(gateway.port, request.as_bytes(), Duration::from_secs(10));
        assert_eq!(crate::fault::statuses(&told), [status], "{} bytes", request.len());
        assert!(!told.contains("marker"), "{told}");
    }
    assert_eq!(gateway.chat(ACME, &body).status, 200);
    gateway.lines("log", "acme", 2);
    let metrics = gateway.admin_get("/metrics").body;
    let status = gateway.admin_get("/admin/status").body;
    // At its end the ledger is written too.
    gateway.stop();
    let mut texts = written(gateway.dir.path());
    for part in ["data/log/", "data/audit/", "serve.err", ".sqlite"] {
        let found = texts.iter().any(|(name, text)| name.contains(part) && !text.is_empty());
        assert!(found, "{part} is not among {:?}", texts.iter().map(|(name, _)| name).collect::<Vec<_>>());
    }
    texts.extend([("metrics".to_owned(), metrics), ("status".to_owned(), status)]);
    for (name, text) in texts {
        assert!(!text.contains("marker"), "{name}: {text}");
    }
}

/// T9: no member of a request, in no dialect, says where it goes.
#[test]
fn t9_no_member_of_a_request_leads_anywhere() {
    let trap = Upstream::answering();
    let gateway = Gateway::with(&TENANTS.replace("fast]", "fast, claude]"), "").watched();
    let user = json!([{ "role": "user", "content": "hi" }]);
    let url = format!("http://127.0.0.1:{}/v1", trap.port);
    let dialects = [
        ("/v1/chat/completions", json!({ "model": "gpt-5", "messages": user })),
        ("/v1/embeddings", json!({ "model": "gpt-5", "input": "hi" })),
        ("/v1/responses", json!({ "model": "gpt-5", "input": "hi" })),
        ("/v1/messages", json!({ "model": "claude", "max_tokens": 9, "messages": user })),
    ];
    let mut served = 0;
    for (path, body) in &dialects {
        for member in [
            "base_url",
            "api_base",
            "api_url",
            "endpoint",
            "url",
            "host",
            "proxy",
            "webhook",
            "callback_url",
            "model_url",
        ] {
            for value in [json!(url), json!({ "url": url }), json!([url])] {
                let mut body = body.clone();
                body[member] = value;
                let before = bodies(&gateway).len();
                let status = gateway.post(path, ACME, &body.to_string()).status;
                assert!([200, 400].contains(&status), "{path} {member} {status}");
                // Either the upstream that the operator named was asked, or nobody.
                let asked = bodies(&gateway).len() - before;
                assert_eq!(asked, usize::from(status == 200), "{path} {member}");
                served += asked;
            }
        }
    }
    for headers in ["x-base-url", "x-upstream", "x-llm-base-url", "x-portkey-custom-host", "x-forwarded-host"]
    {
        let body = chat("hi", "");
        let told = gateway.raw(&format!("POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nx-api-key: {ACME}\r\n{headers}: {url}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", trap.port, body.len()));
        assert_eq!(told.status, 200, "{told:?}");
    }
    assert!(served > 0);
    assert_eq!(trap.connections.load(std::sync::atomic::Ordering::SeqCst), 0, "{}", trap.text());
}
