use std::time::Duration;

use store::{LimitTarget, PauseTarget, QueueStats};

use crate::Bed;

fn numbers(stats: &QueueStats) -> [u64; 5] {
    [stats.scheduled, stats.ready, stats.parked, stats.leased, stats.dead]
}

pub async fn a_job_tells_when_its_last_attempt_started(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let created = bed.view(id).await.job.created_at;
    assert_eq!(bed.view(id).await.started_at, None);
    bed.advance(Duration::from_secs(3)).await;
    let leased = bed.claim_one().await;
    let started = Some(created + Duration::from_secs(3));
    assert_eq!(bed.view(id).await.started_at, started);
    bed.end(leased, &Bed::transient()).await;
    assert_eq!(bed.view(id).await.started_at, started, "it waits for its next attempt");
    bed.advance(Duration::from_mins(1)).await;
    bed.maintain().await;
    let leased = bed.claim_one().await;
    bed.complete(vec![leased]).await;
    assert_eq!(bed.view(id).await.started_at, Some(created + Duration::from_secs(63)));
}

pub async fn a_lease_tells_how_long_its_job_was_ready(bed: Bed) {
    let within = |told: Duration, least: Duration| told >= least && told < least + Duration::from_secs(5);
    bed.put_all((0..3).map(|_| Bed::keyed("a")).collect()).await;
    bed.advance(Duration::from_secs(40)).await;
    let request = Bed::request(10);
    let mut first = bed.store.claim(&request).await.unwrap().jobs;
    assert_eq!(first.len(), 2, "the key's limit");
    assert!(first.iter().all(|leased| within(leased.ready_for, Duration::from_secs(40))), "{first:?}");
    bed.advance(Duration::from_secs(5)).await;
    let again = bed.store.claim(&request).await.unwrap().jobs;
    assert_eq!(again.iter().map(|l| l.ready_for).max(), first.iter().map(|l| l.ready_for).max(), "it was leased then");

    bed.end(first.remove(0), &Bed::transient()).await;
    bed.advance(Duration::from_secs(7)).await;
    let parked = bed.claim_one().await;
    assert!(within(parked.ready_for, Duration::from_secs(7)), "parked, it was not ready: {parked:?}");
    bed.complete(vec![parked, first.remove(0)]).await;
    bed.advance(Duration::from_mins(1)).await;
    bed.maintain().await;
    bed.advance(Duration::from_secs(9)).await;
    let retried = bed.claim_one().await;
    assert!(within(retried.ready_for, Duration::from_secs(9)), "it waited for its time before: {retried:?}");
}

pub async fn the_depth_counts_every_state(bed: Bed) {
    assert_eq!(numbers(&bed.stats().await), [0; 5]);
    bed.put_all((0..6).map(|_| Bed::keyed("a")).collect()).await;
    bed.put_all((0..3).map(|_| Bed::job()).collect()).await;
    let [_, ready, parked, ..] = numbers(&bed.stats().await);
    assert_eq!(ready + parked, 9, "a claim that meets it parks a job, if nothing did before");
    let (keyed, mut others): (Vec<_>, Vec<_>) =
        bed.claim(10).await.into_iter().partition(|leased| leased.job.concurrency.is_some());
    assert_eq!(numbers(&bed.stats().await), [0, 0, 4, 5, 0]);
    bed.complete(vec![others.remove(0)]).await;
    bed.end(others.remove(0), &Bed::permanent()).await;
    bed.end(others.remove(0), &Bed::transient()).await;
    assert_eq!(numbers(&bed.stats().await), [1, 0, 4, 2, 1]);
    let [first, second] = keyed.try_into().expect("two of a key");
    bed.complete(vec![first]).await;
    assert_eq!(numbers(&bed.stats().await), [1, 1, 3, 1, 1]);
    bed.end(second, &job::Outcome::Released).await;
    assert_eq!(numbers(&bed.stats().await), [1, 2, 3, 0, 1]);
}

pub async fn the_oldest_ready_job_tells_its_age(bed: Bed) {
    assert_eq!(bed.stats().await.oldest_ready, None);
    bed.put(Bed::job()).await;
    bed.advance(Duration::from_secs(40)).await;
    bed.put(Bed::job()).await;
    let age = bed.stats().await.oldest_ready.expect("one is ready");
    assert!(age >= Duration::from_secs(40) && age < Duration::from_mins(1), "{age:?}");
    bed.claim(2).await;
    assert_eq!(bed.stats().await.oldest_ready, None);
}

pub async fn the_depth_tells_limit_and_pause(bed: Bed) {
    let stats = bed.stats().await;
    assert_eq!((stats.limit, stats.paused), (None, false));
    bed.store.set_limit(&LimitTarget::Queue(Bed::queue()), Some(3)).await.unwrap();
    bed.store.pause(&PauseTarget::Queue(Bed::queue())).await.unwrap();
    bed.put(Bed::job()).await;
    let stats = bed.stats().await;
    assert_eq!((stats.limit, stats.paused, stats.ready), (Some(3), true, 1));
}
