//! `reviewfleet-worker`: one worker process of the fleet.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use fleet::{Config, Environment, Shutdown};

/// Takes review jobs from the queue, runs the pipeline and records the reviews.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Configuration file [default: workers.toml where it exists, else built-in defaults]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Postgres database of queue and ledger, over the environment's and the configuration's. All users of this machine can
    /// see it here: a password belongs in the environment
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let config = Config::load(cli.config.as_deref(), &Environment::of_process())?;
    let config = config.with_database(cli.database_url.as_deref())?;
    let _telemetry = fleet::telemetry::init(&config.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    match shutdown.run(reviewfleet_worker::run(config, shutdown.clone())).await {
        Some(ended) => ended.map(|()| ExitCode::SUCCESS),
        None => Ok(ExitCode::from(Shutdown::FORCED_EXIT_CODE)),
    }
}
