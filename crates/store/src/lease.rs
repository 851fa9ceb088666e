use std::time::Duration;

use job::{CancelReason, Job, JobId, LeaseToken, Transition};

use crate::Checkpoint;

/// Names a lease: the job and the proof of holding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseRef {
    /// The job.
    pub job: JobId,
    /// The fence.
    pub token: LeaseToken,
}

/// A job under a lease. Settling consumes it, so that a lease is settled once; it cannot be copied.
#[derive(Debug)]
pub struct LeasedJob {
    /// The job.
    pub job: Job,
    /// The lease.
    pub lease: LeaseRef,
    /// What earlier attempts have kept, in the order of writing.
    pub checkpoints: Vec<Checkpoint>,
    /// How long it had been ready when the lease was made, by the store's clock. The time in which it was scheduled, or
    /// parked behind its key's limit, is none of it.
    pub ready_for: Duration,
}

impl LeasedJob {
    /// Ends the lease.
    pub fn settle(self, transition: Transition) -> Settlement {
        Settlement { lease: self.lease, transition }
    }
}

/// The end of a lease, to be written by [`crate::QueueStore::settle`]. Only [`LeasedJob::settle`] makes one; a clone is
/// for repeating the write, which is harmless.
#[derive(Debug, Clone)]
pub struct Settlement {
    lease: LeaseRef,
    transition: Transition,
}

impl Settlement {
    /// The lease that ends.
    pub const fn lease(&self) -> LeaseRef {
        self.lease
    }

    /// What becomes of the job.
    pub const fn transition(&self) -> &Transition {
        &self.transition
    }
}

/// Answer to a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It holds, now or since an earlier call with the same lease.
    Applied,
    /// The lease was not this one's any more; nothing was changed.
    LeaseLost,
}

/// Answer to a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The lease runs on.
    Extended,
    /// The lease runs on, and the job is to stop.
    CancelRequested(CancelReason),
    /// The lease was not this one's any more: the handler must stop, since another may have started.
    LeaseLost,
}
