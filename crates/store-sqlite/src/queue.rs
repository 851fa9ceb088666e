use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use job::{CancelReason, CronName, GroupName, JobId, JobState, LimitClass, QueueName};
use sqlx::SqlitePool;
use store::{
    Budget, Checkpoint, ClaimRequest, Claimed, CronEntry, CronView, Enqueued, JobFilter, JobPage, JobView, JoinedCalls,
    LeaseRef, LeasedJob, LimitTarget, Maintained, Meter, NewJob, PauseTarget, PruneFilter, QueueAdmin, QueueBackend,
    QueueSettings, QueueStats, QueueStore, ReapRequest, Renewal, ReplayFilter, Retried, Settled, Settlement,
    StoreError, Throttle, Wakeups, check_enqueue, check_leases, in_parts,
};
use tokio::sync::watch;

use crate::{
    Clock, admin, cancel, claim, cron, enqueue, file::OpenedFile, groups, maintain, open, operate, probe, prune, renew,
    settle, stats, throttle, view, write::Write,
};

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
    enqueues: JoinedCalls<NewJob, Enqueued>,
    settlements: JoinedCalls<Settlement, Settled>,
    meter: Meter,
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
        let (writer, readers, file) = open::open(path.as_ref(), options.busy_timeout).await?;
        let shared = Arc::new(Shared::new(writer, readers, file, options.clock, options.max_wait));
        let (for_enqueues, for_settlements) = (shared.clone(), shared.clone());
        Ok(Self {
            shared,
            meter: Meter::new("sqlite"),
            enqueues: JoinedCalls::start(move |calls: Vec<Vec<_>>| {
                let shared = for_enqueues.clone();
                async move { in_parts(&calls, enqueue_all(&shared, &calls).await) }
            }),
            settlements: JoinedCalls::start(move |calls: Vec<Vec<_>>| {
                let shared = for_settlements.clone();
                async move { in_parts(&calls, settle_all(&shared, &calls).await) }
            }),
        })
    }

    /// The same, for callers who know the trait alone.
    // Compiled here, once and optimized: what makes a `dyn` trait of a type compiles all of its operations.
    #[inline(never)]
    pub fn shared(self) -> Arc<dyn QueueBackend> {
        Arc::new(self)
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

#[async_trait]
impl QueueStore for SqliteQueue {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        check_enqueue(jobs.len())?;
        self.meter.time("enqueue", self.enqueues.submit(jobs)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed, StoreError> {
        self.meter.time("claim", claim::claim(&self.shared, request)).await
    }

    async fn renew(&self, leases: &[LeaseRef], extend: Duration) -> Result<Vec<Renewal>, StoreError> {
        self.meter.time("renew", renew::renew(&self.shared, leases, extend)).await
    }

    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        check_leases(batch.len())?;
        self.meter.time("settle", self.settlements.submit(batch)).await
    }

    async fn checkpoint(&self, lease: &LeaseRef, checkpoint: &Checkpoint) -> Result<Settled, StoreError> {
        self.meter.time("checkpoint", renew::checkpoint(&self.shared, lease, checkpoint)).await
    }

    async fn reap(&self, request: &ReapRequest) -> Result<Vec<LeasedJob>, StoreError> {
        self.meter.time("reap", maintain::reap(&self.shared, request)).await
    }

    async fn maintain(&self, budget: &Budget) -> Result<Maintained, StoreError> {
        self.meter.time("maintain", maintain::maintain(&self.shared, budget)).await
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        self.meter.time("stats", stats::stats(&self.shared)).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.meter.time("probe", probe::probe(&self.shared)).await
    }
}

#[async_trait]
impl QueueAdmin for SqliteQueue {
    async fn define_queue(&self, queue: &QueueName, limit: Option<u32>) -> Result<(), StoreError> {
        self.meter.time("define_queue", admin::define_queue(&self.shared, queue, limit)).await
    }

    async fn configure_limit(&self, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
        self.meter.time("configure_limit", admin::configure_limit(&self.shared, target, limit)).await
    }

    async fn get(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        self.meter.time("get", view::get(&self.shared, id)).await
    }

    async fn list(&self, filter: &JobFilter) -> Result<JobPage, StoreError> {
        self.meter.time("list", view::list(&self.shared, filter)).await
    }

    async fn cancel(&self, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError> {
        self.meter.time("cancel", cancel::cancel(&self.shared, id, reason)).await
    }

    async fn retry(&self, id: JobId) -> Result<Retried, StoreError> {
        self.meter.time("retry", operate::retry(&self.shared, id)).await
    }

    async fn replay(&self, filter: &ReplayFilter) -> Result<(usize, bool), StoreError> {
        self.meter.time("replay", operate::replay(&self.shared, filter)).await
    }

    async fn pause(&self, target: &PauseTarget) -> Result<(), StoreError> {
        self.meter.time("pause", admin::pause(&self.shared, target)).await
    }

    async fn resume(&self, target: &PauseTarget) -> Result<(), StoreError> {
        self.meter.time("resume", admin::resume(&self.shared, target)).await
    }

    async fn set_limit(&self, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
        self.meter.time("set_limit", admin::set_limit(&self.shared, target, limit)).await
    }

    async fn prune(&self, before: Timestamp, max: usize) -> Result<usize, StoreError> {
        self.meter.time("prune", prune::prune(&self.shared, before, max)).await
    }

    async fn prune_matching(&self, filter: &PruneFilter) -> Result<(usize, bool), StoreError> {
        self.meter.time("prune_matching", prune::matching(&self.shared, filter)).await
    }

    async fn set_throttle(
        &self,
        queue: &QueueName,
        class: &LimitClass,
        throttle: Option<Throttle>,
    ) -> Result<(), StoreError> {
        self.meter.time("set_throttle", throttle::set(&self.shared, queue, class, throttle)).await
    }

    async fn define_group(
        &self,
        group: &GroupName,
        queues: &[QueueName],
        limit: Option<u32>,
    ) -> Result<(), StoreError> {
        self.meter.time("define_group", groups::define(&self.shared, group, queues, limit)).await
    }

    async fn set_cron(&self, entry: &CronEntry) -> Result<(), StoreError> {
        self.meter.time("set_cron", cron::set(&self.shared, entry)).await
    }

    async fn remove_cron(&self, name: &CronName) -> Result<bool, StoreError> {
        self.meter.time("remove_cron", cron::remove(&self.shared, name)).await
    }

    async fn list_cron(&self) -> Result<Vec<CronView>, StoreError> {
        self.meter.time("list_cron", cron::list(&self.shared)).await
    }

    async fn settings(&self, queue: &QueueName) -> Result<QueueSettings, StoreError> {
        self.meter.time("settings", groups::settings(&self.shared, queue)).await
    }
}

impl Wakeups for SqliteQueue {
    fn subscribe(&self) -> watch::Receiver<()> {
        self.shared.wake.subscribe()
    }
}
