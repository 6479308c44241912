//! Large bodies: read in turns of tenants, and all of them within the room that there is.

use crate::{
    before::{TENANTS, before, behind},
    fault::{Upstream, answer, whole},
    support::{ACME, GLOBEX, Gateway, read_answer},
};
use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

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

/// A tenant with thirty large bodies waits for itself: another's is read as soon as those that are being read are done.
#[test]
fn another_tenants_large_body_does_not_wait_for_all_of_them() {
    const MANY: usize = 30;
    let order: Arc<Mutex<Vec<bool>>> = Arc::default();
    let seen = Arc::clone(&order);
    let upstream = Upstream::reading(move |request, socket| {
        seen.lock().unwrap().push(request.contains("of-globex"));
        socket.write_all(answer("ok").as_bytes()).is_ok()
    });
    let gateway = before(&[("large", &upstream, "")], "limits: { bodies: 512MiB }\n").with_large_bodies();
    let (many, one) = (chat_of(2 << 20, "of-acme"), chat_of(140 << 10, "of-globex"));
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
