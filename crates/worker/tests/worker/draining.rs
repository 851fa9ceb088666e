use std::{sync::Arc, time::Duration};

use job::CancelReason;
use store::{NewJob, QueueAdmin, QueueStore};
use tokio::time::{Instant, sleep};
use worker::{Drained, Options};

use crate::{
    fake::{ALL, Fake, Op, State},
    support::{Counter, Worker, handlers, ms, new_job, new_jobs, options, secs, until},
};

#[tokio::test(start_paused = true)]
async fn a_drain_lets_running_jobs_end_and_claims_no_more() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.enqueue(&new_jobs(10)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(5)), Options { concurrency: 4, ..options() });
    until(|| counter.running() == 4).await;
    let (claims, stopped) = (store.calls(Op::Claim).len(), Instant::now());
    let drained = worker.drain().await;
    assert_eq!(drained, Drained { completed: 4, ..Drained::default() });
    assert!(stopped.elapsed() < ms(5_050), "{:?}", stopped.elapsed());
    assert_eq!((store.count(&State::Ready), store.calls(Op::Claim).len()), (6, claims));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_outlasts_the_drain_is_released_at_no_cost() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let patient = Options { drain_grace: secs(7), ..options() };
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), patient);
    until(|| counter.running() == 1).await;
    let stopped = Instant::now();
    let drained = worker.drain().await;
    assert_eq!(drained, Drained { released: 1, ..Drained::default() });
    assert!((secs(7)..ms(7_050)).contains(&stopped.elapsed()), "{:?}", stopped.elapsed());
    let row = store.row(job.id);
    assert_eq!((row.state, row.job.attempt, row.job.crashes), (State::Ready, 1, 0));
    assert!(row.errors.is_empty() && counter.running() == 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_claimed_and_has_not_started_is_released_at_once() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.enqueue(&new_jobs(10)).await.unwrap();
    store.slow_down(Op::Claim, ms(100));
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), options());
    until(|| store.calls(Op::Claim).len() == 1).await;
    let stopped = Instant::now();
    assert_eq!(worker.drain().await, Drained { released: 10, ..Drained::default() });
    assert!(stopped.elapsed() < ms(150), "{:?}", stopped.elapsed());
    assert_eq!((counter.started(), store.count(&State::Ready)), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn jobs_whose_claim_was_not_answered_are_released_too() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.enqueue(&new_jobs(10)).await.unwrap();
    store.slow_down(Op::Claim, ms(100));
    store.lose_answers(Op::Claim, 2);
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), options());
    until(|| store.calls(Op::Claim).len() == 1).await;
    assert_eq!(worker.drain().await.released, 10);
    assert_eq!((counter.started(), store.count(&State::Ready)), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn leases_are_renewed_and_cancellations_heard_during_a_drain() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let jobs = new_jobs(2);
    store.enqueue(&jobs).await.unwrap();
    let started = counter.clone();
    let polite = handlers(move |_, context| {
        let running = started.start();
        async move {
            let cancelled = context.cancellation().run_until_cancelled(sleep(secs(15))).await.is_none();
            drop(running);
            if cancelled { job::Outcome::TimedOut } else { job::Outcome::Completed }
        }
    });
    let short = Options { lease: secs(2), drain_grace: secs(60), ..options() };
    let worker = Worker::start(store.clone(), polite, short);
    until(|| counter.running() == 2).await;
    let draining = tokio::spawn(worker.drain());
    sleep(secs(5)).await;
    store.cancel(jobs[0].id, CancelReason::Requested).await.unwrap();
    until(|| store.state(jobs[0].id) == State::Cancelled).await;
    assert!(!draining.is_finished());
    let drained = draining.await.unwrap();
    assert_eq!(drained, Drained { completed: 1, cancelled: 1, ..Drained::default() });
    assert_eq!(store.row(jobs[1].id).job.crashes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_writes_what_could_not_be_settled_before() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.enqueue(&new_jobs(3)).await.unwrap();
    store.go_away(&[Op::Settle]);
    let worker = Worker::start(store.clone(), counter.handlers(ms(10)), options());
    until(|| counter.started() == 3 && counter.running() == 0).await;
    let draining = tokio::spawn(worker.drain());
    sleep(secs(10)).await;
    store.come_back();
    assert_eq!(draining.await.unwrap().completed, 3);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_though_the_store_does_not_come_back() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.enqueue(&new_jobs(3)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), options());
    until(|| counter.running() == 3).await;
    store.go_away(&ALL);
    let stopped = Instant::now();
    assert_eq!(worker.drain().await.unsettled, 3);
    assert!(stopped.elapsed() < options().lease + secs(10), "{:?}", stopped.elapsed());
    assert_eq!(counter.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_stops_at_once_though_the_disk_is_full() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let worker = Worker::start(store.clone(), counter.handlers(secs(1)), options());
    until(|| !store.calls(Op::Claim).is_empty()).await;
    store.fill_up();
    // Long enough for the waits between two tries to have grown.
    sleep(secs(30)).await;
    let stopped = Instant::now();
    assert_eq!(worker.drain().await, Drained::default());
    assert!(stopped.elapsed() < ms(50), "{:?}", stopped.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_is_asked_for_on_a_full_disk_too() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.enqueue(&new_jobs(10)).await.unwrap();
    store.lose_answers(Op::Claim, 1);
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), options());
    until(|| store.calls(Op::Claim).len() == 1).await;
    store.fill_up();
    let draining = tokio::spawn(worker.drain());
    sleep(secs(5)).await;
    store.come_back();
    assert_eq!(draining.await.unwrap().released, 10);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_dropped_stops_its_handlers() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let jobs: Vec<_> = new_jobs(3).into_iter().map(|job| NewJob { timeout: Duration::MAX, ..job }).collect();
    store.enqueue(&jobs).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), options());
    until(|| counter.running() == 3).await;
    worker.kill().await;
    until(|| counter.running() == 0).await;
    let calls = |op| store.calls(op).len();
    let before = ALL.map(calls);
    sleep(secs(60)).await;
    assert_eq!(ALL.map(calls), before, "a task of the worker lives on");
}
