//! `reviewfleet-worker`: one worker process of the fleet.

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use fleet::{ProcessOptions, Shutdown};

/// Takes review jobs from the queue, runs the pipeline and records the reviews.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    process: ProcessOptions,
    /// Address at which to answer /metrics and /healthz, over the configuration's
    #[arg(long, value_name = "HOST:PORT")]
    metrics_listen: Option<SocketAddr>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    fleet::run_program(&cli.process, work(&cli))
}

async fn work(cli: &Cli) -> anyhow::Result<()> {
    let mut config = cli.process.load(None)?;
    config.worker.metrics_listen = cli.metrics_listen.or(config.worker.metrics_listen);
    let telemetry = fleet::telemetry::init(&config.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    shutdown.run(reviewfleet_worker::run(config, telemetry.metrics, shutdown.clone())).await
}
