use std::time::Duration;

use job::QueueName;
use serde::Serialize;

/// Depth of one queue. The cost of reading it does not grow with the depth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueStats {
    /// The queue.
    pub queue: QueueName,
    /// Jobs that wait for a time.
    pub scheduled: u64,
    /// Jobs that may start.
    pub ready: u64,
    /// Jobs whose key is at its limit or paused.
    pub parked: u64,
    /// Jobs that a worker holds.
    pub leased: u64,
    /// Dead letters.
    pub dead: u64,
    /// How long the oldest ready job has been ready.
    pub oldest_ready: Option<Duration>,
    /// The queue's own limit of leased jobs, if it has one.
    pub limit: Option<u32>,
    /// Whether the queue is paused.
    pub paused: bool,
}
