use std::{sync::Arc, time::Duration};

use job::{ClaimId, Jitter, Job, Outcome, Transition, decide};
use store::{Faults, QueueBackend, StoreError};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Options, backoff::random_bits, lease::Leases, op::Op};

/// How long the store may take to answer one call. A connection that is cut without a word shows itself by nothing else;
/// repeating any call is harmless.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(10);

/// What the tasks of a worker share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn QueueBackend>,
    pub(crate) options: Options,
    /// What is to be renewed.
    pub(crate) leases: Arc<Leases>,
    pub(crate) faults: Faults,
    /// No new work from here on.
    pub(crate) stop: CancellationToken,
    /// The drain's grace is over: what still runs is stopped.
    pub(crate) abandon: CancellationToken,
    /// Maintenance has made jobs ready: claim.
    pub(crate) ready: Notify,
    /// A scheduled job is due: maintain.
    pub(crate) due: Notify,
}

impl Shared {
    pub(crate) fn new(store: Arc<dyn QueueBackend>, options: Options, stop: CancellationToken) -> Self {
        Self {
            store,
            options,
            leases: Arc::default(),
            faults: Faults::new("store"),
            stop,
            abandon: CancellationToken::new(),
            ready: Notify::new(),
            due: Notify::new(),
        }
    }

    /// Waits for the store's answer, at most `max`, and keeps the account of its faults.
    pub(crate) async fn call<T>(
        &self,
        op: Op,
        max: Duration,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = bounded(op.name(), max, answer).await;
        match &answer {
            Ok(_) => self.faults.clear(op.name()),
            Err(error) => self.faults.failed(op.name(), error),
        }
        answer
    }

    /// Waits before the next try at the store. A stop cuts it short once, so that the drain learns at once how things stand.
    pub(crate) async fn pause(&self, wait: Duration) {
        if self.stop.is_cancelled() {
            sleep(wait).await;
        } else {
            // Either way it is time for the next try.
            let _ = timeout(wait, self.stop.cancelled()).await;
        }
    }

    /// What becomes of a job, by its queue's policy.
    pub(crate) fn decide(&self, job: &Job, outcome: &Outcome) -> Transition {
        let policy = self.options.queue_retry.get(&job.queue).unwrap_or(&self.options.retry);
        decide(job.budgets(), outcome, policy, Jitter::from_bits(random_bits()))
    }
}

/// Waits for the store's answer, at most `max`.
pub(crate) async fn bounded<T>(
    what: &'static str,
    max: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(max, answer)
        .await
        .unwrap_or_else(|elapsed| Err(StoreError::Unavailable { what, source: Box::new(elapsed) }))
}

pub(crate) fn new_claim_id() -> ClaimId {
    ClaimId::from(Uuid::now_v7())
}
