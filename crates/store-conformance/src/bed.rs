use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use job::{
    AttemptErrorKind, ClaimId, Concurrency, ConcurrencyKey, Jitter, JobId, JobKind, JobState, LimitClass, Outcome,
    Payload, Priority, QueueName, RetryPolicy, StateName, Transition, Unique, UniqueKey, Weight, WorkerId,
};
use store::{
    Budget, ClaimRequest, Claimed, Enqueued, JobView, LeasedJob, LimitTarget, Maintained, NewJob, QueueBackend,
    QueueStats, ReapRequest, Settled,
};
use uuid::Uuid;

/// What a backend brings to be tested: one store of its own for each case.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens one more handle on the store, as another process would.
    async fn open(&self) -> Arc<dyn QueueBackend>;

    /// Moves the store's clock forward. It stands still otherwise, or goes with the real time.
    async fn advance(&self, by: Duration);

    /// Ends every process of the store's at once, as `kill -9` does. Handles opened before are of no more use.
    async fn crash(&self);
}

/// A store for one case, with the queue [`Bed::queue`] and the limit class [`Bed::class`], whose limit is
/// [`Bed::KEY_LIMIT`].
pub struct Bed {
    /// The backend's own part.
    pub harness: Box<dyn Harness>,
    /// A handle on the store.
    pub store: Arc<dyn QueueBackend>,
}

impl Bed {
    /// Jobs of one key that may run at once, unless a case says otherwise.
    pub const KEY_LIMIT: u32 = 2;
    /// How long the leases of [`Bed::claim`] run.
    pub const LEASE: Duration = Duration::from_secs(30);

    /// Sets the queue up.
    pub async fn new(harness: impl Harness + 'static) -> Self {
        let store = harness.open().await;
        store.define_queue(&Self::queue(), None).await.unwrap();
        let class = LimitTarget::Class(Self::queue(), Self::class());
        store.set_limit(&class, Some(Self::KEY_LIMIT)).await.unwrap();
        Self { harness: Box::new(harness), store }
    }

    /// The queue that cases use.
    pub fn queue() -> QueueName {
        QueueName::new("review").unwrap()
    }

    /// The limit class that cases use.
    pub fn class() -> LimitClass {
        LimitClass::new("user").unwrap()
    }

    /// The incarnation of a worker.
    pub fn worker() -> WorkerId {
        WorkerId::new("worker-1").unwrap()
    }

    /// A job that no key holds back.
    pub fn job() -> NewJob {
        NewJob {
            id: JobId::from(Uuid::now_v7()),
            queue: Self::queue(),
            kind: JobKind::new("review").unwrap(),
            payload: Payload::parse(r#"{"pull":1}"#).unwrap(),
            priority: Priority(0),
            weight: Weight::ONE,
            concurrency: None,
            unique: None,
            supersede: None,
            run_at: None,
            max_attempts: 4,
            timeout: Duration::from_mins(10),
            trace_parent: None,
        }
    }

    /// A job of a concurrency key.
    pub fn keyed(key: &str) -> NewJob {
        let key = ConcurrencyKey::new(key).unwrap();
        NewJob { concurrency: Some(Concurrency { key, class: Self::class() }), ..Self::job() }
    }

    /// A job with a unique key, taken for a window after its completion.
    pub fn unique(key: &str, window: Duration) -> NewJob {
        NewJob { unique: Some(Unique { key: UniqueKey::new(key).unwrap(), window }), ..Self::job() }
    }

    /// A job of a concurrency key with a priority.
    pub fn ranked(key: &str, priority: i16) -> NewJob {
        NewJob { priority: Priority(priority), ..Self::keyed(key) }
    }

    /// Stores a job that nothing keeps out.
    pub async fn put(&self, job: NewJob) -> JobId {
        let id = job.id;
        assert_eq!(self.store.enqueue(&[job]).await.unwrap(), [Enqueued::Inserted]);
        id
    }

    /// Stores jobs that nothing keeps out, in one call.
    pub async fn put_all(&self, jobs: Vec<NewJob>) -> Vec<JobId> {
        let ids = jobs.iter().map(|job| job.id).collect();
        let answers = self.store.enqueue(&jobs).await.unwrap();
        assert!(answers.iter().all(|answer| *answer == Enqueued::Inserted), "{answers:?}");
        ids
    }

    /// A claim of up to `max` jobs under an id of its own.
    pub fn request(max: usize) -> ClaimRequest {
        ClaimRequest {
            id: ClaimId::from(Uuid::now_v7()),
            queues: vec![Self::queue()],
            max,
            worker: Self::worker(),
            lease: Self::LEASE,
        }
    }

    /// Claims up to `max` jobs, and all that is answered with them.
    pub async fn claim_all(&self, max: usize) -> Claimed {
        self.store.claim(&Self::request(max)).await.unwrap()
    }

    /// Claims up to `max` jobs.
    pub async fn claim(&self, max: usize) -> Vec<LeasedJob> {
        self.claim_all(max).await.jobs
    }

    /// Claims the one job that may start.
    pub async fn claim_one(&self) -> LeasedJob {
        let mut jobs = self.claim(1).await;
        assert_eq!(jobs.len(), 1, "one job should start");
        jobs.remove(0)
    }

    /// Claims up to `max` jobs; which.
    pub async fn start(&self, max: usize) -> Vec<JobId> {
        self.claim(max).await.iter().map(|leased| leased.job.id).collect()
    }

    /// Settles a lease.
    pub async fn settle(&self, leased: LeasedJob, transition: Transition) -> Settled {
        self.store.settle(&[leased.settle(transition)]).await.unwrap()[0]
    }

    /// Settles a lease that is still held, with what the retry policy makes of an outcome.
    pub async fn end(&self, leased: LeasedJob, outcome: &Outcome) {
        let transition = Self::decide(&leased, outcome);
        assert_eq!(self.settle(leased, transition).await, Settled::Applied);
    }

    /// Completes jobs in one call.
    pub async fn complete(&self, leased: Vec<LeasedJob>) {
        let batch: Vec<_> = leased.into_iter().map(|leased| leased.settle(Transition::Complete)).collect();
        let answers = self.store.settle(&batch).await.unwrap();
        assert!(answers.iter().all(|answer| *answer == Settled::Applied), "{answers:?}");
    }

    /// What the default retry policy makes of an outcome, with the whole jitter.
    pub fn decide(leased: &LeasedJob, outcome: &Outcome) -> Transition {
        job::decide(leased.job.budgets(), outcome, &RetryPolicy::default(), Jitter::from_bits(u32::MAX))
    }

    /// A fault that may pass.
    pub fn transient() -> Outcome {
        Outcome::Transient { error: "connection reset".into(), retry_after: None }
    }

    /// A fault that no repetition mends.
    pub fn permanent() -> Outcome {
        Outcome::Permanent { error: "no such commit".into() }
    }

    /// The end of a worker.
    pub fn crashed() -> Outcome {
        Outcome::Crashed { error: "the worker died".into() }
    }

    /// The job, which must be known.
    pub async fn view(&self, id: JobId) -> JobView {
        self.store.get(id).await.unwrap().expect("the job is known")
    }

    /// Where the job stands.
    pub async fn state(&self, id: JobId) -> JobState {
        self.view(id).await.state
    }

    /// The name of where the job stands.
    pub async fn name(&self, id: JobId) -> StateName {
        self.state(id).await.name()
    }

    /// The kinds of the job's errors, oldest first.
    pub async fn error_kinds(&self, id: JobId) -> Vec<AttemptErrorKind> {
        self.view(id).await.errors.iter().map(|error| error.kind).collect()
    }

    /// Moves the store's clock.
    pub async fn advance(&self, by: Duration) {
        self.harness.advance(by).await;
    }

    /// One maintenance pass with room for all.
    pub async fn maintain(&self) -> Maintained {
        self.store.maintain(&Budget { jobs_max: 1_000 }).await.unwrap()
    }

    /// Takes over expired leases.
    pub async fn reap(&self) -> Vec<LeasedJob> {
        let request = ReapRequest {
            id: ClaimId::from(Uuid::now_v7()),
            worker: WorkerId::new("reaper").unwrap(),
            lease: Self::LEASE,
            max: 100,
        };
        self.store.reap(&request).await.unwrap()
    }

    /// The depth of the queue that cases use.
    pub async fn stats(&self) -> QueueStats {
        let all = self.store.stats().await.unwrap();
        all.into_iter().find(|stats| stats.queue == Self::queue()).expect("the queue has its depth")
    }

    /// Kills everything and opens the store anew.
    pub async fn crash(&mut self) {
        self.harness.crash().await;
        self.store = self.harness.open().await;
    }
}
