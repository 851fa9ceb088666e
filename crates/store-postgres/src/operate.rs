use jiff::Timestamp;
use job::{CancelReason, JobId, JobKind, JobState};
use store::{ReplayFilter, Retried, StoreError};
use uuid::Uuid;

use crate::{
    admin, codes,
    database::{Shared, column},
    sql, view,
};

/// Dead letters that one call replays, in one transaction.
const REPLAY_MAX: usize = 500;
/// Finished jobs that one transaction forgets.
const PRUNE_BATCH_MAX: usize = 500;

pub(crate) async fn cancel(shared: &Shared, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError> {
    let query = sqlx::query(sql::CANCEL).bind(*id.as_uuid()).bind(codes::of_cancel(reason));
    let row = shared.change("cancel", query).await?;
    shared.woke(column::<Option<bool>>(&row, 0)?.unwrap_or(false));
    Ok(view::get(shared, id).await?.map(|view| view.state))
}

pub(crate) async fn retry(shared: &Shared, id: JobId) -> Result<Retried, StoreError> {
    let row = shared.change("retry", sqlx::query(sql::RETRY).bind(*id.as_uuid())).await?;
    shared.woke(column(&row, 3)?);
    Ok(match column::<i16>(&row, 0)? {
        0 => Retried::Done,
        1 => Retried::NotFound,
        2 => Retried::NotRetryable(codes::state(column(&row, 1)?)?),
        3 => Retried::KeyTaken(JobId::from(column::<Uuid>(&row, 2)?)),
        _ => Retried::Superseded(JobId::from(column::<Uuid>(&row, 2)?)),
    })
}

pub(crate) async fn replay(shared: &Shared, filter: &ReplayFilter) -> Result<(usize, bool), StoreError> {
    let queue = match &filter.queue {
        Some(name) => Some(admin::queue_id(shared, name).await?),
        None => None,
    };
    let query = sqlx::query(sql::REPLAY)
        .bind(queue)
        .bind(filter.kind.as_ref().map(JobKind::as_str))
        .bind(i32::try_from(filter.max.min(REPLAY_MAX)).unwrap_or(i32::MAX));
    let row = shared.change("replay", query).await?;
    shared.woke(column(&row, 2)?);
    Ok((usize::try_from(column::<i32>(&row, 0)?).unwrap_or(0), column(&row, 1)?))
}

pub(crate) async fn prune(shared: &Shared, before: Timestamp, max: usize) -> Result<usize, StoreError> {
    let mut pruned = 0;
    while pruned < max {
        let most = (max - pruned).min(PRUNE_BATCH_MAX);
        let most_rows = i32::try_from(most).unwrap_or(i32::MAX);
        let query = sqlx::query(sql::PRUNE).bind(before.as_millisecond()).bind(most_rows);
        let gone: i32 = column(&shared.database.row("prune", query).await?, 0)?;
        let gone = usize::try_from(gone).unwrap_or(0);
        pruned += gone;
        if gone < most {
            break;
        }
    }
    shared.flush().await?;
    Ok(pruned)
}
