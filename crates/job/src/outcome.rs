use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Attempt;

/// How one attempt at a job ended, as its handler or its reaper says.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is done.
    Completed,
    /// A fault that may pass: worth another attempt.
    Transient {
        /// What happened.
        error: String,
        /// The least wait that the other side asked for (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The attempt ran into the job's timeout. Retried like a transient fault.
    TimedOut,
    /// A fault that no repetition mends.
    Permanent {
        /// What happened.
        error: String,
    },
    /// The handler panicked or its worker died: charged to the crash budget, not to the retry budget.
    Crashed {
        /// What is known of it.
        error: String,
    },
    /// The worker gave the job back unfinished, at its shutdown. Costs nothing.
    Released,
    /// The job was told to stop and has stopped.
    Cancelled(CancelReason),
}

/// What becomes of a job whose attempt has ended. Made by [`crate::decide`] alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// To `completed`.
    Complete,
    /// To `scheduled`, due after a delay.
    Retry {
        /// Wait before the next attempt.
        delay: Duration,
        /// Kept with the job.
        error: AttemptError,
    },
    /// To `dead`.
    Bury {
        /// Which budget or rule ended it.
        reason: BuryReason,
        /// Kept with the job.
        error: AttemptError,
    },
    /// To `ready`, as if it had never started.
    Release,
    /// To `cancelled`.
    Cancel(CancelReason),
}

/// What went wrong in one attempt, as kept with the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What kind of end it was.
    pub kind: AttemptErrorKind,
    /// In words; at most [`AttemptError::MESSAGE_MAX_BYTES`], without NUL.
    pub message: String,
    /// When it was settled, by the store's clock; set by the store.
    pub at: Option<Timestamp>,
}

/// What kind of end an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptErrorKind {
    /// See [`Outcome::Transient`].
    Transient,
    /// See [`Outcome::TimedOut`].
    TimedOut,
    /// See [`Outcome::Permanent`].
    Permanent,
    /// See [`Outcome::Crashed`].
    Crashed,
}

/// Why a job was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuryReason {
    /// No repetition would mend it.
    Permanent,
    /// All attempts are used up.
    AttemptsExhausted,
    /// It has taken its worker down too often.
    CrashesExhausted,
}

/// Why a job was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// An operator or the API's caller asked for it.
    Requested,
    /// A newer version of its supersede key has come.
    Superseded,
}

impl Transition {
    /// The job's budgets once this transition is applied: a failure uses up an attempt, a crash one of the crashes, and
    /// nothing else costs anything.
    #[must_use]
    pub const fn charge(&self, before: Attempt) -> Attempt {
        let (Self::Retry { error, .. } | Self::Bury { error, .. }) = self else { return before };
        match (error.kind, self) {
            (AttemptErrorKind::Crashed, _) => Attempt { crashes: before.crashes + 1, ..before },
            // The last failed attempt of a dead job stays its number: no further one comes next.
            (_, Self::Retry { .. }) => Attempt { number: before.number + 1, ..before },
            _ => before,
        }
    }
}

impl AttemptError {
    /// Most bytes of a kept message; the rest is cut at a character's end.
    pub const MESSAGE_MAX_BYTES: usize = 4096;

    /// Makes any text storable: NUL becomes `\u{FFFD}` and what is too long is cut, so that a settlement never fails on
    /// the words of a fault.
    pub fn new(attempt: u32, kind: AttemptErrorKind, message: &str) -> Self {
        Self { attempt, kind, message: storable(message), at: None }
    }

    /// Its message as [`AttemptError::new`] would have made it, for one that a caller has built by hand.
    pub fn storable_message(&self) -> String {
        storable(&self.message)
    }
}

fn storable(message: &str) -> String {
    let cut = message.floor_char_boundary(AttemptError::MESSAGE_MAX_BYTES);
    message[..cut].replace('\0', "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_message_is_storable() {
        let long = format!("a\0{}", "ü".repeat(5000));
        let kept = AttemptError::new(1, AttemptErrorKind::Transient, &long).message;
        assert!(kept.starts_with("a\u{FFFD}ü") && kept.len() <= AttemptError::MESSAGE_MAX_BYTES + 2);
    }
}
