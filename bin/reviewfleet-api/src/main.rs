//! The enqueue API as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use fleet::{Fleet, ProcessOptions, Shutdown};
use reviewfleet_api::{Api, ApiSettings, run};

/// Takes review jobs over HTTP.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    process: ProcessOptions,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    fleet::run_program(&cli.process, serve(&cli.process))
}

async fn serve(options: &ProcessOptions) -> anyhow::Result<()> {
    let config = options.load(None)?;
    let telemetry = fleet::telemetry::init(&config.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    // Before the stores are made, should there be no key.
    let settings = ApiSettings::of(&config)?;
    let Some(fleet) = shutdown.unless_requested(Fleet::open(config)).await else { return Ok(()) };
    let fleet = fleet?;
    let api = Api { queue: fleet.queue, ledger: fleet.ledger, settings, metrics: telemetry.metrics };
    shutdown.run(run(api, &fleet.config.api, &shutdown)).await
}
