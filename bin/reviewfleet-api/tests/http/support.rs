use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header, request::Builder},
};
use fleet::{Config, Environment, ReviewJob};
use jiff::Timestamp;
use job::{AttemptError, CancelReason, Job, JobId, JobState, QueueName};
use ledger::{
    HeldUnit, Ledger, LedgerError, NewReview, NewUnit, Recorded, ReviewFilter, ReviewId, ReviewRecord, Taken, Usage,
    UsageFilter, UsageSum,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reviewfleet_api::{Api, ApiSettings, router};
use store::{
    Budget, Checkpoint, ClaimRequest, Claimed, Enqueued, JobFilter, JobPage, JobView, LeaseRef, LeasedJob, LimitTarget,
    Maintained, NewJob, PauseTarget, QueueAdmin, QueueStats, QueueStore, ReapRequest, Rejection, Renewal, ReplayFilter,
    Retried, Settled, Settlement, StoreError, Wakeups,
};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;
use uuid::Uuid;

pub const KEY: &str = "first-key-of-two";
pub const OTHER_KEY: &str = "second-key-of-two";
pub const HEAD: &str = "0123456789abcdef0123456789abcdef01234567";
pub const BASE: &str = "fedcba9876543210fedcba9876543210fedcba98";
/// The defaults, with two repositories.
const CONFIG: &str = r#"
    [forge.repositories]
    "acme/widgets" = "widgets"
    "acme/gears" = "gears"
"#;
/// How long a test waits for what must come.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// An API over a store and a ledger in memory.
pub struct Service {
    pub router: Router,
    pub queue: Arc<FakeQueue>,
    pub ledger: Arc<FakeLedger>,
}

impl Service {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut ApiSettings)) -> Self {
        let mut settings = ApiSettings::of(&config()).unwrap();
        change(&mut settings);
        let queue = Arc::new(FakeQueue::default());
        let ledger = Arc::new(FakeLedger::default());
        Self { router: router(api(&queue, &ledger, settings)), queue, ledger }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    /// Posts a review that is stored, and answers its job.
    pub async fn post(&self, body: &str) -> JobId {
        let answer = self.send(post(body.to_owned())).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        answer.json()["job_id"].as_str().unwrap().parse().unwrap()
    }
}

pub fn config() -> Config {
    config_in(Path::new(""), "")
}

/// The configuration with more of it, whose data lies in a folder.
pub fn config_in(folder: &Path, more: &str) -> Config {
    let environment = Environment::from_iter([("REVIEWFLEET_API_KEY", format!("{KEY},{OTHER_KEY}"))]);
    Config::parse(&format!("{CONFIG}{more}"), &folder.join("workers.toml"), &environment).unwrap()
}

pub fn api(queue: &Arc<FakeQueue>, ledger: &Arc<FakeLedger>, settings: ApiSettings) -> Api {
    Api { queue: queue.clone(), ledger: ledger.clone(), settings, metrics: metrics_handle() }
}

/// The recorder is the process's, and so is shared by the tests that run in it.
pub fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap()).clone()
}

/// Sends a request to an API.
pub async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    Answer { status: head.status, headers: head.headers, body }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that the answer is a whole problem document of this kind, and answers it.
    pub fn problem(&self, status: u16, name: &str) -> serde_json::Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json", "{}", self.body);
        let document = self.json();
        assert_eq!(document["type"], format!("/problems/{name}"), "{document}");
        assert_eq!(document["status"], status, "{document}");
        for member in ["title", "detail"] {
            assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {document}");
        }
        document
    }
}

pub fn with_key(method: &str, path: &str) -> Builder {
    Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {KEY}"))
}

pub fn get(path: &str) -> Request<Body> {
    with_key("GET", path).body(Body::empty()).unwrap()
}

pub fn delete(path: &str) -> Request<Body> {
    with_key("DELETE", path).body(Body::empty()).unwrap()
}

pub fn post(body: impl Into<Body>) -> Request<Body> {
    with_key("POST", "/v1/reviews").header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

/// The body of a good post by a user.
pub fn review_by(user: &str) -> String {
    serde_json::json!({ "repository": "acme/widgets", "head": HEAD, "user": user }).to_string()
}

/// Lets other tasks run until the condition holds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "{what} has not come about");
        tokio::task::yield_now().await;
    }
}

/// How a fake answers.
#[derive(Clone, Copy, Default)]
pub enum Mood {
    #[default]
    Answers,
    Away,
    /// Whatever writes fails; reading goes on.
    Full,
    /// Not before [`FakeQueue::release`].
    Hangs,
    Panics,
    Rejects,
    /// Rejects what comes for a second and a millisecond.
    Throttles,
    Corrupt,
}

type Jobs = BTreeMap<JobId, (NewJob, JobState, Vec<AttemptError>)>;

/// A queue of what was enqueued, with as much of the contract as the API sees.
pub struct FakeQueue {
    pub mood: Mutex<Mood>,
    jobs: Mutex<Jobs>,
    calls: AtomicUsize,
    probes: AtomicUsize,
    gate: Semaphore,
    changes: watch::Sender<()>,
}

impl Default for FakeQueue {
    fn default() -> Self {
        Self {
            mood: Mutex::default(),
            jobs: Mutex::default(),
            calls: AtomicUsize::new(0),
            probes: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            changes: watch::Sender::new(()),
        }
    }
}

impl FakeQueue {
    pub fn jobs(&self) -> Vec<NewJob> {
        self.jobs.lock().unwrap().values().map(|(job, ..)| job.clone()).collect()
    }

    /// How often the API has called.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// How often it was asked whether it could store a job.
    pub fn probes(&self) -> usize {
        self.probes.load(Ordering::SeqCst)
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn set_state(&self, id: JobId, state: JobState, errors: Vec<AttemptError>) {
        let mut jobs = self.jobs.lock().unwrap();
        let entry = jobs.get_mut(&id).unwrap();
        (entry.1, entry.2) = (state, errors);
    }

    pub fn state(&self, id: JobId) -> JobState {
        self.jobs.lock().unwrap()[&id].1.clone()
    }

    /// Lets the calls that hang go on.
    pub fn release(&self) {
        self.gate.add_permits(1000);
    }

    async fn write(&self) -> Result<(), StoreError> {
        self.answer().await?;
        match *self.mood.lock().unwrap() {
            Mood::Full => Err(StoreError::undone("write", "disk is full")),
            _ => Ok(()),
        }
    }

    async fn answer(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Answers | Mood::Rejects | Mood::Throttles | Mood::Full => Ok(()),
            Mood::Away => Err(StoreError::Unavailable { what: "enqueue", source: "connection refused".into() }),
            Mood::Corrupt => Err(StoreError::Corrupt { what: "a job", source: "it says secret-of-another".into() }),
            Mood::Hangs => {
                self.gate.acquire().await.unwrap().forget();
                Ok(())
            }
            Mood::Panics => panic!("the fake store panics over secret-of-the-store"),
        }
    }
}

fn enqueue_one(jobs: &mut Jobs, new: &NewJob) -> Enqueued {
    let newer = |job: &NewJob| match (&job.supersede, &new.supersede) {
        (Some(known), Some(arrives)) => known.key == arrives.key && arrives.version.is_older_than(&known.version),
        _ => false,
    };
    if let Some((id, _)) = jobs.iter().find(|(_, (job, ..))| newer(job)) {
        return Enqueued::Superseded(*id);
    }
    let taken = |job: &NewJob| job.unique.as_ref().map(|u| &u.key) == new.unique.as_ref().map(|u| &u.key);
    if let Some((id, _)) = jobs.iter().find(|(_, (job, ..))| taken(job)) {
        return Enqueued::Duplicate(*id);
    }
    jobs.insert(new.id, (new.clone(), JobState::Ready { since: Timestamp::UNIX_EPOCH }, Vec::new()));
    Enqueued::Inserted
}

fn not_here<T>() -> Result<T, StoreError> {
    Err(StoreError::Invalid("the API does not call this".to_owned()))
}

#[async_trait]
impl QueueStore for FakeQueue {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        self.write().await?;
        if matches!(*self.mood.lock().unwrap(), Mood::Rejects) {
            let rejected = |job: &NewJob| Enqueued::Rejected(Rejection::UnknownQueue(job.queue.clone()));
            return Ok(jobs.iter().map(rejected).collect());
        }
        if matches!(*self.mood.lock().unwrap(), Mood::Throttles) {
            let retry_in = Duration::from_millis(1_001);
            return Ok(vec![Enqueued::Rejected(Rejection::Throttled { retry_in }); jobs.len()]);
        }
        let mut stored = self.jobs.lock().unwrap();
        Ok(jobs.iter().map(|job| enqueue_one(&mut stored, job)).collect())
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        self.answer().await?;
        Ok(Vec::new())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        self.write().await
    }

    async fn claim(&self, _: &ClaimRequest) -> Result<Claimed, StoreError> {
        not_here()
    }

    async fn renew(&self, _: &[LeaseRef], _: Duration) -> Result<Vec<Renewal>, StoreError> {
        not_here()
    }

    async fn settle(&self, _: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        not_here()
    }

    async fn checkpoint(&self, _: &LeaseRef, _: &Checkpoint) -> Result<Settled, StoreError> {
        not_here()
    }

    async fn reap(&self, _: &ReapRequest) -> Result<Vec<LeasedJob>, StoreError> {
        not_here()
    }

    async fn maintain(&self, _: &Budget) -> Result<Maintained, StoreError> {
        not_here()
    }
}

#[async_trait]
impl QueueAdmin for FakeQueue {
    async fn get(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        self.answer().await?;
        Ok(self.jobs.lock().unwrap().get(&id).map(|(new, state, errors)| JobView {
            job: Job::from(new),
            state: state.clone(),
            started_at: match state {
                JobState::Leased { since, .. } => Some(*since),
                _ => None,
            },
            errors: errors.clone(),
            checkpoints: Vec::new(),
        }))
    }

    async fn cancel(&self, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError> {
        self.write().await?;
        Ok(self.jobs.lock().unwrap().get_mut(&id).map(|(_, state, _)| {
            if let JobState::Leased { cancel_requested, .. } = state {
                *cancel_requested = Some(reason);
            } else if !state.name().is_final() {
                *state = JobState::Cancelled { at: Timestamp::UNIX_EPOCH, reason };
            }
            state.clone()
        }))
    }

    async fn define_queue(&self, _: &QueueName, _: Option<u32>) -> Result<(), StoreError> {
        not_here()
    }

    async fn list(&self, _: &JobFilter) -> Result<JobPage, StoreError> {
        not_here()
    }

    async fn retry(&self, _: JobId) -> Result<Retried, StoreError> {
        not_here()
    }

    async fn replay(&self, _: &ReplayFilter) -> Result<(usize, bool), StoreError> {
        not_here()
    }

    async fn pause(&self, _: &PauseTarget) -> Result<(), StoreError> {
        not_here()
    }

    async fn resume(&self, _: &PauseTarget) -> Result<(), StoreError> {
        not_here()
    }

    async fn set_limit(&self, _: &LimitTarget, _: Option<u32>) -> Result<(), StoreError> {
        not_here()
    }

    async fn prune(&self, _: Timestamp, _: usize) -> Result<usize, StoreError> {
        not_here()
    }

    async fn prune_matching(&self, _: &store::PruneFilter) -> Result<(usize, bool), StoreError> {
        not_here()
    }

    async fn set_throttle(
        &self,
        _: &QueueName,
        _: &job::LimitClass,
        _: Option<store::Throttle>,
    ) -> Result<(), StoreError> {
        not_here()
    }

    async fn define_group(&self, _: &job::GroupName, _: &[QueueName], _: Option<u32>) -> Result<(), StoreError> {
        not_here()
    }

    async fn set_cron(&self, _: &store::CronEntry) -> Result<(), StoreError> {
        not_here()
    }

    async fn remove_cron(&self, _: &job::CronName) -> Result<bool, StoreError> {
        not_here()
    }

    async fn list_cron(&self) -> Result<Vec<store::CronView>, StoreError> {
        not_here()
    }

    async fn settings(&self, _: &QueueName) -> Result<store::QueueSettings, StoreError> {
        not_here()
    }
}

impl Wakeups for FakeQueue {
    fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

#[derive(Default)]
pub struct FakeLedger {
    pub mood: Mutex<Mood>,
    /// The units of every user's day.
    pub held: Mutex<Vec<HeldUnit>>,
    reviews: Mutex<Vec<ReviewRecord>>,
}

impl FakeLedger {
    /// Records a review that a job has made.
    pub fn add(&self, job: &NewJob) -> ReviewId {
        let posted: ReviewJob = job.payload.to().unwrap();
        let id = ReviewId(Uuid::now_v7());
        let review = NewReview {
            id,
            job: job.id,
            user: posted.user,
            repository: posted.change.repository.to_string(),
            base: None,
            head: posted.change.head.to_string(),
            title: "Turn faster".to_owned(),
            model: "rules".to_owned(),
            findings: 0,
            usage: Usage::default(),
            duration_ms: 12,
            document: r#"{"findings":[]}"#.to_owned(),
            markdown: "# Review\n".to_owned(),
            pull_request: posted.pull_request,
            status: None,
        };
        self.reviews.lock().unwrap().push(ReviewRecord { review, created_at: Timestamp::UNIX_EPOCH });
        id
    }

    fn find(&self, wanted: impl Fn(&NewReview) -> bool) -> Result<Option<ReviewRecord>, LedgerError> {
        match *self.mood.lock().unwrap() {
            Mood::Answers => Ok(self.reviews.lock().unwrap().iter().find(|r| wanted(&r.review)).cloned()),
            _ => Err(LedgerError::Unavailable { what: "review", source: "disk full".into() }),
        }
    }
}

#[async_trait]
impl Ledger for FakeLedger {
    async fn record(&self, _: &NewReview) -> Result<Recorded, LedgerError> {
        Err(LedgerError::Corrupt("the API does not call this".to_owned()))
    }

    async fn review(&self, id: ReviewId) -> Result<Option<ReviewRecord>, LedgerError> {
        self.find(|review| review.id == id)
    }

    async fn review_of_job(&self, job: JobId) -> Result<Option<ReviewRecord>, LedgerError> {
        self.find(|review| review.job == job)
    }

    async fn list(&self, _: &ReviewFilter) -> Result<Vec<ReviewRecord>, LedgerError> {
        Err(LedgerError::Corrupt("the API does not call this".to_owned()))
    }

    async fn usage(&self, _: &UsageFilter) -> Result<Vec<UsageSum>, LedgerError> {
        Err(LedgerError::Corrupt("the API does not call this".to_owned()))
    }

    async fn take_unit(&self, _: &NewUnit, daily: u32) -> Result<Taken, LedgerError> {
        self.find(|_| true)?;
        let is_full = self.held.lock().unwrap().len() >= daily as usize;
        Ok(if is_full { Taken::No { resets_in: Duration::from_millis(1_001) } } else { Taken::Yes })
    }

    async fn held_units(&self, _: &str) -> Result<Vec<HeldUnit>, LedgerError> {
        Ok(self.held.lock().unwrap().clone())
    }

    async fn units_of_subject(&self, _: &str) -> Result<Vec<HeldUnit>, LedgerError> {
        Ok(Vec::new())
    }

    async fn give_back(&self, jobs: &[JobId]) -> Result<(), LedgerError> {
        self.held.lock().unwrap().retain(|unit| !jobs.contains(&unit.job));
        Ok(())
    }
}
