//! What a machine and its database do: programs that measure, with their conditions beside each figure.

mod claim_settle;
mod drain;
mod enqueue;
mod memory;
mod pickup;
mod server;
mod target;
mod workload;

use std::time::Duration;

use anyhow::Result;
use fleet::Config;
use serde::Serialize;

use crate::{
    cli::{self, Scenario},
    commands::percentile,
    output::Output,
};
use target::Target;

/// One measured figure.
#[derive(Debug, Serialize)]
pub struct Figure {
    scenario: &'static str,
    backend: &'static str,
    value: f64,
    unit: &'static str,
    /// Of what a bare table does in the same run, where that was measured.
    ratio_to_bare: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    conditions: String,
}

impl Figure {
    fn new(scenario: &'static str, target: &Target, value: f64, unit: &'static str, conditions: String) -> Self {
        let backend = target.backend();
        Self { scenario, backend, value, unit, ratio_to_bare: None, p50_ms: None, p99_ms: None, conditions }
    }

    /// Beside what a bare table did.
    fn beside(self, bare: Option<f64>) -> Self {
        Self { ratio_to_bare: bare.map(|bare| self.value / bare), ..self }
    }

    /// With how long each took.
    fn waiting(self, mut waits: Vec<Duration>) -> Self {
        waits.sort_unstable();
        let millis = |percent| Some(percentile(&waits, percent).as_secs_f64() * 1e3);
        Self { p50_ms: millis(50), p99_ms: millis(99), ..self }
    }
}

/// Runs the scenarios one after another and prints each figure as soon as it is there.
pub async fn run(command: &cli::Bench, config: Config, out: &mut Output) -> Result<()> {
    if command.hold {
        return memory::hold(config, out).await;
    }
    let target = Target::new(command.backend, command.url.as_ref())?;
    for scenario in &command.scenario {
        let figures = match scenario {
            Scenario::EnqueueBatch => enqueue::batches(&target).await?,
            Scenario::EnqueueSingle => enqueue::singles(&target).await?,
            Scenario::ClaimSettle => claim_settle::run(&target, out).await?,
            Scenario::Drain => drain::run(&target, out).await?,
            Scenario::Pickup => pickup::run(&target).await?,
            Scenario::Backlog => drain::backlog(&target, out).await?,
            Scenario::ManyKeys => claim_settle::many_keys(&target, out).await?,
            Scenario::HotKey => drain::hot_key(&target, out).await?,
            Scenario::Memory => memory::run(&target, out).await?,
            Scenario::Noisy => drain::noisy(&target, out).await?,
        };
        for figure in figures {
            print(&figure, out)?;
        }
    }
    Ok(())
}

fn print(figure: &Figure, out: &mut Output) -> Result<()> {
    if out.is_json() {
        return Ok(out.object(figure)?);
    }
    let ratio = figure.ratio_to_bare.map_or_else(String::new, |ratio| format!("  {ratio:.2} of a bare table"));
    let latency = match (figure.p50_ms, figure.p99_ms) {
        (Some(p50), Some(p99)) => format!("  p50 {p50:.2} ms, p99 {p99:.2} ms"),
        _ => String::new(),
    };
    out.line(format_args!(
        "{:<14} {:>10.1} {:<7}{ratio}{latency}  {}",
        figure.scenario, figure.value, figure.unit, figure.conditions
    ))?;
    Ok(())
}
