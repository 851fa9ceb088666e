use std::collections::HashMap;

use job::{Attempt, CancelReason, Transition};
use sqlx::{Row, sqlite::SqliteRow};
use store::{LeaseRef, Settled, Settlement, StoreError, codes, units};

use crate::{
    json::{self, Id},
    lanes, sql,
    write::Write,
};

/// Errors that a job keeps; older ones are dropped.
const ERRORS_MAX: i64 = 20;

/// What the store holds of a job that is to be settled.
struct Standing {
    live: Option<Live>,
    settled: Option<Id>,
}

/// A leased job.
struct Live {
    queue: i64,
    key: String,
    token: Id,
    cancel: Option<CancelReason>,
    attempt: Attempt,
    unique: Option<(String, i64)>,
    supersede_key: Option<String>,
}

/// All that the settlements of a batch change, gathered so that each kind of change is one statement.
#[derive(Default)]
struct Effects {
    finished: Vec<(Id, i16, Option<i16>, u32, u32)>,
    given_back: Vec<(Id, i16, Option<i64>, u32, u32)>,
    errors: Vec<(Id, u32, i16, String)>,
    unique_end: Vec<(i64, String, Id, i64)>,
    unique_free: Vec<(i64, String, Id)>,
    done_with_checkpoints: Vec<Id>,
    /// Keys in which room has appeared, and for how many.
    freed: HashMap<(i64, String), usize>,
    /// Supersede keys whose leased job has ended.
    freed_versions: Vec<(i64, String)>,
}

/// Ends the leases of all callers of a transaction.
pub(crate) async fn settle(write: &mut Write<'_>, batch: &[&Settlement]) -> Result<Vec<Settled>, StoreError> {
    let mut standing = read_standing(write, batch).await?;
    let mut effects = Effects::default();
    let now_ms = write.now_ms;
    let answers = batch.iter().map(|settlement| {
        let LeaseRef { job, token } = settlement.lease();
        let (job, token) = (Id(*job.as_uuid()), Id(*token.as_uuid()));
        let Some(known) = standing.get_mut(&job) else { return Settled::LeaseLost };
        if let Some(live) = known.live.take_if(|live| live.token == token) {
            effects.add(job, live, settlement.transition(), now_ms);
            // A second settlement of the same lease in this batch finds it settled.
            known.settled = Some(token);
            return Settled::Applied;
        }
        if known.settled == Some(token) { Settled::Applied } else { Settled::LeaseLost }
    });
    let answers = answers.collect();
    effects.write(write).await?;
    Ok(answers)
}

async fn read_standing(write: &mut Write<'_>, batch: &[&Settlement]) -> Result<HashMap<Id, Standing>, StoreError> {
    let ids: Vec<Id> = batch.iter().map(|s| Id(*s.lease().job.as_uuid())).collect();
    let rows = write.rows_of(sql::SETTLING, &ids).await?;
    let mut standing = HashMap::with_capacity(rows.len());
    for row in &rows {
        let at: i64 = row.try_get(0).map_err(write.fault())?;
        let Some(id) = usize::try_from(at).ok().and_then(|at| ids.get(at)) else { continue };
        let settled = row.try_get(5).map_err(write.fault())?;
        standing.insert(*id, Standing { live: read_live(row, write)?, settled });
    }
    Ok(standing)
}

fn read_live(row: &SqliteRow, write: &Write<'_>) -> Result<Option<Live>, StoreError> {
    let read = || -> Result<Option<(Live, Option<i16>)>, sqlx::Error> {
        let Some(token) = row.try_get(4)? else { return Ok(None) };
        let (unique_key, unique_ms): (Option<String>, Option<i64>) = (row.try_get(10)?, row.try_get(11)?);
        let live = Live {
            queue: row.try_get(1)?,
            key: row.try_get(2)?,
            token,
            cancel: None,
            attempt: Attempt { number: row.try_get(7)?, max: row.try_get(8)?, crashes: row.try_get(9)? },
            unique: unique_key.map(|key| (key, unique_ms.unwrap_or(0))),
            supersede_key: row.try_get(12)?,
        };
        Ok(Some((live, row.try_get(6)?)))
    };
    let Some((live, cancel)) = read().map_err(write.fault())? else { return Ok(None) };
    Ok(Some(Live { cancel: cancel.map(codes::cancel).transpose()?, ..live }))
}

impl Effects {
    fn add(&mut self, id: Id, live: Live, transition: &Transition, now_ms: i64) {
        *self.freed.entry((live.queue, live.key.clone())).or_default() += 1;
        self.freed_versions.extend(live.supersede_key.map(|key| (live.queue, key)));
        if let Transition::Retry { error, .. } | Transition::Bury { error, .. } = transition {
            self.errors.push((id, error.attempt, codes::of_error_kind(error.kind), error.storable_message()));
        }
        let after = transition.charge(live.attempt);
        let (attempt, crashes) = (after.number, after.crashes);
        match (transition, live.cancel) {
            (Transition::Complete, _) => {
                self.finished.push((id, codes::COMPLETED, None, attempt, crashes));
                self.done_with_checkpoints.push(id);
                if let Some((key, window_ms)) = live.unique {
                    self.unique_end.push((live.queue, key, id, now_ms.saturating_add(window_ms)));
                }
            }
            // A job that was told to stop is not run again, however its attempt ended, its worker's death included.
            (&Transition::Cancel(reason), _) | (_, Some(reason)) => {
                let attempt = live.attempt.number;
                self.finished.push((id, codes::CANCELLED, Some(codes::of_cancel(reason)), attempt, crashes));
                self.done_with_checkpoints.push(id);
                self.unique_free.extend(live.unique.map(|(key, _)| (live.queue, key, id)));
            }
            (Transition::Bury { reason, .. }, None) => {
                self.finished.push((id, codes::DEAD, Some(codes::of_bury(*reason)), attempt, crashes));
                self.unique_free.extend(live.unique.map(|(key, _)| (live.queue, key, id)));
            }
            (Transition::Retry { delay, .. }, None) => {
                let run_at = now_ms.saturating_add(units::millis(*delay));
                self.given_back.push((id, codes::SCHEDULED, Some(run_at), attempt, crashes));
            }
            // Ready at once, with the turn and arrival it had; a claim parks it if its key has no room any more.
            (Transition::Release, None) => {
                self.given_back.push((id, codes::READY, None, attempt, crashes));
            }
        }
    }

    async fn write(self, write: &mut Write<'_>) -> Result<(), StoreError> {
        let now_ms = write.now_ms;
        write.each_with(sql::FINISH, &self.finished, now_ms).await?;
        write.each(sql::FORGET_LIVE, &self.finished).await?;
        write.each(sql::FORGET_CHECKPOINTS, &self.done_with_checkpoints).await?;
        write.each_with(sql::GIVE_BACK, &self.given_back, now_ms).await?;
        if self.given_back.iter().any(|(_, state, ..)| *state == codes::READY) {
            write.became_ready();
        }
        write.each_with(sql::ERROR_INSERT, &self.errors, now_ms).await?;
        write.each_with(sql::ERROR_TRIM, &self.errors, ERRORS_MAX).await?;
        write.each(sql::UNIQUE_END, &self.unique_end).await?;
        write.each(sql::UNIQUE_FREE, &self.unique_free).await?;
        if was_full(write, &self.freed).await? {
            write.became_ready();
        }
        let most = self.freed.values().copied().max().unwrap_or(0);
        let keys: Vec<_> = self.freed.into_keys().collect();
        lanes::unpark(write, &keys, most).await?;
        lanes::unpark_versions(write, &self.freed_versions).await
    }
}

/// Whether a queue or group was at its limit before these leases ended: then jobs that were ready all along may start.
async fn was_full(write: &mut Write<'_>, freed: &HashMap<(i64, String), usize>) -> Result<bool, StoreError> {
    let mut of_queue: HashMap<i64, usize> = HashMap::new();
    for ((queue, _), n) in freed {
        *of_queue.entry(*queue).or_default() += n;
    }
    if of_queue.is_empty() {
        return Ok(false);
    }
    let total = i64::try_from(of_queue.values().sum::<usize>()).unwrap_or(i64::MAX);
    let (rows, fault) = (json::array(&of_queue.into_iter().collect::<Vec<_>>())?, write.fault());
    sqlx::query_scalar(sql::WAS_FULL).bind(rows).bind(total).fetch_one(write.connection()).await.map_err(fault)
}
