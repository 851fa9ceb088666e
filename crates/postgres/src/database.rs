use std::time::Duration;

use sqlx::{
    PgPool, Postgres,
    postgres::{PgArguments, PgPoolOptions, PgRow},
    query::Query,
};

use crate::{Address, Fault};

/// A connection that nobody has used for so long is closed, so that a quiet process leaves the server to others.
const IDLE: Duration = Duration::from_secs(30);
/// How long a call waits for a connection: less than a caller of the API waits for its answer.
const ACQUIRE: Duration = Duration::from_secs(2);

/// How many connections, and through what.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Most connections at once, at least 1.
    pub connections_max: u32,
    /// Whether a pooler in transaction mode stands between, as `PgBouncer`: two statements need not meet the same server
    /// process, so that nothing may be prepared. Costs two round trips a call.
    pub transaction_pooler: bool,
}

/// A bounded pool of connections. Clones share it.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    transaction_pooler: bool,
}

impl Database {
    /// A pool that connects when it is first asked to. Fails for nothing but what each call may fail for.
    pub fn new(address: &Address, options: PoolOptions) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(options.connections_max.max(1))
            .acquire_timeout(ACQUIRE)
            .idle_timeout(IDLE)
            .connect_lazy_with(address.options().clone());
        Self { pool, transaction_pooler: options.transaction_pooler }
    }

    /// The connections of another part of the process, which has bounded them.
    pub const fn over(pool: PgPool, transaction_pooler: bool) -> Self {
        Self { pool, transaction_pooler }
    }

    /// Runs one statement, which is a transaction of its own, and answers its rows.
    pub async fn rows(&self, what: &'static str, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, Fault> {
        let fault = |e| Fault::calling(what, e);
        if !self.transaction_pooler {
            return query.fetch_all(&self.pool).await.map_err(fault);
        }
        // A statement is parsed and run in two steps, which only a transaction keeps on one server process.
        let mut tx = self.pool.begin().await.map_err(fault)?;
        let rows = query.persistent(false).fetch_all(&mut *tx).await.map_err(fault)?;
        tx.commit().await.map_err(fault)?;
        Ok(rows)
    }

    /// Ends the connections, once the calls under way are answered.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
