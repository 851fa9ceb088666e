//! What a worker keeps to, whatever its store does.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test fails it")]

mod chaos;
mod claiming;
mod draining;
mod fake;
mod leases;
mod metering;
mod options;
mod outages;
mod outcomes;
mod reaping;
mod settling;
mod sharing;
mod sqlite;
mod support;
