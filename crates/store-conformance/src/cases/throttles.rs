use std::time::Duration;

use job::{ConcurrencyKey, JobId, LimitClass, Outcome, Priority, QueueName, StateName};
use store::{Budget, Enqueued, LimitTarget, NewJob, PauseTarget, Rejection, StoreError, Throttle, WhenFull};

use crate::Bed;

const PERIOD: Duration = Duration::from_mins(1);

fn throttle(starts: u32) -> Throttle {
    Throttle { starts, period: PERIOD, when_full: WhenFull::Wait }
}

/// Throttles the keys of the bed's class, whose limit is out of the way.
async fn set(bed: &Bed, throttle: Option<Throttle>) {
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), None).await.unwrap();
    bed.store.set_throttle(&Bed::queue(), &Bed::class(), throttle).await.unwrap();
}

async fn put_many(bed: &Bed, key: &str, count: usize) -> Vec<JobId> {
    bed.put_all((0..count).map(|_| Bed::keyed(key)).collect()).await
}

/// Starts what may start and completes it; which.
async fn run(bed: &Bed) -> Vec<JobId> {
    let running = bed.claim(100).await;
    let ids = running.iter().map(|leased| leased.job.id).collect();
    bed.complete(running).await;
    ids
}

/// Moves the clock, and what has become due.
async fn pass(bed: &Bed, time: Duration) {
    bed.advance(time).await;
    assert_eq!(bed.maintain().await.unparked, 0, "no job was forgotten, to be found by the safety net");
}

pub async fn no_more_jobs_of_a_key_start_in_a_period_than_its_throttle(bed: Bed) {
    set(&bed, Some(throttle(3))).await;
    let ids = put_many(&bed, "a", 8).await;
    assert_eq!(run(&bed).await, ids[..3], "completed ones count as well");
    assert!(run(&bed).await.is_empty());
    pass(&bed, Duration::from_secs(58)).await;
    assert!(run(&bed).await.is_empty());
    pass(&bed, Duration::from_secs(2)).await;
    assert_eq!(run(&bed).await, ids[3..6]);
    pass(&bed, PERIOD).await;
    assert_eq!(run(&bed).await, ids[6..]);
}

pub async fn a_period_begins_at_each_start(bed: Bed) {
    set(&bed, Some(throttle(2))).await;
    let first = put_many(&bed, "a", 2).await;
    assert_eq!(bed.start(1).await, [first[0]]);
    pass(&bed, Duration::from_secs(40)).await;
    assert_eq!(run(&bed).await, [first[1]]);
    let later = put_many(&bed, "a", 2).await;
    assert!(run(&bed).await.is_empty());
    pass(&bed, Duration::from_secs(20)).await;
    assert_eq!(run(&bed).await, [later[0]], "a period after the first start, and not after the second");
    pass(&bed, Duration::from_secs(38)).await;
    assert!(run(&bed).await.is_empty());
    pass(&bed, Duration::from_secs(2)).await;
    assert_eq!(run(&bed).await, [later[1]]);
}

pub async fn a_claim_says_when_a_throttled_job_may_start(bed: Bed) {
    set(&bed, Some(throttle(1))).await;
    put_many(&bed, "a", 3).await;
    let in_time = |wait: Option<Duration>| {
        let wait = wait.expect("a job waits for its throttle");
        assert!(wait <= PERIOD && wait > Duration::from_secs(50), "{wait:?}");
    };
    in_time(bed.claim_all(10).await.next_due_in);
    in_time(bed.maintain().await.next_due_in);
    bed.advance(PERIOD).await;
    assert_eq!(bed.claim_all(10).await.next_due_in, Some(Duration::ZERO), "it waits for the maintenance");
    let mut wake = bed.store.subscribe();
    wake.mark_unchanged();
    let done = bed.maintain().await;
    assert_eq!((done.unthrottled, done.unparked), (1, 0));
    assert!(tokio::time::timeout(Duration::from_secs(5), wake.changed()).await.is_ok(), "who waits is woken");
    in_time(bed.claim_all(10).await.next_due_in);
}

pub async fn a_key_without_waiting_jobs_is_not_due(bed: Bed) {
    set(&bed, Some(throttle(2))).await;
    put_many(&bed, "a", 2).await;
    assert_eq!(run(&bed).await.len(), 2);
    assert_eq!(bed.claim_all(10).await.next_due_in, None);
    let late = put_many(&bed, "a", 1).await;
    let wait = bed.claim_all(10).await.next_due_in.expect("one waits now");
    assert!(wait <= PERIOD && wait > Duration::from_secs(50), "{wait:?}");
    pass(&bed, PERIOD).await;
    assert_eq!(run(&bed).await, late);
}

pub async fn throttled_jobs_hold_no_room(bed: Bed) {
    bed.store.set_throttle(&Bed::queue(), &Bed::class(), Some(throttle(1))).await.unwrap();
    let free = LimitClass::new("free").unwrap();
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), free.clone()), Some(1)).await.unwrap();
    put_many(&bed, "a", 4).await;
    assert_eq!(run(&bed).await.len(), 1);
    let stats = bed.stats().await;
    assert_eq!((stats.leased, stats.ready, stats.parked), (0, 0, 3));
    let mut of_the_key = Bed::keyed("a");
    if let Some(concurrency) = &mut of_the_key.concurrency {
        concurrency.class = free;
    }
    let id = bed.put(of_the_key).await;
    assert_eq!(run(&bed).await, [id], "a class without the throttle has the key's room");
}

pub async fn throttled_jobs_keep_their_order(bed: Bed) {
    set(&bed, Some(throttle(2))).await;
    let mut expected = put_many(&bed, "a", 5).await;
    let mut started = run(&bed).await;
    for _ in 0..3 {
        bed.advance(PERIOD).await;
        // Comes when its key may start again, and before maintenance has said so.
        expected.extend(put_many(&bed, "a", 1).await);
        started.extend(run(&bed).await);
        bed.maintain().await;
        started.extend(run(&bed).await);
    }
    assert_eq!(started, expected[..started.len()]);
    assert!(started.len() >= 8);
}

pub async fn a_late_high_priority_starts_before_throttled_jobs(bed: Bed) {
    set(&bed, Some(throttle(1))).await;
    let low = put_many(&bed, "a", 2).await;
    assert_eq!(run(&bed).await, low[..1]);
    let high = bed.put(NewJob { priority: Priority(9), ..Bed::keyed("a") }).await;
    pass(&bed, PERIOD).await;
    assert_eq!(run(&bed).await, [high]);
    pass(&bed, PERIOD).await;
    assert_eq!(run(&bed).await, low[1..]);
}

pub async fn a_throttled_key_holds_back_no_other(bed: Bed) {
    set(&bed, Some(throttle(1))).await;
    bed.put_all((0..500).map(|_| Bed::ranked("a", 5)).collect()).await;
    assert_eq!(run(&bed).await.len(), 1);
    let others = bed.put_all(vec![Bed::keyed("b"), Bed::keyed("c"), Bed::job()]).await;
    let mut started = run(&bed).await;
    started.sort_unstable();
    assert_eq!(started, others, "each key is throttled apart, and a job without one is not");
}

pub async fn throttled_time_is_no_starvation(bed: Bed) {
    let hour = Throttle { period: Duration::from_hours(1), ..throttle(1) };
    set(&bed, Some(hour)).await;
    let low = put_many(&bed, "low", 2).await;
    assert_eq!(run(&bed).await, low[..1]);
    bed.put_all((0..40).map(|_| NewJob { priority: Priority(9), ..Bed::job() }).collect()).await;
    pass(&bed, Duration::from_hours(1)).await;
    assert_eq!(bed.name(low[1]).await, StateName::Ready);
    // The others have waited as long, and are served first anyway.
    assert!(!bed.start(20).await.contains(&low[1]));
}

pub async fn every_start_counts(bed: Bed) {
    set(&bed, Some(throttle(3))).await;
    let id = put_many(&bed, "a", 1).await[0];
    bed.end(bed.claim_one().await, &Bed::transient()).await;
    bed.store.retry(id).await.unwrap();
    bed.end(bed.claim_one().await, &Outcome::Released).await;
    bed.complete(vec![bed.claim_one().await]).await;
    let next = put_many(&bed, "a", 1).await;
    assert!(run(&bed).await.is_empty(), "a retried and a released start do not come back");
    pass(&bed, PERIOD).await;
    assert_eq!(run(&bed).await, next);
}

pub async fn a_released_job_without_a_start_left_waits(bed: Bed) {
    set(&bed, Some(throttle(1))).await;
    let id = put_many(&bed, "a", 1).await[0];
    bed.end(bed.claim_one().await, &Outcome::Released).await;
    assert!(run(&bed).await.is_empty());
    assert!(bed.claim_all(10).await.next_due_in.is_some());
    pass(&bed, PERIOD).await;
    assert_eq!(run(&bed).await, [id]);
}

pub async fn a_throttle_that_refuses_says_when_to_try_again(bed: Bed) {
    set(&bed, Some(Throttle { when_full: WhenFull::Refuse, ..throttle(2) })).await;
    let jobs = [Bed::keyed("a"), Bed::keyed("b"), Bed::keyed("a"), Bed::keyed("a")];
    let mut answers = bed.store.enqueue(&jobs).await.unwrap();
    let refused = answers.pop().unwrap();
    assert!(answers.iter().all(|answer| *answer == Enqueued::Inserted), "{answers:?}");
    assert_eq!(refused, Enqueued::Rejected(Rejection::Throttled { retry_in: PERIOD }), "nothing has started");
    assert_eq!(bed.store.get(jobs[3].id).await.unwrap(), None);
    assert_eq!(run(&bed).await.len(), 3);
    bed.advance(Duration::from_secs(20)).await;
    let answers = bed.store.enqueue(&[Bed::keyed("a"), jobs[0].clone()]).await.unwrap();
    assert_eq!(answers[1], Enqueued::Duplicate(jobs[0].id), "what is known is not refused");
    let Enqueued::Rejected(rejection) = &answers[0] else { unreachable!("{answers:?}") };
    let Rejection::Throttled { retry_in } = rejection else { unreachable!("{rejection}") };
    assert!(*retry_in <= Duration::from_secs(40) && *retry_in > Duration::from_secs(30), "{rejection}");
    bed.advance(Duration::from_secs(40)).await;
    assert_eq!(put_many(&bed, "a", 2).await.len(), 2);
}

pub async fn a_refused_job_changes_nothing(bed: Bed) {
    set(&bed, Some(Throttle { when_full: WhenFull::Refuse, ..throttle(1) })).await;
    put_many(&bed, "a", 1).await;
    let refused = NewJob { unique: Bed::unique("k", PERIOD).unique, ..Bed::keyed("a") };
    let answers = bed.store.enqueue(&[refused, Bed::unique("k", PERIOD)]).await.unwrap();
    assert!(matches!(answers[0], Enqueued::Rejected(Rejection::Throttled { .. })), "{answers:?}");
    assert_eq!(answers[1], Enqueued::Inserted, "it takes no unique key");
}

pub async fn a_job_for_later_is_not_refused(bed: Bed) {
    set(&bed, Some(Throttle { when_full: WhenFull::Refuse, ..throttle(1) })).await;
    let first = put_many(&bed, "a", 1).await[0];
    let soon = bed.view(first).await.job.created_at + Duration::from_secs(30);
    let later = bed.put(NewJob { run_at: Some(soon), ..Bed::keyed("a") }).await;
    assert_eq!(run(&bed).await, [first]);
    pass(&bed, Duration::from_secs(30)).await;
    assert!(run(&bed).await.is_empty());
    assert_eq!(bed.name(later).await, StateName::Parked, "it waits at its time");
    pass(&bed, Duration::from_secs(30)).await;
    assert_eq!(run(&bed).await, [later]);
}

pub async fn a_throttle_is_changed_at_once(bed: Bed) {
    set(&bed, Some(throttle(1))).await;
    put_many(&bed, "a", 9).await;
    assert_eq!(run(&bed).await.len(), 1);
    set(&bed, Some(throttle(3))).await;
    assert_eq!(run(&bed).await.len(), 2, "a higher one");
    set(&bed, Some(throttle(2))).await;
    assert!(run(&bed).await.is_empty(), "a lower one");
    set(&bed, Some(Throttle { period: Duration::from_secs(1), ..throttle(2) })).await;
    pass(&bed, Duration::from_secs(1)).await;
    assert_eq!(run(&bed).await.len(), 2, "a shorter period");
    set(&bed, None).await;
    assert_eq!(run(&bed).await.len(), 4, "none");
}

pub async fn a_new_throttle_holds_for_jobs_that_were_ready_before(bed: Bed) {
    set(&bed, None).await;
    let ids = put_many(&bed, "a", 5).await;
    set(&bed, Some(throttle(2))).await;
    assert_eq!(run(&bed).await, ids[..2]);
    assert!(run(&bed).await.is_empty());
    pass(&bed, PERIOD).await;
    assert_eq!(run(&bed).await, ids[2..4]);
}

pub async fn a_limit_and_a_throttle_hold_together(bed: Bed) {
    bed.store.set_throttle(&Bed::queue(), &Bed::class(), Some(throttle(3))).await.unwrap();
    let ids = put_many(&bed, "a", 6).await;
    let running = bed.claim(10).await;
    assert_eq!(running.len(), 2, "the limit");
    bed.complete(running).await;
    let running = bed.claim(10).await;
    assert_eq!(running.len(), 1, "the throttle");
    pass(&bed, PERIOD).await;
    assert_eq!(bed.start(10).await, ids[3..4], "the limit, beside the one that runs");
    bed.complete(running).await;
    assert_eq!(bed.start(10).await, ids[4..5]);
}

pub async fn a_paused_key_that_is_throttled_starts_after_both(bed: Bed) {
    set(&bed, Some(throttle(1))).await;
    let ids = put_many(&bed, "a", 2).await;
    assert_eq!(run(&bed).await, ids[..1]);
    let target = PauseTarget::Key(Bed::queue(), ConcurrencyKey::new("a").unwrap());
    bed.store.pause(&target).await.unwrap();
    pass(&bed, PERIOD).await;
    assert!(run(&bed).await.is_empty());
    bed.store.resume(&target).await.unwrap();
    assert_eq!(run(&bed).await, ids[1..]);
}

pub async fn racing_claims_never_pass_a_throttle(bed: Bed) {
    set(&bed, Some(throttle(4))).await;
    put_many(&bed, "a", 40).await;
    let other = bed.harness.open().await;
    let claims = (0..20).map(|n| {
        let store = if n % 2 == 0 { bed.store.clone() } else { other.clone() };
        tokio::spawn(async move { store.claim(&Bed::request(3)).await.unwrap().jobs.len() })
    });
    let mut started = 0;
    for claim in claims.collect::<Vec<_>>() {
        started += claim.await.unwrap();
    }
    assert_eq!(started, 4);
}

pub async fn starts_outlive_a_crash(mut bed: Bed) {
    set(&bed, Some(throttle(1))).await;
    let ids = put_many(&bed, "a", 2).await;
    assert_eq!(run(&bed).await, ids[..1]);
    bed.crash().await;
    assert!(run(&bed).await.is_empty());
    pass(&bed, PERIOD).await;
    assert_eq!(run(&bed).await, ids[1..]);
}

pub async fn many_throttled_keys_are_freed_in_bounded_batches(bed: Bed) {
    set(&bed, Some(throttle(1))).await;
    let jobs = |n: usize| (0..n).flat_map(|key| (0..2).map(move |_| Bed::keyed(&format!("k{key}"))));
    bed.put_all(jobs(300).collect()).await;
    bed.complete(bed.claim(300).await).await;
    assert!(bed.start(500).await.is_empty());
    bed.advance(PERIOD).await;
    let mut freed = 0;
    for _ in 0..30 {
        let pass = bed.store.maintain(&Budget { jobs_max: 50 }).await.unwrap();
        assert!(pass.unthrottled <= 50);
        freed += pass.unthrottled;
        if !pass.more {
            break;
        }
    }
    assert_eq!(freed, 300);
    assert_eq!(bed.start(500).await.len(), 300);
}

pub async fn many_starts_of_one_key_come_back_together(bed: Bed) {
    set(&bed, Some(throttle(Throttle::STARTS_MAX))).await;
    put_many(&bed, "a", 2_100).await;
    for _ in 0..2 {
        assert_eq!(bed.start(1_000).await.len(), 1_000);
        assert!(bed.start(1_000).await.is_empty());
        bed.advance(PERIOD).await;
        for _ in 0..20 {
            if !bed.maintain().await.more {
                break;
            }
        }
    }
    assert_eq!(bed.start(1_000).await.len(), 100);
}

pub async fn a_throttle_out_of_bounds_is_refused(bed: Bed) {
    let (queue, class) = (Bed::queue(), Bed::class());
    for wrong in [
        throttle(0),
        throttle(Throttle::STARTS_MAX + 1),
        Throttle { period: Duration::from_millis(999), ..throttle(1) },
        Throttle { period: Throttle::PERIOD_MAX + Duration::from_secs(1), ..throttle(1) },
        Throttle { period: Duration::MAX, ..throttle(1) },
    ] {
        let error = bed.store.set_throttle(&queue, &class, Some(wrong)).await.unwrap_err();
        assert!(matches!(&error, StoreError::Invalid(text) if text.contains("allowed are")), "{error:?}");
    }
    let nowhere = QueueName::new("nowhere").unwrap();
    let error = bed.store.set_throttle(&nowhere, &class, Some(throttle(1))).await.unwrap_err();
    assert!(matches!(&error, StoreError::Invalid(text) if text.contains("nowhere")), "{error:?}");
    for right in [throttle(1), Throttle { period: Throttle::PERIOD_MAX, ..throttle(Throttle::STARTS_MAX) }] {
        bed.store.set_throttle(&queue, &class, Some(right)).await.unwrap();
    }
}
