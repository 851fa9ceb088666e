//! The queue on an embedded `SQLite` file: the whole contract, as far as one machine can see it.
//!
//! There is one writer at a time, in all processes together, and every decision about limits, turns and unique keys is
//! made in its transaction. Statements take whole batches, as JSON arrays; each stands in a file of its own under
//! `sql/`, the schema in the workspace's `migrations/sqlite/`.

mod admin;
mod bare;
mod cancel;
mod claim;
mod clock;
mod cron;
mod enqueue;
mod error;
mod file;
mod groups;
mod json;
mod lanes;
mod leased;
mod maintain;
mod open;
mod operate;
#[cfg(test)]
mod plans;
mod probe;
mod prune;
mod queue;
mod queues;
mod renew;
mod rows;
mod settle;
mod sql;
mod starved;
mod stats;
mod throttle;
mod versions;
mod view;
mod write;

pub use bare::BareTable;
pub use clock::Clock;
pub use queue::{Options, SqliteQueue};
