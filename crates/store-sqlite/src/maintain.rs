use std::sync::PoisonError;

use job::LeaseToken;
use store::{Budget, LeasedJob, Maintained, ReapRequest, StoreError, check_reap, units};

use crate::{
    claim, cron,
    json::Id,
    lanes::{self, Waiting},
    leased,
    queue::Shared,
    queues::Queues,
    sql, throttle, versions,
    write::Write,
};

/// Jobs that one transaction of the pass moves: it keeps other writers waiting for some ten milliseconds.
const BATCH_MAX: usize = 500;
/// Keys that one pass looks at for forgotten parked jobs; the next one goes on where it ended.
const KEYS_MAX: usize = 200;
/// Parked jobs of a key that the pass may free.
const UNPARK_PER_KEY_MAX: usize = 16;

pub(crate) async fn maintain(shared: &Shared, budget: &Budget) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    let mut left = budget.jobs_max;
    loop {
        let batch = left.min(BATCH_MAX);
        let moved = move_due(shared, batch, &mut done).await?;
        left -= moved;
        if moved < batch || left == 0 {
            break;
        }
    }
    done.unparked = unpark(shared, left.min(KEYS_MAX)).await?;
    expire(shared, left.min(BATCH_MAX), &mut done).await?;
    Ok(done)
}

/// Makes ready what was waiting for a time, at most `most` jobs in all; how many. Those that a throttle has held back come
/// before others of their keys.
async fn move_due(shared: &Shared, most: usize, done: &mut Maintained) -> Result<usize, StoreError> {
    let mut write = Write::begin(shared, "move due jobs").await?;
    let queues = Queues::load(&mut write).await?;
    let unthrottled = throttle::free(&mut write, &queues, most).await?;
    let due = due(&mut write, &queues, most - unthrottled).await?;
    let fired = cron::fire(&mut write, &queues, most - unthrottled - due).await?;
    done.next_due_in = claim::next_due_in(&mut write, &queues.ids().collect::<Vec<_>>()).await?;
    done.more = done.next_due_in.is_some_and(|wait| wait.is_zero());
    write.commit().await?;
    done.unthrottled += unthrottled;
    done.due += due;
    done.fired += fired;
    Ok(unthrottled + due + fired)
}

/// Moves up to `most` due jobs of all queues; how many.
async fn due(write: &mut Write<'_>, queues: &Queues, most: usize) -> Result<usize, StoreError> {
    let mut moved = 0;
    for queue in queues.ids() {
        let left = i64::try_from(most - moved).unwrap_or(i64::MAX);
        let (now_ms, fault) = (write.now_ms, write.fault());
        let rows = sqlx::query(sql::DUE)
            .bind(queue)
            .bind(now_ms)
            .bind(left)
            .fetch_all(write.connection())
            .await
            .map_err(&fault)?;
        let jobs = rows.iter().map(Waiting::read).collect::<Result<Vec<_>, _>>().map_err(fault)?;
        lanes::place_due(write, &jobs).await?;
        moved += jobs.len();
    }
    Ok(moved)
}

/// Gives room to parked jobs that no settlement has given it to. None should be left so: a fault in the accounting of
/// room must delay jobs and not lose them.
async fn unpark(shared: &Shared, keys_max: usize) -> Result<usize, StoreError> {
    if keys_max == 0 {
        return Ok(0);
    }
    let (from, after) = shared.unpark_from.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut write = Write::begin(shared, "unpark").await?;
    let queues = Queues::load(&mut write).await?;
    let mut keys = Vec::new();
    for queue in queues.ids().filter(|id| *id >= from) {
        let after = if queue == from { after.as_str() } else { "" };
        keys.extend(lanes::keys_after(&mut write, queue, after, keys_max - keys.len()).await?);
        if keys.len() == keys_max {
            break;
        }
    }
    let unparked = lanes::unpark(&mut write, &keys, UNPARK_PER_KEY_MAX).await?;
    write.commit().await?;
    let next = if keys.len() < keys_max { None } else { keys.into_iter().next_back() };
    *shared.unpark_from.lock().unwrap_or_else(PoisonError::into_inner) = next.unwrap_or_default();
    Ok(unparked)
}

/// Forgets, of each kind at most `most`, unique keys whose window has ended, versions and starts that were kept long
/// enough.
async fn expire(shared: &Shared, most: usize, done: &mut Maintained) -> Result<(), StoreError> {
    if most == 0 {
        return Ok(());
    }
    let mut write = Write::begin(shared, "forget what is old").await?;
    let mut expired = [0, 0];
    for (statement, expired) in [sql::UNIQUE_EXPIRE, sql::THROTTLE_EXPIRE].into_iter().zip(&mut expired) {
        let (now_ms, fault) = (write.now_ms, write.fault());
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = sqlx::query(statement).bind(now_ms).bind(limit).execute(write.connection()).await.map_err(fault)?;
        *expired = usize::try_from(rows.rows_affected()).unwrap_or(usize::MAX);
    }
    let (versions, more_versions) = versions::expire(&mut write, most).await?;
    write.commit().await?;
    done.unique_expired = expired[0];
    done.versions_expired = versions;
    done.more |= expired.contains(&most) || more_versions;
    Ok(())
}

pub(crate) async fn reap(shared: &Shared, request: &ReapRequest) -> Result<Vec<LeasedJob>, StoreError> {
    check_reap(request.max)?;
    let token = LeaseToken::from(*request.id.as_uuid());
    let mut write = Write::begin(shared, "reap").await?;
    if !leased::any(&mut write, token).await? {
        let (now_ms, fault) = (write.now_ms, write.fault());
        sqlx::query(sql::REAP)
            .bind(Id(*request.id.as_uuid()))
            .bind(request.worker.as_str())
            .bind(now_ms)
            .bind(now_ms.saturating_add(units::millis(request.lease)))
            .bind(i64::try_from(request.max).unwrap_or(i64::MAX))
            .execute(write.connection())
            .await
            .map_err(fault)?;
    }
    write.commit().await?;
    leased::read(shared, token).await
}
