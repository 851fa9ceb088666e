use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use fleet::Fleet;
use futures_util::future::try_join_all;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use job::{
    CancelReason, ClaimId, Concurrency, ConcurrencyKey, JobId, JobKind, LimitClass, Payload, Priority, QueueName,
    Transition, Unique, Weight, WorkerId,
};
use store::{ClaimRequest, Enqueued, LimitTarget, NewJob, QueueBackend, QueueStats};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::target::Place;

/// A payload of the size that a review job has.
const PAYLOAD: &str = r#"{"change":{"repository":"acme/widgets","head":"0123456789abcdef0123456789abcdef01234567","base":null},"user":"user-1234","tier":"PRO"}"#;
/// Jobs that one call stores where the call is not what is measured.
const FILL_BATCH: usize = 2_000;

/// How large a backend is measured.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub keys: usize,
    pub waiting: usize,
    /// Jobs a call.
    pub batch: usize,
    /// Callers at once, each with connections of its own where the store is a server.
    pub clients: usize,
    /// Jobs claimed and settled for one figure.
    pub cycles: usize,
}

impl Sizes {
    /// Few enough cycles that every settlement frees room that a parked job of its key takes.
    pub const SQLITE: Self = Self { keys: 1_000, waiting: 100_000, batch: 100, clients: 1, cycles: 50_000 };
    pub const POSTGRES: Self = Self { keys: 10_000, waiting: 500_000, batch: 500, clients: 4, cycles: 250_000 };
}

/// Jobs of a key at once, but where the limit is what is measured.
pub const KEY_LIMIT: u32 = 50;

/// The queue that is filled and worked off, with one job's shape.
#[derive(Clone)]
pub struct Workload {
    pub queue: QueueName,
    pub kind: JobKind,
    class: LimitClass,
    pub payload: Payload,
}

impl Workload {
    /// Defines the queue; each of its keys may run `key_limit` jobs at once.
    pub async fn define(store: &dyn QueueBackend, key_limit: u32) -> Result<Self> {
        let (queue, class) = (QueueName::new("bench")?, LimitClass::new("user")?);
        store.define_queue(&queue, None).await?;
        store.set_limit(&LimitTarget::Class(queue.clone(), class.clone()), Some(key_limit)).await?;
        Ok(Self { queue, kind: JobKind::new("bench")?, class, payload: Payload::parse(PAYLOAD)? })
    }

    /// Another class of the same queue's keys, with a limit of its own.
    pub async fn class(&self, store: &dyn QueueBackend, name: &str, key_limit: u32) -> Result<Self> {
        let class = LimitClass::new(name)?;
        store.set_limit(&LimitTarget::Class(self.queue.clone(), class.clone()), Some(key_limit)).await?;
        Ok(Self { class, ..self.clone() })
    }

    pub fn job(&self, key: &ConcurrencyKey) -> NewJob {
        NewJob {
            id: JobId::from(Uuid::now_v7()),
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            payload: self.payload.clone(),
            priority: Priority(50),
            weight: Weight::ONE,
            concurrency: Some(Concurrency { key: key.clone(), class: self.class.clone() }),
            unique: None::<Unique>,
            supersede: None,
            run_at: None,
            max_attempts: 4,
            timeout: Duration::from_mins(2),
            trace_parent: None,
        }
    }

    /// Stores jobs, the keys in turn, all due at once or all at `run_at`.
    pub async fn fill(
        &self,
        store: &dyn QueueBackend,
        jobs: usize,
        keys: &[ConcurrencyKey],
        run_at: Option<Timestamp>,
        bar: &ProgressBar,
    ) -> Result<()> {
        bar.inc_length(jobs as u64);
        let mut number = 0;
        while number < jobs {
            let one = |i: usize| NewJob { run_at, ..self.job(&keys[i % keys.len()]) };
            let batch: Vec<NewJob> = (number..jobs.min(number + FILL_BATCH)).map(one).collect();
            store_all(store, &batch).await?;
            number += batch.len();
            bar.inc(batch.len() as u64);
        }
        Ok(())
    }

    /// Claims and settles so many jobs by `clients`, a batch at a time; how many there were.
    pub async fn cycle(&self, clients: &[Fleet], batch: usize, jobs: usize) -> Result<usize> {
        let done = AtomicUsize::new(0);
        // In one task: what the callers do themselves is little, and a store in the same process is called as by one.
        let calls = clients.iter().map(|client| async {
            while done.load(Ordering::Relaxed) < jobs {
                let claimed = client.queue.claim(&self.claim(batch)?).await?;
                ensure!(!claimed.jobs.is_empty(), "the queue ran dry before {jobs} jobs were done");
                let ended: Vec<_> = claimed.jobs.into_iter().map(|job| job.settle(Transition::Complete)).collect();
                done.fetch_add(client.queue.settle(&ended).await?.len(), Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
        try_join_all(calls).await?;
        Ok(done.load(Ordering::Relaxed))
    }

    /// A time by the store's clock.
    pub async fn in_the_future(&self, store: &dyn QueueBackend, ahead: SignedDuration) -> Result<Timestamp> {
        let job = self.job(&ConcurrencyKey::new("clock")?);
        store_all(store, std::slice::from_ref(&job)).await?;
        let stored = store.get(job.id).await?.context("the store has lost a job")?;
        store.cancel(job.id, CancelReason::Requested).await?;
        Ok(stored.job.created_at.checked_add(ahead)?)
    }

    pub fn claim(&self, max: usize) -> Result<ClaimRequest> {
        Ok(ClaimRequest {
            id: ClaimId::from(Uuid::now_v7()),
            queues: vec![self.queue.clone()],
            max,
            worker: WorkerId::new("bench")?,
            lease: Duration::from_mins(5),
        })
    }

    /// Where the queue stands.
    pub async fn stats(&self, store: &dyn QueueBackend) -> Result<QueueStats> {
        let all = store.stats().await?;
        all.into_iter().find(|stats| stats.queue == self.queue).context("the store has lost the queue")
    }
}

/// Stores jobs, all of them.
pub async fn store_all(store: &dyn QueueBackend, jobs: &[NewJob]) -> Result<()> {
    let answers = store.enqueue(jobs).await?;
    ensure!(answers.iter().all(|a| *a == Enqueued::Inserted), "the store did not take every job");
    Ok(())
}

pub fn keys(prefix: &str, count: usize) -> Result<Vec<ConcurrencyKey>> {
    (0..count).map(|i| Ok(ConcurrencyKey::new(format!("{prefix}:{i}"))?)).collect()
}

/// So many clients of one store.
pub async fn open(place: &Place, clients: usize) -> Result<Vec<Fleet>> {
    let mut opened = Vec::with_capacity(clients);
    for _ in 0..clients {
        opened.push(place.open().await?);
    }
    Ok(opened)
}

/// Waits for callers that run at once; the first failure is that of all.
pub async fn join(mut callers: JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a bench's job counts are far below 2^52")]
pub fn per_second(jobs: usize, took: Duration) -> f64 {
    jobs as f64 / took.as_secs_f64()
}
