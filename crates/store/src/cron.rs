use std::time::Duration;

use jiff::Timestamp;
use job::{
    Concurrency, CronName, CronSchedule, JobId, JobKind, Payload, Priority, QueueName, TextError, Unique, UniqueKey,
    Weight,
};
use serde::Serialize;

use crate::NewJob;

/// Most schedules that a store keeps: they are few, from the configuration or an operator.
pub const CRON_MAX: usize = 1_000;
/// How long after a firing's completion its unique key stays taken: far longer than a call that makes it is repeated.
const FIRING_WINDOW: Duration = Duration::from_hours(24);

/// A stored schedule: a job that is made again and again.
///
/// Maintenance makes one job of each firing in the whole fleet, whoever runs it, in one step with moving the schedule on.
/// Firings that nobody was there to make are made up for by one job, that of the first of them; the schedule then goes on
/// with the first firing after the store's present time. A firing whose job the queue refuses is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CronEntry {
    /// Its name; an entry of the same name takes its place.
    pub name: CronName,
    /// When it fires.
    #[serde(flatten)]
    pub schedule: CronSchedule,
    /// Where its jobs wait.
    pub queue: QueueName,
    /// Which handler they are for.
    pub kind: JobKind,
    /// What they work on.
    pub payload: Payload,
    /// Their rank.
    pub priority: Priority,
    /// Turns of their key.
    pub weight: Weight,
    /// Limit that they run under, if any.
    pub concurrency: Option<Concurrency>,
    /// Attempts that may fail before a job is dead, at least 1.
    pub max_attempts: u32,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// A stored schedule as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CronView {
    /// The schedule.
    #[serde(flatten)]
    pub entry: CronEntry,
    /// When it fires next; in the past when it is due and waits for maintenance.
    pub next_at: Option<Timestamp>,
    /// The nominal time of the last firing that was made.
    pub last_at: Option<Timestamp>,
    /// That firing's job; `None` also when the queue refused it.
    pub last_job: Option<JobId>,
}

impl CronEntry {
    /// The job of the firing at a nominal time. Its unique key is the schedule's name with that time, so that a firing is
    /// one job however often it is asked for.
    pub fn firing(&self, at: Timestamp, id: JobId) -> Result<NewJob, TextError> {
        let key = UniqueKey::new(format!("cron:{}:{at}", self.name))?;
        Ok(NewJob {
            id,
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            payload: self.payload.clone(),
            priority: self.priority,
            weight: self.weight,
            concurrency: self.concurrency.clone(),
            unique: Some(Unique { key, window: FIRING_WINDOW }),
            supersede: None,
            run_at: None,
            max_attempts: self.max_attempts,
            timeout: self.timeout,
            trace_parent: None,
        })
    }
}
