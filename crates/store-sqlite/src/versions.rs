use std::collections::HashMap;

use job::{CancelReason, JobId, Supersede, Version, VersionId};
use sqlx::Row;
use store::{StoreError, VERSIONS_KEPT, codes, units};

use crate::{cancel, error::corrupt, json::Id, operate::Found, sql, write::Write};

/// What is known of a supersede key: its newest version and that one's job.
pub(crate) struct Newest {
    pub(crate) version: Version,
    pub(crate) job: JobId,
}

/// The newest versions of supersede keys, of those that are known.
pub(crate) async fn newest<'k>(
    write: &mut Write<'_>,
    keys: &[(i64, &'k str)],
) -> Result<HashMap<(i64, &'k str), Newest>, StoreError> {
    let rows = write.rows_of(sql::VERSIONS, keys).await?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        let read = || Ok((row.try_get::<i64, _>(0)?, row.try_get(1)?, row.try_get::<String, _>(2)?, row.try_get(3)?));
        let (at, at_ms, id, Id(job)) = read().map_err(write.fault())?;
        let id = VersionId::new(id).map_err(corrupt("a version"))?;
        let version = Version { at: units::timestamp(at_ms)?, id };
        if let Some(key) = usize::try_from(at).ok().and_then(|at| keys.get(at)) {
            known.insert(*key, Newest { version, job: JobId::from(job) });
        }
    }
    Ok(known)
}

/// Remembers the versions of jobs as the newest of their keys.
pub(crate) async fn remember(write: &mut Write<'_>, jobs: &[(i64, &Supersede, JobId)]) -> Result<(), StoreError> {
    let rows: Vec<_> = jobs
        .iter()
        .map(|(queue, Supersede { key, version }, job)| {
            (queue, key.as_str(), version.at.as_millisecond(), version.id.as_str(), Id(*job.as_uuid()))
        })
        .collect();
    let forget_at = write.now_ms.saturating_add(units::millis(VERSIONS_KEPT));
    write.each_with(sql::VERSION_PUT, &rows, forget_at).await?;
    Ok(())
}

/// Cancels the jobs of supersede keys that wait, and asks those that run to stop.
pub(crate) async fn supersede(write: &mut Write<'_>, keys: &[(i64, &str)]) -> Result<(), StoreError> {
    let rows = write.rows_of(sql::SUPERSEDED, keys).await?;
    let found = rows.iter().map(Found::read).collect::<Result<Vec<_>, _>>()?;
    let (running, waiting): (Vec<_>, Vec<_>) = found.into_iter().partition(|job| job.state == codes::LEASED);
    cancel::ask(write, running.iter().map(|job| job.id), CancelReason::Superseded).await?;
    cancel::end(write, waiting, CancelReason::Superseded).await
}

/// Forgets versions that have been kept long enough and whose job is not live, at most `most`; how many, and whether more
/// may be left.
pub(crate) async fn expire(write: &mut Write<'_>, most: usize) -> Result<(usize, bool), StoreError> {
    let (now_ms, fault) = (write.now_ms, write.fault());
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let kept = sqlx::query(sql::VERSION_KEEP)
        .bind(now_ms)
        .bind(now_ms.saturating_add(units::millis(VERSIONS_KEPT)))
        .bind(limit)
        .execute(write.connection())
        .await
        .map_err(&fault)?;
    let forgotten =
        sqlx::query(sql::VERSION_EXPIRE).bind(now_ms).bind(limit).execute(write.connection()).await.map_err(fault)?;
    let count = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
    let looked_at = count(kept.rows_affected()).saturating_add(count(forgotten.rows_affected()));
    Ok((count(forgotten.rows_affected()), looked_at >= most))
}
