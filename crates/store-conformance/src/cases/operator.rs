use std::time::Duration;

use job::{
    BuryReason, CancelReason, ConcurrencyKey, JobId, JobKind, JobState, Outcome, QueueName, StateName, Transition,
};
use store::{JobFilter, LimitTarget, NewJob, PauseTarget, Renewal, Retried, StoreError};
use uuid::Uuid;

use crate::Bed;

const ASKED: CancelReason = CancelReason::Requested;

fn key(name: &str) -> ConcurrencyKey {
    ConcurrencyKey::new(name).unwrap()
}

pub async fn a_waiting_job_is_cancelled_at_once(bed: Bed) {
    let later = bed.view(bed.put(Bed::job()).await).await.job.created_at + Duration::from_mins(1);
    let mut jobs: Vec<NewJob> = (0..3).map(|_| Bed::keyed("a")).collect();
    jobs.push(NewJob { run_at: Some(later), ..Bed::job() });
    let ids = bed.put_all(jobs).await;
    for id in &ids {
        let state = bed.store.cancel(*id, ASKED).await.unwrap();
        assert!(matches!(state, Some(JobState::Cancelled { reason: ASKED, .. })), "{state:?}");
    }
    bed.advance(Duration::from_mins(2)).await;
    bed.maintain().await;
    assert!(!bed.start(10).await.iter().any(|id| ids.contains(id)));
}

pub async fn a_running_job_is_told_to_stop_at_its_renewal(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    let state = bed.store.cancel(id, ASKED).await.unwrap();
    assert!(matches!(state, Some(JobState::Leased { cancel_requested: Some(ASKED), .. })), "{state:?}");
    let renewals = bed.store.renew(&[leased.lease], Bed::LEASE).await.unwrap();
    assert_eq!(renewals, [Renewal::CancelRequested(ASKED)]);
    bed.end(leased, &Outcome::Cancelled(ASKED)).await;
    assert!(matches!(bed.state(id).await, JobState::Cancelled { reason: ASKED, .. }));
}

pub async fn a_cancelled_job_that_completes_anyway_is_completed(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    bed.store.cancel(id, ASKED).await.unwrap();
    bed.complete(vec![leased]).await;
    assert_eq!(bed.name(id).await, StateName::Completed);
}

pub async fn a_job_that_was_told_to_stop_is_not_run_again(bed: Bed) {
    for outcome in [Bed::transient(), Outcome::Released, Bed::permanent()] {
        let id = bed.put(Bed::job()).await;
        let leased = bed.claim_one().await;
        bed.store.cancel(id, ASKED).await.unwrap();
        bed.end(leased, &outcome).await;
        assert_eq!(bed.name(id).await, StateName::Cancelled, "after {outcome:?}");
    }
}

pub async fn a_job_that_was_told_to_stop_ends_cancelled_when_its_worker_dies(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    bed.claim_one().await;
    bed.store.cancel(id, ASKED).await.unwrap();
    bed.advance(Duration::from_secs(31)).await;
    bed.end(bed.reap().await.remove(0), &Bed::crashed()).await;
    let view = bed.view(id).await;
    assert_eq!(view.state.name(), StateName::Cancelled);
    assert_eq!(view.errors.len(), 1, "what happened is kept");
}

pub async fn cancelling_a_finished_job_changes_nothing(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    bed.end(bed.claim_one().await, &Bed::permanent()).await;
    let before = bed.state(id).await;
    assert_eq!(bed.store.cancel(id, ASKED).await.unwrap(), Some(before));
    assert_eq!(bed.store.cancel(JobId::from(Uuid::now_v7()), ASKED).await.unwrap(), None);
}

pub async fn cancelling_a_ready_job_gives_its_room_to_the_next(bed: Bed) {
    let ids = bed.put_all((0..3).map(|_| Bed::keyed("a")).collect()).await;
    bed.store.cancel(ids[0], ASKED).await.unwrap();
    assert_eq!(bed.start(10).await, ids[1..]);
}

pub async fn nothing_starts_in_a_paused_queue(bed: Bed) {
    let target = PauseTarget::Queue(Bed::queue());
    let running = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    bed.store.pause(&target).await.unwrap();
    bed.put(Bed::job()).await;
    assert!(bed.start(10).await.is_empty());
    assert!(bed.stats().await.paused);
    bed.complete(vec![leased]).await;
    assert_eq!(bed.name(running).await, StateName::Completed, "running ones go on");
    bed.store.resume(&target).await.unwrap();
    assert_eq!(bed.start(10).await.len(), 1);
}

pub async fn nothing_of_a_paused_key_starts(bed: Bed) {
    let target = PauseTarget::Key(Bed::queue(), key("a"));
    bed.put(Bed::keyed("a")).await;
    bed.store.pause(&target).await.unwrap();
    bed.put(Bed::keyed("a")).await;
    let other = bed.put(Bed::keyed("b")).await;
    assert_eq!(bed.start(10).await, [other]);
    bed.store.resume(&target).await.unwrap();
    assert_eq!(bed.start(10).await.len(), 2);
}

pub async fn a_resumed_key_keeps_its_order(bed: Bed) {
    let target = PauseTarget::Key(Bed::queue(), key("a"));
    let mut ids = bed.put_all((0..4).map(|_| Bed::keyed("a")).collect()).await;
    bed.store.pause(&target).await.unwrap();
    // A claim meets the two that were ready before the pause.
    assert!(bed.start(10).await.is_empty());
    ids.push(bed.put(Bed::keyed("a")).await);
    bed.store.resume(&target).await.unwrap();
    let mut started = Vec::new();
    for _ in 0..3 {
        let running = bed.claim(10).await;
        started.extend(running.iter().map(|leased| leased.job.id));
        bed.complete(running).await;
    }
    assert_eq!(started, ids);
}

pub async fn a_retry_starts_a_scheduled_job_now(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    bed.end(bed.claim_one().await, &Bed::transient()).await;
    assert_eq!(bed.name(id).await, StateName::Scheduled);
    assert_eq!(bed.store.retry(id).await.unwrap(), Retried::Done);
    assert_eq!(bed.store.retry(id).await.unwrap(), Retried::Done, "it waits already");
    assert_eq!(bed.claim_one().await.job.attempt, 2, "the attempts are not forgotten");
}

pub async fn a_running_or_completed_job_is_not_retried(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    assert_eq!(bed.store.retry(id).await.unwrap(), Retried::NotRetryable(StateName::Leased));
    bed.complete(vec![leased]).await;
    assert_eq!(bed.store.retry(id).await.unwrap(), Retried::NotRetryable(StateName::Completed));
    assert_eq!(bed.store.retry(JobId::from(Uuid::now_v7())).await.unwrap(), Retried::NotFound);
    let cancelled = bed.put(Bed::job()).await;
    bed.store.cancel(cancelled, ASKED).await.unwrap();
    assert_eq!(bed.store.retry(cancelled).await.unwrap(), Retried::Done);
    assert_eq!(bed.claim_one().await.job.id, cancelled);
}

pub async fn a_list_is_filtered_and_paged(bed: Bed) {
    let index = JobKind::new("index").unwrap();
    let mut ids = bed.put_all((0..5).map(|_| Bed::keyed("a")).collect()).await;
    ids.push(bed.put(NewJob { kind: index.clone(), ..Bed::job() }).await);
    let mut running = bed.claim(10).await;
    running.retain(|leased| leased.job.concurrency.is_some());
    bed.complete(vec![running.remove(0)]).await;
    let list = async |filter: JobFilter| {
        let page = bed.store.list(&filter).await.unwrap();
        (page.jobs.into_iter().map(|view| view.job.id).collect::<Vec<_>>(), page.next)
    };
    let newest_first: Vec<_> = ids.iter().rev().copied().collect();
    assert_eq!(list(JobFilter::default()).await.0, newest_first, "live and finished ones together");
    let (first, next) = list(JobFilter { limit: 4, ..JobFilter::default() }).await;
    assert_eq!(first, newest_first[..4]);
    let (rest, next) = list(JobFilter { limit: 4, before: next, ..JobFilter::default() }).await;
    assert_eq!((rest.as_slice(), next), (&newest_first[4..], None));
    assert_eq!(list(JobFilter { kind: Some(index), ..JobFilter::default() }).await.0, ids[5..]);
    assert_eq!(list(JobFilter { key: Some(key("a")), ..JobFilter::default() }).await.0, newest_first[1..]);
    assert_eq!(list(JobFilter { state: Some(StateName::Completed), ..JobFilter::default() }).await.0.len(), 1);
    assert_eq!(list(JobFilter { state: Some(StateName::Parked), ..JobFilter::default() }).await.0.len(), 2);
    let elsewhere = QueueName::new("index").unwrap();
    assert!(list(JobFilter { queue: Some(elsewhere), ..JobFilter::default() }).await.0.is_empty());
}

pub async fn finished_jobs_are_pruned_and_dead_letters_kept(bed: Bed) {
    let dead = bed.put(Bed::job()).await;
    bed.end(bed.claim_one().await, &Bed::permanent()).await;
    let done = bed.put_all((0..3).map(|_| Bed::job()).collect()).await;
    bed.complete(bed.claim(3).await).await;
    let JobState::Dead { at, reason: BuryReason::Permanent } = bed.state(dead).await else {
        unreachable!("it died of a permanent fault")
    };
    bed.advance(Duration::from_mins(1)).await;
    let running = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    assert_eq!(bed.store.prune(at, 100).await.unwrap(), 0, "none has ended before");
    let after = at + Duration::from_secs(30);
    assert_eq!(bed.store.prune(after, 2).await.unwrap(), 2);
    assert_eq!(bed.store.prune(after, 100).await.unwrap(), 1);
    assert_eq!(bed.store.get(done[0]).await.unwrap(), None);
    assert_eq!(bed.name(dead).await, StateName::Dead);
    assert_eq!(bed.settle(leased, Transition::Complete).await, store::Settled::Applied);
    assert_eq!(bed.name(running).await, StateName::Completed);
}

pub async fn commands_for_an_unknown_queue_are_refused(bed: Bed) {
    let nowhere = QueueName::new("nowhere").unwrap();
    let refused = |answer: Result<(), StoreError>| {
        let error = answer.expect_err("there is no such queue");
        assert!(matches!(&error, StoreError::Invalid(text) if text.contains("nowhere")), "{error:?}");
    };
    refused(bed.store.pause(&PauseTarget::Queue(nowhere.clone())).await);
    refused(bed.store.resume(&PauseTarget::Key(nowhere.clone(), key("a"))).await);
    refused(bed.store.set_limit(&LimitTarget::Class(nowhere.clone(), Bed::class()), Some(1)).await);
    let claim = store::ClaimRequest { queues: vec![nowhere], ..Bed::request(1) };
    refused(bed.store.claim(&claim).await.map(drop));
}

pub async fn defining_a_queue_again_keeps_its_jobs(bed: Bed) {
    let id = bed.put(Bed::keyed("a")).await;
    bed.store.define_queue(&Bed::queue(), Some(9)).await.unwrap();
    assert_eq!(bed.stats().await.limit, Some(9));
    assert_eq!(bed.start(1).await, [id]);
}
