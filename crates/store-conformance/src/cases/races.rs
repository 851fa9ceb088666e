use std::{collections::HashSet, time::Duration};

use job::{CancelReason, ClaimId, JobId, StateName, Transition, WorkerId};
use store::{LimitTarget, ReapRequest, Settled};
use uuid::Uuid;

use crate::Bed;

const PAST_THE_LEASE: Duration = Duration::from_secs(31);

fn reaping(max: usize) -> ReapRequest {
    let worker = WorkerId::new("reaper").unwrap();
    ReapRequest { id: ClaimId::from(Uuid::now_v7()), worker, lease: Bed::LEASE, max }
}

pub async fn a_job_that_is_cancelled_while_claims_race_leaves_its_slot_free(bed: Bed) {
    let ids = bed.put_all((0..2_000).map(|_| Bed::keyed("a")).collect()).await;
    let other = bed.harness.open().await;
    for round in ids[..200].chunks(10) {
        let (jobs, store) = (round.to_vec(), other.clone());
        let cancels = tokio::spawn(async move {
            for id in jobs {
                store.cancel(id, CancelReason::Requested).await.unwrap();
            }
        });
        let running = bed.claim(2).await;
        cancels.await.unwrap();
        assert!(running.len() <= 2);
        bed.complete(running).await;
    }
    assert_eq!(bed.stats().await.leased, 0);
    assert_eq!(bed.start(10).await.len(), 2, "the limit, and no slot is lost");
}

pub async fn jobs_that_are_stored_in_another_order_than_their_ids_never_pass_the_limit(bed: Bed) {
    let other = bed.harness.open().await;
    let mut jobs: Vec<_> = (0..60).map(|_| Bed::keyed("a")).collect();
    jobs.reverse();
    let calls = jobs.into_iter().enumerate().map(|(n, job)| {
        let store = if n % 2 == 0 { bed.store.clone() } else { other.clone() };
        tokio::spawn(async move {
            store.enqueue(&[job]).await.unwrap();
            store.claim(&Bed::request(2)).await.unwrap().jobs
        })
    });
    let mut running = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        running.extend(call.await.unwrap());
    }
    assert_eq!(running.len(), 2);
    let (mut done, mut most) = (HashSet::new(), 0);
    while !running.is_empty() {
        most = most.max(running.len());
        done.extend(running.iter().map(|leased| leased.job.id));
        bed.complete(running).await;
        running = bed.claim(10).await;
    }
    assert_eq!((most, done.len()), (2, 60));
}

pub async fn of_a_completion_and_a_reaper_one_wins(bed: Bed) {
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), None).await.unwrap();
    bed.put_all((0..40).map(|_| Bed::keyed("a")).collect()).await;
    let running = bed.claim(40).await;
    bed.advance(PAST_THE_LEASE).await;
    let other = bed.harness.open().await;
    let reaps = tokio::spawn(async move {
        let mut reaped: HashSet<JobId> = HashSet::new();
        for _ in 0..20 {
            let taken = other.reap(&reaping(3)).await.unwrap();
            assert!(taken.len() <= 3);
            reaped.extend(taken.iter().map(|leased| leased.job.id));
        }
        reaped
    });
    let mut answers = Vec::new();
    for leased in running {
        let id = leased.job.id;
        answers.push((id, bed.settle(leased, Transition::Complete).await));
    }
    let reaped = reaps.await.unwrap();
    for (id, answer) in answers {
        let expected = if reaped.contains(&id) { Settled::LeaseLost } else { Settled::Applied };
        let state = if reaped.contains(&id) { StateName::Leased } else { StateName::Completed };
        assert_eq!((answer, bed.name(id).await), (expected, state));
    }
}

pub async fn expired_leases_are_taken_over_in_bounded_batches(bed: Bed) {
    let jobs = 1_000;
    bed.put_all((0..jobs).map(|_| Bed::job()).collect()).await;
    assert_eq!(bed.claim(jobs).await.len(), jobs);
    bed.advance(PAST_THE_LEASE).await;
    let mut seen = HashSet::new();
    for _ in 0..10 {
        let taken = bed.store.reap(&reaping(100)).await.unwrap();
        assert_eq!(taken.len(), 100);
        seen.extend(taken.iter().map(|leased| leased.job.id));
    }
    assert_eq!(seen.len(), jobs, "each once");
    assert!(bed.store.reap(&reaping(100)).await.unwrap().is_empty());
}
