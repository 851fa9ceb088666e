use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use fleet::ProcessOptions;
use jiff::Timestamp;
use job::{BuryReason, ConcurrencyKey, CronName, GroupName, JobId, JobKind, LimitClass, QueueName, StateName};
use postgres::{Address, AddressError};
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
    /// Those of every program.
    #[command(flatten)]
    pub process: ProcessOptions,
    /// Folder of the embedded store, over whatever database is named elsewhere
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "database_url")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON, one document or one object a line
    #[arg(long, global = true)]
    pub json: bool,
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
    /// Show the depth and the settings of the queues, pause, resume, limit, throttle and group them
    Queues(Queues),
    /// Look at schedules, set and remove them
    #[command(subcommand)]
    Cron(Cron),
    /// Look at jobs that were given up, and replay them
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Forget finished jobs
    Prune(Prune),
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
    /// The pull request's number: only its newest push is reviewed
    #[arg(long, value_name = "NUMBER", requires = "pushed_at")]
    pub pull_request: Option<u32>,
    /// When the head was pushed there, as 2026-11-25T13:58:06Z
    #[arg(long, value_name = "TIME", requires = "pull_request")]
    pub pushed_at: Option<Timestamp>,
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
    /// Created at this time or later, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub created_after: Option<Timestamp>,
    /// Created before this time
    #[arg(long, value_name = "TIME")]
    pub created_before: Option<Timestamp>,
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
        /// Each key of this class, such as user
        #[arg(long, conflicts_with = "key")]
        class: Option<LimitClass>,
        /// At most so many at once [default: take the limit away, or give the key back to its class]
        limit: Option<u32>,
    },
    /// Change how often jobs of each key of a class may start, at once
    Throttle {
        /// Which queue
        queue: QueueName,
        /// Which class, such as user
        class: LimitClass,
        /// At most so many starts in a period [default: take the throttle away]
        #[arg(requires = "period")]
        starts: Option<u32>,
        /// The period, such as 90s, 15m, 1h or 7d
        #[arg(long, value_parser = period, requires = "starts")]
        period: Option<Duration>,
        /// Refuse jobs that would have to wait for it
        #[arg(long, requires = "starts")]
        refuse: bool,
    },
    /// Give queues a limit that they share, or dissolve the group when none is named
    Group {
        /// The group's name
        group: GroupName,
        /// Its queues, in place of those it had
        queues: Vec<QueueName>,
        /// At most so many jobs of all of them at once [default: no limit]
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show all that is set for a queue
    Show {
        /// Which queue
        queue: QueueName,
    },
}

/// What to do with schedules.
#[derive(Debug, Subcommand)]
pub enum Cron {
    /// List them with their next and last firing
    List,
    /// Store a schedule, or change the one of that name
    Set(CronSet),
    /// Forget a schedule; its jobs stay
    Remove {
        /// Its name
        name: CronName,
    },
}

/// A schedule to be stored.
#[derive(Debug, Args)]
pub struct CronSet {
    /// Its name
    pub name: CronName,
    /// When: minute, hour, day of the month, month and day of the week, or @hourly, @daily, @weekly, @monthly or @yearly
    pub expression: String,
    /// Where its jobs wait
    #[arg(long)]
    pub queue: QueueName,
    /// Which handler they are for
    #[arg(long)]
    pub kind: JobKind,
    /// In which time zone
    #[arg(long, default_value = "UTC", value_name = "NAME")]
    pub time_zone: String,
    /// What they work on
    #[arg(long, default_value = "null", value_name = "JSON")]
    pub payload: String,
    /// Their rank
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i16,
    /// The concurrency key that they run under
    #[arg(long, requires = "class")]
    pub key: Option<ConcurrencyKey>,
    /// The limit class of the key
    #[arg(long, requires = "key")]
    pub class: Option<LimitClass>,
    /// Attempts that may fail before a job is dead
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=101))]
    pub max_attempts: u32,
    /// How long one attempt may take, such as 90s or 15m
    #[arg(long, default_value = "2m", value_parser = period)]
    pub timeout: Duration,
}

/// Which finished jobs to forget.
#[derive(Debug, Args)]
pub struct Prune {
    /// Those that ended before this time, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub before: Timestamp,
    /// Those that ended at this time or later
    #[arg(long, value_name = "TIME")]
    pub after: Option<Timestamp>,
    /// Of this queue
    #[arg(long)]
    pub queue: Option<QueueName>,
    /// In this state [default: completed and cancelled; dead letters only when they are named]
    #[arg(long, value_name = "completed|cancelled|dead")]
    pub state: Option<StateName>,
    /// Of this kind
    #[arg(long)]
    pub kind: Option<JobKind>,
    /// Of this concurrency key, such as user:alice
    #[arg(long)]
    pub key: Option<ConcurrencyKey>,
    /// Count them, and forget none
    #[arg(long)]
    pub dry_run: bool,
    /// How many
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
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
        /// Those that died of this: permanent, attempts-exhausted or crashes-exhausted
        #[arg(long, value_parser = reason)]
        reason: Option<BuryReason>,
        /// Those that died at this time or later, such as 2026-01-31T09:00:00Z
        #[arg(long, value_name = "TIME")]
        after: Option<Timestamp>,
        /// Those that died before this time
        #[arg(long, value_name = "TIME")]
        before: Option<Timestamp>,
        /// Count them, and replay none
        #[arg(long, conflicts_with = "id")]
        dry_run: bool,
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
    /// Of this concurrency key, such as user:alice
    #[arg(long)]
    pub key: Option<ConcurrencyKey>,
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
    /// Which store
    #[arg(long, value_enum, default_value = "sqlite")]
    pub backend: Backend,
    /// What to measure; may be given several times
    #[arg(long, value_enum, value_delimiter = ',', default_value = "claim-settle")]
    pub scenario: Vec<Scenario>,
    /// A Postgres server to measure, in a database that is made and removed; without it a private server is started
    #[arg(long, value_name = "URL", value_parser = address)]
    pub url: Option<Address>,
    /// Be the worker process of the scenario `memory`, on the store of the configuration
    #[arg(long, hide = true, exclusive = true)]
    pub hold: bool,
}

/// A store that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// A file in a temporary folder
    Sqlite,
    /// A database of its own on a Postgres server
    Postgres,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Jobs stored in batches
    EnqueueBatch,
    /// Jobs stored one a call, by many callers at once
    EnqueueSingle,
    /// Claims and settlements, with limits and turns
    ClaimSettle,
    /// Jobs that one worker works off
    Drain,
    /// From the answer of an idle API to the handler's start
    Pickup,
    /// As drain, and then amid a large backlog
    Backlog,
    /// As claim-settle, with few jobs and then with millions
    ManyKeys,
    /// Jobs of one key alone, several workers
    HotKey,
    /// How long one key's job waits for another key's backlog
    Noisy,
    /// Memory of a worker process that holds 10,000 jobs
    Memory,
}

/// An address of a Postgres server. The error repeats nothing of it, which may hold a password.
fn address(text: &str) -> Result<Address, AddressError> {
    text.parse()
}

/// A whole number of seconds, minutes, hours or days.
fn period(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time span: expected a number and a unit, such as 90s, 15m, 1h or 7d");
    let (at, unit) = text.char_indices().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number = text[..at].parse::<u32>().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

fn reason(text: &str) -> Result<BuryReason, String> {
    match text {
        "permanent" => Ok(BuryReason::Permanent),
        "attempts-exhausted" => Ok(BuryReason::AttemptsExhausted),
        "crashes-exhausted" => Ok(BuryReason::CrashesExhausted),
        _ => Err(format!("{text:?} is no reason: allowed are permanent, attempts-exhausted and crashes-exhausted")),
    }
}
