//! Large requests, and servers that answer before they have read them.
use super::*;

/// More than the socket buffers of both sides take.
const LARGE: usize = 32 * 1024 * 1024;

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let mut left = LARGE + 1;
        let mut bytes = vec![0; 1 << 16];
        let mut head = true;
        while left > 0 {
            let mut read = peer.stream.read(&mut bytes).await.unwrap();
            assert!(read > 0);
            if head {
                read -= bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
                left -= 1;
                head = false;
            }
            left -= read;
        }
        peer.put("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        peer
    });
    let answer = send(&client, &Method::POST, vec![b'x'; LARGE]).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(client.idle_connections(), 1);
    server.await.unwrap();
}

#[tokio::test]
async fn a_refusal_during_the_upload_is_the_answer() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.stream.read_buf(&mut peer.read).await.unwrap();
        peer.put("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
        peer.closed().await;
    });
    let answer = send(&client, &Method::POST, vec![b'x'; LARGE]).await.unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.body.collect(9).await, Ok(Bytes::from_static(b"big")));
    assert_eq!(client.idle_connections(), 0);
    server.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_begins_early_still_gets_the_whole_request() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.stream.read_buf(&mut peer.read).await.unwrap();
        peer.put("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n").await;
        let mut bytes = vec![0; 1 << 16];
        let mut seen = peer.read.len();
        while seen < LARGE {
            let read = peer.stream.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the upload was given up");
            seen += read;
        }
        peer.put("1\r\nb\r\n0\r\n\r\n").await;
    });
    let answer = send(&client, &Method::POST, vec![b'x'; LARGE]).await.unwrap();
    assert_eq!(answer.body.collect(9).await, Ok(Bytes::from_static(b"ab")));
    server.await.unwrap();
}

#[tokio::test]
async fn a_request_that_cannot_be_one_is_not_sent() {
    let (listener, client) = listen().await;
    let method = Method::GET;
    let request = Outgoing {
        method: &method,
        path: "/a b",
        headers: &HeaderMap::new(),
        body: Bytes::new(),
        again: Again::Freely,
    };
    let error = client.send(request).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::InvalidRequest);
    assert!(!error.may_have_been_processed());
    let nobody =
        std::future::poll_fn(|cx| std::task::Poll::Ready(listener.poll_accept(cx).is_pending())).await;
    assert!(nobody);
}
