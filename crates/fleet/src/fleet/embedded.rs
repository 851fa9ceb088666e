//! The stores as files of one machine.

use std::{fs, path::Path};

use ledger::{SqliteLedger, SqliteOptions};
use store_sqlite::SqliteQueue;

use super::{OpenError, Place, Stores};
use crate::StoreConfig;

/// Files of the stores in the data folder.
pub const QUEUE_FILE: &str = "queue.db";
pub const LEDGER_FILE: &str = "ledger.db";

/// An empty file is no queue either, though `SQLite` would make one of it.
pub fn must_exist(config: &StoreConfig) -> Result<(), OpenError> {
    match fs::metadata(config.data_dir.join(QUEUE_FILE)) {
        Ok(file) if file.len() > 0 => Ok(()),
        _ => Err(OpenError::NoStore { place: Place::of(config) }),
    }
}

pub async fn open(config: &StoreConfig) -> Result<Stores, OpenError> {
    let place = || Place::of(config);
    let queue = SqliteQueue::open(config.data_dir.join(QUEUE_FILE), store_sqlite::Options::default()).await;
    let queue = queue.map_err(|source| OpenError::Queue { place: place(), source })?;
    let ledger = SqliteLedger::open(&SqliteOptions::new(config.data_dir.join(LEDGER_FILE))).await;
    let ledger = ledger.map_err(|source| OpenError::Ledger { place: place(), source })?;
    Ok((queue.shared(), ledger.shared()))
}

/// Payloads and reviews hold other people's code: where the system knows owners, the folder is its owner's alone.
pub fn make_private_folder(path: &Path) -> Result<(), OpenError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| OpenError::DataDir { path: path.to_owned(), source })
}
