//! The worker: what a review job means, and what a review's fault means to the queue. [`Workshop`] is the pipeline as the
//! configuration wants it; [`work`] runs jobs through it until it is told to stop.

mod assemble;
mod handler;
mod scrape;

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context, Result};
use fleet::{Config, Environment, Fleet, ReviewJob, Shutdown};
use job::JobKind;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use worker::{Drained, Handlers, Options};

pub use assemble::Workshop;
pub use handler::ReviewHandler;

/// Works off the fleet's queues until `stop`, then drains.
pub async fn work(fleet: &Fleet, workshop: &Workshop, stop: CancellationToken) -> Result<Drained> {
    let handler = ReviewHandler::new(workshop.reviewer(), fleet.ledger.clone());
    let handlers = Handlers::default().with(JobKind::new(ReviewJob::KIND)?, Arc::new(handler));
    Ok(worker::run(fleet.queue.clone(), handlers, options(&fleet.config)?, stop).await?)
}

/// A worker process of its own. It answers `/metrics` where `worker.metrics_listen` says, while it waits for its database
/// and while it drains too.
pub async fn run(config: Config, metrics: PrometheusHandle, shutdown: Shutdown) -> Result<()> {
    fleet::install_tls();
    config.check_repositories()?;
    let _scraped = match config.worker.metrics_listen {
        Some(address) => {
            let listener = fleet::listen(address, "worker.metrics_listen").await?;
            Some(scrape::serve_metrics(listener, metrics))
        }
        None => None,
    };
    let Some(fleet) = shutdown.unless_requested(Fleet::open_for_worker(config)).await else { return Ok(()) };
    let fleet = fleet?;
    let workshop = Workshop::new(&fleet.config)?;
    tracing::info!(reviewer = fleet.config.reviewer_line(), "working");
    work(&fleet, &workshop, shutdown.token().clone()).await?;
    Ok(())
}

fn options(config: &Config) -> Result<Options> {
    let host = fleet::host_name(&Environment::of_process());
    let queues = config.queues.keys().cloned().collect();
    let options = Options {
        weights: config.worker.weights.clone(),
        concurrency: config.worker.concurrency,
        lease: config.worker.lease,
        poll_interval: config.worker.poll_interval,
        drain_grace: config.worker.drain_grace,
        retry: config.retry.policy(),
        queue_retry: HashMap::new(),
        ..Options::new(worker::worker_id(&host)?, queues)
    };
    options.validate().context("[worker] cannot be served")?;
    Ok(options)
}
