//! One queue a file.

mod apalis;
mod awa;
mod graphile;
mod river;

use std::time::Duration;

pub use apalis::Apalis;
pub use awa::Awa;
pub use graphile::GraphileWorker;
pub use river::River;

/// Connections that a queue may hold: enough for every client of a measurement, and for a worker's claimers and writers.
const CONNECTIONS: u32 = 24;
/// Jobs that one statement of a load stores through a queue's own API.
const LOAD_CHUNK: u32 = 5_000;
/// A worker that found nothing asks again after this.
const POLL: Duration = Duration::from_millis(50);
/// For a worker to end what it has begun.
const GRACE: Duration = Duration::from_secs(5);

async fn connect(url: &str) -> Result<sqlx::PgPool, sqlx::Error> {
    sqlx::postgres::PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await
}
