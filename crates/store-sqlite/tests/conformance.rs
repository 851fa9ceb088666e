//! The queue's contract on `SQLite`.

#![expect(clippy::unwrap_used, reason = "a harness fails its test")]

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use store::QueueBackend;
use store_conformance::Harness;
use store_sqlite::{Clock, Options, SqliteQueue};
use tempfile::TempDir;

/// A file of its own for each case, and a clock that stands still until it is moved.
struct SqliteHarness {
    dir: TempDir,
    clock: Clock,
    crashes: AtomicU32,
}

impl SqliteHarness {
    fn path(&self) -> PathBuf {
        self.dir.path().join(format!("queue-{}.db", self.crashes.load(Ordering::SeqCst)))
    }
}

async fn fresh() -> SqliteHarness {
    let clock = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
    SqliteHarness { dir: tempfile::tempdir().unwrap(), clock, crashes: AtomicU32::new(0) }
}

#[async_trait]
impl Harness for SqliteHarness {
    async fn open(&self) -> Arc<dyn QueueBackend> {
        let options = Options { clock: self.clock.clone(), ..Options::default() };
        Arc::new(SqliteQueue::open(self.path(), options).await.unwrap())
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// What a killed process leaves is its files as they are: the log with all that was committed and carried over into
    /// the file by nobody.
    async fn crash(&self) {
        let before = self.path();
        self.crashes.fetch_add(1, Ordering::SeqCst);
        let after = self.path();
        fs::copy(&before, &after).unwrap();
        fs::copy(before.with_extension("db-wal"), after.with_extension("db-wal")).unwrap();
    }
}

store_conformance::conformance!(fresh);
