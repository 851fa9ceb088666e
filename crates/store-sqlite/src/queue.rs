use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use job::{CancelReason, CronName, GroupName, JobId, JobState, LimitClass, QueueName};
use sqlx::SqlitePool;
use store::{
    Budget, Checkpoint, ClaimRequest, Claimed, CronEntry, CronView, Enqueued, GroupCommit, JobFilter, JobPage, JobView,
    LeaseRef, LeasedJob, LimitTarget, Maintained, NewJob, PauseTarget, PruneFilter, QueueAdmin, QueueSettings,
    QueueStats, QueueStore, ReapRequest, Renewal, ReplayFilter, Retried, Settled, Settlement, StoreError, Throttle,
    Wakeups,
};
use tokio::sync::watch;

use crate::{
    Clock, admin, cancel, claim, cron, enqueue, error::share, file::OpenedFile, groups, maintain, open, operate, probe,
    prune, renew, settle, stats, throttle, view, write::Write,
};

const CALL_SECONDS: &str = "reviewfleet_store_call_seconds";
/// Callers whose jobs or settlements one transaction takes.
const JOIN_MAX: usize = 256;
/// Callers that wait beside the transaction in flight; further ones wait to be let in.
const WAITING_MAX: usize = 4096;
/// A call with more jobs or settlements than this gains nothing by joining others, and has a transaction of its own.
const JOIN_ITEMS_MAX: usize = 128;

/// How to open a queue.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where "now" comes from; the system unless a test says otherwise.
    pub clock: Clock,
    /// How long a call waits for another process that writes, before it answers `Unavailable`.
    pub busy_timeout: Duration,
    /// How long a key's first job may wait though it could start, before it gets every tenth start.
    pub max_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Clock::default(), busy_timeout: Duration::from_secs(10), max_wait: Duration::from_mins(5) }
    }
}

/// The queue in one `SQLite` file. Several processes may open the same file; clones share connections.
#[derive(Debug, Clone)]
pub struct SqliteQueue {
    shared: Arc<Shared>,
    enqueues: GroupCommit<Vec<NewJob>, Result<Vec<Enqueued>, StoreError>>,
    settlements: GroupCommit<Vec<Settlement>, Result<Vec<Settled>, StoreError>>,
}

/// What all operations use.
#[derive(Debug)]
pub(crate) struct Shared {
    /// One connection: `SQLite` has one writer at a time, and waiting here is fairer and cheaper than polling its lock.
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) file: OpenedFile,
    pub(crate) clock: Clock,
    pub(crate) max_wait: Duration,
    pub(crate) wake: watch::Sender<()>,
    /// The queue and key after which the next maintenance pass begins.
    pub(crate) unpark_from: Mutex<(i64, String)>,
}

impl Shared {
    pub(crate) fn new(
        writer: SqlitePool,
        readers: SqlitePool,
        file: OpenedFile,
        clock: Clock,
        max_wait: Duration,
    ) -> Self {
        let (wake, unpark_from) = (watch::Sender::new(()), Mutex::default());
        Self { writer, readers, file, clock, max_wait, wake, unpark_from }
    }
}

impl SqliteQueue {
    /// Opens the file, makes it if it is not there, and brings its schema up to date.
    ///
    /// Fails with [`StoreError::Schema`] when the file is no queue of this program or a newer one's, and with
    /// [`StoreError::Unavailable`] when it cannot be read or written.
    pub async fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        describe_metrics();
        let (writer, readers, file) = open::open(path.as_ref(), options.busy_timeout).await?;
        let shared = Arc::new(Shared::new(writer, readers, file, options.clock, options.max_wait));
        let (for_enqueues, for_settlements) = (shared.clone(), shared.clone());
        Ok(Self {
            shared,
            enqueues: GroupCommit::start(JOIN_MAX, WAITING_MAX, move |calls| {
                let shared = for_enqueues.clone();
                async move { joined(&calls, enqueue_all(&shared, &calls).await) }
            }),
            settlements: GroupCommit::start(JOIN_MAX, WAITING_MAX, move |calls| {
                let shared = for_settlements.clone();
                async move { joined(&calls, settle_all(&shared, &calls).await) }
            }),
        })
    }

    /// Closes the connections once all operations under way have ended. Dropping the queue does the same later.
    pub async fn close(&self) {
        self.shared.readers.close().await;
        self.shared.writer.close().await;
    }
}

async fn enqueue_all(shared: &Shared, calls: &[Vec<NewJob>]) -> Result<Vec<Enqueued>, StoreError> {
    let jobs: Vec<&NewJob> = calls.iter().flatten().collect();
    let mut write = Write::begin(shared, "enqueue").await?;
    let answers = enqueue::enqueue(&mut write, &jobs).await?;
    write.commit().await?;
    Ok(answers)
}

async fn settle_all(shared: &Shared, calls: &[Vec<Settlement>]) -> Result<Vec<Settled>, StoreError> {
    let batch: Vec<&Settlement> = calls.iter().flatten().collect();
    let mut write = Write::begin(shared, "settle").await?;
    let answers = settle::settle(&mut write, &batch).await?;
    write.commit().await?;
    Ok(answers)
}

/// Gives each call its own part of the answers, or its own copy of the fault.
fn joined<I, O>(calls: &[Vec<I>], answers: Result<Vec<O>, StoreError>) -> Vec<Result<Vec<O>, StoreError>> {
    match answers {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            calls.iter().map(|call| Ok(answers.by_ref().take(call.len()).collect())).collect()
        }
        Err(fault) => calls.iter().map(|_| Err(share(&fault))).collect(),
    }
}

fn shutting_down(error: store::GroupCommitError) -> StoreError {
    StoreError::Unavailable { what: "a joined transaction", source: Box::new(error) }
}

/// Says in `/metrics` what the metric of this crate means.
fn describe_metrics() {
    metrics::describe_histogram!(CALL_SECONDS, metrics::Unit::Seconds, "Time of a call to the queue's store, by call.");
}

/// Measures a call to the store.
async fn timed<T>(call: &'static str, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = work.await;
    metrics::histogram!(CALL_SECONDS, "backend" => "sqlite", "call" => call).record(start.elapsed().as_secs_f64());
    done
}

#[async_trait]
impl QueueStore for SqliteQueue {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        enqueue::check_size(jobs.len())?;
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let calls = jobs.to_vec();
        timed("enqueue", async {
            if calls.len() > JOIN_ITEMS_MAX {
                return enqueue_all(&self.shared, &[calls]).await;
            }
            self.enqueues.submit(calls).await.map_err(shutting_down)?
        })
        .await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed, StoreError> {
        timed("claim", claim::claim(&self.shared, request)).await
    }

    async fn renew(&self, leases: &[LeaseRef], extend: Duration) -> Result<Vec<Renewal>, StoreError> {
        timed("renew", renew::renew(&self.shared, leases, extend)).await
    }

    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        settle::check_size(batch.len())?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let calls = batch.to_vec();
        timed("settle", async {
            if calls.len() > JOIN_ITEMS_MAX {
                return settle_all(&self.shared, &[calls]).await;
            }
            self.settlements.submit(calls).await.map_err(shutting_down)?
        })
        .await
    }

    async fn checkpoint(&self, lease: &LeaseRef, checkpoint: &Checkpoint) -> Result<Settled, StoreError> {
        timed("checkpoint", renew::checkpoint(&self.shared, lease, checkpoint)).await
    }

    async fn reap(&self, request: &ReapRequest) -> Result<Vec<LeasedJob>, StoreError> {
        timed("reap", maintain::reap(&self.shared, request)).await
    }

    async fn maintain(&self, budget: &Budget) -> Result<Maintained, StoreError> {
        timed("maintain", maintain::maintain(&self.shared, budget)).await
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        timed("stats", stats::stats(&self.shared)).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        timed("probe", probe::probe(&self.shared)).await
    }
}

#[async_trait]
impl QueueAdmin for SqliteQueue {
    async fn define_queue(&self, queue: &QueueName, limit: Option<u32>) -> Result<(), StoreError> {
        timed("define_queue", admin::define_queue(&self.shared, queue, limit)).await
    }

    async fn configure_limit(&self, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
        timed("configure_limit", admin::configure_limit(&self.shared, target, limit)).await
    }

    async fn get(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        timed("get", view::get(&self.shared, id)).await
    }

    async fn list(&self, filter: &JobFilter) -> Result<JobPage, StoreError> {
        timed("list", view::list(&self.shared, filter)).await
    }

    async fn cancel(&self, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError> {
        timed("cancel", cancel::cancel(&self.shared, id, reason)).await
    }

    async fn retry(&self, id: JobId) -> Result<Retried, StoreError> {
        timed("retry", operate::retry(&self.shared, id)).await
    }

    async fn replay(&self, filter: &ReplayFilter) -> Result<(usize, bool), StoreError> {
        timed("replay", operate::replay(&self.shared, filter)).await
    }

    async fn pause(&self, target: &PauseTarget) -> Result<(), StoreError> {
        timed("pause", admin::pause(&self.shared, target)).await
    }

    async fn resume(&self, target: &PauseTarget) -> Result<(), StoreError> {
        timed("resume", admin::resume(&self.shared, target)).await
    }

    async fn set_limit(&self, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
        timed("set_limit", admin::set_limit(&self.shared, target, limit)).await
    }

    async fn prune(&self, before: Timestamp, max: usize) -> Result<usize, StoreError> {
        timed("prune", prune::prune(&self.shared, before, max)).await
    }

    async fn prune_matching(&self, filter: &PruneFilter) -> Result<(usize, bool), StoreError> {
        timed("prune_matching", prune::matching(&self.shared, filter)).await
    }

    async fn set_throttle(
        &self,
        queue: &QueueName,
        class: &LimitClass,
        throttle: Option<Throttle>,
    ) -> Result<(), StoreError> {
        timed("set_throttle", throttle::set(&self.shared, queue, class, throttle)).await
    }

    async fn define_group(
        &self,
        group: &GroupName,
        queues: &[QueueName],
        limit: Option<u32>,
    ) -> Result<(), StoreError> {
        timed("define_group", groups::define(&self.shared, group, queues, limit)).await
    }

    async fn set_cron(&self, entry: &CronEntry) -> Result<(), StoreError> {
        timed("set_cron", cron::set(&self.shared, entry)).await
    }

    async fn remove_cron(&self, name: &CronName) -> Result<bool, StoreError> {
        timed("remove_cron", cron::remove(&self.shared, name)).await
    }

    async fn list_cron(&self) -> Result<Vec<CronView>, StoreError> {
        timed("list_cron", cron::list(&self.shared)).await
    }

    async fn settings(&self, queue: &QueueName) -> Result<QueueSettings, StoreError> {
        timed("settings", groups::settings(&self.shared, queue)).await
    }
}

impl Wakeups for SqliteQueue {
    fn subscribe(&self) -> watch::Receiver<()> {
        self.shared.wake.subscribe()
    }
}
