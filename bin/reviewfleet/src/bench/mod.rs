//! What this machine does: programs that measure, with their conditions beside each figure.

mod claim_settle;
mod load;
mod pickup;

use anyhow::Result;
use serde::Serialize;

use crate::{
    cli::{self, Scenario},
    output::Output,
};

/// One measured figure.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub scenario: &'static str,
    pub backend: &'static str,
    pub value: f64,
    pub unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    pub conditions: String,
}

/// Runs the scenarios one after another and prints each figure as soon as it is there.
pub async fn run(command: &cli::Bench, out: &mut Output) -> Result<()> {
    for scenario in &command.scenario {
        let figures = match scenario {
            Scenario::ClaimSettle => claim_settle::run(out).await?,
            Scenario::Pickup => pickup::run().await?,
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
    let latency = match (figure.p50_ms, figure.p99_ms) {
        (Some(p50), Some(p99)) => format!("  p50 {p50:.2} ms, p99 {p99:.2} ms"),
        _ => String::new(),
    };
    out.line(format_args!(
        "{:<13} {:>10.0} {:<7}{latency}  {}",
        figure.scenario, figure.value, figure.unit, figure.conditions
    ))?;
    Ok(())
}
