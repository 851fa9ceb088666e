//! How often a caller may ask: a rate with a burst, kept by the generic cell rate algorithm, in this process or for all
//! processes in one Redis. Both keep the same rate; the Redis' clock is the one that counts there.

mod limiter;
mod memory;
mod rate;
mod shared;

pub use limiter::{Limiter, Limits, NotLet, Scope, SharedBy, WhenAway};
pub use rate::Rate;
pub use redis_link::{RedisUrl, RedisUrlError};
