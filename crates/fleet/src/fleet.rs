use std::sync::Arc;

use ledger::Ledger;
use store::{LimitTarget, QueueBackend, StoreError};

use crate::Config;

mod embedded;
mod error;
mod on_postgres;
mod patience;

#[cfg(test)]
mod tests;

pub use error::{OpenError, Place};
use patience::Patience;

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

/// Both stores, just opened.
type Stores = (Arc<dyn QueueBackend>, Arc<dyn Ledger>);

impl Fleet {
    /// Opens the stores for a process that serves, and works perhaps: makes what is not there yet, and applies the queues
    /// and limits of the configuration. A limit that an operator has set holds until the configured one changes.
    ///
    /// Waits for a database that is not there, as long as `store.connect_wait_secs` says: drop the future to stop waiting.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let connections = config.store.api_connections;
        // On the heap: to connect and to migrate is a large future, which each caller's would hold.
        Box::pin(Self::start(config, connections)).await
    }

    /// As [`Fleet::open`], for one of many processes that only work, with fewer connections.
    pub async fn open_for_worker(config: Config) -> Result<Self, OpenError> {
        let connections = config.store.worker_connections;
        Box::pin(Self::start(config, connections)).await
    }

    /// Opens stores that are there already, and changes nothing in them: for an operator's commands. Does not wait.
    pub async fn attach(config: Config) -> Result<Self, OpenError> {
        let stores = match &config.store.url {
            None => {
                embedded::must_exist(&config.store)?;
                Box::pin(embedded::open(&config.store)).await?
            }
            Some(address) => {
                on_postgres::must_exist(address, &config.store).await?;
                Box::pin(on_postgres::open(address, &config.store, config.store.worker_connections)).await?
            }
        };
        Ok(Self::of(stores, config))
    }

    async fn start(config: Config, connections: u32) -> Result<Self, OpenError> {
        let Some(address) = &config.store.url else {
            embedded::make_private_folder(&config.store.data_dir)?;
            let fleet = Self::of(embedded::open(&config.store).await?, config);
            fleet.define_queues().await?;
            return Ok(fleet);
        };
        let mut patience = Patience::new(config.store.connect_wait);
        let stores = loop {
            match on_postgres::open(address, &config.store, connections).await {
                Ok(stores) => break stores,
                Err(fault) => patience.bear(fault).await?,
            }
        };
        patience.end();
        let fleet = Self::of(stores, config);
        fleet.define_queues().await?;
        Ok(fleet)
    }

    fn of((queue, ledger): Stores, config: Config) -> Self {
        Self { queue, ledger, config: Arc::new(config) }
    }

    async fn define_queues(&self) -> Result<(), OpenError> {
        let failed = |source| OpenError::Queue { place: Place::of(&self.config.store), source };
        self.apply_configuration().await.map_err(failed)
    }

    async fn apply_configuration(&self) -> Result<(), StoreError> {
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
}
