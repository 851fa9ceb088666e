//! What every program of the fleet does alike: its first options, and how it ends.

use std::{
    error::Error,
    io::{self, Write},
    iter,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};

use crate::{Config, ConfigError, Environment, Interrupted, Shutdown};

/// Exit code of a program whose command line or configuration is wrong: clap's own for a command line.
const WRONG_CONFIGURATION: u8 = 2;
/// How the word that begins a failure's line is shown where there is colour.
const ERROR: Style = AnsiColor::Red.on_default();

/// Options of every program of the fleet.
#[derive(Debug, Clone, Args)]
pub struct ProcessOptions {
    /// Configuration file [default: workers.toml where it exists, else built-in defaults]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Postgres database of queue and ledger, over the environment's and the configuration's. All users of this machine can
    /// see it here: a password belongs in the environment
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless the environment says otherwise (`NO_COLOR`, `CLICOLOR_FORCE`, `TERM`).
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ProcessOptions {
    /// The configuration that the options name. A `file` that is named beside them goes before theirs.
    pub fn load(&self, file: Option<&Path>) -> Result<Config, ConfigError> {
        Config::load(file.or(self.config.as_deref()), &Environment::of_process())?
            .with_database(self.database_url.as_deref())
    }
}

impl Colour {
    /// Makes it the choice of the whole process: its output's and its log's.
    fn choose(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// No thread or no timer could be had of the system.
#[derive(Debug, thiserror::Error)]
#[error("the program cannot start")]
struct NoRuntime(#[source] io::Error);

/// Runs a program to its end, inside a runtime of its own, and says how that was: 0 done, 1 failed, 2 the configuration is
/// wrong, 130 ended by a signal. What went wrong is one line on standard error, with its causes.
pub fn run_program<E: AsRef<dyn Error + Send + Sync>>(
    options: &ProcessOptions,
    program: impl Future<Output = Result<(), E>>,
) -> ExitCode {
    options.color.choose();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&NoRuntime(error)),
    };
    match runtime.block_on(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

fn failed(error: &(dyn Error + 'static)) -> ExitCode {
    let why = store::chain(error);
    // Where standard error is gone, the exit code has to do.
    let _ = writeln!(anstream::stderr(), "{ERROR}error{ERROR:#}: {why}");
    let mut causes = iter::successors(Some(error), |error| (**error).source());
    causes.find_map(exit_code).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn exit_code(cause: &(dyn Error + 'static)) -> Option<u8> {
    if cause.is::<ConfigError>() {
        Some(WRONG_CONFIGURATION)
    } else {
        cause.is::<Interrupted>().then_some(Shutdown::FORCED_EXIT_CODE)
    }
}
