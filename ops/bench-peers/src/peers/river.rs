use std::time::Duration;

use riverqueue::migrate::PostgresMigrator;
use riverqueue::{Client, Job, JobArgs, QueueConfig, RunHandle, WorkContext, WorkOutcome, Workers};
use sqlx::PgPool;

use super::{GRACE, POLL, connect};
use crate::payload::Payload;
use crate::peer::{Handled, Peer, Tuning};
use crate::scenario::Scenario;

const QUEUE: &str = "default";
/// The least it allows; its default of 100 ms bounds what a worker of few handlers can do.
const FETCH_COOLDOWN: Duration = Duration::from_millis(1);

impl JobArgs for Payload {
    const KIND: &'static str = "bench";
}

/// The queue of the crate `riverqueue`.
pub struct River {
    pool: PgPool,
    inserter: Client,
}

impl Peer for River {
    const NAME: &'static str = "riverqueue";
    const TUNING: Tuning = Tuning { handlers: 2_000, batch: 0, claimers: 1 };
    type Worker = Vec<RunHandle>;

    fn conditions(scenario: Scenario, tuning: Tuning) -> String {
        match scenario {
            Scenario::EnqueueSingle => "insert, 16 clients".to_owned(),
            Scenario::EnqueueBatch => "insert_many of 500, 4 clients".to_owned(),
            Scenario::Drain | Scenario::ClaimBacklog => format!(
                "clients {}, max_workers {}, fetch cooldown {} ms; no limits per key; a settled job's row is kept; loaded by SQL",
                tuning.claimers,
                tuning.handlers,
                FETCH_COOLDOWN.as_millis()
            ),
        }
    }

    async fn open(url: &str, _tuning: Tuning) -> anyhow::Result<Self> {
        let pool = connect(url).await?;
        PostgresMigrator::new(pool.clone()).migrate_up().await?;
        let inserter = Client::builder(pool.clone()).allow_unregistered_job_kinds().build()?;
        Ok(Self { pool, inserter })
    }

    async fn enqueue_one(&self) -> anyhow::Result<()> {
        self.inserter.insert(Payload::new()).await?;
        Ok(())
    }

    async fn enqueue_batch(&self, jobs: usize) -> anyhow::Result<()> {
        self.inserter.insert_many((0..jobs).map(|_| Payload::new())).await?;
        Ok(())
    }

    async fn load(&self, ready: u32, scheduled: u32) -> anyhow::Result<()> {
        for (jobs, state, delay) in [(ready, "available", "0"), (scheduled, "scheduled", "1 day")] {
            sqlx::query(
                "INSERT INTO river_job (args, kind, max_attempts, queue, state, scheduled_at)
                 SELECT $1::jsonb, $2, 25, $3, $4::river_job_state, now() + $5::interval FROM generate_series(1, $6)",
            )
            .bind(Payload::json())
            .bind(Payload::KIND)
            .bind(QUEUE)
            .bind(state)
            .bind(delay)
            .bind(i64::from(jobs))
            .execute(&self.pool)
            .await?;
        }
        Ok(())
    }

    async fn start(&self, tuning: Tuning, handled: Handled) -> anyhow::Result<Self::Worker> {
        let mut running = Vec::new();
        for _ in 0..tuning.claimers {
            let handled = handled.clone();
            let mut workers = Workers::new();
            workers.add_fn(move |_: WorkContext, _: Job<Payload>| {
                handled.one_more();
                std::future::ready(Ok::<_, riverqueue::BoxError>(WorkOutcome::Complete))
            })?;
            let queue = QueueConfig::new(tuning.handlers).with_fetch_poll_interval(POLL);
            let client = Client::builder(self.pool.clone())
                .workers(workers)
                .queue(QUEUE, queue)
                .fetch_cooldown(FETCH_COOLDOWN)
                .soft_stop_timeout(GRACE)
                .build()?;
            running.push(client.start()?);
        }
        Ok(running)
    }

    async fn settled(&self, _loaded: u64) -> anyhow::Result<u64> {
        let done: i64 =
            sqlx::query_scalar("SELECT count(*) FROM river_job WHERE state = 'completed' AND finalized_at IS NOT NULL")
                .fetch_one(&self.pool)
                .await?;
        Ok(done.unsigned_abs())
    }

    async fn close(self, worker: Option<Self::Worker>) -> anyhow::Result<()> {
        for mut running in worker.unwrap_or_default() {
            running.stop().await?;
        }
        self.pool.close().await;
        Ok(())
    }
}
