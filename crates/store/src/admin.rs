use async_trait::async_trait;
use jiff::Timestamp;
use job::{
    AttemptError, CancelReason, ConcurrencyKey, Job, JobId, JobKind, JobState, LimitClass, QueueName, StateName,
};
use serde::Serialize;

use crate::StoreError;

/// Most jobs one page of a list has.
pub const PAGE_MAX: usize = 500;

/// Why [`QueueAdmin::configure_limit`] refuses a key.
pub const NO_KEY_IS_CONFIGURED: &str =
    "the limit of a key is an operator's to set: the configuration has those of queues and classes";

/// What an operator does to a queue.
#[async_trait]
pub trait QueueAdmin: Send + Sync {
    /// Makes sure that the queue exists and has this limit of leased jobs (`None`: no limit).
    async fn define_queue(&self, queue: &QueueName, limit: Option<u32>) -> Result<(), StoreError>;

    /// Applies a limit of the configuration, as every process does when it starts: it takes effect only where it is not
    /// the one that was configured last, so that what [`QueueAdmin::set_limit`] has set since holds until the
    /// configuration changes. A queue that is not there is made; a key has no configured limit
    /// ([`StoreError::Invalid`]).
    ///
    /// A backend that does not remember what was configured sets the limit each time.
    async fn configure_limit(&self, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
        match target {
            LimitTarget::Queue(queue) => self.define_queue(queue, limit).await,
            LimitTarget::Class(..) => self.set_limit(target, limit).await,
            LimitTarget::Key(..) => Err(StoreError::Invalid(NO_KEY_IS_CONFIGURED.to_owned())),
        }
    }

    /// One job with all that is known of it, finished ones included.
    async fn get(&self, id: JobId) -> Result<Option<JobView>, StoreError>;

    /// A page of jobs, newest first.
    async fn list(&self, filter: &JobFilter) -> Result<JobPage, StoreError>;

    /// Cancels a job that waits, and asks a running one to stop. Answers the state that the job is in after it; `None`
    /// when there is no such job.
    async fn cancel(&self, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError>;

    /// Starts a waiting job now, and a dead or cancelled one anew with a fresh budget, keeping identity and history.
    async fn retry(&self, id: JobId) -> Result<Retried, StoreError>;

    /// Replays dead letters in one bounded batch; how many, and whether more are left.
    async fn replay(&self, filter: &ReplayFilter) -> Result<(usize, bool), StoreError>;

    /// Keeps jobs from starting. Running ones go on.
    async fn pause(&self, target: &PauseTarget) -> Result<(), StoreError>;

    /// Ends a pause.
    async fn resume(&self, target: &PauseTarget) -> Result<(), StoreError>;

    /// Sets a limit at once: running jobs go on, and none starts above it. `None` takes the limit away; for a key it
    /// gives the key back to its class.
    async fn set_limit(&self, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError>;

    /// Forgets finished jobs that ended before a time, dead ones excepted, at most `max`; how many.
    async fn prune(&self, before: Timestamp, max: usize) -> Result<usize, StoreError>;
}

/// A job as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobView {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// Where it stands.
    #[serde(flatten)]
    pub state: JobState,
    /// When its last attempt started, whatever became of that; `None` when none has.
    pub started_at: Option<Timestamp>,
    /// What went wrong in past attempts, oldest first.
    pub errors: Vec<AttemptError>,
    /// Steps that have kept a checkpoint.
    pub checkpoints: Vec<String>,
}

/// Which jobs to list; an empty filter lists all.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Of this queue only.
    pub queue: Option<QueueName>,
    /// In this state only.
    pub state: Option<StateName>,
    /// Of this kind only.
    pub kind: Option<JobKind>,
    /// Of this concurrency key only.
    pub key: Option<ConcurrencyKey>,
    /// Only jobs with a smaller id: where the page before ended.
    pub before: Option<JobId>,
    /// Jobs on a page, at most [`PAGE_MAX`].
    pub limit: usize,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<JobView>,
    /// What to pass as `before` for the next page, if there may be one.
    pub next: Option<JobId>,
}

/// Which dead letters to replay.
#[derive(Debug, Clone, Default)]
pub struct ReplayFilter {
    /// Of this queue only.
    pub queue: Option<QueueName>,
    /// Of this kind only.
    pub kind: Option<JobKind>,
    /// Most to replay in this call.
    pub max: usize,
}

/// What a retry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It waits to start.
    Done,
    /// There is no such job.
    NotFound,
    /// It runs or is completed: there is nothing to retry.
    NotRetryable(StateName),
    /// Its unique key is taken by this job.
    KeyTaken(JobId),
}

/// What to pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PauseTarget {
    /// A whole queue.
    Queue(QueueName),
    /// One concurrency key of a queue.
    Key(QueueName, ConcurrencyKey),
}

/// Whose limit to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitTarget {
    /// Of all jobs of a queue together.
    Queue(QueueName),
    /// Of each key of this class in a queue.
    Class(QueueName, LimitClass),
    /// Of one key, over its class.
    Key(QueueName, ConcurrencyKey),
}
