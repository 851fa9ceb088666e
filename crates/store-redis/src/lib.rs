//! The queue in Redis: each operation is a script that the server runs by itself, so that nothing comes between what it reads
//! and what it writes.
//!
//! All keys of a namespace lie under one hash tag, and so in one slot of a Cluster; `docs/decisions/redis-keys.md` says why and
//! what each key holds. Scripts are given one key, and make the names of the others from it.

mod admin;
mod claim;
mod codec;
mod connection;
mod cron;
mod enqueue;
mod error;
mod groups;
mod maintain;
mod open;
mod operate;
mod prune;
mod queue;
mod renew;
mod reply;
mod rows;
mod script;
mod settle;
mod stats;
mod view;
mod wake;

pub use open::Durability;
pub use queue::{Options, RedisQueue};
