use job::{
    Concurrency, ConcurrencyKey, CronName, CronSchedule, JobId, JobKind, LimitClass, Payload, Priority, QueueName,
    Weight,
};
use sqlx::sqlite::SqliteRow;
use store::{CRON_MAX, CronEntry, CronView, Enqueued, NewJob, StoreError, units};
use uuid::Uuid;

use crate::{
    enqueue,
    error::{corrupt, fault},
    json::Id,
    queue::Shared,
    queues::{Classes, Queues},
    rows::column,
    sql,
    write::Write,
};

pub(crate) async fn set(shared: &Shared, entry: &CronEntry) -> Result<(), StoreError> {
    if entry.max_attempts == 0 {
        return Err(StoreError::Invalid("max_attempts must be at least 1".into()));
    }
    let mut write = Write::begin(shared, "set a schedule").await?;
    let (fault, now) = (write.fault(), units::timestamp(write.now_ms)?);
    let queue = Queues::load(&mut write).await?.id(&entry.queue)?;
    if let Some(Concurrency { class, .. }) = &entry.concurrency
        && !Classes::load(&mut write).await?.has(queue, class)
    {
        return Err(StoreError::Invalid(format!("there is no limit class {class} in queue {}", entry.queue)));
    }
    let name = entry.name.as_str();
    let others: i64 =
        sqlx::query_scalar(sql::CRON_COUNT).bind(name).fetch_one(write.connection()).await.map_err(&fault)?;
    if usize::try_from(others).is_ok_and(|others| others >= CRON_MAX) {
        return Err(StoreError::Invalid(format!("there are {CRON_MAX} schedules: no more are allowed")));
    }
    sqlx::query(sql::CRON_PUT)
        .bind(name)
        .bind(entry.schedule.expression())
        .bind(entry.schedule.zone())
        .bind(queue)
        .bind(entry.kind.as_str())
        .bind(entry.payload.as_str())
        .bind(entry.priority.0)
        .bind(entry.weight.get())
        .bind(entry.concurrency.as_ref().map(|c| c.key.as_str()))
        .bind(entry.concurrency.as_ref().map(|c| c.class.as_str()))
        .bind(entry.max_attempts)
        .bind(units::millis(entry.timeout))
        .bind(entry.schedule.next_after(now).map(jiff::Timestamp::as_millisecond))
        .execute(write.connection())
        .await
        .map_err(&fault)?;
    // Whoever sleeps until the next job is due has a new time to sleep to.
    write.became_ready();
    write.commit().await
}

pub(crate) async fn remove(shared: &Shared, name: &CronName) -> Result<bool, StoreError> {
    let mut write = Write::begin(shared, "remove a schedule").await?;
    let fault = write.fault();
    let removed = sqlx::query(sql::CRON_REMOVE).bind(name.as_str()).execute(write.connection()).await.map_err(fault)?;
    write.commit().await?;
    Ok(removed.rows_affected() > 0)
}

pub(crate) async fn list(shared: &Shared) -> Result<Vec<CronView>, StoreError> {
    let rows = sqlx::query(sql::CRON_LIST).fetch_all(&shared.readers).await.map_err(fault("schedules"))?;
    rows.iter().map(view).collect()
}

/// Makes the jobs of schedules that have fired, at most `most`, and moves the schedules on, in one transaction; how many.
pub(crate) async fn fire(write: &mut Write<'_>, queues: &Queues, most: usize) -> Result<usize, StoreError> {
    let mut fired = Vec::new();
    for queue in queues.ids() {
        let left = i64::try_from(most - fired.len()).unwrap_or(i64::MAX);
        let (now_ms, fault) = (write.now_ms, write.fault());
        let rows = sqlx::query(sql::CRON_DUE)
            .bind(queue)
            .bind(now_ms)
            .bind(left)
            .fetch_all(write.connection())
            .await
            .map_err(fault)?;
        fired.extend(rows.iter().map(view).collect::<Result<Vec<_>, _>>()?);
    }
    if fired.is_empty() {
        return Ok(0);
    }
    let now = units::timestamp(write.now_ms)?;
    let job = |view: &CronView| view.entry.firing(view.next_at.unwrap_or(now), JobId::from(Uuid::now_v7()));
    let jobs = fired.iter().map(job).collect::<Result<Vec<NewJob>, _>>().map_err(corrupt("a schedule"))?;
    let answers = enqueue::enqueue(write, &jobs.iter().collect::<Vec<_>>()).await?;
    let rows: Vec<_> = fired
        .iter()
        .zip(answers)
        .zip(&jobs)
        .map(|((CronView { entry, next_at, .. }, answer), job)| {
            let made = match answer {
                Enqueued::Inserted => Some(job.id),
                Enqueued::Duplicate(other) | Enqueued::Superseded(other) => Some(other),
                Enqueued::Rejected(_) => None,
            };
            // What was missed meanwhile is made up for by this one.
            let next_ms = entry.schedule.next_after(now).map(jiff::Timestamp::as_millisecond);
            let made = made.map(|id| Id(*id.as_uuid()));
            (entry.name.as_str(), next_ms, next_at.map(jiff::Timestamp::as_millisecond), made)
        })
        .collect();
    write.each(sql::CRON_FIRED, &rows).await?;
    Ok(fired.len())
}

fn view(row: &SqliteRow) -> Result<CronView, StoreError> {
    let (expression, zone): (&str, &str) = (column(row, 1)?, column(row, 2)?);
    let concurrency = match (column::<Option<&str>>(row, 8)?, column::<Option<&str>>(row, 9)?) {
        (Some(key), Some(class)) => Some(Concurrency {
            key: ConcurrencyKey::new(key).map_err(corrupt("a concurrency key"))?,
            class: LimitClass::new(class).map_err(corrupt("a limit class"))?,
        }),
        _ => None,
    };
    let entry = CronEntry {
        name: CronName::new(column::<&str>(row, 0)?).map_err(corrupt("a schedule's name"))?,
        schedule: CronSchedule::new(expression, zone).map_err(corrupt("a schedule"))?,
        queue: QueueName::new(column::<&str>(row, 3)?).map_err(corrupt("a queue name"))?,
        kind: JobKind::new(column::<&str>(row, 4)?).map_err(corrupt("a job kind"))?,
        payload: Payload::parse(column::<&str>(row, 5)?).map_err(corrupt("a payload"))?,
        priority: Priority(column(row, 6)?),
        weight: Weight::new(column(row, 7)?).map_err(corrupt("a weight"))?,
        concurrency,
        max_attempts: column(row, 10)?,
        timeout: units::duration(column(row, 11)?),
    };
    let time = |at| column::<Option<i64>>(row, at)?.map(units::timestamp).transpose();
    let last_job = column::<Option<Id>>(row, 14)?.map(|Id(id)| JobId::from(id));
    Ok(CronView { entry, next_at: time(12)?, last_at: time(13)?, last_job })
}
