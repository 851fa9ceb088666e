//! Real repositories, real processes and a model server of the test's own.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part of what is here")]

mod exposition;
mod fleet;
mod model;
mod process;
mod prometheus;
mod repo;
mod service;
mod settings;
mod terminal;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

pub use exposition::Exposition;
pub use fleet::{Api, FleetProcess, block_on};
pub use model::FakeModel;
pub use process::{KEY, Process, command_of, logged, reviewfleet};
pub use prometheus::{Prometheus, prometheus_folder, promtool};
pub use repo::{Entry, Repo};
pub use service::{Service, run};
pub use settings::{asking, configure};
pub use terminal::run_on_terminal;

/// How long a test waits for what must happen; far beyond what it takes, so that a slow machine does not fail it.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Waits until a condition holds, asking again every few milliseconds.
#[track_caller]
pub fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begun.elapsed() < DEADLINE, "{what} did not happen within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A program of the workspace, which `ops/test` builds before the tests run.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(2).unwrap();
    let program = target.join(name);
    assert!(program.exists(), "{} is missing: run `cargo build --workspace --bins` first", program.display());
    program
}
