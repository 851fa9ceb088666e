use anyhow::{Result, bail};
use job::StateName;
use serde::Serialize;
use store::{JobFilter, QueueBackend, ReplayFilter, Retried};

use super::{jobs, queues};
use crate::{
    cli::{DeadLetters, DeadLettersFilter},
    output::{Output, counted},
};

/// Jobs that one call to the store replays.
const REPLAY_BATCH: usize = 500;

pub async fn run(command: &DeadLetters, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    let (DeadLetters::List(filter) | DeadLetters::Replay { filter, .. }) = command;
    if let Some(name) = &filter.queue {
        queues::known(name, queue).await?;
    }
    match command {
        DeadLetters::List(filter) => list(filter, queue, out).await,
        DeadLetters::Replay { id: Some(id), .. } => {
            let dead = queue.get(*id).await?.is_some_and(|view| view.state.name() == StateName::Dead);
            match if dead { queue.retry(*id).await? } else { Retried::NotFound } {
                Retried::Done => jobs::told(out, *id, "waits to start"),
                Retried::NotFound => bail!("there is no dead letter {id}"),
                other => bail!("{}", jobs::refusal(*id, other)),
            }
        }
        DeadLetters::Replay { id: None, filter, reason, after, before, dry_run, .. } => {
            let which = ReplayFilter {
                queue: filter.queue.clone(),
                kind: filter.kind.clone(),
                key: filter.key.clone(),
                reason: *reason,
                finished_after: *after,
                finished_before: *before,
                max: filter.limit.into(),
                dry_run: *dry_run,
            };
            if *dry_run { count(&which, queue, out).await } else { replay(&which, queue, out).await }
        }
    }
}

async fn list(filter: &DeadLettersFilter, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    let filter = JobFilter {
        queue: filter.queue.clone(),
        state: Some(StateName::Dead),
        kind: filter.kind.clone(),
        key: filter.key.clone(),
        limit: filter.limit.into(),
        ..JobFilter::default()
    };
    let page = queue.list(&filter).await?;
    jobs::print_list(&page.jobs, "dead letters", out)
}

#[derive(Serialize)]
struct Replayed {
    replayed: usize,
    more: bool,
}

#[derive(Serialize)]
struct Counted {
    would_replay: usize,
    more: bool,
}

async fn count(filter: &ReplayFilter, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    let (would_replay, more) = queue.replay(filter).await?;
    if out.is_json() {
        return Ok(out.object(&Counted { would_replay, more })?);
    }
    let rest = if more { "; there are more" } else { "" };
    Ok(out.line(format_args!("{} would be replayed{rest}", counted(would_replay, "dead letter")))?)
}

async fn replay(filter: &ReplayFilter, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    let total = filter.max;
    let bar = out.progress("replaying", total as u64);
    let (mut replayed, mut more) = (0, true);
    while more && replayed < total {
        let max = REPLAY_BATCH.min(total - replayed);
        let (count, left) = queue.replay(&ReplayFilter { max, ..filter.clone() }).await?;
        replayed += count;
        // A batch that replays nothing would be answered the same for ever: its keys are taken.
        more = left && count > 0;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    if out.is_json() {
        out.object(&Replayed { replayed, more })?;
    } else {
        let rest = if more { "; there are more" } else { "" };
        let letters = if replayed == 1 { "dead letter waits" } else { "dead letters wait" };
        out.line(format_args!("{replayed} {letters} to start{rest}"))?;
    }
    Ok(())
}
