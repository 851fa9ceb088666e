use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Attempt, ConcurrencyKey, JobId, JobKind, LimitClass, Payload, QueueName, SupersedeKey, UniqueKey, VersionId,
};

/// Of the jobs that may start, a higher priority starts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(pub i16);

/// How many turns a job's key gets beside a key of weight 1, at equal priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

impl Weight {
    /// The heaviest.
    pub const MAX: u16 = 1000;
    /// One turn a round.
    pub const ONE: Self = Self(1);

    /// From 1 to [`Weight::MAX`].
    pub fn new(weight: u16) -> Result<Self, WeightError> {
        if (1..=Self::MAX).contains(&weight) { Ok(Self(weight)) } else { Err(WeightError(weight)) }
    }

    /// The number itself.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A weight out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a weight must be from 1 to {max}, and is {0}", max = Weight::MAX)]
pub struct WeightError(u16);

impl TryFrom<u16> for Weight {
    type Error = WeightError;

    fn try_from(weight: u16) -> Result<Self, WeightError> {
        Self::new(weight)
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> u16 {
        weight.0
    }
}

/// Which jobs a job shares its concurrency with, and under which limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Concurrency {
    /// Jobs of a queue with the same key count together.
    pub key: ConcurrencyKey,
    /// The limit's name; its number stands in the store and can be changed at any time.
    pub class: LimitClass,
}

/// Keeps a second job with the same key out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unique {
    /// What must be unique within the queue.
    pub key: UniqueKey,
    /// How long after the job's completion the key stays taken.
    pub window: Duration,
}

/// Makes a job one of several versions of the same work, of which only the newest is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Supersede {
    /// What it is a version of, within the queue.
    pub key: SupersedeKey,
    /// Which version it is.
    pub version: Version,
}

/// One version: of two, the one with the later time is newer, and at equal times the one that arrived later. The same
/// time and id again is the same version; an id that comes back with a later time, as after a push back to an earlier
/// head, is a new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// When it came about, such as the time of the push; whole milliseconds count. It is the source's time, and never
    /// compared with the store's.
    pub at: Timestamp,
    /// What it is called there.
    pub id: VersionId,
}

impl Version {
    /// Whether a job of this version, which arrives now, is older than a version that is known.
    pub fn is_older_than(&self, known: &Self) -> bool {
        self.at.as_millisecond() < known.at.as_millisecond()
    }

    /// Whether both are the same version.
    pub fn is_same_as(&self, known: &Self) -> bool {
        self.at.as_millisecond() == known.at.as_millisecond() && self.id == known.id
    }
}

/// A job as a worker gets it and an operator sees it: all but its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Identity.
    pub id: JobId,
    /// Where it waits.
    pub queue: QueueName,
    /// Which handler it is for.
    pub kind: JobKind,
    /// What to work on.
    pub payload: Payload,
    /// Rank among the jobs that may start.
    pub priority: Priority,
    /// Turns of its key.
    pub weight: Weight,
    /// Limit that it runs under, if any.
    pub concurrency: Option<Concurrency>,
    /// Key that keeps duplicates out, if any.
    pub unique: Option<Unique>,
    /// The version that it is, if newer ones supersede it.
    pub supersede: Option<Supersede>,
    /// The attempt that runs or comes next, from 1.
    pub attempt: u32,
    /// Attempts that may fail before the job is dead.
    pub max_attempts: u32,
    /// How often it has taken its worker down.
    pub crashes: u32,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// W3C `traceparent` of the enqueue, if the caller had one.
    pub trace_parent: Option<String>,
    /// When it was enqueued, by the store's clock.
    pub created_at: Timestamp,
}

impl Job {
    /// The job's budgets, for [`crate::decide`].
    pub const fn budgets(&self) -> Attempt {
        Attempt { number: self.attempt, max: self.max_attempts, crashes: self.crashes }
    }
}
