//! The stores in a Postgres database, for processes on any number of machines.

use std::sync::Arc;

use ledger::{PostgresLedger, PostgresOptions};
use postgres::{Address, PoolOptions, Setup};
use store_postgres::{Options, PostgresQueue};

use super::{OpenError, Place, Stores};
use crate::StoreConfig;

/// The table that says which schema the queue has.
const QUEUE_SCHEMA: &str = "queue.migration";
/// One connection listens for wake-ups and does nothing else.
const LISTENER: u32 = 1;
/// Of the others, one in so many is the ledger's: it is asked once or twice a job, the queue all the time.
const LEDGER_SHARE: u32 = 5;

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

    let (queue, ledger) = divided(connections);
    let options = Options {
        connections_max: queue,
        transaction_pooler,
        listen_url: config.listen_url.as_ref().map(|listen| listen.expose().to_owned()),
        ..Options::default()
    };
    let queue = PostgresQueue::open(address.expose(), options).await;
    let queue = queue.map_err(|source| OpenError::Queue { place: place(), source })?;
    let pool = PoolOptions { connections_max: ledger, transaction_pooler };
    let ledger = PostgresLedger::open(&PostgresOptions { address: address.clone(), pool }).await;
    let ledger = ledger.map_err(|source| OpenError::Ledger { place: place(), source })?;
    Ok((Arc::new(queue), Arc::new(ledger)))
}

/// The connections of queue and ledger, of so many in all.
fn divided(connections: u32) -> (u32, u32) {
    let both = connections.saturating_sub(LISTENER);
    let ledger = (both / LEDGER_SHARE).max(1);
    (both.saturating_sub(ledger), ledger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_the_queue_and_the_ledger_share_what_a_process_may_have() {
        assert_eq!(divided(20), (16, 3));
        assert_eq!(divided(4), (2, 1));
        for connections in 4..200 {
            let (queue, ledger) = divided(connections);
            assert_eq!(LISTENER + queue + ledger, connections);
            assert!(queue >= 2 && ledger >= 1, "{connections}");
        }
    }
}
