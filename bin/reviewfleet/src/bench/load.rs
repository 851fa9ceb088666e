use anyhow::Result;
use job::{
    ClaimId, Concurrency, ConcurrencyKey, JobId, JobKind, LimitClass, Payload, Priority, QueueName, Transition, Unique,
    Weight, WorkerId,
};
use std::time::{Duration, Instant};
use store::{ClaimRequest, Enqueued, LimitTarget, NewJob, QueueBackend};
use uuid::Uuid;

/// Jobs that one call stores while a backlog is put in.
pub const FILL_BATCH: usize = 2_000;
/// A payload of the size that a review job has.
const PAYLOAD: &str = r#"{"change":{"repository":"acme/widgets","head":"0123456789abcdef0123456789abcdef01234567","base":null},"user":"user-1234","tier":"PRO"}"#;

/// A queue of its own with many keys, to be filled and worked off.
pub struct Load {
    queue: QueueName,
    kind: JobKind,
    class: LimitClass,
    keys: Vec<ConcurrencyKey>,
    payload: Payload,
    worker: WorkerId,
}

impl Load {
    /// Defines the queue with so many keys, each of which may run `key_limit` jobs at once.
    pub async fn prepare(store: &dyn QueueBackend, keys: usize, key_limit: u32) -> Result<Self> {
        let queue = QueueName::new("bench")?;
        let class = LimitClass::new("user")?;
        store.define_queue(&queue, None).await?;
        store.set_limit(&LimitTarget::Class(queue.clone(), class.clone()), Some(key_limit)).await?;
        Ok(Self {
            queue,
            kind: JobKind::new("bench")?,
            class,
            keys: (0..keys).map(|i| ConcurrencyKey::new(format!("user:{i}"))).collect::<Result<_, _>>()?,
            payload: Payload::parse(PAYLOAD)?,
            worker: WorkerId::new("bench")?,
        })
    }

    /// Puts in jobs, the keys in turn; jobs a second.
    pub async fn fill(&self, store: &dyn QueueBackend, jobs: usize, progress: impl Fn(usize)) -> Result<f64> {
        let begun = Instant::now();
        let mut left = jobs;
        while left > 0 {
            let batch: Vec<NewJob> = (0..FILL_BATCH.min(left)).map(|i| self.job(left - i)).collect();
            let answers = store.enqueue(&batch).await?;
            anyhow::ensure!(answers.iter().all(|a| *a == Enqueued::Inserted), "the store did not take every job");
            left -= batch.len();
            progress(batch.len());
        }
        Ok(per_second(jobs, begun))
    }

    /// Claims and settles so many jobs, a batch at a time; jobs a second.
    pub async fn cycle(&self, store: &dyn QueueBackend, batch: usize, jobs: usize) -> Result<f64> {
        let begun = Instant::now();
        let mut done = 0;
        while done < jobs {
            let claimed = store.claim(&self.claim(batch)).await?;
            anyhow::ensure!(!claimed.jobs.is_empty(), "the queue ran dry before {jobs} jobs were done");
            let ended: Vec<_> = claimed.jobs.into_iter().map(|job| job.settle(Transition::Complete)).collect();
            done += store.settle(&ended).await?.len();
        }
        Ok(per_second(done, begun))
    }

    fn claim(&self, max: usize) -> ClaimRequest {
        ClaimRequest {
            id: ClaimId::from(Uuid::now_v7()),
            queues: vec![self.queue.clone()],
            max,
            worker: self.worker.clone(),
            lease: Duration::from_secs(30),
        }
    }

    fn job(&self, number: usize) -> NewJob {
        NewJob {
            id: JobId::from(Uuid::now_v7()),
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            payload: self.payload.clone(),
            priority: Priority(50),
            weight: Weight::ONE,
            concurrency: Some(Concurrency {
                key: self.keys[number % self.keys.len()].clone(),
                class: self.class.clone(),
            }),
            unique: None::<Unique>,
            supersede: None,
            run_at: None,
            max_attempts: 4,
            timeout: Duration::from_mins(2),
            trace_parent: None,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a bench's job counts are far below 2^52")]
fn per_second(jobs: usize, begun: Instant) -> f64 {
    jobs as f64 / begun.elapsed().as_secs_f64()
}
