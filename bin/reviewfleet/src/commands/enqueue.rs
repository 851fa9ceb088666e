use anyhow::{Result, bail};
use fleet::{Fleet, Intake, Push};
use review::Change;
use serde_json::json;
use store::Enqueued;

use crate::{cli, output::Output};

/// Puts a review job into the queue as the API would, without going through it.
pub async fn run(command: &cli::Enqueue, fleet: &Fleet, out: &mut Output) -> Result<()> {
    let change =
        Change { repository: command.repository.clone(), head: command.head.clone(), base: command.base.clone() };
    let push = command.pull_request.zip(command.pushed_at).map(|(pull_request, at)| Push { pull_request, at });
    let job = Intake::of(&fleet.config)?.job(change, command.user.clone(), command.tier.as_deref(), push, None)?;
    let answer = fleet.queue.enqueue(std::slice::from_ref(&job)).await?.into_iter().next();
    let (id, duplicate, superseded) = match answer {
        Some(Enqueued::Inserted) => (job.id, false, false),
        Some(Enqueued::Duplicate(same)) => (same, true, false),
        Some(Enqueued::Superseded(newer)) => (newer, false, true),
        Some(Enqueued::Rejected(why)) => bail!(why),
        None => bail!("the store took the job and did not say what became of it"),
    };
    if out.is_json() {
        out.object(&json!({ "job_id": id, "duplicate": duplicate, "superseded": superseded }))?;
    } else {
        let instead = match (duplicate, superseded) {
            (true, _) => " (it was there already)",
            (_, true) => " (of a newer push, which has come before this one)",
            _ => "",
        };
        out.line(format_args!("job {id}{instead}"))?;
    }
    Ok(())
}
