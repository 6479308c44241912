//! Answers and how they are understood, written at every split.
use super::*;

#[track_caller]
fn check(answer: &str, expected: Result<(u16, Result<&str, BodyError>), SendErrorKind>) {
    check_for(&Method::POST, answer, expected);
}

/// `answer` has bare newlines for line ends; the server closes behind it.
#[track_caller]
fn check_for(method: &Method, answer: &str, expected: Result<(u16, Result<&str, BodyError>), SendErrorKind>) {
    let answer = answer.replace('\n', "\r\n").into_bytes();
    let expected = expected.map(|(status, body)| (status, body.map(|b| Bytes::from(b.to_owned()))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (listener, _) = runtime.block_on(listen());
    let splits = (0..=answer.len()).map(Split::At).chain([Split::Everywhere]);
    for split in splits {
        let seen = runtime.block_on(answered(&listener, method, &answer, split));
        assert_eq!(seen, expected, "{split:?} of {:?}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn whole_answers() {
    check("HTTP/1.1 200 OK\ncontent-length: 5\n\nhello", Ok((200, Ok("hello"))));
    check("HTTP/1.1 500 Oh\ncontent-length: 0\n\n", Ok((500, Ok(""))));
    check(
        "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\nabc\n2;x=y\nde\n0\nt: v\n\n",
        Ok((200, Ok("abcde"))),
    );
    check("HTTP/1.1 200 OK\n\nuntil the end", Ok((200, Ok("until the end"))));
    check("HTTP/1.0 200 OK\n\nuntil the end", Ok((200, Ok("until the end"))));
    check("HTTP/1.0 200 OK\ncontent-length: 2\n\nab", Ok((200, Ok("ab"))));
    check("HTTP/1.1 204 No Content\n\n", Ok((204, Ok(""))));
    check("HTTP/1.1 304 Not Modified\ncontent-length: 9\n\n", Ok((304, Ok(""))));
    check_for(&Method::HEAD, "HTTP/1.1 200 OK\ncontent-length: 9\n\n", Ok((200, Ok(""))));
    check("HTTP/1.1 200 OK\ncontent-length: 2\n\nabSURPLUS", Ok((200, Ok("ab"))));
}

#[test]
fn interim_answers_are_skipped() {
    let end = "HTTP/1.1 200 OK\ncontent-length: 1\n\nx";
    check(
        &format!("HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nlink: a\n\n{end}"),
        Ok((200, Ok("x"))),
    );
    check(&("HTTP/1.1 100 C\n\n".repeat(8) + end), Ok((200, Ok("x"))));
    let flood = "HTTP/1.1 100 C\n\n".repeat(9);
    check(&flood, Err(SendErrorKind::MalformedAnswer("too many interim answers")));
}

#[test]
fn a_cut_answer_never_ends_well() {
    let cut = Ok((200, Err(BodyError::Truncated)));
    check("HTTP/1.1 200 OK\ncontent-length: 5\n\nhell", cut);
    check("HTTP/1.1 200 OK\ncontent-length: 5\n\n", cut);
    check("HTTP/1.0 200 OK\ncontent-length: 5\n\nhell", cut);
    let chunked = "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n";
    for body in
        ["", "5", "5\n", "5\nhel", "5\nhello", "5\nhello\n", "5\nhello\n0", "5\nhello\n0\n", "0\nt: v\n"]
    {
        check(&format!("{chunked}{body}"), cut);
    }
}

#[test]
fn a_cut_head_is_no_answer() {
    for head in ["", "H", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\nx: y\n", "HTTP/1.1 100 C\n\n"] {
        check(head, Err(SendErrorKind::ClosedBeforeAnswer));
    }
}

#[test]
fn malformed_answers() {
    let both = "transfer-encoding beside content-length or in HTTP/1.0";
    let te = "a transfer-encoding other than chunked";
    let bad = |why| Err(SendErrorKind::MalformedAnswer(why));
    check("HTTP/1.1 200 OK\ncontent-length: 5\ntransfer-encoding: chunked\n\n", bad(both));
    check("HTTP/1.1 200 OK\ncontent-length: 5\ncontent-length: 6\n\n", bad("several content-lengths"));
    check("HTTP/1.1 200 OK\ntransfer-encoding: gzip, chunked\n\n", bad(te));
    check("HTTP/1.1 101 Switching\n\n", bad("an upgrade that nobody asked for"));
    check("SSH-2.0-x\n", bad("no status line"));
    let chunked = "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n";
    for body in ["x\n", "5\nhelloX", "ffffffffffffffff0\n", "\n", "0\n\0\n"] {
        check(&format!("{chunked}{body}"), Ok((200, Err(BodyError::MalformedFraming))));
    }
}

#[tokio::test]
async fn heads_are_bounded() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(129));
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    let allowed =
        format!("HTTP/1.1 204 OK\r\nx: {}\r\n{}\r\n", "y".repeat(60 * 1024), "x: y\r\n".repeat(127));
    let (listener, _) = listen().await;
    let kind = async |head: String| {
        answered(&listener, &Method::POST, head.as_bytes(), Split::At(0)).await.map(|_| ())
    };
    assert_eq!(kind(many).await, Err(SendErrorKind::MalformedAnswer("too many headers")));
    assert_eq!(kind(long).await, Err(SendErrorKind::MalformedAnswer("head too large")));
    assert_eq!(kind(allowed).await, Ok(()));
}

#[tokio::test]
async fn headers_arrive_as_they_were_written() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let request = peer.request().await;
        peer.put(b"HTTP/1.1 200 OK\r\nX-One: a, b\r\nset-cookie: 1\r\nset-cookie: \xe4\r\nempty:\r\ncontent-length: 0\r\n\r\n").await;
        request
    });
    let answer = send(&client, &Method::POST, "{}").await.unwrap();
    assert_eq!(answer.headers["x-one"], "a, b");
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(answer.headers["empty"], "");
    let expected = format!(
        "POST /v1/x HTTP/1.1\r\nhost: {}\r\ncontent-length: 2\r\n\r\n{{}}",
        client.origin().authority()
    );
    assert_eq!(server.await.unwrap(), expected);
}

#[tokio::test]
async fn collect_keeps_its_limit() {
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    let lying = b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\nabc";
    for (answer, bytes_max, expected) in [
        (&chunked[..], 5, Err(BodyError::TooLarge)),
        (&chunked[..], 6, Ok(Bytes::from_static(b"abcdef"))),
        (&lying[..], 1 << 20, Err(BodyError::TooLarge)),
        (&lying[..], usize::MAX, Err(BodyError::Truncated)),
    ] {
        let (listener, client) = listen().await;
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            peer.request().await;
            peer.put(answer).await;
        });
        let answer = send(&client, &Method::POST, "{}").await.unwrap();
        assert_eq!(answer.body.collect(bytes_max).await, expected);
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_large_body_comes_in_turns_and_whole() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let (listener, client) = listen().await;
    let sent = body.clone();
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", sent.len())).await;
        peer.put(&sent).await;
        peer.put("\r\n0\r\n\r\n").await;
        peer
    });
    let mut answer = send(&client, &Method::GET, "").await.unwrap();
    let mut seen = Vec::new();
    loop {
        let before = seen.len();
        let read =
            std::future::poll_fn(|cx| answer.body.poll_read(cx, &mut |data| seen.extend_from_slice(data)))
                .await;
        assert!(seen.len() - before <= 80 * 1024);
        if read.unwrap() == crate::upstream::http1::Read::End {
            break;
        }
    }
    assert!(seen == body);
    assert_eq!(client.idle_connections(), 1);
    server.await.unwrap();
}

#[tokio::test]
async fn a_reset_is_not_an_end() {
    for head in ["HTTP/1.1 200 OK\r\n\r\nab", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab"] {
        let (listener, client) = listen().await;
        let (heard, hear) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            peer.request().await;
            peer.put(head).await;
            hear.await.unwrap();
            socket2::SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
        });
        let answer = send(&client, &Method::POST, "{}").await.unwrap();
        heard.send(()).unwrap();
        assert_eq!(answer.body.collect(9).await, Err(BodyError::Io(std::io::ErrorKind::ConnectionReset)));
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_body_that_failed_keeps_saying_so() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab").await;
    });
    let mut body = send(&client, &Method::POST, "{}").await.unwrap().body;
    let mut seen = Vec::new();
    let mut results = Vec::new();
    while results.len() < 3 {
        let read =
            std::future::poll_fn(|cx| body.poll_read(cx, &mut |data| seen.extend_from_slice(data))).await;
        if read != Ok(crate::upstream::http1::Read::More) {
            results.push(read);
        }
    }
    assert_eq!((seen, results), (b"ab".to_vec(), vec![Err(BodyError::Truncated); 3]));
    server.await.unwrap();
}
