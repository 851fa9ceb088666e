//! What an operation reads does not grow with what waits, whatever the statistics say.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::time::Duration;

use job::{Concurrency, ConcurrencyKey, Transition};
use postgres_testing::{Database, server_url};
use sqlx::{Connection, PgConnection};
use store::{Budget, LimitTarget, NewJob, QueueAdmin, QueueStore, ReapRequest};
use store_conformance::Bed;
use store_postgres::{Options, PostgresQueue};
use tokio::time::Instant;

const WAITING: usize = 60_000;
const BATCH: usize = 100;
/// Index entries, dead ones included, that one job may cost each of the operations on its way.
const READ_PER_JOB_MAX: i64 = 40;
/// Entries that a round may read whatever its size, for the neighbours of its jobs and the sweep of 200 keys; less than wait.
const READ_PER_ROUND_MAX: i64 = 40_000;

fn job(number: usize) -> NewJob {
    let key = ConcurrencyKey::new(format!("user:{}", number % 500)).unwrap();
    NewJob { concurrency: Some(Concurrency { key, class: Bed::class() }), ..Bed::job() }
}

/// Rows read by walking a table of jobs, and entries read from their indexes.
async fn reads(database: &Database) -> (i64, i64) {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    // Counts reach the views when a connection has ended.
    let deadline = Instant::now() + Duration::from_secs(10);
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(open).fetch_one(&mut connection).await.unwrap() > 0 {
        assert!(Instant::now() < deadline, "the queue's connections do not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let read = sqlx::query_as(
        "SELECT (SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables
                 WHERE schemaname = 'queue' AND (relname IN ('job', 'job_error', 'checkpoint', 'unique_key')
                                                 OR relname LIKE 'history%')),
                (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
                 WHERE schemaname = 'queue' AND (relname = 'job' OR relname LIKE 'history%'))",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    read
}

/// One job's whole way for a batch: enqueue, claim, renew, settle, reap, maintain and scrape.
async fn round(queue: &PostgresQueue) {
    queue.enqueue(&(0..BATCH).map(job).collect::<Vec<_>>()).await.unwrap();
    let claimed = queue.claim(&Bed::request(BATCH)).await.unwrap();
    assert_eq!(claimed.jobs.len(), BATCH);
    let leases: Vec<_> = claimed.jobs.iter().map(|leased| leased.lease).collect();
    queue.renew(&leases, Bed::LEASE).await.unwrap();
    let ends = [Transition::Complete, Transition::Release];
    let settle = |(n, leased): (usize, store::LeasedJob)| leased.settle(ends[usize::from(n % 10 == 0)].clone());
    queue.settle(&claimed.jobs.into_iter().enumerate().map(settle).collect::<Vec<_>>()).await.unwrap();
    let request = Bed::request(BATCH);
    let reap = ReapRequest { id: request.id, worker: request.worker, lease: request.lease, max: BATCH };
    assert!(queue.reap(&reap).await.unwrap().is_empty());
    queue.maintain(&Budget { jobs_max: BATCH }).await.unwrap();
    queue.stats().await.unwrap();
}

async fn costs_stay_flat(prepare: &str) {
    let database = Database::fresh(server_url()).await;
    let options = Options { connections_max: 2, ..Options::default() };
    let queue = PostgresQueue::open(&database.url, options.clone()).await.unwrap();
    database.execute("ALTER TABLE queue.job SET (autovacuum_enabled = off)").await;
    queue.define_queue(&Bed::queue(), None).await.unwrap();
    queue.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(10)).await.unwrap();
    database.execute(prepare).await;
    // Plans are made here, for a table that is all but empty.
    round(&queue).await;
    for first in (0..WAITING).step_by(2_000) {
        queue.enqueue(&(first..first + 2_000).map(job).collect::<Vec<_>>()).await.unwrap();
    }
    queue.close().await;
    let before = reads(&database).await;
    let queue = PostgresQueue::open(&database.url, options).await.unwrap();
    for _ in 0..10 {
        round(&queue).await;
    }
    queue.close().await;
    let after = reads(&database).await;
    let (walked, read) = (after.0 - before.0, after.1 - before.1);
    let most = 10 * (READ_PER_ROUND_MAX + READ_PER_JOB_MAX * i64::try_from(BATCH).unwrap());
    assert_eq!(walked, 0, "a table of jobs was walked");
    assert!(read <= most, "{read} index entries were read in 10 rounds of {BATCH} jobs, and {most} may be");
}

#[tokio::test]
async fn costs_stay_flat_without_statistics() {
    costs_stay_flat("SELECT 1").await;
}

#[tokio::test]
async fn costs_stay_flat_with_the_statistics_of_empty_tables() {
    costs_stay_flat("ANALYZE").await;
}
