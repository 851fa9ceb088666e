use anyhow::{Result, bail};
use fleet::Fleet;
use job::{CancelReason, JobId, JobState, StateName};
use ledger::Ledger;
use serde::Serialize;
use store::{JobFilter, JobView, QueueBackend, Retried};

use super::queues;
use crate::{
    cli::{Jobs, JobsList},
    output::{BAD, FAINT, GOOD, HEADING, Output, WARN, one_line},
};

/// Most characters of an error in a list; `jobs show` prints the whole.
const LIST_ERROR_CHARS: usize = 80;

pub async fn run(command: &Jobs, fleet: &Fleet, out: &mut Output) -> Result<()> {
    let queue = fleet.queue.as_ref();
    match command {
        Jobs::List(filter) => list(filter, queue, out).await,
        Jobs::Show { id } => show(*id, queue, fleet.ledger.as_ref(), out).await,
        Jobs::Cancel { id } => cancel(*id, queue, out).await,
        Jobs::Retry { id } => retry(*id, queue, out).await,
    }
}

async fn list(command: &JobsList, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    if let Some(name) = &command.queue {
        queues::known(name, queue).await?;
    }
    let filter = JobFilter {
        queue: command.queue.clone(),
        state: command.state,
        kind: command.kind.clone(),
        key: command.key.clone(),
        before: command.before,
        created_after: command.created_after,
        created_before: command.created_before,
        limit: command.limit.into(),
    };
    let page = queue.list(&filter).await?;
    print_list(&page.jobs, "jobs", out)?;
    if let Some(next) = page.next
        && !out.is_json()
    {
        out.line(format_args!("{FAINT}older ones: --before {next}{FAINT:#}"))?;
    }
    Ok(())
}

/// Prints jobs as a table, or as one JSON object a line. `what` they are says a list without any.
pub fn print_list(jobs: &[JobView], what: &str, out: &mut Output) -> Result<()> {
    if out.is_json() {
        jobs.iter().try_for_each(|job| out.object(job))?;
        return Ok(());
    }
    if jobs.is_empty() {
        out.line(format_args!("no {what}"))?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = jobs.iter().map(row).collect();
    out.table(&["ID", "QUEUE", "KIND", "STATE", "ATTEMPT", "KEY", "LAST ERROR"], &rows)?;
    Ok(())
}

fn row(view: &JobView) -> Vec<String> {
    let job = &view.job;
    vec![
        job.id.to_string(),
        job.queue.to_string(),
        job.kind.to_string(),
        view.state.name().to_string(),
        format!("{}/{}", job.attempt, job.max_attempts),
        job.concurrency.as_ref().map(|c| one_line(c.key.as_str(), 40)).unwrap_or_default(),
        view.errors.last().map(|e| one_line(&e.message, LIST_ERROR_CHARS)).unwrap_or_default(),
    ]
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    job: &'a JobView,
    review: Option<String>,
}

async fn show(id: JobId, queue: &dyn QueueBackend, ledger: &dyn Ledger, out: &mut Output) -> Result<()> {
    let Some(view) = queue.get(id).await? else { bail!("there is no job {id}") };
    let review = ledger.review_of_job(id).await?.map(|r| r.review.id.to_string());
    if out.is_json() {
        out.object(&Shown { job: &view, review })?;
        return Ok(());
    }
    let job = &view.job;
    out.line(format_args!("{HEADING}{}{HEADING:#}  {}", job.id, coloured(&view.state)))?;
    let mut fact = |name: &str, value: &str| out.line(format_args!("  {name:<12} {value}"));
    fact("queue", job.queue.as_str())?;
    fact("kind", job.kind.as_str())?;
    fact("priority", &job.priority.0.to_string())?;
    if let Some(supersede) = &job.supersede {
        let (key, version) = (one_line(supersede.key.as_str(), 256), one_line(supersede.version.id.as_str(), 256));
        fact("version", &format!("{version} of {key}, of {}", supersede.version.at))?;
    }
    if let Some(concurrency) = &job.concurrency {
        fact("key", &format!("{} (limit class {})", one_line(concurrency.key.as_str(), 256), concurrency.class))?;
    }
    fact("attempt", &format!("{} of {}, {} crashes", job.attempt, job.max_attempts, job.crashes))?;
    fact("created", &job.created_at.to_string())?;
    fact("state", &described(&view.state))?;
    if !view.checkpoints.is_empty() {
        fact("checkpoints", &view.checkpoints.join(", "))?;
    }
    if let Some(review) = &review {
        fact("review", review)?;
    }
    fact("payload", &one_line(job.payload.as_str(), 2_000))?;
    for error in &view.errors {
        let at = error.at.map(|at| at.to_string()).unwrap_or_default();
        out.line(format_args!(
            "  {BAD}attempt {}{BAD:#} {FAINT}{at}{FAINT:#} {}",
            error.attempt,
            one_line(&error.message, 4_096)
        ))?;
    }
    Ok(())
}

fn coloured(state: &JobState) -> String {
    let name = state.name();
    let style = match name {
        StateName::Completed => GOOD,
        StateName::Dead => BAD,
        StateName::Cancelled | StateName::Parked => WARN,
        StateName::Scheduled | StateName::Ready | StateName::Leased => HEADING,
    };
    format!("{style}{name}{style:#}")
}

fn described(state: &JobState) -> String {
    match state {
        JobState::Scheduled { run_at } => format!("scheduled for {run_at}"),
        JobState::Ready { since } => format!("ready since {since}"),
        JobState::Parked => "parked: its key is at its limit, throttled or paused, or an older version runs".to_owned(),
        JobState::Leased { worker, since, expires_at, cancel_requested } => {
            let stop = match cancel_requested {
                None => "",
                Some(CancelReason::Requested) => ", told to stop",
                Some(CancelReason::Superseded) => ", told to stop since a newer version has come",
            };
            format!("leased by {} since {since}, until {expires_at}{stop}", one_line(worker.as_str(), 128))
        }
        JobState::Completed { at } => format!("completed at {at}"),
        JobState::Dead { at, reason } => format!("dead since {at} ({})", bury_reason(*reason)),
        JobState::Cancelled { at, reason: CancelReason::Requested } => format!("cancelled at {at}"),
        JobState::Cancelled { at, reason: CancelReason::Superseded } => {
            format!("cancelled at {at}: a newer version has come")
        }
    }
}

const fn bury_reason(reason: job::BuryReason) -> &'static str {
    match reason {
        job::BuryReason::Permanent => "no retry would mend it",
        job::BuryReason::AttemptsExhausted => "all attempts failed",
        job::BuryReason::CrashesExhausted => "it took its worker down too often",
    }
}

async fn cancel(id: JobId, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    let Some(state) = queue.cancel(id, CancelReason::Requested).await? else { bail!("there is no job {id}") };
    match state {
        JobState::Cancelled { .. } => told(out, id, "cancelled"),
        JobState::Leased { .. } => told(out, id, "told to stop"),
        other => bail!("job {id} is {} already: only a job that waits or runs can be cancelled", other.name()),
    }
}

async fn retry(id: JobId, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    match queue.retry(id).await? {
        Retried::Done => told(out, id, "waits to start"),
        other => bail!("{}", refusal(id, other)),
    }
}

/// Why a job was not retried, in words.
pub fn refusal(id: JobId, retried: Retried) -> String {
    match retried {
        Retried::Done => format!("job {id} waits to start"),
        Retried::NotFound => format!("there is no job {id}"),
        Retried::NotRetryable(state) => {
            format!("job {id} is {state}: allowed are waiting, dead and cancelled jobs")
        }
        Retried::KeyTaken(other) => format!("the unique key of job {id} is taken by job {other}"),
        Retried::Superseded(other) => format!("job {id} is superseded by a newer version, job {other}"),
    }
}

#[derive(Serialize)]
struct Told {
    id: JobId,
    result: &'static str,
}

/// Says what became of a job.
pub fn told(out: &mut Output, id: JobId, result: &'static str) -> Result<()> {
    if out.is_json() {
        return Ok(out.object(&Told { id, result })?);
    }
    Ok(out.line(format_args!("job {id}: {result}"))?)
}
