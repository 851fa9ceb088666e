//! Runs the same workloads on other job queues written in Rust, on one Postgres server, so that a comparison with them can be made
//! again by anyone. README.md says what is fair in it and what is not.

mod payload;
mod peer;
mod peers;
mod report;
mod scenario;
mod server;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use peer::{Peer, Tuning};
use report::Measured;
use scenario::Scenario;
use server::{Database, PrivateServer};

/// Rounds of each measurement; a median of more says no more on a machine that does nothing else.
const ROUNDS_MAX: u32 = 9;

#[derive(Parser)]
#[command(about = "Measures other job queues written in Rust on one Postgres server")]
struct Arguments {
    /// Which queue; may be given several times
    #[arg(long = "peer", value_enum)]
    peers: Vec<Name>,

    /// What to measure; may be given several times
    #[arg(long = "scenario", value_enum)]
    scenarios: Vec<Scenario>,

    /// A Postgres server where databases may be made; without it a private server is started and ended
    #[arg(long)]
    url: Option<String>,

    /// How often each is measured; the median is told
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    rounds: u32,

    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,

    /// Handlers at once, instead of what is best for the queue here
    #[arg(long)]
    handlers: Option<usize>,

    /// Jobs a claim, instead of what is best for the queue here
    #[arg(long)]
    batch: Option<usize>,

    /// Claims at once, instead of what is best for the queue here
    #[arg(long)]
    claimers: Option<u16>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    #[value(name = "graphile_worker")]
    GraphileWorker,
    Riverqueue,
    Awa,
    ApalisPostgres,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tokio::select! {
        done = run(&arguments) => match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        },
        // Dropping the run ends the private server.
        _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
    }
}

/// Whether every measurement was made; one that failed is told and does not keep the others from being made.
async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let private;
    let url = if let Some(url) = &arguments.url {
        url
    } else {
        private = PrivateServer::start()?;
        private.url()
    };
    server::check_durable(url).await?;
    report::begin(arguments.json);
    let peers = if arguments.peers.is_empty() { Name::value_variants() } else { &arguments.peers };
    let scenarios = if arguments.scenarios.is_empty() { Scenario::value_variants() } else { &arguments.scenarios };
    let mut all = true;
    for name in peers {
        for scenario in scenarios {
            all &= match name {
                Name::GraphileWorker => measure::<peers::GraphileWorker>(arguments, url, *scenario).await,
                Name::Riverqueue => measure::<peers::River>(arguments, url, *scenario).await,
                Name::Awa => measure::<peers::Awa>(arguments, url, *scenario).await,
                Name::ApalisPostgres => measure::<peers::Apalis>(arguments, url, *scenario).await,
            };
        }
    }
    Ok(all)
}

async fn measure<P: Peer>(arguments: &Arguments, url: &str, scenario: Scenario) -> bool {
    let best = P::TUNING;
    let tuning = Tuning {
        handlers: arguments.handlers.unwrap_or(best.handlers),
        batch: arguments.batch.unwrap_or(best.batch),
        claimers: arguments.claimers.unwrap_or(best.claimers),
    };
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds {
        match round::<P>(url, scenario, tuning).await {
            Ok(measured) => rounds.push(measured),
            Err(error) => {
                eprintln!("{} {}: {error:#}", P::NAME, scenario.name());
                return false;
            }
        }
    }
    report::tell(arguments.json, P::NAME, scenario, &P::conditions(scenario, tuning), rounds);
    true
}

/// One measurement, in a database of its own that is gone afterwards whatever came of it.
async fn round<P: Peer>(url: &str, scenario: Scenario, tuning: Tuning) -> anyhow::Result<Measured> {
    let database = Database::create(url, P::NAME).await?;
    let measured = scenario::run::<P>(scenario, database.url(), tuning).await;
    let dropped = database.remove().await;
    let measured = measured?;
    dropped?;
    Ok(measured)
}
