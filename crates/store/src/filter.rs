use jiff::Timestamp;
use job::{BuryReason, ConcurrencyKey, JobId, JobKind, QueueName, StateName};

use crate::StoreError;

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
    /// Created at this time or later, by the store's clock.
    pub created_after: Option<Timestamp>,
    /// Created before this time.
    pub created_before: Option<Timestamp>,
    /// Only jobs with a smaller id: where the page before ended.
    pub before: Option<JobId>,
    /// Jobs on a page, at most [`PAGE_MAX`](crate::PAGE_MAX).
    pub limit: usize,
}

/// Which dead letters to replay.
#[derive(Debug, Clone, Default)]
pub struct ReplayFilter {
    /// Of this queue only.
    pub queue: Option<QueueName>,
    /// Of this kind only.
    pub kind: Option<JobKind>,
    /// Of this concurrency key only.
    pub key: Option<ConcurrencyKey>,
    /// Those that died of this only.
    pub reason: Option<BuryReason>,
    /// Those that died at this time or later.
    pub finished_after: Option<Timestamp>,
    /// Those that died before this time.
    pub finished_before: Option<Timestamp>,
    /// Most to replay or count in this call.
    pub max: usize,
    /// Counts what would be replayed, and changes nothing; a backend may count no further than 10,000 and say that there
    /// are more. Of several with one unique key each is counted.
    pub dry_run: bool,
}

/// Which finished jobs to forget. Without a state: completed and cancelled ones; dead letters go only when they are
/// named.
#[derive(Debug, Clone, Default)]
pub struct PruneFilter {
    /// Of this queue only.
    pub queue: Option<QueueName>,
    /// In this final state only; another is [`StoreError::Invalid`].
    pub state: Option<StateName>,
    /// Of this kind only.
    pub kind: Option<JobKind>,
    /// Of this concurrency key only.
    pub key: Option<ConcurrencyKey>,
    /// Those that ended at this time or later.
    pub finished_after: Option<Timestamp>,
    /// Those that ended before this time.
    pub finished_before: Option<Timestamp>,
    /// Most to forget or count in this call.
    pub max: usize,
    /// Counts what would be forgotten, and changes nothing; bounded as for [`ReplayFilter::dry_run`].
    pub dry_run: bool,
}

impl PruneFilter {
    /// Refuses a state in which no finished job is.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.state.filter(|state| !state.is_final()) {
            None => Ok(()),
            Some(state) => Err(StoreError::Invalid(format!(
                "{state} jobs are not finished: allowed are completed, dead and cancelled"
            ))),
        }
    }
}
