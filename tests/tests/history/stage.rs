//! A server with a queue, the judge in its database, and the callers who put jobs in and see them end.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use job::{
    ClaimId, Concurrency, ConcurrencyKey, JobId, JobKind, LimitClass, Payload, Priority, QueueName, Transition, Weight,
    WorkerId,
};
use postgres_testing::{Database, Server};
use sqlx::{Connection, PgConnection, Row};
use store::{ClaimRequest, Enqueued, LimitTarget, NewJob, QueueAdmin, QueueStore, Settled};
use store_postgres::{Options, PostgresQueue};
use uuid::Uuid;

use crate::{
    checker::{Event, Finished, History, Violation},
    worker::{LEASE, Recipe},
};

const KEYS: usize = 30;
const QUEUE_LIMIT: u32 = 24;
/// How many jobs come at once, and how often: some three thousand in five seconds.
const BATCH: usize = 30;
const BATCH_EVERY: Duration = Duration::from_millis(50);
/// A test with fewer has tested too little, however busy the machine.
const JOBS_MIN: usize = 500;
/// Jobs of no key have no limit.
const NO_KEY: (String, usize) = (String::new(), usize::MAX);
const HOUR_MS: i64 = 60 * 60 * 1000;
/// How long all work may take after the last job came: an outage is followed by 10 s in which nothing is reaped.
const DRAIN_MAX: Duration = Duration::from_mins(1);

/// The first word of a line of what handlers note is the job, then comes the worker, and its time in milliseconds.
fn noted(line: &str) -> (Uuid, &str, i64) {
    let [job, worker, at] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    (job.parse().unwrap(), worker, at.parse().unwrap())
}

fn queue_name() -> QueueName {
    QueueName::new("work").unwrap()
}

fn class(limit: usize) -> LimitClass {
    LimitClass::new(format!("of-{limit}")).unwrap()
}

/// The limit of a key: from 1 to 5.
const fn limit_of(key: usize) -> usize {
    key % 5 + 1
}

fn job(number: usize) -> NewJob {
    // Drawn without a pattern, so that keys and priorities mix.
    let drawn = number.wrapping_mul(2_654_435_761) >> 7;
    let key = drawn % KEYS;
    NewJob {
        id: JobId::from(Uuid::now_v7()),
        queue: queue_name(),
        kind: JobKind::new("sleep").unwrap(),
        payload: Payload::parse("{}").unwrap(),
        priority: Priority(i16::try_from(drawn / KEYS % 3).unwrap()),
        weight: Weight::ONE,
        concurrency: Some(Concurrency {
            key: ConcurrencyKey::new(format!("k{key}")).unwrap(),
            class: class(limit_of(key)),
        }),
        unique: None,
        supersede: None,
        run_at: None,
        max_attempts: 4,
        timeout: Duration::from_secs(20),
        trace_parent: None,
    }
}

/// What callers were answered.
#[derive(Default)]
struct Answers {
    acknowledged: Mutex<Vec<Uuid>>,
    applied: Mutex<Vec<(Uuid, Uuid)>>,
    closing: AtomicBool,
}

/// All of a test but its fault.
pub struct Stage {
    pub server: Server,
    pub database: Database,
    pub recipe: Recipe,
    queue_limit: usize,
    _dir: tempfile::TempDir,
    answers: Arc<Answers>,
    callers: Vec<std::thread::JoinHandle<()>>,
}

impl Stage {
    /// With the limits set and the judge in place, and nobody at work.
    pub fn new() -> Self {
        // A server that is killed has written what it was told to; only a machine that fails needs more.
        let server = Server::start(&["fsync=off", "track_commit_timestamp=on"]);
        let dir = tempfile::tempdir().unwrap();
        let database = block_on(async {
            let database = Database::fresh(&server.url).await;
            let queue = PostgresQueue::open(&database.url, Options::default()).await.unwrap();
            queue.define_queue(&queue_name(), Some(QUEUE_LIMIT)).await.unwrap();
            for limit in 1..=5 {
                let target = LimitTarget::Class(queue_name(), class(limit));
                queue.set_limit(&target, Some(u32::try_from(limit).unwrap())).await.unwrap();
            }
            queue.close().await;
            database.execute(include_str!("judge.sql")).await;
            database
        });
        let recipe = Recipe { url: database.url.clone(), listen: None, dir: dir.path().to_owned() };
        let queue_limit = QUEUE_LIMIT as usize;
        Self { server, database, recipe, queue_limit, _dir: dir, answers: Arc::default(), callers: Vec::new() }
    }

    /// Lets as many run as there are slots.
    pub fn without_queue_limit(mut self) -> Self {
        block_on(self.database.execute("UPDATE queue.queue SET job_limit = NULL"));
        self.queue_limit = usize::MAX;
        self
    }

    /// Stores jobs of no key: that are done some time, or that only end in a worker that does not hold them.
    pub fn put(&self, kind: &str, jobs: usize) {
        let unkeyed =
            |_| NewJob { kind: JobKind::new(kind).unwrap(), priority: Priority(2), concurrency: None, ..job(0) };
        block_on(async {
            let queue = open(&self.database.url).await;
            store(&queue, &(0..jobs).map(unkeyed).collect::<Vec<_>>(), &self.answers).await;
            queue.close().await;
        });
    }

    /// Waits until a count of the database is this.
    #[track_caller]
    pub fn until(&self, what: &str, is: usize) {
        let begun = Instant::now();
        loop {
            let found = block_on(self.database.texts(&format!("SELECT count(*)::text FROM {what}")));
            if found == [is.to_string()] {
                return;
            }
            assert!(begun.elapsed() < DRAIN_MAX, "{found:?} of {is} in {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The store's time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        block_on(self.database.texts("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint::text"))[0]
            .parse()
            .unwrap()
    }

    /// When the events that a condition chooses were committed, each in milliseconds after a time of the store's.
    pub fn committed_after_ms(&self, events: &str, since_ms: i64) -> Vec<i64> {
        let at = "(extract(epoch FROM pg_xact_commit_timestamp(transaction::xid)) * 1000)::bigint";
        let events = format!(
            "SELECT ({at} - {since_ms})::text FROM judge.event WHERE {at} >= {since_ms} AND {events} ORDER BY {at}"
        );
        block_on(self.database.texts(&events)).iter().map(|ms| ms.parse().unwrap()).collect()
    }

    /// How far a worker's clock was from the store's whenever it began a job, in whole hours.
    pub fn hours_off(&self, worker: &str) -> BTreeSet<i64> {
        let begun = std::fs::read_to_string(self.recipe.begun()).unwrap();
        let leased = "SELECT job || ' ' || (extract(epoch FROM began) * 1000)::bigint FROM judge.event WHERE state = 1";
        let leased: HashMap<Uuid, i64> = block_on(self.database.texts(leased))
            .iter()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(job, at)| (job.parse().unwrap(), at.parse().unwrap()))
            .collect();
        let of_worker = begun.lines().map(noted).filter(|(_, by, _)| *by == worker);
        // A fault may have lost the lease's answer, or the lease; its job has had another one within the same minute.
        of_worker.map(|(job, _, at)| (at - leased[&job] + HOUR_MS / 2).div_euclid(HOUR_MS)).collect()
    }

    /// Starts to put jobs in, until [`Stage::drain`].
    pub fn feed(&mut self) {
        let (url, answers) = (self.database.url.clone(), self.answers.clone());
        self.callers.push(std::thread::spawn(move || {
            block_on(async {
                let queue = open(&url).await;
                let mut number = 0;
                while !answers.closing.load(Ordering::Relaxed) {
                    let jobs: Vec<_> = (number..number + BATCH).map(job).collect();
                    number += BATCH;
                    store(&queue, &jobs, &answers).await;
                    tokio::time::sleep(BATCH_EVERY).await;
                }
            });
        }));
    }

    /// Starts a worker within this process that claims and completes, and notes which settlements it was told are applied.
    pub fn settle_by_hand(&mut self) {
        let (url, answers) = (self.database.url.clone(), self.answers.clone());
        self.callers.push(std::thread::spawn(move || {
            block_on(async {
                let queue = open(&url).await;
                while !answers.closing.load(Ordering::Relaxed) {
                    settle_some(&queue, &answers).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }));
    }

    /// Puts no more jobs in and waits until none is live: all that has happened. Says so in the test's output.
    fn drain(&mut self) -> History {
        self.close();
        let begun = Instant::now();
        loop {
            let live = block_on(self.database.texts("SELECT count(*)::text FROM queue.job"));
            if live == ["0"] || begun.elapsed() > DRAIN_MAX {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let history = block_on(self.history());
        println!(
            "{} jobs answered, {} finished, {} events, {} settled by hand; drained in {:?}",
            history.acknowledged.len(),
            history.finished.len(),
            history.events.len(),
            history.applied.len(),
            begun.elapsed()
        );
        history
    }

    fn close(&mut self) {
        self.answers.closing.store(true, Ordering::Relaxed);
        for caller in self.callers.drain(..) {
            caller.join().unwrap();
        }
    }

    /// Drains, and fails on any violation but of order, and on a test that has tested too little.
    ///
    /// Order is counted and printed, and not asserted: an enqueue in flight may start before an older job of its key that
    /// is made ready meanwhile, and the checker does not tell such races from faults.
    #[track_caller]
    pub fn keeps_the_contract(mut self) {
        let history = self.drain();
        let (order, violations): (Vec<_>, Vec<_>) = history.violations().into_iter().partition(Violation::is_of_order);
        println!("{} findings about order, such as {:?}", order.len(), order.first());
        assert!(
            violations.is_empty(),
            "{} violations: {:#?}",
            violations.len(),
            &violations[..violations.len().min(20)]
        );
        assert!(history.acknowledged.len() >= JOBS_MIN, "only {} jobs were stored", history.acknowledged.len());
    }

    async fn history(&self) -> History {
        let mut connection = PgConnection::connect(&self.database.url).await.unwrap();
        let micros = |of: &str| format!("(extract(epoch FROM {of}) * 1000000)::bigint");
        let events = format!(
            "SELECT {}, {}, transaction::text::bigint, job, key, priority, arrival, was, state, changes_hands FROM judge.event
             ORDER BY pg_xact_commit_timestamp(transaction::xid), transaction, seq",
            micros("pg_xact_commit_timestamp(transaction::xid)"),
            micros("began")
        );
        let events = sqlx::query(sqlx::AssertSqlSafe(events)).fetch_all(&mut connection).await.unwrap();
        let finished = sqlx::query(
            "SELECT f.job, f.state, f.attempt, f.crashes,
                    (SELECT count(*) FROM queue.job_error e WHERE e.job = f.job AND e.kind <> 4),
                    (SELECT count(*) FROM queue.job_error e WHERE e.job = f.job AND e.kind = 4), f.settled
             FROM judge.finished f",
        );
        let finished = finished.fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let begun = std::fs::read_to_string(self.recipe.begun()).unwrap_or_default();
        History {
            events: events
                .iter()
                .map(|row| Event {
                    at: row.get(0),
                    began: row.get(1),
                    transaction: row.get(2),
                    job: row.get(3),
                    key: row.get(4),
                    priority: row.get(5),
                    arrival: row.get(6),
                    was: row.get(7),
                    state: row.get(8),
                    changes_hands: row.get(9),
                })
                .collect(),
            finished: finished
                .iter()
                .map(|row| Finished {
                    job: row.get(0),
                    state: row.get(1),
                    attempt: row.get(2),
                    crashes: row.get(3),
                    failures: row.get(4),
                    crash_errors: row.get(5),
                    settled: row.get(6),
                })
                .collect(),
            acknowledged: self.answers.acknowledged.lock().unwrap().clone(),
            applied: self.answers.applied.lock().unwrap().clone(),
            begun: begun.lines().map(|line| noted(line).0).collect(),
            key_limits: (0..KEYS).map(|key| (format!("k{key}"), limit_of(key))).chain([NO_KEY]).collect(),
            queue_limit: self.queue_limit,
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.answers.closing.store(true, Ordering::Relaxed);
    }
}

/// Opens the queue, again until the server lets it.
async fn open(url: &str) -> PostgresQueue {
    loop {
        match PostgresQueue::open(url, Options::default()).await {
            Ok(queue) => return queue,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Stores jobs, again until the answer comes.
async fn store(queue: &PostgresQueue, jobs: &[NewJob], answers: &Answers) {
    loop {
        match queue.enqueue(jobs).await {
            Ok(stored) => {
                for (job, answer) in jobs.iter().zip(stored) {
                    assert!(
                        matches!(answer, Enqueued::Inserted) || answer == Enqueued::Duplicate(job.id),
                        "{answer:?}"
                    );
                    answers.acknowledged.lock().unwrap().push(*job.id.as_uuid());
                }
                return;
            }
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        if answers.closing.load(Ordering::Relaxed) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Claims a few jobs and completes them.
async fn settle_some(queue: &PostgresQueue, answers: &Answers) {
    let request = ClaimRequest {
        id: ClaimId::from(Uuid::now_v7()),
        queues: vec![queue_name()],
        max: 4,
        worker: WorkerId::new("by-hand").unwrap(),
        lease: LEASE,
    };
    // A fault that passes leaves the jobs to the reapers.
    let Ok(claimed) = queue.claim(&request).await else { return };
    let batch: Vec<_> = claimed.jobs.into_iter().map(|leased| leased.settle(Transition::Complete)).collect();
    let Ok(settled) = queue.settle(&batch).await else { return };
    for (settlement, settled) in batch.iter().zip(settled) {
        if settled == Settled::Applied {
            let lease = settlement.lease();
            answers.applied.lock().unwrap().push((*lease.job.as_uuid(), *lease.token.as_uuid()));
        }
    }
}

/// Runs what is asynchronous in a test that is not.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
