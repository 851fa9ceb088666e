use std::collections::HashSet;

use jiff::Timestamp;
use job::{CancelReason, JobId, JobState, StateName};
use sqlx::{Row, sqlite::SqliteRow};
use store::{ReplayFilter, Retried, StoreError};

use crate::{
    codes, enqueue,
    json::Id,
    lanes::{self, Waiting},
    queue::Shared,
    queues::Queues,
    sql, view,
    write::Write,
};

/// Dead letters that one call replays, in one transaction.
const REPLAY_MAX: usize = 500;
/// Finished jobs that one transaction forgets.
const PRUNE_BATCH_MAX: usize = 500;

/// What a command needs to know of a job.
struct Found {
    state: i64,
    queue: i64,
    key: String,
    unique: Option<String>,
    attempt: u32,
    crashes: u32,
}

async fn find(write: &mut Write<'_>, id: JobId) -> Result<Option<Found>, StoreError> {
    let fault = write.fault();
    let row =
        sqlx::query(sql::JOB_OF).bind(Id(*id.as_uuid())).fetch_optional(write.connection()).await.map_err(&fault)?;
    let read = |row: &SqliteRow| -> Result<Found, sqlx::Error> {
        Ok(Found {
            state: row.try_get(0)?,
            queue: row.try_get(1)?,
            key: row.try_get(2)?,
            unique: row.try_get(3)?,
            attempt: row.try_get(4)?,
            crashes: row.try_get(5)?,
        })
    };
    row.as_ref().map(read).transpose().map_err(fault)
}

pub(crate) async fn cancel(shared: &Shared, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError> {
    let mut write = Write::begin(shared, "cancel").await?;
    let Some(found) = find(&mut write, id).await? else { return Ok(None) };
    match codes::state(found.state)? {
        StateName::Leased => {
            let fault = write.fault();
            sqlx::query(sql::CANCEL_ASK)
                .bind(Id(*id.as_uuid()))
                .bind(codes::of_cancel(reason))
                .execute(write.connection())
                .await
                .map_err(fault)?;
        }
        StateName::Scheduled | StateName::Ready | StateName::Parked => {
            cancel_waiting(&mut write, id, reason, found).await?;
        }
        StateName::Completed | StateName::Dead | StateName::Cancelled => {}
    }
    write.commit().await?;
    Ok(view::get(shared, id).await?.map(|view| view.state))
}

async fn cancel_waiting(
    write: &mut Write<'_>,
    id: JobId,
    reason: CancelReason,
    found: Found,
) -> Result<(), StoreError> {
    let (hex, now_ms) = (Id(*id.as_uuid()), write.now_ms);
    let row = [(hex, codes::CANCELLED, codes::of_cancel(reason), found.attempt, found.crashes)];
    write.each_with(sql::FINISH, &row, now_ms).await?;
    write.each(sql::FORGET_LIVE, &row).await?;
    write.each(sql::FORGET_CHECKPOINTS, &[hex]).await?;
    if let Some(key) = found.unique {
        write.each(sql::UNIQUE_FREE, &[(found.queue, key, hex)]).await?;
    }
    // A ready job held room that the next of its key gets.
    lanes::unpark(write, &[(found.queue, found.key)], 1).await?;
    Ok(())
}

pub(crate) async fn retry(shared: &Shared, id: JobId) -> Result<Retried, StoreError> {
    let mut write = Write::begin(shared, "retry").await?;
    let Some(found) = find(&mut write, id).await? else { return Ok(Retried::NotFound) };
    match codes::state(found.state)? {
        StateName::Ready | StateName::Parked => return Ok(Retried::Done),
        state @ (StateName::Leased | StateName::Completed) => return Ok(Retried::NotRetryable(state)),
        StateName::Scheduled => place(&mut write, &[Id(*id.as_uuid())]).await?,
        StateName::Dead | StateName::Cancelled => {
            let unique: Vec<_> = found.unique.iter().map(|key| (found.queue, key.as_str())).collect();
            if let Some((_, holder)) = enqueue::taken(&mut write, &unique).await?.first() {
                return Ok(Retried::KeyTaken(*holder));
            }
            let unique: Vec<_> = unique.iter().map(|(queue, key)| (*queue, *key, Id(*id.as_uuid()))).collect();
            revive(&mut write, &[Id(*id.as_uuid())], &unique).await?;
        }
    }
    write.commit().await?;
    Ok(Retried::Done)
}

pub(crate) async fn replay(shared: &Shared, filter: &ReplayFilter) -> Result<(usize, bool), StoreError> {
    let mut write = Write::begin(shared, "replay").await?;
    let queues = Queues::load(&mut write).await?;
    let asked = match &filter.queue {
        Some(name) => vec![queues.id(name)?],
        None => queues.ids().collect(),
    };
    let most = filter.max.min(REPLAY_MAX);
    let (mut ids, mut unique, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    let mut more = false;
    for queue in asked {
        let left = most - ids.len();
        let dead = dead_page(&mut write, queue, filter, left + 1).await?;
        more |= dead.len() > left;
        for (id, key) in dead.into_iter().take(left) {
            // Of several dead letters with one unique key the oldest is replayed; the others stay dead.
            let Some(key) = key else {
                ids.push(id);
                continue;
            };
            if seen.insert((queue, key.clone())) {
                ids.push(id);
                unique.push((queue, key, id));
            }
        }
    }
    revive(&mut write, &ids, &unique).await?;
    write.commit().await?;
    Ok((ids.len(), more))
}

async fn dead_page(
    write: &mut Write<'_>,
    queue: i64,
    filter: &ReplayFilter,
    most: usize,
) -> Result<Vec<(Id, Option<String>)>, StoreError> {
    let (now_ms, fault) = (write.now_ms, write.fault());
    sqlx::query_as(sql::DEAD_PAGE)
        .bind(queue)
        .bind(filter.kind.as_ref().map(job::JobKind::as_str))
        .bind(now_ms)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(write.connection())
        .await
        .map_err(fault)
}

/// Brings finished jobs back and lets them wait for their turn.
async fn revive<K: serde::Serialize>(write: &mut Write<'_>, ids: &[Id], unique: &[K]) -> Result<(), StoreError> {
    let now_ms = write.now_ms;
    write.each(sql::UNIQUE_TAKE, unique).await?;
    write.each_with(sql::REVIVE, ids, now_ms).await?;
    write.each(sql::FORGET_FINISHED, ids).await?;
    place(write, ids).await
}

async fn place(write: &mut Write<'_>, ids: &[Id]) -> Result<(), StoreError> {
    let rows = write.rows_of(sql::WAITING, ids).await?;
    let jobs = rows.iter().map(Waiting::read).collect::<Result<Vec<_>, _>>().map_err(write.fault())?;
    lanes::place_due(write, &jobs).await
}

pub(crate) async fn prune(shared: &Shared, before: Timestamp, max: usize) -> Result<usize, StoreError> {
    let mut pruned = 0;
    while pruned < max {
        let most = (max - pruned).min(PRUNE_BATCH_MAX);
        let mut write = Write::begin(shared, "prune").await?;
        let fault = write.fault();
        let ids: Vec<Id> = sqlx::query_scalar(sql::PRUNABLE)
            .bind(before.as_millisecond())
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(write.connection())
            .await
            .map_err(fault)?;
        for sql in [sql::FORGET_FINISHED, sql::FORGET_BODIES, sql::FORGET_ERRORS] {
            write.each(sql, &ids).await?;
        }
        write.commit().await?;
        pruned += ids.len();
        if ids.len() < most {
            break;
        }
    }
    Ok(pruned)
}
