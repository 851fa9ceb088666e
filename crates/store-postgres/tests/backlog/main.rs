//! What an operation reads is the same amid some thousand jobs and amid a million, with the statistics of an empty table as with
//! true ones.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::time::Duration;

use job::{
    AttemptError, AttemptErrorKind, BuryReason, CancelReason, Concurrency, ConcurrencyKey, JobId, Priority, Transition,
};
use postgres_testing::{Database, server_url};
use store::{
    Budget, Checkpoint, JobFilter, LeasedJob, LimitTarget, NewJob, PauseTarget, QueueAdmin, QueueStore, ReapRequest,
    ReplayFilter,
};
use store_conformance::Bed;
use store_postgres::{Options, PostgresQueue};

/// Jobs of each state in the small backlog and in the large one: ready, scheduled, parked and finished.
const FEW: usize = 4_000;
const MANY: usize = 250_000;
/// Times that the server plans a statement anew before it may keep a plan.
const PLANS_AFTER: usize = 5;
/// Jobs that one operation is about.
const BATCH: usize = 100;

/// What Postgres has read.
#[derive(Debug, Clone, Copy)]
struct Reads {
    /// Rows of tables that were walked.
    walked: i64,
    /// Entries of indexes, dead ones included.
    entries: i64,
    /// Pages of tables and indexes.
    pages: i64,
}

impl Reads {
    /// Whether it is about as much as amid few jobs, of which a table may be walked. Trees of indexes are higher by two pages,
    /// and entries of jobs that have left stand beside those that are looked for, since nobody cleans up; whoever walks an index
    /// reads a hundred thousand.
    const fn is_like(self, few: Self) -> bool {
        self.walked == 0 && self.entries <= few.entries * 2 + 1_000 && self.pages <= few.pages * 2 + 1_000
    }
}

/// What each operation has read, in the order in which they were called.
struct Log {
    queue: PostgresQueue,
    read: Vec<(&'static str, Reads)>,
}

impl Log {
    /// All that the queue's one connection has read so far.
    async fn reads(&self) -> Reads {
        let flush = sqlx::query("SELECT pg_stat_force_next_flush()");
        flush.execute(self.queue.pool()).await.unwrap();
        let (walked, entries, pages) = sqlx::query_as(
            "SELECT (SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables
                     WHERE schemaname = 'queue' AND (relname IN ('job', 'job_error', 'checkpoint', 'unique_key', 'claimed')
                                                     OR relname LIKE 'history%')),
                    (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE schemaname = 'queue'),
                    (SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0))::bigint
                     FROM pg_statio_user_tables WHERE schemaname = 'queue')",
        )
        .fetch_one(self.queue.pool())
        .await
        .unwrap();
        Reads { walked, entries, pages }
    }

    async fn of<T, E: std::fmt::Debug>(&mut self, what: &'static str, work: impl Future<Output = Result<T, E>>) -> T {
        let before = self.reads().await;
        let answer = work.await.unwrap();
        let after = self.reads().await;
        let read = Reads {
            walked: after.walked - before.walked,
            entries: after.entries - before.entries,
            pages: after.pages - before.pages,
        };
        self.read.push((what, read));
        answer
    }
}

fn job(number: usize) -> NewJob {
    let key = ConcurrencyKey::new(format!("user:{}", number % 500)).unwrap();
    NewJob { concurrency: Some(Concurrency { key, class: Bed::class() }), ..Bed::job() }
}

/// A job of the backlog, looked for on the queue's own connection: what another one has read is counted later.
async fn any(queue: &PostgresQueue, of: &'static str) -> JobId {
    JobId::from(sqlx::query_scalar::<_, uuid::Uuid>(of).fetch_one(queue.pool()).await.unwrap())
}

fn complete(jobs: Vec<LeasedJob>) -> Vec<store::Settlement> {
    jobs.into_iter().map(|leased| leased.settle(Transition::Complete)).collect()
}

/// Ends jobs in all the other ways.
fn end_otherwise(jobs: Vec<LeasedJob>) -> Vec<store::Settlement> {
    let error = || AttemptError::new(1, AttemptErrorKind::Transient, "connection reset");
    let each = jobs.into_iter().enumerate();
    each.map(|(n, leased)| {
        leased.settle(match n % 4 {
            0 => Transition::Retry { delay: Duration::from_hours(24), error: error() },
            1 => Transition::Bury { reason: BuryReason::Permanent, error: error() },
            2 => Transition::Release,
            _ => Transition::Cancel(CancelReason::Requested),
        })
    })
    .collect()
}

struct Scene {
    database: Database,
    filled: usize,
}

impl Scene {
    async fn new() -> Self {
        let database = Database::fresh(server_url()).await;
        let scene = Self { database, filled: 0 };
        let queue = scene.open().await;
        queue.define_queue(&Bed::queue(), None).await.unwrap();
        queue.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(10)).await.unwrap();
        let one = job::LimitClass::new("one").unwrap();
        queue.set_limit(&LimitTarget::Class(Bed::queue(), one), Some(1)).await.unwrap();
        queue.close().await;
        // Nobody but the test makes statistics.
        let tables =
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'queue'::regnamespace";
        for table in scene.database.texts(tables).await {
            scene.database.execute(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await;
        }
        scene.database.execute("ANALYZE").await;
        scene
    }

    /// One connection, so that what is read is counted when an operation has ended.
    async fn open(&self) -> PostgresQueue {
        let options = Options { connections_max: 1, ..Options::default() };
        PostgresQueue::open(&self.database.url, options).await.unwrap()
    }

    async fn fill(&mut self, to: usize) {
        let (first, rows) = (self.filled, to - self.filled);
        let set = format!("SET backlog.first = '{first}'; SET backlog.rows = '{rows}';");
        self.database.execute(&(set + include_str!("fill.sql"))).await;
        self.filled = to;
    }

    async fn advance(&self, by: Duration) {
        self.database.execute(&format!("UPDATE queue.clock SET offset_ms = offset_ms + {}", by.as_millis())).await;
    }

    /// Calls all operations, and answers what they have read.
    async fn operate(&self, queue: &PostgresQueue) -> Vec<(&'static str, Reads)> {
        let mut log = Log { queue: queue.clone(), read: Vec::new() };
        self.cycle(queue, &mut log).await;
        self.park_and_fill(queue, &mut log).await;
        self.reap(queue, &mut log).await;
        self.watch(queue, &mut log).await;
        log.read
    }

    async fn cycle(&self, queue: &PostgresQueue, log: &mut Log) {
        log.of("enqueue one", queue.enqueue(&[job(0)])).await;
        let with_unique =
            |n| NewJob { unique: Bed::unique(&format!("{}", uuid::Uuid::now_v7()), Bed::LEASE).unique, ..job(n) };
        log.of("enqueue many", queue.enqueue(&(0..BATCH).map(with_unique).collect::<Vec<_>>())).await;
        let claimed = log.of("claim", queue.claim(&Bed::request(BATCH))).await.jobs;
        assert_eq!(claimed.len(), BATCH);
        let leases: Vec<_> = claimed.iter().map(|leased| leased.lease).collect();
        log.of("renew", queue.renew(&leases, Bed::LEASE)).await;
        let checkpoint = Checkpoint { step: "fetch".to_owned(), value: vec![1] };
        log.of("checkpoint", queue.checkpoint(&leases[0], &checkpoint)).await;
        log.of("settle as completed", queue.settle(&complete(claimed))).await;
        let claimed = log.of("claim again", queue.claim(&Bed::request(BATCH))).await.jobs;
        log.of("settle otherwise", queue.settle(&end_otherwise(claimed))).await;
    }

    async fn park_and_fill(&self, queue: &PostgresQueue, log: &mut Log) {
        let hot = |_| NewJob { priority: Priority(100), ..Bed::keyed("user:hot") };
        queue.enqueue(&(0..20).map(hot).collect::<Vec<_>>()).await.unwrap();
        let running = queue.claim(&Bed::request(10)).await.unwrap().jobs;
        let others = log.of("claim and park", queue.claim(&Bed::request(10))).await.jobs;
        log.of("settle and unpark", queue.settle(&complete(running))).await;
        queue.settle(&complete(others)).await.unwrap();
        let again = queue.claim(&Bed::request(10)).await.unwrap().jobs;
        assert!(again.iter().all(|leased| leased.job.priority == Priority(100)), "those that were parked come first");
        log.of("settle and unpark again", queue.settle(&complete(again))).await;
    }

    async fn reap(&self, queue: &PostgresQueue, log: &mut Log) {
        let request = || {
            let request = Bed::request(BATCH);
            ReapRequest { id: request.id, worker: request.worker, lease: request.lease, max: BATCH }
        };
        assert_eq!(log.of("reap nothing", queue.reap(&request())).await.len(), 0);
        assert_eq!(queue.claim(&Bed::request(BATCH)).await.unwrap().jobs.len(), BATCH);
        self.advance(Bed::LEASE + Duration::from_millis(1)).await;
        let reaped = log.of("reap", queue.reap(&request())).await;
        assert_eq!(reaped.len(), BATCH);
        let crash = |leased: LeasedJob| {
            let transition = Bed::decide(&leased, &Bed::crashed());
            leased.settle(transition)
        };
        log.of("settle as crashed", queue.settle(&reaped.into_iter().map(crash).collect::<Vec<_>>())).await;
        self.advance(Duration::from_secs(10)).await;
        let done = log.of("maintain", queue.maintain(&Budget { jobs_max: 1_000 })).await;
        assert_eq!(done.due, BATCH);
        log.of("maintain nothing", queue.maintain(&Budget { jobs_max: 1_000 })).await;
        let none = log.of("maintain little", queue.maintain(&Budget { jobs_max: 1 })).await;
        assert_eq!(none.due, 0);
    }

    async fn watch(&self, queue: &PostgresQueue, log: &mut Log) {
        log.of("stats", queue.stats()).await;
        let live = any(queue, "SELECT id FROM queue.job WHERE state = 0 LIMIT 1").await;
        let finished = any(queue, "SELECT id FROM queue.history WHERE state = 5 LIMIT 1").await;
        assert!(log.of("get", queue.get(live)).await.is_some());
        assert!(log.of("get finished", queue.get(finished)).await.is_some());
        let page = JobFilter { limit: 50, ..JobFilter::default() };
        let first = log.of("list", queue.list(&page)).await;
        let next = JobFilter { before: first.next, ..page };
        assert_eq!(log.of("list the next page", queue.list(&next)).await.jobs.len(), 50);
        log.of("cancel", queue.cancel(live, CancelReason::Requested)).await;
        log.of("retry", queue.retry(finished)).await;
        let some = ReplayFilter { max: 20, ..ReplayFilter::default() };
        assert_eq!(log.of("replay", queue.replay(&some)).await.0, 20);
        log.of("prune", queue.prune(jiff::Timestamp::MAX, BATCH)).await;
        self.advance(Duration::from_mins(10)).await;
        let starved = log.of("claim the starved", queue.claim(&Bed::request(BATCH))).await.jobs;
        queue.settle(&complete(starved)).await.unwrap();
        // The time before a pause is no starvation.
        let all = PauseTarget::Queue(Bed::queue());
        log.of("pause", queue.pause(&all)).await;
        log.of("resume", queue.resume(&all)).await;
    }
}

#[tokio::test]
async fn what_an_operation_reads_does_not_grow_with_the_backlog() {
    let mut scene = Scene::new().await;
    scene.fill(FEW).await;
    // As the server does by itself sooner or later: the table is known to be small.
    scene.database.execute("ANALYZE").await;
    let queue = scene.open().await;
    let few = scene.operate(&queue).await;
    // From then on the server keeps its plans, made for few jobs.
    for _ in 0..PLANS_AFTER {
        scene.operate(&queue).await;
    }
    scene.fill(MANY).await;
    let old_plans = scene.operate(&queue).await;
    queue.close().await;
    let queue = scene.open().await;
    let empty_statistics = scene.operate(&queue).await;
    queue.close().await;
    scene.database.execute("ANALYZE").await;
    let queue = scene.open().await;
    let true_statistics = scene.operate(&queue).await;
    queue.close().await;
    let among_many = [
        ("with the plans of a small table", old_plans),
        ("with the statistics of an empty table", empty_statistics),
        ("with true statistics", true_statistics),
    ];
    let mut grown = Vec::new();
    for (with, many) in &among_many {
        for ((what, few), (_, many)) in few.iter().zip(many) {
            if !many.is_like(*few) {
                grown.push(format!("{what} {with}: {many:?}, and amid few jobs {few:?}"));
            }
        }
    }
    assert!(grown.is_empty(), "{grown:#?}");
}
