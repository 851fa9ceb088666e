//! What a job costs, counted in commands that the scripts run: the same at any depth, and few.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod support;

use job::{Concurrency, ConcurrencyKey, Transition};
use store::{LimitTarget, NewJob, QueueAdmin, QueueStore};
use store_conformance::Bed;
use store_redis::RedisQueue;
use support::{Server, namespace, open};

const KEYS: usize = 500;
const BATCH: usize = 200;
const FEW: usize = 1_000;
const MANY: usize = 20_000;
/// Commands of all scripts for a job's enqueue, claim and settlement, when each job of a batch has another key.
const PER_JOB_MAX: usize = 22;

fn job(n: usize) -> NewJob {
    let key = ConcurrencyKey::new(format!("user:{}", n % KEYS)).unwrap();
    NewJob { concurrency: Some(Concurrency { key, class: Bed::class() }), ..Bed::job() }
}

/// Commands that the server has run so far.
async fn commands(server: &Server) -> usize {
    let info: String = redis::from_redis_value(server.command("INFO commandstats").await).unwrap();
    let calls = info.lines().filter_map(|line| line.split_once("calls=")?.1.split_once(',')?.0.parse::<usize>().ok());
    calls.sum()
}

/// Commands for each of ten batches that come and go while as many jobs wait.
async fn per_job(server: &Server, queue: &RedisQueue) -> usize {
    let before = commands(server).await;
    for round in 0..10 {
        let jobs: Vec<_> = (0..BATCH).map(|n| job(round * BATCH + n)).collect();
        queue.enqueue(&jobs).await.unwrap();
        let jobs = queue.claim(&Bed::request(BATCH)).await.unwrap().jobs;
        assert_eq!(jobs.len(), BATCH);
        let batch: Vec<_> = jobs.into_iter().map(|leased| leased.settle(Transition::Complete)).collect();
        queue.settle(&batch).await.unwrap();
    }
    (commands(server).await - before) / (10 * BATCH)
}

async fn put(queue: &RedisQueue, from: usize, to: usize) {
    for first in (from..to).step_by(1_000) {
        queue.enqueue(&(first..first + 1_000).map(job).collect::<Vec<_>>()).await.unwrap();
    }
}

#[tokio::test]
async fn a_job_costs_the_same_few_commands_at_any_depth() {
    let server = Server::start(&["appendfsync=no"]);
    let options = store_redis::Options {
        namespace: namespace(),
        durability: store_redis::Durability::Relaxed,
        ..store_redis::Options::default()
    };
    let queue = RedisQueue::open(&server.url, options).await.unwrap();
    queue.define_queue(&Bed::queue(), None).await.unwrap();
    queue.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(50)).await.unwrap();
    put(&queue, 0, FEW).await;
    let few = per_job(&server, &queue).await;
    put(&queue, FEW, MANY).await;
    let many = per_job(&server, &queue).await;
    assert!(many <= few + 1 && many <= PER_JOB_MAX, "{few} commands a job at {FEW} waiting, {many} at {MANY}");
}

#[tokio::test]
async fn a_full_key_with_a_long_backlog_costs_a_claim_nothing() {
    let (server, namespace) = (Server::start(&[]), namespace());
    let queue = open(&server, &namespace).await;
    queue.define_queue(&Bed::queue(), None).await.unwrap();
    queue.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(2)).await.unwrap();
    queue.enqueue(&(0..5_000).map(|_| Bed::keyed("a")).collect::<Vec<_>>()).await.unwrap();
    queue.claim(&Bed::request(100)).await.unwrap();
    let before = commands(&server).await;
    for _ in 0..10 {
        assert!(queue.claim(&Bed::request(100)).await.unwrap().jobs.is_empty());
    }
    let each = (commands(&server).await - before) / 10;
    assert!(each <= 30, "{each} commands for a claim that finds nothing");
}
