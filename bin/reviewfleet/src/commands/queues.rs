use anyhow::{Result, bail};
use job::{LimitClass, QueueName};
use serde::Serialize;
use serde_json::json;
use store::{LimitTarget, PauseTarget, QueueBackend, QueueSettings, QueueStats, Throttle, WhenFull};

use crate::{
    cli::{QueueOrKey, Queues, QueuesCommand},
    output::{HEADING, Output, counted, duration, one_line},
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
        Some(QueuesCommand::Limit { target, class, limit }) => {
            known(&target.queue, queue).await?;
            queue.set_limit(&limit_target(target, class.as_ref()), *limit).await?;
            match limit {
                Some(limit) if class.is_some() => told(target, &format!("each key limited to {limit} at once"), out),
                None if class.is_some() => told(target, "keys without a limit", out),
                Some(limit) => told(target, &format!("limited to {limit} at once"), out),
                None if target.key.is_some() => told(target, "back at the limit of its class", out),
                None => told(target, "without a limit", out),
            }
        }
        Some(QueuesCommand::Throttle { queue: name, class, starts, period, refuse }) => {
            known(name, queue).await?;
            let when_full = if *refuse { WhenFull::Refuse } else { WhenFull::Wait };
            let throttle = starts.zip(*period).map(|(starts, period)| Throttle { starts, period, when_full });
            queue.set_throttle(name, class, throttle).await?;
            let what = throttle.map_or_else(|| "without a throttle".to_owned(), |t| throttled(&t));
            told(&QueueOrKey { queue: name.clone(), key: None }, &format!("class {class}: {what}"), out)
        }
        Some(QueuesCommand::Group { group, queues, limit }) => {
            for name in queues {
                known(name, queue).await?;
            }
            queue.define_group(group, queues, *limit).await?;
            let limit =
                limit.map_or_else(|| "without a limit".to_owned(), |limit| format!("limited to {limit} at once"));
            let names = queues.iter().map(QueueName::as_str).collect::<Vec<_>>().join(", ");
            let what = if queues.is_empty() { "dissolved".to_owned() } else { format!("{names}: {limit}") };
            if out.is_json() {
                return Ok(out.object(&json!({ "group": group.as_str(), "result": what }))?);
            }
            Ok(out.line(format_args!("group {group}: {what}"))?)
        }
        Some(QueuesCommand::Show { queue: name }) => {
            known(name, queue).await?;
            show(&queue.settings(name).await?, out)
        }
    }
}

fn throttled(throttle: &Throttle) -> String {
    let Throttle { starts, period, when_full } = throttle;
    let full = match when_full {
        WhenFull::Wait => "others wait",
        WhenFull::Refuse => "others are refused",
    };
    format!("{} of a key in {} s, {full}", counted(u64::from(*starts), "start"), period.as_secs())
}

fn show(settings: &QueueSettings, out: &mut Output) -> Result<()> {
    if out.is_json() {
        return Ok(out.object(settings)?);
    }
    let limit = |limit: Option<u32>| limit.map_or_else(|| "no limit".to_owned(), |n| format!("{n} at once"));
    let paused = |paused: bool| if paused { ", paused" } else { "" };
    let QueueSettings { queue, group, classes, keys, .. } = settings;
    out.line(format_args!("{HEADING}{queue}{HEADING:#}  {}{}", limit(settings.limit), paused(settings.paused)))?;
    if let Some(group) = group {
        let names = group.queues.iter().map(QueueName::as_str).collect::<Vec<_>>().join(", ");
        out.line(format_args!("  group {}: {} of {names} together", group.name, limit(group.limit)))?;
    }
    for class in classes {
        let throttle = class.throttle.map(|t| format!("; {}", throttled(&t))).unwrap_or_default();
        out.line(format_args!("  class {}: {} of a key{throttle}", class.class, limit(class.limit)))?;
    }
    for key in keys {
        let of_class = key.limit.map_or_else(|| "the limit of its class".to_owned(), |n| format!("{n} at once"));
        let name = one_line(key.key.as_str(), 256);
        out.line(format_args!("  key {name}: {of_class}{}", paused(key.paused)))?;
    }
    if settings.more_keys {
        out.line(format_args!("  and further keys"))?;
    }
    Ok(())
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

fn limit_target(target: &QueueOrKey, class: Option<&LimitClass>) -> LimitTarget {
    match (&target.key, class) {
        (Some(key), _) => LimitTarget::Key(target.queue.clone(), key.clone()),
        (None, Some(class)) => LimitTarget::Class(target.queue.clone(), class.clone()),
        (None, None) => LimitTarget::Queue(target.queue.clone()),
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
