//! The ledger's promises on `SQLite`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod suite;

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use async_trait::async_trait;
use ledger::{Ledger, SqliteLedger, SqliteOptions};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

struct File(TempDir);

#[async_trait]
impl suite::Bed for File {
    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(SqliteLedger::open(&SqliteOptions::new(self.0.path().join("ledger.db"))).await.unwrap())
    }

    async fn age(&self, millis: i64) {
        let file = SqliteConnectOptions::new().filename(self.0.path().join("ledger.db"));
        let mut connection = SqliteConnection::connect_with(&file).await.unwrap();
        let older = sqlx::query("update review set created_at_ms = created_at_ms - ?").bind(millis);
        older.execute(&mut connection).await.unwrap();
        let older = "update quota_unit set taken_at_ms = taken_at_ms - ?1, day = (taken_at_ms - ?1) / 86400000";
        sqlx::query(older).bind(millis).execute(&mut connection).await.unwrap();
    }
}

fn file() -> Ready<File> {
    ready(File(tempfile::tempdir().unwrap()))
}

suite::cases!(file());
