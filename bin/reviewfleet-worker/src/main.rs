//! `reviewfleet-worker`: one worker process of the fleet.

use std::process::ExitCode;

use clap::Parser;
use fleet::{ProcessOptions, Shutdown};

/// Takes review jobs from the queue, runs the pipeline and records the reviews.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    process: ProcessOptions,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    fleet::run_program(&cli.process, work(&cli))
}

async fn work(cli: &Cli) -> anyhow::Result<()> {
    let config = cli.process.load(None)?;
    let _telemetry = fleet::telemetry::init(&config.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    shutdown.run(reviewfleet_worker::run(config, shutdown.clone())).await
}
