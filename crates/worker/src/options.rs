use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
    time::Duration,
};

use job::{QueueName, RetryPolicy, TextError, Weight, WorkerId};

use crate::backoff::random_bits;

/// Most queues one worker serves.
const QUEUES_MAX: usize = 64;
/// Slots a worker may have. Each costs a lease that is renewed in the same call as the others.
const CONCURRENCY: RangeInclusive<usize> = 1..=10_000;
/// Below it the renewals would chase the store's round trips; above it a dead worker's jobs would wait too long.
const LEASE: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_hours(1);
/// Below it polling would be a load of its own; above it a lost wake-up would cost too much.
const POLL_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(5);
/// No orchestrator waits longer for a process to end.
const DRAIN_GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who it is: each process is an incarnation of its own, see [`worker_id`].
    pub worker: WorkerId,
    /// Queues to take from; 1 to 64, none twice. While several have jobs, each has its part of the slots by weight; what
    /// one does not need is the others'.
    pub queues: Vec<QueueName>,
    /// Weights of queues that have another than 1.
    pub weights: BTreeMap<QueueName, Weight>,
    /// Slots: jobs that it holds at once, from the claim to the hand-over of the settlement. 1 to 10,000; default 16.
    pub concurrency: usize,
    /// How long a lease runs unless it is renewed, which happens at a third of it, or every 5 s. 200 ms to 1 h; default 30 s.
    pub lease: Duration,
    /// The longest wait of an idle worker between two claims when no wake-up comes. 10 ms to 5 min; default 1 s.
    pub poll_interval: Duration,
    /// How long running handlers may go on once the worker is told to stop; then they are stopped and their jobs
    /// released. 0 to 1 h; default 20 s, within the 30 s that Kubernetes grants.
    pub drain_grace: Duration,
    /// When and how often a failed job is tried again.
    pub retry: RetryPolicy,
    /// Policies of queues that differ. It may name queues that this worker does not serve: a worker settles the jobs
    /// that any worker of the store has left behind.
    pub queue_retry: HashMap<QueueName, RetryPolicy>,
}

/// Why a worker cannot work like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Too few or too many queues.
    #[error("a worker serves 1 to {QUEUES_MAX} queues, and not {0}")]
    Queues(usize),
    /// The same queue twice.
    #[error("the queue {0} is named twice")]
    QueueTwice(QueueName),
    /// A weight of a queue that the worker does not serve.
    #[error("the queue {0} has a weight, and is not among those that the worker serves")]
    StrayWeight(QueueName),
    /// A number or a time out of its bounds.
    #[error("{what} must be from {min} to {max}, and is {found}")]
    OutOfBounds {
        /// The option.
        what: &'static str,
        /// What it is.
        found: String,
        /// The least.
        min: String,
        /// The most.
        max: String,
    },
}

impl Options {
    /// The defaults, for a worker of these queues.
    pub fn new(worker: WorkerId, queues: Vec<QueueName>) -> Self {
        Self {
            worker,
            queues,
            weights: BTreeMap::new(),
            concurrency: 16,
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            drain_grace: Duration::from_secs(20),
            retry: RetryPolicy::default(),
            queue_retry: HashMap::new(),
        }
    }

    /// Checks every bound. [`crate::run`] does so too; a configuration is checked when it is loaded.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if !(1..=QUEUES_MAX).contains(&self.queues.len()) {
            return Err(OptionsError::Queues(self.queues.len()));
        }
        let twice = self.queues.iter().enumerate().find(|(i, queue)| self.queues[..*i].contains(queue));
        if let Some((_, queue)) = twice {
            return Err(OptionsError::QueueTwice(queue.clone()));
        }
        if let Some(stray) = self.weights.keys().find(|queue| !self.queues.contains(queue)) {
            return Err(OptionsError::StrayWeight(stray.clone()));
        }
        within("concurrency", &self.concurrency, &CONCURRENCY)?;
        within("lease", &self.lease, &LEASE)?;
        within("poll_interval", &self.poll_interval, &POLL_INTERVAL)?;
        within("drain_grace", &self.drain_grace, &DRAIN_GRACE)
    }

    /// The queues, each with its weight.
    pub(crate) fn weighted_queues(&self) -> impl Iterator<Item = (QueueName, Weight)> {
        let weight = |queue| self.weights.get(queue).copied().unwrap_or(Weight::ONE);
        self.queues.iter().map(move |queue| (queue.clone(), weight(queue)))
    }
}

fn within<T: PartialOrd + std::fmt::Debug>(
    what: &'static str,
    found: &T,
    bounds: &RangeInclusive<T>,
) -> Result<(), OptionsError> {
    if bounds.contains(found) {
        return Ok(());
    }
    let [found, min, max] = [found, bounds.start(), bounds.end()].map(|value| format!("{value:?}"));
    Err(OptionsError::OutOfBounds { what, found, min, max })
}

/// An id for this process: its host, its process id and random bits, since a container that restarts keeps the first
/// two. A host name that is too long is cut.
pub fn worker_id(host: &str) -> Result<WorkerId, TextError> {
    let suffix = format!("/{}/{:08x}", std::process::id(), random_bits());
    let host = &host[..host.floor_char_boundary(WorkerId::MAX_BYTES - suffix.len())];
    WorkerId::new(format!("{host}{suffix}"))
}
