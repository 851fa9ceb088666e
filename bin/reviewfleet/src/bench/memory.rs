use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use fleet::{Config, Fleet};
use job::{Job, Outcome, Payload};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use worker::{Handler, Handlers, Options};

use super::{
    Figure,
    target::Target,
    workload::{KEY_LIMIT, Workload, keys, open},
};
use crate::output::Output;

/// Jobs that the worker holds at once: the most slots that one may have. As many keys, so that no limit holds them back.
const JOBS: usize = 10_000;
/// Bytes of a job's payload.
const PAYLOAD_BYTES: usize = 300;
/// Long enough for a renewal of all leases, which may need memory too.
const HELD: Duration = Duration::from_secs(6);
/// The longest that the worker may take to lease them all.
const DEADLINE: Duration = Duration::from_mins(2);

/// A job that waits until its worker ends.
#[derive(Default)]
struct Waits {
    started: AtomicUsize,
    all: Notify,
}

#[async_trait]
impl Handler for Waits {
    async fn run(&self, _: &Job, _: &worker::Context) -> Outcome {
        if self.started.fetch_add(1, Ordering::SeqCst) + 1 == JOBS {
            self.all.notify_one();
        }
        std::future::pending().await
    }
}

/// The most memory that a worker process has had with all its slots in use, as the kernel counts it.
pub async fn run(target: &Target, out: &Output) -> Result<Vec<Figure>> {
    let place = target.place().await?;
    let fleets = open(&place, 1).await?;
    let store = fleets[0].queue.as_ref();
    let payload = format!("\"{}\"", "x".repeat(PAYLOAD_BYTES - 2));
    let mut work = Workload::define(store, KEY_LIMIT).await?;
    work.payload = Payload::parse(payload)?;
    let bar = out.progress("filling", 0);
    work.fill(store, JOBS, &keys("user", JOBS)?, None, &bar).await?;
    bar.finish_and_clear();
    drop(fleets);
    let mut worker = Command::new(std::env::current_exe()?);
    place.name_to(&mut worker)?;
    worker.args(["bench", "--hold"]).env("RUST_LOG", "error").stdin(Stdio::null()).stderr(Stdio::inherit());
    let ended = tokio::task::spawn_blocking(move || worker.output()).await?.context("no worker process")?;
    ensure!(ended.status.success(), "the worker process ended with {}", ended.status);
    let kib: u32 = String::from_utf8(ended.stdout)?.trim().parse().context("the worker process tells no memory")?;
    place.remove().await?;
    let conditions = format!(
        "most resident memory of a worker process with {JOBS} slots, all {JOBS} jobs leased, payloads of {PAYLOAD_BYTES} \
         bytes, handlers that wait"
    );
    Ok(vec![Figure::new("memory", target, f64::from(kib) / 1024.0, "MB", conditions)])
}

/// The worker process: leases all jobs, and tells the most KiB that it has had.
pub async fn hold(config: Config, out: &mut Output) -> Result<()> {
    let fleet = Fleet::open_for_worker(config).await?;
    let work = Workload::define(fleet.queue.as_ref(), KEY_LIMIT).await?;
    let waits = Arc::new(Waits::default());
    let handlers = Handlers::default().with(work.kind.clone(), waits.clone());
    let options = Options { concurrency: JOBS, ..Options::new(worker::worker_id("bench")?, vec![work.queue]) };
    let working = tokio::spawn(worker::run(fleet.queue.clone(), handlers, options, CancellationToken::new()));
    timeout(DEADLINE, waits.all.notified()).await.context("the jobs are not leased")?;
    sleep(HELD).await;
    let status = std::fs::read_to_string("/proc/self/status").context("the kernel tells no memory")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel tells no peak")?;
    out.line(format_args!("{}", peak.trim().trim_end_matches(" kB")))?;
    // What it holds goes with the store.
    working.abort();
    Ok(())
}
