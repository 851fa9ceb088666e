//! The stores in a Postgres database, for processes on any number of machines.

use ledger::PostgresLedger;
use postgres::{Address, Database, Setup};
use store_postgres::{Options, PostgresQueue};

use super::{OpenError, Place, Stores};
use crate::StoreConfig;

/// The table that says which schema the queue has.
const QUEUE_SCHEMA: &str = "queue.migration";
/// One connection listens for wake-ups and does nothing else.
const LISTENER: u32 = 1;

pub async fn must_exist(address: &Address, config: &StoreConfig) -> Result<(), OpenError> {
    let place = || Place::of(config);
    let found = postgres::has_relation(address, QUEUE_SCHEMA).await;
    if found.map_err(|source| OpenError::Database { place: place(), source })? {
        return Ok(());
    }
    Err(OpenError::NoStore { place: place() })
}

pub async fn open(address: &Address, config: &StoreConfig, connections: u32) -> Result<Stores, OpenError> {
    let place = || Place::of(config);
    let transaction_pooler = config.transaction_pooler;
    let setup = Setup { address, listen: config.listen_url.as_ref(), transaction_pooler };
    postgres::check(setup).await.map_err(|source| OpenError::Database { place: place(), source })?;

    let options = Options {
        connections_max: connections.saturating_sub(LISTENER),
        transaction_pooler,
        listen_url: config.listen_url.as_ref().map(|listen| listen.expose().to_owned()),
        ..Options::default()
    };
    let queue = PostgresQueue::open(address.expose(), options).await;
    let queue = queue.map_err(|source| OpenError::Queue { place: place(), source })?;
    // One pool for both, so that the fewest connections serve a worker: the ledger is asked once or twice a job.
    let database = Database::over(queue.pool().clone(), transaction_pooler);
    let ledger = PostgresLedger::open(address, database).await;
    let ledger = ledger.map_err(|source| OpenError::Ledger { place: place(), source })?;
    Ok((queue.shared(), ledger.shared()))
}
