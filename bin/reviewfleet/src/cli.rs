use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use job::{ConcurrencyKey, JobId, JobKind, QueueName, StateName};
use review::{CommitId, RepositoryName};

/// A durable job queue and a fleet of workers that turn pull requests into reviews.
#[derive(Debug, Parser)]
#[command(name = "reviewfleet", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What all commands share.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of all commands.
#[derive(Debug, Args)]
pub struct Global {
    /// Configuration file [default: workers.toml where it exists, else built-in defaults]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Postgres database of queue and ledger, over the environment's and the configuration's. All users of this machine can
    /// see it here: a password belongs in the environment
    #[arg(long, global = true, value_name = "URL", conflicts_with = "data_dir")]
    pub database_url: Option<String>,
    /// Folder of the embedded store, over whatever database is named elsewhere
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON, one document or one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Review the last commits of a git repository, with nothing installed
    Demo(Demo),
    /// Run API and workers in one process, until it is told to stop
    Up(Up),
    /// Put a review job into the queue
    Enqueue(Enqueue),
    /// Look at jobs, cancel or retry them
    #[command(subcommand)]
    Jobs(Jobs),
    /// Show the depth of the queues, pause, resume and limit them
    Queues(Queues),
    /// Look at jobs that were given up, and replay them
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Bring the databases to this program's schema
    Migrate,
    /// Check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Measure this machine: the queue and its latency
    Bench(Bench),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// The git repository whose commits to review
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// How many of its last commits
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub commits: u16,
    /// Keep the databases, and print where they are
    #[arg(long)]
    pub keep: bool,
}

/// Options of `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Address of the API, over the configuration's
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<std::net::SocketAddr>,
}

/// Options of `enqueue`.
#[derive(Debug, Args)]
pub struct Enqueue {
    /// owner/name, as the forge knows the repository
    #[arg(long)]
    pub repository: RepositoryName,
    /// The commit to review up to: its whole SHA
    #[arg(long)]
    pub head: CommitId,
    /// The commit to compare with [default: the head's first parent]
    #[arg(long)]
    pub base: Option<CommitId>,
    /// Whose pull request it is
    #[arg(long)]
    pub user: String,
    /// The user's tier
    #[arg(long)]
    pub tier: Option<String>,
}

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// List jobs, newest first
    List(JobsList),
    /// Show one job with its attempts and errors
    Show {
        /// Its id
        id: JobId,
    },
    /// Cancel a waiting job, or ask a running one to stop
    Cancel {
        /// Its id
        id: JobId,
    },
    /// Start a waiting job now, or a dead or cancelled one anew
    Retry {
        /// Its id
        id: JobId,
    },
}

/// Which jobs to list.
#[derive(Debug, Args)]
pub struct JobsList {
    /// Of this queue
    #[arg(long)]
    pub queue: Option<QueueName>,
    /// In this state: scheduled, ready, parked, leased, completed, dead or cancelled
    #[arg(long)]
    pub state: Option<StateName>,
    /// Of this kind
    #[arg(long)]
    pub kind: Option<JobKind>,
    /// Of this concurrency key, such as user:alice
    #[arg(long)]
    pub key: Option<ConcurrencyKey>,
    /// Older than this job: the last one of the page before
    #[arg(long, value_name = "ID")]
    pub before: Option<JobId>,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
}

/// What to do with queues.
#[derive(Debug, Args)]
pub struct Queues {
    /// Without one: show the depth of all
    #[command(subcommand)]
    pub command: Option<QueuesCommand>,
}

/// What to do with a queue.
#[derive(Debug, Subcommand)]
pub enum QueuesCommand {
    /// Keep jobs from starting; running ones go on
    Pause(QueueOrKey),
    /// End a pause
    Resume(QueueOrKey),
    /// Change a limit at once; running jobs go on
    Limit {
        /// Whose
        #[command(flatten)]
        target: QueueOrKey,
        /// At most so many at once [default: take the limit away, or give the key back to its class]
        limit: Option<u32>,
    },
}

/// A queue, or one concurrency key of it.
#[derive(Debug, Args)]
pub struct QueueOrKey {
    /// Which queue
    pub queue: QueueName,
    /// Only this concurrency key, such as user:alice
    #[arg(long)]
    pub key: Option<ConcurrencyKey>,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List them, newest first
    List(DeadLettersFilter),
    /// Start them anew with a fresh budget, keeping identity and history
    #[command(override_usage = "reviewfleet dead-letters replay [OPTIONS] <ID|--all>")]
    Replay {
        /// One of them
        id: Option<JobId>,
        /// All that the filter names
        #[arg(long, conflicts_with = "id", required_unless_present = "id")]
        all: bool,
        /// Which of them
        #[command(flatten)]
        filter: DeadLettersFilter,
    },
}

/// Which dead letters.
#[derive(Debug, Args)]
pub struct DeadLettersFilter {
    /// Of this queue
    #[arg(long)]
    pub queue: Option<QueueName>,
    /// Of this kind
    #[arg(long)]
    pub kind: Option<JobKind>,
    /// How many
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read and cross-check it, and say what it comes to
    Check {
        /// The file [default: that of --config, else workers.toml]
        file: Option<PathBuf>,
        /// It is for another machine: do not look for its repositories here
        #[arg(long)]
        elsewhere: bool,
    },
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "claim-settle")]
    pub scenario: Vec<Scenario>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Claims and settlements of the embedded store, at 100,000 and at 1,000,000 waiting
    ClaimSettle,
    /// From the answer of an idle API to the handler's start
    Pickup,
}
