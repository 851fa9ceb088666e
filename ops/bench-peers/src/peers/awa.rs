use std::time::Duration;

use awa::model::insert::params_with;
use awa::{Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig, QueueStorage, QueueStorageConfig};
use sqlx_of_awa::PgPool;
use sqlx_of_awa::postgres::PgPoolOptions;

use super::{CONNECTIONS, GRACE, LOAD_CHUNK, POLL};
use crate::payload::Payload;
use crate::peer::{Handled, Peer, Tuning};
use crate::scenario::Scenario;

const QUEUE: &str = "default";
/// The cadence that its own client has by default.
const ROTATION: Duration = Duration::from_secs(1);

impl JobArgs for Payload {
    fn kind() -> &'static str {
        "bench"
    }
}

/// The queue of the crate `awa`.
pub struct Awa {
    pool: PgPool,
    store: QueueStorage,
}

impl Awa {
    fn batch(jobs: usize) -> anyhow::Result<Vec<InsertParams>> {
        let job = params_with(&Payload::new(), InsertOpts { queue: QUEUE.to_owned(), ..InsertOpts::default() })?;
        Ok(vec![job; jobs])
    }
}

impl Peer for Awa {
    const NAME: &'static str = "awa";
    const TUNING: Tuning = Tuning { handlers: 1_000, batch: 512, claimers: 1 };
    type Worker = Client;

    fn conditions(scenario: Scenario, tuning: Tuning) -> String {
        match scenario {
            Scenario::EnqueueSingle => "insert_with, 16 clients".to_owned(),
            Scenario::EnqueueBatch => "QueueStorage::enqueue_params_copy of 500, 4 clients".to_owned(),
            Scenario::Drain | Scenario::ClaimBacklog => format!(
                "max_workers {}, claimers {}, claim_batch_size {}, no deadline a job (its compact receipts); no limits per key; a settled job's \
                 row is kept until its segment rotates out; ready jobs loaded by its COPY API, scheduled by SQL",
                tuning.handlers, tuning.claimers, tuning.batch
            ),
        }
    }

    async fn open(url: &str, _tuning: Tuning) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
        awa::migrations::run(&pool).await?;
        let store = QueueStorage::new(QueueStorageConfig::default())?;
        store.install(&pool).await?;
        Ok(Self { pool, store })
    }

    async fn enqueue_one(&self) -> anyhow::Result<()> {
        let options = InsertOpts { queue: QUEUE.to_owned(), ..InsertOpts::default() };
        awa::insert_with(&self.pool, &Payload::new(), options).await?;
        Ok(())
    }

    async fn enqueue_batch(&self, jobs: usize) -> anyhow::Result<()> {
        self.store.enqueue_params_copy(&self.pool, &Self::batch(jobs)?).await?;
        Ok(())
    }

    async fn load(&self, ready: u32, scheduled: u32) -> anyhow::Result<()> {
        for begin in (0..ready).step_by(LOAD_CHUNK as usize) {
            let jobs = Self::batch(LOAD_CHUNK.min(ready - begin) as usize)?;
            self.store.enqueue_params_copy(&self.pool, &jobs).await?;
        }
        sqlx_of_awa::query(
            "INSERT INTO awa.deferred_jobs (job_id, kind, queue, args, state, priority, run_at, payload)
             SELECT nextval('awa.job_id_seq'), $1, $2, $3::jsonb, 'scheduled', 2, now() + interval '1 day', '{}'
             FROM generate_series(1, $4)",
        )
        .bind(Payload::kind())
        .bind(QUEUE)
        .bind(Payload::json())
        .bind(i64::from(scheduled))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn start(&self, tuning: Tuning, handled: Handled) -> anyhow::Result<Self::Worker> {
        let queue = QueueConfig {
            max_workers: u32::try_from(tuning.handlers)?,
            poll_interval: POLL,
            deadline_duration: Duration::ZERO,
            claimers: tuning.claimers,
            claim_batch_size: tuning.batch,
            ..QueueConfig::default()
        };
        let client = Client::builder(self.pool.clone())
            .queue(QUEUE, queue)
            .queue_storage(QueueStorageConfig::default(), ROTATION, ROTATION)
            .register::<Payload, _, _>(move |_, _| {
                handled.one_more();
                std::future::ready(Ok(JobResult::Completed))
            })
            .build()?;
        client.start().await?;
        Ok(client)
    }

    async fn settled(&self, _loaded: u64) -> anyhow::Result<u64> {
        Ok(self.store.queue_counts(&self.pool, QUEUE).await?.terminal.unsigned_abs())
    }

    async fn close(self, worker: Option<Self::Worker>) -> anyhow::Result<()> {
        if let Some(client) = worker {
            client.shutdown(GRACE).await;
        }
        self.pool.close().await;
        Ok(())
    }
}
