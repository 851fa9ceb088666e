use apalis::prelude::{BackendExt, BoxDynError, Data, IntervalStrategy, TaskSink, WorkerBuilder, WorkerContext};
use apalis_postgres::{Config, PgPool, PostgresStorage};
use sqlx::Executor;
use tokio::task::JoinHandle;

use super::{POLL, connect};
use crate::payload::Payload;
use crate::peer::{Handled, Peer, Tuning};
use crate::scenario::Scenario;

const QUEUE: &str = "bench";

async fn handle(_: Payload, handled: Data<Handled>) -> Result<(), BoxDynError> {
    handled.one_more();
    Ok(())
}

/// The queue of the crate `apalis-postgres`.
pub struct Apalis {
    pool: PgPool,
    storage: PostgresStorage<Payload>,
}

impl Peer for Apalis {
    const NAME: &'static str = "apalis-postgres";
    const TUNING: Tuning = Tuning { handlers: 0, batch: 2_000, claimers: 4 };
    type Worker = Vec<(WorkerContext, JoinHandle<anyhow::Result<()>>)>;

    fn conditions(scenario: Scenario, tuning: Tuning) -> String {
        match scenario {
            Scenario::EnqueueSingle => "push, 16 clients".to_owned(),
            Scenario::EnqueueBatch => "push_bulk of 500, 4 clients".to_owned(),
            Scenario::Drain | Scenario::ClaimBacklog => format!(
                "workers {} in one process, batch_size {}, lock_tasks off as in its own example; no limits per key; a settled \
                 job's row is kept; loaded by SQL without its trigger",
                tuning.claimers, tuning.batch
            ),
        }
    }

    async fn open(url: &str, tuning: Tuning) -> anyhow::Result<Self> {
        let pool = connect(url).await?;
        PostgresStorage::setup(&pool).await?;
        let config = Config::default().queue(QUEUE).batch_size(tuning.batch).lock_tasks(false);
        let storage = PostgresStorage::new(&pool).with_config(config);
        Ok(Self { pool, storage })
    }

    async fn enqueue_one(&self) -> anyhow::Result<()> {
        self.storage.clone().push(Payload::new()).await?;
        Ok(())
    }

    async fn enqueue_batch(&self, jobs: usize) -> anyhow::Result<()> {
        self.storage.clone().push_bulk(vec![Payload::new(); jobs]).await?;
        Ok(())
    }

    async fn load(&self, ready: u32, scheduled: u32) -> anyhow::Result<()> {
        let mut connection = self.pool.acquire().await?;
        // One notification a row would take longer than the rows, and no worker listens yet.
        connection.execute("ALTER TABLE apalis.jobs DISABLE TRIGGER USER").await?;
        for (begin, jobs, delay) in [(0, ready, "-1 second"), (ready, scheduled, "1 day")] {
            // Its ids are ULIDs, which rise with time; these rise likewise.
            sqlx::query(
                "INSERT INTO apalis.jobs (id, job_type, job, run_at)
                 SELECT '01' || upper(lpad(to_hex(nth), 24, '0')), $1, convert_to($2, 'UTF8'), now() + $3::interval
                 FROM generate_series($4, $4 + $5 - 1) AS nth",
            )
            .bind(QUEUE)
            .bind(Payload::json())
            .bind(delay)
            .bind(i64::from(begin))
            .bind(i64::from(jobs))
            .execute(&mut *connection)
            .await?;
        }
        connection.execute("ALTER TABLE apalis.jobs ENABLE TRIGGER USER").await?;
        Ok(())
    }

    async fn start(&self, tuning: Tuning, handled: Handled) -> anyhow::Result<Self::Worker> {
        let mut running = Vec::new();
        for nth in 1..=tuning.claimers {
            let context = WorkerContext::new(&format!("bench-{nth}"));
            let backend = self.storage.clone().poll_with_strategy(IntervalStrategy::new(POLL));
            let worker = WorkerBuilder::new(&context).backend(backend).data(handled.clone()).build(handle);
            running.push((context, tokio::spawn(async move { Ok(worker.run().await?) })));
        }
        Ok(running)
    }

    async fn settled(&self, _loaded: u64) -> anyhow::Result<u64> {
        let done: i64 =
            sqlx::query_scalar("SELECT count(*) FROM apalis.jobs WHERE status = 'Done'").fetch_one(&self.pool).await?;
        Ok(done.unsigned_abs())
    }

    async fn close(self, worker: Option<Self::Worker>) -> anyhow::Result<()> {
        for (context, running) in worker.unwrap_or_default() {
            context.stop()?;
            running.await??;
        }
        self.pool.close().await;
        Ok(())
    }
}
