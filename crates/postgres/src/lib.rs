//! What every part that keeps something in Postgres needs: an address that hides its password, a bounded pool that works
//! behind a pooler, migrations, and a check that says at the start what is wrong with a set-up.

mod address;
mod check;
mod database;
mod fault;
mod migrate;

pub use address::{Address, AddressError};
pub use check::{Setup, check, has_relation};
pub use database::{Database, PoolOptions};
pub use fault::Fault;
pub use migrate::{Index, Schema, Step};
