use anyhow::{Result, bail};
use job::StateName;
use serde::Serialize;
use store::{JobFilter, QueueBackend, ReplayFilter, Retried};

use super::{jobs, queues};
use crate::{
    cli::{DeadLetters, DeadLettersFilter},
    output::Output,
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
        DeadLetters::Replay { id: None, filter, .. } => replay(filter, queue, out).await,
    }
}

async fn list(filter: &DeadLettersFilter, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    let filter = JobFilter {
        queue: filter.queue.clone(),
        state: Some(StateName::Dead),
        kind: filter.kind.clone(),
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

async fn replay(filter: &DeadLettersFilter, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    let total: usize = filter.limit.into();
    let bar = out.progress("replaying", total as u64);
    let (mut replayed, mut more) = (0, true);
    while more && replayed < total {
        let max = REPLAY_BATCH.min(total - replayed);
        let filter =
            ReplayFilter { queue: filter.queue.clone(), kind: filter.kind.clone(), max, ..ReplayFilter::default() };
        let (count, left) = queue.replay(&filter).await?;
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
