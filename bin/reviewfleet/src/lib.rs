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

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::CommandFactory;
use fleet::{Config, ConfigError, Environment, Fleet, Shutdown};

pub use cli::Cli;
use cli::{Command, Global};
use output::{BAD, Output};

/// A second signal came while the program was stopping.
#[derive(Debug, thiserror::Error)]
#[error("stopped at once, by a second signal")]
struct Forced;

/// A signal came before the command was done.
#[derive(Debug, thiserror::Error)]
#[error("stopped before the end")]
struct Stopped;

/// Runs a command and says how it ended.
pub fn run(cli: Cli) -> ExitCode {
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(execute(cli)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output has had enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = anstream::stderr();
            // Where standard error is gone, the exit code has to do.
            let _ = writeln!(stderr, "{BAD}error{BAD:#}: {error:#}");
            exit_code(&error)
        }
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<ConfigError>() {
        ExitCode::from(2)
    } else if error.is::<Forced>() || error.is::<Stopped>() {
        ExitCode::from(130)
    } else {
        ExitCode::FAILURE
    }
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
            attended(&shutdown, Box::pin(commands::demo::run(demo, config, &shutdown, out))).await
        }
        Command::Up(up) => {
            let (config, shutdown) = prepare(&global)?;
            attended(&shutdown, Box::pin(commands::up::run(up, config, &shutdown, out))).await
        }
        Command::Bench(command) => {
            let (_, shutdown) = prepare(&global)?;
            attended(&shutdown, bench::run(command, out)).await
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

/// Runs a command to its end, which a second signal cuts short.
async fn attended(shutdown: &Shutdown, command: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::select! {
        ended = command => ended,
        () = shutdown.forced() => Err(Forced.into()),
    }
}

async fn open(global: &Global) -> Result<Fleet> {
    Ok(Fleet::attach(load(global, None)?).await?)
}

fn load(global: &Global, file: Option<&Path>) -> Result<Config> {
    let config = Config::load(file.or(global.config.as_deref()), &Environment::of_process())?;
    let mut config = config.with_database(global.database_url.as_deref())?;
    if let Some(data_dir) = &global.data_dir {
        config.embed_in(data_dir);
    }
    Ok(config)
}
