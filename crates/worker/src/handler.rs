use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use job::{Job, JobKind, Outcome};
use store::{Checkpoint, LeaseRef, QueueBackend, Settled, StoreError};
use tokio_util::sync::CancellationToken;

use crate::{
    lease::Lease,
    shared::{CALL_MAX, bounded},
};

/// Does the work of one kind of job.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Works on a job and says how that ended. It may be run again for the same job, even beside a run that lost its
    /// lease: what it does outside must bear that. It is stopped at an `.await`, so it must not block its thread.
    async fn run(&self, job: &Job, context: &Context) -> Outcome;
}

/// Which handler does which kind of job.
#[derive(Clone, Default)]
pub struct Handlers(BTreeMap<JobKind, Arc<dyn Handler>>);

impl Handlers {
    /// Adds a handler, replacing an earlier one of the kind.
    #[must_use]
    pub fn with(mut self, kind: JobKind, handler: Arc<dyn Handler>) -> Self {
        self.0.insert(kind, handler);
        self
    }

    pub(crate) fn get(&self, kind: &JobKind) -> Option<&Arc<dyn Handler>> {
        self.0.get(kind)
    }

    /// The fault of a job that has no handler here.
    pub(crate) fn unknown(&self, kind: &JobKind) -> Outcome {
        let known = self.0.keys().map(JobKind::as_str).collect::<Vec<_>>().join(", ");
        Outcome::Permanent { error: format!("no handler for jobs of the kind {kind}: this worker knows [{known}]") }
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a handler has beside its job. A clone is the same attempt's.
#[derive(Clone)]
pub struct Context {
    store: Arc<dyn QueueBackend>,
    of: LeaseRef,
    lease: Arc<Lease>,
    cancellation: CancellationToken,
    checkpoints: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

/// Why a checkpoint was not kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The job is no longer this attempt's: the handler is being stopped.
    #[error("the lease is lost: another attempt has the job")]
    LeaseLost,
    /// The store did not take it.
    #[error("the checkpoint was not kept")]
    Store(#[source] StoreError),
}

impl Context {
    pub(crate) fn new(
        store: Arc<dyn QueueBackend>,
        of: LeaseRef,
        lease: Arc<Lease>,
        checkpoints: Vec<Checkpoint>,
    ) -> Self {
        let checkpoints = checkpoints.into_iter().map(|kept| (kept.step, kept.value)).collect();
        Self {
            store,
            of,
            lease,
            cancellation: CancellationToken::new(),
            checkpoints: Arc::new(Mutex::new(checkpoints)),
        }
    }

    /// Cancelled once the handler is to stop. After a request to cancel it has [`crate::CANCEL_GRACE`] to end by itself;
    /// in all other cases it is stopped at the same time.
    pub const fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// What this or an earlier attempt has kept under the step's name.
    pub fn checkpoint(&self, step: &str) -> Option<Vec<u8>> {
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).get(step).cloned()
    }

    /// Keeps a value for the job's next attempts, as long as the job is this attempt's. Limits are those of
    /// [`store::Checkpoint`].
    pub async fn keep_checkpoint(&self, step: &str, value: Vec<u8>) -> Result<(), CheckpointError> {
        let checkpoint = Checkpoint { step: step.to_owned(), value };
        let answer = bounded("checkpoint", CALL_MAX, self.store.checkpoint(&self.of, &checkpoint)).await;
        match answer.map_err(CheckpointError::Store)? {
            Settled::Applied => {
                let mut checkpoints = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
                checkpoints.insert(checkpoint.step, checkpoint.value);
                Ok(())
            }
            Settled::LeaseLost => {
                self.lease.lose();
                Err(CheckpointError::LeaseLost)
            }
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("lease", &self.of).finish_non_exhaustive()
    }
}
