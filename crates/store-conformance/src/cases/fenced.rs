use std::time::Duration;

use job::{ClaimId, JobId, LeaseToken, StateName, Transition};
use store::{Checkpoint, LeaseRef, Renewal, Settled};
use uuid::Uuid;

use crate::Bed;

const PAST_THE_LEASE: Duration = Duration::from_secs(31);

pub async fn a_stale_lease_cannot_settle(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let late = bed.claim_one().await;
    bed.advance(PAST_THE_LEASE).await;
    let reaped = bed.reap().await;
    assert_eq!(reaped.len(), 1);
    assert_eq!(bed.settle(late, Transition::Complete).await, Settled::LeaseLost);
    assert_eq!(bed.name(id).await, StateName::Leased, "the reaper holds it, untouched");
}

pub async fn a_stale_lease_is_not_renewed(bed: Bed) {
    bed.put(Bed::job()).await;
    let late = bed.claim_one().await;
    bed.advance(PAST_THE_LEASE).await;
    bed.reap().await;
    let long = Duration::from_hours(1);
    assert_eq!(bed.store.renew(&[late.lease], long).await.unwrap(), [Renewal::LeaseLost]);
    bed.advance(PAST_THE_LEASE).await;
    assert_eq!(bed.reap().await.len(), 1, "and extends no other's lease");
}

pub async fn a_stale_lease_keeps_no_checkpoint(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let late = bed.claim_one().await;
    bed.advance(PAST_THE_LEASE).await;
    bed.reap().await;
    let checkpoint = Checkpoint { step: "diff".into(), value: vec![1] };
    assert_eq!(bed.store.checkpoint(&late.lease, &checkpoint).await.unwrap(), Settled::LeaseLost);
    assert!(bed.view(id).await.checkpoints.is_empty());
}

pub async fn a_repeated_settlement_is_applied_once(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let settlement = bed.claim_one().await.settle(Transition::Complete);
    for _ in 0..3 {
        assert_eq!(bed.store.settle(std::slice::from_ref(&settlement)).await.unwrap(), [Settled::Applied]);
    }
    assert_eq!(bed.name(id).await, StateName::Completed);
}

pub async fn a_repeated_retry_is_applied_once(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    let transition = Bed::decide(&leased, &Bed::transient());
    let settlement = leased.settle(transition);
    for _ in 0..3 {
        assert_eq!(bed.store.settle(std::slice::from_ref(&settlement)).await.unwrap(), [Settled::Applied]);
    }
    let view = bed.view(id).await;
    assert_eq!((view.job.attempt, view.errors.len()), (2, 1));
    // The next attempt runs when the answer to the first settlement has been lost once more.
    bed.advance(Duration::from_mins(1)).await;
    bed.maintain().await;
    bed.claim_one().await;
    assert_eq!(bed.store.settle(&[settlement]).await.unwrap(), [Settled::Applied]);
    assert_eq!(bed.name(id).await, StateName::Leased, "the repeated settlement ends no other lease");
}

pub async fn the_same_settlement_twice_in_a_batch_is_applied_once(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    let transition = Bed::decide(&leased, &Bed::transient());
    let settlement = leased.settle(transition);
    let answers = bed.store.settle(&[settlement.clone(), settlement]).await.unwrap();
    assert_eq!(answers, [Settled::Applied, Settled::Applied]);
    let view = bed.view(id).await;
    assert_eq!((view.job.attempt, view.errors.len()), (2, 1));
}

pub async fn a_lost_lease_in_a_batch_does_not_keep_the_others_from_settling(bed: Bed) {
    bed.put_all(vec![Bed::job(), Bed::job()]).await;
    let mut late = bed.claim(2).await;
    bed.advance(PAST_THE_LEASE).await;
    bed.reap().await;
    let in_time = bed.put(Bed::job()).await;
    let mut batch = vec![late.remove(0).settle(Transition::Complete)];
    batch.push(bed.claim_one().await.settle(Transition::Complete));
    batch.push(late.remove(0).settle(Transition::Complete));
    let answers = bed.store.settle(&batch).await.unwrap();
    assert_eq!(answers, [Settled::LeaseLost, Settled::Applied, Settled::LeaseLost]);
    assert_eq!(bed.name(in_time).await, StateName::Completed);
}

pub async fn a_completed_job_is_not_reaped(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    bed.advance(PAST_THE_LEASE).await;
    bed.complete(vec![leased]).await;
    assert!(bed.reap().await.is_empty());
    assert_eq!(bed.name(id).await, StateName::Completed);
}

pub async fn a_reaper_that_dies_is_reaped_in_its_turn(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    bed.claim_one().await;
    bed.advance(PAST_THE_LEASE).await;
    let dead_reaper = bed.reap().await.remove(0);
    assert!(bed.reap().await.is_empty(), "a lease taken over has just begun");
    bed.advance(PAST_THE_LEASE).await;
    let reaper = bed.reap().await.remove(0);
    assert_eq!(bed.settle(dead_reaper, Transition::Complete).await, Settled::LeaseLost);
    bed.end(reaper, &Bed::crashed()).await;
    let view = bed.view(id).await;
    assert_eq!((view.job.crashes, view.errors.len()), (1, 1), "one crash of the job, however many reapers it took");
}

pub async fn a_lease_that_has_expired_but_was_not_taken_over_settles(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    bed.advance(PAST_THE_LEASE).await;
    bed.complete(vec![leased]).await;
    assert_eq!(bed.name(id).await, StateName::Completed);
}

pub async fn a_renewed_lease_is_not_reaped(bed: Bed) {
    bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    bed.advance(Duration::from_secs(29)).await;
    assert_eq!(bed.store.renew(&[leased.lease], Bed::LEASE).await.unwrap(), [Renewal::Extended]);
    bed.advance(Duration::from_secs(29)).await;
    assert!(bed.reap().await.is_empty());
    bed.advance(Duration::from_secs(2)).await;
    assert_eq!(bed.reap().await.len(), 1);
}

pub async fn a_repeated_claim_answers_the_jobs_it_still_holds(bed: Bed) {
    bed.put_all((0..3).map(|_| Bed::job()).collect()).await;
    let request = Bed::request(2);
    let mut first = bed.store.claim(&request).await.unwrap().jobs;
    let ids: Vec<_> = first.iter().map(|leased| leased.lease).collect();
    let again: Vec<_> = bed.store.claim(&request).await.unwrap().jobs.iter().map(|leased| leased.lease).collect();
    assert_eq!(again, ids);
    bed.complete(vec![first.remove(0)]).await;
    let left: Vec<_> = bed.store.claim(&request).await.unwrap().jobs.iter().map(|leased| leased.lease).collect();
    assert_eq!(left, ids[1..]);
}

pub async fn a_repeated_claim_is_answered_though_nothing_is_ready_any_more(bed: Bed) {
    bed.put(Bed::job()).await;
    let request = Bed::request(10);
    let first = bed.store.claim(&request).await.unwrap().jobs.remove(0);
    assert_eq!(bed.stats().await.ready, 0);
    let again: Vec<_> = bed.store.claim(&request).await.unwrap().jobs.iter().map(|leased| leased.lease).collect();
    assert_eq!(again, [first.lease]);
}

pub async fn a_repeated_claim_leases_no_more(bed: Bed) {
    bed.put(Bed::job()).await;
    let request = Bed::request(10);
    assert_eq!(bed.store.claim(&request).await.unwrap().jobs.len(), 1);
    bed.put(Bed::job()).await;
    assert_eq!(bed.store.claim(&request).await.unwrap().jobs.len(), 1);
    assert_eq!(bed.stats().await.leased, 1);
}

pub async fn a_lease_of_an_unknown_job_is_lost(bed: Bed) {
    bed.put(Bed::job()).await;
    let mut leased = bed.claim_one().await;
    let nobody = LeaseRef { job: JobId::from(Uuid::now_v7()), token: LeaseToken::from(Uuid::now_v7()) };
    assert_eq!(
        bed.store.renew(&[nobody, leased.lease], Bed::LEASE).await.unwrap(),
        [Renewal::LeaseLost, Renewal::Extended]
    );
    leased.lease = nobody;
    assert_eq!(bed.settle(leased, Transition::Complete).await, Settled::LeaseLost);
    let other = ClaimId::from(Uuid::now_v7());
    assert!(bed.store.claim(&store::ClaimRequest { id: other, ..Bed::request(1) }).await.unwrap().jobs.is_empty());
}
