use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use fleet::Fleet;
use job::{Job, Outcome};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use worker::{Handler, Handlers, Options};

use super::{
    Figure,
    claim_settle::{FAR, bare},
    target::{Place, Target},
    workload::{KEY_LIMIT, Workload, join, keys, open},
};
use crate::output::Output;

/// Jobs that a worker works off for one figure, and their keys.
const JOBS: usize = 50_000;
const KEYS: usize = 1_000;
/// The backlog in which they are worked off as well.
const READY: usize = 500_000;
const SCHEDULED: usize = 1_000_000;
/// Slots of the worker: jobs that do nothing are done as fast as they are claimed, and a claim takes at most 1,000.
const SLOTS: usize = 2_000;
/// Workers of one hot key, and its jobs.
const HOT_WORKERS: usize = 4;
const HOT_JOBS: usize = 50_000;
const HOT_SLOTS: usize = 64;
/// How often it is looked what is left.
const LOOK: Duration = Duration::from_millis(20);
/// The longest that any of this may take.
const DEADLINE: Duration = Duration::from_mins(10);

/// A job that does nothing.
struct Nothing;

#[async_trait]
impl Handler for Nothing {
    async fn run(&self, _: &Job, _: &worker::Context) -> Outcome {
        Outcome::Completed
    }
}

/// Jobs a second that one worker works off, from its start until nothing is left unsettled.
pub async fn run(target: &Target, out: &Output) -> Result<Vec<Figure>> {
    let place = target.place().await?;
    let bare = match place.bare(u32::try_from(target.sizes().clients)?).await? {
        Some(table) => Some(bare(table, target.sizes()).await?),
        None => None,
    };
    let value = drain(&place, 0, out).await?;
    place.remove().await?;
    Ok(vec![Figure::new("drain", target, value, "jobs/s", conditions("nothing else in the queue")).beside(bare)])
}

/// The same with nothing else in the queue, and amid a large backlog.
pub async fn backlog(target: &Target, out: &Output) -> Result<Vec<Figure>> {
    let place = target.place().await?;
    let alone = drain(&place, 0, out).await?;
    place.remove().await?;
    let place = target.place().await?;
    let value = drain(&place, READY, out).await?;
    place.remove().await?;
    let amid = format!("amid {READY} ready and {SCHEDULED} scheduled: {:.2} of the rate without", value / alone);
    Ok(vec![
        Figure::new("backlog", target, alone, "jobs/s", conditions("nothing else in the queue")),
        Figure::new("backlog", target, value, "jobs/s", conditions(&amid)),
    ])
}

fn conditions(what: &str) -> String {
    format!("{JOBS} jobs, {KEYS} keys of limit {KEY_LIMIT}, one worker of {SLOTS} slots, {what}")
}

async fn drain(place: &Place, backlog: usize, out: &Output) -> Result<f64> {
    let fleets = open(place, 1).await?;
    let store = fleets[0].queue.as_ref();
    let work = Workload::define(store, KEY_LIMIT).await?;
    let (keys, bar) = (keys("user", KEYS)?, out.progress("filling", 0));
    work.fill(store, JOBS.max(backlog), &keys, None, &bar).await?;
    if backlog > 0 {
        let far = work.in_the_future(store, FAR).await?;
        work.fill(store, SCHEDULED, &keys, Some(far), &bar).await?;
    }
    bar.finish_and_clear();
    work_off(&work, &fleets, SLOTS, JOBS).await
}

/// One key that all jobs have, and several workers: its limit is what bounds them.
pub async fn hot_key(target: &Target, out: &Output) -> Result<Vec<Figure>> {
    let place = target.place().await?;
    let fleets = open(&place, HOT_WORKERS).await?;
    let store = fleets[0].queue.as_ref();
    let work = Workload::define(store, KEY_LIMIT).await?;
    let bar = out.progress("filling", 0);
    work.fill(store, HOT_JOBS, &keys("user", 1)?, None, &bar).await?;
    bar.finish_and_clear();
    let value = work_off(&work, &fleets, HOT_SLOTS, HOT_JOBS).await?;
    drop(fleets);
    place.remove().await?;
    let conditions =
        format!("{HOT_JOBS} jobs of one key of limit {KEY_LIMIT}, {HOT_WORKERS} workers of {HOT_SLOTS} slots");
    Ok(vec![Figure::new("hot-key", target, value, "jobs/s", conditions)])
}

/// Lets workers work until so many jobs fewer are unsettled; jobs a second.
async fn work_off(work: &Workload, fleets: &[Fleet], slots: usize, jobs: usize) -> Result<f64> {
    let store = fleets[0].queue.as_ref();
    let unsettled = async || work.stats(store).await.map(|s| s.ready + s.parked + s.leased);
    let before = unsettled().await?;
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for fleet in fleets {
        let handlers = Handlers::default().with(work.kind.clone(), Arc::new(Nothing));
        let options =
            Options { concurrency: slots, ..Options::new(worker::worker_id("bench")?, vec![work.queue.clone()]) };
        let working = worker::run(fleet.queue.clone(), handlers, options, stop.clone());
        workers.spawn(async move {
            working.await?;
            Ok(())
        });
    }
    let worked = async {
        loop {
            let done = before.saturating_sub(unsettled().await?);
            if done >= jobs as u64 {
                return anyhow::Ok((done, begun.elapsed()));
            }
            sleep(LOOK).await;
        }
    };
    let (done, took) = timeout(DEADLINE, worked).await.context("the jobs are not done")??;
    stop.cancel();
    join(workers).await?;
    #[expect(clippy::cast_precision_loss, reason = "a bench's job counts are far below 2^52")]
    Ok(done as f64 / took.as_secs_f64())
}

/// Jobs of a user with a large backlog that start before the first one of another user does.
pub async fn noisy(target: &Target, out: &Output) -> Result<Vec<Figure>> {
    const NOISE: usize = 100_000;
    const SLOTS: usize = 16;
    const VISITS: usize = 50;
    const WORK: Duration = Duration::from_millis(5);

    struct Starts {
        noise: AtomicUsize,
        visitor: tokio::sync::watch::Sender<Option<usize>>,
    }

    #[async_trait]
    impl Handler for Starts {
        async fn run(&self, job: &Job, _: &worker::Context) -> Outcome {
            if job.concurrency.as_ref().is_some_and(|c| c.key.as_str().starts_with("visitor")) {
                let before = self.noise.load(Ordering::SeqCst);
                self.visitor.send_replace(Some(before));
            } else {
                self.noise.fetch_add(1, Ordering::SeqCst);
            }
            sleep(WORK).await;
            Outcome::Completed
        }
    }

    let place = target.place().await?;
    let fleets = open(&place, 1).await?;
    let store = fleets[0].queue.as_ref();
    let work = Workload::define(store, KEY_LIMIT).await?;
    let bar = out.progress("filling", 0);
    work.fill(store, NOISE, &keys("noisy", 1)?, None, &bar).await?;
    bar.finish_and_clear();
    let (visitor, mut started) = tokio::sync::watch::channel(None);
    let starts = Arc::new(Starts { noise: AtomicUsize::new(0), visitor });
    let handlers = Handlers::default().with(work.kind.clone(), starts.clone());
    let options = Options { concurrency: SLOTS, ..Options::new(worker::worker_id("bench")?, vec![work.queue.clone()]) };
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker::run(fleets[0].queue.clone(), handlers, options, stop.clone()));
    let mut most = 0;
    for key in keys("visitor", VISITS)? {
        store.enqueue(&[work.job(&key)]).await?;
        let before = starts.noise.load(Ordering::SeqCst);
        let visited = timeout(DEADLINE, started.wait_for(Option::is_some)).await.context("a job did not start")??;
        most = most.max(visited.unwrap_or_default().saturating_sub(before));
        drop(visited);
        starts.visitor.send_replace(None);
    }
    stop.cancel();
    working.await??;
    drop(fleets);
    place.remove().await?;
    let conditions = format!(
        "most jobs of the noisy key that started before another's job, of {VISITS} times; {NOISE} waiting under a limit of {KEY_LIMIT}, \
         one worker of {SLOTS} slots, jobs of {} ms",
        WORK.as_millis()
    );
    #[expect(clippy::cast_precision_loss, reason = "a bench's job counts are far below 2^52")]
    Ok(vec![Figure::new("noisy", target, most as f64, "jobs", conditions)])
}
