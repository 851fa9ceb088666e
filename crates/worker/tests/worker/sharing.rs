//! A worker of several queues.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use job::{Outcome, QueueName, Weight};
use store::{NewJob, QueueAdmin, QueueBackend, QueueStore};
use store_sqlite::SqliteQueue;
use tokio::time::sleep;
use worker::{Handlers, Options};

use crate::{
    fake::{Fake, Op, State},
    support::{Counter, Worker, handlers, ms, new_job, options, secs, until},
};

fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap()
}

fn jobs(queue: &str, count: usize) -> Vec<NewJob> {
    (0..count).map(|_| NewJob { queue: name(queue), ..new_job() }).collect()
}

/// Options for these queues with their weights.
fn sharing(concurrency: usize, queues: &[(&str, u16)]) -> Options {
    let weight = |&(queue, weight): &(&str, u16)| (name(queue), Weight::new(weight).unwrap());
    let weights = queues.iter().map(weight).collect();
    Options { queues: queues.iter().map(|(queue, _)| name(queue)).collect(), weights, concurrency, ..options() }
}

/// What runs of each queue, and the order of the starts.
#[derive(Clone, Default)]
struct Starts {
    order: Arc<Mutex<Vec<QueueName>>>,
    by_queue: Arc<Mutex<HashMap<QueueName, Counter>>>,
}

impl Starts {
    /// Handlers that take as long as `takes` says for a queue.
    fn handlers(&self, takes: impl Fn(&str) -> Duration + Send + Sync + 'static) -> Handlers {
        let this = self.clone();
        handlers(move |job, _| {
            this.order.lock().unwrap().push(job.queue.clone());
            let running = this.of(job.queue.as_str()).start();
            let takes = takes(job.queue.as_str());
            async move {
                sleep(takes).await;
                drop(running);
                Outcome::Completed
            }
        })
    }

    fn of(&self, queue: &str) -> Counter {
        self.by_queue.lock().unwrap().entry(name(queue)).or_default().clone()
    }

    fn count(&self) -> usize {
        self.order.lock().unwrap().len()
    }

    /// Of the first starts, those of a queue.
    fn among_first(&self, first: usize, queue: &str) -> usize {
        self.order.lock().unwrap().iter().take(first).filter(|of| of.as_str() == queue).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_heavy_and_a_light_queue_are_drained_in_the_ratio_of_their_weights() {
    for concurrency in [1, 2, 7, 64] {
        let (store, starts) = (Arc::new(Fake::default()), Starts::default());
        store.slow_down(Op::Claim, ms(1));
        store.enqueue(&[jobs("light", 600), jobs("heavy", 600)].concat()).await.unwrap();
        let options = sharing(concurrency, &[("light", 1), ("heavy", 3)]);
        let worker = Worker::start(store.clone(), starts.handlers(|_| ms(20)), options);
        until(|| store.count(&State::Completed) == 1_200).await;
        let (light, heavy) = (starts.among_first(600, "light"), starts.among_first(600, "heavy"));
        assert!((130..=170).contains(&light), "{light} light and {heavy} heavy ones with {concurrency} slots");
        assert!(store.calls(Op::Claim).iter().all(|claim| (1..=concurrency).contains(&claim.size)));
        worker.drain().await;
    }
}

#[tokio::test(start_paused = true)]
async fn long_jobs_hold_no_more_than_their_share_and_short_ones_go_on() {
    let (store, starts) = (Arc::new(Fake::default()), Starts::default());
    store.enqueue(&[jobs("long", 100), jobs("short", 4_000)].concat()).await.unwrap();
    let takes = |queue: &str| if queue == "long" { secs(600) } else { ms(100) };
    let worker = Worker::start(store.clone(), starts.handlers(takes), sharing(8, &[("long", 1), ("short", 1)]));
    let took = until(|| starts.of("short").started() == 4_000).await;
    assert_eq!(starts.of("long").most(), 4);
    // 4 slots at 10 jobs a second each, and a little for the claims.
    assert!(took < secs(105), "{took:?}");
    worker.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_queue_alone_has_every_slot_and_gives_way_as_its_jobs_end() {
    let (store, starts) = (Arc::new(Fake::default()), Starts::default());
    store.enqueue(&jobs("early", 200)).await.unwrap();
    let options = sharing(8, &[("early", 1), ("late", 1), ("never", 1_000)]);
    let worker = Worker::start(store.clone(), starts.handlers(|_| secs(10)), options);
    until(|| starts.of("early").running() == 8).await;
    sleep(secs(5)).await;
    store.enqueue(&jobs("late", 200)).await.unwrap();
    let took = until(|| starts.of("late").running() == 4).await;
    assert!(took <= ms(5_050), "{took:?}");
    until(|| starts.of("late").started() >= 20).await;
    assert_eq!(starts.of("late").most(), 4);
    worker.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_of_five_queues_makes_one_claim_a_poll_and_hears_of_each() {
    let (store, starts) = (Arc::new(Fake::default()), Starts::default());
    store.fall_silent();
    let queues = [("a", 1), ("b", 5), ("c", 1), ("d", 1_000), ("e", 2)];
    let worker = Worker::start(store.clone(), starts.handlers(|_| ms(1)), sharing(8, &queues));
    sleep(secs(10)).await;
    let polls = store.calls(Op::Claim).len();
    assert!((9..=15).contains(&polls), "{polls} claims in 10 s");
    for (started, (queue, _)) in (1..).zip(queues) {
        store.enqueue(&jobs(queue, 1)).await.unwrap();
        let took = until(|| starts.count() == started).await;
        assert!(took <= ms(1_010), "{queue} waited {took:?}");
    }
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_of_five_queues_makes_few_more_claims_than_one_of_one() {
    const QUEUES: [&str; 5] = ["a", "b", "c", "d", "e"];
    let claims = async |queues: &[&str]| {
        let (store, turn) = (Arc::new(Fake::default()), Mutex::new(0));
        for queue in queues {
            store.enqueue(&jobs(queue, 2_000 / queues.len())).await.unwrap();
        }
        let various = handlers(move |_, _| {
            let mut turn = turn.lock().unwrap();
            *turn += 37;
            let takes = ms(10 + *turn % 50);
            async move {
                sleep(takes).await;
                Outcome::Completed
            }
        });
        let weights: Vec<_> = QUEUES.into_iter().zip(1..).collect();
        let worker = Worker::start(store.clone(), various, sharing(50, &weights));
        until(|| store.count(&State::Completed) == 2_000).await;
        worker.drain().await;
        store.calls(Op::Claim).len()
    };
    let (one, five) = (claims(&["e"]).await, claims(&QUEUES).await);
    assert!(five < one + one / 4, "{five} claims for five queues, {one} for one");
}

#[tokio::test(start_paused = true)]
async fn a_claim_from_several_queues_whose_answer_was_lost_is_repeated_as_it_was() {
    let (store, starts) = (Arc::new(Fake::default()), Starts::default());
    store.lose_answers(Op::Claim, 3);
    store.enqueue(&[jobs("a", 5), jobs("b", 5)].concat()).await.unwrap();
    let worker = Worker::start(store.clone(), starts.handlers(|_| ms(10)), sharing(6, &[("a", 1), ("b", 2)]));
    until(|| store.count(&State::Completed) == 10).await;
    let claims = store.calls(Op::Claim);
    assert!(claims[..4].iter().all(|claim| (claim.id, claim.size) == (claims[0].id, claims[0].size)));
    assert_eq!((starts.count(), store.applied()), (10, 10));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_is_drained_in_the_ratio_of_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteQueue::open(folder.path().join("queue.db"), store_sqlite::Options::default()).await.unwrap();
    for queue in ["light", "heavy", "idle"] {
        store.define_queue(&name(queue), None).await.unwrap();
    }
    store.enqueue(&[jobs("light", 600), jobs("heavy", 600)].concat()).await.unwrap();
    let (store, starts): (Arc<dyn QueueBackend>, _) = (Arc::new(store), Starts::default());
    let options = sharing(16, &[("light", 1), ("idle", 50), ("heavy", 4)]);
    let worker = Worker::start(store.clone(), starts.handlers(|_| ms(10)), options);
    until(|| starts.count() == 1_200).await;
    let light = starts.among_first(600, "light");
    assert!((90..=150).contains(&light), "{light} light ones of the first 600");
    assert_eq!(worker.drain().await.completed, 1_200);
}
