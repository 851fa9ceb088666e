use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;

use crate::peer::{Handled, Peer, Tuning};
use crate::report::Measured;

/// Jobs that are worked off.
pub const DRAIN_JOBS: u32 = 50_000;
/// Jobs that are ready beside them.
pub const BACKLOG_READY: u32 = 500_000;
/// Jobs of a far day beside them.
pub const BACKLOG_SCHEDULED: u32 = 1_000_000;
/// Callers that store one job a call.
pub const SINGLE_CLIENTS: u32 = 16;
/// Callers that store batches: as many as the project's own measurement of batches has.
pub const BATCH_CLIENTS: u32 = 4;
/// Jobs a batch.
pub const BATCH_JOBS: usize = 500;

const ENQUEUE_TIME: Duration = Duration::from_secs(5);
/// A queue that has not worked off its jobs by then is told by what it did.
const DRAIN_TIME_MAX: Duration = Duration::from_mins(1);
/// All of a measurement, the making of tables and the loading of jobs included.
const SCENARIO_TIME_MAX: Duration = Duration::from_mins(5);
const CLOSE_TIME_MAX: Duration = Duration::from_secs(20);
/// Short beside any drain, and no load on a machine of few cores.
const POLL: Duration = Duration::from_millis(2);

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 50,000 jobs that do nothing, worked off by one worker until all are settled
    Drain,
    /// 16 clients that store one job a call
    EnqueueSingle,
    /// 4 clients that store 500 jobs a call
    EnqueueBatch,
    /// As drain, while 500,000 more are ready and 1,000,000 scheduled
    ClaimBacklog,
}

impl Scenario {
    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::EnqueueSingle => "enqueue-single",
            Self::EnqueueBatch => "enqueue-batch",
            Self::ClaimBacklog => "claim-backlog",
        }
    }
}

/// Makes the tables, measures, and closes; never longer than the named maximum.
pub async fn run<P: Peer>(scenario: Scenario, url: &str, tuning: Tuning) -> anyhow::Result<Measured> {
    let measured = async {
        let peer = P::open(url, tuning).await.context("opening")?;
        match scenario {
            Scenario::Drain => work_off(peer, url, tuning, 0, 0).await,
            Scenario::ClaimBacklog => work_off(peer, url, tuning, BACKLOG_READY, BACKLOG_SCHEDULED).await,
            Scenario::EnqueueSingle => enqueue(peer, SINGLE_CLIENTS, 1).await,
            Scenario::EnqueueBatch => enqueue(peer, BATCH_CLIENTS, BATCH_JOBS).await,
        }
    };
    tokio::time::timeout(SCENARIO_TIME_MAX, measured).await.context("it took too long and was given up")?
}

async fn enqueue<P: Peer>(peer: P, clients: u32, jobs: usize) -> anyhow::Result<Measured> {
    let peer = Arc::new(peer);
    // The first call of each client connects and prepares its statements, as it does once in the life of a service.
    callers(&peer, clients, jobs, Duration::ZERO).await?;
    let begin = Instant::now();
    let stored = callers(&peer, clients, jobs, ENQUEUE_TIME).await?;
    let measured = Measured::new(stored, begin.elapsed());
    let peer = Arc::into_inner(peer).context("a client is still there")?;
    close(peer, None).await?;
    Ok(measured)
}

/// At least one call of each client, and then as many as there is time for; how many jobs they stored.
async fn callers<P: Peer>(peer: &Arc<P>, clients: u32, jobs: usize, time: Duration) -> anyhow::Result<u64> {
    let calls = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (peer, calls) = (Arc::clone(peer), Arc::clone(&calls));
        tasks.spawn(async move {
            loop {
                if jobs == 1 {
                    peer.enqueue_one().await?;
                } else {
                    peer.enqueue_batch(jobs).await?;
                }
                calls.fetch_add(1, Ordering::Relaxed);
                if begin.elapsed() >= time {
                    return anyhow::Ok(());
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(calls.load(Ordering::Relaxed) * jobs as u64)
}

async fn work_off<P: Peer>(
    peer: P,
    url: &str,
    tuning: Tuning,
    more_ready: u32,
    scheduled: u32,
) -> anyhow::Result<Measured> {
    let ready = DRAIN_JOBS + more_ready;
    let loaded = u64::from(ready) + u64::from(scheduled);
    peer.load(ready, scheduled).await.context("loading")?;
    analyze(url).await.context("analyzing")?;
    anyhow::ensure!(peer.settled(loaded).await? == 0, "not all jobs were loaded");
    let handled = Handled::default();
    let begin = Instant::now();
    let worker = peer.start(tuning, handled.clone()).await.context("starting")?;
    let target = u64::from(DRAIN_JOBS);
    let measured = loop {
        tokio::time::sleep(POLL).await;
        // The tables are asked only when it can be all, so that the question costs the queue nothing.
        let late = begin.elapsed() >= DRAIN_TIME_MAX;
        if handled.count() < target && !late {
            continue;
        }
        let asked = begin.elapsed();
        let settled = peer.settled(loaded).await.context("counting")?;
        // Amid a backlog the worker goes on, so that what is settled at this moment is the figure; else all must be.
        if settled >= target || late || more_ready > 0 {
            break Measured::new(settled, asked);
        }
    };
    close(peer, Some(worker)).await?;
    Ok(measured)
}

/// What autovacuum does within minutes, done at once and for every queue: the plans of some depend on it.
async fn analyze(url: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute("VACUUM ANALYZE").await?;
    Ok(connection.close().await?)
}

/// The figure is taken by then, and the database is dropped by force: a worker that does not end in time is left.
async fn close<P: Peer>(peer: P, worker: Option<P::Worker>) -> anyhow::Result<()> {
    if let Ok(closed) = tokio::time::timeout(CLOSE_TIME_MAX, peer.close(worker)).await {
        return closed.context("closing");
    }
    eprintln!("{} does not end within {} s", P::NAME, CLOSE_TIME_MAX.as_secs());
    Ok(())
}
