//! The queue on Postgres: the whole contract, for a fleet of processes on many machines.
//!
//! Each operation is one call of a function in the schema `queue`, which the workspace's `migrations/postgres/` install.
//! It runs under the advisory locks of its queues, commits without waiting for the disk, and is answered once one later
//! commit, shared by all callers of a process, has put it there. Statements stand in files of their own under `sql/`.

mod admin;
mod claim;
mod cron;
mod database;
mod door;
mod enqueue;
mod enqueue_in;
mod error;
mod groups;
mod maintain;
mod open;
mod operate;
mod queue;
mod renew;
mod rows;
mod settle;
mod sql;
mod view;
mod wake;

pub use enqueue_in::{Staged, enqueue_in};
pub use queue::{Options, PostgresQueue};
