//! A connection that is parked between requests is answered as one that never is: at every split and pause.

use super::*;
use crate::server::{crowd::Crowd, http2_builder, paced};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, DuplexStream, duplex},
    time::Instant,
};

const NEVER: Duration = Duration::from_secs(3600);

/// Says what was asked: all that a body held, or nothing where it is not read.
async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let told = head.extensions.get::<crate::server::Malformed>().map(|malformed| malformed.status);
    let mut text = format!("{} {} {told:?} ", head.method, head.uri).into_bytes();
    match head.uri.path() {
        "/unread" => {}
        "/late" => {
            // Its answer waits for a client that does not read, and its body is read behind that.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(3)).await;
                drop(body.collect().await);
            });
            text.resize(1 << 16, b'x');
        }
        path => {
            if path == "/slow" {
                tokio::time::sleep(Duration::from_millis(2500)).await;
            }
            match body.collect().await {
                Ok(whole) => text.extend_from_slice(&whole.to_bytes()),
                Err(_) => text.extend_from_slice(b"BROKEN"),
            }
        }
    }
    Response::new(Full::new(text.into()))
}

/// A connection that is parked after so long, with room for so many bytes each way; and what ends it.
fn connect(
    park_after: Duration,
    room: usize,
) -> (DuplexStream, CancellationToken, tokio::task::JoinHandle<()>) {
    let (client, server) = duplex(room);
    let stop = CancellationToken::new();
    let mut http1 = http1::Builder::new();
    http1.header_read_timeout(park_after).max_buf_size(32 << 10);
    let listening = Listening {
        crowd: Crowd::default(),
        tls: None,
        header_bytes_max: 32 << 10,
        http1,
        http2: http2_builder(32 << 10),
        stalls: paced::Stalls::default(),
        stop: stop.clone(),
        service: answer,
    };
    let serving = tokio::spawn(async move {
        let stream: Box<dyn Stream> = Box::new(server);
        let Some(stream) = Begun::read(stream).await else { return };
        serve(
            stream,
            Client { is_secure: false, peer: None, header_bytes_max: 32 << 10 },
            &listening.crowd.place(),
            &listening,
        )
        .await;
    });
    (client, stop, serving)
}

/// All that is answered to these bytes, written with these pauses behind them, but for the date.
async fn answers(park_after: Duration, pieces: &[(Vec<u8>, Duration)]) -> String {
    let (client, _stop, serving) = connect(park_after, 1 << 20);
    let (mut reader, mut writer) = tokio::io::split(client);
    let pieces = pieces.to_vec();
    let writing = tokio::spawn(async move {
        for (piece, pause) in pieces {
            // A connection that was told to close takes no more.
            drop(writer.write_all(&piece).await);
            tokio::time::sleep(pause).await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(writer.shutdown().await);
    });
    let mut out = Vec::new();
    reader.read_to_end(&mut out).await.unwrap();
    serving.await.unwrap();
    writing.abort();
    let text = String::from_utf8(out).unwrap();
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

const REQUESTS: &[&str] = &[
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nabcdefg",
    "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n",
    "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
];

/// Requests, cut anywhere, with pauses around those after which a connection is parked, and longer than a head may take.
fn scripts() -> impl Strategy<Value = Vec<(Vec<u8>, Duration)>> {
    let requests = prop::collection::vec(prop::sample::select(REQUESTS), 1..5);
    let pauses = prop::sample::select(vec![0_u64, 1, 999, 1000, 1001, 2500, 5000, 11_000]);
    (requests, prop::collection::vec((1_usize..60, pauses), 0..12)).prop_map(|(requests, cuts)| {
        let (mut rest, mut pieces) = (requests.concat().into_bytes(), Vec::new());
        for (length, pause) in cuts {
            let behind = rest.split_off(length.min(rest.len()));
            pieces.push((std::mem::replace(&mut rest, behind), Duration::from_millis(pause)));
        }
        pieces.push((rest, Duration::ZERO));
        pieces
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

proptest! {
    #[test]
    fn parked_or_not_the_answers_are_the_same(pieces in scripts()) {
        let runtime = runtime();
        let never = runtime.block_on(answers(NEVER, &pieces));
        for after in [0, 1, 1000] {
            let parked = runtime.block_on(answers(Duration::from_millis(after), &pieces));
            prop_assert_eq!(&parked, &never, "parked after {} ms", after);
        }
    }
}

/// Reads until these bytes came.
async fn read_until(client: &mut DuplexStream, end: &str) -> String {
    let mut out = Vec::new();
    while !out.ends_with(end.as_bytes()) {
        let mut chunk = [0; 256];
        let length = client.read(&mut chunk).await.unwrap();
        assert!(length > 0, "it ended: {}", String::from_utf8_lossy(&out));
        out.extend_from_slice(&chunk[..length]);
    }
    String::from_utf8(out).unwrap()
}

async fn ask(client: &mut DuplexStream) -> String {
    client.write_all(REQUESTS[0].as_bytes()).await.unwrap();
    read_until(client, "GET /a None ").await
}

/// Over when the server ended the connection.
async fn ended(client: &mut DuplexStream) -> Duration {
    let started = Instant::now();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_noticed_at_once() {
    for pause in [0, 999, 1000, 5000] {
        let (mut client, _stop, serving) = connect(PARK_AFTER, 1 << 10);
        ask(&mut client).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let left = Instant::now();
        drop(client);
        serving.await.unwrap();
        assert_eq!(left.elapsed(), Duration::ZERO, "after {pause} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_time_counts_from_the_last_answer() {
    let (mut client, _stop, serving) = connect(PARK_AFTER, 1 << 10);
    for _ in 0..3 {
        ask(&mut client).await;
        tokio::time::sleep(IDLE_MAX - Duration::from_secs(1)).await;
    }
    ask(&mut client).await;
    assert_eq!(ended(&mut client).await.as_secs(), IDLE_MAX.as_secs());
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_closes_what_is_parked_and_answers_what_is_under_way() {
    // Idle, parked or not.
    for pause in [0, 5000] {
        let (mut client, stop, serving) = connect(PARK_AFTER, 1 << 10);
        ask(&mut client).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        stop.cancel();
        assert_eq!(ended(&mut client).await, Duration::ZERO);
        serving.await.unwrap();
    }
    // A request that came is answered, be it that nobody looked at it yet, and is the last.
    for pause in [0, 5000] {
        let (mut client, stop, serving) = connect(PARK_AFTER, 1 << 10);
        ask(&mut client).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if pause == 0 {
            // hyper has it, and gives it up only where nothing came.
            client.write_all(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            stop.cancel();
            client.write_all(b"a").await.unwrap();
            assert!(read_until(&mut client, "None a").await.contains("connection: close"));
        } else {
            client.write_all(REQUESTS[0].as_bytes()).await.unwrap();
            stop.cancel();
            assert!(read_until(&mut client, "GET /a None ").await.contains("connection: close"));
        }
        assert_eq!(ended(&mut client).await, Duration::ZERO);
        serving.await.unwrap();
    }
    // A head that began has a second.
    for (pause, answered) in [(500, true), (5000, false)] {
        let (mut client, stop, serving) = connect(PARK_AFTER, 1 << 10);
        client.write_all(b"GET /a HTTP/1.1\r\nHo").await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.cancel();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let rest = client.write_all(b"st: a\r\n\r\n").await;
        if answered {
            rest.unwrap();
            assert!(read_until(&mut client, "GET /a None ").await.contains("connection: close"));
        }
        assert_eq!(ended(&mut client).await, Duration::ZERO);
        serving.await.unwrap();
    }
}

/// hyper takes a connection for idle whose last answer is not written yet, where its body was read behind the answer.
#[tokio::test(start_paused = true)]
async fn what_waits_to_be_written_is_not_lost() {
    let head = "POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    for pieces in [vec![format!("{head}abc")], vec![head.to_owned(), "abc".to_owned()]] {
        let (mut client, _stop, serving) = connect(PARK_AFTER, 1 << 10);
        for piece in pieces {
            client.write_all(piece.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        let text = read_until(&mut client, "xxx").await;
        let (head, begun) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-length: 65536"), "{head}");
        let mut rest = vec![0; (1 << 16) - begun.len()];
        client.read_exact(&mut rest).await.unwrap();
        drop(client);
        serving.await.unwrap();
    }
}

/// A client that is answered in the middle of its body reads the answer, and is heard out.
#[tokio::test(start_paused = true)]
async fn who_is_refused_in_a_body_can_write_it_to_its_end() {
    let (mut client, _stop, serving) = connect(PARK_AFTER, 1 << 10);
    let length = 1 << 20;
    let head = format!("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(&vec![b'x'; length]).await.unwrap();
    let answer = read_until(&mut client, "POST /unread None ").await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(ended(&mut client).await, Duration::ZERO);
    drop(client);
    serving.await.unwrap();
}
