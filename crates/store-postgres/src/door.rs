use std::{sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::open::ACQUIRE_WAIT;

/// First and longest time for which a server that has refused a connection is left alone. One that is back is found within it.
const REFUSED_MIN: Duration = Duration::from_millis(250);
const REFUSED_MAX: Duration = Duration::from_secs(1);

/// Through which calls come by connections: those that are open at once, and a new one after the other.
///
/// The pool alone asks a server that takes no connections ten times in two seconds for each call that waits, which is a storm when
/// a fleet does so: each try costs the server a process, while it recovers or has no connection to spare.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pool: PgPool,
    /// Callers get it in the order in which they came, as they would get connections of the pool.
    refused: Arc<Mutex<Option<Refused>>>,
}

/// The server is left alone for a while.
#[derive(Debug, Clone, Copy)]
struct Refused {
    until: Instant,
    next: Duration,
}

impl Door {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, refused: Arc::default() }
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection, or at once none where one was refused a moment ago.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        if let Some(idle) = self.pool.try_acquire() {
            return Ok(idle);
        }
        let turn = timeout(ACQUIRE_WAIT, self.refused.lock()).await;
        let mut refused = turn.map_err(|_| sqlx::Error::PoolTimedOut)?;
        // One may have come back meanwhile.
        if let Some(idle) = self.pool.try_acquire() {
            return Ok(idle);
        }
        if refused.is_some_and(|refused| refused.until > Instant::now()) {
            return Err(sqlx::Error::PoolTimedOut);
        }
        let answer = match *refused {
            Some(_) => self.after_one_try().await,
            None => self.pool.acquire().await,
        };
        // A pool that has all its connections waits for its own callers.
        let is_full = self.pool.size() >= self.pool.options().get_max_connections();
        *refused = match &answer {
            Err(_) if !is_full => Some(refused.map_or_else(Refused::first, Refused::again)),
            _ => None,
        };
        answer
    }

    /// As the pool does, if the server takes a connection at all.
    async fn after_one_try(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let options = self.pool.connect_options();
        let tried = timeout(ACQUIRE_WAIT, PgConnection::connect_with(&options)).await;
        tried.map_err(|_| sqlx::Error::PoolTimedOut)??.close().await?;
        self.pool.acquire().await
    }
}

impl Refused {
    fn first() -> Self {
        Self { until: Instant::now() + REFUSED_MIN, next: REFUSED_MIN * 2 }
    }

    fn again(self) -> Self {
        Self { until: Instant::now() + self.next, next: (self.next * 2).min(REFUSED_MAX) }
    }
}
