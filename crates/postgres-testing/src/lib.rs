//! Real Postgres servers, poolers and faulty networks for tests. Everything here panics instead of failing, since its callers are tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod database;
mod pooler;
mod proxy;
mod server;

pub use database::Database;
pub use pooler::Pooler;
pub use proxy::Proxy;
pub use server::{Server, server_url};
