//! Values of the queue and its pure state machine: what a job is, which states it passes through and what becomes of it
//! when an attempt ends.
//!
//! This crate knows nothing of the workspace and does no IO: it holds no clock, no randomness and no runtime, so that
//! every decision in it can be tested by calling it. The time zones that schedules are read in are part of the program.

mod cron;
mod id;
mod job;
mod outcome;
mod payload;
mod policy;
mod state;
mod text;

pub use cron::{CronError, CronSchedule};
pub use id::{ClaimId, JobId, LeaseToken, ParseIdError};
pub use job::{Concurrency, Job, Priority, Supersede, Unique, Version, Weight, WeightError};
pub use outcome::{AttemptError, AttemptErrorKind, BuryReason, CancelReason, Outcome, Transition};
pub use payload::{PAYLOAD_MAX_BYTES, Payload, PayloadError};
pub use policy::{Attempt, Jitter, RetryPolicy, decide};
pub use state::{JobState, StateName, UnknownState};
pub use text::{
    ConcurrencyKey, CronName, GroupName, JobKind, LimitClass, QueueName, SupersedeKey, TextError, UniqueKey, VersionId,
    WorkerId,
};
