//! The queue's contract on Redis.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod support;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use store::QueueBackend;
use store_conformance::Harness;
use support::{advance, namespace, open, server, stop_clock};

/// A namespace of its own for each case, with a clock that stands still until it is moved.
struct RedisHarness(String);

async fn fresh() -> RedisHarness {
    let namespace = namespace();
    stop_clock(server(), &namespace).await;
    RedisHarness(namespace)
}

#[async_trait]
impl Harness for RedisHarness {
    async fn open(&self) -> Arc<dyn QueueBackend> {
        open(server(), &self.0).await.shared()
    }

    async fn advance(&self, by: Duration) {
        advance(server(), &self.0, by).await;
    }

    /// The server itself is killed, and reads its log anew.
    async fn crash(&self) {
        server().crash();
    }
}

store_conformance::conformance!(fresh);
