use std::{future::pending, sync::Arc, time::Duration};

use store::{CLAIM_MAX, ClaimRequest, Claimed};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    backoff::{Backoff, at_least_of},
    execute::{Delivery, Slot},
    metric,
    op::Op,
    shared::{CALL_MAX, Shared, new_claim_id},
    turn::{Turn, Turns},
};

/// How long a busy worker gathers freed slots before it claims. Slots free one by one, and without it each would be
/// claimed for by itself; with more, short jobs would wait for it.
const GATHER_MAX: Duration = Duration::from_millis(2);
/// The least time from a claim that found nothing to the next, so that a stream of wake-ups for jobs that others take
/// does not become a stream of claims.
const EMPTY_PAUSE: Duration = Duration::from_millis(2);

/// Claims jobs for free slots until the worker stops, and hands them out best first.
pub(crate) async fn run(shared: Arc<Shared>, deliveries: mpsc::Sender<Delivery>) {
    let mut this = Claimer {
        slots: Arc::new(Semaphore::new(shared.options.concurrency)),
        turns: Turns::new(shared.options.weighted_queues(), shared.options.concurrency, Instant::now()),
        wakeups: Some(shared.store.subscribe()),
        shared,
        deliveries,
    };
    while let Some(slots) = this.free_slots().await {
        // Whatever wakes the worker from here on may be about a job that this claim does not see.
        if let Some(wakeups) = &mut this.wakeups {
            wakeups.borrow_and_update();
        }
        let since = Instant::now();
        let turn = this.turns.next(slots.num_permits(), since);
        let Some(mut claimed) = this.claim(&turn).await else { return };
        let more = this.turns.answered(&turn, &claimed, Instant::now());
        let jobs = std::mem::take(&mut claimed.jobs);
        let found = jobs.len();
        // What this turn did not ask for is free again, and so there for the next.
        this.deliver(jobs, slots, since + this.shared.options.lease).await;
        if found == 0 {
            sleep_until(since + EMPTY_PAUSE).await;
        }
        if !more {
            this.idle(claimed.next_due_in).await;
        }
    }
}

struct Claimer {
    shared: Arc<Shared>,
    deliveries: mpsc::Sender<Delivery>,
    /// One permit a slot. A delivery carries its permit until its settlement is handed over.
    slots: Arc<Semaphore>,
    turns: Turns,
    /// `None` once the store sends no more: polling goes on.
    wakeups: Option<watch::Receiver<()>>,
}

impl Claimer {
    /// Takes the slots that are free, waiting for the first and, when there is little room, for some more. `None` when
    /// the worker stops.
    async fn free_slots(&self) -> Option<OwnedSemaphorePermit> {
        let mut taken = tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => return None,
            slot = self.slots.clone().acquire_owned() => slot.ok()?,
        };
        let most = self.shared.options.concurrency.min(CLAIM_MAX);
        if let more @ 1.. = permits((most / 4).saturating_sub(1))
            && let Ok(Ok(gathered)) = timeout(GATHER_MAX, self.slots.clone().acquire_many_owned(more)).await
        {
            taken.merge(gathered);
        }
        if self.shared.stop.is_cancelled() {
            return None;
        }
        // Nobody else takes slots: those that are free stay free until here.
        let rest = self.slots.available_permits().min(most - taken.num_permits());
        if let Ok(rest) = self.slots.clone().try_acquire_many_owned(permits(rest)) {
            taken.merge(rest);
        }
        Some(taken)
    }

    /// Claims, repeating the call under the same id until it is answered: the answer may have been lost after the jobs
    /// were leased. That holds at a stop too, since jobs that nobody knows of would each be charged with a crash: then
    /// `None` comes only once the drain is over, but at once where every try has surely changed nothing, as on a full disk.
    async fn claim(&self, turn: &Turn) -> Option<Claimed> {
        let options = &self.shared.options;
        let request = ClaimRequest {
            id: new_claim_id(),
            queues: turn.queues.clone(),
            max: turn.max,
            worker: options.worker.clone(),
            lease: options.lease,
        };
        let mut backoff = Backoff::new();
        let answered = async {
            let mut all_undone = true;
            loop {
                match self.shared.call(Op::Claim, CALL_MAX, self.shared.store.claim(&request)).await {
                    Ok(claimed) => return Some(claimed),
                    Err(error) => all_undone &= error.is_undone(),
                }
                if all_undone && self.shared.stop.is_cancelled() {
                    return None;
                }
                self.shared.pause(backoff.next()).await;
            }
        };
        self.shared.abandon.run_until_cancelled(answered).await.flatten()
    }

    async fn deliver(&self, jobs: Vec<store::LeasedJob>, mut slots: OwnedSemaphorePermit, until: Instant) {
        for leased in jobs {
            metric::claimed(&leased);
            let held = self.shared.leases.hold(leased.lease, until);
            let permit = match slots.split(1) {
                Some(permit) => permit,
                // The store has answered more than it was asked for: the job waits for a slot like any other.
                None => match self.slots.clone().acquire_owned().await {
                    Ok(permit) => permit,
                    Err(_) => return,
                },
            };
            let slot = Slot { _share: self.turns.hold(&leased.job.queue), _permit: permit };
            // There is room for as many deliveries as there are slots. Without a receiver, the worker is gone.
            let _ = self.deliveries.send(Delivery { leased, held, slot }).await;
        }
    }

    /// Waits for a reason to claim again: a wake-up, jobs that maintenance has made ready, or the poll interval, which
    /// alone is enough.
    async fn idle(&mut self, next_due_in: Option<Duration>) {
        let poll = at_least_of(0.75, self.shared.options.poll_interval);
        let wakeups = &mut self.wakeups;
        let woken = async {
            match wakeups {
                Some(wakeups) => wakeups.changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.shared.stop.cancelled() => {}
            () = self.shared.ready.notified() => {}
            () = announce(&self.shared.due, next_due_in) => {}
            () = sleep(poll) => {}
            woken = woken => {
                if woken.is_err() {
                    self.wakeups = None;
                }
            }
        }
    }
}

/// Tells maintenance when the next job is due. Maintenance makes it ready and says so; this never ends.
async fn announce(due: &Notify, next_due_in: Option<Duration>) {
    if let Some(wait) = next_due_in {
        sleep(wait).await;
        due.notify_one();
    }
    pending::<()>().await;
}

/// A number of permits as tokio counts them; slots are at most 10,000.
fn permits(slots: usize) -> u32 {
    u32::try_from(slots).unwrap_or(u32::MAX)
}
