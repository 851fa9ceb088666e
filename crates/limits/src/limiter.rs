use std::time::Duration;

use redis_link::{Link, RedisUrl};
use sha2::{Digest, Sha256};

use crate::{
    Rate,
    memory::{Caller, Memory},
    shared,
};

/// Who is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The user whom a request is for.
    User,
    /// The key that a request is made with.
    ApiKey,
    /// The address that a request comes from.
    Address,
}

/// The rates, and where they are kept. A scope without a rate is not limited.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Of each user.
    pub user: Option<Rate>,
    /// Of each API key.
    pub api_key: Option<Rate>,
    /// Of each address.
    pub address: Option<Rate>,
    /// The Redis that keeps the rates for all processes; `None`: each process keeps its own.
    pub shared: Option<SharedBy>,
}

/// A Redis that keeps the rates for all processes.
#[derive(Debug, Clone)]
pub struct SharedBy {
    /// Where it is.
    pub url: RedisUrl,
    /// How long a request waits for it.
    pub wait: Duration,
    /// What happens while it does not answer.
    pub when_away: WhenAway,
}

/// What happens while the Redis does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAway {
    /// Requests go on, within the rate as far as this process alone has seen them.
    Allow,
    /// Requests are refused.
    Refuse,
}

/// Why a request may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLet {
    /// The caller asks too often.
    #[error("the caller asks too often")]
    TooOften {
        /// Whose rate it is.
        scope: Scope,
        /// The rate.
        rate: Rate,
        /// How long until the next request may come.
        wait: Duration,
    },
    /// The Redis is away, and nothing goes on without it.
    #[error("the rates cannot be looked at")]
    Away,
}

/// Keeps callers to their rates.
#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    own: Memory,
    link: Option<(Link, WhenAway)>,
}

impl Scope {
    /// Its name, as it stands in answers and keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ApiKey => "api-key",
            Self::Address => "address",
        }
    }
}

impl Limiter {
    /// A limiter of these rates. Must be called within a Tokio runtime where a Redis is named, which is connected to in the
    /// background.
    pub fn new(limits: Limits) -> Self {
        let has_rate = limits.user.or(limits.api_key).or(limits.address).is_some();
        let link = match &limits.shared {
            Some(shared) if has_rate => Some((Link::new(&shared.url, shared.wait), shared.when_away)),
            _ => None,
        };
        Self { limits, own: Memory::new(), link }
    }

    /// Takes one request of a caller's rate.
    pub async fn take(&self, scope: Scope, name: &str) -> Result<(), NotLet> {
        let rate = match scope {
            Scope::User => self.limits.user,
            Scope::ApiKey => self.limits.api_key,
            Scope::Address => self.limits.address,
        };
        let Some(rate) = rate else { return Ok(()) };
        let caller = caller(scope, name);
        let taken = match &self.link {
            None => self.own.take(caller, rate),
            Some((link, when_away)) => match (shared::take(link, scope, caller, rate).await, when_away) {
                (Ok(taken), _) => taken,
                (Err(_), WhenAway::Allow) => self.own.take(caller, rate),
                (Err(_), WhenAway::Refuse) => return Err(NotLet::Away),
            },
        };
        taken.map_err(|wait| NotLet::TooOften { scope, rate, wait })
    }
}

fn caller(scope: Scope, name: &str) -> Caller {
    let digest = Sha256::new().chain_update(scope.as_str()).chain_update([0]).chain_update(name).finalize();
    let mut caller = [0; 16];
    caller.copy_from_slice(&digest[..16]);
    caller
}
