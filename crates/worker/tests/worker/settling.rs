use std::sync::Arc;

use store::QueueStore;
use tokio::time::sleep;
use worker::Options;

use crate::{
    fake::{ALL, Fake, Op, State},
    support::{Counter, Worker, ms, new_job, new_jobs, options, secs, until},
};

#[tokio::test(start_paused = true)]
async fn a_settlement_outlives_an_outage_and_is_applied_once() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    store.go_away(&[Op::Settle]);
    let worker = Worker::start(store.clone(), counter.handlers(ms(10)), options());
    until(|| counter.started() == 1).await;
    sleep(secs(15)).await;
    store.lose_answers(Op::Settle, 2);
    store.come_back();
    until(|| store.state(job.id) == State::Completed).await;
    let drained = worker.drain().await;
    assert_eq!((drained.completed, drained.leases_lost, drained.unsettled), (1, 0, 0));
    assert_eq!((counter.started(), store.applied()), (1, 1));
    let tries = store.calls(Op::Settle).len();
    assert!((5..=20).contains(&tries), "{tries} tries in 15 s");
}

#[tokio::test(start_paused = true)]
async fn work_that_is_done_is_kept_through_an_outage_longer_than_the_lease() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(ms(10)), Options { lease: secs(3), ..options() });
    until(|| counter.started() == 1).await;
    store.go_away(&ALL);
    sleep(secs(60)).await;
    store.come_back();
    until(|| store.state(job.id) == State::Completed).await;
    assert_eq!((counter.started(), worker.drain().await.completed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_kept_while_its_settlement_is_tried() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(ms(10)), Options { lease: secs(3), ..options() });
    until(|| counter.started() == 1).await;
    store.go_away(&[Op::Settle]);
    sleep(secs(30)).await;
    store.come_back();
    until(|| store.state(job.id) == State::Completed).await;
    assert_eq!((counter.started(), store.row(job.id).job.crashes), (1, 0));
    assert_eq!(worker.drain().await.leases_lost, 0);
}

#[tokio::test(start_paused = true)]
async fn the_settlements_of_a_slow_store_share_its_calls() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.slow_down(Op::Settle, ms(50));
    store.enqueue(&new_jobs(500)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(ms(5)), Options { concurrency: 50, ..options() });
    until(|| store.count(&State::Completed) == 500).await;
    let calls = store.calls(Op::Settle).len();
    assert!(calls <= 30, "{calls} calls for 500 settlements");
    assert_eq!(worker.drain().await.completed, 500);
}

#[tokio::test(start_paused = true)]
async fn a_lone_settlement_waits_for_nobody() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(ms(10)), options());
    let took = until(|| store.state(job.id) == State::Completed).await;
    assert!(took <= ms(15), "{took:?}");
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn while_nothing_can_be_settled_little_is_started() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.go_away(&[Op::Settle]);
    store.enqueue(&new_jobs(100)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(ms(1)), Options { concurrency: 4, ..options() });
    sleep(secs(20)).await;
    // The call that is tried, the room before it, and the slots.
    assert!(counter.started() <= 12, "{} started", counter.started());
    store.come_back();
    until(|| store.count(&State::Completed) == 100).await;
    assert_eq!((counter.started(), store.applied()), (100, 100));
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_the_store_refuses_keeps_no_other_back() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let jobs = new_jobs(10);
    store.refuse(jobs[4].id);
    store.enqueue(&jobs).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(ms(10)), options());
    until(|| store.count(&State::Completed) == 9).await;
    let drained = worker.drain().await;
    assert_eq!((drained.completed, drained.unsettled), (9, 1));
}
