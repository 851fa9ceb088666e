//! `reviewfleet`: the demo, the all-in-one service and the operator's command line.
//!
//! Exit codes: 0 done, 1 it failed (one line on standard error says why), 2 the command line or the configuration is
//! wrong, 130 ended by a signal before it was done, or by a second one while it was stopping.

mod bench;
mod cli;
mod client;
mod commands;
mod output;
mod repository;
mod service;

use std::{io, path::Path, process::ExitCode};

use anyhow::Result;
use clap::CommandFactory;
use fleet::{Config, Fleet, Shutdown};

pub use cli::Cli;
use cli::{Command, Global};
use output::Output;

/// Runs a command and says how it ended.
pub fn run(cli: Cli) -> ExitCode {
    let process = cli.global.process.clone();
    fleet::run_program(&process, async {
        // The reader of our output has had enough, as `head` does.
        execute(cli).await.or_else(|error| if is_broken_pipe(&error) { Ok(()) } else { Err(error) })
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

async fn execute(Cli { global, command }: Cli) -> Result<()> {
    let out = &mut Output::new(&global);
    match &command {
        Command::Completions { shell } => completions(*shell, out),
        Command::Man => manual(out),
        Command::Config(cli::ConfigCommand::Check { file, elsewhere }) => {
            let config = load(&global, file.as_deref())?;
            if !elsewhere {
                config.check_repositories()?;
            }
            commands::config::check(&config, out)
        }
        Command::Demo(demo) => {
            let (config, shutdown) = prepare(&global)?;
            shutdown.run(Box::pin(commands::demo::run(demo, config, &shutdown, out))).await
        }
        Command::Up(up) => {
            let (config, shutdown) = prepare(&global)?;
            shutdown.run(Box::pin(commands::up::run(up, config, &shutdown, out))).await
        }
        Command::Bench(command) => {
            let (config, shutdown) = prepare(&global)?;
            shutdown.run(Box::pin(bench::run(command, config, out))).await
        }
        Command::Enqueue(enqueue) => commands::enqueue::run(enqueue, &open(&global).await?, out).await,
        Command::Jobs(jobs) => commands::jobs::run(jobs, &open(&global).await?, out).await,
        Command::Queues(queues) => commands::queues::run(queues, open(&global).await?.queue.as_ref(), out).await,
        Command::DeadLetters(letters) => {
            commands::dead_letters::run(letters, open(&global).await?.queue.as_ref(), out).await
        }
        Command::Cron(cron) => commands::cron::run(cron, open(&global).await?.queue.as_ref(), out).await,
        Command::Prune(prune) => commands::prune::run(prune, open(&global).await?.queue.as_ref(), out).await,
        Command::Migrate => commands::migrate::run(load(&global, None)?, out).await,
    }
}

fn completions(shell: clap_complete::Shell, out: &mut Output) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "reviewfleet", &mut script);
    Ok(out.raw(&script)?)
}

fn manual(out: &mut Output) -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(out.raw(&page)?)
}

/// What a command needs that runs until it is done or told to stop.
fn prepare(global: &Global) -> Result<(Config, Shutdown)> {
    let config = load(global, None)?;
    fleet::install_tls();
    Ok((config, Shutdown::on_signals()?))
}

async fn open(global: &Global) -> Result<Fleet> {
    Ok(Fleet::attach(load(global, None)?).await?)
}

fn load(global: &Global, file: Option<&Path>) -> Result<Config> {
    let mut config = global.process.load(file)?;
    if let Some(data_dir) = &global.data_dir {
        config.embed_in(data_dir);
    }
    Ok(config)
}
