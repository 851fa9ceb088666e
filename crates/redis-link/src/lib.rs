//! A connection to a Redis that others can do without: it is made anew in the background when it is lost, and a call waits
//! no longer than it was told to. What is kept in such a Redis may be lost; the queue's own connection is another one.

mod link;
mod url;

pub use link::{Link, LinkError};
pub use redis::{Cmd, Value, cmd, from_redis_value};
pub use url::{RedisUrl, RedisUrlError};
