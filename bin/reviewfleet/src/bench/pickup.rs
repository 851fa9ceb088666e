use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use fleet::{Config, ReviewJob};
use job::{Job, JobKind, Outcome};
use reviewfleet_api::{Api, ApiSettings};
use secrecy::SecretString;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use worker::{Handler, Handlers, Options};

use super::{Figure, target::Target, workload::per_second};
use crate::client::Client;

/// Jobs posted one after another, each when the one before has started.
const JOBS: usize = 300;
/// A job that has not started by then never will.
const START_MAX: Duration = Duration::from_secs(10);
/// The repository of the posts; nothing reads it.
const REPOSITORY: &str = "bench/repository";

/// Notes when each job starts.
#[derive(Default)]
struct Starts {
    at: Mutex<HashMap<String, Instant>>,
    new: Notify,
}

impl Starts {
    fn take(&self, job: &str) -> Option<Instant> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).remove(job)
    }

    async fn of(&self, job: &str) -> Instant {
        loop {
            let new = self.new.notified();
            if let Some(at) = self.take(job) {
                return at;
            }
            new.await;
        }
    }
}

#[async_trait]
impl Handler for Starts {
    async fn run(&self, job: &Job, _: &worker::Context) -> Outcome {
        let now = Instant::now();
        self.at.lock().unwrap_or_else(PoisonError::into_inner).insert(job.id.to_string(), now);
        self.new.notify_one();
        Outcome::Completed
    }
}

/// From the API's answer to the start of the handler, through the running API, the store and a worker that is
/// idle. A start before the answer has been read counts as zero.
pub async fn run(target: &Target) -> Result<Vec<Figure>> {
    let place = target.place().await?;
    // The repository must be somewhere.
    let dir = tempfile::tempdir().context("no temporary folder")?;
    let key = SecretString::from(Uuid::new_v4().to_string());
    let mut config = Config::default();
    config.forge.repositories = [(REPOSITORY.parse()?, dir.path().to_owned())].into();
    config.secrets.api_keys = vec![key.clone()];
    // One user posts all, and more than a day's.
    config.tiers.values_mut().for_each(|tier| tier.daily = None);
    let settings = ApiSettings::of(&config)?;
    let fleet = place.open_with(config).await?;
    let starts = Arc::new(Starts::default());
    let stop = CancellationToken::new();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
    let api = Api { queue: fleet.queue.clone(), ledger: fleet.ledger.clone(), settings, metrics };
    let (api_config, stopped) = (fleet.config.api.clone(), stop.clone());
    let serving = tokio::spawn(async move { reviewfleet_api::run_on(listener, api, &api_config, stopped).await });
    let handlers = Handlers::default().with(JobKind::new(ReviewJob::KIND)?, starts.clone());
    let options = Options::new(worker::worker_id("bench")?, fleet.config.queues.keys().cloned().collect());
    let working = tokio::spawn(worker::run(fleet.queue.clone(), handlers, options, stop.clone()));

    let measured = measure(&Client::new(&url, key)?, &starts).await;
    stop.cancel();
    working.await??;
    serving.await??;
    drop(fleet);
    place.remove().await?;
    let (waits, took) = measured?;
    let conditions = format!("{JOBS} posts one after another, answer of the API to handler start");
    Ok(vec![Figure::new("pickup", target, per_second(JOBS, took), "jobs/s", conditions).waiting(waits)])
}

async fn measure(client: &Client, starts: &Starts) -> Result<(Vec<Duration>, Duration)> {
    let repository = REPOSITORY.parse()?;
    let begun = Instant::now();
    let mut waits = Vec::with_capacity(JOBS);
    for number in 0..JOBS {
        let head = format!("{number:040x}").parse()?;
        let job = client.post_review(&repository, &head, "bench").await?;
        let answered = Instant::now();
        let started = tokio::time::timeout(START_MAX, starts.of(&job)).await.context("a job did not start")?;
        waits.push(started.saturating_duration_since(answered));
    }
    Ok((waits, begun.elapsed()))
}
