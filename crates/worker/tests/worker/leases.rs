use std::sync::{Arc, Mutex};

use job::{CancelReason, Outcome};
use store::{QueueAdmin, QueueStore, Settled};
use tokio::time::{Instant, sleep};
use worker::{CANCEL_GRACE, CheckpointError, Options};

use crate::{
    fake::{ALL, Fake, Op, State},
    support::{Counter, Worker, handlers, ms, new_job, options, secs, until},
};

#[tokio::test(start_paused = true)]
async fn a_job_keeps_its_lease_however_long_it_runs() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(60)), Options { lease: secs(3), ..options() });
    until(|| store.state(job.id) == State::Completed).await;
    let row = store.row(job.id).job;
    assert_eq!((row.attempt, row.crashes, counter.started()), (1, 0, 1));
    let renewals = store.calls(Op::Renew).len();
    assert!((59..=90).contains(&renewals), "{renewals} renewals in 60 s");
    assert_eq!(worker.drain().await.leases_lost, 0);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_twice_loses_no_lease() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(12)), Options { lease: secs(6), ..options() });
    until(|| counter.running() == 1).await;
    store.go_away(&[Op::Renew]);
    sleep(secs(5)).await;
    store.come_back();
    until(|| store.state(job.id) == State::Completed).await;
    assert_eq!(counter.started(), 1);
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_running_job_hears_of_its_cancellation_within_a_second() {
    let store = Arc::new(Fake::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let counter = Counter::default();
    let started = counter.clone();
    let polite = handlers(move |_, context| {
        let running = started.start();
        async move {
            context.cancellation().cancelled().await;
            drop(running);
            // What a handler makes of being stopped is its fault's cause, not its fault.
            Outcome::Transient { error: "stopped".into(), retry_after: None }
        }
    });
    let worker = Worker::start(store.clone(), polite, Options { lease: secs(600), ..options() });
    until(|| counter.running() == 1).await;
    store.cancel(job.id, CancelReason::Requested).await.unwrap();
    let took = until(|| store.state(job.id) == State::Cancelled).await;
    assert!(took <= ms(1_010), "{took:?}");
    assert_eq!(worker.drain().await.cancelled, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_whose_wake_up_was_lost_is_heard_in_seconds() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), Options { lease: secs(600), ..options() });
    until(|| counter.running() == 1).await;
    store.fall_silent();
    store.cancel(job.id, CancelReason::Requested).await.unwrap();
    let took = until(|| store.state(job.id) == State::Cancelled).await;
    assert!(took <= ms(5_010) + CANCEL_GRACE, "{took:?}");
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_ignores_its_cancellation_is_stopped() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), options());
    until(|| counter.running() == 1).await;
    store.cancel(job.id, CancelReason::Requested).await.unwrap();
    let took = until(|| store.state(job.id) == State::Cancelled).await;
    assert!((CANCEL_GRACE..CANCEL_GRACE + ms(1_010)).contains(&took), "{took:?}");
    assert_eq!(counter.running(), 0);
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn work_that_was_done_before_the_cancellation_was_heard_stays_done() {
    let store = Arc::new(Fake::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let counter = Counter::default();
    let started = counter.clone();
    let late = handlers(move |_, context| {
        let running = started.start();
        async move {
            context.cancellation().cancelled().await;
            drop(running);
            Outcome::Completed
        }
    });
    let worker = Worker::start(store.clone(), late, options());
    until(|| counter.running() == 1).await;
    store.cancel(job.id, CancelReason::Requested).await.unwrap();
    until(|| store.state(job.id) == State::Completed).await;
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_the_handler_and_changes_nothing() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), Options { lease: secs(3), ..options() });
    until(|| counter.running() == 1).await;
    let others = store.steal(job.id);
    let took = until(|| counter.running() == 0).await;
    assert!(took <= ms(1_010), "{took:?}");
    let drained = worker.drain().await;
    assert_eq!((drained.leases_lost, drained.released), (1, 0));
    assert!(matches!(store.state(job.id), State::Leased { token, .. } if token == others.token));
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_stopped_when_its_lease_must_have_run_out() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.slow_down(Op::Claim, ms(700));
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let claimed = Instant::now();
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), Options { lease: secs(3), ..options() });
    until(|| counter.running() == 1).await;
    store.go_away(&ALL);
    until(|| counter.running() == 0).await;
    // Counted from before the call: the store may have made the lease at any time during it.
    assert!(claimed.elapsed() <= ms(3_005), "{:?}", claimed.elapsed());
    // Nobody has taken the lease over: the job is given back at no cost.
    store.come_back();
    until(|| counter.started() == 2).await;
    let row = store.row(job.id).job;
    assert_eq!((row.attempt, row.crashes), (1, 0));
    worker.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_is_there_for_this_and_the_next_attempt() {
    let store = Arc::new(Fake::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let stepwise = handlers(move |_, context| {
        let note = note.clone();
        async move {
            let before = context.checkpoint("diff");
            context.keep_checkpoint("diff", b"kept".to_vec()).await.unwrap();
            let first = before.is_none();
            note.lock().unwrap().push((before, context.checkpoint("diff")));
            if first { Outcome::Transient { error: "once".into(), retry_after: None } } else { Outcome::Completed }
        }
    });
    let worker = Worker::start(store.clone(), stepwise, options());
    until(|| store.state(job.id) == State::Completed).await;
    let kept = Some(b"kept".to_vec());
    assert_eq!(*seen.lock().unwrap(), [(None, kept.clone()), (kept.clone(), kept)]);
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_without_the_lease_is_refused_and_stops_the_handler() {
    let store = Arc::new(Fake::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let (counter, answer) = (Counter::default(), Arc::new(Mutex::new(None)));
    let (started, thief, note) = (counter.clone(), store.clone(), answer.clone());
    let robbed = handlers(move |job, context| {
        let (running, thief, note) = (started.start(), thief.clone(), note.clone());
        async move {
            thief.steal(job.id);
            *note.lock().unwrap() = Some(context.keep_checkpoint("diff", Vec::new()).await);
            sleep(secs(600)).await;
            drop(running);
            Outcome::Completed
        }
    });
    let worker = Worker::start(store.clone(), robbed, options());
    until(|| counter.started() == 1 && counter.running() == 0).await;
    assert!(matches!(*answer.lock().unwrap(), Some(Err(CheckpointError::LeaseLost))));
    assert!(store.row(job.id).checkpoints.is_empty());
    let lease = store.steal(job.id);
    assert_eq!(
        store.checkpoint(&lease, &store::Checkpoint { step: "x".into(), value: vec![] }).await.unwrap(),
        Settled::Applied
    );
    assert_eq!(worker.drain().await.leases_lost, 1);
}
