use jiff::Timestamp;
use job::{CancelReason, ConcurrencyKey, JobId, JobKind, JobState, QueueName};
use store::{PruneFilter, ReplayFilter, Retried, StoreError, codes};
use uuid::Uuid;

use crate::{
    admin,
    database::{Shared, column},
    sql, view,
};

/// Dead letters that one call replays, in one transaction.
const REPLAY_MAX: usize = 500;
/// Jobs that one dry run counts at most.
const COUNT_MAX: usize = 10_000;
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
    let most = filter.max.min(if filter.dry_run { COUNT_MAX } else { REPLAY_MAX });
    let query = sqlx::query(sql::REPLAY)
        .bind(queue_of(shared, filter.queue.as_ref()).await?)
        .bind(filter.kind.as_ref().map(JobKind::as_str))
        .bind(filter.key.as_ref().map(ConcurrencyKey::as_str))
        .bind(filter.reason.map(codes::of_bury))
        .bind(filter.finished_after.map(Timestamp::as_millisecond))
        .bind(filter.finished_before.map(Timestamp::as_millisecond))
        .bind(i32::try_from(most).unwrap_or(i32::MAX))
        .bind(filter.dry_run);
    let row = shared.change("replay", query).await?;
    shared.woke(column(&row, 2)?);
    Ok((usize::try_from(column::<i32>(&row, 0)?).unwrap_or(0), column(&row, 1)?))
}

pub(crate) async fn prune(shared: &Shared, before: Timestamp, max: usize) -> Result<usize, StoreError> {
    let filter = PruneFilter { finished_before: Some(before), max, ..PruneFilter::default() };
    Ok(prune_matching(shared, &filter).await?.0)
}

pub(crate) async fn prune_matching(shared: &Shared, filter: &PruneFilter) -> Result<(usize, bool), StoreError> {
    filter.check()?;
    let queue = queue_of(shared, filter.queue.as_ref()).await?;
    let mut pruned = 0;
    loop {
        let most = (filter.max - pruned).min(if filter.dry_run { COUNT_MAX } else { PRUNE_BATCH_MAX });
        let query = sqlx::query(sql::PRUNE)
            .bind(queue)
            .bind(filter.state.map(codes::of_state))
            .bind(filter.kind.as_ref().map(JobKind::as_str))
            .bind(filter.key.as_ref().map(ConcurrencyKey::as_str))
            .bind(filter.finished_after.map(Timestamp::as_millisecond))
            .bind(filter.finished_before.map(Timestamp::as_millisecond))
            .bind(i32::try_from(most).unwrap_or(i32::MAX))
            .bind(filter.dry_run);
        let row = shared.database.row("prune", query).await?;
        let (gone, more): (i32, bool) = (column(&row, 0)?, column(&row, 1)?);
        pruned += usize::try_from(gone).unwrap_or(0);
        if filter.dry_run || !more || pruned >= filter.max {
            shared.flush().await?;
            return Ok((pruned, more));
        }
    }
}

/// The id of the queue that a filter names.
async fn queue_of(shared: &Shared, name: Option<&QueueName>) -> Result<Option<i32>, StoreError> {
    match name {
        Some(name) => admin::queue_id(shared, name).await.map(Some),
        None => Ok(None),
    }
}
