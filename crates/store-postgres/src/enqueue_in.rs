use sqlx::{PgPool, PgTransaction};
use store::{Enqueued, NewJob, StoreError, check_enqueue};

use crate::{
    database::{REFILL_PER_KEY_MAX, Shared, column},
    enqueue::{answers, chunk, statement, tried, with_refused},
    error::fault,
    sql,
};

/// Stores jobs in a transaction of the caller's, in the database of the queue: they are there once it commits, and never
/// were if it is rolled back, or a savepoint before the call is. At most [`store::ENQUEUE_MAX`] jobs; what they must be like
/// is as for [`store::QueueStore::enqueue`]. The transaction must be on the queue's database, and needs no pool of this crate.
///
/// The caller's settings are afterwards as they were before: its statements are planned, and its commit waits for the disk,
/// as if there had been no call. Nothing stays prepared on the connection, so that any pooler may stand between.
///
/// What the transaction holds until it ends, so that it had better end soon:
///  * Unique keys that it takes: who enqueues the same key waits for its end, at most 5 s.
///  * With versioned jobs, or jobs of a class whose throttle refuses, **the whole queue**: nobody claims from it, and nobody
///    else enqueues such jobs, before the transaction ends. Give all of them in one call, so that no two transactions wait
///    for each other's queues. `idle_in_transaction_session_timeout`, set for the application's user, ends a transaction
///    whose client has forgotten it; this call does not set it.
///
/// An error leaves the transaction aborted, as any error of Postgres does: it is to be rolled back, or to a savepoint. It is
/// [`StoreError::Unavailable`], and worth another try of the whole transaction, when a lock was not had in 5 s, when two
/// transactions wait for each other, and when an isolation above `READ COMMITTED` finds what it has read changed.
pub async fn enqueue_in(tx: &mut PgTransaction<'_>, jobs: &[NewJob]) -> Result<Staged, StoreError> {
    check_enqueue(jobs.len())?;
    let jobs: Vec<&NewJob> = jobs.iter().collect();
    let mut staged = Staged { answers: Vec::with_capacity(jobs.len()), ..Staged::default() };
    let mut rest = &jobs[..];
    while let Some((now, later)) = chunk(rest) {
        staged.add(tx, now).await?;
        rest = later;
    }
    Ok(staged)
}

/// Jobs that were stored in a transaction which may not have committed yet.
///
/// Once it has, [`Staged::announce`] or [`PostgresQueue::announce`](crate::PostgresQueue::announce) tells idle workers. That
/// is not done by the transaction itself: a commit with a notification takes a lock of the whole server, and would make the
/// caller's commits wait for each other. Without it, or when the process dies before, the jobs wait until workers poll.
#[derive(Debug, Clone, Default)]
#[must_use = "once the transaction has committed, announce it: workers find the jobs only when they poll otherwise"]
pub struct Staged {
    /// What becomes of each job, in order, if the transaction commits. The holder of a
    /// [`Duplicate`](Enqueued::Duplicate) may be a job of the same transaction.
    pub answers: Vec<Enqueued>,
    /// Whether any is ready.
    woke: bool,
    /// Queues and keys of jobs that wait for an older version: it may have ended since.
    parked_queues: Vec<i32>,
    parked_keys: Vec<String>,
}

impl Staged {
    async fn add(&mut self, tx: &mut PgTransaction<'_>, jobs: &[&NewJob]) -> Result<(), StoreError> {
        let tried = tried(jobs);
        let mut stored = Vec::new();
        if !tried.is_empty() {
            let query = statement(sql::ENQUEUE_IN, &tried).persistent(false);
            let row = query.fetch_one(&mut **tx).await.map_err(fault("enqueue in a transaction"))?;
            stored = answers(&tried, &row)?;
            self.woke |= column::<bool>(&row, 2)?;
            self.parked_queues.extend(column::<Vec<i32>>(&row, 4)?);
            self.parked_keys.extend(column::<Vec<String>>(&row, 5)?);
        }
        self.answers.extend(with_refused(jobs, stored));
        Ok(())
    }

    /// Wakes idle workers, after the commit, by a short transaction on another connection to the queue's database. Harmless
    /// if the transaction was rolled back.
    pub async fn announce(self, pool: &PgPool) -> Result<(), StoreError> {
        if !self.woke && self.parked_keys.is_empty() {
            return Ok(());
        }
        let what = fault("announce");
        // A transaction keeps both steps of the statement on one server process, should a pooler stand between.
        let mut tx = pool.begin().await.map_err(&what)?;
        let query = sqlx::query(sql::ANNOUNCE).bind(self.parked_queues).bind(self.parked_keys).bind(REFILL_PER_KEY_MAX);
        query.persistent(false).execute(&mut *tx).await.map_err(&what)?;
        tx.commit().await.map_err(&what)
    }

    pub(crate) async fn announce_by(self, shared: &Shared) -> Result<(), StoreError> {
        shared.woke(self.woke);
        shared.refill_keys(self.parked_queues, self.parked_keys).await
    }
}
