use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AttemptError, AttemptErrorKind, BuryReason, Outcome, Transition};

/// Where a job stands in its budgets when an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Which attempt has just ended, from 1. It rises with every failure and never falls; a release or a crash leaves it.
    pub number: u32,
    /// How many attempts may fail before the job is given up, at least 1.
    pub max: u32,
    /// How often the job has taken its worker down before.
    pub crashes: u32,
}

/// How retries are spaced and how many crashes a job may cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Upper bound of the first retry's delay; it doubles with each further attempt.
    pub base: Duration,
    /// Upper bound of every retry's delay, however many attempts there were.
    pub cap: Duration,
    /// A `Retry-After` beyond this is cut to it, so that a wrong header cannot put a job off for ever.
    pub retry_after_max: Duration,
    /// The crash that makes a dead letter of the job, at least 1.
    pub max_crashes: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(2),
            cap: Duration::from_mins(5),
            retry_after_max: Duration::from_hours(24),
            max_crashes: 3,
        }
    }
}

/// A random number from 0 (inclusive) to 1 (exclusive), drawn by the caller: this crate has no randomness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// From 32 random bits.
    pub fn from_bits(bits: u32) -> Self {
        Self(f64::from(bits) / (f64::from(u32::MAX) + 1.0))
    }

    fn of(self, whole: Duration) -> Duration {
        whole.mul_f64(self.0)
    }
}

/// Decides what becomes of a job whose attempt has ended: the only place where retries are decided.
///
/// A retry waits for a random time between zero and `min(cap, base · 2^(number − 1))` ("full jitter", so that jobs that
/// failed together do not come back together). A `Retry-After` is waited out first, and the jitter of one `base` added. After its
/// first crash a job is retried at once, after later ones as after one failure less.
pub fn decide(attempt: Attempt, outcome: &Outcome, policy: &RetryPolicy, jitter: Jitter) -> Transition {
    let fault = |kind, message: &str| AttemptError::new(attempt.number, kind, message);
    let retry_or_bury = |error: AttemptError, retry_after: Option<Duration>| {
        if attempt.number >= attempt.max {
            return Transition::Bury { reason: BuryReason::AttemptsExhausted, error };
        }
        let delay = match retry_after {
            Some(wait) => wait.min(policy.retry_after_max) + jitter.of(policy.base.min(policy.cap)),
            None => jitter.of(ceiling(policy, attempt.number)),
        };
        Transition::Retry { delay, error }
    };
    match outcome {
        Outcome::Completed => Transition::Complete,
        Outcome::Released => Transition::Release,
        Outcome::Cancelled(reason) => Transition::Cancel(*reason),
        Outcome::Permanent { error } => {
            Transition::Bury { reason: BuryReason::Permanent, error: fault(AttemptErrorKind::Permanent, error) }
        }
        Outcome::Transient { error, retry_after } => {
            retry_or_bury(fault(AttemptErrorKind::Transient, error), *retry_after)
        }
        Outcome::TimedOut => {
            retry_or_bury(fault(AttemptErrorKind::TimedOut, "the attempt ran into the job's timeout"), None)
        }
        Outcome::Crashed { error } => {
            let error = fault(AttemptErrorKind::Crashed, error);
            if attempt.crashes + 1 >= policy.max_crashes {
                return Transition::Bury { reason: BuryReason::CrashesExhausted, error };
            }
            // The first time at once: the lease has been waited out, and it is rarely the job that has killed its worker.
            let delay = if attempt.crashes == 0 { Duration::ZERO } else { jitter.of(ceiling(policy, attempt.crashes)) };
            Transition::Retry { delay, error }
        }
    }
}

fn ceiling(policy: &RetryPolicy, number: u32) -> Duration {
    let factor = 1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX);
    policy.base.checked_mul(factor).unwrap_or(policy.cap).min(policy.cap)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::CancelReason;

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        let error = ".{0,40}";
        prop_oneof![
            Just(Outcome::Completed),
            Just(Outcome::TimedOut),
            Just(Outcome::Released),
            Just(Outcome::Cancelled(CancelReason::Requested)),
            error.prop_map(|error| Outcome::Permanent { error }),
            error.prop_map(|error| Outcome::Crashed { error }),
            (error, proptest::option::of(0_u64..200_000))
                .prop_map(|(error, secs)| Outcome::Transient { error, retry_after: secs.map(Duration::from_secs) }),
        ]
    }

    fn any_policy() -> impl Strategy<Value = RetryPolicy> {
        (0_u64..10_000, 0_u64..1_000_000, 0_u64..200_000, 1_u32..6).prop_map(|(base, cap, retry_after, max_crashes)| {
            RetryPolicy {
                base: Duration::from_millis(base),
                cap: Duration::from_millis(cap),
                retry_after_max: Duration::from_secs(retry_after),
                max_crashes,
            }
        })
    }

    fn any_attempt() -> impl Strategy<Value = Attempt> {
        (1_u32..80, 1_u32..80, 0_u32..8).prop_map(|(number, max, crashes)| Attempt { number, max, crashes })
    }

    proptest! {
        #[test]
        fn budgets_never_fall_and_only_faults_are_charged(
            before in any_attempt(), outcome in any_outcome(), policy in any_policy(), bits: u32,
        ) {
            let transition = decide(before, &outcome, &policy, Jitter::from_bits(bits));
            let after = transition.charge(before);
            prop_assert!(after.number >= before.number && after.crashes >= before.crashes);
            prop_assert_eq!(after.max, before.max);
            if matches!(outcome, Outcome::Released | Outcome::Completed | Outcome::Cancelled(_)) {
                prop_assert_eq!(after, before);
            }
        }

        #[test]
        fn a_delay_is_within_its_bounds_and_obeys_retry_after(
            before in any_attempt(), outcome in any_outcome(), policy in any_policy(), bits: u32,
        ) {
            if let Transition::Retry { delay, .. } = decide(before, &outcome, &policy, Jitter::from_bits(bits)) {
                match outcome {
                    Outcome::Transient { retry_after: Some(wait), .. } => {
                        let wait = wait.min(policy.retry_after_max);
                        prop_assert!(delay >= wait && delay <= wait + policy.base);
                    }
                    _ => prop_assert!(delay <= policy.cap),
                }
            }
        }

        #[test]
        fn every_chain_of_faults_ends(outcomes in proptest::collection::vec(any_outcome(), 200), max in 1_u32..20) {
            let policy = RetryPolicy::default();
            let mut attempt = Attempt { number: 1, max, crashes: 0 };
            let mut faults = 0;
            for outcome in outcomes.iter().filter(|o| !matches!(o, Outcome::Released)) {
                let transition = decide(attempt, outcome, &policy, Jitter::from_bits(0));
                let Transition::Retry { .. } = transition else { return Ok(()) };
                faults += 1;
                prop_assert!(faults < max + policy.max_crashes);
                attempt = transition.charge(attempt);
            }
        }
    }

    #[test]
    fn the_retry_budget_and_the_crash_budget_are_apart() {
        let policy = RetryPolicy::default();
        let no_retries = Attempt { number: 1, max: 1, crashes: 0 };
        let crash = Outcome::Crashed { error: "the worker died".into() };
        assert!(matches!(decide(no_retries, &crash, &policy, Jitter::from_bits(0)), Transition::Retry { .. }));
        let third = Attempt { number: 1, max: 100, crashes: 2 };
        let Transition::Bury { reason, .. } = decide(third, &crash, &policy, Jitter::from_bits(0)) else {
            panic!("the third crash is the last")
        };
        assert_eq!(reason, BuryReason::CrashesExhausted);
    }

    #[test]
    fn the_first_crash_is_retried_at_once_and_later_ones_ever_later() {
        let policy = RetryPolicy::default();
        let crash = Outcome::Crashed { error: "the worker died".into() };
        let delay_after = |crashes| match decide(
            Attempt { number: 1, max: 4, crashes },
            &crash,
            &RetryPolicy { max_crashes: 10, ..policy },
            Jitter::from_bits(u32::MAX),
        ) {
            Transition::Retry { delay, .. } => delay,
            other => panic!("{other:?}"),
        };
        assert_eq!(delay_after(0), Duration::ZERO);
        assert!(delay_after(1) > Duration::ZERO && delay_after(2) > delay_after(1));
    }

    #[test]
    fn a_permanent_fault_is_not_retried() {
        let first = Attempt { number: 1, max: 4, crashes: 0 };
        let outcome = Outcome::Permanent { error: "no such commit".into() };
        assert!(matches!(
            decide(first, &outcome, &RetryPolicy::default(), Jitter::from_bits(0)),
            Transition::Bury { reason: BuryReason::Permanent, .. }
        ));
    }
}
