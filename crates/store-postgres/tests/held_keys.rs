//! What becomes of a job whose unique key another's open transaction holds.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::time::Duration;

use job::JobId;
use postgres_testing::{Database, server_url};
use sqlx::{Connection, Executor, PgConnection};
use store::{Enqueued, NewJob, QueueAdmin, QueueStore, StoreError};
use store_conformance::Bed;
use store_postgres::{Options, PostgresQueue};
use tokio::{task::JoinHandle, time::Instant};
use uuid::Uuid;

/// As long as an enqueue may wait for a lock, twice, and what else there is to do.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_mins(1);

struct Scene {
    database: Database,
    queue: PostgresQueue,
    /// Whose transaction has taken the key "held".
    holder: PgConnection,
    held_by: Uuid,
}

impl Scene {
    async fn new() -> Self {
        let database = Database::fresh(server_url()).await;
        let queue = PostgresQueue::open(&database.url, Options::default()).await.unwrap();
        queue.define_queue(&Bed::queue(), None).await.unwrap();
        let mut holder = PgConnection::connect(&database.url).await.unwrap();
        let held_by = Uuid::now_v7();
        holder.execute("BEGIN").await.unwrap();
        let take = sqlx::query("INSERT INTO queue.unique_key (queue, key, job) SELECT id, 'held', $1 FROM queue.queue");
        take.bind(held_by).execute(&mut holder).await.unwrap();
        Self { database, queue, holder, held_by }
    }

    /// Starts a call, and waits until it waits for the key.
    async fn enqueue(&self, job: NewJob) -> JoinHandle<Result<Vec<Enqueued>, StoreError>> {
        let queue = self.queue.clone();
        let call = tokio::spawn(async move { queue.enqueue(&[job]).await });
        let waits =
            "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let deadline = Instant::now() + ANSWERED_WITHIN;
        while self.database.texts(waits).await.is_empty() {
            assert!(Instant::now() < deadline, "nobody waits for the key");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        call
    }
}

#[tokio::test]
async fn a_job_is_stored_whose_key_was_held_by_a_transaction_that_has_rolled_back() {
    let mut scene = Scene::new().await;
    let job = Bed::unique("held", WINDOW);
    let id = job.id;
    let call = scene.enqueue(job).await;
    scene.holder.execute("ROLLBACK").await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), [Enqueued::Inserted]);
    assert!(scene.queue.get(id).await.unwrap().is_some());
    let again = scene.queue.enqueue(&[Bed::unique("held", WINDOW)]).await.unwrap();
    assert_eq!(again, [Enqueued::Duplicate(id)]);
}

#[tokio::test]
async fn a_job_is_a_duplicate_whose_key_was_held_by_a_transaction_that_has_committed() {
    let mut scene = Scene::new().await;
    let job = Bed::unique("held", WINDOW);
    let id = job.id;
    let call = scene.enqueue(job).await;
    scene.holder.execute("COMMIT").await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), [Enqueued::Duplicate(JobId::from(scene.held_by))]);
    assert!(scene.queue.get(id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_key_that_is_held_for_long_fails_those_alone_who_ask_for_it() {
    let mut scene = Scene::new().await;
    let wanting = [Bed::unique("held", WINDOW), Bed::unique("held", WINDOW)];
    let others: Vec<NewJob> = (0..20).map(|n| Bed::unique(&format!("free-{n}"), WINDOW)).collect();
    let calls = wanting.iter().chain(&others).map(|job| {
        let (queue, job) = (scene.queue.clone(), job.clone());
        tokio::spawn(async move { queue.enqueue(&[job]).await })
    });
    let calls: Vec<_> = calls.collect();
    let begun = Instant::now();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    assert!(begun.elapsed() < ANSWERED_WITHIN, "{:?}", begun.elapsed());
    let (of_wanting, of_others) = answers.split_at(wanting.len());
    assert!(of_wanting.iter().all(|answer| answer.as_ref().is_err_and(StoreError::is_transient)), "{of_wanting:?}");
    assert!(of_others.iter().all(|answer| matches!(answer.as_deref(), Ok([Enqueued::Inserted]))), "{of_others:?}");
    // Who has failed has stored nothing, and may ask again.
    scene.holder.execute("ROLLBACK").await.unwrap();
    assert_eq!(scene.queue.enqueue(&wanting[..1]).await.unwrap(), [Enqueued::Inserted]);
}
