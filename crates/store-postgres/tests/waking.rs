//! Which processes a wake-up reaches.

use std::time::Duration;

use job::Transition;
use postgres_testing::{Database, server_url};
use store::{LimitTarget, QueueAdmin, QueueStore, Wakeups};
use store_conformance::Bed;
use store_postgres::{Options, PostgresQueue};
use tokio::time::timeout;

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
