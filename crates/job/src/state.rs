use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{BuryReason, CancelReason, WorkerId};

/// Where a job stands, with what only this state knows.
///
/// ```text
/// scheduled → ready ⇄ parked → leased → completed | scheduled (retry) | dead | cancelled
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a time: not due yet, or between two attempts.
    Scheduled {
        /// When it becomes ready.
        run_at: Timestamp,
    },
    /// May start as soon as a worker asks and its turn has come.
    Ready {
        /// Since when.
        since: Timestamp,
    },
    /// Would be ready, but its concurrency key is at its limit or paused.
    Parked,
    /// A worker holds it.
    Leased {
        /// Who.
        worker: WorkerId,
        /// Since when.
        since: Timestamp,
        /// When the lease may be taken over, unless it is renewed.
        expires_at: Timestamp,
        /// Set when the worker has been asked to stop; it learns so at its next renewal.
        cancel_requested: Option<CancelReason>,
    },
    /// Done.
    Completed {
        /// When.
        at: Timestamp,
    },
    /// Given up: a dead letter, kept for a replay.
    Dead {
        /// When.
        at: Timestamp,
        /// Which budget or rule ended it.
        reason: BuryReason,
    },
    /// Not wanted any more.
    Cancelled {
        /// When.
        at: Timestamp,
        /// By whom.
        reason: CancelReason,
    },
}

/// A state's name alone: for filters, counts and metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// See [`JobState::Scheduled`].
    Scheduled,
    /// See [`JobState::Ready`].
    Ready,
    /// See [`JobState::Parked`].
    Parked,
    /// See [`JobState::Leased`].
    Leased,
    /// See [`JobState::Completed`].
    Completed,
    /// See [`JobState::Dead`].
    Dead,
    /// See [`JobState::Cancelled`].
    Cancelled,
}

impl JobState {
    /// The state's name.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Scheduled { .. } => StateName::Scheduled,
            Self::Ready { .. } => StateName::Ready,
            Self::Parked => StateName::Parked,
            Self::Leased { .. } => StateName::Leased,
            Self::Completed { .. } => StateName::Completed,
            Self::Dead { .. } => StateName::Dead,
            Self::Cancelled { .. } => StateName::Cancelled,
        }
    }
}

impl StateName {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 7] =
        [Self::Scheduled, Self::Ready, Self::Parked, Self::Leased, Self::Completed, Self::Dead, Self::Cancelled];

    /// Whether no transition leads out of the state. (An operator's replay of a dead letter starts the job anew.)
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Dead | Self::Cancelled)
    }

    /// The name as it stands in filters, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Parked => "parked",
            Self::Leased => "leased",
            Self::Completed => "completed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state: allowed are scheduled, ready, parked, leased, completed, dead and cancelled")]
pub struct UnknownState(String);

impl FromStr for StateName {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}
