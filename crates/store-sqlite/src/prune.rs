use jiff::Timestamp;
use job::{ConcurrencyKey, JobKind, StateName};
use store::{PruneFilter, StoreError, codes};

use crate::{json::Id, queue::Shared, queues::Queues, sql, write::Write};

/// Finished jobs that one transaction forgets.
const BATCH_MAX: usize = 500;
/// Finished jobs that one dry run counts at most: it keeps other writers waiting for some ten milliseconds.
const COUNT_MAX: usize = 10_000;

pub(crate) async fn prune(shared: &Shared, before: Timestamp, max: usize) -> Result<usize, StoreError> {
    let filter = PruneFilter { finished_before: Some(before), max, ..PruneFilter::default() };
    Ok(matching(shared, &filter).await?.0)
}

pub(crate) async fn matching(shared: &Shared, filter: &PruneFilter) -> Result<(usize, bool), StoreError> {
    filter.check()?;
    if filter.dry_run {
        let most = filter.max.min(COUNT_MAX);
        let found = prunable(&mut Write::begin(shared, "count what can be pruned").await?, filter, most + 1).await?;
        return Ok((found.len().min(most), found.len() > most));
    }
    let mut pruned = 0;
    loop {
        let most = (filter.max - pruned).min(BATCH_MAX);
        let mut write = Write::begin(shared, "prune").await?;
        // One more than wanted tells whether more are left.
        let mut ids = prunable(&mut write, filter, most + 1).await?;
        let more = ids.len() > most;
        ids.truncate(most);
        for sql in [sql::FORGET_FINISHED, sql::FORGET_BODIES, sql::FORGET_ERRORS, sql::FORGET_CHECKPOINTS] {
            write.each(sql, &ids).await?;
        }
        write.commit().await?;
        pruned += ids.len();
        if !more || pruned == filter.max {
            return Ok((pruned, more));
        }
    }
}

async fn prunable(write: &mut Write<'_>, filter: &PruneFilter, most: usize) -> Result<Vec<Id>, StoreError> {
    let queues = Queues::load(write).await?;
    let queue = filter.queue.as_ref().map(|name| queues.id(name)).transpose()?;
    let before_ms = filter.finished_before.map_or(i64::MAX, Timestamp::as_millisecond);
    let after_ms = filter.finished_after.map(Timestamp::as_millisecond);
    let kind = filter.kind.as_ref().map(JobKind::as_str);
    let key = filter.key.as_ref().map(ConcurrencyKey::as_str);
    let fault = write.fault();
    let limit = |most: usize| i64::try_from(most).unwrap_or(i64::MAX);
    if filter.state != Some(StateName::Dead) {
        let found = sqlx::query_scalar(sql::PRUNABLE)
            .bind(before_ms)
            .bind(queue)
            .bind(filter.state.map(codes::of_state))
            .bind(kind)
            .bind(key)
            .bind(after_ms)
            .bind(limit(most))
            .fetch_all(write.connection())
            .await;
        return found.map_err(fault);
    }
    let mut ids = Vec::new();
    for queue in queues.ids().filter(|id| queue.is_none_or(|asked| asked == *id)) {
        let found: Vec<Id> = sqlx::query_scalar(sql::PRUNABLE_DEAD)
            .bind(queue)
            .bind(before_ms)
            .bind(kind)
            .bind(key)
            .bind(after_ms)
            .bind(limit(most - ids.len()))
            .fetch_all(write.connection())
            .await
            .map_err(&fault)?;
        ids.extend(found);
    }
    Ok(ids)
}
