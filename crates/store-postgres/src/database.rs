use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sqlx::{
    Connection, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use store::{GroupCommit, StoreError};

use crate::{
    door::Door,
    error::{fault, shutting_down},
    sql,
    wake::Waker,
};

/// Parked jobs of a key that one second look may make ready; the sweep finds what it leaves.
pub(crate) const REFILL_PER_KEY_MAX: i32 = 10;
/// Callers whose wait for the disk one commit ends.
const FLUSH_JOIN_MAX: usize = 4096;

/// The connections.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) door: Door,
    /// Whether each statement may meet another server process, as behind `PgBouncer` in transaction mode.
    pub(crate) pooled: bool,
}

impl Database {
    /// Runs one statement, which is a transaction of its own.
    pub(crate) async fn rows(
        &self,
        what: &'static str,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut connection = self.door.connection().await.map_err(fault(what))?;
        if !self.pooled {
            return query.fetch_all(&mut *connection).await.map_err(fault(what));
        }
        // A statement is prepared and run in two steps, which only a transaction keeps on one server process.
        let mut tx = connection.begin().await.map_err(fault(what))?;
        let rows = query.persistent(false).fetch_all(&mut *tx).await.map_err(fault(what))?;
        tx.commit().await.map_err(fault(what))?;
        Ok(rows)
    }

    /// As [`Database::rows`], for a statement that reads jobs and stands in no function of the schema: its plan does not depend
    /// on statistics either, nor on how large the table was when it was first made.
    pub(crate) async fn tuned_rows(
        &self,
        what: &'static str,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut connection = self.door.connection().await.map_err(fault(what))?;
        let mut tx = connection.begin().await.map_err(fault(what))?;
        sqlx::query(sql::TUNE).persistent(!self.pooled).execute(&mut *tx).await.map_err(fault(what))?;
        let rows = query.persistent(!self.pooled).fetch_all(&mut *tx).await.map_err(fault(what))?;
        tx.commit().await.map_err(fault(what))?;
        Ok(rows)
    }

    /// As [`Database::rows`], for a statement that answers one row.
    pub(crate) async fn row(
        &self,
        what: &'static str,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<PgRow, StoreError> {
        let no_row = || fault(what)(sqlx::Error::RowNotFound);
        self.rows(what, query).await?.into_iter().next().ok_or_else(no_row)
    }
}

/// What all operations use.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) max_wait_ms: i64,
    pub(crate) waker: Waker,
    flushes: GroupCommit<(), Result<(), StoreError>>,
    /// The key of each queue after which its next sweep begins.
    swept: Mutex<HashMap<i32, String>>,
}

impl Shared {
    pub(crate) fn new(database: Database, max_wait_ms: i64) -> Self {
        let of_flushes = database.clone();
        let flushes = GroupCommit::start(FLUSH_JOIN_MAX, FLUSH_JOIN_MAX, move |calls: Vec<()>| {
            let database = of_flushes.clone();
            async move {
                let done = database.row("wait for the disk", sqlx::query(sql::FLUSH)).await.map(drop);
                calls.iter().map(|()| done.as_ref().map_err(StoreError::copied).copied()).collect()
            }
        });
        Self { database, max_wait_ms, waker: Waker::new(), flushes, swept: Mutex::default() }
    }

    /// Waits until all that this process was answered by Postgres is on disk. Commits there do not wait, so that the locks
    /// of the queues are short; one later commit, for all callers that wait together, puts them on disk.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        self.flushes.submit(()).await.map_err(shutting_down)?
    }

    /// Runs a statement that changes something, and waits until it is on disk.
    pub(crate) async fn change(
        &self,
        what: &'static str,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<PgRow, StoreError> {
        let row = self.database.row(what, query).await?;
        self.flush().await?;
        Ok(row)
    }

    /// Looks once more for room of the keys whose jobs a call has parked, named by two columns of its answer: a lease that
    /// it has counted may have ended since.
    pub(crate) async fn refill(&self, answer: &PgRow, at: usize) -> Result<(), StoreError> {
        self.refill_keys(column(answer, at)?, column(answer, at + 1)?).await
    }

    /// As [`Shared::refill`], of keys and the queues that they are of.
    pub(crate) async fn refill_keys(&self, queues: Vec<i32>, keys: Vec<String>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(sql::REFILL).bind(queues).bind(keys).bind(REFILL_PER_KEY_MAX);
        self.offered(column(&self.database.row("unpark", query).await?, 0)?);
        Ok(())
    }

    pub(crate) fn sweep_from(&self, queue: i32) -> String {
        self.swept.lock().unwrap_or_else(PoisonError::into_inner).get(&queue).cloned().unwrap_or_default()
    }

    pub(crate) fn sweep_to(&self, queue: i32, key: String) {
        self.swept.lock().unwrap_or_else(PoisonError::into_inner).insert(queue, key);
    }

    /// Some jobs may have become ready.
    pub(crate) fn woke(&self, any: bool) {
        if any {
            self.waker.wake();
        }
    }

    /// Some jobs may have become ready since this process has ended others.
    pub(crate) fn offered(&self, any: bool) {
        if any {
            self.waker.offer();
        }
    }
}

/// Reads one column.
pub(crate) fn column<'r, T>(row: &'r PgRow, at: usize) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(at).map_err(fault("a row"))
}
