//! Servers that misbehave on demand.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

use super::{Client, HttpSettings};
use crate::ModelRequest;

pub(super) fn quick() -> HttpSettings {
    HttpSettings {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(20),
        retries_max: 2,
        retry_wait: Duration::from_millis(2),
        retry_wait_max: Duration::from_millis(10),
    }
}

pub(super) fn client(settings: HttpSettings) -> Client {
    // A second installation is refused, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(settings).unwrap()
}

pub(super) fn request() -> ModelRequest {
    ModelRequest {
        system: "You review.".to_owned(),
        prompt: "a change".to_owned(),
        schema: crate::answer_schema(),
        output_tokens_max: 512,
    }
}

/// A server that gives its answers one after another, and the last one from then on.
pub(super) struct Script(MockServer);

struct Answers(Vec<ResponseTemplate>, AtomicUsize);

impl Respond for Answers {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let at = self.1.fetch_add(1, Ordering::SeqCst);
        self.0[at.min(self.0.len() - 1)].clone()
    }
}

impl Script {
    pub(super) async fn new(answers: impl IntoIterator<Item = ResponseTemplate>) -> Self {
        let server = MockServer::start().await;
        let answers = Answers(answers.into_iter().collect(), AtomicUsize::new(0));
        Mock::given(any()).respond_with(answers).mount(&server).await;
        Self(server)
    }

    pub(super) async fn json(answers: impl IntoIterator<Item = Value>) -> Self {
        Self::new(answers.into_iter().map(|a| ResponseTemplate::new(200).set_body_json(a))).await
    }

    pub(super) fn uri(&self) -> String {
        self.0.uri()
    }

    pub(super) async fn requests(&self) -> Vec<Request> {
        self.0.received_requests().await.unwrap()
    }

    pub(super) async fn calls(&self) -> usize {
        self.requests().await.len()
    }
}

/// A server that answers its first connections with these bytes and then hangs up (or stalls), and all connections from
/// the `whole_from`-th on with a whole answer. Gives its address.
pub(super) async fn raw(answer: &'static str, whole_from: usize, stalls: bool) -> String {
    const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nwhole";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        for connection in 1.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The client's whole request fits into one small read.
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = if connection >= whole_from && !stalls { WHOLE } else { answer };
            let _ = stream.write_all(answer.as_bytes()).await;
            if stalls {
                held.push(stream);
            }
        }
    });
    format!("http://{address}")
}

/// An address that nobody listens on.
pub(super) async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
