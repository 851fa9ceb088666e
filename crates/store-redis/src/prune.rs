use jiff::Timestamp;
use job::{ConcurrencyKey, JobKind, StateName};
use redis::Value;
use store::{PruneFilter, StoreError, codes};

use crate::{admin, operate::digits, queue::Shared, reply, script};

/// Finished jobs that one dry run counts at most.
const COUNT_MAX: usize = 10_000;
/// Finished jobs that one call of the script forgets: a few milliseconds, in which Redis serves nobody else.
const BATCH_MAX: usize = 200;

pub(crate) async fn prune(shared: &Shared, before: Timestamp, max: usize) -> Result<usize, StoreError> {
    let filter = PruneFilter { finished_before: Some(before), max, ..PruneFilter::default() };
    Ok(matching(shared, &filter).await?.0)
}

pub(crate) async fn matching(shared: &Shared, filter: &PruneFilter) -> Result<(usize, bool), StoreError> {
    filter.check()?;
    let most = if filter.dry_run { filter.max.min(COUNT_MAX) } else { filter.max };
    // Dead letters stand apart by queue.
    let queues = match (&filter.queue, filter.state) {
        (None, Some(StateName::Dead)) => admin::queues(shared).await?.iter().map(ToString::to_string).collect(),
        (queue, _) => vec![queue.as_ref().map_or_else(String::new, ToString::to_string)],
    };
    let mut count = 0;
    for queue in queues {
        let more;
        (count, more) = of_queue(shared, filter, &queue, count, most).await?;
        if more {
            return Ok((count, true));
        }
    }
    Ok((count, false))
}

/// Forgets or counts what is left of `most`, of one queue or of all; how many in all, and whether more are left.
async fn of_queue(
    shared: &Shared,
    filter: &PruneFilter,
    queue: &str,
    before: usize,
    most: usize,
) -> Result<(usize, bool), StoreError> {
    let mut count = before;
    let (mut from, mut passed) = (Vec::new(), 0);
    loop {
        // With none wanted any more, the script says whether there is one.
        let wanted = (most - count).min(BATCH_MAX);
        let answer = shared.connection.run_one("prune", &script::PRUNE, |command| {
            command.arg(queue).arg(digits(filter.state.map(|state| codes::of_state(state).into())));
            command.arg(filter.kind.as_ref().map_or("", JobKind::as_str));
            command.arg(filter.key.as_ref().map_or("", ConcurrencyKey::as_str));
            command.arg(digits(filter.finished_after.map(Timestamp::as_millisecond)));
            command.arg(digits(filter.finished_before.map(Timestamp::as_millisecond)));
            command.arg(wanted).arg(u8::from(filter.dry_run)).arg(from.as_slice()).arg(passed);
        });
        let mut found = reply::list(answer.await?)?.into_iter();
        let mut next = || found.next().unwrap_or(Value::Nil);
        let (done, more) = (reply::int(&next())?, reply::int(&next())? > 0);
        if done < 0 {
            return Err(StoreError::Invalid(format!("there is no queue {queue}")));
        }
        count += usize::try_from(done).unwrap_or(0);
        let further = next();
        if further == Value::Nil {
            return Ok((count, more));
        }
        (from, passed) = (reply::bytes(further)?, reply::int(&next())?);
    }
}
