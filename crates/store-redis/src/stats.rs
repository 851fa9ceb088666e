use job::QueueName;
use redis::Value;
use store::{QueueStats, StoreError, units};

use crate::{error::corrupt, queue::Shared, reply, script};

/// Bytes that a probe writes: as many as the largest job of a default configuration has. A smaller probe would fit where a
/// job does not.
const PROBE_BYTES: usize = 64 * 1024;

pub(crate) async fn stats(shared: &Shared) -> Result<Vec<QueueStats>, StoreError> {
    let answer = shared.connection.run_one("stats", &script::STATS, |_| {});
    let [rows, now_ms] = reply::parts(answer.await?)?;
    let now_ms = reply::int(&now_ms)?;
    let mut stats = reply::list(rows)?.into_iter().map(|row| read(row, now_ms)).collect::<Result<Vec<_>, _>>()?;
    stats.sort_unstable_by(|a, b| a.queue.cmp(&b.queue));
    Ok(stats)
}

fn read(row: Value, now_ms: i64) -> Result<QueueStats, StoreError> {
    let [name, scheduled, waiting, parked, leased, dead, limit, paused, since] = reply::parts(row)?;
    let count = |value: &Value| reply::int(value).map(|n| u64::try_from(n).unwrap_or(0));
    let (waiting, parked, since) = (count(&waiting)?, count(&parked)?, reply::int(&since)?);
    Ok(QueueStats {
        queue: QueueName::new(reply::text(name)?).map_err(corrupt("a queue name"))?,
        scheduled: count(&scheduled)?,
        ready: waiting.saturating_sub(parked),
        parked,
        leased: count(&leased)?,
        dead: count(&dead)?,
        oldest_ready: (since >= 0).then(|| units::duration(now_ms.saturating_sub(since))),
        limit: reply::maybe_int(limit)?.map(units::small),
        paused: reply::int(&paused)? > 0,
    })
}

/// Writes what a job would.
pub(crate) async fn probe(shared: &Shared) -> Result<(), StoreError> {
    let mut command = redis::cmd("SET");
    command.arg(shared.connection.key("probe")).arg(vec![0_u8; PROBE_BYTES]);
    shared.connection.command("probe", command).await.map(drop)
}
