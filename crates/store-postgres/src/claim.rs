use job::LeaseToken;
use sqlx::postgres::PgRow;
use store::{
    Checkpoint, ClaimRequest, Claimed, LeaseRef, LeasedJob, ReapRequest, StoreError, check_claim, check_reap, units,
};
use uuid::Uuid;

use crate::{
    database::{Shared, column},
    rows::{self, JOB_COLUMNS},
    sql,
};

pub(crate) async fn claim(shared: &Shared, request: &ClaimRequest) -> Result<Claimed, StoreError> {
    check_claim(request.max)?;
    let token = *request.id.as_uuid();
    let query = sqlx::query(sql::CLAIM)
        .bind(token)
        .bind(request.queues.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(i32::try_from(request.max).unwrap_or(i32::MAX))
        .bind(request.worker.as_str())
        .bind(units::millis(request.lease))
        .bind(shared.max_wait_ms);
    let row = shared.database.row("claim", query).await?;
    if let Some(unknown) = column::<Option<&str>>(&row, 0)? {
        return Err(StoreError::Invalid(format!("there is no queue {unknown}")));
    }
    let (mut jobs, ()) = tokio::try_join!(leased(shared, column(&row, 1)?, token), shared.refill(&row, 4))?;
    jobs.sort_by_key(|leased| request.queues.iter().position(|name| *name == leased.job.queue));
    let next_due_in = column::<Option<i64>>(&row, 3)?.map(units::duration);
    Ok(Claimed { jobs, more: column(&row, 2)?, next_due_in })
}

pub(crate) async fn reap(shared: &Shared, request: &ReapRequest) -> Result<Vec<LeasedJob>, StoreError> {
    check_reap(request.max)?;
    let token = *request.id.as_uuid();
    let query = sqlx::query(sql::REAP)
        .bind(token)
        .bind(request.worker.as_str())
        .bind(units::millis(request.lease))
        .bind(i32::try_from(request.max).unwrap_or(i32::MAX));
    let row = shared.database.row("reap", query).await?;
    leased(shared, column(&row, 0)?, token).await
}

/// Reads leased jobs while the leases go to disk: no handler may start before they are there, or a crash of the server
/// would give the same jobs to a second one. Payloads are read after the claim, so that a client that stops reading does
/// not keep the queue locked.
async fn leased(shared: &Shared, ids: Vec<Uuid>, token: Uuid) -> Result<Vec<LeasedJob>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query(sql::LEASED).bind(ids).bind(token);
    let (rows, ()) = tokio::try_join!(shared.database.rows("claimed jobs", query), shared.flush())?;
    rows.iter().map(|row| read(row, token)).collect()
}

fn read(row: &PgRow, token: Uuid) -> Result<LeasedJob, StoreError> {
    let job = rows::job(row)?;
    let steps: Option<Vec<String>> = column(row, JOB_COLUMNS)?;
    let values: Option<Vec<Vec<u8>>> = column(row, JOB_COLUMNS + 1)?;
    let kept = steps.unwrap_or_default().into_iter().zip(values.unwrap_or_default());
    let checkpoints = kept.map(|(step, value)| Checkpoint { step, value }).collect();
    let ready_for = column::<Option<i64>>(row, JOB_COLUMNS + 2)?.map(units::duration).unwrap_or_default();
    Ok(LeasedJob { lease: LeaseRef { job: job.id, token: LeaseToken::from(token) }, job, checkpoints, ready_for })
}
