use anyhow::{Context, Result, bail};
use job::{Concurrency, CronName, CronSchedule, Priority, Weight};
use serde::Serialize;
use store::{CronEntry, CronView, QueueBackend};

use super::queues;
use crate::{
    cli::{Cron, CronSet},
    output::{FAINT, Output, one_line},
};

pub async fn run(command: &Cron, queue: &dyn QueueBackend, out: &mut Output) -> Result<()> {
    match command {
        Cron::List => list(&queue.list_cron().await?, out),
        Cron::Set(set) => {
            queues::known(&set.queue, queue).await?;
            let entry = entry(set)?;
            queue.set_cron(&entry).await?;
            told(&set.name, &format!("fires at {}", entry.schedule), out)
        }
        Cron::Remove { name } => {
            if !queue.remove_cron(name).await? {
                bail!("there is no schedule {name}");
            }
            told(name, "removed", out)
        }
    }
}

fn entry(set: &CronSet) -> Result<CronEntry> {
    let concurrency = set.key.clone().zip(set.class.clone()).map(|(key, class)| Concurrency { key, class });
    Ok(CronEntry {
        name: set.name.clone(),
        schedule: CronSchedule::new(&set.expression, &set.time_zone)?,
        queue: set.queue.clone(),
        kind: set.kind.clone(),
        payload: job::Payload::parse(set.payload.as_str()).context("--payload")?,
        priority: Priority(set.priority),
        weight: Weight::ONE,
        concurrency,
        max_attempts: set.max_attempts,
        timeout: set.timeout,
    })
}

#[derive(Serialize)]
struct Told<'a> {
    schedule: &'a str,
    result: &'a str,
}

fn told(name: &CronName, result: &str, out: &mut Output) -> Result<()> {
    if out.is_json() {
        return Ok(out.object(&Told { schedule: name.as_str(), result })?);
    }
    Ok(out.line(format_args!("schedule {name}: {result}"))?)
}

fn list(all: &[CronView], out: &mut Output) -> Result<()> {
    if out.is_json() {
        all.iter().try_for_each(|view| out.object(view))?;
        return Ok(());
    }
    if all.is_empty() {
        out.line(format_args!("{FAINT}no schedules{FAINT:#}"))?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    Ok(out.table(&["NAME", "FIRES AT", "QUEUE", "KIND", "NEXT", "LAST", "LAST JOB"], &rows)?)
}

fn row(CronView { entry, next_at, last_at, last_job }: &CronView) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        entry.name.to_string(),
        one_line(&entry.schedule.to_string(), 60),
        entry.queue.to_string(),
        entry.kind.to_string(),
        or_none(next_at.map(|at| at.to_string())),
        or_none(last_at.map(|at| at.to_string())),
        or_none(last_job.map(|job| job.to_string())),
    ]
}
