use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use job::{Job, JobId, JobKind, Outcome, Payload, Priority, QueueName, Weight, WorkerId};
use store::{NewJob, QueueBackend};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use worker::{Context, Drained, Handler, Handlers, Options, RunError, run};

/// Longer than anything a test waits for; with a paused clock it takes no time.
const DEADLINE: Duration = Duration::from_mins(2);

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn queue() -> QueueName {
    QueueName::new("work").unwrap()
}

pub fn kind() -> JobKind {
    JobKind::new("task").unwrap()
}

pub fn options() -> Options {
    Options::new(WorkerId::new("here/1/a").unwrap(), vec![queue()])
}

/// A job that waits, for the handler [`kind`].
pub fn new_job() -> NewJob {
    NewJob {
        id: JobId::from(uuid::Uuid::now_v7()),
        queue: queue(),
        kind: kind(),
        payload: Payload::of(&0).unwrap(),
        priority: Priority(0),
        weight: Weight::ONE,
        concurrency: None,
        unique: None,
        supersede: None,
        run_at: None,
        max_attempts: 4,
        timeout: Duration::from_hours(1),
        trace_parent: None,
    }
}

pub fn new_jobs(count: usize) -> Vec<NewJob> {
    (0..count).map(|_| new_job()).collect()
}

/// A handler that is a closure.
struct Closure<F>(F);

#[async_trait]
impl<F, A> Handler for Closure<F>
where
    F: Fn(Job, Context) -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send,
{
    async fn run(&self, job: &Job, context: &Context) -> Outcome {
        (self.0)(job.clone(), context.clone()).await
    }
}

pub fn handlers<F, A>(handler: F) -> Handlers
where
    F: Fn(Job, Context) -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    Handlers::default().with(kind(), self::handler(handler))
}

pub fn handler<F, A>(handler: F) -> Arc<dyn Handler>
where
    F: Fn(Job, Context) -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    Arc::new(Closure(handler))
}

/// Counts what runs, now and at most, and how often it started.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    started: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Counter {
    /// One handler runs until the answer is dropped, by its end, its panic or its abort.
    pub fn start(&self) -> impl Drop + Send + use<> {
        self.0.started.fetch_add(1, Ordering::SeqCst);
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(running, Ordering::SeqCst);
        Guard(self.0.clone())
    }

    pub fn started(&self) -> usize {
        self.0.started.load(Ordering::SeqCst)
    }

    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    pub fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }

    /// Handlers that take so long and then are done.
    pub fn handlers(&self, each: Duration) -> Handlers {
        let counter = self.clone();
        handlers(move |_, _| {
            let running = counter.start();
            async move {
                sleep(each).await;
                drop(running);
                Outcome::Completed
            }
        })
    }
}

struct Guard(Arc<Counts>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A worker in a task of its own.
pub struct Worker {
    pub stop: CancellationToken,
    task: JoinHandle<Result<Drained, RunError>>,
}

impl Worker {
    pub fn start(store: Arc<dyn QueueBackend>, handlers: Handlers, options: Options) -> Self {
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(run(store, handlers, options, stop.clone())), stop }
    }

    pub async fn drain(self) -> Drained {
        self.stop.cancel();
        self.task.await.unwrap().unwrap()
    }

    /// Waits for it to end by itself.
    pub async fn ended(self) -> Result<Drained, RunError> {
        self.task.await.unwrap()
    }

    /// Ends it as a lost process would end.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Waits until something is so, and answers how long that took.
pub async fn until(what: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < DEADLINE, "it did not come to pass within {DEADLINE:?}");
        sleep(ms(1)).await;
    }
    start.elapsed()
}
