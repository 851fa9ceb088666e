use store::{Budget, Maintained, StoreError, units};

use crate::{
    cron,
    database::{Shared, column},
    sql,
};

/// Jobs that one transaction of the pass moves: it keeps claims waiting for some ten milliseconds.
const BATCH_MAX: usize = 500;
/// Keys that one transaction looks at for parked jobs.
const KEYS_MAX: i32 = 200;
/// Parked jobs of a key that the pass looks at; the next one frees more where it has freed any.
const UNPARK_PER_KEY_MAX: i32 = 2;

pub(crate) async fn maintain(shared: &Shared, budget: &Budget) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    let mut left = budget.jobs_max;
    loop {
        let batch = left.min(BATCH_MAX);
        // Those that a throttle has held back come before others of their keys.
        let unthrottled = end_throttles(shared, batch).await?;
        let due = move_due(shared, batch - unthrottled).await?;
        let fired = cron::fire(shared, batch - unthrottled - due).await?;
        done.unthrottled += unthrottled;
        done.due += due;
        done.fired += fired;
        let moved = unthrottled + due + fired;
        left -= moved;
        if moved < batch || left == 0 {
            break;
        }
    }
    let row = shared.database.row("the next job", sqlx::query(sql::NEXT_WAKE)).await?;
    done.next_due_in = column::<Option<i64>>(&row, 0)?.map(units::duration);
    done.more = done.next_due_in.is_some_and(|wait| wait.is_zero());
    if left > 0 {
        done.unparked = sweep(shared).await?;
        expire(shared, left.min(BATCH_MAX), &mut done).await?;
    }
    shared.database.row("turn partitions", sqlx::query(sql::TURN_PARTITIONS)).await?;
    shared.flush().await?;
    Ok(done)
}

/// Forgets unique keys, versions and starts that no rule asks for any more, at most `most` of each.
async fn expire(shared: &Shared, most: usize, done: &mut Maintained) -> Result<(), StoreError> {
    let rows = i32::try_from(most).unwrap_or(i32::MAX);
    let count = |rows: i64| usize::try_from(rows).unwrap_or(0);
    let row = shared.database.row("expire unique keys", sqlx::query(sql::EXPIRE_UNIQUE).bind(rows)).await?;
    done.unique_expired = count(column(&row, 0)?);
    let row = shared.database.row("expire versions", sqlx::query(sql::EXPIRE_VERSIONS).bind(rows)).await?;
    done.versions_expired = count(column(&row, 0)?);
    let versions_seen = count(column(&row, 1)?);
    let row = shared.database.row("expire starts", sqlx::query(sql::EXPIRE_STARTS).bind(rows)).await?;
    done.more |= [done.unique_expired, versions_seen, count(column(&row, 0)?)].contains(&most);
    Ok(())
}

/// Looks at keys again whose throttles have a start for them; how many of their jobs became ready, at most `most`.
async fn end_throttles(shared: &Shared, most: usize) -> Result<usize, StoreError> {
    let mut freed = 0;
    for queue in shared.database.rows("queues", sqlx::query(sql::QUEUE_IDS)).await? {
        let query = sqlx::query(sql::END_THROTTLES)
            .bind(column::<i32>(&queue, 0)?)
            .bind(KEYS_MAX)
            .bind(i32::try_from(most - freed).unwrap_or(i32::MAX));
        let more: i64 = column(&shared.database.row("end throttles", query).await?, 0)?;
        shared.woke(more > 0);
        freed += usize::try_from(more).unwrap_or(0).min(most - freed);
    }
    Ok(freed)
}

async fn move_due(shared: &Shared, most: usize) -> Result<usize, StoreError> {
    let query = sqlx::query(sql::MOVE_DUE).bind(i32::try_from(most).unwrap_or(i32::MAX));
    let row = shared.database.row("move due jobs", query).await?;
    shared.woke(column(&row, 1)?);
    Ok(usize::try_from(column::<i32>(&row, 0)?).unwrap_or(0))
}

/// Gives room to parked jobs that no settlement has given it to. None should be left so: a fault in the accounting of
/// room must delay jobs and not lose them.
async fn sweep(shared: &Shared) -> Result<usize, StoreError> {
    let mut freed = 0;
    for row in shared.database.rows("queues", sqlx::query(sql::QUEUE_IDS)).await? {
        let mut from = shared.sweep_from(column(&row, 0)?);
        freed += one_sweep(shared, column(&row, 0)?, &mut from, KEYS_MAX, UNPARK_PER_KEY_MAX).await?;
        shared.sweep_to(column(&row, 0)?, from);
    }
    Ok(freed)
}

/// Frees parked jobs of the next keys of a queue; how many. `from` moves on, and to the empty key at the end.
pub(crate) async fn one_sweep(
    shared: &Shared,
    queue: i32,
    from: &mut String,
    keys_max: i32,
    per_key: i32,
) -> Result<usize, StoreError> {
    let query = sqlx::query(sql::SWEEP).bind(queue).bind(from.as_str()).bind(keys_max).bind(per_key);
    let row = shared.database.row("unpark", query).await?;
    let (freed, seen): (i64, i32) = (column(&row, 0)?, column(&row, 1)?);
    shared.woke(freed > 0);
    *from = if seen < keys_max { String::new() } else { column::<Option<String>>(&row, 2)?.unwrap_or_default() };
    Ok(usize::try_from(freed).unwrap_or(0))
}
