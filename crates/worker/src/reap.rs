use std::{sync::Arc, time::Duration};

use job::{Outcome, Transition};
use store::{Budget, ReapRequest, StoreError};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    backoff::{Backoff, at_least_of},
    metric,
    op::Op,
    settle::Ending,
    shared::{CALL_MAX, Shared, new_claim_id},
};

/// The longest time between two looks for due jobs: so late may one be noticed.
const INTERVAL: Duration = Duration::from_secs(1);
/// The shortest, however soon the next job is due.
const INTERVAL_MIN: Duration = Duration::from_millis(5);
/// The longest time between two looks for leases that have run out. Shorter, since it costs one look into one index, and a dead
/// worker's jobs are to run again within a second of their leases.
const REAP_INTERVAL: Duration = Duration::from_millis(500);
/// How soon after a takeover its settlement is written: then the job is scheduled, and maintenance learns when it is due.
const SETTLED_WITHIN: Duration = Duration::from_millis(50);
/// Most leases one call takes over, and most jobs one call moves: a store serves claims between two calls.
const BATCH_MAX: usize = 500;
/// Most calls of each in one pass; what is left is for the next pass, which then follows at once.
const ROUNDS_MAX: usize = 20;

/// How long after an outage nothing is reaped. Every lease may have run out meanwhile, and the workers that hold them are
/// alive: within twice the longest wait between two tries they have renewed, settled or released what is theirs.
const OUTAGE_GRACE: Duration = Duration::from_secs(10);

/// Makes due jobs ready and takes over leases that have run out, until the worker stops. Every worker does so for all
/// queues of its store: the store sees to it that no lease is taken over twice.
pub(crate) async fn run(shared: Arc<Shared>, settlements: mpsc::Sender<Ending>) {
    let mut backoff = Backoff::new();
    let mut when = When { maintain: Instant::now(), reap: Some(Instant::now()) };
    while !shared.stop.is_cancelled() {
        let pass = shared.abandon.run_until_cancelled(pass(&shared, &settlements, &mut when)).await;
        let wait = match pass {
            None => return,
            Some(Ok(())) => {
                backoff = Backoff::new();
                let next = when.maintain.saturating_duration_since(Instant::now());
                next.min(at_least_of(0.75, REAP_INTERVAL)).max(INTERVAL_MIN)
            }
            Some(Err(_)) => {
                when = When { maintain: Instant::now(), reap: None };
                backoff.next()
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = shared.due.notified() => when.maintain = Instant::now(),
            () = shared.stop.cancelled() => {}
        }
    }
}

/// From when on there is something to do.
struct When {
    maintain: Instant,
    /// `None` while the store is away.
    reap: Option<Instant>,
}

async fn pass(shared: &Shared, settlements: &mpsc::Sender<Ending>, when: &mut When) -> Result<(), StoreError> {
    if when.maintain <= Instant::now() {
        let next = maintain(shared).await?.unwrap_or(INTERVAL);
        when.maintain = Instant::now() + at_least_of(0.75, INTERVAL).min(next);
    }
    if *when.reap.get_or_insert_with(|| Instant::now() + OUTAGE_GRACE) <= Instant::now()
        && let Some(retried_in) = reap(shared, settlements).await?
    {
        when.maintain = when.maintain.min(Instant::now() + retried_in + SETTLED_WITHIN);
    }
    Ok(())
}

/// Settles each expired lease as a crash; how soon the first of the jobs is tried again. A reaper that dies before its settlement
/// charges nothing: its own lease runs out and is taken over in turn.
async fn reap(shared: &Shared, settlements: &mpsc::Sender<Ending>) -> Result<Option<Duration>, StoreError> {
    let mut first = None;
    for _ in 0..ROUNDS_MAX {
        let request = ReapRequest {
            id: new_claim_id(),
            worker: shared.options.worker.clone(),
            lease: shared.options.lease,
            max: BATCH_MAX,
        };
        let until = Instant::now() + request.lease;
        let expired = shared.call(Op::Reap, CALL_MAX, shared.store.reap(&request)).await?;
        let is_last = expired.len() < BATCH_MAX;
        for leased in expired {
            let queue = leased.job.queue.clone();
            metric::reaped(&queue);
            let (job_id, attempt) = (leased.job.id, leased.job.attempt);
            tracing::warn!(%job_id, %queue, attempt, "a lease has run out: its worker died or lost the store");
            let crash = Outcome::Crashed { error: "the lease ran out: its worker died or lost the store".to_owned() };
            let transition = shared.decide(&leased.job, &crash);
            if let Transition::Retry { delay, .. } = transition {
                first = Some(first.map_or(delay, |first: Duration| first.min(delay)));
            }
            let held = shared.leases.hold(leased.lease, until);
            let ending = Ending { settlement: leased.settle(transition), queue, until, _held: held };
            // Without a receiver, the worker is gone.
            let _ = settlements.send(ending).await;
        }
        if is_last {
            return Ok(first);
        }
    }
    // More may be left, for a pass that follows soon.
    Ok(Some(Duration::ZERO))
}

/// Makes due jobs ready; when the next pass is wanted.
async fn maintain(shared: &Shared) -> Result<Option<Duration>, StoreError> {
    let budget = Budget { jobs_max: BATCH_MAX };
    let mut next = Some(Duration::ZERO);
    let mut readied = 0;
    for _ in 0..ROUNDS_MAX {
        let done = shared.call(Op::Maintain, CALL_MAX, shared.store.maintain(&budget)).await?;
        readied += done.fired + done.due + done.unparked + done.unthrottled;
        if !done.more {
            next = done.next_due_in;
            break;
        }
    }
    if readied > 0 {
        shared.ready.notify_one();
    }
    Ok(next)
}
