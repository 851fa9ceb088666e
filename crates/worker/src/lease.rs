use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use job::CancelReason;
use store::{LeaseRef, Renewal};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// The leases that this worker keeps alive, each from its claim to its settlement.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<LeaseRef, Arc<Lease>>>);

/// What is known of one lease.
#[derive(Debug)]
pub(crate) struct Lease(watch::Sender<Known>);

#[derive(Debug, Clone, Copy)]
struct Known {
    /// Until when it surely runs by this machine's clock, counted from before the call that made or extended it.
    until: Instant,
    cancel: Option<CancelReason>,
    lost: bool,
}

/// Why a handler must stop on its lease's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// Another worker may have the job already.
    Lost,
    /// The job is to stop; the lease still runs.
    Cancelled(CancelReason),
}

impl Leases {
    /// Has a lease renewed until the answer is dropped.
    pub(crate) fn hold(self: &Arc<Self>, of: LeaseRef, until: Instant) -> Held {
        let lease = Arc::new(Lease(watch::Sender::new(Known { until, cancel: None, lost: false })));
        self.lock().insert(of, lease.clone());
        Held { leases: self.clone(), of, lease }
    }

    /// All that are held.
    pub(crate) fn list(&self) -> Vec<LeaseRef> {
        self.lock().keys().copied().collect()
    }

    /// Takes in the store's answer to a renewal. A lease whose attempt has ended may be answered as lost because it is
    /// settled already; nobody listens to it then.
    pub(crate) fn answered(&self, of: &LeaseRef, answer: Renewal, until: Instant) {
        let Some(lease) = self.lock().get(of).cloned() else { return };
        lease.0.send_modify(|known| match answer {
            Renewal::Extended => known.until = until,
            Renewal::CancelRequested(reason) => (known.until, known.cancel) = (until, Some(reason)),
            Renewal::LeaseLost => known.lost = true,
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseRef, Arc<Lease>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Resolves once the handler must stop. No renewal needs to answer for that: a lease that is not extended runs out.
    pub(crate) async fn ended(&self) -> LeaseEnd {
        let mut known = self.0.subscribe();
        loop {
            let Known { until, cancel, lost } = *known.borrow_and_update();
            if lost || until <= Instant::now() {
                return LeaseEnd::Lost;
            }
            if let Some(reason) = cancel {
                return LeaseEnd::Cancelled(reason);
            }
            tokio::select! {
                // The sender is `self`: it cannot be gone.
                _ = known.changed() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    pub(crate) fn lose(&self) {
        self.0.send_modify(|known| known.lost = true);
    }

    pub(crate) fn until(&self) -> Instant {
        self.0.borrow().until
    }
}

/// Has a lease renewed while it exists.
#[derive(Debug)]
pub(crate) struct Held {
    leases: Arc<Leases>,
    of: LeaseRef,
    lease: Arc<Lease>,
}

impl Held {
    pub(crate) const fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.of);
    }
}
