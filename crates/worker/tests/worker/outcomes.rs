use std::sync::Arc;

use job::{AttemptErrorKind, BuryReason, JobKind, Outcome};
use store::{NewJob, QueueStore};
use tokio::time::sleep;
use worker::{Handlers, Options};

use crate::{
    fake::{Fake, Op, State},
    support::{Counter, Worker, handlers, kind, ms, new_job, options, secs, until},
};

#[tokio::test(start_paused = true)]
async fn a_panic_is_charged_to_the_job_and_does_not_end_the_worker() {
    let store = Arc::new(Fake::default());
    let (bad, good) = (NewJob { max_attempts: 1, ..new_job() }, new_job());
    store.enqueue(&[bad.clone(), good.clone()]).await.unwrap();
    let id = bad.id;
    let fragile = handlers(move |job, _| async move {
        assert_ne!(job.id, id, "cannot do this one");
        Outcome::Completed
    });
    let worker = Worker::start(store.clone(), fragile, Options { concurrency: 1, ..options() });
    until(|| store.state(good.id) == State::Completed).await;
    until(|| store.state(bad.id) == State::Dead(BuryReason::CrashesExhausted)).await;
    let row = store.row(bad.id);
    assert_eq!((row.job.attempt, row.job.crashes), (1, 3));
    let last = row.errors.last().unwrap();
    assert_eq!(last.kind, AttemptErrorKind::Crashed);
    assert!(last.message.starts_with("the handler panicked: ") && last.message.contains("cannot do this one"));
    let drained = worker.drain().await;
    assert_eq!((drained.completed, drained.retried, drained.dead), (1, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_job_over_its_timeout_has_stopped_before_it_is_settled() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = NewJob { timeout: secs(5), max_attempts: 1, ..new_job() };
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(600)), options());
    until(|| counter.running() == 1).await;
    let took = until(|| !store.calls(Op::Settle).is_empty()).await;
    assert!((ms(4_990)..=ms(5_005)).contains(&took), "{took:?}");
    assert_eq!(counter.running(), 0);
    until(|| store.state(job.id) == State::Dead(BuryReason::AttemptsExhausted)).await;
    assert_eq!(store.row(job.id).errors[0].kind, AttemptErrorKind::TimedOut);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_cannot_be_stopped_at_once_is_waited_for_before_its_job_is_settled() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.enqueue(&[NewJob { timeout: ms(20), ..new_job() }]).await.unwrap();
    let started = counter.clone();
    let stubborn = handlers(move |_, _| {
        let running = started.start();
        async move {
            // An abort takes hold at the next await, and there is none for a while.
            std::thread::sleep(ms(300));
            sleep(secs(600)).await;
            drop(running);
            Outcome::Completed
        }
    });
    let worker = Worker::start(store.clone(), stubborn, options());
    until(|| counter.started() == 1).await;
    until(|| !store.calls(Op::Settle).is_empty()).await;
    assert_eq!(counter.running(), 0);
    assert_eq!(worker.drain().await.retried, 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_of_an_unknown_kind_is_buried_with_the_kinds_that_are_known() {
    let store = Arc::new(Fake::default());
    let job = NewJob { kind: JobKind::new("riddle").unwrap(), ..new_job() };
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let worker = Worker::start(store.clone(), Counter::default().handlers(ms(1)), options());
    until(|| store.state(job.id) == State::Dead(BuryReason::Permanent)).await;
    assert_eq!(store.row(job.id).errors[0].message, "no handler for jobs of the kind riddle: this worker knows [task]");
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn each_kind_goes_to_its_own_handler() {
    let store = Arc::new(Fake::default());
    let other = JobKind::new("other").unwrap();
    let jobs = [new_job(), NewJob { kind: other.clone(), ..new_job() }];
    store.enqueue(&jobs).await.unwrap();
    let refuse = |_, _| async { Outcome::Permanent { error: "no".into() } };
    let both: Handlers = Counter::default().handlers(ms(1)).with(other, crate::support::handler(refuse));
    assert_eq!(format!("{both:?}"), format!("{{{:?}, {:?}}}", JobKind::new("other").unwrap(), kind()));
    let worker = Worker::start(store.clone(), both, options());
    until(|| store.state(jobs[0].id) == State::Completed).await;
    until(|| store.state(jobs[1].id) == State::Dead(BuryReason::Permanent)).await;
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_as_long_as_the_other_side_asked() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    let count = counter.clone();
    let limited = handlers(move |job, _| {
        let _running = count.start();
        async move {
            sleep(ms(1)).await;
            match job.attempt {
                1 => Outcome::Transient { error: "429".into(), retry_after: Some(secs(60)) },
                _ => Outcome::Completed,
            }
        }
    });
    // Maintenance alone finds the job due: nothing wakes the worker, and it hardly polls.
    store.fall_silent();
    let worker = Worker::start(store.clone(), limited, Options { poll_interval: secs(300), ..options() });
    until(|| counter.started() == 1).await;
    let took = until(|| counter.started() == 2).await;
    assert!((secs(60)..secs(64)).contains(&took), "{took:?}");
    until(|| store.state(job.id) == State::Completed).await;
    worker.drain().await;
}
