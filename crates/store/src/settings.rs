use std::time::Duration;

use job::{ConcurrencyKey, GroupName, LimitClass, QueueName};
use serde::{Deserialize, Serialize, Serializer};

use crate::StoreError;

/// Most keys with settings of their own that [`QueueSettings`] shows.
pub const KEYS_SHOWN_MAX: usize = 1_000;

/// How often jobs of a key may start: in any span of a period's length, at most so many. Every start counts, those of
/// retries and those whose job was released, cancelled or lost since: what a start has cost elsewhere, such as a call to
/// a model, does not come back with the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Throttle {
    /// Most starts of a key in a period; see [`Throttle::STARTS_MAX`].
    pub starts: u32,
    /// The period, in whole milliseconds; see [`Throttle::PERIOD_MIN`] and [`Throttle::PERIOD_MAX`].
    #[serde(rename = "period_ms", serialize_with = "as_millis")]
    pub period: Duration,
    /// What becomes of a job that would have to wait for it.
    pub when_full: WhenFull,
}

/// What becomes of a job whose key has had all its starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It waits, parked: it holds no room of its key's limit, and its wait is no starvation.
    #[default]
    Wait,
    /// It is refused at its enqueue ([`Rejection::Throttled`](crate::Rejection)) when the key's starts of the last period
    /// and its jobs that are ready or parked come to the number of starts already. A job that is scheduled for later, or
    /// comes back for a retry, is never refused and waits.
    Refuse,
}

impl Throttle {
    /// Most starts that a throttle may allow: the store keeps a time for each.
    pub const STARTS_MAX: u32 = 1_000;
    /// The shortest period.
    pub const PERIOD_MIN: Duration = Duration::from_secs(1);
    /// The longest period: 30 days.
    pub const PERIOD_MAX: Duration = Duration::from_hours(30 * 24);

    /// Refuses what is out of bounds, with [`StoreError::Invalid`].
    pub fn check(&self) -> Result<(), StoreError> {
        if !(1..=Self::STARTS_MAX).contains(&self.starts) {
            let (starts, max) = (self.starts, Self::STARTS_MAX);
            return Err(StoreError::Invalid(format!("a throttle of {starts} starts: allowed are 1 to {max}")));
        }
        if !(Self::PERIOD_MIN..=Self::PERIOD_MAX).contains(&self.period) {
            let period = self.period;
            return Err(StoreError::Invalid(format!("a throttle's period of {period:?}: allowed are 1 s to 30 days")));
        }
        Ok(())
    }
}

fn as_millis<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// All that is set for a queue, by the configuration or an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueSettings {
    /// The queue.
    pub queue: QueueName,
    /// Its own limit of leased jobs.
    pub limit: Option<u32>,
    /// Whether it is paused.
    pub paused: bool,
    /// The group that it is in.
    pub group: Option<GroupSettings>,
    /// Its limit classes, by name.
    pub classes: Vec<ClassSettings>,
    /// Keys with a limit of their own or a pause, by name; at most [`KEYS_SHOWN_MAX`].
    pub keys: Vec<KeySettings>,
    /// Whether there are more such keys.
    pub more_keys: bool,
}

/// Queues that share a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupSettings {
    /// Its name.
    pub name: GroupName,
    /// Its queues, by name.
    pub queues: Vec<QueueName>,
    /// Most jobs of all of them together that are leased at once.
    pub limit: Option<u32>,
}

/// What is set for the keys of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassSettings {
    /// The class.
    pub class: LimitClass,
    /// Most jobs of each of its keys that are leased at once.
    pub limit: Option<u32>,
    /// How often jobs of each of its keys may start.
    pub throttle: Option<Throttle>,
}

/// What is set for one key, over its class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeySettings {
    /// The key.
    pub key: ConcurrencyKey,
    /// Its own limit; `None`: that of its class.
    pub limit: Option<u32>,
    /// Whether it is paused.
    pub paused: bool,
}
