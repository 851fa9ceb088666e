use std::time::Duration;

use serde::Serialize;
use sqlx::{Sqlite, SqliteConnection, Transaction, sqlite::SqliteRow};
use store::StoreError;

use crate::{
    error::{committing, undone},
    json,
    queue::Shared,
    sql,
};

/// One writing transaction. It holds the file's only write lock from its first statement, so that what it reads stays
/// true until it commits: limits, turns and unique keys are decided in it without any other lock.
pub(crate) struct Write<'a> {
    tx: Transaction<'static, Sqlite>,
    shared: &'a Shared,
    what: &'static str,
    /// The store's clock, read once the lock was held: the times of two transactions are in the order of their commits.
    pub(crate) now_ms: i64,
    /// Whether a job may have become ready.
    woke: bool,
}

impl<'a> Write<'a> {
    pub(crate) async fn begin(shared: &'a Shared, what: &'static str) -> Result<Self, StoreError> {
        shared.file.check(what)?;
        let tx = shared.writer.begin_with("BEGIN IMMEDIATE").await.map_err(undone(what))?;
        Ok(Self { tx, shared, what, now_ms: shared.clock.now_ms(), woke: false })
    }

    /// Makes all of it durable, then wakes who waits for work.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(committing(self.what))?;
        if self.woke {
            self.shared.wake.send_replace(());
        }
        Ok(())
    }

    /// How long a key may wait before it gets a start out of turn.
    pub(crate) const fn max_wait(&self) -> Duration {
        self.shared.max_wait
    }

    pub(crate) const fn became_ready(&mut self) {
        self.woke = true;
    }

    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }

    /// Makes the seam's error of a fault in this transaction, which then is rolled back.
    pub(crate) fn fault(&self) -> impl Fn(sqlx::Error) -> StoreError + use<> {
        undone(self.what)
    }

    /// Runs a statement on a batch; answers how many rows it has changed. An empty batch costs nothing.
    pub(crate) async fn each<T: Serialize>(&mut self, sql: &'static str, rows: &[T]) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let done = sqlx::query(sql).bind(json::array(rows)?).execute(&mut *self.tx).await;
        Ok(done.map_err(self.fault())?.rows_affected())
    }

    /// As [`Write::each`], with a number such as the time as the second parameter.
    pub(crate) async fn each_with<T: Serialize>(
        &mut self,
        sql: &'static str,
        rows: &[T],
        second: i64,
    ) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let done = sqlx::query(sql).bind(json::array(rows)?).bind(second).execute(&mut *self.tx).await;
        Ok(done.map_err(self.fault())?.rows_affected())
    }

    /// Reads with a batch.
    pub(crate) async fn rows_of<T: Serialize>(
        &mut self,
        sql: &'static str,
        rows: &[T],
    ) -> Result<Vec<SqliteRow>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        sqlx::query(sql).bind(json::array(rows)?).fetch_all(&mut *self.tx).await.map_err(self.fault())
    }

    /// As [`Write::rows_of`], with a number such as the time as the second parameter.
    pub(crate) async fn rows_with<T: Serialize>(
        &mut self,
        sql: &'static str,
        rows: &[T],
        second: i64,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        sqlx::query(sql).bind(json::array(rows)?).bind(second).fetch_all(&mut *self.tx).await.map_err(self.fault())
    }

    /// Takes `count` arrival numbers; answers the first of them.
    pub(crate) async fn arrivals(&mut self, count: usize) -> Result<i64, StoreError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let last: i64 =
            sqlx::query_scalar(sql::ARRIVE).bind(count).fetch_one(&mut *self.tx).await.map_err(self.fault())?;
        Ok(last - count + 1)
    }
}
