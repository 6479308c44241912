//! Several gateways as one over a real Redis, which is killed, stopped and started again.

use crate::{
    denials,
    support::{ACME, GLOBEX, Gateway, chat, free_port, try_get},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longer than a busy machine takes: what is tested is who is let in.
const PATIENT: &str = "5s";
/// As it is where nothing is said.
const USUAL: &str = "3ms";

/// A redis-server of the test's own.
struct Redis {
    port: u16,
    process: Option<Child>,
    dir: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        let mut redis = Self { port: free_port(), process: None, dir: tempfile::tempdir().unwrap() };
        redis.again();
        redis
    }

    fn again(&mut self) {
        let port = self.port.to_string();
        self.run(&["--port", &port]);
    }

    fn run(&mut self, args: &[&str]) {
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(self.dir.path())
            .args(args)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server is needed (apt-get install redis-server): {error}"))
            .unwrap();
        self.process = Some(process);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(10), "redis-server does not start");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Says something to it, as at its terminal, and reads the first line of what it answers.
    fn say(&self, command: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// All that it answers.
    fn dump(&self, command: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut all = String::new();
        connection.read_to_string(&mut all).unwrap();
        all
    }

    fn signal(&self, name: &str) {
        let pid = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// A gateway that shares the limits of acme; `state` is what it is told of Redis.
fn one(state: &str, limits: &str) -> Gateway {
    let tenants = format!(
        "\n  acme:\n    keys: [{{ id: prod, sha256: @ACME@ }}]\n    models: [\"gpt-*\", claude]\n    tools: [{{ allow: send, limit: 2/hour }}, {{ allow: \"*\" }}]\n{limits}"
    );
    Gateway::with(&tenants, &format!("shared_state: {{ {state} }}\n"))
}

/// Three of them.
fn three(redis: &Redis, wait: &str, limits: &str) -> Vec<Gateway> {
    let state = format!("redis: \"redis://127.0.0.1:{}\", wait: {wait}", redis.port);
    let start = || one(&state, limits);
    let gateways = vec![start(), start(), start()];
    for gateway in &gateways {
        sees(gateway, "joined", 3);
    }
    gateways
}

/// Waits until a gateway says so of the others.
#[track_caller]
fn sees(gateway: &Gateway, state: &str, count: u64) {
    let begin = Instant::now();
    let wanted = serde_json::json!({ "state": state, "gateways": count });
    loop {
        let said =
            try_get(gateway.admin, "/admin/status").map(|answer| answer.json()["shared_state"].clone());
        if said.as_ref() == Some(&wanted) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{said:?} is not {wanted}: {}", gateway.stderr());
        thread::sleep(Duration::from_millis(50));
    }
}

/// A request that is answered and does not end, once it is let in.
fn held(gateway: &Gateway) -> TcpStream {
    let slow = r#"{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"!stall 1"}]}"#;
    let mut stream = gateway.begin("/v1/chat/completions", ACME, slow);
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    stream
}

/// Asks each gateway so often at once, from several clients, and counts who is let in.
fn burst(gateways: &[Gateway], each: usize, body: &str) -> usize {
    const CLIENTS: usize = 4;
    thread::scope(|scope| {
        let client = |gateway: &Gateway| {
            (0..each / CLIENTS).filter(|_| gateway.chat(ACME, body).status == 200).count()
        };
        let clients: Vec<_> = gateways
            .iter()
            .flat_map(|gateway| (0..CLIENTS).map(move |_| gateway))
            .map(|gateway| scope.spawn(move || client(gateway)))
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

#[test]
fn three_gateways_let_in_what_one_does() {
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    limits: { requests: 120/day }\n");
    assert_eq!(burst(&gateways, 80, &chat("hi", "")), 120);
    let refused = gateways[1].chat(ACME, &chat("hi", ""));
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"), "{refused:?}");
}

/// While a new configuration rolls out, gateways differ: each goes by its own limit, and all that was let in counts under both.
#[test]
fn a_changed_limit_counts_what_was_let_in_under_the_old_one() {
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    limits: { requests: 60/day }\n");
    let change = |gateway: &Gateway, from: &str, to: &str| {
        let file = gateway.dir.path().join("tollgate.yaml");
        let old = std::fs::read_to_string(&file).unwrap();
        assert!(old.contains(from), "{old}");
        std::fs::write(&file, old.replace(from, to)).unwrap();
        assert_eq!(gateway.reload().status, 200);
    };
    let body = chat("hi", "");
    assert_eq!(burst(&gateways, 12, &body), 36);
    change(&gateways[0], "60/day", "90/day");
    assert_eq!(burst(&gateways[1..], 40, &body), 24, "the old limit holds where it is written");
    assert_eq!(burst(&gateways[..1], 40, &body), 30, "the new one has what is left beyond the old");
    gateways[1..].iter().for_each(|gateway| change(gateway, "60/day", "90/day"));
    assert_eq!(burst(&gateways, 8, &body), 0);
    change(&gateways[2], "90/day", "100/day");
    assert_eq!(burst(&gateways, 40, &body), 10, "and so at each step");
}

#[test]
fn tokens_money_and_rules_are_all_gateways() {
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    limits: { tokens: 2000/day, output_estimate: 100 }\n");
    // Each uses less than it holds: whoever is refused for what others hold gets through later.
    let small = chat("!usage 20 60", "");
    let mut let_in = burst(&gateways, 8, &small);
    while gateways[let_in % 3].chat(ACME, &small).status == 200 {
        let_in += 1;
    }
    assert_eq!(let_in, 2000 / 80);
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    budget: 0.01 USD/day\n");
    // Ten dollars a million tokens of output.
    assert_eq!(gateways[0].chat(ACME, &chat("!usage 10 1100", "")).status, 200);
    gateways[1].wait("a budget that all know to be spent", |gateway| {
        gateway.chat(ACME, &chat("hi", "")).code() == "insufficient_quota"
    });
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "");
    let call = chat("!call send {}", r#","tools":[{"type":"function","function":{"name":"send"}}]"#);
    let called = |gateway: &Gateway| {
        let answer = gateway.chat(ACME, &call);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body.contains("tool_calls\":[")
    };
    // A gateway hears of the others' calls with its next request at the latest.
    assert_eq!([&gateways[0], &gateways[1]].map(called), [true, true]);
    gateways.iter().for_each(|gateway| assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200));
    assert_eq!([&gateways[0], &gateways[1], &gateways[2]].map(called), [false; 3]);
}

/// What is left without a call that failed is what is left of all gateways' together.
#[test]
fn a_failed_call_tells_what_all_gateways_leave_without_it() {
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    limits: { tokens: 1000/day, output_estimate: 500 }\n");
    let left = |answer: &crate::support::Answer| {
        answer.header("x-ratelimit-remaining-tokens").unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(gateways[0].chat(ACME, &chat("!usage 190 10", "")).status, 200);
    // It hears of what the others used when it asks.
    gateways[1].wait("what another used", |gateway| {
        let failed = gateway.chat(ACME, &chat("!status 400", ""));
        assert_eq!(failed.status, 400, "{failed:?}");
        (799..=801).contains(&left(&failed))
    });
    // One that a limit refuses is told what is left, too.
    let all = gateways[2].chat(ACME, &chat("!usage 900 100", ""));
    assert_eq!(all.status, 200, "{all:?}");
    gateways[1].wait("a limit that is used up", |gateway| {
        let refused = gateway.chat(ACME, &chat("!status 400", ""));
        refused.status == 429 && left(&refused) == 0
    });
}

#[test]
fn places_are_all_gateways_and_come_back() {
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    limits: { concurrency: 2 }\n");
    let held = [held(&gateways[0]), held(&gateways[1])];
    let refused = gateways[2].chat(ACME, &chat("hi", ""));
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limit_exceeded"));
    drop(held);
    gateways[2].wait("places that come back", |gateway| gateway.chat(ACME, &chat("hi", "")).status == 200);
    // What one client does one after the other never meets its own place.
    for _ in 0..20 {
        assert_eq!(gateways[0].chat(ACME, &chat("hi", "")).status, 200);
    }
}

#[test]
fn without_redis_each_goes_on_with_its_part_and_joins_again() {
    let mut redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    limits: { requests: 90/day }\n");
    redis.kill();
    for gateway in &gateways {
        sees(gateway, "alone", 3);
    }
    assert_eq!(burst(&gateways, 60, &chat("hi", "")), 90);
    redis.again();
    for gateway in &gateways {
        sees(gateway, "joined", 3);
    }
    // What was used alone counts, though Redis forgot the rest.
    for gateway in &gateways {
        assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 429);
    }
}

#[test]
fn a_redis_that_stands_still_stops_nobody() {
    let redis = Redis::start();
    let gateways = three(&redis, USUAL, "    limits: { requests: 90/day }\n");
    redis.signal("STOP");
    let let_in = burst(&gateways, 60, &chat("hi", ""));
    assert_eq!(let_in, 90, "a third each");
    redis.signal("CONT");
    for gateway in &gateways {
        sees(gateway, "joined", 3);
    }
    let metrics = gateways[0].admin_get("/metrics").body;
    assert!(metrics.contains("\ntollgate_shared_state_up 1\n"), "{metrics}");
}

#[test]
fn a_gateway_that_dies_gives_back_what_it_held() {
    let redis = Redis::start();
    let mut gateways = three(&redis, PATIENT, "    limits: { concurrency: 1 }\n");
    let held = held(&gateways[0]);
    assert_eq!(gateways[1].chat(ACME, &chat("hi", "")).status, 429);
    let mut dead = gateways.remove(0);
    dead.signal("KILL");
    dead.exit_status();
    let begin = Instant::now();
    while gateways[0].chat(ACME, &chat("hi", "")).status != 200 {
        assert!(begin.elapsed() < Duration::from_secs(30), "its place does not come back");
        thread::sleep(Duration::from_millis(200));
    }
    sees(&gateways[0], "joined", 2);
    drop(held);
}

#[test]
fn a_redis_that_is_flushed_or_written_to_by_others_heals() {
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    limits: { requests: 90/day }\n    budget: 0.01 USD/day\n");
    // Ten dollars a million tokens of output: 0.0055 each.
    let dear = chat("!usage 10 550", "");
    assert_eq!(gateways[0].chat(ACME, &dear).status, 200);
    assert_eq!(redis.say("FLUSHALL"), "+OK");
    assert_eq!(gateways[1].chat(ACME, &dear).status, 200);
    for gateway in &gateways[..2] {
        gateway.wait("a budget that is spent, whatever Redis forgot", |gateway| {
            gateway.chat(ACME, &chat("hi", "")).code() == "insufficient_quota"
        });
    }
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    limits: { requests: 90/day }\n");
    assert_eq!(redis.say("FLUSHALL"), "+OK");
    for key in ["{acme}:requests", "gateways"] {
        assert_eq!(redis.say(&format!("SET tollgate:{key} nonsense")), "+OK");
    }
    assert_eq!(burst(&gateways, 12, &chat("hi", "")), 36);
    assert_eq!(redis.say("HSET tollgate:{acme}:requests u nonsense t -1 hx nan 7 inf"), ":2");
    for gateway in &gateways {
        sees(gateway, "joined", 3);
        assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200);
    }
}

#[test]
fn while_redis_is_full_each_has_its_part() {
    let redis = Redis::start();
    let gateways = three(&redis, PATIENT, "    limits: { requests: 90/day }\n");
    assert_eq!(burst(&gateways, 12, &chat("hi", "")), 36);
    assert_eq!(redis.say("CONFIG SET maxmemory 1"), "+OK");
    assert_eq!(burst(&gateways, 60, &chat("hi", "")), 54);
    for gateway in &gateways {
        sees(gateway, "alone", 3);
    }
    assert_eq!(redis.say("CONFIG SET maxmemory 0"), "+OK");
    // Each tells what it let in as it joins again: until the last one has, the others do not know of it.
    for gateway in &gateways {
        sees(gateway, "joined", 3);
    }
    for gateway in &gateways {
        assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 429);
    }
}

#[test]
fn what_is_no_redis_stops_nobody() {
    for answer in
        ["-ERR what?\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "*3\r\n:1\r\n", "$99999999999\r\n", ""]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut connection = connection;
                    let mut asked = [0; 4096];
                    while connection.read(&mut asked).is_ok_and(|read| read > 0) {
                        if answer.is_empty() || connection.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let gateway =
            one(&format!("redis: \"redis://127.0.0.1:{port}\""), "    limits: { requests: 8/day }\n");
        assert_eq!(burst(std::slice::from_ref(&gateway), 16, &chat("hi", "")), 8, "{answer:?}");
        sees(&gateway, "alone", 1);
    }
}

#[test]
fn a_password_is_given_and_told_nobody() {
    let redis = Redis::start();
    assert_eq!(redis.say("CONFIG SET requirepass open-sesame"), "+OK");
    let state = |user: &str| format!("redis: \"redis://{user}127.0.0.1:{}\"", redis.port);
    let limits = "    limits: { requests: 8/day }\n";
    let gateway = one(&state(":open-sesame@"), limits);
    sees(&gateway, "joined", 1);
    for wrong in [":close-sesame@", ""] {
        let gateway = one(&state(wrong), limits);
        sees(&gateway, "alone", 1);
        assert_eq!(burst(std::slice::from_ref(&gateway), 16, &chat("hi", "")), 8);
        assert!(!gateway.stderr().contains("sesame"), "{}", gateway.stderr());
    }
}

#[test]
fn over_tls_a_redis_is_known_by_its_certificate() {
    let mut redis = Redis { port: free_port(), process: None, dir: tempfile::tempdir().unwrap() };
    let write = |name: &str, pem: String| {
        let path = redis.dir.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) =
        (write("cert.pem", pair.cert.pem()), write("key.pem", pair.signing_key.serialize_pem()));
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let stranger = write("stranger.pem", stranger.cert.pem());
    let port = redis.port.to_string();
    let tls = ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-auth-clients", "no"];
    redis.run(&[&["--port", "0", "--tls-port", &port], tls.as_slice()].concat());
    let gateway = |ca: &str| {
        let state = format!("redis: \"rediss://localhost:{port}\", wait: {PATIENT}{ca}");
        one(&state, "    limits: { requests: 8/day }\n")
    };
    let trusting = gateway(&format!(", ca: \"{cert}\""));
    sees(&trusting, "joined", 1);
    assert_eq!(burst(std::slice::from_ref(&trusting), 16, &chat("hi", "")), 8);
    for ca in ["", &format!(", ca: \"{stranger}\"")] {
        let gateway = gateway(ca);
        sees(&gateway, "alone", 1);
        gateway.wait("why it is alone", |gateway| gateway.stderr().contains("is gone"));
        sees(&gateway, "alone", 1);
    }
}

#[test]
fn fleets_with_prefixes_of_their_own_share_a_redis_and_no_limit() {
    let redis = Redis::start();
    let fleet = |prefix: &str| {
        let state = format!("redis: \"redis://127.0.0.1:{}\", prefix: {prefix}, wait: {PATIENT}", redis.port);
        [one(&state, "    limits: { requests: 20/day }\n"), one(&state, "    limits: { requests: 20/day }\n")]
    };
    let fleets = [fleet("blue"), fleet("green")];
    for gateways in &fleets {
        gateways.iter().for_each(|gateway| sees(gateway, "joined", 2));
        assert_eq!(burst(gateways, 20, &chat("hi", "")), 20);
    }
}

/// Two that have a secret in common, or not.
fn two(redis: &Redis, secrets: [&str; 2]) -> [Gateway; 2] {
    secrets.map(|secret| {
        let tenants = "\n  acme:\n    keys: [{ id: prod, sha256: @ACME@ }]\n    models: [gpt-5]\n    tools: [{ ask: refund, within: 60s }]\n  globex:\n    keys: [{ id: prod, sha256: @GLOBEX@ }]\n    models: [gpt-5]\n    tools: []\n";
        let state = format!("shared_state: {{ redis: \"redis://127.0.0.1:{}\", wait: {PATIENT} }}\n", redis.port);
        let gateway = Gateway::with(tenants, &format!("{state}records: {{ secret: {secret} }}\n"));
        gateway.wait("a gateway that joined", |gateway| {
            let status = try_get(gateway.admin, "/admin/status");
            status.is_some_and(|answer| answer.json()["shared_state"]["state"] == "joined")
        });
        gateway
    })
}

const SECRET: &str = "a-secret-that-all-gateways-of-the-fleet-have";

fn listed(gateway: &Gateway) -> Vec<serde_json::Value> {
    gateway.admin_get("/admin/approvals").json().as_array().unwrap().clone()
}

#[test]
fn a_call_that_waits_at_one_gateway_is_decided_at_another() {
    let redis = Redis::start();
    let [here, there] = two(&redis, [SECRET, SECRET]);
    for approve in [true, false] {
        let mail = format!("{approve}@acme.example");
        let call = chat(
            &format!("!call refund {{\"to\":\"{mail}\"}}"),
            r#","tools":[{"type":"function","function":{"name":"refund"}}]"#,
        );
        let answer = thread::scope(|scope| {
            let asked = scope.spawn(|| here.chat(ACME, &call));
            there.wait("a call that waits elsewhere", |there| listed(there).len() == 1);
            assert_eq!(listed(&here), listed(&there));
            let id = listed(&there)[0]["id"].as_str().unwrap().to_owned();
            let raw =
                redis.dump("HVALS tollgate:approvals") + &redis.dump(&format!("GET tollgate:approval:{id}"));
            assert!(raw.matches("EMAIL_ADDRESS").count() == 2 && !raw.contains(&mail), "{raw}");
            let path = format!("/admin/approvals/{id}");
            assert_eq!(there.admin_get(&path).json(), here.admin_get(&path).json());
            // Somebody who can write to Redis decides nothing.
            let forged = format!("{}{{\"approve\":{},\"by\":\"eve\"}}", "0".repeat(64), !approve);
            redis.say(&format!("HSET tollgate:decisions {id} '{}'", forged.replace('\'', "")));
            thread::sleep(Duration::from_millis(1200));
            assert_eq!(listed(&here).len(), 1, "it waits");
            redis.say(&format!("HDEL tollgate:decisions {id}"));
            let said = format!("{{\"approve\":{approve},\"by\":\"ada\"}}");
            let decided = there.admin_post(&path, &said);
            assert_eq!((decided.status, &decided.json()["approved"]), (200, &approve.into()), "{decided:?}");
            for gateway in [&here, &there] {
                let late = gateway.admin_post(&path, &format!("{{\"approve\":{},\"by\":\"eve\"}}", !approve));
                assert_eq!(late.status, 409, "{late:?}");
            }
            asked.join().unwrap()
        });
        assert_eq!(answer.body.contains("tool_calls\":["), approve, "{answer:?}");
        there.wait("a list without it", |there| listed(there).is_empty());
        let lines = here.lines("audit", "acme", 1);
        assert!(lines.iter().any(|line| line["by"] == "ada"), "{lines:?}");
    }
    assert_eq!(there.admin_post("/admin/approvals/apr_none", r#"{"approve":true,"by":"ada"}"#).status, 404);
}

#[test]
fn a_stored_response_is_its_tenants_at_every_gateway() {
    let redis = Redis::start();
    let [here, there] = two(&redis, [SECRET, SECRET]);
    let body = r#"{"model":"gpt-5","input":"hi"}"#;
    let id = here.post("/v1/responses", ACME, body).json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/responses/{id}");
    let asked = |gateway: &Gateway| {
        let seen = gateway.mock_get("/mock/requests").body;
        seen.matches(&id).count()
    };
    there.wait("a response that another gateway answered", |there| {
        there.get(&path, ACME);
        asked(there) > 0
    });
    let before = asked(&there);
    assert_eq!(there.get(&path, GLOBEX).status, 404);
    let previous = format!(r#"{{"model":"gpt-5","input":"hi","previous_response_id":"{id}"}}"#);
    assert_eq!(there.post("/v1/responses", GLOBEX, &previous).code(), "previous_response_not_found");
    // Another tenant's name for it is of no use.
    redis.say(&format!("COPY tollgate:{{acme}}:stored:{id} tollgate:{{globex}}:stored:{id}"));
    assert_eq!(there.get(&path, GLOBEX).status, 404);
    assert_eq!(asked(&there), before);
}

/// A call that was denied at one gateway brings no result at another; what that knows itself is not asked for.
#[test]
fn a_call_that_was_denied_at_one_gateway_is_denied_at_another() {
    let redis = Redis::start();
    let [here, there] = two(&redis, [SECRET, SECRET]);
    let path = "/v1/chat/completions";
    let denied = denials::asked(&here, (path, ""), r#"{"n":1}"#, false);
    let approved = denials::asked(&here, (path, ""), r#"{"n":2}"#, true);
    let bring = |gateway: &Gateway, id: &str, args: &str| {
        gateway.post(path, ACME, &denials::brings(path, (id, "refund", args))).status
    };
    let told = r#"{"n":1}"#;
    there.wait("a denial that another gateway tells of", |there| bring(there, &denied, told) == 403);
    assert_eq!(bring(&here, &denied, told), 403);
    assert_eq!(bring(&there, &approved, r#"{"n":2}"#), 200);
    // By its id alone: what else was let through where is not known.
    assert_eq!(bring(&there, "another", told), 200);
    there.wait("the refusal on record", |there| {
        there.lines("audit", "acme", 1).iter().any(|line| {
            let reason = line["reason"].as_str().unwrap_or_default();
            line["decision"] == "deny" && reason.contains("brings a result for a call that was denied")
        })
    });
}

#[test]
fn without_a_secret_in_common_limits_alone_are_shared() {
    let redis = Redis::start();
    let [here, there] = two(&redis, [SECRET, "another-secret-that-only-one-gateway-has"]);
    let id = here.post("/v1/responses", ACME, r#"{"model":"gpt-5","input":"hi"}"#).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(here.get(&format!("/v1/responses/{id}"), ACME).status, 200);
    assert_eq!(there.get(&format!("/v1/responses/{id}"), ACME).status, 404);
}
