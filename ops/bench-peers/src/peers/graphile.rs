use std::sync::Arc;

use anyhow::Context;
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, Worker, WorkerContext, WorkerOptions, WorkerUtils,
};
use sqlx::{Executor, PgPool};
use tokio::task::JoinHandle;

use super::{GRACE, POLL, connect};
use crate::payload::Payload;
use crate::peer::{Handled, Peer, Tuning};
use crate::scenario::Scenario;

const SCHEMA: &str = "graphile_worker";
/// Completions are written together after this; its documentation advises 1 to 5 ms.
const COMPLETION_DELAY: std::time::Duration = std::time::Duration::from_millis(5);

impl TaskHandler for Payload {
    const IDENTIFIER: &'static str = "bench";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(handled) = context.get_ext::<Handled>() {
            handled.one_more();
        }
    }
}

/// The queue of the crate `graphile_worker`.
pub struct GraphileWorker {
    pool: PgPool,
    utils: WorkerUtils,
}

impl Peer for GraphileWorker {
    const NAME: &'static str = "graphile_worker";
    const TUNING: Tuning = Tuning { handlers: 16, batch: 1_000, claimers: 2 };
    type Worker = (Arc<Worker>, JoinHandle<anyhow::Result<()>>);

    fn conditions(scenario: Scenario, tuning: Tuning) -> String {
        match scenario {
            Scenario::EnqueueSingle => "add_job, 16 clients".to_owned(),
            Scenario::EnqueueBatch => "add_jobs of 500, 4 clients".to_owned(),
            Scenario::Drain | Scenario::ClaimBacklog => format!(
                "concurrency {}, local queues {} of {} jobs, completions batched for {} ms, jobs in no named queue; no limits per key; \
                 a settled job is deleted; loaded by SQL",
                tuning.handlers,
                tuning.claimers,
                tuning.batch,
                COMPLETION_DELAY.as_millis()
            ),
        }
    }

    async fn open(url: &str, _tuning: Tuning) -> anyhow::Result<Self> {
        let pool = connect(url).await?;
        let utils = WorkerUtils::new(pool.clone(), SCHEMA);
        utils.migrate().await?;
        Ok(Self { pool, utils })
    }

    async fn enqueue_one(&self) -> anyhow::Result<()> {
        self.utils.add_job(Payload::new(), JobSpec::default()).await?;
        Ok(())
    }

    async fn enqueue_batch(&self, jobs: usize) -> anyhow::Result<()> {
        let spec = JobSpec::default();
        let jobs: Vec<_> = (0..jobs).map(|_| (Payload::new(), &spec)).collect();
        self.utils.add_jobs(&jobs).await?;
        Ok(())
    }

    async fn load(&self, ready: u32, scheduled: u32) -> anyhow::Result<()> {
        let mut connection = self.pool.acquire().await?;
        connection
            .execute("INSERT INTO graphile_worker._private_tasks (identifier) VALUES ('bench') ON CONFLICT DO NOTHING")
            .await?;
        for (jobs, delay) in [(ready, "0"), (scheduled, "1 day")] {
            sqlx::query(
                "INSERT INTO graphile_worker._private_jobs (task_id, payload, run_at)
                 SELECT t.id, $1::json, now() + $2::interval FROM graphile_worker._private_tasks t, generate_series(1, $3)
                 WHERE t.identifier = 'bench'",
            )
            .bind(Payload::json())
            .bind(delay)
            .bind(i64::from(jobs))
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }

    async fn start(&self, tuning: Tuning, handled: Handled) -> anyhow::Result<Self::Worker> {
        let queue = LocalQueueConfig::default().with_size(tuning.batch).with_queue_count(tuning.claimers.into());
        let worker = WorkerOptions::default()
            .pg_pool(self.pool.clone())
            .schema(SCHEMA)
            .concurrency(tuning.handlers)
            .poll_interval(POLL)
            .local_queue(queue)
            .complete_job_batch_delay(COMPLETION_DELAY)
            .listen_os_shutdown_signals(false)
            .shutdown_grace_period(GRACE)
            .add_extension(handled)
            .define_job::<Payload>()
            .init()
            .await?;
        let worker = Arc::new(worker);
        let running = Arc::clone(&worker);
        Ok((worker, tokio::spawn(async move { running.run().await.context("running") })))
    }

    async fn settled(&self, loaded: u64) -> anyhow::Result<u64> {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM graphile_worker._private_jobs").fetch_one(&self.pool).await?;
        Ok(loaded.saturating_sub(left.unsigned_abs()))
    }

    async fn close(self, worker: Option<Self::Worker>) -> anyhow::Result<()> {
        if let Some((worker, running)) = worker {
            worker.request_shutdown();
            running.await??;
        }
        self.pool.close().await;
        Ok(())
    }
}
