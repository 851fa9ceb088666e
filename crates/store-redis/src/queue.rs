use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use job::{CancelReason, CronName, GroupName, JobId, JobState, LimitClass, QueueName};
use store::{
    Budget, Checkpoint, ClaimRequest, Claimed, CronEntry, CronView, Enqueued, JobFilter, JobPage, JobView, JoinedCalls,
    LeaseRef, LeasedJob, LimitTarget, Maintained, Meter, NewJob, PauseTarget, PruneFilter, QueueAdmin, QueueBackend,
    QueueSettings, QueueStats, QueueStore, ReapRequest, Renewal, ReplayFilter, Retried, Settled, Settlement,
    StoreError, Throttle, Wakeups, check_enqueue, check_leases, in_parts, units,
};
use tokio::{sync::watch, task::AbortHandle};

use crate::{
    admin, claim,
    connection::Connection,
    cron, enqueue, groups, maintain,
    open::{self, Durability},
    operate, prune, renew, settle, stats, view, wake,
};

/// How to open a queue.
#[derive(Debug, Clone)]
pub struct Options {
    /// What all keys begin with, as the hash tag of a Cluster; 1 to 64 letters, digits, dots, underscores and dashes. Queues of
    /// one namespace may share a group, and lie on one node.
    pub namespace: String,
    /// What must be on disk before a call is answered.
    pub durability: Durability,
    /// How long a key's first job may wait though it could start, before it gets every tenth start.
    pub max_wait: Duration,
    /// Most completed and cancelled jobs that are kept; maintenance forgets the oldest beyond it, whatever their age, so that a
    /// history nobody prunes does not fill the memory. A repeated enqueue or settlement of a forgotten job is not known as such.
    pub history_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: "reviewfleet".to_owned(),
            durability: Durability::default(),
            max_wait: Duration::from_mins(5),
            history_max: 1_000_000,
        }
    }
}

/// The queue in one namespace of a Redis. Clones share a connection.
#[derive(Debug, Clone)]
pub struct RedisQueue {
    shared: Arc<Shared>,
    enqueues: JoinedCalls<NewJob, Enqueued>,
    settlements: JoinedCalls<Settlement, Settled>,
    meter: Meter,
    listener: Arc<Listener>,
}

/// What all operations use.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) connection: Arc<Connection>,
    pub(crate) max_wait_ms: i64,
    pub(crate) history_max: usize,
    wake: watch::Sender<()>,
    /// The queue, by its place, and the page of it with which the next maintenance pass goes on.
    pub(crate) unpark_from: Mutex<(usize, String)>,
}

/// What hears wake-ups, as long as there is a clone of the queue.
#[derive(Debug)]
struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl RedisQueue {
    /// Connects to the address, such as `redis://:password@host:6379/0`, and makes the namespace if it is not there.
    ///
    /// Fails with [`StoreError::Schema`] when the namespace is another program's, with [`StoreError::Invalid`] when address,
    /// user, password or the server's settings are wrong (see [`Durability`]; an eviction policy other than `noeviction` is
    /// never allowed), and with [`StoreError::Unavailable`] when the server does not answer for now. Redis 7 or later.
    pub async fn open(url: &str, options: Options) -> Result<Self, StoreError> {
        let connection = Arc::new(open::connection(url, &options.namespace)?);
        open::check(&connection, options.durability).await?;
        let shared = Arc::new(Shared {
            connection,
            max_wait_ms: units::millis(options.max_wait),
            history_max: options.history_max,
            wake: watch::Sender::new(()),
            unpark_from: Mutex::new((0, "0".to_owned())),
        });
        let listener = tokio::spawn(wake::listen(shared.connection.clone(), shared.wake.clone())).abort_handle();
        let (for_enqueues, for_settlements) = (shared.clone(), shared.clone());
        Ok(Self {
            shared,
            meter: Meter::new("redis"),
            enqueues: JoinedCalls::start(move |calls: Vec<Vec<_>>| {
                let shared = for_enqueues.clone();
                async move { in_parts(&calls, enqueue_all(&shared, &calls).await) }
            }),
            settlements: JoinedCalls::start(move |calls: Vec<Vec<_>>| {
                let shared = for_settlements.clone();
                async move { in_parts(&calls, settle_all(&shared, &calls).await) }
            }),
            listener: Arc::new(Listener(listener)),
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
        self.listener.0.abort();
        self.shared.connection.close().await;
    }
}

async fn enqueue_all(shared: &Shared, calls: &[Vec<NewJob>]) -> Result<Vec<Enqueued>, StoreError> {
    let jobs: Vec<&NewJob> = calls.iter().flatten().collect();
    enqueue::enqueue(shared, &jobs).await
}

async fn settle_all(shared: &Shared, calls: &[Vec<Settlement>]) -> Result<Vec<Settled>, StoreError> {
    let batch: Vec<&Settlement> = calls.iter().flatten().collect();
    settle::settle(shared, &batch).await
}

#[async_trait]
impl QueueStore for RedisQueue {
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
        self.meter.time("reap", claim::reap(&self.shared, request)).await
    }

    async fn maintain(&self, budget: &Budget) -> Result<Maintained, StoreError> {
        self.meter.time("maintain", maintain::maintain(&self.shared, budget)).await
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        self.meter.time("stats", stats::stats(&self.shared)).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.meter.time("probe", stats::probe(&self.shared)).await
    }
}

#[async_trait]
impl QueueAdmin for RedisQueue {
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
        self.meter.time("cancel", operate::cancel(&self.shared, id, reason)).await
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
        self.meter.time("set_throttle", admin::set_throttle(&self.shared, queue, class, throttle)).await
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

impl Wakeups for RedisQueue {
    fn subscribe(&self) -> watch::Receiver<()> {
        self.shared.wake.subscribe()
    }
}
