use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::scenario::Scenario;

/// How a worker is set; what a queue has no word for it ignores.
#[derive(Clone, Copy)]
pub struct Tuning {
    /// Handlers that run at once.
    pub handlers: usize,
    /// Jobs that one claim takes at most.
    pub batch: usize,
    /// Claims that are made at once.
    pub claimers: u16,
}

/// Counts the handlers that have run. That is less than a settlement, which is asked of the database.
#[derive(Clone, Debug, Default)]
pub struct Handled(Arc<AtomicU64>);

impl Handled {
    /// What the handler of every queue does, and all it does.
    pub fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many have run.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A queue as its own documentation says it is used.
pub trait Peer: Sized + Send + Sync + 'static {
    /// As the registry names it.
    const NAME: &'static str;
    /// What was best of those tried.
    const TUNING: Tuning;
    /// A worker at work.
    type Worker: Send;

    /// What a reader must know beside the figure: the settings, and what the queue does not do.
    fn conditions(scenario: Scenario, tuning: Tuning) -> String;

    /// Connects to an empty database and makes the queue's tables there.
    fn open(url: &str, tuning: Tuning) -> impl Future<Output = anyhow::Result<Self>>;

    /// Stores one job, durable at its return.
    fn enqueue_one(&self) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Stores that many jobs in one call, durable at its return.
    fn enqueue_batch(&self, jobs: usize) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Stores jobs that are ready and jobs of a day that is far off, in the quickest way there is, API or not.
    fn load(&self, ready: u32, scheduled: u32) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Runs a worker in this process.
    fn start(&self, tuning: Tuning, handled: Handled) -> impl Future<Output = anyhow::Result<Self::Worker>> + Send;

    /// How many of the `loaded` jobs are settled, by the tables: what is claimed, or handled and not yet written, is not.
    fn settled(&self, loaded: u64) -> impl Future<Output = anyhow::Result<u64>> + Send;

    /// Ends the worker and closes all connections.
    fn close(self, worker: Option<Self::Worker>) -> impl Future<Output = anyhow::Result<()>> + Send;
}
