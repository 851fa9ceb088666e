use std::{collections::HashMap, time::Duration};

use job::CancelReason;
use store::{
    CHECKPOINTS_MAX, Checkpoint, LeaseRef, Renewal, Settled, StoreError, check_checkpoint, check_leases, codes, units,
};
use uuid::Uuid;

use crate::{
    database::{Shared, column},
    sql,
};

pub(crate) async fn renew(shared: &Shared, leases: &[LeaseRef], extend: Duration) -> Result<Vec<Renewal>, StoreError> {
    check_leases(leases.len())?;
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query(sql::RENEW)
        .bind(leases.iter().map(|l| *l.job.as_uuid()).collect::<Vec<_>>())
        .bind(leases.iter().map(|l| *l.token.as_uuid()).collect::<Vec<_>>())
        .bind(units::millis(extend));
    let rows = shared.database.rows("renew", query).await?;
    shared.flush().await?;
    let mut held: HashMap<(Uuid, Uuid), Option<CancelReason>> = HashMap::with_capacity(rows.len());
    for row in &rows {
        let cancel: Option<i16> = column(row, 2)?;
        held.insert((column(row, 0)?, column(row, 1)?), cancel.map(codes::cancel).transpose()?);
    }
    let answer = |lease: &LeaseRef| match held.get(&(*lease.job.as_uuid(), *lease.token.as_uuid())) {
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
    let query = sqlx::query(sql::CHECKPOINT)
        .bind(*lease.job.as_uuid())
        .bind(*lease.token.as_uuid())
        .bind(&checkpoint.step)
        .bind(&checkpoint.value)
        .bind(i32::try_from(CHECKPOINTS_MAX).unwrap_or(i32::MAX));
    let row = shared.change("checkpoint", query).await?;
    match column::<i16>(&row, 0)? {
        0 => Ok(Settled::LeaseLost),
        1 => Ok(Settled::Applied),
        _ => Err(StoreError::Invalid(format!("the job has {CHECKPOINTS_MAX} checkpoints: no more are allowed"))),
    }
}
