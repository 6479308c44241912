//! Large bodies: read in turns of tenants, and all of them within the room that there is.

use crate::{
    before::{TENANTS, before, behind},
    fault::{Upstream, answer, read_until_end, statuses, whole},
    support::{ACME, GLOBEX, Gateway, read_answer},
};
use std::{
    io::Write,
    net::TcpStream,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

const MODEL: &str = "  large: { upstream: large }\n";

/// A chat of many turns, of about so many bytes.
fn chat_of(bytes: usize, mark: &str) -> String {
    let turn = r#"{"role":"user","content":"a word"},"#;
    let turns = turn.repeat(bytes / turn.len());
    format!(r#"{{"model":"large","messages":[{turns}{{"role":"user","content":"{mark}"}}]}}"#)
}

fn wait_until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is read");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A tenant with many large bodies waits for itself: another's is read as soon as those that are being read are done.
#[test]
fn another_tenants_large_body_does_not_wait_for_all_of_them() {
    const MANY: usize = 16;
    let order: Arc<Mutex<Vec<bool>>> = Arc::default();
    let seen = Arc::clone(&order);
    let upstream = Upstream::reading(move |request, socket| {
        seen.lock().unwrap().push(request.contains("of-globex"));
        socket.write_all(answer("ok").as_bytes()).is_ok()
    });
    let gateway = before(&[("large", &upstream, "")], "limits: { bodies: 512MiB }\n").with_large_bodies();
    let (many, one) = (chat_of(1 << 20, "of-acme"), chat_of(140 << 10, "of-globex"));
    let mut sockets: Vec<TcpStream> = std::thread::scope(|scope| {
        let (gateway, many) = (&gateway, &many);
        let begun: Vec<_> = (0..MANY)
            .map(|_| scope.spawn(move || gateway.begin("/v1/chat/completions", ACME, many)))
            .collect();
        begun.into_iter().map(|socket| socket.join().unwrap()).collect()
    });
    // By then the others have come, and wait.
    wait_until(|| order.lock().unwrap().len() >= 3);
    let before = order.lock().unwrap().len();
    let told = gateway.chat(GLOBEX, &one);
    assert_eq!(told.status, 200, "{told:?}");
    let turns = order.lock().unwrap().iter().position(|is_globex| *is_globex).unwrap().saturating_sub(before);
    println!("{before} of {MANY} were read before, {turns} meanwhile");
    assert!(turns <= 1 + (MANY - before) / 4, "{turns} of {} that waited went first", MANY - before);
    for socket in sockets.drain(..) {
        assert_eq!(read_answer(socket).map(|told| told.status), Some(200));
    }
    gateway.in_flight(0);
}

/// What a client announces takes room on every path that reads a body, and is given back.
#[test]
fn bodies_of_tools_stores_and_files_take_room_as_others_do() {
    let upstream = Upstream::acting(|_, socket| socket.write_all(whole(200, "{}").as_bytes()).is_ok());
    let port = upstream.port;
    let yaml = format!(
        "{}  billing:\n    kind: http\n    url: http://127.0.0.1:{port}/api\n    operations: {{ refund: \"POST /refunds\" }}\n  docs: {{ kind: chroma, url: \"http://127.0.0.1:{port}\", scope: field, tenant_field: tenant }}\n",
        upstream.yaml("large", "")
    );
    let gateway = behind(&yaml, &["large"], "limits: { body: 1MiB, bodies: 2MiB }\n").with_large_bodies();
    let room = |path: &str, media: &str| {
        let begin = |length: usize| {
            let mut socket = gateway.connect();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\ncontent-type: {media}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).unwrap();
            socket
        };
        let large = 700 << 10;
        // Half of the room is the tenant's: beside one there is none for another.
        let mut held = begin(large);
        gateway.in_flight(1);
        gateway.wait("no room beside it", |_| {
            let mut other = begin(large);
            // What is refused may not be read to its end.
            drop(other.write_all(&vec![b' '; large]));
            read_answer(other).is_some_and(|told| told.status == 503 && told.code() == "overloaded")
        });
        held.write_all(&vec![b' '; large]).unwrap();
        let told = read_answer(held).unwrap();
        assert_ne!(told.status, 503, "{path}: {told:?}");
        gateway.in_flight(0);
        let mut next = begin(large);
        next.write_all(&vec![b' '; large]).unwrap();
        let told = read_answer(next).unwrap();
        assert_ne!(told.status, 503, "{path}: {told:?}");
        gateway.in_flight(0);
    };
    room("/v1/chat/completions", "application/json");
    room("/tools/billing/refunds", "application/json");
    room("/tools/docs/api/v2/tenants/t/databases/d/collections/c/query", "application/json");
    room("/v1/vector_stores", "application/json");
    room("/v1/files", "multipart/form-data; boundary=b");
}

/// Begins to write a point with a text of so many bytes.
fn write(gateway: &Gateway, id: usize, bytes: usize) -> TcpStream {
    let text = "x".repeat(bytes);
    let body = format!(r#"{{"points":[{{"id":{id},"vector":[1,2],"payload":{{"text":"{text}"}}}}]}}"#);
    let head = format!(
        "PUT /tools/docs/collections/c/points HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = gateway.connect();
    socket.write_all((head + &body).as_bytes()).unwrap();
    socket
}

/// A store's write goes on though its client left: so does what it takes of the room, and of its tenant's places.
#[test]
fn a_write_that_outlives_its_client_keeps_its_room_and_its_place() {
    let is_open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&is_open);
    let store = Upstream::acting(move |_, _| {
        wait_until(|| opened.load(Ordering::SeqCst));
        false
    });
    let answering = Upstream::answering();
    let yaml = format!(
        "{}  docs: {{ kind: qdrant, url: \"http://127.0.0.1:{}\", scope: field, tenant_field: tenant, retry: {{ attempts: 0 }} }}\n",
        answering.yaml("large", ""),
        store.port
    );
    let gateway = behind(&yaml, &["large"], "limits: { body: 1MiB, bodies: 2MiB }\n").with_large_bodies();
    let large = chat_of(700 << 10, "hi");
    assert_eq!(gateway.chat(ACME, &large).status, 200);
    let client = write(&gateway, 1, 700 << 10);
    wait_until(|| store.requests() == 1);
    drop(client);
    gateway.in_flight(0);
    for _ in 0..3 {
        let told = gateway.chat(ACME, &large);
        assert_eq!((told.status, told.code().as_str()), (503, "overloaded"), "{told:?}");
    }
    assert_eq!(gateway.chat(GLOBEX, &large).status, 200, "half of the room is another's");
    // It ends, and gives it back.
    is_open.store(true, Ordering::SeqCst);
    gateway.wait("its room to come back", |gateway| gateway.chat(ACME, &large).status == 200);
}

#[test]
fn writes_that_outlive_their_clients_are_as_many_as_their_tenant_has_places() {
    let store = Upstream::acting(|_, _| {
        std::thread::sleep(Duration::from_secs(60));
        false
    });
    let yaml = format!(
        "  docs: {{ kind: qdrant, url: \"http://127.0.0.1:{}\", scope: field, tenant_field: tenant, retry: {{ attempts: 0 }} }}\n",
        store.port
    );
    let tenants = TENANTS.replacen("models:", "limits: { concurrency: 3 }\n    models:", 1);
    let gateway = Gateway::with_all(&tenants, &|_| yaml.clone(), "", &[]);
    for id in 0..3 {
        let client = write(&gateway, id, 1);
        wait_until(|| store.requests() > id);
        drop(client);
        gateway.in_flight(0);
    }
    let told = read_answer(write(&gateway, 3, 1)).unwrap();
    assert_eq!((told.status, told.code().as_str()), (429, "rate_limit_exceeded"), "{told:?}");
    assert_eq!(store.requests(), 3);
}

/// Where nothing is said of bodies, the memory of the control group decides that the process was started in: as many
/// bodies as would end it are told to come again.
#[test]
fn the_memory_of_the_group_decides_where_nothing_is_configured() {
    let slow = Upstream::acting(|_, socket| {
        std::thread::sleep(Duration::from_millis(500));
        socket.write_all(answer("ok").as_bytes()).is_ok()
    });
    let yaml = slow.yaml("large", "");
    let mut gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), MODEL, &[]);
    let group = Path::new("/sys/fs/cgroup/memory").join(format!("tollgate-plain-{}", std::process::id()));
    if !gateway.restart_in(&group, 256 << 20) {
        println!("left out: no control group of version 1 can be made here");
        return;
    }
    let of = |content: &str, more: &str| {
        format!(r#"{{"model":"large","messages":[{{"role":"user","content":"{content}"}}]{more}}}"#)
    };
    let long = of(&"word ".repeat((9 << 20) / 5), "");
    let many = of("hi", &format!(r#","metadata":[{}1]"#, "1,".repeat(997_000)));
    for (body, served_min) in [(long, 1), (many, 4)] {
        let told: Vec<(u16, bool)> = std::thread::scope(|scope| {
            let (gateway, body) = (&gateway, &body);
            let ask = move |key: &str| {
                let mut socket = gateway.connect();
                let head = format!(
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                // Who is refused may not be read to the end.
                drop(socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes())));
                let (text, _) = read_until_end(&mut socket, Duration::from_secs(60));
                (statuses(&text).first().copied().unwrap_or(0), text.contains("retry-after"))
            };
            let asking: Vec<_> =
                (0..40).map(|n| scope.spawn(move || ask(if n % 2 == 0 { ACME } else { GLOBEX }))).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let count = |status| told.iter().filter(|(found, _)| *found == status).count();
        println!("{} served, {} KiB at most", count(200), gateway.proc_status("VmHWM"));
        assert_eq!(count(200) + count(503), 40, "{told:?}");
        assert!(count(200) >= served_min && count(503) >= 1, "{told:?}");
        assert!(told.iter().all(|(status, retry)| *status == 200 || *retry), "{told:?}");
        gateway.in_flight(0);
    }
    gateway.stop();
    drop(std::fs::remove_dir(&group));
}

/// A body of so many values.
type Made<'m> = dyn Fn(usize) -> String + 'm;

/// What was read of a body takes room where it is there until its request is answered: a small body of many values is no
/// way around the room that there is.
#[test]
fn values_that_are_kept_take_room_as_bodies_do() {
    let (release, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let upstream = Upstream::acting(move |_, socket| {
        // Until the test is over.
        let _ended = waits.lock().unwrap().recv();
        socket.write_all(whole(200, "{}").as_bytes()).is_ok()
    });
    let port = upstream.port;
    let yaml = format!(
        "  crm: {{ kind: mcp, url: \"http://127.0.0.1:{port}/mcp\" }}\n  billing:\n    kind: http\n    url: http://127.0.0.1:{port}/api\n    operations: {{ refund: \"POST /refunds\" }}\n  docs: {{ kind: chroma, url: \"http://127.0.0.1:{port}\", scope: field, tenant_field: tenant }}\n{}",
        upstream.yaml("large", "")
    );
    let more = format!("{MODEL}limits: {{ body: 1MiB, bodies: 8MiB }}\n");
    let gateway = Gateway::with_all(TENANTS, &|_| yaml.clone(), &more, &[]);
    let values = |count: usize| format!("[{}{{}}]", "{},".repeat(count - 1));
    let begin = |path: &str, headers: &str, body: &str| {
        let mut socket = gateway.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\ncontent-type: application/json\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket
    };
    let mcp = |count: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"crm__x","arguments":{{"a":{}}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#,
            values(count)
        )
    };
    let mcp_headers = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: crm__x\r\naccept: application/json, text/event-stream\r\n";
    let plain = |count: usize| format!(r#"{{"a":{}}}"#, values(count));
    let store = |count: usize| format!(r#"{{"query_embeddings":[[1]],"where":{{"a":{}}}}}"#, values(count));
    let query = "/tools/docs/api/v2/tenants/t/databases/d/collections/c/query";
    let checked: [(&str, &str, &Made<'_>); 3] =
        [("/mcp", mcp_headers, &mcp), ("/tools/billing/refunds", "", &plain), (query, "", &store)];
    for (path, headers, body) in checked {
        // Half of the room is the tenant's, and these take most of it, though they are written in a twentieth.
        let taking = body(60_000);
        assert!(taking.len() < 256 << 10);
        let mut both = [begin(path, headers, &taking), begin(path, headers, &taking)];
        let told: Vec<Vec<u16>> = std::thread::scope(|scope| {
            let reading = both
                .each_mut()
                .map(|socket| scope.spawn(|| statuses(&read_until_end(socket, Duration::from_secs(4)).0)));
            reading.into_iter().map(|read| read.join().unwrap()).collect()
        });
        // One waits for its upstream, whichever was read first.
        assert!(told == [vec![503], vec![]] || told == [vec![], vec![503]], "{path}: {told:?}");
        drop(both);
        gateway.in_flight(0);
        // What can never find room is not told to come again.
        let told = read_answer(begin(path, headers, &body(200_000))).unwrap();
        assert_eq!(told.status, 400, "{path}: {told:?}");
        assert!(told.body.contains("limits.bodies"), "{path}: {told:?}");
        gateway.in_flight(0);
    }
    drop(release);
}
