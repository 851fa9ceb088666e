//! The enqueue API as a process of its own.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use fleet::{Config, Environment, Fleet, Shutdown};
use reviewfleet_api::{Api, ApiSettings, run};

/// Takes review jobs over HTTP.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Configuration to read instead of ./workers.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Postgres database of queue and ledger, over the environment's and the configuration's. All users of this machine can
    /// see it here: a password belongs in the environment
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let config = Config::load(options.config.as_deref(), &Environment::of_process())?;
    let config = config.with_database(options.database_url.as_deref())?;
    let telemetry = fleet::telemetry::init(&config.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    // Before the stores are made, should there be no key.
    let settings = ApiSettings::of(&config)?;
    let Some(fleet) = shutdown.unless_requested(Fleet::open(config)).await else { return Ok(ExitCode::SUCCESS) };
    let fleet = fleet?;
    let api = Api { queue: fleet.queue, ledger: fleet.ledger, settings, metrics: telemetry.metrics };
    match shutdown.run(run(api, &fleet.config.api, &shutdown)).await {
        Some(ended) => ended.map(|()| ExitCode::SUCCESS),
        None => Ok(ExitCode::from(Shutdown::FORCED_EXIT_CODE)),
    }
}
