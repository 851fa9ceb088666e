//! The seam between the queue and its backends: the traits that a backend implements, their requests and answers.
//!
//! A backend keeps the contract that `docs/queue.md` states and that the crate `store-conformance` proves, the same
//! cases for each. "Now" in every method is the store's clock: no caller supplies it.

mod admin;
mod bounds;
pub mod codes;
mod cron;
mod error;
mod faults;
mod filter;
mod group;
mod joined;
mod lease;
mod meter;
mod queue;
mod settings;
mod stats;
pub mod units;

pub use admin::{JobPage, JobView, LimitTarget, NO_KEY_IS_CONFIGURED, PAGE_MAX, PauseTarget, QueueAdmin, Retried};
pub use bounds::{check_checkpoint, check_claim, check_enqueue, check_leases, check_reap};
pub use cron::{CRON_MAX, CronEntry, CronView};
pub use error::StoreError;
pub use faults::{Faults, chain};
pub use filter::{JobFilter, PruneFilter, ReplayFilter};
pub use group::{GroupCommit, GroupCommitError, recv_together};
pub use joined::{JoinedCalls, in_parts};
pub use lease::{LeaseRef, LeasedJob, Renewal, Settled, Settlement};
pub use meter::Meter;
pub use queue::{
    Budget, CHECKPOINT_MAX_BYTES, CHECKPOINTS_MAX, CLAIM_MAX, Checkpoint, ClaimRequest, Claimed, ENQUEUE_MAX, Enqueued,
    Maintained, NewJob, QueueBackend, QueueStore, RUN_AT_MAX_DAYS, ReapRequest, Rejection, SETTLE_MAX, STEP_MAX_BYTES,
    VERSIONS_KEPT, Wakeups,
};
pub use settings::{ClassSettings, GroupSettings, KEYS_SHOWN_MAX, KeySettings, QueueSettings, Throttle, WhenFull};
pub use stats::QueueStats;
