use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use fleet::{Config, Interrupted, REVIEW_QUEUE, Shutdown, TelemetryConfig, USER_CLASS, UrlFrom};
use job::{LimitClass, QueueName};
use review::{CommitId, LocalGit, RepositoryName};
use secrecy::SecretString;
use tempfile::TempDir;
use uuid::Uuid;

use super::report;
use crate::{
    cli,
    client::{Client, JobAnswer, ReviewAnswer},
    output::{FAINT, HEADING, Output, WARN, counted, duration},
    repository,
    service::Service,
};

/// Workers in the process, each with slots of its own: as many as show that jobs run side by side.
const WORKERS: usize = 2;
/// Slots of each worker.
const SLOTS: usize = 4;
/// Jobs of one user at once: fewer than there are slots, so that the limit is seen to hold.
const USER_LIMIT: u32 = 4;
/// The users whose pull requests the commits are taken for, in turn.
const USERS: [&str; 2] = ["ann", "ben"];
/// How often unfinished jobs are asked after.
const POLL: Duration = Duration::from_millis(20);
/// The longest that all reviews may take: a model that hangs must not keep the demo for ever.
const DEADLINE: Duration = Duration::from_mins(30);

/// A commit on its way through the queue.
struct Posted {
    commit: CommitId,
    job: String,
}

/// Where the databases lie: a folder that goes with the demo, or one that is kept.
enum Folder {
    Passing(TempDir),
    Kept(std::path::PathBuf),
}

impl Folder {
    fn make(keep: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("reviewfleet-demo-").tempdir().context("no temporary folder")?;
        Ok(if keep { Self::Kept(dir.keep()) } else { Self::Passing(dir) })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Passing(dir) => dir.path(),
            Self::Kept(path) => path,
        }
    }
}

pub async fn run(command: &cli::Demo, mut config: Config, shutdown: &Shutdown, out: &mut Output) -> Result<()> {
    let begun = Instant::now();
    if config.store.url_from == UrlFrom::CommandLine {
        bail!("demo keeps its queue in a folder that goes with it: `up --database-url URL` runs on a database");
    }
    let root = LocalGit::discover(&command.repo)?;
    let repository = repository::name_of(&root);
    let commits = LocalGit::last_commits(&root, command.commits.into())?;
    let folder = Folder::make(command.keep)?;
    let key = SecretString::from(Uuid::new_v4().to_string());
    configure(&mut config, folder.path(), &key, &repository, &root)?;
    introduce(&config, &root, &repository, &commits, out)?;

    // Its own lines tell what happens; RUST_LOG brings the log's back.
    if config.telemetry.log_level == TelemetryConfig::default().log_level {
        "warn".clone_into(&mut config.telemetry.log_level);
    }
    let telemetry = fleet::telemetry::init(&config.telemetry)?;
    let service = Service::start(config, telemetry.metrics, WORKERS).await?;
    let client = Client::new(service.url(), key)?;
    if !out.is_json() {
        out.line(format_args!("Queue:    embedded SQLite in {}; API on {}", folder.path().display(), service.url()))?;
        out.line(format_args!(
            "Workers:  {WORKERS} with {SLOTS} slots each; at most {USER_LIMIT} jobs of one user at once"
        ))?;
    }
    let ended = tokio::select! {
        ended = work(&service, &client, &repository, &root, commits, out) => ended,
        () = shutdown.requested() => Err(Interrupted::BeforeTheEnd.into()),
    };
    // Whatever happened, nothing is left running.
    service.stop().await?;
    let jobs = ended?;
    let dead = jobs.iter().filter(|(_, job, _)| job.state != "completed").count();
    report::summary(&jobs.iter().map(|(_, job, review)| (job, review.as_ref())).collect::<Vec<_>>(), begun, out)?;
    if let Folder::Kept(path) = &folder
        && !out.is_json()
    {
        out.line(format_args!("Kept:     reviewfleet --data-dir {} jobs list", path.display()))?;
    }
    if dead > 0 {
        bail!("{dead} of {} reviews did not come about", jobs.len());
    }
    Ok(())
}

/// The configuration's models and settings, with everything else the demo's own.
fn configure(
    config: &mut Config,
    data: &Path,
    key: &SecretString,
    repository: &RepositoryName,
    root: &Path,
) -> Result<()> {
    config.embed_in(data);
    config.forge.repositories = [(repository.clone(), root.to_owned())].into();
    config.api.listen = ([127, 0, 0, 1], 0).into();
    config.secrets.api_keys = vec![key.clone()];
    config.worker.concurrency = SLOTS;
    // What is cut short goes with the folder: nobody waits for it.
    config.worker.drain_grace = Duration::ZERO;
    let queue = config.queues.entry(QueueName::new(REVIEW_QUEUE)?).or_default();
    queue.limits.insert(LimitClass::new(USER_CLASS)?, USER_LIMIT);
    // As many commits are reviewed as were asked for.
    config.tiers.values_mut().for_each(|tier| tier.daily = None);
    Ok(())
}

fn introduce(
    config: &Config,
    root: &Path,
    repository: &RepositoryName,
    commits: &[CommitId],
    out: &mut Output,
) -> Result<()> {
    if out.is_json() {
        return Ok(());
    }
    out.line(format_args!(
        "{HEADING}reviewfleet demo{HEADING:#}: the last {} of {} as {repository}",
        if commits.len() == 1 { "commit".to_owned() } else { counted(commits.len(), "commit") },
        root.display()
    ))?;
    out.line(format_args!("Reviewer: {}", config.reviewer_line()))?;
    Ok(())
}

async fn work(
    service: &Service,
    client: &Client,
    repository: &RepositoryName,
    root: &Path,
    commits: Vec<CommitId>,
    out: &mut Output,
) -> Result<Vec<(CommitId, JobAnswer, Option<ReviewAnswer>)>> {
    index(service, repository, root, out).await?;
    let mut posted = Vec::new();
    for (i, commit) in commits.into_iter().enumerate() {
        let job = client.post_review(repository, &commit, USERS[i % USERS.len()]).await?;
        posted.push(Posted { commit, job });
    }
    if !out.is_json() {
        out.line(format_args!(
            "Posted:   {} over HTTP, by {}",
            counted(posted.len(), "job"),
            USERS[..posted.len().min(USERS.len())].join(" and ")
        ))?;
    }
    let bar = out.progress("reviewing", posted.len() as u64);
    let deadline = Instant::now() + DEADLINE;
    let mut ended = Vec::with_capacity(posted.len());
    for Posted { commit, job } in posted {
        let answer = loop {
            let answer = client.job(&job).await?;
            if answer.has_ended() {
                break answer;
            }
            if Instant::now() > deadline {
                bail!("the reviews are not done after {}", duration(DEADLINE));
            }
            tokio::time::sleep(POLL).await;
        };
        let review = match &answer.links.review {
            Some(path) => Some(client.review(path).await?),
            None => None,
        };
        bar.suspend(|| report::review(&commit, &answer, review.as_ref(), out))?;
        bar.inc(1);
        ended.push((commit, answer, review));
    }
    bar.finish_and_clear();
    Ok(ended)
}

async fn index(service: &Service, repository: &RepositoryName, root: &Path, out: &mut Output) -> Result<()> {
    let head = LocalGit::head(root)?;
    let bar = out.progress("indexing", 0);
    let shown = bar.clone();
    let facts = service.index(repository, &head, move |done, total| {
        shown.set_length(total as u64);
        shown.set_position(done as u64);
    });
    let facts = match facts.await {
        Ok(facts) => facts,
        Err(e) => {
            bar.finish_and_clear();
            if !out.is_json() {
                out.line(format_args!("{WARN}Context:  none, {e}{WARN:#}"))?;
            }
            return Ok(());
        }
    };
    bar.finish_and_clear();
    if !out.is_json() {
        out.line(format_args!(
            "Context:  {} of {} in {}, indexed in {} {FAINT}({} KiB){FAINT:#}",
            counted(facts.files, "file"),
            head.short(),
            counted(facts.chunks, "piece"),
            duration(facts.took),
            facts.bytes / 1024
        ))?;
    }
    Ok(())
}
