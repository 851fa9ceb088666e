use job::{CancelReason, ConcurrencyKey, JobId, JobKind, JobState};
use store::{ReplayFilter, Retried, StoreError, codes};

use crate::{admin, codec, queue::Shared, reply, script, view};

/// Dead letters that one call replays.
const REPLAY_MAX: usize = 500;
/// Dead letters that one dry run counts at most.
const COUNT_MAX: usize = 10_000;
/// Dead letters that one call of the script replays: a few milliseconds, in which Redis serves nobody else.
const BATCH_MAX: usize = 200;

pub(crate) async fn cancel(shared: &Shared, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError> {
    let done = shared.connection.run_one("cancel", &script::CANCEL, |command| {
        command.arg(codec::id(&id)).arg(codes::of_cancel(reason));
    });
    done.await?;
    Ok(view::get(shared, id).await?.map(|view| view.state))
}

pub(crate) async fn retry(shared: &Shared, id: JobId) -> Result<Retried, StoreError> {
    let answer = shared.connection.run_one("retry", &script::RETRY, |command| {
        command.arg(codec::id(&id));
    });
    let [code, state, by] = reply::parts(answer.await?)?;
    let (state, by) = (reply::int(&state)?, codec::ids(&reply::bytes(by)?).pop());
    match (reply::int(&code)?, by) {
        (0, _) => Ok(Retried::Done),
        (1, _) => Ok(Retried::NotFound),
        (3, Some(holder)) => Ok(Retried::KeyTaken(holder)),
        (4, Some(newer)) => Ok(Retried::Superseded(newer)),
        _ => codes::state(i16::try_from(state).unwrap_or(i16::MAX)).map(Retried::NotRetryable),
    }
}

pub(crate) async fn replay(shared: &Shared, filter: &ReplayFilter) -> Result<(usize, bool), StoreError> {
    let known = admin::queues(shared).await?;
    let queues = match &filter.queue {
        Some(queue) if !known.contains(queue) => return Err(admin::unknown(queue)),
        Some(queue) => vec![queue.clone()],
        None => known,
    };
    let most = filter.max.min(if filter.dry_run { COUNT_MAX } else { REPLAY_MAX });
    let mut count = 0;
    for queue in &queues {
        let mut from = Vec::new();
        loop {
            // With none wanted any more, the script says whether there is one.
            let wanted = (most - count).min(BATCH_MAX);
            let answer = shared.connection.run_one("replay", &script::REPLAY, |command| {
                command.arg(queue.as_str()).arg(filter.kind.as_ref().map_or("", JobKind::as_str));
                command.arg(filter.key.as_ref().map_or("", ConcurrencyKey::as_str));
                command.arg(digits(filter.reason.map(|reason| codes::of_bury(reason).into())));
                command.arg(digits(filter.finished_after.map(jiff::Timestamp::as_millisecond)));
                command.arg(digits(filter.finished_before.map(jiff::Timestamp::as_millisecond)));
                command.arg(wanted).arg(u8::from(filter.dry_run)).arg(from.as_slice());
            });
            let [done, more, next] = reply::parts(answer.await?)?;
            count += reply::count(&done)?;
            if reply::int(&more)? > 0 && count == most {
                return Ok((count, true));
            }
            from = reply::bytes(next)?;
            if from.is_empty() && reply::int(&more)? == 0 {
                break;
            }
        }
    }
    Ok((count, false))
}

/// The digits of a number, or nothing.
pub(crate) fn digits(number: Option<i64>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}
