//! What happens to Redis, and what becomes of the queue's calls.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod support;

use job::{Payload, StateName, Transition};
use store::{Enqueued, NewJob, QueueAdmin, QueueStore, Settled, StoreError, Wakeups};
use store_conformance::Bed;
use store_redis::{Options, RedisQueue};
use support::{Server, namespace, open};
use tokio::time::{Duration, Instant, sleep, timeout};

/// Far longer than a connection needs to be made again.
const DEADLINE: Duration = Duration::from_secs(20);

async fn queue(server: &Server) -> RedisQueue {
    let queue = open(server, &namespace()).await;
    queue.define_queue(&Bed::queue(), None).await.unwrap();
    queue
}

async fn put(queue: &RedisQueue) -> NewJob {
    let job = Bed::job();
    assert_eq!(queue.enqueue(std::slice::from_ref(&job)).await.unwrap(), [Enqueued::Inserted]);
    job
}

/// Claims what is ready and completes it; how many.
async fn run(queue: &RedisQueue) -> usize {
    let jobs = queue.claim(&Bed::request(100)).await.unwrap().jobs;
    let count = jobs.len();
    let batch: Vec<_> = jobs.into_iter().map(|leased| leased.settle(Transition::Complete)).collect();
    assert!(queue.settle(&batch).await.unwrap().iter().all(|settled| *settled == Settled::Applied));
    count
}

/// Repeats a call until Redis answers again, as a worker does.
async fn answered<T>(mut call: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_transient() && Instant::now() < end, "{error:?}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_loaded_again() {
    // A server of its own: others of this process would suffer with it.
    let server = Server::start(&[]);
    let queue = queue(&server).await;
    put(&queue).await;
    for _ in 0..2 {
        server.command("SCRIPT FLUSH").await;
        put(&queue).await;
    }
    server.command("SCRIPT FLUSH").await;
    // Parts of one call, each of which finds the script missing.
    let jobs: Vec<NewJob> = (0..1_000).map(|_| Bed::job()).collect();
    assert_eq!(queue.enqueue(&jobs).await.unwrap(), vec![Enqueued::Inserted; 1_000]);
    server.command("SCRIPT FLUSH").await;
    let claimed = queue.claim(&Bed::request(1_000)).await.unwrap();
    assert_eq!((claimed.jobs.len(), claimed.more), (1_000, true));
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again() {
    // A server of its own: others of this process would suffer with it.
    let server = Server::start(&[]);
    let queue = queue(&server).await;
    let mut wake = queue.subscribe();
    let job = put(&queue).await;
    server.command("CLIENT KILL TYPE normal SKIPME yes").await;
    server.command("CLIENT KILL TYPE pubsub").await;
    let again = answered(async || queue.enqueue(std::slice::from_ref(&job)).await).await;
    assert_eq!(again, [Enqueued::Duplicate(job.id)], "a repeated enqueue is harmless");
    assert_eq!(run(&queue).await, 1);
    // The listener wakes once when it is back, and for each enqueue from then on.
    while timeout(Duration::from_secs(1), wake.changed()).await.is_ok() {}
    put(&queue).await;
    assert!(timeout(DEADLINE, wake.changed()).await.is_ok(), "wake-ups are heard again");
}

#[tokio::test]
async fn a_paused_server_is_waited_for() {
    // A server of its own: others of this process would suffer with it.
    let server = Server::start(&[]);
    let queue = queue(&server).await;
    server.command("CLIENT PAUSE 500 ALL").await;
    put(&queue).await;
    assert_eq!(run(&queue).await, 1);
}

#[tokio::test]
async fn a_server_that_is_away_changes_nothing_and_comes_back() {
    let server = Server::start(&[]);
    let queue = queue(&server).await;
    put(&queue).await;
    server.stop();
    // The first call may find the connection cut; a later one finds no server at all.
    let _ = queue.stats().await;
    let error = queue.enqueue(&[Bed::job()]).await.unwrap_err();
    assert!(error.is_transient() && error.is_undone(), "{error:?}");
    let nobody = RedisQueue::open(&server.url, Options::default()).await.unwrap_err();
    assert!(nobody.is_transient(), "{nobody:?}");
    server.restart();
    answered(async || queue.stats().await).await;
    assert_eq!(run(&queue).await, 1);
}

#[tokio::test]
async fn a_full_memory_refuses_new_jobs_and_lets_the_others_end() {
    let server = Server::start(&["maxmemory=12mb"]);
    let queue = queue(&server).await;
    let large = Payload::parse(format!("\"{}\"", "x".repeat(100_000))).unwrap();
    let (mut stored, mut refused) = (Vec::new(), None);
    for _ in 0..200 {
        let job = NewJob { payload: large.clone(), ..Bed::job() };
        match queue.enqueue(std::slice::from_ref(&job)).await {
            Ok(_) => stored.push(job.id),
            Err(error) => {
                refused = Some((error, job.id));
                break;
            }
        }
    }
    let (error, id) = refused.unwrap();
    assert!(error.is_transient() && error.is_undone(), "{error:?}");
    assert_eq!(queue.get(id).await.unwrap(), None, "it has changed nothing");
    // Well below what it holds, so that nothing fits.
    server.command("CONFIG SET maxmemory 8mb").await;
    let error = queue.probe().await.unwrap_err();
    assert!(error.is_transient() && error.is_undone(), "and the probe says so: {error:?}");
    let mut jobs = queue.claim(&Bed::request(100)).await.unwrap().jobs;
    assert_eq!(jobs.len(), stored.len(), "what is stored starts");
    queue.renew(&[jobs[0].lease], Bed::LEASE).await.unwrap();
    let released = jobs.remove(0);
    let mut batch: Vec<_> = jobs.into_iter().map(|leased| leased.settle(Transition::Complete)).collect();
    batch.push(released.settle(Transition::Release));
    let answers = queue.settle(&batch).await.unwrap();
    assert!(answers.iter().all(|settled| *settled == Settled::Applied), "and ends");
    let done = store::PruneFilter { state: Some(StateName::Completed), max: 1_000, ..store::PruneFilter::default() };
    queue.prune_matching(&done).await.unwrap();
    put(&queue).await;
    assert_eq!(run(&queue).await, 2, "the released one, and a new one");
}

#[tokio::test]
async fn a_namespace_is_found_on_the_node_of_a_cluster_that_has_its_slot() {
    let cluster = ["cluster-enabled=yes"];
    let (asked, other) = (Server::start(&cluster), Server::start(&cluster));
    other.command("CLUSTER ADDSLOTSRANGE 0 16383").await;
    let (host, port) = other.url.trim_start_matches("redis://").trim_end_matches("/0").split_once(':').unwrap();
    asked.command(&format!("CLUSTER MEET {host} {port}")).await;
    let end = Instant::now() + DEADLINE;
    for node in [&asked, &other] {
        loop {
            let info: String = redis::from_redis_value(node.command("CLUSTER INFO").await).unwrap();
            if info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384") {
                break;
            }
            assert!(Instant::now() < end, "{info}");
            sleep(Duration::from_millis(20)).await;
        }
    }
    let queue = queue(&asked).await;
    put(&queue).await;
    assert_eq!(run(&queue).await, 1);
}
