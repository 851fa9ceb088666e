use std::time::Duration;

use limits::{Limits, Rate, RedisUrl, SharedBy, WhenAway};
use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer, de::Error};

use super::{
    ConfigError,
    value::{millis, optional, secs, whole},
};
use crate::Environment;

/// The Redis of the limits, with its password.
const URL: &str = "REDIS_URL";
/// Most requests at once, where nothing is said of them.
const BURST_MAX: u32 = 10_000;

/// `[limits]`: how often a caller of the API may ask.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct LimitsConfig {
    /// Posts for each user.
    pub user: Option<RateConfig>,
    /// Requests with each API key.
    pub api_key: Option<RateConfig>,
    /// Requests from each address.
    pub address: Option<RateConfig>,
    /// The Redis that counts for all processes; without one, each counts by itself.
    #[serde(deserialize_with = "without_password")]
    pub redis_url: Option<RedisUrl>,
    /// How long a request waits for it.
    #[serde(rename = "redis_wait_ms", deserialize_with = "millis::<1, 1_000, _>")]
    pub redis_wait: Duration,
    /// What happens while it does not answer.
    pub when_redis_is_away: WhenRedisIsAway,
}

/// `[limits.user]` and its like: a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RateConfig {
    /// Most requests in a period, evenly.
    #[serde(deserialize_with = "whole::<1, 100_000, _, _>")]
    pub requests: u32,
    /// The period.
    #[serde(rename = "period_secs", deserialize_with = "secs::<1, 86_400, _>")]
    pub period: Duration,
    /// Most requests at once; those of a period when left out.
    #[serde(default, deserialize_with = "optional::<1, 10_000, _, _>")]
    pub burst: Option<u32>,
}

/// What happens while the Redis of the limits does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenRedisIsAway {
    /// Requests go on; each process counts by itself.
    Allow,
    /// Requests are refused.
    Refuse,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            user: None,
            api_key: None,
            address: None,
            redis_url: None,
            redis_wait: Duration::from_millis(50),
            when_redis_is_away: WhenRedisIsAway::Allow,
        }
    }
}

impl LimitsConfig {
    /// As the limiter takes them.
    pub fn limits(&self) -> Limits {
        let rate = |rate: Option<RateConfig>| rate.map(RateConfig::rate);
        let shared = self.redis_url.clone().map(|url| SharedBy {
            url,
            wait: self.redis_wait,
            when_away: match self.when_redis_is_away {
                WhenRedisIsAway::Allow => WhenAway::Allow,
                WhenRedisIsAway::Refuse => WhenAway::Refuse,
            },
        });
        Limits { user: rate(self.user), api_key: rate(self.api_key), address: rate(self.address), shared }
    }

    /// Takes the address from the environment, which goes before the file.
    pub(super) fn take_environment(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        if let Some(url) = environment.secret(URL)? {
            let url = url.expose_secret().parse();
            self.redis_url =
                Some(url.map_err(|e: limits::RedisUrlError| ConfigError::environment(URL, e.to_string()))?);
        }
        Ok(())
    }
}

impl RateConfig {
    fn rate(self) -> Rate {
        Rate::new(self.requests, self.period, self.burst.unwrap_or(self.requests.min(BURST_MAX)))
    }
}

/// An address in the file, which others may read.
fn without_password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RedisUrl>, D::Error> {
    let url: RedisUrl = String::deserialize(deserializer)?.parse().map_err(D::Error::custom)?;
    if url.has_password() {
        return Err(D::Error::custom(
            "a password does not belong in this file: name the whole address in REDIS_URL, or in the file that \
             REDIS_URL_FILE names",
        ));
    }
    Ok(Some(url))
}
