use std::time::Duration;

use job::{Outcome, QueueName, StateName, Transition};
use store::{LimitTarget, NewJob, Settled};

use crate::Bed;

const PAST_THE_LEASE: Duration = Duration::from_secs(31);

async fn put_many(bed: &Bed, key: &str, count: usize) {
    bed.put_all((0..count).map(|_| Bed::keyed(key)).collect()).await;
}

pub async fn no_more_jobs_of_a_key_start_than_its_limit(bed: Bed) {
    put_many(&bed, "a", 5).await;
    assert_eq!(bed.start(10).await.len(), 2);
    assert!(bed.start(10).await.is_empty());
    let stats = bed.stats().await;
    assert_eq!((stats.leased, stats.parked, stats.ready), (2, 3, 0));
}

pub async fn a_lease_counts_until_it_is_settled_or_reaped(bed: Bed) {
    put_many(&bed, "a", 3).await;
    bed.claim(10).await;
    bed.advance(PAST_THE_LEASE).await;
    assert!(bed.start(10).await.is_empty(), "an expired lease may still have its handler running");
    let reaped = bed.reap().await;
    assert!(bed.start(10).await.is_empty(), "the reaper holds the slots until it settles");
    for leased in reaped {
        bed.end(leased, &Bed::crashed()).await;
    }
    assert_eq!(bed.start(10).await.len(), 1);
}

pub async fn a_settlement_lets_the_next_job_of_the_key_start(bed: Bed) {
    put_many(&bed, "a", 7).await;
    let mut started = 0;
    for _ in 0..4 {
        let running = bed.claim(10).await;
        started += running.len();
        bed.complete(running).await;
    }
    assert_eq!(started, 7);
}

pub async fn every_end_of_an_attempt_gives_its_room_back(bed: Bed) {
    put_many(&bed, "a", 8).await;
    let outcomes = [
        Outcome::Completed,
        Bed::transient(),
        Bed::permanent(),
        Bed::crashed(),
        Outcome::TimedOut,
        Outcome::Cancelled(job::CancelReason::Requested),
    ];
    for outcome in outcomes {
        let leased = bed.claim_one().await;
        bed.end(leased, &outcome).await;
    }
    assert_eq!(bed.start(10).await.len(), 2);
}

pub async fn a_late_worker_does_not_free_a_slot_twice(bed: Bed) {
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    put_many(&bed, "a", 3).await;
    let late = bed.claim_one().await;
    bed.advance(PAST_THE_LEASE).await;
    let reaped = bed.reap().await.remove(0);
    bed.end(reaped, &Bed::crashed()).await;
    bed.claim_one().await;
    assert_eq!(bed.settle(late, Transition::Complete).await, Settled::LeaseLost);
    assert!(bed.start(10).await.is_empty(), "the slot belongs to the job that runs");
}

pub async fn a_lowered_limit_lets_running_jobs_finish_and_starts_none_above_it(bed: Bed) {
    put_many(&bed, "a", 6).await;
    let mut running = bed.claim(10).await;
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    assert!(bed.start(10).await.is_empty());
    bed.complete(vec![running.remove(0)]).await;
    assert!(bed.start(10).await.is_empty(), "one still runs, and one may");
    bed.complete(running).await;
    assert_eq!(bed.start(10).await.len(), 1);
}

pub async fn a_lowered_limit_holds_for_jobs_that_were_ready_before(bed: Bed) {
    let ids = bed.put_all((0..3).map(|_| Bed::keyed("a")).collect()).await;
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    for id in ids {
        let mut running = bed.claim(10).await;
        assert_eq!(running.len(), 1);
        assert_eq!(running[0].job.id, id, "in their order");
        bed.complete(vec![running.remove(0)]).await;
    }
}

pub async fn a_raised_limit_starts_more_at_once(bed: Bed) {
    put_many(&bed, "a", 6).await;
    put_many(&bed, "b", 6).await;
    bed.claim(10).await;
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(5)).await.unwrap();
    assert_eq!(bed.start(20).await.len(), 6);
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), None).await.unwrap();
    assert_eq!(bed.start(20).await.len(), 2);
}

pub async fn a_limit_of_one_key_stands_over_its_class(bed: Bed) {
    let key = Bed::keyed("a").concurrency.unwrap().key;
    put_many(&bed, "a", 6).await;
    put_many(&bed, "b", 6).await;
    bed.store.set_limit(&LimitTarget::Key(Bed::queue(), key.clone()), Some(4)).await.unwrap();
    let running = bed.claim(20).await;
    assert_eq!(running.len(), 6, "four of the one key and two of the other");
    bed.complete(running).await;
    bed.store.set_limit(&LimitTarget::Key(Bed::queue(), key), None).await.unwrap();
    assert_eq!(bed.start(20).await.len(), 4, "two of each, by their class");
}

pub async fn a_limit_of_zero_starts_none(bed: Bed) {
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(0)).await.unwrap();
    put_many(&bed, "a", 2).await;
    assert!(bed.start(10).await.is_empty());
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    assert_eq!(bed.start(10).await.len(), 1);
}

pub async fn a_key_is_limited_in_each_queue_apart(bed: Bed) {
    let other = QueueName::new("index").unwrap();
    bed.store.define_queue(&other, None).await.unwrap();
    bed.store.set_limit(&LimitTarget::Class(other.clone(), Bed::class()), Some(3)).await.unwrap();
    put_many(&bed, "a", 5).await;
    bed.put_all((0..5).map(|_| NewJob { queue: other.clone(), ..Bed::keyed("a") }).collect()).await;
    let both = store::ClaimRequest { queues: vec![Bed::queue(), other], ..Bed::request(20) };
    assert_eq!(bed.store.claim(&both).await.unwrap().jobs.len(), 5);
}

pub async fn no_more_jobs_of_a_queue_start_than_its_limit(bed: Bed) {
    bed.store.set_limit(&LimitTarget::Queue(Bed::queue()), Some(3)).await.unwrap();
    for key in ["a", "b", "c"] {
        put_many(&bed, key, 2).await;
    }
    bed.put(Bed::job()).await;
    let claimed = bed.claim_all(10).await;
    let mut running = claimed.jobs;
    assert_eq!(running.len(), 3);
    assert!(!claimed.more, "a full queue is not to be asked again at once");
    assert!(bed.start(10).await.is_empty());
    bed.complete(vec![running.remove(0)]).await;
    assert_eq!(bed.start(10).await.len(), 1);
}

pub async fn a_configured_limit_holds_until_the_configuration_changes(bed: Bed) {
    let limit_of_a = async |bed: &Bed| {
        let started = bed.claim(10).await;
        let count = started.len();
        for leased in started {
            bed.end(leased, &Outcome::Released).await;
        }
        count
    };
    let class = LimitTarget::Class(Bed::queue(), Bed::class());
    put_many(&bed, "a", 9).await;
    bed.store.configure_limit(&class, Some(4)).await.unwrap();
    assert_eq!(limit_of_a(&bed).await, 4);
    bed.store.set_limit(&class, Some(6)).await.unwrap();
    bed.store.configure_limit(&class, Some(4)).await.unwrap();
    assert_eq!(limit_of_a(&bed).await, 6, "what an operator has set");
    bed.store.configure_limit(&class, Some(5)).await.unwrap();
    assert_eq!(limit_of_a(&bed).await, 5, "what the changed configuration says");
    bed.store.configure_limit(&LimitTarget::Queue(Bed::queue()), Some(3)).await.unwrap();
    assert_eq!(limit_of_a(&bed).await, 3);
    bed.store.configure_limit(&class, None).await.unwrap();
    bed.store.configure_limit(&LimitTarget::Queue(Bed::queue()), None).await.unwrap();
    assert_eq!(limit_of_a(&bed).await, 9);
    let elsewhere = QueueName::new("elsewhere").unwrap();
    bed.store.configure_limit(&LimitTarget::Queue(elsewhere.clone()), Some(1)).await.unwrap();
    bed.put(NewJob { queue: elsewhere, concurrency: None, ..Bed::job() }).await;
    let key = Bed::keyed("a").concurrency.unwrap().key;
    let refused = bed.store.configure_limit(&LimitTarget::Key(Bed::queue(), key), Some(1)).await;
    assert!(matches!(refused, Err(store::StoreError::Invalid(_))), "{refused:?}");
}

pub async fn a_raised_limit_of_a_queue_starts_more_at_once(bed: Bed) {
    bed.store.set_limit(&LimitTarget::Queue(Bed::queue()), Some(1)).await.unwrap();
    bed.put_all((0..5).map(|_| Bed::job()).collect()).await;
    assert_eq!(bed.start(10).await.len(), 1);
    bed.store.set_limit(&LimitTarget::Queue(Bed::queue()), Some(3)).await.unwrap();
    assert_eq!(bed.start(10).await.len(), 2);
    bed.store.set_limit(&LimitTarget::Queue(Bed::queue()), None).await.unwrap();
    assert_eq!(bed.start(10).await.len(), 2);
}

pub async fn racing_claims_never_pass_the_limit(bed: Bed) {
    put_many(&bed, "a", 40).await;
    put_many(&bed, "b", 40).await;
    let other = bed.harness.open().await;
    let claims = (0..20).map(|n| {
        let store = if n % 2 == 0 { bed.store.clone() } else { other.clone() };
        tokio::spawn(async move { store.claim(&Bed::request(5)).await.unwrap().jobs.len() })
    });
    let mut started = 0;
    for claim in claims.collect::<Vec<_>>() {
        started += claim.await.unwrap();
    }
    assert_eq!(started, 4);
}

pub async fn jobs_without_a_key_have_no_limit(bed: Bed) {
    bed.put_all((0..30).map(|_| Bed::job()).collect()).await;
    assert_eq!(bed.start(50).await.len(), 30);
}

pub async fn many_jobs_of_a_full_key_are_not_claimed_and_put_back(bed: Bed) {
    put_many(&bed, "a", 2_000).await;
    bed.claim(10).await;
    // A worker that asks on and on finds nothing to claim, and is not told to ask again at once.
    for _ in 0..5 {
        let claimed = bed.claim_all(10).await;
        assert!(claimed.jobs.is_empty() && !claimed.more);
    }
    let stats = bed.stats().await;
    assert_eq!((stats.leased, stats.parked, stats.ready), (2, 1_998, 0));
}

pub async fn a_forgotten_job_does_not_count_as_running(bed: Bed) {
    put_many(&bed, "a", 3).await;
    let running = bed.claim(10).await;
    let ended = running[0].job.id;
    bed.complete(running).await;
    bed.advance(Duration::from_hours(1)).await;
    let now = bed.view(ended).await.job.created_at + Duration::from_hours(2);
    assert_eq!(bed.store.prune(now, 100).await.unwrap(), 2);
    put_many(&bed, "a", 3).await;
    let running = bed.claim(10).await;
    assert_eq!(running.len(), 2);
    assert_eq!(bed.name(running[0].job.id).await, StateName::Leased);
}
