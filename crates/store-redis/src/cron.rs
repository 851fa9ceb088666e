use jiff::Timestamp;
use job::{CronName, CronSchedule, JobId, JobKind, Payload, Priority, QueueName, Weight};
use redis::Value;
use serde::{Deserialize, Serialize};
use store::{CRON_MAX, CronEntry, CronView, StoreError, units};
use uuid::Uuid;

use crate::{admin, codec, enqueue, error::corrupt, queue::Shared, reply, rows, script};

/// A schedule as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    expression: String,
    zone: String,
    queue: String,
    kind: String,
    payload: String,
    priority: i16,
    weight: u16,
    key: String,
    class: String,
    max_attempts: u32,
    timeout_ms: i64,
}

/// Schedules that have fired, or all, and the store's time.
struct Listed {
    views: Vec<CronView>,
    now: Timestamp,
}

pub(crate) async fn set(shared: &Shared, entry: &CronEntry) -> Result<(), StoreError> {
    if entry.max_attempts == 0 {
        return Err(StoreError::Invalid("max_attempts must be at least 1".into()));
    }
    let now = listed(shared, 0).await?.now;
    let next_at = entry.schedule.next_after(now).map(Timestamp::as_millisecond);
    let stored = serde_json::to_string(&stored(entry)).map_err(corrupt("a schedule"))?;
    let class = entry.concurrency.as_ref().map_or("", |concurrency| concurrency.class.as_str());
    let answer = shared.connection.run_one("set a schedule", &script::CRON_SET, |command| {
        command.arg(entry.name.as_str()).arg(entry.queue.as_str()).arg(class).arg(entry.schedule.to_string());
        command.arg(stored).arg(next_at.map_or_else(String::new, |at| at.to_string())).arg(CRON_MAX);
    });
    match reply::int(&answer.await?)? {
        0 => Err(admin::unknown(&entry.queue)),
        1 => Err(StoreError::Invalid(format!("there is no limit class {class} in queue {}", entry.queue))),
        2 => Err(StoreError::Invalid(format!("there are {CRON_MAX} schedules: no more are allowed"))),
        _ => Ok(()),
    }
}

pub(crate) async fn remove(shared: &Shared, name: &CronName) -> Result<bool, StoreError> {
    let removed = shared.connection.run_one("remove a schedule", &script::CRON_REMOVE, |command| {
        command.arg(name.as_str());
    });
    Ok(reply::int(&removed.await?)? > 0)
}

pub(crate) async fn list(shared: &Shared) -> Result<Vec<CronView>, StoreError> {
    let mut views = listed(shared, -1).await?.views;
    views.sort_unstable_by(|a, b| a.entry.name.cmp(&b.entry.name));
    Ok(views)
}

/// Makes the jobs of schedules that have fired, at most `most`, each in one step with moving its schedule on; how many.
pub(crate) async fn fire(shared: &Shared, most: usize) -> Result<usize, StoreError> {
    if most == 0 {
        return Ok(0);
    }
    let Listed { views, now } = listed(shared, i64::try_from(most).unwrap_or(i64::MAX)).await?;
    let mut fired = 0;
    for CronView { entry, next_at, .. } in views {
        let Some(at) = next_at else { continue };
        let job = entry.firing(at, JobId::from(Uuid::now_v7())).map_err(corrupt("a schedule"))?;
        // What was missed meanwhile is made up for by this one.
        let after = entry.schedule.next_after(now).map_or_else(String::new, |at| at.as_millisecond().to_string());
        let answer = shared.connection.run_one("fire a schedule", &script::CRON_FIRE, |command| {
            command.arg(entry.name.as_str()).arg(at.as_millisecond()).arg(after);
            enqueue::arguments(command, &[&job], &[codec::body(&job)]);
        });
        // Nothing is answered where another process has made it.
        if !reply::list(answer.await?)?.is_empty() {
            fired += 1;
        }
    }
    Ok(fired)
}

async fn listed(shared: &Shared, most: i64) -> Result<Listed, StoreError> {
    let answer = shared.connection.run_one("schedules", &script::CRON_LIST, |command| {
        command.arg(most);
    });
    let [rows, now_ms] = reply::parts(answer.await?)?;
    let views = reply::list(rows)?.into_iter().map(view).collect::<Result<_, _>>()?;
    Ok(Listed { views, now: units::timestamp(reply::int(&now_ms)?)? })
}

fn view(row: Value) -> Result<CronView, StoreError> {
    let [entry, next_at, last_at, last_job] = reply::parts(row)?;
    let stored: Stored = serde_json::from_slice(&reply::bytes(entry)?).map_err(corrupt("a schedule"))?;
    let time = |value| reply::maybe_int(value)?.map(units::timestamp).transpose();
    let last_job = codec::ids(&reply::bytes(last_job)?).pop();
    Ok(CronView { entry: read(&stored)?, next_at: time(next_at)?, last_at: time(last_at)?, last_job })
}

fn stored(entry: &CronEntry) -> Stored {
    let (key, class) = match &entry.concurrency {
        Some(concurrency) => (concurrency.key.to_string(), concurrency.class.to_string()),
        None => (String::new(), String::new()),
    };
    Stored {
        name: entry.name.to_string(),
        expression: entry.schedule.expression().to_owned(),
        zone: entry.schedule.zone().to_owned(),
        queue: entry.queue.to_string(),
        kind: entry.kind.to_string(),
        payload: entry.payload.as_str().to_owned(),
        priority: entry.priority.0,
        weight: entry.weight.get(),
        key,
        class,
        max_attempts: entry.max_attempts,
        timeout_ms: units::millis(entry.timeout),
    }
}

fn read(stored: &Stored) -> Result<CronEntry, StoreError> {
    Ok(CronEntry {
        name: CronName::new(&stored.name).map_err(corrupt("a schedule's name"))?,
        schedule: CronSchedule::new(&stored.expression, &stored.zone).map_err(corrupt("a schedule"))?,
        queue: QueueName::new(&stored.queue).map_err(corrupt("a queue name"))?,
        kind: JobKind::new(&stored.kind).map_err(corrupt("a job kind"))?,
        payload: Payload::parse(stored.payload.as_str()).map_err(corrupt("a payload"))?,
        priority: Priority(stored.priority),
        weight: Weight::new(stored.weight).map_err(corrupt("a weight"))?,
        concurrency: rows::concurrency(&stored.key, &stored.class)?,
        max_attempts: stored.max_attempts,
        timeout: units::duration(stored.timeout_ms),
    })
}
