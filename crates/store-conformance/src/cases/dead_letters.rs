use std::time::Duration;

use job::{AttemptErrorKind, JobId, JobKind, StateName};
use store::{Enqueued, JobFilter, NewJob, ReplayFilter, Retried};

use crate::Bed;

/// Stores jobs and lets each of them die at its first attempt.
async fn bury(bed: &Bed, jobs: Vec<NewJob>) -> Vec<JobId> {
    let ids = bed.put_all(jobs).await;
    for leased in bed.claim(ids.len()).await {
        bed.end(leased, &Bed::permanent()).await;
    }
    ids
}

fn all(max: usize) -> ReplayFilter {
    ReplayFilter { max, ..ReplayFilter::default() }
}

pub async fn a_dead_letter_keeps_payload_and_errors(bed: Bed) {
    let job = Bed::keyed("a");
    let payload = job.payload.clone();
    let id = bury(&bed, vec![job]).await[0];
    let view = bed.view(id).await;
    assert_eq!(view.job.payload, payload);
    assert_eq!(view.errors.len(), 1);
    assert_eq!((view.errors[0].kind, view.errors[0].message.as_str()), (AttemptErrorKind::Permanent, "no such commit"));
    assert!(view.errors[0].at.is_some());
    let filter = JobFilter { state: Some(StateName::Dead), limit: 10, ..JobFilter::default() };
    let listed = bed.store.list(&filter).await.unwrap().jobs;
    assert_eq!(listed, [view]);
    assert_eq!(bed.stats().await.dead, 1);
}

pub async fn a_replay_starts_with_a_fresh_budget_and_keeps_identity_and_history(bed: Bed) {
    let id = bed.put(NewJob { max_attempts: 2, ..Bed::job() }).await;
    bed.end(bed.claim_one().await, &Bed::transient()).await;
    bed.advance(Duration::from_mins(1)).await;
    bed.maintain().await;
    bed.end(bed.claim_one().await, &Bed::transient()).await;
    assert_eq!(bed.name(id).await, StateName::Dead);
    assert_eq!(bed.store.retry(id).await.unwrap(), Retried::Done);
    let leased = bed.claim_one().await;
    assert_eq!((leased.job.id, leased.job.attempt, leased.job.crashes), (id, 1, 0));
    bed.end(leased, &Bed::permanent()).await;
    let kinds = [AttemptErrorKind::Transient, AttemptErrorKind::Transient, AttemptErrorKind::Permanent];
    assert_eq!(bed.error_kinds(id).await, kinds, "the old errors are kept before the new one");
}

pub async fn a_replay_by_filter_takes_what_matches(bed: Bed) {
    let index = JobKind::new("index").unwrap();
    let ids = bury(&bed, vec![Bed::job(), NewJob { kind: index.clone(), ..Bed::job() }]).await;
    let filter = ReplayFilter { queue: Some(Bed::queue()), kind: Some(index), max: 10, ..ReplayFilter::default() };
    assert_eq!(bed.store.replay(&filter).await.unwrap(), (1, false));
    assert_eq!(bed.name(ids[0]).await, StateName::Dead);
    assert_eq!(bed.start(10).await, [ids[1]]);
}

pub async fn a_replay_is_bounded_and_says_whether_more_are_left(bed: Bed) {
    bury(&bed, (0..5).map(|_| Bed::job()).collect()).await;
    assert_eq!(bed.store.replay(&all(2)).await.unwrap(), (2, true));
    assert_eq!(bed.store.replay(&all(3)).await.unwrap(), (3, false));
    assert_eq!(bed.store.replay(&all(3)).await.unwrap(), (0, false));
    let stats = bed.stats().await;
    assert_eq!((stats.ready, stats.dead), (5, 0));
}

pub async fn a_replay_whose_unique_key_is_taken_is_refused(bed: Bed) {
    let id = bury(&bed, vec![Bed::unique("k", Duration::ZERO)]).await[0];
    let holder = bed.put(Bed::unique("k", Duration::ZERO)).await;
    assert_eq!(bed.store.retry(id).await.unwrap(), Retried::KeyTaken(holder));
    assert_eq!(bed.name(id).await, StateName::Dead);
    bed.complete(vec![bed.claim_one().await]).await;
    assert_eq!(bed.store.retry(id).await.unwrap(), Retried::Done);
    let late = bed.store.enqueue(&[Bed::unique("k", Duration::ZERO)]).await.unwrap();
    assert_eq!(late, [Enqueued::Duplicate(id)], "a replay takes its key again");
}

pub async fn a_replay_by_filter_leaves_out_jobs_whose_unique_key_is_taken(bed: Bed) {
    let ids = bury(&bed, vec![Bed::unique("k", Duration::ZERO), Bed::job()]).await;
    bed.put(Bed::unique("k", Duration::ZERO)).await;
    assert_eq!(bed.store.replay(&all(10)).await.unwrap(), (1, false));
    assert_eq!(bed.name(ids[0]).await, StateName::Dead);
    assert_eq!(bed.name(ids[1]).await, StateName::Ready);
}

pub async fn of_two_dead_letters_with_one_unique_key_one_is_replayed(bed: Bed) {
    let first = bury(&bed, vec![Bed::unique("k", Duration::ZERO)]).await[0];
    let second = bury(&bed, vec![Bed::unique("k", Duration::ZERO)]).await[0];
    let (replayed, _) = bed.store.replay(&all(10)).await.unwrap();
    assert_eq!(replayed, 1);
    assert_eq!((bed.name(first).await, bed.name(second).await), (StateName::Ready, StateName::Dead));
}
