use std::{net::SocketAddr, sync::Arc, time::Duration};

use fleet::{ConnectionLimits, Shutdown};
use reviewfleet_api::{ApiSettings, run, serve_within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::support::{DEADLINE, KEY, Mood, Service, api, config, review_by, until};

/// Long enough that an answer which may not come would have come.
const QUIET: Duration = Duration::from_millis(100);

struct Server {
    service: Service,
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    async fn start(change: impl FnOnce(&mut ConnectionLimits)) -> Self {
        Self::over(Service::start(), change).await
    }

    async fn over(service: Service, change: impl FnOnce(&mut ConnectionLimits)) -> Self {
        let mut limits = ConnectionLimits::default();
        change(&mut limits);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let served = tokio::spawn(serve_within(listener, service.router.clone(), limits, stop.clone()));
        Self { service, address, stop, served }
    }

    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn stopped(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.served).await.unwrap().unwrap().unwrap();
    }
}

fn head(length: &str) -> String {
    format!(
        "POST /v1/reviews HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\n{length}\r\n\r\n"
    )
}

fn whole_post(user: &str) -> String {
    let body = review_by(user);
    head(&format!("Content-Length: {}", body.len())) + &body
}

/// Reads until the text has come.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let read = timeout(DEADLINE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(read, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    text
}

/// Reads until the server closes.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end as well: the server may close before it has read all that was sent.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let server = Server::start(|_| {}).await;
    let mut stream = server.send(&whole_post("alice")).await;
    assert!(read_until(&mut stream, "\"duplicate\":false").await.starts_with("HTTP/1.1 202 "));
    stream.write_all(whole_post("alice").as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "\"duplicate\":true").await.starts_with("HTTP/1.1 202 "));
    server.stopped().await;
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let service = Service::start_with(|settings| settings.request_timeout = Duration::from_millis(50));
    let server = Server::over(service, |_| {}).await;
    let mut stream = server.send(&(head("Content-Length: 200") + "{\"repository\":")).await;
    let answer = read_until(&mut stream, "/problems/slow-body").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(server.service.queue.calls(), 0);
    server.stopped().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let server = Server::start(|_| {}).await;
    let body = review_by("alice");
    let mut stream = server.send(&(head(&format!("Content-Length: {}", body.len() + 1)) + &body)).await;
    stream.shutdown().await.unwrap();
    read_to_end(&mut stream).await;
    assert_eq!(server.service.queue.calls(), 0);
    server.stopped().await;
}

#[tokio::test]
async fn half_a_head_is_cut_off() {
    let server = Server::start(|limits| limits.head_timeout = Duration::from_millis(50)).await;
    for text in ["", "POST /v1/revi", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow"] {
        let mut stream = server.send(text).await;
        let answer = read_to_end(&mut stream).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let server = Server::start(|_| {}).await;
    let mut stream = server.send(&head("Content-Length: 1000000000000")).await;
    let answer = read_until(&mut stream, "/problems/body-too-large").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    server.stopped().await;
}

#[tokio::test]
async fn a_body_that_waits_for_leave_and_is_refused_is_not_asked_for() {
    let server = Server::start(|_| {}).await;
    let mut stream = server.send(&head("Content-Length: 100000\r\nExpect: 100-continue")).await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    server.stopped().await;
}

#[tokio::test]
async fn a_refusal_reaches_a_caller_that_sends_its_body_first_and_ends_the_connection() {
    let server = Server::start(|_| {}).await;
    for (request, status) in [
        (head("Content-Length: 4000000"), "413"),
        (head("Content-Length: 4000000").replace(KEY, "another-key-than-any"), "401"),
        (head("Content-Length: 4000000").replace("/v1/reviews", "/v1/nothing"), "404"),
        (head("Content-Length: 4000000").replace("POST", "PUT"), "405"),
    ] {
        let mut stream = server.send(&request).await;
        stream.write_all(&vec![b'x'; 4_000_000]).await.unwrap();
        let mut answer = Vec::new();
        // To the end, and without a reset.
        timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_refusal_of_what_was_read_whole_leaves_the_connection_open() {
    let server = Server::start(|_| {}).await;
    let refused = head("Content-Length: 2") + "[]";
    let mut stream = server.send(&refused).await;
    let answer = read_until(&mut stream, "/problems/not-an-object").await;
    assert!(!answer.contains("connection: close"), "{answer}");
    stream.write_all(whole_post("alice").as_bytes()).await.unwrap();
    read_until(&mut stream, "\"duplicate\":false").await;
    server.stopped().await;
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_refused() {
    let server = Server::start(|_| {}).await;
    let chunk = format!("{:x}\r\n{}\r\n", 4096, "x".repeat(4096));
    let mut stream = server.send(&(head("Transfer-Encoding: chunked") + &chunk.repeat(17))).await;
    let answer = read_until(&mut stream, "/problems/body-too-large").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    server.stopped().await;
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let server = Server::start(|_| {}).await;
    for text in ["\u{16}\u{3}\u{1} hello\r\n\r\n", "GET /healthz HTTP/1.1\r\nContent-Length: x\r\n\r\n"] {
        let answer = read_to_end(&mut server.send(text).await).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    }
    let huge = format!("GET /healthz HTTP/1.1\r\nX-Huge: {}\r\n\r\n", "x".repeat(1024 * 1024));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The server closes long before all of it is written.
    let _ = stream.write_all(huge.as_bytes()).await;
    assert!(!read_to_end(&mut stream).await.contains(" 200 "));
    server.stopped().await;
}

#[tokio::test]
async fn a_stop_answers_what_is_in_hand_and_takes_nothing_more() {
    let server = Server::start(|_| {}).await;
    server.service.queue.set_mood(Mood::Hangs);
    let mut stream = server.send(&whole_post("alice")).await;
    until("the call to the store", || server.service.queue.calls() == 1).await;
    server.stop.cancel();
    let refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    timeout(DEADLINE, refused).await.unwrap();
    assert_eq!(server.service.queue.jobs().len(), 0);
    server.service.queue.release();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 202 "));
    let queue = server.service.queue.clone();
    server.stopped().await;
    assert_eq!(queue.jobs().len(), 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_caller_beyond_its_drain() {
    let server = Server::start(|limits| limits.drain = Duration::from_millis(50)).await;
    let _half = server.send("POST /v1/reviews HTTP/1.1\r\n").await;
    let mut idle = server.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut idle, "ok\n").await;
    server.stopped().await;
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_another_to_end() {
    let server = Server::start(|limits| limits.connections_max = 1).await;
    let mut first = server.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut first, "ok\n").await;
    let mut second = server.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(timeout(QUIET, second.read(&mut [0; 1])).await.is_err());
    drop(first);
    read_until(&mut second, "ok\n").await;
    server.stopped().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_its_key() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut config = config();
    config.api.listen = taken.local_addr().unwrap();
    let api = api(&Arc::default(), &Arc::default(), ApiSettings::of(&config).unwrap());
    let error = run(api, &config.api, &Shutdown::new()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {} (api.listen)", config.api.listen));
}

#[tokio::test]
async fn a_connection_is_closed_at_the_end_of_its_lifetime() {
    let server = Server::start(|limits| limits.lifetime = Duration::from_millis(50)).await;
    let mut stream = server.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(read_to_end(&mut stream).await.contains("ok\n"));
    server.stopped().await;
}

#[tokio::test]
async fn an_address_is_known_by_its_connections() {
    let limits =
        limits::Limits { address: Some(limits::Rate::new(1, Duration::from_hours(1), 1)), ..limits::Limits::default() };
    let server = Server::over(Service::start_with(|settings| settings.limits = limits), |_| {}).await;
    for status in ["202", "429"] {
        let mut stream = server.send(&whole_post("ann")).await;
        let mut first = [0; 12];
        timeout(DEADLINE, stream.read_exact(&mut first)).await.unwrap().unwrap();
        assert_eq!(std::str::from_utf8(&first).unwrap(), format!("HTTP/1.1 {status}"));
    }
    server.stopped().await;
}
