use std::{collections::BTreeMap, time::Duration};

use job::{
    Concurrency, ConcurrencyKey, CronError, CronName, CronSchedule, GroupName, JobKind, LimitClass, Payload, Priority,
    QueueName, Weight,
};
use serde::{Deserialize, Deserializer, de::Error};
use store::{CRON_MAX, CronEntry, Throttle, WhenFull};

use super::{
    Config, ConfigError,
    source::Source,
    value::{secs, whole},
};

/// Groups that there may be.
const GROUPS_MAX: usize = 64;

/// `[queues.NAME.throttles.CLASS]`: how often jobs of each key of a class may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ThrottleConfig {
    /// Most starts of a key in a period.
    #[serde(deserialize_with = "whole::<1, 1_000, _, _>")]
    pub starts: u32,
    /// The period.
    #[serde(rename = "period_secs", deserialize_with = "secs::<1, 2_592_000, _>")]
    pub period: Duration,
    /// What becomes of a job that would have to wait for it.
    #[serde(default)]
    pub when_full: WhenFull,
}

/// `[groups.NAME]`: queues that share a limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct GroupConfig {
    /// The queues; each is in one group at most.
    pub queues: Vec<QueueName>,
    /// Most jobs of all of them together that run at once.
    #[serde(deserialize_with = "whole::<1, 1_000_000, _, _>")]
    pub limit: u32,
}

/// `[cron.NAME]`: a job that is made again and again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct CronConfig {
    /// When: five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly` or `@yearly`.
    pub expression: String,
    /// A name of the IANA database of time zones.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Where its jobs wait.
    pub queue: QueueName,
    /// Which handler they are for.
    pub kind: JobKind,
    /// What they work on, as JSON.
    #[serde(default = "nothing", deserialize_with = "payload")]
    pub payload: Payload,
    /// Their rank.
    #[serde(default, deserialize_with = "whole::<-1_000, 1_000, _, _>")]
    pub priority: i16,
    /// The concurrency key that they run under; with a class.
    #[serde(default)]
    pub key: Option<ConcurrencyKey>,
    /// The limit class of the key, one of the queue's.
    #[serde(default)]
    pub class: Option<LimitClass>,
    /// Attempts that may fail before a job is dead.
    #[serde(default = "default_attempts", deserialize_with = "whole::<1, 101, _, _>")]
    pub max_attempts: u32,
    /// How long one attempt may take.
    #[serde(rename = "timeout_secs", default = "default_timeout", deserialize_with = "secs::<1, 3_600, _>")]
    pub timeout: Duration,
}

impl From<ThrottleConfig> for Throttle {
    fn from(ThrottleConfig { starts, period, when_full }: ThrottleConfig) -> Self {
        Self { starts, period, when_full }
    }
}

impl CronConfig {
    /// The schedule as the store keeps it.
    pub fn entry(&self, name: &CronName) -> Result<CronEntry, CronError> {
        let concurrency = self.key.clone().zip(self.class.clone()).map(|(key, class)| Concurrency { key, class });
        Ok(CronEntry {
            name: name.clone(),
            schedule: CronSchedule::new(&self.expression, &self.time_zone)?,
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            payload: self.payload.clone(),
            priority: Priority(self.priority),
            weight: Weight::ONE,
            concurrency,
            max_attempts: self.max_attempts,
            timeout: self.timeout,
        })
    }
}

/// Checks groups, schedules and a worker's weights against the queues.
pub fn check(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    for (key, found, max) in [("groups", config.groups.len(), GROUPS_MAX), ("cron", config.cron.len(), CRON_MAX)] {
        if found > max {
            return Err(source.wrong(&[key], format!("there are {found}: at most {max} may be")));
        }
    }
    let mut grouped: BTreeMap<&QueueName, &GroupName> = BTreeMap::new();
    for (name, group) in &config.groups {
        let wrong = |what: String| source.wrong(&["groups", name.as_str(), "queues"], what);
        if group.queues.is_empty() {
            return Err(wrong("expected at least one queue".into()));
        }
        for queue in &group.queues {
            if !config.queues.contains_key(queue) {
                return Err(wrong(no_queue(config, queue)));
            }
            if let Some(other) = grouped.insert(queue, name) {
                return Err(wrong(format!(
                    "queue {queue} is in the group {other} already: a queue is in one group at most, and once"
                )));
            }
        }
    }
    if let Some(stray) = config.worker.weights.keys().find(|queue| !config.queues.contains_key(*queue)) {
        return Err(source.wrong(&["worker", "weights", stray.as_str()], no_queue(config, stray)));
    }
    config.cron.iter().try_for_each(|(name, cron)| check_cron(config, source, name, cron))
}

fn check_cron(config: &Config, source: &Source<'_>, name: &CronName, cron: &CronConfig) -> Result<(), ConfigError> {
    let wrong = |key: &str, what: String| Err(source.wrong(&["cron", name.as_str(), key], what));
    match cron.entry(name) {
        Err(error @ CronError::Zone { .. }) => return wrong("time_zone", error.to_string()),
        Err(error) => return wrong("expression", error.to_string()),
        Ok(_) => {}
    }
    let Some(queue) = config.queues.get(&cron.queue) else { return wrong("queue", no_queue(config, &cron.queue)) };
    match (&cron.key, &cron.class) {
        (Some(_), None) => wrong("key", "a key needs a class, whose limit it has: expected class beside it".into()),
        (None, Some(_)) => wrong("class", "a class limits keys: expected key beside it".into()),
        (_, Some(class)) if !queue.has_class(class) => {
            let classes = queue.limits.keys().chain(queue.throttles.keys()).map(LimitClass::as_str);
            let classes = classes.collect::<Vec<_>>().join(", ");
            wrong("class", format!("queue {} has no limit class {class}: allowed are {classes}", cron.queue))
        }
        _ => Ok(()),
    }
}

fn no_queue(config: &Config, queue: &QueueName) -> String {
    let names = config.queues.keys().map(QueueName::as_str).collect::<Vec<_>>().join(", ");
    format!("there is no queue {queue}: defined are {names}")
}

fn payload<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
    let text = String::deserialize(deserializer)?;
    Payload::parse(text).map_err(|_| D::Error::custom("expected JSON in quotes, such as '{\"for\": \"all\"}'"))
}

fn nothing() -> Payload {
    Payload::null()
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn default_attempts() -> u32 {
    4
}

const fn default_timeout() -> Duration {
    Duration::from_mins(2)
}
