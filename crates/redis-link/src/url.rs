use std::{fmt, str::FromStr};

use redis::Client;

/// Most bytes of an address.
const BYTES_MAX: usize = 1_000;

/// The address of a Redis. Shown without its password, and kept from debug output.
#[derive(Clone)]
pub struct RedisUrl {
    whole: String,
    client: Client,
    shown: String,
    has_password: bool,
}

/// A text that is no address of a Redis. Does not repeat it, since a password may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no address of a Redis: expected redis://HOST:PORT, or rediss:// for TLS, perhaps with /DATABASE")]
pub struct RedisUrlError;

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let is_tcp = text.starts_with("redis://") || text.starts_with("rediss://");
        if !is_tcp || text.len() > BYTES_MAX {
            return Err(RedisUrlError);
        }
        let client = Client::open(text).map_err(|_| RedisUrlError)?;
        let mut url = redis::parse_redis_url(text).ok_or(RedisUrlError)?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(RedisUrlError);
        }
        let has_password = url.password().is_some();
        url.set_password(None).map_err(|()| RedisUrlError)?;
        Ok(Self { whole: text.to_owned(), client, shown: url.to_string(), has_password })
    }
}

impl RedisUrl {
    /// Whether a password stands in it.
    pub const fn has_password(&self) -> bool {
        self.has_password
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &Self) -> bool {
        self.whole == other.whole
    }
}

impl Eq for RedisUrl {}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let url: RedisUrl = "rediss://user:secret@redis.example.com:6380/2".parse().unwrap();
        assert_eq!(url.to_string(), "rediss://user@redis.example.com:6380/2");
        assert!(url.has_password() && !format!("{url:?}").contains("secret"));
        assert!(!"redis://127.0.0.1".parse::<RedisUrl>().unwrap().has_password());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "127.0.0.1:6379",
            "redis://",
            "redis:///0",
            "http://h",
            "unix:///tmp/s",
            "redis://h:99999",
            "redis://h/x",
        ] {
            assert!(text.parse::<RedisUrl>().is_err(), "{text}");
        }
    }
}
