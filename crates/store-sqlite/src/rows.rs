use job::{
    Concurrency, ConcurrencyKey, Job, JobId, JobKind, LimitClass, Payload, Priority, QueueName, Supersede,
    SupersedeKey, Unique, UniqueKey, Version, VersionId, Weight,
};
use sqlx::{Row, sqlite::SqliteRow};
use store::{StoreError, units};

use crate::{
    error::{corrupt, fault},
    json::Id,
};

/// Columns that [`job`] reads, from the first.
pub(crate) const JOB_COLUMNS: usize = 19;

/// Reads a job from the first columns of a row, in the order in which all statements name them.
pub(crate) fn job(row: &SqliteRow) -> Result<Job, StoreError> {
    let (Id(id), queue, kind, payload, priority, weight): First<'_> = columns6(row)?;
    let (key, class): (&str, Option<&str>) = (column(row, 6)?, column(row, 7)?);
    let (unique_key, unique_ms): (Option<&str>, Option<i64>) = (column(row, 8)?, column(row, 9)?);
    let concurrency = match class {
        None => None,
        Some(class) => Some(Concurrency {
            key: ConcurrencyKey::new(key).map_err(corrupt("a concurrency key"))?,
            class: LimitClass::new(class).map_err(corrupt("a limit class"))?,
        }),
    };
    let unique = match unique_key {
        None => None,
        Some(key) => Some(Unique {
            key: UniqueKey::new(key).map_err(corrupt("a unique key"))?,
            window: units::duration(unique_ms.unwrap_or(0)),
        }),
    };
    Ok(Job {
        id: JobId::from(id),
        queue: QueueName::new(queue).map_err(corrupt("a queue name"))?,
        kind: JobKind::new(kind).map_err(corrupt("a job kind"))?,
        payload: Payload::parse(payload).map_err(corrupt("a payload"))?,
        priority: Priority(priority),
        weight: Weight::new(weight).map_err(corrupt("a weight"))?,
        concurrency,
        unique,
        supersede: supersede(row, 16)?,
        attempt: column(row, 10)?,
        max_attempts: column(row, 11)?,
        crashes: column(row, 12)?,
        timeout: units::duration(column(row, 13)?),
        trace_parent: column(row, 14)?,
        created_at: units::timestamp(column(row, 15)?)?,
    })
}

/// Reads which version of which supersede key a job is, from three columns.
pub(crate) fn supersede(row: &SqliteRow, at: usize) -> Result<Option<Supersede>, StoreError> {
    let Some(key) = column::<Option<&str>>(row, at)? else { return Ok(None) };
    Ok(Some(Supersede {
        key: SupersedeKey::new(key).map_err(corrupt("a supersede key"))?,
        version: Version {
            at: units::timestamp(column(row, at + 1)?)?,
            id: VersionId::new(column::<&str>(row, at + 2)?).map_err(corrupt("a version"))?,
        },
    }))
}

type First<'r> = (Id, &'r str, &'r str, &'r str, i16, u16);

fn columns6(row: &SqliteRow) -> Result<First<'_>, StoreError> {
    Ok((column(row, 0)?, column(row, 1)?, column(row, 2)?, column(row, 3)?, column(row, 4)?, column(row, 5)?))
}

/// Reads one column.
pub(crate) fn column<'r, T>(row: &'r SqliteRow, at: usize) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(at).map_err(fault("a row"))
}
