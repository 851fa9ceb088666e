use std::time::Duration;

use job::{CancelReason, JobId, Outcome, QueueName};
use store::{Enqueued, NewJob};

use crate::Bed;

const WINDOW: Duration = Duration::from_mins(1);
const NO_WINDOW: Duration = Duration::ZERO;

async fn offer(bed: &Bed, job: NewJob) -> Enqueued {
    bed.store.enqueue(&[job]).await.unwrap().remove(0)
}

async fn is_taken_by(bed: &Bed, key: &str, holder: JobId) -> bool {
    offer(bed, Bed::unique(key, WINDOW)).await == Enqueued::Duplicate(holder)
}

pub async fn a_second_job_with_a_live_unique_key_is_a_duplicate(bed: Bed) {
    let first = bed.put(Bed::unique("k", WINDOW)).await;
    assert!(is_taken_by(&bed, "k", first).await, "while it is ready");
    bed.claim_one().await;
    assert!(is_taken_by(&bed, "k", first).await, "while it is leased");
    bed.put(Bed::unique("another", WINDOW)).await;
}

pub async fn a_unique_key_stays_taken_for_its_window_after_completion(bed: Bed) {
    let first = bed.put(Bed::unique("k", WINDOW)).await;
    bed.complete(vec![bed.claim_one().await]).await;
    bed.advance(Duration::from_secs(59)).await;
    bed.maintain().await;
    assert!(is_taken_by(&bed, "k", first).await);
    bed.advance(Duration::from_secs(1)).await;
    let second = bed.put(Bed::unique("k", WINDOW)).await;
    assert!(is_taken_by(&bed, "k", second).await);
    assert_eq!(bed.maintain().await.unique_expired, 0, "the key is the second job's now");
    bed.complete(vec![bed.claim_one().await]).await;
    bed.advance(WINDOW).await;
    assert_eq!(bed.maintain().await.unique_expired, 1);
}

pub async fn a_unique_key_without_a_window_is_free_at_completion(bed: Bed) {
    bed.put(Bed::unique("k", NO_WINDOW)).await;
    bed.complete(vec![bed.claim_one().await]).await;
    bed.put(Bed::unique("k", NO_WINDOW)).await;
}

pub async fn a_dead_or_cancelled_job_frees_its_unique_key(bed: Bed) {
    bed.put(Bed::unique("k", WINDOW)).await;
    bed.end(bed.claim_one().await, &Bed::permanent()).await;
    let second = bed.put(Bed::unique("k", WINDOW)).await;
    bed.store.cancel(second, CancelReason::Requested).await.unwrap();
    bed.put(Bed::unique("k", WINDOW)).await;
    bed.end(bed.claim_one().await, &Outcome::Cancelled(CancelReason::Requested)).await;
    bed.put(Bed::unique("k", WINDOW)).await;
}

pub async fn a_job_that_waits_for_a_retry_keeps_its_unique_key(bed: Bed) {
    let first = bed.put(Bed::unique("k", WINDOW)).await;
    bed.end(bed.claim_one().await, &Bed::transient()).await;
    assert!(is_taken_by(&bed, "k", first).await);
}

pub async fn of_two_jobs_with_one_unique_key_in_a_batch_the_first_is_stored(bed: Bed) {
    let jobs = [Bed::unique("k", WINDOW), Bed::job(), Bed::unique("k", WINDOW), Bed::unique("other", WINDOW)];
    let answers = bed.store.enqueue(&jobs).await.unwrap();
    assert_eq!(answers, [Enqueued::Inserted, Enqueued::Inserted, Enqueued::Duplicate(jobs[0].id), Enqueued::Inserted]);
    assert_eq!(bed.stats().await.ready, 3);
}

pub async fn of_racing_jobs_with_one_unique_key_one_is_stored(bed: Bed) {
    let other = bed.harness.open().await;
    let offers = (0..40).map(|n| {
        let store = if n % 2 == 0 { bed.store.clone() } else { other.clone() };
        tokio::spawn(async move {
            let job = Bed::unique("k", WINDOW);
            let id = job.id;
            (id, store.enqueue(&[job]).await.unwrap().remove(0))
        })
    });
    let (mut stored, mut holders) = (Vec::new(), Vec::new());
    for offer in offers.collect::<Vec<_>>() {
        match offer.await.unwrap() {
            (id, Enqueued::Inserted) => stored.push(id),
            (_, Enqueued::Duplicate(holder)) => holders.push(holder),
            (_, other) => assert_eq!(other, Enqueued::Inserted),
        }
    }
    assert_eq!(stored.len(), 1);
    assert!(holders.iter().all(|holder| *holder == stored[0]));
}

pub async fn a_unique_key_is_unique_within_its_queue(bed: Bed) {
    let other = QueueName::new("index").unwrap();
    bed.store.define_queue(&other, None).await.unwrap();
    bed.put(Bed::unique("k", WINDOW)).await;
    bed.put(NewJob { queue: other, ..Bed::unique("k", WINDOW) }).await;
}
