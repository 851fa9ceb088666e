use sqlx::{PgPool, Row, postgres::PgPoolOptions};

use crate::{Address, Fault};

/// The least that a queue in Postgres can be, to measure one beside: a table of jobs, worked off with `SKIP LOCKED`. No
/// limits, no turns, no leases that are renewed, no history; a job that is done is deleted.
#[derive(Debug, Clone)]
pub struct BareTable {
    pool: PgPool,
}

const CREATE: &str = include_str!("../sql/bare_create.sql");
const INSERT: &str = include_str!("../sql/bare_insert.sql");
const CLAIM: &str = include_str!("../sql/bare_claim.sql");
const SETTLE: &str = include_str!("../sql/bare_settle.sql");
const ANALYZE: &str = include_str!("../sql/bare_analyze.sql");

impl BareTable {
    /// Makes the table, in a database that has none, for so many callers at once.
    pub async fn create(address: &Address, callers: u32) -> Result<Self, Fault> {
        let pool = PgPoolOptions::new().max_connections(callers).connect_with(address.options().clone());
        let pool = pool.await.map_err(|e| Fault::connecting(address, e))?;
        sqlx::raw_sql(CREATE).execute(&pool).await.map_err(calling)?;
        Ok(Self { pool })
    }

    /// Stores so many jobs in one statement, which makes them itself: nothing but the statement goes over the wire.
    pub async fn insert(&self, jobs: u32) -> Result<(), Fault> {
        sqlx::query(INSERT).bind(i64::from(jobs)).execute(&self.pool).await.map_err(calling)?;
        Ok(())
    }

    /// Claims up to `jobs` and settles them, each in a transaction of its own; how many there were.
    pub async fn cycle(&self, jobs: u32) -> Result<usize, Fault> {
        let row = sqlx::query(CLAIM).bind(i64::from(jobs)).fetch_one(&self.pool).await.map_err(calling)?;
        let ids: Vec<i64> = row.try_get(0).map_err(calling)?;
        sqlx::query(SETTLE).bind(&ids).execute(&self.pool).await.map_err(calling)?;
        Ok(ids.len())
    }

    /// Gathers statistics, without which its statements find no good plan.
    pub async fn analyze(&self) -> Result<(), Fault> {
        sqlx::raw_sql(ANALYZE).execute(&self.pool).await.map_err(calling)?;
        Ok(())
    }

    /// Ends the connections.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

fn calling(error: sqlx::Error) -> Fault {
    Fault::calling("use the bare table", error)
}
