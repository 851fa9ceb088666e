//! Which processes a wake-up reaches, and what happens when it does not.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::time::Duration;

use job::Transition;
use postgres_testing::{Database, Proxy, server_url};
use store::{LimitTarget, QueueAdmin, QueueStore, Wakeups};
use store_conformance::Bed;
use store_postgres::{Options, PostgresQueue};
use tokio::{sync::watch, time::timeout};

/// Far beyond what a wake-up takes, so that only one that does not come is late.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn what_a_settlement_makes_ready_and_its_process_leaves_wakes_the_others() {
    let database = Database::fresh(server_url()).await;
    let open = || PostgresQueue::open(&database.url, Options::default());
    let (busy, idle) = (open().await.unwrap(), open().await.unwrap());
    busy.define_queue(&Bed::queue(), None).await.unwrap();
    busy.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    let mut wake = idle.subscribe();
    // The listener wakes once when it has connected, and for what was stored.
    busy.enqueue(&[Bed::keyed("a"), Bed::keyed("a")]).await.unwrap();
    let running = busy.claim(&Bed::request(10)).await.unwrap().jobs.remove(0);
    while timeout(Duration::from_millis(500), wake.changed()).await.is_ok() {}
    busy.settle(&[running.settle(Transition::Complete)]).await.unwrap();
    assert!(timeout(SOON, wake.changed()).await.is_ok(), "the other process is not woken");
}

/// Opens a queue whose connection that listens goes through a proxy, and waits until it listens.
async fn listening_through(proxy: &Proxy, database: &Database) -> (PostgresQueue, watch::Receiver<()>) {
    let listen_url = Some(proxy.url_of(&database.name));
    let options = Options { listen_url, listen_probe: Duration::from_millis(500), ..Options::default() };
    let queue = PostgresQueue::open(&database.url, options).await.unwrap();
    let mut wake = queue.subscribe();
    assert!(timeout(SOON * 2, wake.changed()).await.is_ok(), "the listener wakes once when it has connected");
    (queue, wake)
}

#[tokio::test]
async fn a_connection_that_is_dead_without_a_word_is_replaced_and_polling_covers_the_gap() {
    let (proxy, database) = (Proxy::start(server_url()), Database::fresh(server_url()).await);
    let other = PostgresQueue::open(&database.url, Options::default()).await.unwrap();
    other.define_queue(&Bed::queue(), None).await.unwrap();
    let (queue, mut wake) = listening_through(&proxy, &database).await;
    proxy.hang();
    other.enqueue(&[Bed::job()]).await.unwrap();
    assert!(!wake.has_changed().unwrap(), "nothing is heard on a dead connection");
    let polled = queue.claim(&Bed::request(10)).await.unwrap();
    assert_eq!(polled.jobs.len(), 1);
    assert!(timeout(SOON, wake.changed()).await.is_ok(), "what was missed is made up for");
    while timeout(Duration::from_millis(100), wake.changed()).await.is_ok() {}
    other.enqueue(&[Bed::job()]).await.unwrap();
    assert!(timeout(SOON, wake.changed()).await.is_ok(), "it listens again");
    assert!(proxy.tried() <= 4, "{} connections", proxy.tried());
}

#[tokio::test]
async fn a_connection_that_dies_before_it_listens_is_replaced() {
    let (proxy, database) = (Proxy::start(server_url()), Database::fresh(server_url()).await);
    proxy.hang_at("LISTEN");
    listening_through(&proxy, &database).await;
    assert!(proxy.tried() <= 3, "{} connections", proxy.tried());
}
