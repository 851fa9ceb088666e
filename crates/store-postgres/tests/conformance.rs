//! The queue's contract on Postgres.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use postgres_testing::{Database, server_url};
use store::QueueBackend;
use store_conformance::Harness;
use store_postgres::{Options, PostgresQueue};

/// A database of its own for each case, with a clock that stands still until it is moved.
struct PostgresHarness(Database);

async fn fresh() -> PostgresHarness {
    let database = Database::fresh(server_url()).await;
    PostgresQueue::open(&database.url, Options::default()).await.unwrap().close().await;
    // In the month in which ids are made now.
    database.execute("UPDATE queue.clock SET stands_at_ms = queue.queue_now()").await;
    PostgresHarness(database)
}

#[async_trait]
impl Harness for PostgresHarness {
    async fn open(&self) -> Arc<dyn QueueBackend> {
        Arc::new(PostgresQueue::open(&self.0.url, Options::default()).await.unwrap())
    }

    async fn advance(&self, by: Duration) {
        self.0.execute(&format!("UPDATE queue.clock SET offset_ms = offset_ms + {}", by.as_millis())).await;
    }

    /// The clients end; the server, which other cases use, goes on. `durability` ends a server.
    async fn crash(&self) {
        self.0.cut().await;
    }
}

store_conformance::conformance!(fresh);
