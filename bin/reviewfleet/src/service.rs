use std::sync::Arc;

use anyhow::{Context, Result};
use fleet::{Config, Fleet};
use metrics_exporter_prometheus::PrometheusHandle;
use review::{CommitId, IndexFacts, RepositoryName};
use reviewfleet_api::{Api, ApiSettings};
use reviewfleet_worker::Workshop;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// API and workers in one process.
pub struct Service {
    url: String,
    workshop: Arc<Workshop>,
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
}

impl Service {
    /// Binds the address, opens the stores and starts so many workers.
    pub async fn start(config: Config, metrics: PrometheusHandle, workers: usize) -> Result<Self> {
        let address = config.api.listen;
        // Before the stores, so that a port in use leaves nothing behind.
        let listener = fleet::listen(address, "api.listen").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let settings = ApiSettings::of(&config)?;
        let fleet = Fleet::open(config).await?;
        let workshop = Arc::new(Workshop::new(&fleet.config)?);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let api = Api { queue: fleet.queue.clone(), ledger: fleet.ledger.clone(), settings, metrics };
        tasks.spawn(serve(api, listener, fleet.config.clone(), stop.clone()));
        for _ in 0..workers {
            tasks.spawn(work(fleet.clone(), workshop.clone(), stop.clone()));
        }
        Ok(Self { url, workshop, stop, tasks })
    }

    /// Where the API is found.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the index of a repository, telling of files done and files in all.
    pub async fn index(
        &self,
        repository: &RepositoryName,
        at: &CommitId,
        progress: impl Fn(usize, usize) + Send + Sync,
    ) -> Result<IndexFacts> {
        Ok(self.workshop.index(repository, at, &progress).await?)
    }

    /// Waits for a part to end, which none does by itself but by a fault.
    pub async fn failed(&mut self) -> Result<()> {
        match self.tasks.join_next().await {
            Some(ended) => ended.context("a part of the service panicked")?,
            None => Ok(()),
        }
    }

    /// Stops taking requests and jobs, lets what runs come to its end within the configured grace, and waits for all.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a part of the service panicked")??;
        }
        Ok(())
    }
}

async fn serve(api: Api, listener: TcpListener, config: Arc<Config>, stop: CancellationToken) -> Result<()> {
    reviewfleet_api::run_on(listener, api, &config.api, stop).await
}

async fn work(fleet: Fleet, workshop: Arc<Workshop>, stop: CancellationToken) -> Result<()> {
    reviewfleet_worker::work(&fleet, &workshop, stop).await?;
    Ok(())
}
