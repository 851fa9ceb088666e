//! `reviewfleet`: the demo, the all-in-one service and the operator's command line.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    reviewfleet::run(reviewfleet::Cli::parse())
}
