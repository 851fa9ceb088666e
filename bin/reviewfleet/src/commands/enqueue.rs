use anyhow::{Result, bail};
use fleet::{Fleet, Intake};
use review::Change;
use serde_json::json;
use store::Enqueued;

use crate::{cli, output::Output};

/// Puts a review job into the queue as the API would, without going through it.
pub async fn run(command: &cli::Enqueue, fleet: &Fleet, out: &mut Output) -> Result<()> {
    let change =
        Change { repository: command.repository.clone(), head: command.head.clone(), base: command.base.clone() };
    let job = Intake::of(&fleet.config)?.job(change, command.user.clone(), command.tier.as_deref(), None)?;
    let answer = fleet.queue.enqueue(std::slice::from_ref(&job)).await?.into_iter().next();
    let (id, duplicate) = match answer {
        Some(Enqueued::Inserted) => (job.id, false),
        // The job that is there in place of this one: the same, or a newer version of it.
        Some(Enqueued::Duplicate(other) | Enqueued::Superseded(other)) => (other, true),
        Some(Enqueued::Rejected(why)) => bail!(why),
        None => bail!("the store took the job and did not say what became of it"),
    };
    if out.is_json() {
        out.object(&json!({ "job_id": id, "duplicate": duplicate }))?;
    } else {
        let already = if duplicate { " (it was there already)" } else { "" };
        out.line(format_args!("job {id}{already}"))?;
    }
    Ok(())
}
