use std::{
    convert::Infallible,
    task::{Context, Poll, ready},
};

use apalis::prelude::{Backend, Task, TaskBuilder, WorkerBuilder, WorkerContext, WorkerError};
use apalis_core::{
    backend::{BackendConfig, finalize::Ephemeral},
    layers::Identity,
};
use tokio::sync::mpsc;

/// Runs `execute` for each delivery until the sender is gone and all that was delivered has ended.
///
/// apalis polls all of it in the calling task and spawns nothing: `execute` spawns what needs a task of its own. It
/// limits nothing either, since a delivery holds its slot already.
pub(crate) async fn run<D, F>(
    name: &str,
    deliveries: mpsc::Receiver<D>,
    execute: impl FnMut(D) -> F + Send + 'static,
) -> Result<(), WorkerError>
where
    D: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    WorkerBuilder::new(name).backend(Deliveries(deliveries)).build(execute).run().await
}

/// The queue as apalis sees it. The store's faults never reach apalis, which would end the worker on the first one; and
/// leases are renewed and settled elsewhere, since apalis does not poll a backend while it drains.
struct Deliveries<D>(mpsc::Receiver<D>);

impl<D: Send + 'static> Backend for Deliveries<D> {
    type Task = Task<D>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, worker: &WorkerContext) -> Poll<Option<Result<Task<D>, Infallible>>> {
        let delivery = ready!(self.0.poll_recv(cx));
        if delivery.is_none() {
            // An ended backend does not end a worker that nobody has stopped. The worker has started, and that is all
            // that a stop can be refused for.
            let _ = worker.stop();
        }
        Poll::Ready(delivery.map(|delivery| Ok(TaskBuilder::new(delivery).build())))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl<D> BackendConfig for Deliveries<D> {
    type Args = D;
    type Id = ();
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
