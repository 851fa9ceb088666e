//! What is answered is kept when the server itself ends without a word.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use postgres_testing::{Database, Server};
use store::QueueBackend;
use store_conformance::{Bed, Harness, cases::durable};
use store_postgres::{Options, PostgresQueue};

struct CrashingHarness {
    server: Server,
    database: Database,
}

#[async_trait]
impl Harness for CrashingHarness {
    async fn open(&self) -> Arc<dyn QueueBackend> {
        Arc::new(PostgresQueue::open(&self.database.url, Options::default()).await.unwrap())
    }

    async fn advance(&self, by: Duration) {
        self.database.execute(&format!("UPDATE queue.clock SET offset_ms = offset_ms + {}", by.as_millis())).await;
    }

    async fn crash(&self) {
        self.server.crash();
        self.server.restart();
    }
}

async fn bed() -> Bed {
    // Commits that nobody waits for are written as late as Postgres allows, and by its own settings nobody waits for any.
    let server = Server::start(&["wal_writer_delay=10s", "wal_writer_flush_after=0", "synchronous_commit=off"]);
    let database = Database::fresh(&server.url).await;
    Bed::new(CrashingHarness { server, database }).await
}

#[tokio::test]
async fn an_answered_enqueue_outlives_the_server() {
    durable::an_answered_enqueue_outlives_a_crash(bed().await).await;
}

#[tokio::test]
async fn a_lease_outlives_the_server() {
    durable::a_lease_outlives_a_crash(bed().await).await;
}

#[tokio::test]
async fn a_settlement_outlives_the_server() {
    durable::a_settlement_outlives_a_crash(bed().await).await;
}

#[tokio::test]
async fn a_pause_and_a_limit_outlive_the_server() {
    durable::a_pause_and_a_limit_outlive_a_crash(bed().await).await;
}
