use anyhow::{Result, bail};
use job::QueueName;
use serde::Serialize;
use store::{LimitTarget, PauseTarget, QueueBackend, QueueStats};

use crate::{
    cli::{QueueOrKey, Queues, QueuesCommand},
    output::{Output, duration},
};

pub async fn run(command: &Queues, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    match &command.command {
        None => depth(&queue.stats().await?, out),
        Some(QueuesCommand::Pause(target)) => {
            known(&target.queue, queue).await?;
            queue.pause(&pause_target(target)).await?;
            told(target, "paused", out)
        }
        Some(QueuesCommand::Resume(target)) => {
            known(&target.queue, queue).await?;
            queue.resume(&pause_target(target)).await?;
            told(target, "resumed", out)
        }
        Some(QueuesCommand::Limit { target, limit }) => {
            known(&target.queue, queue).await?;
            queue.set_limit(&limit_target(target), *limit).await?;
            match limit {
                Some(limit) => told(target, &format!("limited to {limit} at once"), out),
                None if target.key.is_some() => told(target, "back at the limit of its class", out),
                None => told(target, "without a limit", out),
            }
        }
    }
}

/// Refuses the name of a queue that there is not, which would else look like an empty one.
pub async fn known(name: &QueueName, queue: &dyn QueueBackend) -> Result<()> {
    let stats = queue.stats().await?;
    if stats.iter().any(|s| s.queue == *name) {
        return Ok(());
    }
    let names: Vec<&str> = stats.iter().map(|s| s.queue.as_str()).collect();
    let names = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
    bail!("there is no queue {name}: allowed are {names}")
}

fn pause_target(target: &QueueOrKey) -> PauseTarget {
    match &target.key {
        Some(key) => PauseTarget::Key(target.queue.clone(), key.clone()),
        None => PauseTarget::Queue(target.queue.clone()),
    }
}

fn limit_target(target: &QueueOrKey) -> LimitTarget {
    match &target.key {
        Some(key) => LimitTarget::Key(target.queue.clone(), key.clone()),
        None => LimitTarget::Queue(target.queue.clone()),
    }
}

#[derive(Serialize)]
struct Told<'a> {
    queue: &'a str,
    key: Option<&'a str>,
    result: &'a str,
}

fn told(target: &QueueOrKey, result: &str, out: &mut Output) -> Result<()> {
    let key = target.key.as_ref().map(job::ConcurrencyKey::as_str);
    if out.is_json() {
        out.object(&Told { queue: target.queue.as_str(), key, result })?;
    } else {
        let key = key.map(|k| format!(", key {k}")).unwrap_or_default();
        out.line(format_args!("queue {}{key}: {result}", target.queue))?;
    }
    Ok(())
}

fn depth(stats: &[QueueStats], out: &mut Output) -> Result<()> {
    if out.is_json() {
        stats.iter().try_for_each(|s| out.object(s))?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = stats.iter().map(row).collect();
    let heading = ["QUEUE", "READY", "PARKED", "SCHEDULED", "RUNNING", "DEAD", "OLDEST READY", "LIMIT", ""];
    out.table(&heading, &rows)?;
    Ok(())
}

fn row(stats: &QueueStats) -> Vec<String> {
    vec![
        stats.queue.to_string(),
        stats.ready.to_string(),
        stats.parked.to_string(),
        stats.scheduled.to_string(),
        stats.leased.to_string(),
        stats.dead.to_string(),
        stats.oldest_ready.map_or_else(|| "-".to_owned(), duration),
        stats.limit.map_or_else(|| "-".to_owned(), |l| l.to_string()),
        if stats.paused { "paused".to_owned() } else { String::new() },
    ]
}
