use store::{ClaimRequest, StoreError, units};

use crate::{
    claim::{self, Candidate, Start},
    queues::QueueRow,
    sql,
    write::Write,
};

/// One start in so many goes to the longest-waiting key, while there is one that has waited too long.
const EVERY: i64 = 10;
/// Longest-waiting jobs that a claim looks at, to find those that are the first of their key.
const LOOK_MAX: i64 = 200;

/// Starts what has waited beyond `max_wait` though it could have started, so that no stream of higher priorities or of
/// newcomers holds a key back for ever. Answers how many it has leased.
pub(crate) async fn claim(
    write: &mut Write<'_>,
    queue: &QueueRow,
    request: &ClaimRequest,
    most: usize,
) -> Result<usize, StoreError> {
    let latest_ms = write.now_ms.saturating_sub(units::millis(write.max_wait()));
    // The time before the end of a pause does not count.
    if queue.resumed_at_ms > latest_ms {
        return Ok(0);
    }
    let starts = i64::try_from(most).unwrap_or(i64::MAX - EVERY);
    // Of the starts numbered from `queue.starts + 1` to `+ starts`, those that `EVERY` divides.
    let share = (queue.starts % EVERY).saturating_add(starts) / EVERY;
    let share = usize::try_from(share).unwrap_or(0);
    if share == 0 {
        return Ok(0);
    }
    let (now_ms, fault) = (write.now_ms, write.fault());
    let rows = sqlx::query(sql::STARVED)
        .bind(queue.id)
        .bind(latest_ms)
        .bind(LOOK_MAX)
        .bind(now_ms)
        .fetch_all(write.connection())
        .await
        .map_err(&fault)?;
    let waiting = rows.iter().map(claim::read_candidate).collect::<Result<Vec<Candidate>, _>>().map_err(fault)?;
    let start: Vec<Start> = waiting.into_iter().filter(|job| job.room() > 0).take(share).map(Start::from).collect();
    claim::lease(write, queue.id, request, &start).await?;
    Ok(start.len())
}
