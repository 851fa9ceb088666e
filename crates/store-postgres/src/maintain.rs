use std::time::Duration;

use store::{Budget, Maintained, StoreError};

use crate::{
    database::{Shared, column},
    sql, units,
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
        let (moved, next_due_in) = move_due(shared, left.min(BATCH_MAX)).await?;
        done.due += moved;
        left = left.saturating_sub(moved);
        done.more = next_due_in.is_some_and(|wait| wait.is_zero());
        done.next_due_in = next_due_in;
        // Where nothing moved though more is due, another pass or the budget is in the way.
        if !done.more || left == 0 || moved == 0 {
            break;
        }
    }
    if left > 0 {
        done.unparked = sweep(shared).await?;
        let most = left.min(BATCH_MAX);
        let query = sqlx::query(sql::EXPIRE_UNIQUE).bind(i32::try_from(most).unwrap_or(i32::MAX));
        let expired: i64 = column(&shared.database.row("expire unique keys", query).await?, 0)?;
        done.unique_expired = usize::try_from(expired).unwrap_or(0);
        done.more |= done.unique_expired == most;
    }
    shared.database.row("turn partitions", sqlx::query(sql::TURN_PARTITIONS)).await?;
    shared.flush().await?;
    Ok(done)
}

async fn move_due(shared: &Shared, most: usize) -> Result<(usize, Option<Duration>), StoreError> {
    let query = sqlx::query(sql::MOVE_DUE).bind(i32::try_from(most).unwrap_or(i32::MAX));
    let row = shared.database.row("move due jobs", query).await?;
    shared.woke(column(&row, 1)?);
    let moved: i32 = column(&row, 0)?;
    let next_due_in = column::<Option<i64>>(&row, 2)?.map(units::duration);
    Ok((usize::try_from(moved).unwrap_or(0), next_due_in))
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
