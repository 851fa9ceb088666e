use std::collections::HashMap;

use jiff::Timestamp;
use job::{AttemptError, ConcurrencyKey, JobId, JobKind, JobState, QueueName, StateName, WorkerId};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use store::{JobFilter, JobPage, JobView, PAGE_MAX, StoreError, codes, units};
use uuid::Uuid;

use crate::{
    error::{corrupt, fault},
    json::{self, Id},
    queue::Shared,
    rows::{self, JOB_COLUMNS, column},
    sql,
};

pub(crate) async fn get(shared: &Shared, id: JobId) -> Result<Option<JobView>, StoreError> {
    // One snapshot, so that a job that ends meanwhile is seen once and whole.
    let mut read = shared.readers.begin().await.map_err(fault("a job"))?;
    let row =
        sqlx::query(sql::VIEW).bind(Id(*id.as_uuid())).fetch_optional(&mut *read).await.map_err(fault("a job"))?;
    let mut views = row.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    add_details(&mut read, &mut views).await?;
    Ok(views.pop())
}

pub(crate) async fn list(shared: &Shared, filter: &JobFilter) -> Result<JobPage, StoreError> {
    let most = if filter.limit == 0 { PAGE_MAX } else { filter.limit.min(PAGE_MAX) };
    let mut read = shared.readers.begin().await.map_err(fault("a list of jobs"))?;
    let mut jobs = Vec::new();
    if filter.state.is_none_or(|state| !state.is_final()) {
        jobs.extend(page(&mut read, sql::LIST_LIVE, filter, most).await?);
    }
    if filter.state.is_none_or(StateName::is_final) {
        jobs.extend(page(&mut read, sql::LIST_FINISHED, filter, most).await?);
    }
    jobs.sort_unstable_by_key(|view| std::cmp::Reverse(view.job.id));
    jobs.truncate(most);
    add_details(&mut read, &mut jobs).await?;
    let next = if jobs.len() == most { jobs.last().map(|view| view.job.id) } else { None };
    Ok(JobPage { jobs, next })
}

async fn page(
    read: &mut SqliteConnection,
    sql: &'static str,
    filter: &JobFilter,
    most: usize,
) -> Result<Vec<JobView>, StoreError> {
    let rows = sqlx::query(sql)
        .bind(Id(filter.before.map_or(Uuid::max(), |id| *id.as_uuid())))
        .bind(filter.queue.as_ref().map(QueueName::as_str))
        .bind(filter.state.map(codes::of_state))
        .bind(filter.kind.as_ref().map(JobKind::as_str))
        .bind(filter.key.as_ref().map(ConcurrencyKey::as_str))
        .bind(filter.created_after.map(Timestamp::as_millisecond))
        .bind(filter.created_before.map(Timestamp::as_millisecond))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(read)
        .await
        .map_err(fault("a list of jobs"))?;
    rows.iter().map(view).collect()
}

/// Reads a job and its state from the columns of `view` and the lists.
fn view(row: &SqliteRow) -> Result<JobView, StoreError> {
    let started_at = column::<Option<i64>>(row, JOB_COLUMNS + 4)?.map(units::timestamp).transpose()?;
    Ok(JobView { job: rows::job(row)?, state: state(row)?, started_at, errors: Vec::new(), checkpoints: Vec::new() })
}

fn state(row: &SqliteRow) -> Result<JobState, StoreError> {
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

/// Adds the errors and the names of the checkpoints, for all jobs at once.
async fn add_details(read: &mut SqliteConnection, views: &mut [JobView]) -> Result<(), StoreError> {
    let ids: Vec<_> = views.iter().map(|view| Id(*view.job.id.as_uuid())).collect();
    let text = json::array(&ids)?;
    let errors: Vec<(Id, u32, i16, String, i64)> =
        sqlx::query_as(sql::ERRORS_OF).bind(&text).fetch_all(&mut *read).await.map_err(fault("errors of jobs"))?;
    let steps: Vec<(Id, String)> =
        sqlx::query_as(sql::STEPS_OF).bind(&text).fetch_all(read).await.map_err(fault("checkpoints of jobs"))?;
    let at: HashMap<Id, usize> = ids.iter().copied().zip(0..).collect();
    for (job, attempt, kind, message, at_ms) in errors {
        let Some(view) = at.get(&job).and_then(|at| views.get_mut(*at)) else { continue };
        let (kind, at) = (codes::error_kind(kind)?, Some(units::timestamp(at_ms)?));
        view.errors.push(AttemptError { attempt, kind, message, at });
    }
    for (job, step) in steps {
        if let Some(view) = at.get(&job).and_then(|at| views.get_mut(*at)) {
            view.checkpoints.push(step);
        }
    }
    Ok(())
}
