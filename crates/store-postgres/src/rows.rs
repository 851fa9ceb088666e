use job::{
    Concurrency, ConcurrencyKey, Job, JobId, JobKind, LimitClass, Payload, Priority, QueueName, Supersede,
    SupersedeKey, Unique, UniqueKey, Version, VersionId, Weight,
};
use sqlx::postgres::PgRow;
use store::{StoreError, units};

use crate::{database::column, error::corrupt};

/// Columns that [`job`] reads, from the first.
pub(crate) const JOB_COLUMNS: usize = 19;

/// Reads a job from the first columns of a row, in the order in which all statements name them.
pub(crate) fn job(row: &PgRow) -> Result<Job, StoreError> {
    let (key, class): (&str, &str) = (column(row, 6)?, column(row, 7)?);
    let (unique_key, unique_ms): (Option<&str>, Option<i64>) = (column(row, 8)?, column(row, 9)?);
    let concurrency = match class {
        "" => None,
        class => Some(Concurrency {
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
        id: JobId::from(column::<uuid::Uuid>(row, 0)?),
        queue: QueueName::new(column::<&str>(row, 1)?).map_err(corrupt("a queue name"))?,
        kind: JobKind::new(column::<&str>(row, 2)?).map_err(corrupt("a job kind"))?,
        payload: Payload::parse(column::<&str>(row, 3)?).map_err(corrupt("a payload"))?,
        priority: Priority(column(row, 4)?),
        weight: Weight::new(u16::try_from(column::<i16>(row, 5)?).unwrap_or(0)).map_err(corrupt("a weight"))?,
        concurrency,
        unique,
        supersede: supersede(row)?,
        attempt: units::small(column(row, 10)?),
        max_attempts: units::small(column(row, 11)?),
        crashes: units::small(column(row, 12)?),
        timeout: units::duration(column(row, 13)?),
        trace_parent: column(row, 14)?,
        created_at: units::timestamp(column(row, 15)?)?,
    })
}

/// Reads which version of which supersede key a job is.
fn supersede(row: &PgRow) -> Result<Option<Supersede>, StoreError> {
    let Some(key) = column::<Option<&str>>(row, 16)? else { return Ok(None) };
    Ok(Some(Supersede {
        key: SupersedeKey::new(key).map_err(corrupt("a supersede key"))?,
        version: Version {
            at: units::timestamp(column(row, 17)?)?,
            id: VersionId::new(column::<&str>(row, 18)?).map_err(corrupt("a version"))?,
        },
    }))
}
