//! The queue's contract on Redis.

mod support;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use store::QueueBackend;
use store_conformance::Harness;
use support::{Server, advance, namespace, open, stop_clock};

/// A server of its own for each case, which kills it, with a clock that stands still until it is moved.
struct RedisHarness {
    server: Server,
    namespace: String,
}

async fn fresh() -> RedisHarness {
    let (server, namespace) = (Server::start(&[]), namespace());
    stop_clock(&server, &namespace).await;
    RedisHarness { server, namespace }
}

#[async_trait]
impl Harness for RedisHarness {
    async fn open(&self) -> Arc<dyn QueueBackend> {
        open(&self.server, &self.namespace).await.shared()
    }

    async fn advance(&self, by: Duration) {
        advance(&self.server, &self.namespace, by).await;
    }

    /// The server itself is killed, and reads its log anew.
    async fn crash(&self) {
        self.server.crash();
    }
}

store_conformance::conformance!(fresh);
