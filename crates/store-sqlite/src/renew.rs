use std::{collections::HashMap, time::Duration};

use job::CancelReason;
use store::{
    CHECKPOINTS_MAX, Checkpoint, LeaseRef, Renewal, Settled, StoreError, check_checkpoint, check_leases, codes, units,
};

use crate::{
    json::{self, Id},
    queue::Shared,
    sql,
    write::Write,
};

pub(crate) async fn renew(shared: &Shared, leases: &[LeaseRef], extend: Duration) -> Result<Vec<Renewal>, StoreError> {
    check_leases(leases.len())?;
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<_> = leases.iter().map(|l| (Id(*l.job.as_uuid()), Id(*l.token.as_uuid()))).collect();
    let mut write = Write::begin(shared, "renew").await?;
    let until = write.now_ms.saturating_add(units::millis(extend));
    let fault = write.fault();
    let rows: Vec<(Id, Id, Option<i16>)> = sqlx::query_as(sql::RENEW)
        .bind(json::array(&asked)?)
        .bind(until)
        .fetch_all(write.connection())
        .await
        .map_err(fault)?;
    write.commit().await?;
    let mut held: HashMap<(Id, Id), Option<CancelReason>> = HashMap::with_capacity(rows.len());
    for (job, token, cancel) in rows {
        held.insert((job, token), cancel.map(codes::cancel).transpose()?);
    }
    let answer = |lease: &LeaseRef| match held.get(&(Id(*lease.job.as_uuid()), Id(*lease.token.as_uuid()))) {
        None => Renewal::LeaseLost,
        Some(None) => Renewal::Extended,
        Some(Some(reason)) => Renewal::CancelRequested(*reason),
    };
    Ok(leases.iter().map(answer).collect())
}

pub(crate) async fn checkpoint(
    shared: &Shared,
    lease: &LeaseRef,
    checkpoint: &Checkpoint,
) -> Result<Settled, StoreError> {
    check_checkpoint(checkpoint)?;
    let (job, token) = (Id(*lease.job.as_uuid()), Id(*lease.token.as_uuid()));
    let mut write = Write::begin(shared, "checkpoint").await?;
    let fault = write.fault();
    let held: bool =
        sqlx::query_scalar(sql::HOLDS).bind(job).bind(token).fetch_one(write.connection()).await.map_err(&fault)?;
    if !held {
        return Ok(Settled::LeaseLost);
    }
    let others: i64 = sqlx::query_scalar(sql::CHECKPOINT_COUNT)
        .bind(job)
        .bind(&checkpoint.step)
        .fetch_one(write.connection())
        .await
        .map_err(&fault)?;
    if usize::try_from(others).is_ok_and(|others| others >= CHECKPOINTS_MAX) {
        return Err(StoreError::Invalid(format!("the job has {CHECKPOINTS_MAX} checkpoints: no more are allowed")));
    }
    sqlx::query(sql::CHECKPOINT_PUT)
        .bind(job)
        .bind(&checkpoint.step)
        .bind(&checkpoint.value)
        .execute(write.connection())
        .await
        .map_err(&fault)?;
    write.commit().await?;
    Ok(Settled::Applied)
}
