//! Jobs that an application stores in a transaction of its own.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::time::Duration;

use job::{Concurrency, ConcurrencyKey, StateName, Supersede, SupersedeKey, Transition, Version, VersionId};
use postgres_testing::{Database, server_url};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, PgTransaction, postgres::PgPoolOptions};
use store::{ENQUEUE_MAX, Enqueued, LimitTarget, NewJob, QueueAdmin, QueueStore, Rejection, StoreError, Wakeups};
use store_conformance::Bed;
use store_postgres::{Options, PostgresQueue, enqueue_in};

use tokio::time::timeout;
use uuid::Uuid;

/// Far beyond what a wake-up takes, so that only one that does not come is late.
const SOON: Duration = Duration::from_secs(5);
/// Less than a lock is waited for.
const NO_WAIT: Duration = Duration::from_secs(3);

/// The queue, and an application's own connections to its database.
struct Stage {
    database: Database,
    queue: PostgresQueue,
    app: PgPool,
}

async fn stage() -> Stage {
    let database = Database::fresh(server_url()).await;
    let queue = PostgresQueue::open(&database.url, Options::default()).await.unwrap();
    queue.define_queue(&Bed::queue(), None).await.unwrap();
    queue.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(Bed::KEY_LIMIT)).await.unwrap();
    let app = PgPoolOptions::new().max_connections(20).connect(&database.url).await.unwrap();
    Stage { database, queue, app }
}

impl Stage {
    async fn state(&self, job: &NewJob) -> Option<StateName> {
        self.queue.get(job.id).await.unwrap().map(|view| view.state.name())
    }
}

fn unique() -> NewJob {
    Bed::unique("invoice:1", Duration::ZERO)
}

fn version(second: i64) -> NewJob {
    let at = jiff::Timestamp::from_second(1_700_000_000 + second).unwrap();
    let version = Version { at, id: VersionId::new(format!("head-{second}")).unwrap() };
    NewJob {
        supersede: Some(Supersede { key: SupersedeKey::new("acme/widgets#1").unwrap(), version }),
        ..Bed::keyed("a")
    }
}

/// All settings of a transaction, but for those that a call may make.
async fn settings(tx: &mut PgTransaction<'_>) -> Vec<(String, String)> {
    let sql = "SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'reviewfleet.%' ORDER BY name";
    sqlx::query_as(sql).persistent(false).fetch_all(&mut **tx).await.unwrap()
}

#[tokio::test]
async fn jobs_are_there_once_the_transaction_commits() {
    let stage = stage().await;
    let job = Bed::job();
    let mut tx = stage.app.begin().await.unwrap();
    let staged = enqueue_in(&mut tx, std::slice::from_ref(&job)).await.unwrap();
    assert_eq!(staged.answers, [Enqueued::Inserted]);
    assert_eq!(stage.state(&job).await, None);
    assert!(stage.queue.claim(&Bed::request(10)).await.unwrap().jobs.is_empty());
    tx.commit().await.unwrap();
    let claimed = stage.queue.claim(&Bed::request(10)).await.unwrap();
    assert_eq!(claimed.jobs[0].job.id, job.id);
    stage.queue.settle(&[{ claimed }.jobs.remove(0).settle(Transition::Complete)]).await.unwrap();
    let depth = stage.queue.stats().await.unwrap();
    assert_eq!((depth[0].ready, depth[0].leased), (0, 0));
}

#[tokio::test]
async fn jobs_of_a_transaction_that_is_rolled_back_never_were() {
    let stage = stage().await;
    let job = unique();
    let mut tx = stage.app.begin().await.unwrap();
    assert_eq!(enqueue_in(&mut tx, std::slice::from_ref(&job)).await.unwrap().answers, [Enqueued::Inserted]);
    let again = unique();
    assert_eq!(
        enqueue_in(&mut tx, std::slice::from_ref(&again)).await.unwrap().answers,
        [Enqueued::Duplicate(job.id)],
        "of the same transaction"
    );
    tx.rollback().await.unwrap();
    assert_eq!(stage.state(&job).await, None);
    assert_eq!(stage.queue.stats().await.unwrap()[0].ready, 0);
    assert_eq!(stage.queue.enqueue(&[again]).await.unwrap(), [Enqueued::Inserted], "the key is free");
}

#[tokio::test]
async fn a_savepoint_takes_its_jobs_back_alone() {
    let stage = stage().await;
    let (kept, gone) = (Bed::job(), version(1));
    let mut tx = stage.app.begin().await.unwrap();
    assert_eq!(enqueue_in(&mut tx, std::slice::from_ref(&kept)).await.unwrap().answers, [Enqueued::Inserted]);
    let mut savepoint = tx.begin().await.unwrap();
    assert_eq!(enqueue_in(&mut savepoint, std::slice::from_ref(&gone)).await.unwrap().answers, [Enqueued::Inserted]);
    savepoint.rollback().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((stage.state(&kept).await, stage.state(&gone).await), (Some(StateName::Ready), None));
    assert_eq!(stage.queue.stats().await.unwrap()[0].ready, 1);
}

#[tokio::test]
async fn a_job_starts_after_an_older_one_of_its_key_that_became_ready_meanwhile() {
    let stage = stage().await;
    stage.queue.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    let older = Bed::keyed("a");
    stage.queue.enqueue(&[Bed::keyed("a"), older.clone()]).await.unwrap();
    let mut running = stage.queue.claim(&Bed::request(1)).await.unwrap().jobs;
    assert!(stage.queue.claim(&Bed::request(1)).await.unwrap().jobs.is_empty());
    let mut tx = stage.app.begin().await.unwrap();
    let staged = enqueue_in(&mut tx, &[Bed::keyed("a")]).await.unwrap();
    assert_eq!(staged.answers, [Enqueued::Inserted]);
    // Others have their turns before the older one becomes ready, which does not see the newer one, nor that it.
    stage.queue.enqueue(&(0..20).map(|_| Bed::job()).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(stage.queue.claim(&Bed::request(20)).await.unwrap().jobs.len(), 20);
    stage.queue.settle(&[running.remove(0).settle(Transition::Complete)]).await.unwrap();
    tx.commit().await.unwrap();
    let started = stage.queue.claim(&Bed::request(10)).await.unwrap().jobs;
    assert_eq!(started.iter().map(|leased| leased.job.id).collect::<Vec<_>>(), [older.id]);
}

#[tokio::test]
async fn each_job_is_answered_as_by_an_enqueue() {
    let stage = stage().await;
    let live = unique();
    stage.queue.enqueue(std::slice::from_ref(&live)).await.unwrap();
    let class = job::LimitClass::new("none").unwrap();
    let unknown = job::QueueName::new("none").unwrap();
    let jobs = [
        unique(),
        live.clone(),
        NewJob { queue: unknown.clone(), ..unique() },
        NewJob { max_attempts: 0, ..Bed::job() },
        NewJob {
            concurrency: Some(Concurrency { key: ConcurrencyKey::new("a").unwrap(), class: class.clone() }),
            ..unique()
        },
        Bed::job(),
    ];
    let mut tx = stage.app.begin().await.unwrap();
    let staged = enqueue_in(&mut tx, &jobs).await.unwrap();
    let expected = [
        Enqueued::Duplicate(live.id),
        Enqueued::Duplicate(live.id),
        Enqueued::Rejected(Rejection::UnknownQueue(unknown)),
        Enqueued::Rejected(Rejection::NoAttempts),
        Enqueued::Rejected(Rejection::UnknownLimitClass(class)),
        Enqueued::Inserted,
    ];
    assert_eq!(staged.answers, expected);
    let many = vec![Bed::job(); ENQUEUE_MAX + 1];
    assert!(matches!(enqueue_in(&mut tx, &many).await, Err(StoreError::Invalid(text)) if text.contains("10000")));
    // A request that is refused leaves the transaction as it was.
    tx.commit().await.unwrap();
    assert_eq!(stage.state(&jobs[5]).await, Some(StateName::Ready));
}

#[tokio::test]
async fn the_callers_settings_are_as_they_were() {
    let stage = stage().await;
    // Once without and once with the queue's lock, whose transactions do not wait for the disk.
    for job in [Bed::keyed("a"), version(1)] {
        for commit in ["off", "local", "on"] {
            let mut tx = stage.app.begin().await.unwrap();
            let set =
                format!("SET LOCAL synchronous_commit = {commit}; SET LOCAL lock_timeout = '77s'; SET LOCAL jit = on");
            sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *tx).await.unwrap();
            // The language has settings of its own, which are there once it is loaded.
            sqlx::raw_sql("DO 'BEGIN END'").execute(&mut *tx).await.unwrap();
            let before = settings(&mut tx).await;
            let staged = enqueue_in(&mut tx, std::slice::from_ref(&job)).await.unwrap();
            assert_eq!(staged.answers, [Enqueued::Inserted]);
            let after = settings(&mut tx).await;
            let changed: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
            assert!(changed.is_empty() && before.len() == after.len(), "{changed:?}");
            tx.rollback().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_callers_next_statement_is_planned_by_its_own_settings() {
    let stage = stage().await;
    let mut tx = stage.app.begin().await.unwrap();
    sqlx::raw_sql("CREATE TABLE invoice (id bigint PRIMARY KEY)").execute(&mut *tx).await.unwrap();
    let staged = enqueue_in(&mut tx, &[Bed::job(), version(1)]).await.unwrap();
    assert_eq!(staged.answers.len(), 2);
    // Of this table's index alone it could be read too, and is where sequential scans are off.
    let plan: String = sqlx::query_scalar("EXPLAIN SELECT id FROM invoice").fetch_one(&mut *tx).await.unwrap();
    assert!(plan.contains("Seq Scan"), "{plan}");
    let prepared: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%queue.%'")
            .persistent(false)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    assert_eq!(prepared, 0, "a pooler would lose what is prepared");
}

#[tokio::test]
async fn idle_workers_of_all_processes_hear_of_what_was_announced() {
    let stage = stage().await;
    let mut wake = stage.queue.subscribe();
    for by_queue in [false, true] {
        let mut tx = stage.app.begin().await.unwrap();
        let staged = enqueue_in(&mut tx, &[Bed::job()]).await.unwrap();
        tx.commit().await.unwrap();
        // The listener wakes once when it has connected.
        while timeout(Duration::from_millis(500), wake.changed()).await.is_ok() {}
        if by_queue {
            stage.queue.announce(staged).await.unwrap();
        } else {
            staged.announce(&stage.app).await.unwrap();
        }
        assert!(timeout(SOON, wake.changed()).await.is_ok(), "by_queue: {by_queue}");
    }
}

#[tokio::test]
async fn a_newer_version_waits_for_the_older_one_that_ends_as_it_commits() {
    for by_queue in [false, true] {
        let stage = stage().await;
        stage.queue.enqueue(&[version(1)]).await.unwrap();
        let running = stage.queue.claim(&Bed::request(1)).await.unwrap().jobs.remove(0);
        let newer = version(2);
        let mut tx = stage.app.begin().await.unwrap();
        let staged = enqueue_in(&mut tx, std::slice::from_ref(&newer)).await.unwrap();
        // The settlement meets the lock of the transaction, which has told the job to stop.
        let settle = [running.settle(Transition::Complete)];
        let (settled, ()) = tokio::join!(stage.queue.settle(&settle), async { tx.commit().await.unwrap() });
        settled.unwrap();
        if by_queue {
            stage.queue.announce(staged).await.unwrap();
        } else {
            staged.announce(&stage.app).await.unwrap();
        }
        assert_eq!(stage.state(&newer).await, Some(StateName::Ready));
        let late = version(1);
        let mut tx = stage.app.begin().await.unwrap();
        let staged = enqueue_in(&mut tx, &[late]).await.unwrap();
        assert_eq!(staged.answers, [Enqueued::Superseded(newer.id)]);
    }
}

#[tokio::test]
async fn who_enqueues_a_key_of_an_open_transaction_waits_for_its_end() {
    let stage = stage().await;
    let first = unique();
    for commits in [false, true] {
        let mut one = stage.app.begin().await.unwrap();
        let staged = enqueue_in(&mut one, std::slice::from_ref(&first)).await.unwrap();
        assert_eq!(staged.answers, [Enqueued::Inserted]);
        let mut other = stage.app.begin().await.unwrap();
        let waits = [unique()];
        let (second, ()) = tokio::join!(enqueue_in(&mut other, &waits), async {
            waited_for(&stage).await;
            if commits { one.commit().await } else { one.rollback().await }.unwrap();
        });
        let expected = if commits { Enqueued::Duplicate(first.id) } else { Enqueued::Inserted };
        assert_eq!(second.unwrap().answers, [expected]);
    }
}

/// Until somebody waits for a lock.
async fn waited_for(stage: &Stage) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waits = async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&stage.app).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, waits).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_never_let_go_is_waited_for_no_longer_than_5_s() {
    let stage = stage().await;
    let mut one = stage.app.begin().await.unwrap();
    let staged = enqueue_in(&mut one, &[unique()]).await.unwrap();
    assert_eq!(staged.answers, [Enqueued::Inserted]);
    let mut other = stage.app.begin().await.unwrap();
    let answer = timeout(2 * SOON, enqueue_in(&mut other, &[unique()])).await.unwrap();
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
}

#[tokio::test]
async fn open_transactions_hold_up_nobody() {
    let stage = stage().await;
    let live = unique();
    stage.queue.enqueue(std::slice::from_ref(&live)).await.unwrap();
    let running = stage.queue.claim(&Bed::request(1)).await.unwrap().jobs.remove(0);
    let mut open = Vec::new();
    // More than there are rows that the queue's own transactions count in, so that some would have to share one.
    for _ in 0..17 {
        let mut tx = stage.app.begin().await.unwrap();
        let staged = timeout(NO_WAIT, enqueue_in(&mut tx, &[Bed::keyed("a"), unique()])).await.unwrap().unwrap();
        assert_eq!(staged.answers, [Enqueued::Inserted, Enqueued::Duplicate(live.id)]);
        open.push(tx);
    }
    let own = async {
        stage.queue.settle(&[running.settle(Transition::Complete)]).await.unwrap();
        assert_eq!(stage.queue.enqueue(&[unique()]).await.unwrap(), [Enqueued::Inserted]);
        assert_eq!(stage.queue.claim(&Bed::request(10)).await.unwrap().jobs.len(), 1);
    };
    timeout(NO_WAIT, own).await.unwrap();
    for tx in open {
        tx.commit().await.unwrap();
    }
    let depth = stage.queue.stats().await.unwrap();
    assert_eq!((depth[0].ready, depth[0].leased), (17, 1));
}

#[tokio::test]
async fn a_user_of_the_database_needs_no_more_than_to_call_it() {
    let stage = stage().await;
    let user = format!("app_{}", Uuid::now_v7().simple());
    let grant = format!(
        "CREATE ROLE {user} LOGIN; GRANT USAGE ON SCHEMA queue TO {user};
         GRANT EXECUTE ON FUNCTION queue.enqueue_in, queue.announce TO {user}"
    );
    stage.database.execute(&grant).await;
    let url = stage.database.url.replace("postgres@", &format!("{user}@"));
    let pool = PgPool::connect(&url).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    let staged = enqueue_in(&mut tx, &[version(1), unique()]).await.unwrap();
    assert_eq!(staged.answers, [Enqueued::Inserted, Enqueued::Inserted]);
    tx.commit().await.unwrap();
    staged.announce(&pool).await.unwrap();
    let read = sqlx::query("SELECT FROM queue.job").execute(&pool).await;
    assert!(read.is_err(), "it has no rights on the tables");
    stage.database.execute(&format!("REVOKE EXECUTE ON FUNCTION queue.enqueue_in FROM {user}")).await;
    let mut tx = pool.begin().await.unwrap();
    let refused = enqueue_in(&mut tx, &[Bed::job()]).await;
    assert!(matches!(&refused, Err(StoreError::Invalid(text)) if text.contains("privilege")), "{refused:?}");
}

#[tokio::test]
async fn a_database_without_a_queue_is_told_apart() {
    let database = Database::fresh(server_url()).await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    let answer = enqueue_in(&mut tx, &[Bed::job()]).await;
    assert!(matches!(answer, Err(StoreError::Schema(_))), "{answer:?}");
}
