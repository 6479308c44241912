//! Upstreams that fall silent. The limits are real and short: sockets and a paused clock do not go together.
use super::*;

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn silence_before_the_head() {
    for start in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let (listener, client) = listen_with(Timeouts { first_byte: SHORT, ..PATIENT }).await;
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            peer.request().await;
            peer.put(start).await;
            peer.closed().await;
        });
        let error = send(&client, &Method::POST, "{}").await.unwrap_err();
        assert_eq!(error.kind, SendErrorKind::FirstByteTimeout);
        assert!(error.may_have_been_processed());
        server.await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_that_nobody_reads() {
    let (listener, client) = listen_with(Timeouts { first_byte: SHORT, ..PATIENT }).await;
    let error = send(&client, &Method::POST, vec![b'x'; 32 << 20]).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::FirstByteTimeout);
    drop(listener);
}

#[tokio::test]
async fn silence_in_the_body() {
    let (listener, client) = listen_with(Timeouts { idle: SHORT, ..PATIENT }).await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell").await;
        peer.closed().await;
    });
    assert_eq!(post(&client).await, (StatusCode::OK, Err(BodyError::IdleTimeout)));
    server.await.unwrap();
}

#[tokio::test]
async fn a_slow_but_steady_body_outlives_the_idle_limit() {
    let idle = Duration::from_millis(200);
    let (listener, client) = listen_with(Timeouts { idle, ..PATIENT }).await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.request().await;
        peer.put("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n").await;
        let mut ticks = tokio::time::interval(idle / 4);
        for _ in 0..8 {
            ticks.tick().await;
            peer.put("x").await;
        }
    });
    assert_eq!(post(&client).await, (StatusCode::OK, Ok(Bytes::from_static(b"xxxxxxxx"))));
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_timer_is_moved_and_not_remade() {
    use super::super::timer::LazyTimer;
    let start = tokio::time::Instant::now();
    let limit = Duration::from_secs(10);
    let mut timer = LazyTimer::default();
    let mut over = async |since| {
        std::future::poll_fn(|cx| timer.poll_over(cx, since, limit)).await;
        start.elapsed().as_secs()
    };
    assert_eq!(over(start + Duration::from_secs(3)).await, 13);
    assert_eq!(over(start + Duration::from_secs(20)).await, 30);
    // A nearer deadline than the armed one counts too.
    assert_eq!(over(start).await, 30);
    let forever = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(timer.poll_over(cx, start, Duration::MAX).is_pending())
    });
    assert!(forever.await);
}
