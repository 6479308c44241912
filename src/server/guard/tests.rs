//! What a guarded connection passes on, at every split of its bytes.

use super::*;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// What hyper would see of these bytes, written in pieces and ended.
async fn seen(pieces: &[&[u8]]) -> (Vec<u8>, io::Result<()>) {
    let (client, server) = duplex(1 << 20);
    let (reader, mut writer) = tokio::io::split(client);
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let writing = tokio::spawn(async move {
        for piece in pieces {
            writer.write_all(&piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        writer.shutdown().await.unwrap();
    });
    let mut guard = Guard::new(server, 32 << 10);
    let mut out = Vec::new();
    let read = async {
        loop {
            let mut chunk = [0; 512];
            match guard.read(&mut chunk).await {
                Ok(0) => return Ok(()),
                Ok(length) => out.extend_from_slice(&chunk[..length]),
                Err(error) => return Err(error),
            }
        }
    };
    // After a refusal nothing comes any more.
    let ended = tokio::time::timeout(Duration::from_secs(5), read).await.unwrap_or(Ok(()));
    writing.await.unwrap();
    drop(reader);
    (out, ended)
}

const GOOD: &str = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n";

async fn refused(first: &str, then: &str) -> String {
    let (out, ended) = seen(&[first.as_bytes(), then.as_bytes()]).await;
    assert!(ended.is_ok());
    let text = String::from_utf8(out).unwrap();
    let (before, told) = text.split_once("POST /").unwrap_or(("", &text));
    assert!(told.contains(REFUSED) && told.contains(mark()), "{text}");
    before.to_owned()
}

#[tokio::test(start_paused = true)]
async fn behind_a_refused_head_nothing_is_read() {
    let bad = "GET / HTTP/1.1\nHost: a\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let get = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(refused(bad, get).await, "");
    assert_eq!(refused(&format!("{get}{bad}"), get).await, get);
    assert_eq!(refused(get, bad).await, get);
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_is_told_so() {
    let (mut client, server) = duplex(1 << 20);
    client.write_all(b"POST /v1/messages HTTP/1.1\r\nHost: ").await.unwrap();
    let mut guard = Guard::new(server, 32 << 10);
    let mut chunk = [0; 512];
    let started = tokio::time::Instant::now();
    let length = guard.read(&mut chunk).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), HEAD_TIMEOUT.as_secs());
    let text = std::str::from_utf8(&chunk[..length]).unwrap();
    assert!(text.starts_with("POST /v1/messages ") && text.contains(" 408 "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_given_up() {
    let (_client, server) = duplex(16);
    let mut guard = Guard::new(server, 32 << 10);
    let started = tokio::time::Instant::now();
    let ended = guard.write_all(&[0; 64]).await;
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(started.elapsed().as_secs(), WRITE_STALL_MAX.as_secs());
}

#[tokio::test(start_paused = true)]
async fn broken_chunks_end_the_body_badly() {
    let head = "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["3\r\nabcX", "3\nabc\r\n", "g\r\n", "0\r\n\n", "fffffffffffffffff\r\n"] {
        let (out, ended) = seen(&[head.as_bytes(), body.as_bytes()]).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::InvalidData, "{body:?}");
        assert!(!String::from_utf8(out).unwrap().contains(REFUSED));
    }
}

#[tokio::test(start_paused = true)]
async fn empty_lines_are_few_and_end_as_lines_do() {
    let get = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let few = "\r\n".repeat(usize::from(EMPTY_LINES_MAX));
    let (out, ended) = seen(&[few.as_bytes(), get.as_bytes(), few.as_bytes(), get.as_bytes()]).await;
    assert!(ended.is_ok());
    assert_eq!(String::from_utf8(out).unwrap(), get.repeat(2));
    assert_eq!(refused(&format!("{few}\r\n"), get).await, "");
    assert_eq!(refused(&format!("{get}{few}\r\n"), get).await, get);
    for other in ["\n", "\r", "\r\r\n", " \r\n", "\r\n\n", "\0\r\n"] {
        assert_eq!(refused(other, get).await, "", "{other:?}");
        assert_eq!(refused(&format!("{get}{other}"), get).await, get, "{other:?}");
    }
    // Where nothing follows, there was no request.
    assert_eq!(seen(&[get.as_bytes(), few.as_bytes()]).await.0, get.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_empty_lines_has_the_time_of_a_head() {
    let (mut client, server) = duplex(1 << 20);
    let mut guard = Guard::new(server, 32 << 10);
    client.write_all(b"\r\n\r").await.unwrap();
    assert!(std::future::poll_fn(|cx| guard.poll_begun(cx)).await, "a line began");
    client.write_all(b"\n").await.unwrap();
    let started = tokio::time::Instant::now();
    assert!(!std::future::poll_fn(|cx| guard.poll_head(cx)).await);
    assert_eq!(started.elapsed().as_secs(), HEAD_TIMEOUT.as_secs());
    // A head that comes later has a time of its own.
    let (mut client, server) = duplex(1 << 20);
    let mut guard = Guard::new(server, 32 << 10);
    client.write_all(b"\r").await.unwrap();
    let writing = tokio::spawn(async move {
        let pause = HEAD_TIMEOUT.mul_f32(0.7);
        for piece in ["\n", "GET / HTTP/1.1\r\n", "Host: a\r\n\r\n"] {
            tokio::time::sleep(pause).await;
            client.write_all(piece.as_bytes()).await.unwrap();
        }
        client
    });
    let mut chunk = [0; 512];
    let length = guard.read(&mut chunk).await.unwrap();
    assert_eq!(&chunk[..length], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    drop(writing.await.unwrap());
}

proptest! {
    #[test]
    fn empty_lines_before_requests_are_left_out_at_every_split(split in 1_usize..80, counts in prop::array::uniform3(0..=usize::from(EMPTY_LINES_MAX))) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let mut text = GOOD.to_owned();
        for (at, count) in ["POST /a", "POST /b", "GET /c"].into_iter().zip(counts) {
            text = text.replace(at, &format!("{}{at}", "\r\n".repeat(count)));
        }
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(split).collect();
        let (out, ended) = runtime.block_on(seen(&pieces));
        prop_assert!(ended.is_ok());
        prop_assert_eq!(String::from_utf8(out).unwrap(), GOOD);
    }

    #[test]
    fn good_requests_pass_as_they_are_at_every_split(split in 1_usize..80) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let pieces: Vec<&[u8]> = GOOD.as_bytes().chunks(split).collect();
        let (out, ended) = runtime.block_on(seen(&pieces));
        prop_assert!(ended.is_ok());
        prop_assert_eq!(String::from_utf8(out).unwrap(), GOOD);
    }

    #[test]
    fn arbitrary_bytes_mean_the_same_at_every_split(text in prop::collection::vec(prop::sample::select(b"GET /\r\n\r\n: HTP1.1hosta0\0".to_vec()), 0..80), split in 1_usize..10) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n";
        let whole = [&start[..], &text[..]].concat();
        let pieces: Vec<&[u8]> = whole.chunks(split).collect();
        let (one, many) = runtime.block_on(async { (seen(&[&whole]).await, seen(&pieces).await) });
        prop_assert_eq!(one.1.is_ok(), many.1.is_ok());
        if one.1.is_ok() {
            prop_assert_eq!(one.0, many.0);
        }
    }
}
