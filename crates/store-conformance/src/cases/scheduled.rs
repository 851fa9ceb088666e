use std::time::Duration;

use jiff::Timestamp;
use job::StateName;
use store::{Budget, Enqueued, NewJob, Rejection};

use crate::Bed;

/// The store's time, as a job stored now tells it.
async fn now(bed: &Bed) -> Timestamp {
    let id = bed.put(Bed::job()).await;
    let now = bed.view(id).await.job.created_at;
    bed.complete(vec![bed.claim_one().await]).await;
    now
}

fn at(time: Timestamp) -> NewJob {
    NewJob { run_at: Some(time), ..Bed::job() }
}

pub async fn a_scheduled_job_does_not_start_before_its_time(bed: Bed) {
    let id = bed.put(at(now(&bed).await + Duration::from_secs(10))).await;
    bed.advance(Duration::from_secs(9)).await;
    assert_eq!(bed.maintain().await.due, 0);
    assert!(bed.start(1).await.is_empty());
    assert_eq!(bed.name(id).await, StateName::Scheduled);
    bed.advance(Duration::from_secs(1)).await;
    assert_eq!(bed.maintain().await.due, 1);
    assert_eq!(bed.start(1).await, [id]);
}

pub async fn a_due_job_waits_for_room_of_its_key(bed: Bed) {
    let soon = now(&bed).await + Duration::from_secs(5);
    let due = bed.put(NewJob { run_at: Some(soon), ..Bed::keyed("a") }).await;
    bed.put_all((0..2).map(|_| Bed::keyed("a")).collect()).await;
    let running = bed.claim(10).await;
    bed.advance(Duration::from_secs(5)).await;
    assert_eq!(bed.maintain().await.due, 1);
    assert!(bed.start(10).await.is_empty());
    assert_eq!(bed.name(due).await, StateName::Parked);
    bed.complete(running).await;
    assert_eq!(bed.start(10).await, [due]);
}

pub async fn due_jobs_are_moved_in_bounded_batches(bed: Bed) {
    let soon = now(&bed).await + Duration::from_secs(1);
    bed.put_all((0..700).map(|_| at(soon)).collect()).await;
    bed.advance(Duration::from_secs(1)).await;
    let first = bed.store.maintain(&Budget { jobs_max: 100 }).await.unwrap();
    assert_eq!((first.due, first.more), (100, true));
    let rest = bed.store.maintain(&Budget { jobs_max: 600 }).await.unwrap();
    assert_eq!((rest.due, rest.more, rest.next_due_in), (600, false, None), "a budget just met leaves nothing");
    assert_eq!(bed.stats().await.ready, 700);
}

pub async fn a_claim_says_when_the_next_job_is_due(bed: Bed) {
    let now = now(&bed).await;
    assert_eq!(bed.claim_all(1).await.next_due_in, None);
    bed.put_all(vec![at(now + Duration::from_secs(90)), at(now + Duration::from_mins(1))]).await;
    let wait = bed.claim_all(1).await.next_due_in.expect("one is due next");
    assert!(wait <= Duration::from_mins(1) && wait > Duration::from_secs(50), "{wait:?}");
    bed.advance(Duration::from_secs(80)).await;
    assert_eq!(bed.claim_all(1).await.next_due_in, Some(Duration::ZERO), "it is due and waits for the maintenance");
    let maintained = bed.maintain().await;
    assert_eq!(maintained.due, 1);
    assert!(maintained.next_due_in.is_some_and(|wait| wait <= Duration::from_secs(10)));
}

pub async fn a_time_in_the_past_is_now(bed: Bed) {
    let id = bed.put(at(now(&bed).await - Duration::from_hours(1))).await;
    assert_eq!(bed.start(1).await, [id]);
}

pub async fn a_time_too_far_away_is_refused(bed: Bed) {
    let far = now(&bed).await + Duration::from_hours(366 * 24);
    let answer = bed.store.enqueue(&[at(far)]).await.unwrap();
    assert_eq!(answer, [Enqueued::Rejected(Rejection::RunAtTooFar { max_days: 365 })]);
    bed.put(at(now(&bed).await + Duration::from_hours(364 * 24))).await;
}
