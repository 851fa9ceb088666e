//! Measures the queue on this machine: `cycle [WAITING] [SECONDS] [WORKERS] [BATCH] [DIRECTORY]`.
//!
//! Stores jobs of 1,000 keys with a limit of 50 until WAITING wait, then claims and completes batches of BATCH from
//! WORKERS tasks for SECONDS or until all are done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use job::{
    ClaimId, Concurrency, ConcurrencyKey, JobId, JobKind, LimitClass, Payload, Priority, QueueName, Transition, Weight,
    WorkerId,
};
use store::{ClaimRequest, LimitTarget, NewJob, QueueAdmin, QueueStore};
use store_sqlite::{Options, SqliteQueue};
use uuid::Uuid;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const KEYS: u64 = 1_000;
const LIMIT: u32 = 50;
const ENQUEUE_BATCH: u64 = 2_000;

fn argument(at: usize, default: u64) -> u64 {
    std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn new_job(number: u64) -> Result<NewJob, Failure> {
    let key = ConcurrencyKey::new(format!("user:{}", number % KEYS))?;
    Ok(NewJob {
        id: JobId::from(Uuid::now_v7()),
        queue: QueueName::new("review")?,
        kind: JobKind::new("review")?,
        payload: Payload::parse(format!(
            r#"{{"repository":"acme/widgets","pull":{number},"head":"0123456789abcdef"}}"#
        ))?,
        priority: Priority(0),
        weight: Weight::ONE,
        concurrency: Some(Concurrency { key, class: LimitClass::new("user")? }),
        unique: None,
        supersede: None,
        run_at: None,
        max_attempts: 4,
        timeout: Duration::from_mins(10),
        trace_parent: None,
    })
}

#[expect(clippy::print_stdout, reason = "the figures are the program's output")]
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (waiting, seconds) = (argument(1, 100_000), argument(2, 8));
    let (workers, batch) = (argument(3, 2), usize::try_from(argument(4, 100))?);
    let base = std::env::args().nth(5).unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::tempdir_in(base)?;
    let queue = Arc::new(SqliteQueue::open(dir.path().join("queue.db"), Options::default()).await?);
    let name = QueueName::new("review")?;
    queue.define_queue(&name, None).await?;
    queue.set_limit(&LimitTarget::Class(name.clone(), LimitClass::new("user")?), Some(LIMIT)).await?;

    let (start, cpu) = (Instant::now(), cpu_seconds());
    for first in (0..waiting).step_by(usize::try_from(ENQUEUE_BATCH)?) {
        let jobs: Vec<NewJob> = (first..(first + ENQUEUE_BATCH).min(waiting)).map(new_job).collect::<Result<_, _>>()?;
        queue.enqueue(&jobs).await?;
    }
    report("enqueued", waiting, start.elapsed(), cpu);

    let (done, stalls) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let deadline = start + Duration::from_secs(seconds);
    let tasks = (0..workers).map(|number| {
        let (queue, done, stalls, name) = (queue.clone(), done.clone(), stalls.clone(), name.clone());
        tokio::spawn(async move {
            let worker = WorkerId::new(format!("worker-{number}"))?;
            let mut times = (Duration::ZERO, Duration::ZERO);
            while Instant::now() < deadline {
                let request = ClaimRequest {
                    id: ClaimId::from(Uuid::now_v7()),
                    queues: vec![name.clone()],
                    max: batch,
                    worker: worker.clone(),
                    lease: Duration::from_secs(30),
                };
                let before = Instant::now();
                let claimed = queue.claim(&request).await?;
                times.0 += before.elapsed();
                if claimed.jobs.is_empty() {
                    stalls.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                let settlements: Vec<_> =
                    claimed.jobs.into_iter().map(|leased| leased.settle(Transition::Complete)).collect();
                let before = Instant::now();
                queue.settle(&settlements).await?;
                times.1 += before.elapsed();
                done.fetch_add(settlements.len() as u64, Ordering::Relaxed);
            }
            Ok::<_, Failure>(times)
        })
    });
    let mut times = (Duration::ZERO, Duration::ZERO);
    for task in tasks.collect::<Vec<_>>() {
        let (claims, settlements) = task.await??;
        times = (times.0 + claims, times.1 + settlements);
    }
    let done = done.load(Ordering::Relaxed);
    report("claimed and settled", done, start.elapsed(), cpu);
    println!("waited for claims {:.2?}, for settlements {:.2?}", times.0, times.1);
    println!("empty claims {}, left {:?}", stalls.load(Ordering::Relaxed), queue.stats().await?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are the program's output")]
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
fn report(what: &str, jobs: u64, took: Duration, cpu_before: Option<f64>) {
    print!("{what} {jobs} jobs in {took:.2?}: {:.0} a second", jobs as f64 / took.as_secs_f64());
    if let (Some(before), Some(after)) = (cpu_before, cpu_seconds()) {
        print!(", {:.1} us of processor time each", (after - before) * 1e6 / jobs as f64);
    }
    println!();
}

/// Processor time of this process so far, where the system tells it: on a busy machine the better figure.
fn cpu_seconds() -> Option<f64> {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
    Some((user + system) / TICKS_A_SECOND)
}
