use std::collections::HashMap;

use job::{JobId, LeaseToken};
use store::{Checkpoint, LeaseRef, LeasedJob, StoreError, units};

use crate::{
    error::fault,
    json::{self, Id},
    queue::Shared,
    rows::{self, JOB_COLUMNS, column},
    sql,
    write::Write,
};

/// Whether any job is leased under this token.
pub(crate) async fn any(write: &mut Write<'_>, token: LeaseToken) -> Result<bool, StoreError> {
    let fault = write.fault();
    sqlx::query_scalar(sql::LEASED_UNDER).bind(Id(*token.as_uuid())).fetch_one(write.connection()).await.map_err(fault)
}

/// The jobs under a token, best first, with their payloads and checkpoints.
pub(crate) async fn read(shared: &Shared, token: LeaseToken) -> Result<Vec<LeasedJob>, StoreError> {
    let found = sqlx::query(sql::LEASED_BY_TOKEN).bind(Id(*token.as_uuid())).fetch_all(&shared.readers).await;
    let found = found.map_err(fault("claimed jobs"))?;
    let mut jobs = Vec::with_capacity(found.len());
    let mut with_checkpoints = Vec::new();
    for row in &found {
        let job = rows::job(row)?;
        if column(row, JOB_COLUMNS)? {
            with_checkpoints.push(Id(*job.id.as_uuid()));
        }
        let ready_for = column::<Option<i64>>(row, JOB_COLUMNS + 1)?.map(units::duration).unwrap_or_default();
        jobs.push(LeasedJob { lease: LeaseRef { job: job.id, token }, job, checkpoints: Vec::new(), ready_for });
    }
    if !with_checkpoints.is_empty() {
        let mut kept = checkpoints(shared, &with_checkpoints).await?;
        for leased in &mut jobs {
            leased.checkpoints = kept.remove(&leased.job.id).unwrap_or_default();
        }
    }
    Ok(jobs)
}

async fn checkpoints(shared: &Shared, ids: &[Id]) -> Result<HashMap<JobId, Vec<Checkpoint>>, StoreError> {
    let rows: Vec<(Id, String, Vec<u8>)> = sqlx::query_as(sql::CHECKPOINTS_OF)
        .bind(json::array(ids)?)
        .fetch_all(&shared.readers)
        .await
        .map_err(fault("checkpoints"))?;
    let mut kept: HashMap<JobId, Vec<Checkpoint>> = HashMap::new();
    for (Id(job), step, value) in rows {
        kept.entry(JobId::from(job)).or_default().push(Checkpoint { step, value });
    }
    Ok(kept)
}
