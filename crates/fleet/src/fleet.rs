use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ledger::{Ledger, LedgerError, SqliteLedger, SqliteOptions};
use store::{LimitTarget, QueueBackend, StoreError};
use store_sqlite::SqliteQueue;

use crate::{Backend, Config, StoreConfig};

#[cfg(test)]
mod tests;

/// Files of the stores in the data folder.
const QUEUE_FILE: &str = "queue.db";
const LEDGER_FILE: &str = "ledger.db";

/// The opened stores, and the configuration that they were opened by. Clones share them.
#[derive(Clone)]
pub struct Fleet {
    /// The queues.
    pub queue: Arc<dyn QueueBackend>,
    /// The service's memory.
    pub ledger: Arc<dyn Ledger>,
    /// The configuration.
    pub config: Arc<Config>,
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
    #[error(
        "there is no queue in {} (store.data_dir): start `reviewfleet up` with this configuration first, or name the \
         folder where it runs",
        path.display()
    )]
    NoStore {
        /// Which folder.
        path: PathBuf,
    },
    /// The queues cannot be opened.
    #[error("the queue in {} (store.data_dir) cannot be opened", path.display())]
    Queue {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The ledger cannot be opened.
    #[error("the ledger in {} (store.data_dir) cannot be opened", path.display())]
    Ledger {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: LedgerError,
    },
}

impl Fleet {
    /// Opens the stores for a process that serves or works: makes what is not there yet, and applies the queues and limits
    /// of the configuration. A limit that an operator has set holds until the configured one changes.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        make_private_folder(&config.store.data_dir)?;
        let fleet = Self::connect(config).await?;
        fleet.define_queues().await.map_err(|source| OpenError::Queue { path: fleet.data_dir(), source })?;
        Ok(fleet)
    }

    /// Opens stores that are there already, and changes nothing in them: for an operator's commands.
    pub async fn attach(config: Config) -> Result<Self, OpenError> {
        let folder = &config.store.data_dir;
        if !folder.join(QUEUE_FILE).exists() {
            return Err(OpenError::NoStore { path: folder.clone() });
        }
        Self::connect(config).await
    }

    async fn connect(config: Config) -> Result<Self, OpenError> {
        let path = || config.store.data_dir.clone();
        let queue = open_queue(&config.store).await.map_err(|source| OpenError::Queue { path: path(), source })?;
        let ledger = open_ledger(&config.store).await.map_err(|source| OpenError::Ledger { path: path(), source })?;
        Ok(Self { queue, ledger, config: Arc::new(config) })
    }

    async fn define_queues(&self) -> Result<(), StoreError> {
        for (name, queue) in &self.config.queues {
            self.queue.configure_limit(&LimitTarget::Queue(name.clone()), Some(queue.limit)).await?;
            for (class, limit) in &queue.limits {
                let target = LimitTarget::Class(name.clone(), class.clone());
                self.queue.configure_limit(&target, Some(*limit)).await?;
            }
            for (class, throttle) in &queue.throttles {
                self.queue.set_throttle(name, class, Some((*throttle).into())).await?;
            }
        }
        self.define_groups().await?;
        for (name, cron) in &self.config.cron {
            let entry = cron.entry(name).map_err(|error| StoreError::Invalid(error.to_string()))?;
            self.queue.set_cron(&entry).await?;
        }
        Ok(())
    }

    /// Sets the configured groups. A queue that is in another group by now leaves that one first.
    async fn define_groups(&self) -> Result<(), StoreError> {
        for (name, group) in &self.config.groups {
            for queue in &group.queues {
                let Some(old) = self.queue.settings(queue).await?.group.filter(|old| old.name != *name) else {
                    continue;
                };
                let left: Vec<_> = old.queues.into_iter().filter(|other| other != queue).collect();
                self.queue.define_group(&old.name, &left, old.limit).await?;
            }
            self.queue.define_group(name, &group.queues, Some(group.limit)).await?;
        }
        Ok(())
    }

    fn data_dir(&self) -> PathBuf {
        self.config.store.data_dir.clone()
    }
}

/// The only place that picks the queue's backend.
async fn open_queue(config: &StoreConfig) -> Result<Arc<dyn QueueBackend>, StoreError> {
    match config.backend {
        Backend::Sqlite => {
            let path = config.data_dir.join(QUEUE_FILE);
            Ok(Arc::new(SqliteQueue::open(path, store_sqlite::Options::default()).await?))
        }
    }
}

async fn open_ledger(config: &StoreConfig) -> Result<Arc<dyn Ledger>, LedgerError> {
    match config.backend {
        Backend::Sqlite => {
            Ok(Arc::new(SqliteLedger::open(&SqliteOptions::new(config.data_dir.join(LEDGER_FILE))).await?))
        }
    }
}

/// Payloads and reviews hold other people's code: where the system knows owners, the folder is its owner's alone.
fn make_private_folder(path: &Path) -> Result<(), OpenError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| OpenError::DataDir { path: path.to_owned(), source })
}
