use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use job::{
    ClaimId, Concurrency, Job, JobId, JobKind, Payload, Priority, QueueName, Supersede, Unique, Weight, WorkerId,
};
use tokio::sync::watch;

use crate::{LeaseRef, LeasedJob, QueueAdmin, QueueStats, Renewal, Settled, Settlement, StoreError};

/// Most jobs one call to enqueue takes.
pub const ENQUEUE_MAX: usize = 10_000;
/// Most jobs one claim answers.
pub const CLAIM_MAX: usize = 1_000;
/// Most bytes of a checkpoint's step.
pub const STEP_MAX_BYTES: usize = 64;
/// A job that is to start later than this was hardly meant so, and would sit in the table for as long.
pub const RUN_AT_MAX_DAYS: u32 = 365;
/// Most settlements or renewals one call takes.
pub const SETTLE_MAX: usize = 10_000;
/// Most bytes of one checkpoint's value.
pub const CHECKPOINT_MAX_BYTES: usize = 1024 * 1024;
/// Most checkpoints one job keeps.
pub const CHECKPOINTS_MAX: usize = 16;
/// How long the newest version of a supersede key is remembered after its arrival, and longer while its job is live. An
/// older version that arrives later than this is taken for a new one.
pub const VERSIONS_KEPT: Duration = Duration::from_hours(30 * 24);

/// The operations of a queue's life. Implemented once per backend.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Stores jobs and answers for each, in order, once all that are answered `Inserted` are durable. A job that is not
    /// stored does not keep the others out. At most [`ENQUEUE_MAX`].
    ///
    /// A job is asked in this order, and the first that applies answers: is it valid (`Rejected`), is its id known
    /// (`Duplicate`), is its version older than the newest of its supersede key (`Superseded`) or the same (`Duplicate`),
    /// is its unique key taken (`Duplicate`), does its throttle refuse it (`Rejected`). A job that is not stored changes
    /// nothing: it supersedes none and takes no key. The jobs of a batch are answered as if each came by itself, in their
    /// order; so an earlier version in the batch is `Inserted`, and then cancelled by the later one.
    ///
    /// A stored job whose version is the newest of its supersede key cancels the one that waits
    /// ([`job::CancelReason::Superseded`]), asks the one that runs to stop, and stays parked until no job of the key is
    /// leased. A unique key that an older version of the same supersede key holds is no hindrance: the newer one takes it
    /// over.
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError>;

    /// Leases up to `max` jobs that may start, best first. Repeating a call under the same claim id answers the same
    /// jobs, as far as they are still leased under it.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed, StoreError>;

    /// Extends leases to `extend` from now, answering for each in order. At most [`SETTLE_MAX`].
    async fn renew(&self, leases: &[LeaseRef], extend: Duration) -> Result<Vec<Renewal>, StoreError>;

    /// Ends leases, answering for each in order. At most [`SETTLE_MAX`].
    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Settled>, StoreError>;

    /// Keeps a value with the job for its next attempts, replacing an earlier one of the same step. Refused with
    /// [`Settled::LeaseLost`] when the lease is gone.
    async fn checkpoint(&self, lease: &LeaseRef, checkpoint: &Checkpoint) -> Result<Settled, StoreError>;

    /// Takes over leases that have expired, under a new lease of the caller's: the caller settles them with
    /// [`job::Outcome::Crashed`], and only that settlement counts the crash.
    async fn reap(&self, request: &ReapRequest) -> Result<Vec<LeasedJob>, StoreError>;

    /// Makes the jobs of schedules that fire, moves due jobs to ready, frees parked jobs whose throttle's period has
    /// ended, and forgets what has been kept long enough, in bounded batches.
    async fn maintain(&self, budget: &Budget) -> Result<Maintained, StoreError>;

    /// The depth of every queue.
    async fn stats(&self) -> Result<Vec<QueueStats>, StoreError>;

    /// Whether a job could be stored durably now. May cost a durable write of bounded size, so that callers ask seldom. A
    /// backend that has no better answer says whether it can be read.
    async fn probe(&self) -> Result<(), StoreError> {
        self.stats().await.map(drop)
    }
}

/// Tells idle workers of new work. A wake-up may be lost: polling alone is correct.
pub trait Wakeups: Send + Sync {
    /// Changes whenever a job of any queue may have become ready. Coalesced.
    fn subscribe(&self) -> watch::Receiver<()>;
}

/// All that a backend offers.
pub trait QueueBackend: QueueStore + QueueAdmin + Wakeups {}

impl<T: QueueStore + QueueAdmin + Wakeups> QueueBackend for T {}

/// A job to be stored. It carries its id, so that a repeated enqueue is harmless.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Identity, made by the caller (UUID version 7).
    pub id: JobId,
    /// Where it is to wait.
    pub queue: QueueName,
    /// Which handler it is for.
    pub kind: JobKind,
    /// What to work on.
    pub payload: Payload,
    /// Rank.
    pub priority: Priority,
    /// Turns of its key.
    pub weight: Weight,
    /// Limit that it runs under, if any.
    pub concurrency: Option<Concurrency>,
    /// Key that keeps duplicates out, if any.
    pub unique: Option<Unique>,
    /// The version that it is, if newer ones supersede it.
    pub supersede: Option<Supersede>,
    /// Not to start before. `None`: at once.
    pub run_at: Option<Timestamp>,
    /// Attempts that may fail before the job is dead, at least 1.
    pub max_attempts: u32,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// W3C `traceparent` of the caller.
    pub trace_parent: Option<String>,
}

/// What became of a job at its enqueue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    /// It is stored.
    Inserted,
    /// A job with its id, its unique key or its version is there already; this is that job. One that had the version may
    /// have ended in any way since, and may be forgotten.
    Duplicate(JobId),
    /// A newer version of its supersede key has come before it; this is that version's job.
    Superseded(JobId),
    /// It cannot be stored as it is.
    Rejected(Rejection),
}

/// Why a job was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No queue of that name is configured.
    #[error("there is no queue {0}")]
    UnknownQueue(QueueName),
    /// No limit class of that name is configured.
    #[error("there is no limit class {0}")]
    UnknownLimitClass(job::LimitClass),
    /// The time is further away than a queue should keep a job.
    #[error("run_at is more than {max_days} days away")]
    RunAtTooFar {
        /// Days allowed.
        max_days: u32,
    },
    /// `max_attempts` is 0.
    #[error("max_attempts must be at least 1")]
    NoAttempts,
    /// The job would have to wait for its key's throttle, whose class refuses such jobs
    /// ([`WhenFull::Refuse`](crate::WhenFull)).
    #[error("the key has had all its starts of this period: try again in {} s", retry_in.as_secs().max(1))]
    Throttled {
        /// How long until the key may start a job again; the whole period when nothing of it has started yet.
        retry_in: Duration,
    },
}

/// Asks for work.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Identity of this call; also the token of the leases that it makes.
    pub id: ClaimId,
    /// Queues to take from, in the order of asking.
    pub queues: Vec<QueueName>,
    /// Most jobs to answer: the worker's free slots. At most [`CLAIM_MAX`].
    pub max: usize,
    /// Who asks.
    pub worker: WorkerId,
    /// How long the leases run, unless they are renewed.
    pub lease: Duration,
}

/// Answer to a claim.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Leased jobs, best first.
    pub jobs: Vec<LeasedJob>,
    /// Whether more may be ready: the caller with free slots asks again at once.
    pub more: bool,
    /// How long until maintenance has jobs of these queues to make ready: the next scheduled one, the first parked one
    /// whose throttle's period ends, or the next firing of a schedule. Zero when it could do so now; `None` when none
    /// waits for a time.
    pub next_due_in: Option<Duration>,
}

/// A value that a job keeps across its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which step wrote it; at most 64 bytes.
    pub step: String,
    /// At most [`CHECKPOINT_MAX_BYTES`].
    pub value: Vec<u8>,
}

/// Asks for expired leases.
#[derive(Debug, Clone)]
pub struct ReapRequest {
    /// Identity of this call; also the token of the leases that it takes over.
    pub id: ClaimId,
    /// Who asks.
    pub worker: WorkerId,
    /// How long the reaper's leases run.
    pub lease: Duration,
    /// Most leases to take over.
    pub max: usize,
}

/// How much one maintenance pass may do.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Most jobs to touch.
    pub jobs_max: usize,
}

/// What a maintenance pass has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Jobs made of schedules that have fired.
    pub fired: usize,
    /// Scheduled jobs that became ready or parked.
    pub due: usize,
    /// Parked jobs that became ready though no settlement freed them.
    pub unparked: usize,
    /// Parked jobs that became ready because their throttle's period has ended.
    pub unthrottled: usize,
    /// Unique keys whose window has ended.
    pub unique_expired: usize,
    /// Supersede keys whose newest version has been forgotten.
    pub versions_expired: usize,
    /// Whether the budget ended the pass before the work did.
    pub more: bool,
    /// As [`Claimed::next_due_in`], of all queues.
    pub next_due_in: Option<Duration>,
}

impl From<&NewJob> for Job {
    /// The job as it starts out; `created_at` is the store's to set.
    fn from(new: &NewJob) -> Self {
        Self {
            id: new.id,
            queue: new.queue.clone(),
            kind: new.kind.clone(),
            payload: new.payload.clone(),
            priority: new.priority,
            weight: new.weight,
            concurrency: new.concurrency.clone(),
            unique: new.unique.clone(),
            supersede: new.supersede.clone(),
            attempt: 1,
            max_attempts: new.max_attempts,
            crashes: 0,
            timeout: new.timeout,
            trace_parent: new.trace_parent.clone(),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }
}
