//! What every part that keeps something in Postgres needs: an address that hides its password, a bounded pool that works
//! behind a pooler, migrations, and a check that says at the start what is wrong with a set-up.

mod address;
mod bare;
mod check;
mod database;
mod fault;
mod migrate;
mod pool_use;
mod scratch;

pub use address::{Address, AddressError};
pub use bare::BareTable;
pub use check::{Setup, check, has_relation};
pub use database::{Database, PoolOptions};
pub use fault::Fault;
pub use migrate::{Index, Schema, Step};
pub use pool_use::{count_timeout, watch_pool};
pub use scratch::ScratchDatabase;
