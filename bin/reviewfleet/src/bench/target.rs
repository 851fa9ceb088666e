use std::process::Command;

use anyhow::{Context, Result};
use fleet::{Config, Fleet, UrlFrom};
use postgres::{Address, BareTable, ScratchDatabase};
use tempfile::TempDir;

use super::{server::PrivateServer, workload::Sizes};
use crate::cli::Backend;

/// Connections of a client, the one that listens included: what one process of the fleet has.
const CONNECTIONS: u32 = 5;

/// What is measured, and where it runs.
pub enum Target {
    Sqlite,
    Postgres { server: Address, _private: Option<PrivateServer> },
}

impl Target {
    pub fn new(backend: Backend, url: Option<&Address>) -> Result<Self> {
        Ok(match (backend, url) {
            (Backend::Sqlite, _) => Self::Sqlite,
            (Backend::Postgres, Some(server)) => Self::Postgres { server: server.clone(), _private: None },
            (Backend::Postgres, None) => {
                let private = PrivateServer::start()?;
                Self::Postgres { server: private.address.clone(), _private: Some(private) }
            }
        })
    }

    pub const fn backend(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres { .. } => "postgres",
        }
    }

    pub const fn sizes(&self) -> Sizes {
        match self {
            Self::Sqlite => Sizes::SQLITE,
            Self::Postgres { .. } => Sizes::POSTGRES,
        }
    }

    /// An empty store for one measurement, that nothing else uses.
    pub async fn place(&self) -> Result<Place> {
        Ok(match self {
            Self::Sqlite => Place::Folder(TempDir::new().context("no temporary folder")?),
            Self::Postgres { server, .. } => Place::Database(ScratchDatabase::create(server).await?),
        })
    }
}

/// A store of its own. What is left in it goes with it.
pub enum Place {
    Folder(TempDir),
    Database(ScratchDatabase),
}

impl Place {
    /// Opens it as one more process of a fleet would.
    pub async fn open(&self) -> Result<Fleet> {
        self.open_with(Config::default()).await
    }

    pub async fn open_with(&self, mut config: Config) -> Result<Fleet> {
        match self {
            Self::Folder(dir) => dir.path().clone_into(&mut config.store.data_dir),
            Self::Database(database) => {
                config.store.url = Some(database.address().clone());
                config.store.url_from = UrlFrom::CommandLine;
                config.store.api_connections = CONNECTIONS;
            }
        }
        Ok(Fleet::open(config).await?)
    }

    /// Makes it the store of another program's configuration.
    pub fn name_to(&self, program: &mut Command) -> Result<()> {
        match self {
            Self::Folder(dir) => {
                let file = dir.path().join("workers.toml");
                std::fs::write(&file, "store.data_dir = \".\"\n").context("no configuration can be written")?;
                program.env("REVIEWFLEET_CONFIG", file).env_remove("DATABASE_URL").env_remove("DATABASE_URL_FILE");
            }
            Self::Database(database) => {
                program.env("DATABASE_URL", database.address().expose()).env_remove("DATABASE_URL_FILE");
            }
        }
        Ok(())
    }

    /// A bare table beside the queue, where there can be one.
    pub async fn bare(&self, callers: u32) -> Result<Option<BareTable>> {
        Ok(match self {
            Self::Folder(_) => None,
            Self::Database(database) => Some(BareTable::create(database.address(), callers).await?),
        })
    }

    /// Leaves nothing behind.
    pub async fn remove(self) -> Result<()> {
        match self {
            Self::Folder(dir) => dir.close()?,
            Self::Database(database) => database.drop().await?,
        }
        Ok(())
    }
}
