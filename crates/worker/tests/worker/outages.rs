use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use store::QueueStore;
use tokio::time::sleep;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use worker::RunError;

use crate::{
    fake::{ALL, Fake, Op, State},
    support::{Counter, Worker, ms, new_job, new_jobs, options, secs, until},
};

/// Keeps every line from INFO up.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = Line("span".into());
        span.record(&mut line);
        self.0.lock().unwrap().push(line.0);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Log {
    fn lines(&self, with: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(with)).count()
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_outlived_with_two_lines_in_the_log_and_no_storm() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.enqueue(&new_jobs(3)).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(secs(5)), options());
    until(|| counter.running() == 3).await;
    let calls = || ALL.map(|op| store.calls(op).len()).iter().sum::<usize>();
    let before = calls();
    store.go_away(&ALL);
    sleep(secs(20)).await;
    let tries = calls() - before;
    assert!((10..=60).contains(&tries), "{tries} calls in 20 s");
    store.come_back();
    store.enqueue(&[new_job()]).await.unwrap();
    until(|| store.count(&State::Completed) == 4).await;
    until(|| log.lines("the store answers again") == 1).await;
    assert_eq!(log.lines("the store is away"), 1);
    assert_eq!(log.lines("connection reset"), 1, "the cause is named once");
    assert_eq!(counter.started(), 4);
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_asked_again() {
    let (store, counter) = (Arc::new(Fake::default()), Counter::default());
    store.slow_down(Op::Claim, secs(3_600));
    store.enqueue(&[new_job()]).await.unwrap();
    let worker = Worker::start(store.clone(), counter.handlers(ms(1)), options());
    until(|| store.calls(Op::Claim).len() == 1).await;
    store.slow_down(Op::Claim, ms(1));
    let took = until(|| counter.started() == 1).await;
    assert!(took < secs(11), "{took:?}");
    worker.drain().await;
}

#[tokio::test(start_paused = true)]
async fn the_log_names_a_job_and_never_its_payload() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let store = Arc::new(Fake::default());
    let secret = store::NewJob { payload: job::Payload::of(&"swordfish").unwrap(), max_attempts: 1, ..new_job() };
    store.enqueue(std::slice::from_ref(&secret)).await.unwrap();
    let failing = crate::support::handlers(|_, _| async { job::Outcome::TimedOut });
    let worker = Worker::start(store.clone(), failing, options());
    until(|| matches!(store.state(secret.id), State::Dead(_))).await;
    worker.drain().await;
    assert_eq!(log.lines(&format!("span job_id={} queue=work kind=task attempt=1", secret.id)), 1);
    assert_eq!(log.lines("failed for good"), 1);
    assert_eq!(log.lines("swordfish"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_worker_that_fails_drains_it_and_is_told() {
    for op in [Op::Renew, Op::Reap, Op::Claim] {
        let (store, counter) = (Arc::new(Fake::default()), Counter::default());
        store.enqueue(&new_jobs(3)).await.unwrap();
        let worker = Worker::start(store.clone(), counter.handlers(secs(12)), options());
        until(|| counter.running() == 3).await;
        store.break_down(op);
        let ended = worker.ended().await;
        assert!(matches!(ended, Err(RunError::Runtime(_))), "{op:?}: {ended:?}");
        assert_eq!(store.count(&State::Completed), 3, "{op:?}");
    }
}
