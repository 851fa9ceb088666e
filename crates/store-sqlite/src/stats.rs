use job::QueueName;
use sqlx::sqlite::SqliteRow;
use store::{QueueStats, StoreError, units};

use crate::{
    error::{corrupt, fault},
    queue::Shared,
    rows::column,
    sql,
};

pub(crate) async fn stats(shared: &Shared) -> Result<Vec<QueueStats>, StoreError> {
    let rows = sqlx::query(sql::STATS).fetch_all(&shared.readers).await.map_err(fault("stats"))?;
    rows.iter().map(|row| read(row, shared.clock.now_ms())).collect()
}

fn read(row: &SqliteRow, now_ms: i64) -> Result<QueueStats, StoreError> {
    let count = |at| column::<i64>(row, at).map(|n| u64::try_from(n).unwrap_or(0));
    let (limit, since): (Option<i64>, Option<i64>) = (column(row, 6)?, column(row, 8)?);
    Ok(QueueStats {
        queue: QueueName::new(column::<&str>(row, 0)?).map_err(corrupt("a queue name"))?,
        scheduled: count(1)?,
        ready: count(2)?,
        parked: count(3)?,
        leased: count(4)?,
        dead: count(5)?,
        oldest_ready: since.map(|since| units::duration(now_ms.saturating_sub(since))),
        limit: limit.map(units::small),
        paused: column(row, 7)?,
    })
}
