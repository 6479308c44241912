//! Which connections are used again, and which must not be.
use tokio::time::Instant;

use super::super::pool::Pool;
use super::super::wire::Wire;
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn fine() -> (StatusCode, Result<Bytes, BodyError>) {
    (StatusCode::OK, Ok(Bytes::from_static(b"ok")))
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        for answer in [
            OK,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
            OK,
        ] {
            peer.request().await;
            peer.put(answer).await;
        }
        peer
    });
    for _ in 0..4 {
        assert_eq!(post(&client).await, fine());
        assert_eq!(client.idle_connections(), 1);
    }
    server.await.unwrap();
}

#[tokio::test]
async fn answers_without_a_body_give_the_connection_back_at_once() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        for answer in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"] {
            peer.request().await;
            peer.put(answer).await;
        }
        peer
    });
    for _ in 0..2 {
        let answer = send(&client, &Method::POST, "").await.unwrap();
        assert_eq!(client.idle_connections(), 1);
        drop(answer);
    }
    server.await.unwrap();
}

/// The first connection answers with `first`; the second request must come on a second connection.
async fn not_used_again(first: &'static str) {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put(first).await;
        let mut second = accept(&listener).await;
        second.request().await;
        second.put(OK).await;
        peer.closed().await;
        assert!(peer.read.is_empty());
    });
    assert_eq!(post(&client).await, fine(), "{first}");
    assert_eq!(client.idle_connections(), 0, "{first}");
    assert_eq!(post(&client).await, fine(), "{first}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_connection_with_surplus_or_a_close_is_not_used_again() {
    for first in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        not_used_again(first).await;
    }
}

#[tokio::test]
async fn bytes_that_arrive_at_rest_are_never_an_answer() {
    let (listener, client) = listen().await;
    let (resting, rest) = tokio::sync::oneshot::channel::<()>();
    let (poisoned, poison) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put(OK).await;
        rest.await.unwrap();
        peer.put("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison").await;
        poisoned.send(()).unwrap();
        let mut second = accept(&listener).await;
        second.request().await;
        second.put(OK).await;
    });
    assert_eq!(post(&client).await, fine());
    assert_eq!(client.idle_connections(), 1);
    resting.send(()).unwrap();
    poison.await.unwrap();
    assert_eq!(post(&client).await, fine());
    server.await.unwrap();
}

#[tokio::test]
async fn a_connection_closed_at_rest_is_replaced() {
    let (listener, client) = listen().await;
    let (resting, rest) = tokio::sync::oneshot::channel::<()>();
    let (closed, close) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put(OK).await;
        rest.await.unwrap();
        drop(peer);
        closed.send(()).unwrap();
        let mut second = accept(&listener).await;
        second.request().await;
        second.put(OK).await;
    });
    assert_eq!(post(&client).await, fine());
    resting.send(()).unwrap();
    close.await.unwrap();
    assert_eq!(post(&client).await, fine());
    server.await.unwrap();
}

#[tokio::test]
async fn a_reused_connection_that_dies_unheard_costs_one_more_try() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put(OK).await;
        let first = peer.request().await;
        drop(peer);
        let mut second = accept(&listener).await;
        assert_eq!(second.request().await, first);
        second.put(OK).await;
        second.request().await;
        drop(second);
        drop(accept(&listener).await);
    });
    assert_eq!(post(&client).await, fine());
    assert_eq!(post(&client).await, fine());
    // The third dies on the pooled connection and on the new one: once more, not for ever.
    let error = send(&client, &Method::POST, "{}").await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::ClosedBeforeAnswer);
    assert!(error.may_have_been_processed());
    server.await.unwrap();
}

/// Only what may be done twice is sent twice: nobody knows what a server did that died unheard.
#[tokio::test]
async fn what_is_not_to_be_done_twice_is_sent_once() {
    for (again, expected) in [(Again::Freely, 2), (Again::ByCaller, 1), (Again::Never, 1)] {
        let (listener, client) = listen().await;
        let serving = async {
            let mut peer = accept(&listener).await;
            peer.request().await;
            peer.put("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            peer.request().await;
            drop(peer);
            let mut sent = 1;
            while let Ok(mut peer) = tokio::time::timeout(Duration::from_millis(300), accept(&listener)).await
            {
                peer.request().await;
                sent += 1;
            }
            sent
        };
        let asking = async {
            let first = send_again(&client, &Method::POST, "{}", again).await.unwrap();
            assert_eq!(first.body.collect(9).await.unwrap(), "ok");
            send_again(&client, &Method::POST, "{}", again).await.map(drop).map_err(|error| error.kind)
        };
        let (sent, told) = tokio::join!(serving, asking);
        assert_eq!((sent, told), (expected, Err(SendErrorKind::ClosedBeforeAnswer)), "{again:?}");
    }
}

/// Where one that rested is dead, those that rested for longer may be, too: the next try does not go there.
#[tokio::test]
async fn one_dead_connection_speaks_for_those_that_rested_longer() {
    let (listener, client) = listen().await;
    let serving = async {
        let (mut first, mut second) = (accept(&listener).await, accept(&listener).await);
        for peer in [&mut first, &mut second] {
            peer.request().await;
        }
        for peer in [&mut first, &mut second] {
            peer.put("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
        // Whichever is used again, is closed unheard; the next try is on a third.
        tokio::select! {
            _ = first.request() => {}
            _ = second.request() => {}
        }
        drop((first, second));
        let mut third = accept(&listener).await;
        third.request().await;
        third.put("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    };
    let asking = async {
        let send = || send_again(&client, &Method::POST, "{}", Again::ByCaller);
        let (one, two) = tokio::join!(send(), send());
        drop((one.unwrap(), two.unwrap()));
        assert_eq!(client.idle_connections(), 2);
        assert_eq!(send().await.unwrap_err().kind, SendErrorKind::ClosedBeforeAnswer);
        assert_eq!(client.idle_connections(), 0);
        assert_eq!(send().await.unwrap().status, StatusCode::OK);
    };
    tokio::join!(serving, asking);
}

/// A connection that rested is one that its server may close just now: what nobody sends again does not go there.
#[tokio::test(start_paused = true)]
async fn what_nobody_sends_again_goes_out_on_a_warm_connection() {
    for (again, rested, expected) in [
        (Again::Never, 999, 1),
        (Again::Never, 1000, 2),
        (Again::Freely, 1000, 1),
        (Again::ByCaller, 59_000, 1),
    ] {
        let (listener, client) = listen().await;
        let serving = async {
            let mut connections = 0;
            let mut peers = Vec::new();
            for _ in 0..2 {
                let again = async {
                    match peers.last_mut() {
                        Some(peer) => Peer::request(peer).await,
                        None => std::future::pending().await,
                    }
                };
                let fresh = tokio::select! {
                    _ = again => None,
                    peer = accept(&listener) => Some(peer),
                };
                if let Some(mut peer) = fresh {
                    peer.request().await;
                    connections += 1;
                    peers.push(peer);
                }
                peers.last_mut().unwrap().put("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
            connections
        };
        let asking = async {
            for _ in 0..2 {
                send_again(&client, &Method::POST, "{}", again).await.unwrap();
                tokio::time::advance(Duration::from_millis(rested)).await;
            }
        };
        assert_eq!(tokio::join!(serving, asking).0, expected, "{again:?} {rested}");
    }
}

#[tokio::test]
async fn a_reused_connection_that_was_heard_is_not_tried_again() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put(OK).await;
        peer.request().await;
        peer.put("HTTP/1.1 2").await;
        listener
    });
    assert_eq!(post(&client).await, fine());
    assert_eq!(send(&client, &Method::POST, "{}").await.unwrap_err().kind, SendErrorKind::ClosedBeforeAnswer);
    let listener = server.await.unwrap();
    let nobody =
        std::future::poll_fn(|cx| std::task::Poll::Ready(listener.poll_accept(cx).is_pending())).await;
    assert!(nobody, "a second connection was opened");
}

#[tokio::test]
async fn the_last_to_rest_is_the_first_to_go() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let (mut a, mut b) = (accept(&listener).await, accept(&listener).await);
        a.request().await;
        b.request().await;
        a.put(OK).await;
        b.put(OK).await;
        // Whichever rested last must be the one that is asked next.
        let third = tokio::select! {
            _ = a.request() => "a",
            _ = b.request() => "b",
        };
        if third == "a" {
            a.put(OK).await;
        } else {
            b.put(OK).await;
        }
        third
    });
    let (first, second) = tokio::join!(send(&client, &Method::GET, ""), send(&client, &Method::GET, ""));
    let (first, second) = (first.unwrap(), second.unwrap());
    second.body.collect(9).await.unwrap();
    first.body.collect(9).await.unwrap();
    assert_eq!(client.idle_connections(), 2);
    assert_eq!(post(&client).await, fine());
    assert_eq!(server.await.unwrap(), "a");
}

#[tokio::test]
async fn a_dropped_body_closes_the_connection() {
    let (listener, client) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await;
        peer.closed().await;
    });
    let answer = send(&client, &Method::POST, "{}").await.unwrap();
    drop(answer);
    server.await.unwrap();
    assert_eq!(client.idle_connections(), 0);
}

#[tokio::test]
async fn a_dropped_send_closes_the_connection() {
    let (listener, client) = listen().await;
    let mut sending = Box::pin(send(&client, &Method::POST, "{}"));
    let mut peer = tokio::select! {
        _ = &mut sending => panic!("nobody answered"),
        peer = async {
            let mut peer = accept(&listener).await;
            peer.request().await;
            peer
        } => peer,
    };
    drop(sending);
    peer.closed().await;
}

#[tokio::test]
async fn nothing_is_sent_where_nobody_listens() {
    let (listener, client) = listen().await;
    drop(listener);
    let error = send(&client, &Method::POST, "{}").await.unwrap_err();
    assert_eq!(
        error.kind,
        SendErrorKind::Connect(super::super::ConnectFailure::Io(std::io::ErrorKind::ConnectionRefused))
    );
    assert!(!error.may_have_been_processed());
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let (listener, client) = listen().await;
    let (origin, _) = Origin::parse(&format!("http://localhost:{}", client.origin().port())).unwrap();
    let client = Client::new(origin, PATIENT, None);
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        assert!(peer.request().await.contains("host: localhost:"));
        peer.put(OK).await;
    });
    assert_eq!(post(&client).await, fine());
    server.await.unwrap();
}

#[tokio::test]
async fn rest_is_bounded_in_age_and_number() {
    let (listener, _) = listen().await;
    let mut peers = Vec::new();
    let mut wire = async || {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        peers.push(accept(&listener).await);
        Wire::plain(stream)
    };
    let pool = Pool::default();
    let start = Instant::now();
    let later = |seconds| start + Duration::from_secs(seconds);
    pool.put(wire().await, start);
    assert!(pool.take(later(59)).is_some());
    pool.put(wire().await, start);
    pool.put(wire().await, later(1));
    assert!(pool.take(later(61)).is_none());
    assert_eq!(pool.len(), 0);
    pool.put(wire().await, start);
    pool.put(wire().await, later(1));
    pool.sweep(later(60));
    assert_eq!(pool.len(), 1);
    for _ in 0..520 {
        pool.put(wire().await, later(60));
    }
    assert_eq!(pool.len(), 512);
}
