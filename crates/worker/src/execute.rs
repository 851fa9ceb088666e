use std::{any::Any, sync::Arc, time::Duration};

use job::{Job, Outcome, Transition};
use store::LeasedJob;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinError,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::{
    Context, Handler, Handlers,
    lease::{Held, LeaseEnd},
    metric,
    settle::Ending,
    shared::Shared,
    turn::Share,
};

/// How long a handler may take to end by itself after its job was cancelled; then it is stopped.
pub const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// A claimed job on its way to its handler.
pub(crate) struct Delivery {
    pub(crate) leased: LeasedJob,
    pub(crate) held: Held,
    pub(crate) slot: Slot,
}

/// What a job holds until its settlement is handed over.
pub(crate) struct Slot {
    /// Given back before the permit, so that no more slots count as held than are taken.
    pub(crate) _share: Option<Share>,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// What executing a job needs beside the job.
pub(crate) struct Executor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) handlers: Handlers,
    pub(crate) settlements: mpsc::Sender<Ending>,
}

/// Why a handler must stop before it has ended.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Lease(LeaseEnd),
    TimedOut,
    Abandoned,
}

impl Executor {
    /// Runs a job's handler and hands over what came of it. The slot is free from then on.
    pub(crate) async fn execute(self: Arc<Self>, delivery: Delivery) {
        let Delivery { mut leased, held, slot } = delivery;
        let job = &leased.job;
        let (job_id, queue, kind) = (job.id, job.queue.clone(), &job.kind);
        let trace_parent = job.trace_parent.as_deref();
        let span = tracing::info_span!("job", %job_id, %queue, %kind, attempt = job.attempt, trace_parent);
        let ending = async {
            let outcome = self.run(&mut leased, &held).await;
            let transition = self.shared.decide(&leased.job, &outcome);
            log(&transition);
            let until = held.lease().until();
            Ending { settlement: leased.settle(transition), queue, until, _held: held }
        };
        let ending = ending.instrument(span).await;
        // Without a receiver, the worker is gone.
        let _ = self.settlements.send(ending).await;
        drop(slot);
    }

    async fn run(&self, leased: &mut LeasedJob, held: &Held) -> Outcome {
        // A job that has not started yet costs nothing to give back: when the worker stops, and when its claim was
        // answered so late that its lease has run out by this machine's clock.
        if self.shared.stop.is_cancelled() || held.lease().until() <= Instant::now() {
            return Outcome::Released;
        }
        let Some(handler) = self.handlers.get(&leased.job.kind).cloned() else {
            return self.handlers.unknown(&leased.job.kind);
        };
        let checkpoints = std::mem::take(&mut leased.checkpoints);
        let context = Context::new(self.shared.store.clone(), leased.lease, held.lease().clone(), checkpoints);
        let _running = metric::Running::start(&leased.job.queue);
        self.supervise(handler, &leased.job, context, held).await
    }

    /// Runs the handler in a task of its own: on any core, apart from the others' panics, and stopped by an abort.
    async fn supervise(&self, handler: Arc<dyn Handler>, job: &Job, context: Context, held: &Held) -> Outcome {
        let cancellation = context.cancellation().clone();
        let (job_timeout, job) = (job.timeout, job.clone());
        let attempt = async move { handler.run(&job, &context).await };
        let mut handler = AbortOnDropHandle::new(tokio::spawn(attempt.in_current_span()));
        let stop = tokio::select! {
            biased;
            ended = &mut handler => return ended.unwrap_or_else(crashed),
            end = held.lease().ended() => Stop::Lease(end),
            () = sleep(job_timeout) => Stop::TimedOut,
            () = self.shared.abandon.cancelled() => Stop::Abandoned,
        };
        cancellation.cancel();
        if let Stop::Lease(LeaseEnd::Cancelled(_)) = stop
            && let Ok(ended) = timeout(CANCEL_GRACE, &mut handler).await
        {
            return stop.outcome(ended.ok());
        }
        handler.abort();
        // Awaited before the settlement: once that is written, another attempt may start.
        let ended = handler.await;
        stop.outcome(ended.ok())
    }
}

impl Stop {
    /// How an attempt ended that was told to stop. What the handler has done to the end holds; `None` when it has not.
    fn outcome(self, ended: Option<Outcome>) -> Outcome {
        match (self, ended) {
            (_, Some(Outcome::Completed)) => Outcome::Completed,
            (Self::Lease(LeaseEnd::Cancelled(reason)), _) => Outcome::Cancelled(reason),
            (_, Some(outcome)) => outcome,
            (Self::TimedOut, None) => Outcome::TimedOut,
            // If the lease is lost, the store says so; if only its renewals failed, the job is free for others at once.
            (Self::Lease(LeaseEnd::Lost) | Self::Abandoned, None) => Outcome::Released,
        }
    }
}

/// The outcome of a handler's task that ended without one.
fn crashed(error: JoinError) -> Outcome {
    match error.try_into_panic() {
        Ok(panic) => Outcome::Crashed { error: format!("the handler panicked: {}", panic_message(panic.as_ref())) },
        // Only the runtime's own shutdown cancels a task that nobody has aborted.
        Err(_) => Outcome::Released,
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (_, Some(message)) => message,
        (None, None) => "it said nothing in words",
    }
}

fn log(transition: &Transition) {
    match transition {
        Transition::Complete => tracing::debug!("completed"),
        Transition::Retry { delay, error } => {
            tracing::warn!(error = error.message, fault = ?error.kind, delay_ms = delay.as_millis(), "failed: to be retried");
        }
        Transition::Bury { reason, error } => {
            tracing::error!(error = error.message, fault = ?error.kind, ?reason, "failed for good");
        }
        Transition::Release => tracing::info!("released unfinished"),
        Transition::Cancel(reason) => tracing::info!(?reason, "cancelled"),
    }
}
