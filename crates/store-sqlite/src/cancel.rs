use std::collections::HashMap;

use job::{CancelReason, JobId, JobState, StateName};
use store::{StoreError, codes};

use crate::{
    json::Id,
    lanes,
    operate::{self, Found},
    queue::Shared,
    sql, view,
    write::Write,
};

pub(crate) async fn cancel(shared: &Shared, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError> {
    let mut write = Write::begin(shared, "cancel").await?;
    let Some(found) = operate::find(&mut write, id).await? else { return Ok(None) };
    match codes::state(found.state)? {
        StateName::Leased => ask(&mut write, [found.id].into_iter(), reason).await?,
        StateName::Scheduled | StateName::Ready | StateName::Parked => end(&mut write, vec![found], reason).await?,
        StateName::Completed | StateName::Dead | StateName::Cancelled => {}
    }
    write.commit().await?;
    Ok(view::get(shared, id).await?.map(|view| view.state))
}

/// Asks the workers that hold jobs to stop. They are woken, so that they renew and learn of it.
pub(crate) async fn ask(
    write: &mut Write<'_>,
    jobs: impl Iterator<Item = Id>,
    reason: CancelReason,
) -> Result<(), StoreError> {
    let ids: Vec<Id> = jobs.collect();
    if !ids.is_empty() {
        write.became_ready();
    }
    write.each_with(sql::CANCEL_ASK_ALL, &ids, i64::from(codes::of_cancel(reason))).await?;
    Ok(())
}

/// Ends waiting jobs as cancelled.
pub(crate) async fn end(write: &mut Write<'_>, waiting: Vec<Found>, reason: CancelReason) -> Result<(), StoreError> {
    let now_ms = write.now_ms;
    let row = |job: &Found| (job.id, codes::CANCELLED, codes::of_cancel(reason), job.attempt, job.crashes);
    let rows: Vec<_> = waiting.iter().map(row).collect();
    write.each_with(sql::FINISH, &rows, now_ms).await?;
    write.each(sql::FORGET_LIVE, &rows).await?;
    let ids: Vec<Id> = waiting.iter().map(|job| job.id).collect();
    write.each(sql::FORGET_CHECKPOINTS, &ids).await?;
    let unique: Vec<_> = waiting.iter().filter_map(|job| Some((job.queue, job.unique.as_ref()?, job.id))).collect();
    write.each(sql::UNIQUE_FREE, &unique).await?;
    // A ready job held room that the next of its key gets.
    let mut room: HashMap<(i64, String), usize> = HashMap::new();
    for job in waiting.into_iter().filter(|job| job.state == codes::READY) {
        *room.entry((job.queue, job.key)).or_default() += 1;
    }
    let most = room.values().copied().max().unwrap_or(0);
    lanes::unpark(write, &room.into_keys().collect::<Vec<_>>(), most).await?;
    Ok(())
}
