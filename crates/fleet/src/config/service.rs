use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use job::{LimitClass, Priority, QueueName, RetryPolicy, Weight};
use review::RepositoryName;
use serde::{Deserialize, Deserializer, de::Error};

use super::{
    contract::ThrottleConfig,
    name::TierName,
    value::{Limit as OrUnlimited, kib, millis, optional, secs, whole},
};

/// The queue that there always is.
pub const REVIEW_QUEUE: &str = "review";
/// The limit class of a user's jobs.
pub const USER_CLASS: &str = "user";
/// Most jobs of a user that run at once.
const USER_LIMIT: u32 = 50;

/// `[api]`: the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct ApiConfig {
    /// Address and port that it listens on.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// Whether it may be used without a key, on a loopback address only.
    pub allow_anonymous_loopback: bool,
    /// Most bytes of a request's body.
    #[serde(rename = "body_max_kib", deserialize_with = "kib::<1, 65_536, _>")]
    pub body_max_bytes: usize,
    /// How long a request may take.
    #[serde(rename = "request_timeout_ms", deserialize_with = "millis::<100, 60_000, _>")]
    pub request_timeout: Duration,
    /// Most requests at once; one more is refused.
    #[serde(deserialize_with = "whole::<1, 100_000, _, _>")]
    pub in_flight_max: usize,
    /// The tier of a post that names none.
    pub default_tier: TierName,
}

/// `[queues.NAME]`: one queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct QueueConfig {
    /// Most of its jobs that run at once, in the whole fleet.
    #[serde(deserialize_with = "whole::<1, 1_000_000, _, _>")]
    pub limit: u32,
    /// Most jobs that run at once of each key of a limit class.
    #[serde(default, deserialize_with = "limits")]
    pub limits: BTreeMap<LimitClass, u32>,
    /// How often jobs of each key of a limit class may start.
    pub throttles: BTreeMap<LimitClass, ThrottleConfig>,
    /// How long after a job's completion its unique key stays taken.
    #[serde(rename = "unique_window_secs", deserialize_with = "secs::<0, 2_592_000, _>")]
    pub unique_window: Duration,
}

/// `[worker]`: one worker process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct WorkerConfig {
    /// Jobs that it runs at once.
    #[serde(deserialize_with = "whole::<1, 10_000, _, _>")]
    pub concurrency: usize,
    /// How long a lease runs unless it is renewed, which happens at a third of it.
    #[serde(rename = "lease_secs", deserialize_with = "secs::<1, 3_600, _>")]
    pub lease: Duration,
    /// The longest wait between two claims when no wake-up comes.
    #[serde(rename = "poll_interval_ms", deserialize_with = "millis::<10, 300_000, _>")]
    pub poll_interval: Duration,
    /// How long running jobs may go on once the process is told to stop.
    #[serde(rename = "drain_grace_secs", deserialize_with = "secs::<0, 3_600, _>")]
    pub drain_grace: Duration,
    /// Weights of queues that have another than 1: how its slots are shared while several have jobs waiting.
    #[serde(deserialize_with = "weights")]
    pub weights: BTreeMap<QueueName, Weight>,
    /// Where a process that only works answers `/metrics`; nowhere when it is left out.
    #[serde(deserialize_with = "optional_address")]
    pub metrics_listen: Option<SocketAddr>,
}

/// `[retry]`: how often a failed job is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct RetryConfig {
    /// Attempts after the first one.
    #[serde(deserialize_with = "whole::<0, 100, _, _>")]
    pub retries: u32,
    /// Upper bound of the first retry's delay; it doubles with each further one.
    #[serde(rename = "base_ms", deserialize_with = "millis::<1, 3_600_000, _>")]
    pub base: Duration,
    /// Upper bound of every retry's delay.
    #[serde(rename = "cap_secs", deserialize_with = "secs::<1, 86_400, _>")]
    pub cap: Duration,
    /// What a longer `Retry-After` is cut to.
    #[serde(rename = "retry_after_max_secs", deserialize_with = "secs::<1, 604_800, _>")]
    pub retry_after_max: Duration,
    /// The crash that makes a dead letter of a job.
    #[serde(deserialize_with = "whole::<1, 100, _, _>")]
    pub max_crashes: u32,
}

/// `[tiers.NAME]`: what a user of a tier gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierConfig {
    /// Rank of the jobs.
    pub priority: Priority,
    /// Turns beside a tier of weight 1, at equal priority.
    pub weight: Weight,
    /// How long one attempt of a job may take.
    pub timeout: Duration,
    /// Reviews that a user has a day (UTC); `None`: as many as are posted.
    pub daily: Option<u32>,
}

/// `[forge]`: where pull requests come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct ForgeConfig {
    /// Which kind of forge.
    pub kind: ForgeKind,
    /// Most bytes of a diff that is reviewed.
    #[serde(rename = "diff_max_kib", deserialize_with = "kib::<1, 1_048_576, _>")]
    pub diff_max_bytes: usize,
    /// Most bytes of a file that is read.
    #[serde(rename = "file_max_kib", deserialize_with = "kib::<1, 1_048_576, _>")]
    pub file_max_bytes: usize,
    /// Unchanged lines around a change.
    #[serde(deserialize_with = "whole::<0, 1_000, _, _>")]
    pub context_lines: u32,
    /// Folders of the git repositories that may be named. Relative to the file that names them.
    pub repositories: BTreeMap<RepositoryName, PathBuf>,
}

/// A kind of forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// Git repositories on this machine.
    Local,
}

/// `[telemetry]`: what the processes tell of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct TelemetryConfig {
    /// Shape of a log line.
    pub log_format: LogFormat,
    /// Which lines are written: a level, or directives such as `info,worker=debug`. `RUST_LOG` goes before it.
    pub log_level: String,
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl RetryConfig {
    /// The policy for [`job::decide`].
    pub const fn policy(&self) -> RetryPolicy {
        let Self { base, cap, retry_after_max, max_crashes, .. } = *self;
        RetryPolicy { base, cap, retry_after_max, max_crashes }
    }

    /// Attempts that may fail before a job is dead.
    pub const fn max_attempts(&self) -> u32 {
        self.retries + 1
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            allow_anonymous_loopback: false,
            body_max_bytes: 64 * 1024,
            request_timeout: Duration::from_secs(5),
            in_flight_max: 256,
            default_tier: TierName::literal("FREE"),
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            limit: 200,
            limits: BTreeMap::new(),
            throttles: BTreeMap::new(),
            unique_window: Duration::from_hours(24),
        }
        .with_user_limit()
    }
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 8,
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            drain_grace: Duration::from_secs(20),
            weights: BTreeMap::new(),
            metrics_listen: None,
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        let RetryPolicy { base, cap, retry_after_max, max_crashes } = RetryPolicy::default();
        Self { retries: 3, base, cap, retry_after_max, max_crashes }
    }
}

impl Default for TierConfig {
    fn default() -> Self {
        Self { priority: Priority(50), weight: Weight::ONE, timeout: Duration::from_mins(2), daily: None }
    }
}

impl Default for ForgeConfig {
    fn default() -> Self {
        Self {
            kind: ForgeKind::Local,
            diff_max_bytes: 16 * 1024 * 1024,
            file_max_bytes: 16 * 1024 * 1024,
            context_lines: 3,
            repositories: BTreeMap::new(),
        }
    }
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log_format: LogFormat::Text, log_level: "info".into() }
    }
}

impl QueueConfig {
    /// Whether jobs of the queue may name a class.
    pub fn has_class(&self, class: &LimitClass) -> bool {
        self.limits.contains_key(class) || self.throttles.contains_key(class)
    }

    /// Every queue has a limit for users, so that jobs can name it. One that nobody has written stays within the queue's
    /// own.
    fn with_user_limit(mut self) -> Self {
        if let Ok(user) = LimitClass::new(USER_CLASS) {
            self.limits.entry(user).or_insert(USER_LIMIT.min(self.limit));
        }
        self
    }
}

/// The queues of every configuration.
pub fn default_queues() -> BTreeMap<QueueName, QueueConfig> {
    QueueName::new(REVIEW_QUEUE).map(|review| (review, QueueConfig::default())).into_iter().collect()
}

/// The tiers of every configuration.
pub fn default_tiers() -> BTreeMap<TierName, TierConfig> {
    let tier = |name, weight, priority, timeout_mins, daily| {
        let tier = TierConfig {
            priority: Priority(priority),
            weight: Weight::new(weight).unwrap_or(Weight::ONE),
            timeout: Duration::from_mins(timeout_mins),
            daily,
        };
        (TierName::literal(name), tier)
    };
    BTreeMap::from([
        tier("FREE", 1, 50, 2, Some(10)),
        tier("PRO", 2, 50, 2, Some(100)),
        tier("TEAM", 4, 50, 2, Some(500)),
        tier("ENTERPRISE", 8, 100, 5, None),
    ])
}

#[derive(Deserialize)]
struct Limit(#[serde(deserialize_with = "whole::<1, 1_000_000, _, _>")] u32);

fn limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<LimitClass, u32>, D::Error> {
    let limits = BTreeMap::<LimitClass, Limit>::deserialize(deserializer)?;
    Ok(limits.into_iter().map(|(class, limit)| (class, limit.0)).collect())
}

#[derive(Deserialize)]
struct QueueWeight(#[serde(deserialize_with = "whole::<1, 1_000, _, _>")] u16);

fn weights<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<QueueName, Weight>, D::Error> {
    let weights = BTreeMap::<QueueName, QueueWeight>::deserialize(deserializer)?;
    weights.into_iter().map(|(queue, QueueWeight(w))| Ok((queue, Weight::new(w).map_err(D::Error::custom)?))).collect()
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom("expected an IP address and a port, such as \"127.0.0.1:8080\""))
}

fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    address(deserializer).map(Some)
}

pub fn queues<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<QueueName, QueueConfig>, D::Error> {
    let mut queues = default_queues();
    let written = BTreeMap::<QueueName, QueueConfig>::deserialize(deserializer)?;
    queues.extend(written.into_iter().map(|(name, queue)| (name, queue.with_user_limit())));
    Ok(queues)
}

/// What the file says of a tier: the rest stays as it is for that tier.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
struct TierChanges {
    #[serde(deserialize_with = "optional::<-1_000, 1_000, _, _>")]
    priority: Option<i16>,
    #[serde(deserialize_with = "optional::<1, 1_000, _, _>")]
    weight: Option<u16>,
    #[serde(deserialize_with = "optional::<1, 3_600, _, _>")]
    timeout_secs: Option<u64>,
    // The greatest quota is as many units as the ledger lists at once (`ledger::UNITS_MAX`).
    daily: Option<OrUnlimited<1, 10_000>>,
}

pub fn tiers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<TierName, TierConfig>, D::Error> {
    let mut tiers = default_tiers();
    for (name, changes) in BTreeMap::<TierName, TierChanges>::deserialize(deserializer)? {
        let tier = tiers.entry(name).or_default();
        tier.priority = changes.priority.map_or(tier.priority, Priority);
        tier.weight = changes.weight.and_then(|w| Weight::new(w).ok()).unwrap_or(tier.weight);
        tier.timeout = changes.timeout_secs.map_or(tier.timeout, Duration::from_secs);
        tier.daily = changes.daily.map_or(tier.daily, |daily| daily.0);
    }
    Ok(tiers)
}
