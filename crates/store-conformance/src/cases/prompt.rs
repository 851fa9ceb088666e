use std::time::Duration;

use store::{LimitTarget, NewJob, PauseTarget};
use tokio::{sync::watch, time::timeout};

use crate::Bed;

/// Far beyond what a wake-up takes, so that only one that does not come is late.
const SOON: Duration = Duration::from_secs(5);

async fn woken(wake: &mut watch::Receiver<()>) {
    assert!(timeout(SOON, wake.changed()).await.is_ok(), "a wake-up should have come");
    wake.mark_unchanged();
}

pub async fn an_enqueue_wakes_who_waits(bed: Bed) {
    let mut wake = bed.store.subscribe();
    wake.mark_unchanged();
    bed.put(Bed::job()).await;
    woken(&mut wake).await;
}

pub async fn room_for_a_parked_job_wakes_who_waits(bed: Bed) {
    bed.put_all((0..3).map(|_| Bed::keyed("a")).collect()).await;
    let mut running = bed.claim(10).await;
    let mut wake = bed.store.subscribe();
    wake.mark_unchanged();
    bed.complete(vec![running.remove(0)]).await;
    woken(&mut wake).await;
}

pub async fn a_due_job_wakes_who_waits(bed: Bed) {
    let created_at = bed.view(bed.put(Bed::job()).await).await.job.created_at;
    bed.put(NewJob { run_at: Some(created_at + Duration::from_secs(5)), ..Bed::job() }).await;
    bed.claim(1).await;
    let mut wake = bed.store.subscribe();
    wake.mark_unchanged();
    bed.advance(Duration::from_secs(5)).await;
    bed.maintain().await;
    woken(&mut wake).await;
}

pub async fn a_resume_and_a_raised_limit_wake_who_waits(bed: Bed) {
    let key = Bed::keyed("a").concurrency.unwrap().key;
    let (queue_paused, key_paused) = (PauseTarget::Queue(Bed::queue()), PauseTarget::Key(Bed::queue(), key));
    bed.put_all((0..3).map(|_| Bed::keyed("a")).collect()).await;
    bed.claim(10).await;
    let mut wake = bed.store.subscribe();
    wake.mark_unchanged();
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(9)).await.unwrap();
    woken(&mut wake).await;
    bed.store.set_limit(&LimitTarget::Queue(Bed::queue()), Some(9)).await.unwrap();
    woken(&mut wake).await;
    bed.store.pause(&queue_paused).await.unwrap();
    bed.store.resume(&queue_paused).await.unwrap();
    woken(&mut wake).await;
    bed.store.pause(&key_paused).await.unwrap();
    bed.put(Bed::keyed("a")).await;
    wake.mark_unchanged();
    bed.store.resume(&key_paused).await.unwrap();
    woken(&mut wake).await;
}

pub async fn another_handle_sees_new_jobs_without_a_wake_up(bed: Bed) {
    let other = bed.harness.open().await;
    let id = bed.put(Bed::job()).await;
    let claimed = other.claim(&Bed::request(1)).await.unwrap().jobs;
    assert_eq!(claimed[0].job.id, id);
    assert!(bed.start(1).await.is_empty());
}

pub async fn a_claim_says_whether_more_may_be_ready(bed: Bed) {
    bed.put_all((0..3).map(|_| Bed::job()).collect()).await;
    assert!(bed.claim_all(2).await.more);
    assert!(!bed.claim_all(2).await.more, "the last one, with a slot to spare");
    assert!(!bed.claim_all(2).await.more);
}
