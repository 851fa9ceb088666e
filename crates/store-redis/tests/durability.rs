//! What is answered is kept when the server ends without a word, at any time.

mod support;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use job::{JobId, StateName, Transition};
use store::{Enqueued, QueueAdmin, QueueStore, Settlement};
use store_conformance::Bed;
use support::{Server, namespace, open};
use tokio::time::{Duration, Instant, sleep};

/// Far longer than the callers need, so that only a queue that stands still fails.
const DEADLINE: Duration = Duration::from_mins(1);
const CALLERS: usize = 4;
/// Jobs of a batch, and answered ones after which the server is killed in the middle of others.
const BATCH: usize = 20;
const ANSWERED: usize = 2_000;

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_a_kill_is_there_after_it() {
    let (server, namespace) = (Server::start(&[]), namespace());
    let queue = open(&server, &namespace).await;
    queue.define_queue(&Bed::queue(), None).await.unwrap();
    let (stored, ended) = (Arc::new(Mutex::new(Vec::<JobId>::new())), Arc::new(Mutex::new(Vec::<JobId>::new())));
    let killed = Arc::new(AtomicBool::new(false));
    let callers = (0..CALLERS).map(|_| {
        let (queue, stored, ended, killed) = (queue.clone(), stored.clone(), ended.clone(), killed.clone());
        tokio::spawn(async move {
            while !killed.load(Ordering::SeqCst) {
                let jobs: Vec<_> = (0..BATCH).map(|_| Bed::job()).collect();
                let Ok(answers) = queue.enqueue(&jobs).await else { return };
                assert!(answers.iter().all(|answer| *answer == Enqueued::Inserted));
                stored.lock().unwrap().extend(jobs.iter().map(|job| job.id));
                let Ok(claimed) = queue.claim(&Bed::request(BATCH / 2)).await else { return };
                let ids: Vec<JobId> = claimed.jobs.iter().map(|leased| leased.job.id).collect();
                let batch: Vec<Settlement> =
                    claimed.jobs.into_iter().map(|leased| leased.settle(Transition::Complete)).collect();
                let Ok(_) = queue.settle(&batch).await else { return };
                ended.lock().unwrap().extend(ids);
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    until("the queue stands still", async || stored.lock().unwrap().len() >= ANSWERED).await;
    server.crash();
    killed.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    let (stored, ended) = (stored.lock().unwrap().clone(), ended.lock().unwrap().clone());
    until("Redis does not come back", async || queue.stats().await.is_ok()).await;
    for id in &ended {
        let state = queue.get(*id).await.unwrap().unwrap().state.name();
        assert_eq!(state, StateName::Completed, "a settlement that was answered is kept");
    }
    for id in &stored {
        assert!(queue.get(*id).await.unwrap().is_some(), "an enqueue that was answered is kept");
    }
    assert!(!ended.is_empty());
}
