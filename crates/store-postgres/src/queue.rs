use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use job::{CancelReason, CronName, GroupName, JobId, JobState, LimitClass, QueueName};
use store::{
    Budget, Checkpoint, ClaimRequest, Claimed, CronEntry, CronView, Enqueued, JobFilter, JobPage, JobView, JoinedCalls,
    LeaseRef, LeasedJob, LimitTarget, Maintained, Meter, NewJob, PauseTarget, PruneFilter, QueueAdmin, QueueBackend,
    QueueSettings, QueueStats, QueueStore, ReapRequest, Renewal, ReplayFilter, Retried, Settled, Settlement,
    StoreError, Throttle, Wakeups, check_enqueue, check_leases, in_parts, units,
};
use tokio::{
    sync::{Semaphore, watch},
    task::AbortHandle,
};

use crate::{
    Staged, admin, claim, cron,
    database::Shared,
    enqueue,
    error::{ended, is_lock_timeout},
    groups, maintain, open, operate, renew, settle, view, wake,
};

/// Calls at once that failed together and are tried alone: those that wait for a lock leave connections to all others.
const APART_MAX: usize = 4;

/// How to open a queue.
#[derive(Clone)]
pub struct Options {
    /// Most connections of this process, beside the one that listens; at least 1. No call holds one while it waits for
    /// another.
    pub connections_max: u32,
    /// Whether the address is that of a pooler in transaction mode, as `PgBouncer` before 1.21, which keeps no prepared
    /// statements. Costs two round trips a call.
    pub transaction_pooler: bool,
    /// Where to listen for wake-ups, if not at the queue's own address: a pooler in transaction mode hears none.
    pub listen_url: Option<String>,
    /// How long the connection that listens may be silent before it is asked whether it lives; it has as long to answer, and
    /// 5 s at most. So late is noticed that it was cut without a word, by a firewall or a machine that has failed: until then
    /// no wake-up of other processes is heard. Default 30 s, within the minutes after which firewalls forget a connection.
    pub listen_probe: Duration,
    /// How long a key's first job may wait though it could start, before it gets every tenth start.
    pub max_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections_max: 10,
            transaction_pooler: false,
            listen_url: None,
            listen_probe: Duration::from_secs(30),
            max_wait: Duration::from_mins(5),
        }
    }
}

// Derived, it would show the password of the address.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("connections_max", &self.connections_max)
            .field("transaction_pooler", &self.transaction_pooler)
            .field("listen_probe", &self.listen_probe)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}

/// The queue in one Postgres database, in its schema `queue`. Clones share connections.
#[derive(Debug, Clone)]
pub struct PostgresQueue {
    shared: Arc<Shared>,
    enqueues: JoinedCalls<NewJob, Enqueued>,
    settlements: JoinedCalls<Settlement, Settled>,
    meter: Meter,
    tasks: Arc<Tasks>,
}

/// What runs beside the calls, as long as there is a clone of the queue.
#[derive(Debug)]
struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl PostgresQueue {
    /// Connects and brings the schema up to date.
    ///
    /// Fails with [`StoreError::Schema`] when the schema is another program's or a newer one's, with
    /// [`StoreError::Invalid`] when address, user, password or database are wrong, and with [`StoreError::Unavailable`]
    /// when the server does not answer or cannot be written to for now.
    pub async fn open(url: &str, options: Options) -> Result<Self, StoreError> {
        let address = open::parse(url)?;
        let listening = options.listen_url.as_deref().map_or_else(|| Ok(address.clone()), open::parse)?;
        let database = open::open(address, options.connections_max.max(1), options.transaction_pooler).await?;
        let shared = Arc::new(Shared::new(database, units::millis(options.max_wait)));
        let tasks = Tasks(vec![
            tokio::spawn(wake::notify(shared.database.clone(), shared.waker.clone())).abort_handle(),
            tokio::spawn(wake::listen(listening, options.listen_probe, shared.waker.clone())).abort_handle(),
            tokio::spawn(postgres::watch_pool(shared.database.door.pool().clone())).abort_handle(),
        ]);
        let (for_enqueues, for_settlements) = (shared.clone(), shared.clone());
        Ok(Self {
            shared,
            meter: Meter::new("postgres"),
            enqueues: JoinedCalls::start(move |calls: Vec<Vec<_>>| {
                let shared = for_enqueues.clone();
                async move { enqueue_apart(&shared, calls).await }
            }),
            settlements: JoinedCalls::start(move |calls: Vec<Vec<_>>| {
                let shared = for_settlements.clone();
                async move { in_parts(&calls, settle_all(&shared, &calls).await) }
            }),
            tasks: Arc::new(tasks),
        })
    }

    /// The connections, for another part of the same process that keeps something in the same database.
    pub fn pool(&self) -> &sqlx::PgPool {
        self.shared.database.door.pool()
    }

    /// The same, for callers who know the trait alone.
    // Compiled here, once and optimized: what makes a `dyn` trait of a type compiles all of its operations.
    #[inline(never)]
    pub fn shared(self) -> Arc<dyn QueueBackend> {
        Arc::new(self)
    }

    /// Says that the transaction of staged jobs has committed: as [`Staged::announce`], joined with the other wake-ups of
    /// this process, so that many transactions a second cost few.
    pub async fn announce(&self, staged: Staged) -> Result<(), StoreError> {
        staged.announce_by(&self.shared).await
    }

    /// Closes the connections once all operations under way have ended. Dropping the queue does the same later.
    pub async fn close(&self) {
        for task in &self.tasks.0 {
            task.abort();
        }
        self.shared.database.door.pool().close().await;
    }
}

/// Stores the jobs of all calls together; what cannot be stored, or waits too long for a unique key that another's transaction
/// holds, hurts its caller alone.
async fn enqueue_apart(shared: &Arc<Shared>, calls: Vec<Vec<NewJob>>) -> Vec<Result<Vec<Enqueued>, StoreError>> {
    let together = enqueue_all(shared, &calls).await;
    let is_of_one = |error: &StoreError| !error.is_transient() || is_lock_timeout(error);
    if calls.len() == 1 || !together.as_ref().is_err_and(is_of_one) {
        return in_parts(&calls, together);
    }
    let turns = Arc::new(Semaphore::new(APART_MAX));
    let each_alone = calls.into_iter().map(|call| {
        let (shared, turns) = (shared.clone(), turns.clone());
        tokio::spawn(async move {
            let _turn = turns.acquire_owned().await;
            enqueue_all(&shared, &[call]).await
        })
    });
    let mut answers = Vec::new();
    for one in each_alone.collect::<Vec<_>>() {
        answers.push(one.await.unwrap_or_else(|error| Err(ended(error))));
    }
    answers
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
impl QueueStore for PostgresQueue {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        check_enqueue(jobs.len())?;
        self.meter.time("enqueue", self.enqueues.submit(jobs)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed, StoreError> {
        // On the heap: its future is large, and would be part of that of every caller.
        self.meter.time("claim", Box::pin(claim::claim(&self.shared, request))).await
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

    /// Writes to the log and waits until that is on disk: a server that only reads, or whose disk is full, does not.
    async fn probe(&self) -> Result<(), StoreError> {
        self.meter.time("probe", self.shared.flush()).await
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        self.meter.time("stats", view::stats(&self.shared)).await
    }
}

#[async_trait]
impl QueueAdmin for PostgresQueue {
    async fn define_queue(&self, queue: &QueueName, limit: Option<u32>) -> Result<(), StoreError> {
        self.meter.time("define_queue", admin::define_queue(&self.shared, queue, limit)).await
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

    async fn configure_limit(&self, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
        self.meter.time("configure_limit", admin::configure_limit(&self.shared, target, limit)).await
    }

    async fn prune_matching(&self, filter: &PruneFilter) -> Result<(usize, bool), StoreError> {
        self.meter.time("prune", operate::prune_matching(&self.shared, filter)).await
    }

    async fn set_throttle(
        &self,
        queue: &QueueName,
        class: &LimitClass,
        throttle: Option<Throttle>,
    ) -> Result<(), StoreError> {
        self.meter.time("set_throttle", groups::set_throttle(&self.shared, queue, class, throttle)).await
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

    async fn prune(&self, before: Timestamp, max: usize) -> Result<usize, StoreError> {
        self.meter.time("prune", operate::prune(&self.shared, before, max)).await
    }
}

impl Wakeups for PostgresQueue {
    fn subscribe(&self) -> watch::Receiver<()> {
        self.shared.waker.subscribe()
    }
}
