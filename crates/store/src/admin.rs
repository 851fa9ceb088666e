use async_trait::async_trait;
use jiff::Timestamp;
use job::{
    AttemptError, CancelReason, ConcurrencyKey, CronName, GroupName, Job, JobId, JobState, LimitClass, QueueName,
    StateName,
};
use serde::Serialize;

use crate::{CronEntry, CronView, JobFilter, PruneFilter, QueueSettings, ReplayFilter, StoreError, Throttle};

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

    /// Replays dead letters in one bounded batch, oldest first; how many, and whether more are left. Those whose unique
    /// key is taken or that a newer version has superseded are left out.
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

    /// Forgets finished jobs in bounded batches, those that ended first going first; how many, and whether more are left.
    async fn prune_matching(&self, filter: &PruneFilter) -> Result<(usize, bool), StoreError>;

    /// Sets, for each key of a class, how often its jobs may start, at once; `None` takes the throttle away. A class that
    /// was not known becomes so, without a limit. Starts are counted for each key and class of a queue; those before a
    /// throttle was set are not known to it.
    async fn set_throttle(
        &self,
        queue: &QueueName,
        class: &LimitClass,
        throttle: Option<Throttle>,
    ) -> Result<(), StoreError>;

    /// Gives queues a limit of leased jobs that they share, at once: at no instant are more jobs of all of them leased,
    /// but for those that ran when the limit was lowered or a queue joined. Takes the place of what the group was before;
    /// without queues it is dissolved. [`StoreError::Invalid`] for an unknown queue and for one of another group.
    async fn define_group(&self, group: &GroupName, queues: &[QueueName], limit: Option<u32>)
    -> Result<(), StoreError>;

    /// Stores a schedule, or puts it in the place of the one with its name. Its next firing is the first after now, but
    /// stays what it was when expression and time zone are unchanged, so that setting it again at every start of a
    /// process loses no firing. [`StoreError::Invalid`] for an unknown queue or limit class, `max_attempts` of 0, and
    /// when there are [`CRON_MAX`](crate::CRON_MAX) others.
    async fn set_cron(&self, entry: &CronEntry) -> Result<(), StoreError>;

    /// Forgets a schedule; its jobs stay. Answers whether there was one.
    async fn remove_cron(&self, name: &CronName) -> Result<bool, StoreError>;

    /// All stored schedules, by name.
    async fn list_cron(&self) -> Result<Vec<CronView>, StoreError>;

    /// All that is set for a queue.
    async fn settings(&self, queue: &QueueName) -> Result<QueueSettings, StoreError>;
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

/// One page of a list.
#[derive(Debug, Clone, Serialize)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<JobView>,
    /// What to pass as `before` for the next page, if there may be one.
    pub next: Option<JobId>,
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
    /// A newer version of its supersede key has come: this job.
    Superseded(JobId),
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
