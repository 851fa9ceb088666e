use jiff::Timestamp;
use job::{
    Concurrency, ConcurrencyKey, CronName, CronSchedule, JobId, JobKind, LimitClass, Payload, Priority, QueueName,
    Weight,
};
use sqlx::{Connection, postgres::PgRow};
use store::{CRON_MAX, CronEntry, CronView, Enqueued, NewJob, StoreError, units};
use uuid::Uuid;

use crate::{
    admin,
    database::{Shared, column},
    enqueue,
    error::{corrupt, fault},
    sql,
};

pub(crate) async fn set(shared: &Shared, entry: &CronEntry) -> Result<(), StoreError> {
    if entry.max_attempts == 0 {
        return Err(StoreError::Invalid("max_attempts must be at least 1".into()));
    }
    let queue = admin::queue_id(shared, &entry.queue).await?;
    let now = now(shared).await?;
    let query = sqlx::query(sql::CRON_PUT)
        .bind(entry.name.as_str())
        .bind(entry.schedule.expression())
        .bind(entry.schedule.zone())
        .bind(queue)
        .bind(entry.kind.as_str())
        .bind(entry.payload.as_str())
        .bind(entry.priority.0)
        // Weights reach to 1,000.
        .bind(i16::try_from(entry.weight.get()).unwrap_or(i16::MAX))
        .bind(entry.concurrency.as_ref().map(|c| c.key.as_str()))
        .bind(entry.concurrency.as_ref().map(|c| c.class.as_str()))
        .bind(i64::from(entry.max_attempts))
        .bind(units::millis(entry.timeout))
        .bind(entry.schedule.next_after(now).map(Timestamp::as_millisecond))
        .bind(i64::try_from(CRON_MAX).unwrap_or(i64::MAX));
    match (column::<i16>(&shared.change("set a schedule", query).await?, 0)?, &entry.concurrency) {
        (0, _) => {}
        (1, Some(Concurrency { class, .. })) => {
            return Err(StoreError::Invalid(format!("there is no limit class {class} in queue {}", entry.queue)));
        }
        _ => return Err(StoreError::Invalid(format!("there are {CRON_MAX} schedules: no more are allowed"))),
    }
    // Whoever sleeps until the next job is due has a new time to sleep to.
    shared.woke(true);
    Ok(())
}

pub(crate) async fn remove(shared: &Shared, name: &CronName) -> Result<bool, StoreError> {
    let removed = shared.database.rows("remove a schedule", sqlx::query(sql::CRON_REMOVE).bind(name.as_str())).await?;
    Ok(!removed.is_empty())
}

pub(crate) async fn list(shared: &Shared) -> Result<Vec<CronView>, StoreError> {
    shared.database.rows("schedules", sqlx::query(sql::CRON_LIST)).await?.iter().map(view).collect()
}

async fn now(shared: &Shared) -> Result<Timestamp, StoreError> {
    units::timestamp(column(&shared.database.row("the time", sqlx::query(sql::NOW)).await?, 0)?)
}

/// Makes the jobs of schedules that have fired, at most `most`, and moves the schedules on, in one transaction; how many.
pub(crate) async fn fire(shared: &Shared, most: usize) -> Result<usize, StoreError> {
    let what = fault("make the jobs of schedules");
    let mut connection = shared.database.door.connection().await.map_err(&what)?;
    let mut tx = connection.begin().await.map_err(&what)?;
    let persistent = !shared.database.pooled;
    let due = sqlx::query(sql::CRON_DUE).bind(i64::try_from(most).unwrap_or(i64::MAX)).persistent(persistent);
    let rows = due.fetch_all(&mut *tx).await.map_err(&what)?;
    if rows.is_empty() {
        return Ok(0);
    }
    let row = sqlx::query(sql::NOW).persistent(persistent).fetch_one(&mut *tx).await.map_err(&what)?;
    let now = units::timestamp(column(&row, 0)?)?;
    let fired = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let job = |view: &CronView| view.entry.firing(view.next_at.unwrap_or(now), JobId::from(Uuid::now_v7()));
    let jobs = fired.iter().map(job).collect::<Result<Vec<NewJob>, _>>().map_err(corrupt("a schedule"))?;
    let jobs: Vec<&NewJob> = jobs.iter().collect();
    let row =
        enqueue::statement(sql::ENQUEUE, &jobs).persistent(persistent).fetch_one(&mut *tx).await.map_err(&what)?;
    let made = |(job, answer): (&&NewJob, Enqueued)| match answer {
        Enqueued::Inserted => Some(*job.id.as_uuid()),
        Enqueued::Duplicate(other) | Enqueued::Superseded(other) => Some(*other.as_uuid()),
        Enqueued::Rejected(_) => None,
    };
    let made: Vec<Option<Uuid>> = jobs.iter().zip(enqueue::answers(&jobs, &row)?).map(made).collect();
    // What was missed meanwhile is made up for by this one.
    let next = |view: &CronView| view.entry.schedule.next_after(now).map(Timestamp::as_millisecond);
    sqlx::query(sql::CRON_FIRED)
        .bind(fired.iter().map(|view| view.entry.name.to_string()).collect::<Vec<_>>())
        .bind(fired.iter().map(next).collect::<Vec<_>>())
        .bind(fired.iter().map(|view| view.next_at.map(Timestamp::as_millisecond)).collect::<Vec<_>>())
        .bind(made)
        .persistent(persistent)
        .execute(&mut *tx)
        .await
        .map_err(&what)?;
    tx.commit().await.map_err(what)?;
    shared.woke(true);
    Ok(fired.len())
}

fn view(row: &PgRow) -> Result<CronView, StoreError> {
    let concurrency = match (column::<Option<&str>>(row, 8)?, column::<Option<&str>>(row, 9)?) {
        (Some(key), Some(class)) => Some(Concurrency {
            key: ConcurrencyKey::new(key).map_err(corrupt("a concurrency key"))?,
            class: LimitClass::new(class).map_err(corrupt("a limit class"))?,
        }),
        _ => None,
    };
    let entry = CronEntry {
        name: CronName::new(column::<&str>(row, 0)?).map_err(corrupt("a schedule's name"))?,
        schedule: CronSchedule::new(column(row, 1)?, column(row, 2)?).map_err(corrupt("a schedule"))?,
        queue: QueueName::new(column::<&str>(row, 3)?).map_err(corrupt("a queue name"))?,
        kind: JobKind::new(column::<&str>(row, 4)?).map_err(corrupt("a job kind"))?,
        payload: Payload::parse(column::<&str>(row, 5)?).map_err(corrupt("a payload"))?,
        priority: Priority(column(row, 6)?),
        weight: Weight::new(u16::try_from(column::<i16>(row, 7)?).unwrap_or(0)).map_err(corrupt("a weight"))?,
        concurrency,
        max_attempts: units::small(column(row, 10)?),
        timeout: units::duration(column(row, 11)?),
    };
    let time = |at| column::<Option<i64>>(row, at)?.map(units::timestamp).transpose();
    Ok(CronView {
        entry,
        next_at: time(12)?,
        last_at: time(13)?,
        last_job: column::<Option<Uuid>>(row, 14)?.map(JobId::from),
    })
}
