use job::{AttemptError, ConcurrencyKey, JobId, JobKind, JobState, QueueName, StateName, WorkerId};
use sqlx::postgres::PgRow;
use store::{JobFilter, JobPage, JobView, PAGE_MAX, QueueStats, StoreError, codes, units};

use crate::{
    database::{Shared, column},
    error::corrupt,
    rows::{self, JOB_COLUMNS},
    sql,
};

/// Columns of a state, behind those of a job.
const STATE_COLUMNS: usize = 8;

pub(crate) async fn get(shared: &Shared, id: JobId) -> Result<Option<JobView>, StoreError> {
    let rows = shared.database.rows("a job", sqlx::query(sql::VIEW).bind(*id.as_uuid())).await?;
    rows.first().map(view).transpose()
}

pub(crate) async fn list(shared: &Shared, filter: &JobFilter) -> Result<JobPage, StoreError> {
    let most = if filter.limit == 0 { PAGE_MAX } else { filter.limit.min(PAGE_MAX) };
    let query = sqlx::query(sql::LIST)
        .bind(filter.before.map(|id| *id.as_uuid()))
        .bind(filter.queue.as_ref().map(QueueName::as_str))
        .bind(filter.state.map(codes::of_state))
        .bind(filter.kind.as_ref().map(JobKind::as_str))
        .bind(filter.key.as_ref().map(ConcurrencyKey::as_str))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .bind(filter.created_after.map(jiff::Timestamp::as_millisecond))
        .bind(filter.created_before.map(jiff::Timestamp::as_millisecond));
    let rows = shared.database.tuned_rows("a list of jobs", query).await?;
    let jobs = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    let next = if jobs.len() == most { jobs.last().map(|view| view.job.id) } else { None };
    Ok(JobPage { jobs, next })
}

fn view(row: &PgRow) -> Result<JobView, StoreError> {
    let details = JOB_COLUMNS + STATE_COLUMNS;
    let steps: Option<Vec<String>> = column(row, details + 4)?;
    let started_at = column::<Option<i64>>(row, JOB_COLUMNS + 4)?.map(units::timestamp).transpose()?;
    Ok(JobView {
        job: rows::job(row)?,
        state: state(row)?,
        started_at,
        errors: errors(row, details)?,
        checkpoints: steps.unwrap_or_default(),
    })
}

fn errors(row: &PgRow, first: usize) -> Result<Vec<AttemptError>, StoreError> {
    let Some(attempts) = column::<Option<Vec<i64>>>(row, first)? else { return Ok(Vec::new()) };
    let (kinds, messages, times): (Vec<i16>, Vec<String>, Vec<i64>) =
        (column(row, first + 1)?, column(row, first + 2)?, column(row, first + 3)?);
    let each = attempts.into_iter().zip(kinds).zip(messages).zip(times);
    each.map(|(((attempt, kind), message), at_ms)| {
        let (kind, at) = (codes::error_kind(kind)?, Some(units::timestamp(at_ms)?));
        Ok(AttemptError { attempt: units::small(attempt), kind, message, at })
    })
    .collect()
}

fn state(row: &PgRow) -> Result<JobState, StoreError> {
    let time = |offset| column(row, JOB_COLUMNS + offset).and_then(units::timestamp);
    let reason: Option<i16> = column(row, JOB_COLUMNS + 6)?;
    Ok(match codes::state(column(row, JOB_COLUMNS)?)? {
        StateName::Scheduled => JobState::Scheduled { run_at: time(1)? },
        StateName::Ready => JobState::Ready { since: time(2)? },
        StateName::Parked => JobState::Parked,
        StateName::Leased => JobState::Leased {
            worker: WorkerId::new(column::<&str>(row, JOB_COLUMNS + 3)?).map_err(corrupt("a worker id"))?,
            since: time(4)?,
            expires_at: time(5)?,
            cancel_requested: reason.map(codes::cancel).transpose()?,
        },
        StateName::Completed => JobState::Completed { at: time(7)? },
        StateName::Dead => JobState::Dead { at: time(7)?, reason: codes::bury(reason.unwrap_or(0))? },
        StateName::Cancelled => JobState::Cancelled { at: time(7)?, reason: codes::cancel(reason.unwrap_or(0))? },
    })
}

pub(crate) async fn stats(shared: &Shared) -> Result<Vec<QueueStats>, StoreError> {
    shared.database.rows("stats", sqlx::query(sql::STATS)).await?.iter().map(depth).collect()
}

fn depth(row: &PgRow) -> Result<QueueStats, StoreError> {
    let count = |at| column::<i64>(row, at).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(QueueStats {
        queue: QueueName::new(column::<&str>(row, 0)?).map_err(corrupt("a queue name"))?,
        scheduled: count(1)?,
        ready: count(2)?,
        parked: count(3)?,
        leased: count(4)?,
        dead: count(5)?,
        oldest_ready: column::<Option<i64>>(row, 8)?.map(units::duration),
        limit: column::<Option<i64>>(row, 6)?.map(units::small),
        paused: column(row, 7)?,
    })
}
