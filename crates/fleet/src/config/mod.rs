mod availability;
mod check;
mod contract;
mod error;
mod limits;
mod model;
mod name;
mod repositories;
mod review;
mod secrets;
mod service;
mod source;
mod store;
mod value;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use job::{CronName, GroupName, QueueName};
use serde::Deserialize;

use crate::Environment;

pub use contract::{CronConfig, GroupConfig, ThrottleConfig};
pub use error::{ConfigError, Mistake};
pub use limits::{LimitsConfig, RateConfig, WhenRedisIsAway};
pub use model::{
    LongPromptConfig, ModelConfig, OutputLimitField, Provider, ResponseFormat, RoutingConfig, ThinkingLevel,
};
pub use name::{ModelName, NameError, TierName, VariableName};
pub use review::{ComplexityConfig, OnModelFailure, ReviewConfig};
pub use secrets::{ApiAccess, Secrets};
pub use service::{
    ApiConfig, ForgeConfig, ForgeKind, LogFormat, QueueConfig, REVIEW_QUEUE, RetryConfig, TelemetryConfig, TierConfig,
    USER_CLASS, WorkerConfig,
};

pub use store::{StoreConfig, UrlFrom};

use source::Source;

/// The file that is read when none is named and it is there.
const DEFAULT_FILE: &str = "workers.toml";
/// The variable that names another.
const FILE_VARIABLE: &str = "REVIEWFLEET_CONFIG";
/// Most bytes of the file: a file that is longer was named by mistake.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// The whole configuration: `workers.toml` and the environment, read once and checked. An empty file is valid; every key
/// has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Config {
    /// `[api]`
    pub api: ApiConfig,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[queues.NAME]`; the queue `review` is always there.
    #[serde(deserialize_with = "service::queues")]
    pub queues: BTreeMap<QueueName, QueueConfig>,
    /// `[groups.NAME]`
    pub groups: BTreeMap<GroupName, GroupConfig>,
    /// `[cron.NAME]`
    pub cron: BTreeMap<CronName, CronConfig>,
    /// `[worker]`
    pub worker: WorkerConfig,
    /// `[retry]`
    pub retry: RetryConfig,
    /// `[tiers.NAME]`; FREE, PRO, TEAM and ENTERPRISE are always there.
    #[serde(deserialize_with = "service::tiers")]
    pub tiers: BTreeMap<TierName, TierConfig>,
    /// `[forge]`
    pub forge: ForgeConfig,
    /// `[review]`
    pub review: ReviewConfig,
    /// `[models.NAME]`; `fast` and `strong` are always there, and `openai` when the environment names a server.
    #[serde(deserialize_with = "model::models")]
    pub models: BTreeMap<ModelName, ModelConfig>,
    /// `[routing]`
    pub routing: RoutingConfig,
    /// `[telemetry]`
    pub telemetry: TelemetryConfig,
    /// What only the environment may hold.
    #[serde(skip)]
    pub secrets: Secrets,
    /// The file that was read, if there was one.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads the file and the environment. The file is the one given, else the one that `REVIEWFLEET_CONFIG` names, else
    /// `workers.toml` in the current folder; without any of them the defaults hold.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let named = file.or_else(|| environment.get(FILE_VARIABLE).map(Path::new));
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        match read(path) {
            Ok(text) => Ok(Self { file: Some(path.to_owned()), ..Self::parse(&text, path, environment)? }),
            Err(e) if named.is_none() && e.kind() == io::ErrorKind::NotFound => Self::parse("", path, environment),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// The configuration in a text. `file` is its name in errors, and its folder is where relative paths start.
    pub fn parse(text: &str, file: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let source = Source::parse(file, text)?;
        let mut config: Self = source.read()?;
        config.take_environment(&source, environment)?;
        check::check(&config, &source)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        config.store.data_dir = folder.join(&config.store.data_dir);
        for path in config.forge.repositories.values_mut() {
            *path = folder.join(&*path);
        }
        Ok(config)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api: ApiConfig::default(),
            limits: LimitsConfig::default(),
            store: StoreConfig::default(),
            queues: service::default_queues(),
            groups: BTreeMap::new(),
            cron: BTreeMap::new(),
            worker: WorkerConfig::default(),
            retry: RetryConfig::default(),
            tiers: service::default_tiers(),
            forge: ForgeConfig::default(),
            review: ReviewConfig::default(),
            models: model::default_models(),
            routing: RoutingConfig::default(),
            telemetry: TelemetryConfig::default(),
            secrets: Secrets::default(),
            file: None,
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let bytes = fs::metadata(path)?.len();
    if bytes > FILE_MAX_BYTES {
        let what = format!("it has {bytes} bytes: a configuration has at most {FILE_MAX_BYTES}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    fs::read_to_string(path)
}
