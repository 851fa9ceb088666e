use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use job::{CancelReason, CronName, GroupName, JobId, JobState, LimitClass, QueueName};
use store::{
    Budget, Checkpoint, ClaimRequest, Claimed, CronEntry, CronView, Enqueued, GroupCommit, JobFilter, JobPage, JobView,
    LeaseRef, LeasedJob, LimitTarget, Maintained, NewJob, PauseTarget, PruneFilter, QueueAdmin, QueueSettings,
    QueueStats, QueueStore, ReapRequest, Renewal, ReplayFilter, Retried, Settled, Settlement, StoreError, Throttle,
    Wakeups,
};
use tokio::{sync::watch, task::AbortHandle};

use crate::{
    admin, claim, cron,
    database::Shared,
    enqueue,
    error::{share, shutting_down},
    groups, maintain, open, operate, renew, settle, units, view, wake,
};

/// Callers whose jobs or settlements one transaction takes.
const JOIN_MAX: usize = 256;
/// Callers that wait beside the transaction in flight; further ones wait to be let in.
const WAITING_MAX: usize = 4096;
/// A call with more jobs or settlements than this gains nothing by joining others, and has a transaction of its own.
const JOIN_ITEMS_MAX: usize = 128;

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
    /// How long a key's first job may wait though it could start, before it gets every tenth start.
    pub max_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections_max: 10, transaction_pooler: false, listen_url: None, max_wait: Duration::from_mins(5) }
    }
}

// Derived, it would show the password of the address.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("connections_max", &self.connections_max)
            .field("transaction_pooler", &self.transaction_pooler)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}

/// The queue in one Postgres database, in its schema `queue`. Clones share connections.
#[derive(Debug, Clone)]
pub struct PostgresQueue {
    shared: Arc<Shared>,
    enqueues: GroupCommit<Vec<NewJob>, Result<Vec<Enqueued>, StoreError>>,
    settlements: GroupCommit<Vec<Settlement>, Result<Vec<Settled>, StoreError>>,
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
            tokio::spawn(wake::notify(shared.database.clone(), shared.notify.clone())).abort_handle(),
            tokio::spawn(wake::listen(listening, shared.wake.clone())).abort_handle(),
        ]);
        let (for_enqueues, for_settlements) = (shared.clone(), shared.clone());
        Ok(Self {
            shared,
            enqueues: GroupCommit::start(JOIN_MAX, WAITING_MAX, move |calls: Vec<Vec<NewJob>>| {
                let shared = for_enqueues.clone();
                async move { enqueue_apart(&shared, &calls).await }
            }),
            settlements: GroupCommit::start(JOIN_MAX, WAITING_MAX, move |calls: Vec<Vec<Settlement>>| {
                let shared = for_settlements.clone();
                async move { joined(&calls, settle_all(&shared, &calls).await) }
            }),
            tasks: Arc::new(tasks),
        })
    }

    /// The connections, for another part of the same process that keeps something in the same database.
    pub fn pool(&self) -> &sqlx::PgPool {
        &self.shared.database.pool
    }

    /// Closes the connections once all operations under way have ended. Dropping the queue does the same later.
    pub async fn close(&self) {
        for task in &self.tasks.0 {
            task.abort();
        }
        self.shared.database.pool.close().await;
    }
}

/// Stores the jobs of all calls together; what cannot be stored hurts its caller alone.
async fn enqueue_apart(shared: &Shared, calls: &[Vec<NewJob>]) -> Vec<Result<Vec<Enqueued>, StoreError>> {
    let together = enqueue_all(shared, calls).await;
    if calls.len() == 1 || together.as_ref().map_or_else(StoreError::is_transient, |_| true) {
        return joined(calls, together);
    }
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls {
        answers.push(enqueue_all(shared, std::slice::from_ref(call)).await);
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

/// Measures a call to the store.
async fn timed<T>(call: &'static str, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = work.await;
    metrics::histogram!("reviewfleet_store_call_seconds", "backend" => "postgres", "call" => call)
        .record(start.elapsed().as_secs_f64());
    done
}

#[async_trait]
impl QueueStore for PostgresQueue {
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
        // On the heap: its future is large, and would be part of that of every caller.
        timed("claim", Box::pin(claim::claim(&self.shared, request))).await
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
        timed("reap", claim::reap(&self.shared, request)).await
    }

    async fn maintain(&self, budget: &Budget) -> Result<Maintained, StoreError> {
        timed("maintain", maintain::maintain(&self.shared, budget)).await
    }

    /// Writes to the log and waits until that is on disk: a server that only reads, or whose disk is full, does not.
    async fn probe(&self) -> Result<(), StoreError> {
        timed("probe", self.shared.flush()).await
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        timed("stats", view::stats(&self.shared)).await
    }
}

#[async_trait]
impl QueueAdmin for PostgresQueue {
    async fn define_queue(&self, queue: &QueueName, limit: Option<u32>) -> Result<(), StoreError> {
        timed("define_queue", admin::define_queue(&self.shared, queue, limit)).await
    }

    async fn get(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        timed("get", view::get(&self.shared, id)).await
    }

    async fn list(&self, filter: &JobFilter) -> Result<JobPage, StoreError> {
        timed("list", view::list(&self.shared, filter)).await
    }

    async fn cancel(&self, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError> {
        timed("cancel", operate::cancel(&self.shared, id, reason)).await
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

    async fn configure_limit(&self, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
        timed("configure_limit", admin::configure_limit(&self.shared, target, limit)).await
    }

    async fn prune_matching(&self, filter: &PruneFilter) -> Result<(usize, bool), StoreError> {
        timed("prune", operate::prune_matching(&self.shared, filter)).await
    }

    async fn set_throttle(
        &self,
        queue: &QueueName,
        class: &LimitClass,
        throttle: Option<Throttle>,
    ) -> Result<(), StoreError> {
        timed("set_throttle", groups::set_throttle(&self.shared, queue, class, throttle)).await
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

    async fn prune(&self, before: Timestamp, max: usize) -> Result<usize, StoreError> {
        timed("prune", operate::prune(&self.shared, before, max)).await
    }
}

impl Wakeups for PostgresQueue {
    fn subscribe(&self) -> watch::Receiver<()> {
        self.shared.wake.subscribe()
    }
}
