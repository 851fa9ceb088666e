use anyhow::Result;
use serde::Serialize;
use store::{PruneFilter, QueueBackend};

use super::queues;
use crate::{
    cli::Prune,
    output::{Output, counted},
};

/// Jobs that one call to the store forgets: it serves others in between.
const BATCH_MAX: usize = 10_000;

#[derive(Serialize)]
struct Outcome {
    forgotten: usize,
    more: bool,
    dry_run: bool,
}

pub async fn run(command: &Prune, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    if let Some(name) = &command.queue {
        queues::known(name, queue).await?;
    }
    let total = command.limit as usize;
    let filter = PruneFilter {
        queue: command.queue.clone(),
        state: command.state,
        kind: command.kind.clone(),
        key: command.key.clone(),
        finished_after: command.after,
        finished_before: Some(command.before),
        max: total,
        dry_run: command.dry_run,
    };
    let (mut pruned, mut more) = (0, true);
    if command.dry_run {
        (pruned, more) = queue.prune_matching(&filter).await?;
    } else {
        while more && pruned < total {
            let max = BATCH_MAX.min(total - pruned);
            let (count, left) = queue.prune_matching(&PruneFilter { max, ..filter.clone() }).await?;
            pruned += count;
            more = left && count > 0;
        }
    }
    if out.is_json() {
        return Ok(out.object(&Outcome { forgotten: pruned, more, dry_run: command.dry_run })?);
    }
    let what = if command.dry_run { "would be forgotten" } else { "forgotten" };
    let rest = if more { "; there are more" } else { "" };
    Ok(out.line(format_args!("{} {what}{rest}", counted(pruned, "finished job")))?)
}
