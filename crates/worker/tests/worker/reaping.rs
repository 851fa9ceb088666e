use std::{sync::Arc, time::Duration};

use job::{AttemptErrorKind, BuryReason, RetryPolicy, WorkerId};
use store::QueueStore;
use tokio::time::{Instant, sleep};
use worker::Options;

use crate::{
    fake::{Fake, Op, State},
    support::{Counter, Worker, ms, new_job, options, secs, until},
};

fn named(worker: &str) -> Options {
    Options { worker: WorkerId::new(worker).unwrap(), lease: secs(3), ..options() }
}

#[tokio::test(start_paused = true)]
async fn the_job_of_a_dead_worker_is_charged_one_crash_and_runs_again() {
    let store = Arc::new(Fake::default());
    let (first, second) = (Counter::default(), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let dies = Worker::start(store.clone(), first.handlers(secs(600)), named("a"));
    until(|| first.running() == 1).await;
    dies.kill().await;
    let others = ["b", "c", "d"].map(|name| Worker::start(store.clone(), second.handlers(ms(10)), named(name)));
    until(|| store.state(job.id) == State::Completed).await;
    let row = store.row(job.id);
    assert_eq!((row.job.attempt, row.job.crashes, second.started()), (1, 1, 1));
    assert_eq!((row.errors.len(), row.errors[0].kind), (1, AttemptErrorKind::Crashed));
    for worker in others {
        worker.drain().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_jobs_of_a_dead_worker_run_again_within_a_second_of_their_leases() {
    const JOBS: usize = 64;
    // The waits of a worker are drawn, so that one time says little.
    for _ in 0..20 {
        let store = Arc::new(Fake::default());
        let (first, second) = (Counter::default(), Counter::default());
        let jobs: Vec<_> = (0..JOBS).map(|_| new_job()).collect();
        store.enqueue(&jobs).await.unwrap();
        let retry = RetryPolicy { base: ms(50), ..RetryPolicy::default() };
        let with = |worker| Options { concurrency: JOBS, retry, ..named(worker) };
        let dies = Worker::start(store.clone(), first.handlers(secs(600)), with("a"));
        until(|| first.running() == JOBS).await;
        let other = Worker::start(store.clone(), second.handlers(ms(10)), with("b"));
        // Long enough to have renewed its leases.
        sleep(secs(2)).await;
        let killed = Instant::now();
        dies.kill().await;
        until(|| second.started() == JOBS).await;
        assert!(killed.elapsed() <= secs(4), "{:?} after the death of a worker with leases of 3 s", killed.elapsed());
        other.drain().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reaper_that_dies_before_its_settlement_charges_nothing() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let dies = Worker::start(store.clone(), counter.handlers(secs(600)), named("a"));
    until(|| counter.running() == 1).await;
    dies.kill().await;
    store.go_away(&[Op::Settle]);
    let reaper = Worker::start(store.clone(), counter.handlers(secs(600)), named("b"));
    until(|| matches!(store.state(job.id), State::Leased { worker, .. } if worker.as_str() == "b")).await;
    reaper.kill().await;
    assert_eq!(store.row(job.id).job.crashes, 0);
    store.come_back();
    let last = Worker::start(store.clone(), counter.handlers(ms(10)), named("c"));
    until(|| store.state(job.id) == State::Completed).await;
    assert_eq!(store.row(job.id).job.crashes, 1);
    last.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_kills_its_workers_is_dead_after_its_third_crash() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    for crash in 1..=3 {
        let dies = Worker::start(store.clone(), counter.handlers(Duration::from_hours(1)), named("a"));
        until(|| counter.started() == crash).await;
        dies.kill().await;
    }
    let witness = Worker::start(store.clone(), counter.handlers(Duration::from_hours(1)), named("b"));
    until(|| store.state(job.id) == State::Dead(BuryReason::CrashesExhausted)).await;
    assert_eq!((counter.started(), witness.drain().await.dead), (3, 1));
}
