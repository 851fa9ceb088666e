use std::{sync::Arc, time::Duration};

use store::SETTLE_MAX;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    backoff::{Backoff, at_least_of},
    op::Op,
    shared::{CALL_MAX, Shared},
};

/// The least time between two renewals that wake-ups bring about. A request to cancel wakes the workers and is answered
/// to a renewal, so this is how long a running job may take to hear of it; with less, the wake-ups of a busy queue
/// would have each lease written many times a second.
const CANCEL_CHECK_MIN: Duration = Duration::from_secs(1);

/// The longest time between two renewals, and so until a running job hears of its cancellation when the wake-up was lost.
const INTERVAL_MAX: Duration = Duration::from_secs(5);

/// Renews what the worker holds, at a third of the lease or earlier, so that two renewals may fail before a lease runs
/// out. Goes on until it is dropped: a drain needs it to the end.
pub(crate) async fn run(shared: Arc<Shared>) {
    let interval = (shared.options.lease / 3).min(INTERVAL_MAX);
    let mut wakeups = Some(shared.store.subscribe());
    let mut backoff = Backoff::new();
    let mut wait = interval;
    loop {
        let last = Instant::now();
        tokio::select! {
            () = sleep(wait) => {}
            () = woken(&mut wakeups, last) => {}
        }
        wait = if renew_all(&shared).await {
            backoff = Backoff::new();
            at_least_of(0.75, interval)
        } else {
            // Soon enough that several tries fall between a store's return and the end of a lease.
            backoff.next().min(interval / 4)
        };
    }
}

async fn woken(wakeups: &mut Option<watch::Receiver<()>>, last: Instant) {
    if let Some(receiver) = wakeups
        && receiver.changed().await.is_ok()
    {
        return sleep_until(last + CANCEL_CHECK_MIN).await;
    }
    *wakeups = None;
    std::future::pending::<()>().await;
}

/// One pass over all leases; whether the store answered.
async fn renew_all(shared: &Shared) -> bool {
    let leases = shared.leases.list();
    if leases.is_empty() {
        shared.faults.clear(Op::Renew.name());
    }
    let lease = shared.options.lease;
    for leases in leases.chunks(SETTLE_MAX) {
        let until = Instant::now() + lease;
        let answers = shared.call(Op::Renew, CALL_MAX.min(lease / 3), shared.store.renew(leases, lease)).await;
        let Ok(answers) = answers else { return false };
        for (of, answer) in leases.iter().zip(answers) {
            shared.leases.answered(of, answer, until);
        }
    }
    true
}
