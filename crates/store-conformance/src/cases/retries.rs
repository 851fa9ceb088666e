use std::time::Duration;

use job::{AttemptErrorKind, BuryReason, JobState, Outcome, StateName};
use store::NewJob;

use crate::Bed;

const PAST_THE_LEASE: Duration = Duration::from_secs(31);
/// Beyond every delay of the default policy.
const PAST_ANY_DELAY: Duration = Duration::from_secs(301);

/// Moves on to the job's next attempt.
async fn next_attempt(bed: &Bed) -> store::LeasedJob {
    bed.advance(PAST_ANY_DELAY).await;
    bed.maintain().await;
    bed.claim_one().await
}

pub async fn a_failed_job_waits_for_its_delay(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    let outcome = Outcome::Transient { error: "429".into(), retry_after: Some(Duration::from_secs(100)) };
    bed.end(leased, &outcome).await;
    bed.advance(Duration::from_secs(99)).await;
    bed.maintain().await;
    assert_eq!(bed.name(id).await, StateName::Scheduled);
    bed.advance(Duration::from_secs(4)).await;
    assert_eq!(bed.maintain().await.due, 1);
    assert_eq!(bed.claim_one().await.job.attempt, 2);
}

pub async fn a_job_dies_after_its_last_attempt(bed: Bed) {
    let id = bed.put(NewJob { max_attempts: 3, ..Bed::job() }).await;
    let mut leased = bed.claim_one().await;
    for attempt in 1..=2 {
        assert_eq!(leased.job.attempt, attempt);
        bed.end(leased, &Bed::transient()).await;
        leased = next_attempt(&bed).await;
    }
    bed.end(leased, &Outcome::TimedOut).await;
    assert!(matches!(bed.state(id).await, JobState::Dead { reason: BuryReason::AttemptsExhausted, .. }));
    let kinds = [AttemptErrorKind::Transient, AttemptErrorKind::Transient, AttemptErrorKind::TimedOut];
    assert_eq!(bed.error_kinds(id).await, kinds);
}

pub async fn a_permanent_fault_is_not_retried(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    bed.end(bed.claim_one().await, &Bed::permanent()).await;
    assert!(matches!(bed.state(id).await, JobState::Dead { reason: BuryReason::Permanent, .. }));
    bed.advance(PAST_ANY_DELAY).await;
    bed.maintain().await;
    assert!(bed.start(1).await.is_empty());
}

pub async fn a_crash_is_charged_to_the_crash_budget(bed: Bed) {
    let id = bed.put(NewJob { max_attempts: 1, ..Bed::job() }).await;
    bed.claim_one().await;
    bed.advance(PAST_THE_LEASE).await;
    bed.end(bed.reap().await.remove(0), &Bed::crashed()).await;
    assert_eq!(bed.name(id).await, StateName::Scheduled, "a killed worker uses up no attempt");
    let leased = next_attempt(&bed).await;
    assert_eq!((leased.job.attempt, leased.job.crashes), (1, 1));
    bed.complete(vec![leased]).await;
    assert_eq!(bed.name(id).await, StateName::Completed);
}

pub async fn the_third_crash_makes_a_dead_letter(bed: Bed) {
    let id = bed.put(NewJob { max_attempts: 100, ..Bed::job() }).await;
    let mut leased = bed.claim_one().await;
    for _ in 0..2 {
        bed.end(leased, &Bed::crashed()).await;
        leased = next_attempt(&bed).await;
    }
    bed.end(leased, &Bed::crashed()).await;
    assert!(matches!(bed.state(id).await, JobState::Dead { reason: BuryReason::CrashesExhausted, .. }));
    assert_eq!(bed.view(id).await.job.crashes, 3);
}

pub async fn a_released_job_keeps_its_attempt(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    bed.end(bed.claim_one().await, &Outcome::Released).await;
    let view = bed.view(id).await;
    assert_eq!((view.job.attempt, view.job.crashes, view.errors.len()), (1, 0, 0));
    assert_eq!(bed.claim_one().await.job.id, id, "at once");
}

pub async fn a_reaped_job_is_charged_once(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    bed.claim_one().await;
    bed.advance(PAST_THE_LEASE).await;
    let reaped = bed.reap().await.remove(0);
    assert_eq!((reaped.job.attempt, reaped.job.crashes), (1, 0), "taking over charges nothing");
    bed.end(reaped, &Bed::crashed()).await;
    let view = bed.view(id).await;
    assert_eq!((view.job.attempt, view.job.crashes), (1, 1));
    assert_eq!(bed.error_kinds(id).await, [AttemptErrorKind::Crashed]);
}

pub async fn only_the_last_twenty_errors_are_kept(bed: Bed) {
    let id = bed.put(NewJob { max_attempts: 100, ..Bed::job() }).await;
    let mut leased = bed.claim_one().await;
    for _ in 0..23 {
        bed.end(leased, &Bed::transient()).await;
        leased = next_attempt(&bed).await;
    }
    let attempts: Vec<u32> = bed.view(id).await.errors.iter().map(|error| error.attempt).collect();
    assert_eq!(attempts, (4..=23).collect::<Vec<u32>>());
}
