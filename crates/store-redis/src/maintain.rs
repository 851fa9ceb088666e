use std::sync::PoisonError;

use store::{Budget, Maintained, StoreError};

use crate::{admin, claim, cron, queue::Shared, reply, script};

/// Jobs that one call of a script moves or forgets: a few milliseconds, in which Redis serves nobody else.
const BATCH_MAX: usize = 200;

pub(crate) async fn maintain(shared: &Shared, budget: &Budget) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    let mut left = budget.jobs_max;
    while left > 0 {
        let batch = left.min(BATCH_MAX);
        let answer = shared.connection.run_one("move due jobs", &script::DUE, |command| {
            command.arg(batch);
        });
        let [unthrottled, due, next_due_ms] = reply::parts(answer.await?)?;
        let (unthrottled, due) = (reply::count(&unthrottled)?, reply::count(&due)?);
        let fired = cron::fire(shared, batch - (unthrottled + due).min(batch)).await?;
        done.unthrottled += unthrottled;
        done.due += due;
        done.fired += fired;
        done.next_due_in = claim::due_in(&next_due_ms)?;
        done.more = done.next_due_in.is_some_and(|wait| wait.is_zero());
        let moved = unthrottled + due + fired;
        left -= moved.min(left);
        if moved == 0 {
            break;
        }
    }
    if left > 0 {
        done.unparked = unpark(shared).await?;
    }
    expire(shared, left, &mut done).await?;
    Ok(done)
}

/// Gives room to parked jobs that nothing else has given it to, of one bounded page of keys a pass. None should be left so: a
/// fault in the accounting of room must delay jobs and not lose them.
async fn unpark(shared: &Shared) -> Result<usize, StoreError> {
    let queues = admin::queues(shared).await?;
    let (at, cursor) = shared.unpark_from.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(queue) = queues.get(at).or(queues.first()) else { return Ok(0) };
    let (next, freed) = admin::fill_page(shared, queue, &cursor).await?;
    let from = if next == "0" { ((at + 1) % queues.len(), next) } else { (at, next) };
    *shared.unpark_from.lock().unwrap_or_else(PoisonError::into_inner) = from;
    Ok(freed)
}

/// Forgets, of each kind at most `most`, unique keys whose window has ended, versions that were kept long enough, and finished
/// jobs beyond as many as are kept.
async fn expire(shared: &Shared, most: usize, done: &mut Maintained) -> Result<(), StoreError> {
    let mut left = most;
    while left > 0 {
        let batch = left.min(BATCH_MAX);
        let answer = shared.connection.run_one("forget what is old", &script::EXPIRE, |command| {
            command.arg(batch).arg(shared.history_max);
        });
        let [keys, versions, more] = reply::parts(answer.await?)?;
        done.unique_expired += reply::count(&keys)?;
        done.versions_expired += reply::count(&versions)?;
        left -= batch;
        if reply::int(&more)? == 0 {
            return Ok(());
        }
        done.more |= left == 0;
    }
    Ok(())
}
