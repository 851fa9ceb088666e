use std::sync::Arc;

use futures_util::future::BoxFuture;
use job::QueueName;
use store::QueueBackend;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    Handlers, Options, OptionsError, apalis, claim, execute::Executor, metric, reap, renew, settle, shared::Shared,
};

/// What a worker has settled in its life, reaped jobs included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Done.
    pub completed: u64,
    /// Failed, and to be tried again.
    pub retried: u64,
    /// Failed for good.
    pub dead: u64,
    /// Given back unfinished.
    pub released: u64,
    /// Stopped on request.
    pub cancelled: u64,
    /// Settled too late: another attempt had the job.
    pub leases_lost: u64,
    /// Never settled, because the store was away or refused: those jobs run again once their leases have run out.
    pub unsettled: u64,
}

/// Why a worker does not work.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It cannot work with these options.
    #[error("the worker's options cannot be used")]
    Options(#[from] OptionsError),
    /// A part of the runtime has failed: a fault of this program. What it held comes back when the leases run out.
    #[error("the worker has failed")]
    Runtime(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Works until `stop` is cancelled and all that was claimed is settled.
///
/// At the stop no further job is claimed, those that have not started are released, and the running ones have
/// `drain_grace` to end, their leases renewed and their cancellations heard; what runs then is stopped and released. No
/// release costs an attempt. Settlements are tried as long as their leases run. A caller that wants to end sooner drops
/// the future: the handlers stop at once, and their jobs come back when the leases run out.
///
/// A store that is away does not end the worker: it tries again, ever more seldom, up to a few seconds apart.
// Compiled here, once and optimized: an `async fn` is compiled again in each crate that awaits it.
#[inline(never)]
pub fn run(
    store: Arc<dyn QueueBackend>,
    handlers: Handlers,
    options: Options,
    stop: CancellationToken,
) -> BoxFuture<'static, Result<Drained, RunError>> {
    Box::pin(work(store, handlers, options, stop))
}

async fn work(
    store: Arc<dyn QueueBackend>,
    handlers: Handlers,
    options: Options,
    stop: CancellationToken,
) -> Result<Drained, RunError> {
    options.validate()?;
    metric::describe(&options.queues);
    let (id, concurrency) = (options.worker.clone(), options.concurrency);
    let queues: Vec<_> = options.queues.iter().map(QueueName::as_str).collect();
    tracing::info!(worker = %id, concurrency, ?queues, "the worker starts");
    // A child, so that a failing runtime can stop the rest of this worker and nothing of the caller's.
    let shared = Arc::new(Shared::new(store, options, stop.child_token()));

    // Rooms for as many as there are slots: a store that is away fills them, and then the slots stay taken.
    let (settlements, endings) = mpsc::channel(concurrency);
    let (deliver, deliveries) = mpsc::channel(concurrency);
    let settler = spawn(&shared, settle::run(shared.clone(), endings));
    let renewer = spawn(&shared, renew::run(shared.clone()));
    let reaper = spawn(&shared, reap::run(shared.clone(), settlements.clone()));
    let claimer = spawn(&shared, claim::run(shared.clone(), deliver));
    let _drain = spawn(&shared, abandon_after_grace(shared.clone()));

    let executor = Arc::new(Executor { shared: shared.clone(), handlers, settlements });
    let work = apalis::run(id.as_str(), deliveries, move |delivery| executor.clone().execute(delivery));
    let worked = work.await;
    shared.stop.cancel();
    let (takers, drained) = ([claimer.await, reaper.await], settler.await);
    renewer.abort();
    let renewals = renewer.await.or_else(|error| if error.is_cancelled() { Ok(()) } else { Err(error) });
    // All parts have ended by now, so that one that failed has kept no other from its work.
    worked.map_err(runtime)?;
    takers.into_iter().chain([renewals]).collect::<Result<(), _>>().map_err(runtime)?;
    let drained = drained.map_err(runtime)?;
    tracing::info!(worker = %id, ?drained, "the worker has drained");
    Ok(drained)
}

/// Ends the grace of a drain.
async fn abandon_after_grace(shared: Arc<Shared>) {
    shared.stop.cancelled().await;
    tracing::info!(grace = ?shared.options.drain_grace, "the worker stops: no further claims");
    sleep(shared.options.drain_grace).await;
    shared.abandon.cancel();
}

/// Spawns a part of the worker. It ends with the worker's future, should the caller drop it; and should it fail, the
/// worker stops, since a worker without it would lose its leases or leave those of others.
fn spawn<T: Send + 'static>(shared: &Shared, part: impl Future<Output = T> + Send + 'static) -> AbortOnDropHandle<T> {
    let stop = shared.stop.clone().drop_guard();
    AbortOnDropHandle::new(tokio::spawn(async move {
        let _stop = stop;
        part.await
    }))
}

fn runtime(error: impl std::error::Error + Send + Sync + 'static) -> RunError {
    RunError::Runtime(Box::new(error))
}
