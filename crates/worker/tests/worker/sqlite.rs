//! The same worker over the embedded store, in real time and on several threads.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use job::{
    CancelReason, Concurrency, ConcurrencyKey, JobId, JobState, LimitClass, Outcome, StateName, Supersede,
    SupersedeKey, Version, VersionId, WorkerId,
};
use store::{JobView, LimitTarget, NewJob, QueueAdmin, QueueStore, Throttle, WhenFull};
use store_sqlite::{Clock, SqliteQueue};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use worker::Options;

use crate::support::{Counter, Worker, handlers, ms, new_job, options, queue, secs, until};

/// A queue in a folder of its own, which lives as long as the answer.
async fn open(clock: Clock) -> (Arc<SqliteQueue>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = store_sqlite::Options { clock, ..store_sqlite::Options::default() };
    let store = SqliteQueue::open(folder.path().join("queue.db"), options).await.unwrap();
    store.define_queue(&queue(), None).await.unwrap();
    (Arc::new(store), folder)
}

async fn until_in(store: &SqliteQueue, id: JobId, state: StateName) -> JobView {
    let deadline = Instant::now() + secs(30);
    loop {
        let view = store.get(id).await.unwrap().unwrap();
        if view.state.name() == state {
            return view;
        }
        assert!(Instant::now() < deadline, "{state} did not come to pass: {view:?}");
        sleep(ms(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_starts_a_new_job_within_milliseconds() {
    let (store, _folder) = open(Clock::default()).await;
    let started = Arc::new(Mutex::new(HashMap::new()));
    let note = started.clone();
    let handler = handlers(move |job, _| {
        note.lock().unwrap().insert(job.id, Instant::now());
        async { Outcome::Completed }
    });
    let worker = Worker::start(store.clone(), handler, Options { poll_interval: secs(60), ..options() });
    let mut waits = Vec::new();
    for _ in 0..41 {
        let job = new_job();
        let id = job.id;
        let asked = Instant::now();
        store.enqueue(&[job]).await.unwrap();
        until(|| started.lock().unwrap().contains_key(&id)).await;
        waits.push(started.lock().unwrap()[&id] - asked);
        until_in(&store, id, StateName::Completed).await;
    }
    waits.sort();
    let (p50, max) = (waits[20], waits[40]);
    println!("from the enqueue's call to the handler's start: p50 {p50:?}, max {max:?}");
    assert!(p50 < ms(10), "{waits:?}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_do_every_job_once_and_keep_each_key_to_its_limit() {
    const JOBS: usize = 1_500;
    let (store, _folder) = open(Clock::default()).await;
    let class = LimitClass::new("user").unwrap();
    store.set_limit(&LimitTarget::Class(queue(), class.clone()), Some(3)).await.unwrap();
    let key = |n: usize| ConcurrencyKey::new(format!("user:{}", n % 7)).unwrap();
    let job = |n| NewJob { concurrency: Some(Concurrency { key: key(n), class: class.clone() }), ..new_job() };
    store.enqueue(&(0..JOBS).map(job).collect::<Vec<_>>()).await.unwrap();
    let counter = Counter::default();
    let by_key: Arc<Mutex<HashMap<ConcurrencyKey, Counter>>> = Arc::default();
    let (count, counters) = (counter.clone(), by_key.clone());
    let handler = handlers(move |job, _| {
        let key = job.concurrency.unwrap().key;
        let running = (count.start(), counters.lock().unwrap().entry(key).or_default().start());
        async move {
            sleep(ms(1)).await;
            drop(running);
            Outcome::Completed
        }
    });
    let begin = Instant::now();
    let workers = ["a", "b"].map(|name| {
        let options = Options { worker: WorkerId::new(name).unwrap(), concurrency: 32, ..options() };
        Worker::start(store.clone(), handler.clone(), options)
    });
    until(|| counter.started() == JOBS && counter.running() == 0).await;
    let mut completed = 0;
    for worker in workers {
        completed += worker.drain().await.completed;
    }
    println!("{JOBS} jobs of 7 keys with limit 3 in {:?}", begin.elapsed());
    assert_eq!((completed, counter.started()), (JOBS as u64, JOBS));
    assert!(by_key.lock().unwrap().values().all(|key| key.most() <= 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_job_starts_within_milliseconds_of_its_periods_end() {
    const PERIOD: Duration = Duration::from_secs(1);
    let (store, _folder) = open(Clock::default()).await;
    let class = LimitClass::new("user").unwrap();
    let throttle = Throttle { starts: 1, period: PERIOD, when_full: WhenFull::Wait };
    store.set_throttle(&queue(), &class, Some(throttle)).await.unwrap();
    let key = ConcurrencyKey::new("user:1").unwrap();
    let job = || NewJob { concurrency: Some(Concurrency { key: key.clone(), class: class.clone() }), ..new_job() };
    let starts: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let note = starts.clone();
    let handler = handlers(move |_, _| {
        note.lock().unwrap().push(Instant::now());
        async { Outcome::Completed }
    });
    store.enqueue(&[job(), job(), job()]).await.unwrap();
    let worker = Worker::start(store.clone(), handler, Options { poll_interval: secs(60), ..options() });
    until(|| starts.lock().unwrap().len() == 3).await;
    let starts = starts.lock().unwrap().clone();
    for pair in starts.windows(2) {
        let apart = pair[1] - pair[0];
        // The store's clock has whole milliseconds, and the handler's start comes after the lease's.
        assert!(apart + ms(100) > PERIOD && apart < PERIOD + ms(500), "{apart:?} apart");
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_version_stops_the_running_older_one_and_starts_after_it() {
    let (store, _folder) = open(Clock::default()).await;
    let version = |secs| NewJob {
        supersede: Some(Supersede {
            key: SupersedeKey::new("acme/widgets#1").unwrap(),
            version: Version { at: Timestamp::from_second(secs).unwrap(), id: VersionId::new("head").unwrap() },
        }),
        ..new_job()
    };
    let counter = Counter::default();
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), options());
    let (older, newer) = (version(1), version(2));
    store.enqueue(std::slice::from_ref(&older)).await.unwrap();
    until(|| counter.running() == 1).await;
    let asked = Instant::now();
    store.enqueue(std::slice::from_ref(&newer)).await.unwrap();
    let view = until_in(&store, older.id, StateName::Cancelled).await;
    assert!(matches!(view.state, JobState::Cancelled { reason: CancelReason::Superseded, .. }), "{view:?}");
    until_in(&store, newer.id, StateName::Leased).await;
    assert!(asked.elapsed() < secs(10), "{:?}", asked.elapsed());
    assert_eq!(counter.most(), 1, "never both at once");
    store.cancel(newer.id, CancelReason::Requested).await.unwrap();
    until_in(&store, newer.id, StateName::Cancelled).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_of_a_killed_worker_is_done_by_another() {
    let clock = Clock::manual("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
    let (store, _folder) = open(clock.clone()).await;
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let (first, second) = (Counter::default(), Counter::default());
    let dies = Worker::start(store.clone(), first.handlers(secs(600)), options());
    until(|| first.running() == 1).await;
    dies.kill().await;
    let other = Options { worker: WorkerId::new("other").unwrap(), ..options() };
    let other = Worker::start(store.clone(), second.handlers(ms(1)), other);
    clock.advance(options().lease + ms(1));
    // The crash is charged, and the next attempt waits for its delay.
    until_in(&store, job.id, StateName::Scheduled).await;
    clock.advance(Duration::from_mins(5));
    let view = until_in(&store, job.id, StateName::Completed).await;
    assert_eq!((view.job.attempt, view.job.crashes, second.started()), (1, 1, 1));
    other.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_job_is_cancelled_and_another_released_at_no_cost() {
    let (store, _folder) = open(Clock::default()).await;
    let jobs = [new_job(), new_job()];
    store.enqueue(&jobs).await.unwrap();
    let counter = Counter::default();
    let short = Options { lease: secs(1), drain_grace: Duration::ZERO, ..options() };
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), short);
    until(|| counter.running() == 2).await;
    store.cancel(jobs[0].id, CancelReason::Requested).await.unwrap();
    until_in(&store, jobs[0].id, StateName::Cancelled).await;
    let drained = worker.drain().await;
    assert_eq!((drained.cancelled, drained.released), (1, 1));
    let view = until_in(&store, jobs[1].id, StateName::Ready).await;
    assert_eq!((view.job.attempt, view.job.crashes), (1, 0));
}
