use std::sync::{Arc, Mutex};

use jiff::{Timestamp, ToSpan};
use job::{Outcome, Priority};
use store::{NewJob, QueueStore};
use tokio::time::{Instant, sleep};
use worker::Options;

use crate::{
    fake::{ALL, Fake, Op, State},
    support::{Counter, Worker, handlers, ms, new_job, new_jobs, options, secs, until},
};

#[tokio::test(start_paused = true)]
async fn no_more_jobs_run_or_are_asked_for_than_there_are_slots() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.slow_down(Op::Claim, ms(3));
    store.slow_down(Op::Settle, ms(3));
    store.enqueue(&new_jobs(300)).await.unwrap();
    let (started, of) = (counter.clone(), Mutex::new(0));
    let various = handlers(move |_, _| {
        let running = started.start();
        let mut of = of.lock().unwrap();
        *of += 7;
        let takes = ms(*of % 40);
        async move {
            sleep(takes).await;
            drop(running);
            Outcome::Completed
        }
    });
    let worker = Worker::start(store.clone(), various, Options { concurrency: 7, ..options() });
    until(|| store.count(&State::Completed) == 300).await;
    assert_eq!((counter.most(), counter.started()), (7, 300));
    assert!(store.calls(Op::Claim).iter().all(|claim| (1..=7).contains(&claim.size)));
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_asks_for_the_free_slots_alone() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.enqueue(&new_jobs(3)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(60)), Options { concurrency: 5, ..options() });
    until(|| counter.running() == 3).await;
    store.enqueue(&new_jobs(3)).await.unwrap();
    until(|| counter.running() == 5).await;
    sleep(secs(30)).await;
    let asked: Vec<_> = store.calls(Op::Claim).iter().map(|claim| claim.size).collect();
    assert_eq!(asked, [5, 2]);
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_higher_priority_starts_first() {
    let store = Arc::new(Fake::default());
    let jobs: Vec<_> = [0, 9, 5, 9, 1].map(|p| NewJob { priority: Priority(p), ..new_job() }).into();
    store.enqueue(&jobs).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    let note = handlers(move |job, _| {
        seen.lock().unwrap().push(job.priority.0);
        async { Outcome::Completed }
    });
    let worker = Worker::start(store, note, Options { concurrency: 2, ..options() });
    until(|| order.lock().unwrap().len() == 5).await;
    assert_eq!(*order.lock().unwrap(), [9, 9, 5, 1, 0]);
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_claims_several_jobs_at_once() {
    let store = Arc::new(Fake::default());
    store.enqueue(&new_jobs(2_000)).await.unwrap();
    let turn = Mutex::new(0);
    let various = handlers(move |_, _| {
        let mut turn = turn.lock().unwrap();
        *turn += 37;
        let takes = ms(10 + *turn % 50);
        async move {
            sleep(takes).await;
            Outcome::Completed
        }
    });
    let worker = Worker::start(store.clone(), various, Options { concurrency: 50, ..options() });
    until(|| store.count(&State::Completed) == 2_000).await;
    // Slots come free one or two in each millisecond.
    let claims = store.calls(Op::Claim).len();
    assert!(claims < 650, "{claims} claims for 2,000 jobs");
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_claimed_at_once() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.answer_at_most(3);
    store.enqueue(&new_jobs(31)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(60)), Options { concurrency: 50, ..options() });
    let took = until(|| counter.running() == 31).await;
    assert!(took < ms(50), "{took:?}");
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_starts_a_job_without_a_poll() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let rare = Options { poll_interval: secs(300), ..options() };
    let worker = Worker::start(store.clone(), counter.handlers(ms(1)), rare);
    for started in 1..=20 {
        sleep(secs(2)).await;
        store.enqueue(&[new_job()]).await.unwrap();
        let took = until(|| counter.started() == started).await;
        assert!(took < ms(5), "{took:?}");
    }
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn polling_alone_finds_work() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.fall_silent();
    let worker = Worker::start(store.clone(), counter.handlers(ms(1)), options());
    sleep(secs(10)).await;
    let polls = store.calls(Op::Claim).len();
    assert!((9..=15).contains(&polls), "{polls} polls in 10 s");
    store.enqueue(&[new_job()]).await.unwrap();
    let took = until(|| counter.started() == 1).await;
    assert!(took <= ms(1_010), "{took:?}");
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_job_starts_when_it_is_due() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.fall_silent();
    let later = Timestamp::UNIX_EPOCH + 300.milliseconds();
    store.enqueue(&[NewJob { run_at: Some(later), ..new_job() }]).await.unwrap();
    let rare = Options { poll_interval: secs(300), ..options() };
    let worker = Worker::start(store.clone(), counter.handlers(ms(1)), rare);
    let took = until(|| counter.started() == 1).await;
    assert!((ms(300)..ms(330)).contains(&took), "{took:?}");
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_due_before_the_next_maintenance_starts_on_time() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let worker = Worker::start(store.clone(), counter.handlers(ms(1)), options());
    for started in 1..=10 {
        let soon = Timestamp::UNIX_EPOCH + 50.milliseconds();
        store.enqueue(&[NewJob { run_at: Some(soon), ..new_job() }]).await.unwrap();
        let took = until(|| counter.started() == started).await;
        assert!((ms(50)..ms(70)).contains(&took), "{took:?}");
        sleep(ms(137)).await;
    }
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn wake_ups_for_work_that_others_take_do_not_become_a_storm() {
    let store = Arc::new(Fake::default());
    let worker = Worker::start(store.clone(), Counter::default().handlers(ms(1)), options());
    let start = Instant::now();
    while start.elapsed() < secs(1) {
        store.wake();
        sleep(ms(1)).await;
    }
    let claims = store.calls(Op::Claim).len();
    assert!(claims <= 520, "{claims} claims in a second");
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_is_repeated_and_runs_nothing_twice() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.lose_answers(Op::Claim, 3);
    store.enqueue(&new_jobs(5)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(ms(10)), Options { concurrency: 5, ..options() });
    until(|| store.count(&State::Completed) == 5).await;
    let ids: Vec<_> = store.calls(Op::Claim).iter().map(|claim| claim.id).take(4).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!((counter.started(), store.applied()), (5, 5));
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_claim_was_answered_too_late_is_given_back_at_no_cost() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    let job = new_job();
    store.enqueue(std::slice::from_ref(&job)).await.unwrap();
    store.lose_answers(Op::Claim, 1);
    let worker = Worker::start(store.clone(), counter.handlers(ms(10)), Options { lease: secs(3), ..options() });
    until(|| store.calls(Op::Claim).len() == 1).await;
    store.go_away(&ALL);
    sleep(secs(10)).await;
    store.come_back();
    until(|| store.count(&State::Completed) == 1).await;
    let row = store.row(job.id).job;
    assert_eq!((row.attempt, row.crashes, counter.started()), (1, 0, 1));
    assert_eq!(worker.drain().await.released, 1);
}
