use std::time::Duration;

use job::{JobState, StateName, Transition};
use store::{LimitTarget, PauseTarget, Settled};

use crate::Bed;

pub async fn an_answered_enqueue_outlives_a_crash(mut bed: Bed) {
    let ready = bed.put(Bed::keyed("a")).await;
    let unique = bed.put(Bed::unique("delivery-1", Duration::from_mins(1))).await;
    bed.crash().await;
    assert_eq!(bed.name(ready).await, StateName::Ready);
    assert_eq!(bed.start(10).await.len(), 2);
    assert_eq!(bed.name(unique).await, StateName::Leased);
}

pub async fn a_lease_outlives_a_crash(mut bed: Bed) {
    bed.put_all(vec![Bed::keyed("a"), Bed::keyed("a"), Bed::keyed("a")]).await;
    let running = bed.claim(10).await;
    assert_eq!(running.len(), 2);
    bed.crash().await;
    assert!(bed.start(10).await.is_empty(), "the limit is counted from the leases that were kept");
    bed.complete(running).await;
    assert_eq!(bed.start(10).await.len(), 1);
}

pub async fn a_settlement_outlives_a_crash(mut bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let settlement = bed.claim_one().await.settle(Transition::Complete);
    assert_eq!(bed.store.settle(std::slice::from_ref(&settlement)).await.unwrap(), [Settled::Applied]);
    bed.crash().await;
    assert_eq!(bed.name(id).await, StateName::Completed);
    assert_eq!(bed.store.settle(&[settlement]).await.unwrap(), [Settled::Applied], "the worker repeats it");
}

pub async fn a_pause_and_a_limit_outlive_a_crash(mut bed: Bed) {
    let key = Bed::keyed("a").concurrency.unwrap().key;
    bed.store.pause(&PauseTarget::Key(Bed::queue(), key.clone())).await.unwrap();
    bed.store.set_limit(&LimitTarget::Queue(Bed::queue()), Some(7)).await.unwrap();
    let id = bed.put(Bed::keyed("a")).await;
    bed.crash().await;
    assert!(bed.start(10).await.is_empty());
    assert_eq!(bed.state(id).await, JobState::Parked);
    assert_eq!(bed.stats().await.limit, Some(7));
    bed.store.resume(&PauseTarget::Key(Bed::queue(), key)).await.unwrap();
    assert_eq!(bed.start(10).await, [id]);
}
