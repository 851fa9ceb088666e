//! The API driven from outside: through its router, and over TCP where the connection matters.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod bad_requests;
mod connections;
mod jobs;
mod limits;
mod quotas;
mod service;
mod support;
