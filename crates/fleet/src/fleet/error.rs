use std::{fmt, io, path::PathBuf};

use ledger::LedgerError;
use postgres::Fault;
use store::StoreError;

use crate::{StoreConfig, UrlFrom};

/// Where the stores are, and which setting says so. Shown without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Files in a folder.
    Folder(PathBuf),
    /// A Postgres database: its address without the password, and who has named it.
    Database(String, UrlFrom),
}

impl Place {
    /// The place that the configuration names.
    pub fn of(config: &StoreConfig) -> Self {
        match &config.url {
            Some(address) => Self::Database(address.to_string(), config.url_from),
            None => Self::Folder(config.data_dir.clone()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{} (store.data_dir)", path.display()),
            Self::Database(address, from) => write!(f, "{address} ({from})"),
        }
    }
}

/// Why the stores cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder cannot be made.
    #[error("the folder {} (store.data_dir) cannot be made", path.display())]
    DataDir {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing was ever stored there.
    #[error("there is no queue in {place}: {}", advice(place))]
    NoStore {
        /// Where.
        place: Place,
    },
    /// The database cannot be used as it is, or as it was said to be.
    #[error("the database {place} cannot serve")]
    Database {
        /// Which one.
        place: Place,
        /// Why.
        #[source]
        source: Fault,
    },
    /// The queues cannot be opened.
    #[error("the queue in {place} cannot be opened")]
    Queue {
        /// Where.
        place: Place,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The ledger cannot be opened.
    #[error("the ledger in {place} cannot be opened")]
    Ledger {
        /// Where.
        place: Place,
        /// Why.
        #[source]
        source: LedgerError,
    },
}

impl OpenError {
    /// Whether it may pass by itself.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Database { source, .. } => source.is_transient(),
            Self::Queue { source, .. } => source.is_transient(),
            Self::Ledger { source, .. } => matches!(source, LedgerError::Unavailable { .. }),
            Self::DataDir { .. } | Self::NoStore { .. } => false,
        }
    }
}

const fn advice(place: &Place) -> &'static str {
    match place {
        Place::Folder(_) => {
            "start `reviewfleet up` with this configuration first, or name the folder where it runs, or the database"
        }
        Place::Database(..) => {
            "run `reviewfleet migrate` with this configuration first, or name another database, or with --data-dir the \
             folder where `reviewfleet up` runs"
        }
    }
}
