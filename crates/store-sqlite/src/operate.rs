use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use job::{ConcurrencyKey, JobId, JobKind, StateName, Supersede};
use sqlx::sqlite::SqliteRow;
use store::{ReplayFilter, Retried, StoreError, codes};

use crate::{
    enqueue::{self, Holder},
    json::Id,
    lanes::{self, Waiting},
    queue::Shared,
    queues::Queues,
    rows::{self, column},
    sql, versions,
    write::Write,
};

/// Dead letters that one call replays, in one transaction.
const REPLAY_MAX: usize = 500;
/// Dead letters that one dry run counts at most: it keeps other writers waiting for some ten milliseconds.
const COUNT_MAX: usize = 10_000;

/// What a command needs to know of a job.
pub(crate) struct Found {
    pub(crate) id: Id,
    pub(crate) state: i16,
    pub(crate) queue: i64,
    pub(crate) key: String,
    pub(crate) unique: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) crashes: u32,
    supersede: Option<Supersede>,
}

impl Found {
    /// Reads a row of `job_of` or `superseded`.
    pub(crate) fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: column(row, 0)?,
            state: column(row, 1)?,
            queue: column(row, 2)?,
            key: column(row, 3)?,
            unique: column(row, 4)?,
            attempt: column(row, 5)?,
            crashes: column(row, 6)?,
            supersede: rows::supersede(row, 7)?,
        })
    }
}

pub(crate) async fn find(write: &mut Write<'_>, id: JobId) -> Result<Option<Found>, StoreError> {
    let fault = write.fault();
    let row =
        sqlx::query(sql::JOB_OF).bind(Id(*id.as_uuid())).fetch_optional(write.connection()).await.map_err(fault)?;
    row.as_ref().map(Found::read).transpose()
}

pub(crate) async fn retry(shared: &Shared, id: JobId) -> Result<Retried, StoreError> {
    let mut write = Write::begin(shared, "retry").await?;
    let Some(found) = find(&mut write, id).await? else { return Ok(Retried::NotFound) };
    match codes::state(found.state)? {
        StateName::Ready | StateName::Parked => return Ok(Retried::Done),
        state @ (StateName::Leased | StateName::Completed) => return Ok(Retried::NotRetryable(state)),
        StateName::Scheduled => place(&mut write, &[Id(*id.as_uuid())]).await?,
        StateName::Dead | StateName::Cancelled => {
            if let Some(supersede) = &found.supersede {
                let key = [(found.queue, supersede.key.as_str())];
                let newest = versions::newest(&mut write, &key).await?.remove(&key[0]);
                if let Some(newest) = newest.filter(|newest| newest.job != id) {
                    return Ok(Retried::Superseded(newest.job));
                }
            }
            let supersede_key = found.supersede.as_ref().map(|supersede| supersede.key.as_str());
            let unique: Vec<_> = found.unique.iter().map(|key| (found.queue, key.as_str())).collect();
            let holder = enqueue::taken(&mut write, &unique).await?.pop().map(|(_, holder)| holder);
            // An older version leaves its key to this one.
            let is_older = |of: &Holder| supersede_key.is_some() && of.supersede_key.as_deref() == supersede_key;
            if let Some(holder) = holder.filter(|holder| !is_older(holder)) {
                return Ok(Retried::KeyTaken(holder.job));
            }
            revive(&mut write, &[found]).await?;
        }
    }
    write.commit().await?;
    Ok(Retried::Done)
}

pub(crate) async fn replay(shared: &Shared, filter: &ReplayFilter) -> Result<(usize, bool), StoreError> {
    let mut write = Write::begin(shared, "replay").await?;
    let queues = Queues::load(&mut write).await?;
    let asked = match &filter.queue {
        Some(name) => vec![queues.id(name)?],
        None => queues.ids().collect(),
    };
    let most = filter.max.min(if filter.dry_run { COUNT_MAX } else { REPLAY_MAX });
    let (mut count, mut more) = (0, false);
    let mut dead = Vec::new();
    for queue in asked {
        let left = most - count;
        let mut page = dead_page(&mut write, queue, filter, left + 1).await?;
        more |= page.len() > left;
        page.truncate(left);
        count += page.len();
        dead.extend(page);
    }
    if filter.dry_run {
        return Ok((count, more));
    }
    let dead = without_rivals(dead);
    revive(&mut write, &dead).await?;
    write.commit().await?;
    Ok((dead.len(), more))
}

async fn dead_page(
    write: &mut Write<'_>,
    queue: i64,
    filter: &ReplayFilter,
    most: usize,
) -> Result<Vec<Found>, StoreError> {
    let (now_ms, fault) = (write.now_ms, write.fault());
    let rows = sqlx::query(sql::DEAD_PAGE)
        .bind(queue)
        .bind(filter.kind.as_ref().map(JobKind::as_str))
        .bind(filter.key.as_ref().map(ConcurrencyKey::as_str))
        .bind(filter.reason.map(codes::of_bury))
        .bind(filter.finished_after.map(Timestamp::as_millisecond))
        .bind(filter.finished_before.map(Timestamp::as_millisecond))
        .bind(now_ms)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(write.connection())
        .await
        .map_err(fault)?;
    rows.iter().map(Found::read).collect()
}

/// Of several dead letters with one unique key the oldest is replayed, and of several versions the newest; the others
/// stay dead. (Versions meet here once the newest has been forgotten.)
fn without_rivals(dead: Vec<Found>) -> Vec<Found> {
    let mut newest: HashMap<(i64, String), (i64, Id)> = HashMap::new();
    for job in &dead {
        let Some(Supersede { key, version }) = &job.supersede else { continue };
        let this = (version.at.as_millisecond(), job.id);
        let best = newest.entry((job.queue, key.as_str().to_owned())).or_insert(this);
        *best = this.max(*best);
    }
    let mut seen = HashSet::new();
    let is_newest = |job: &Found| match &job.supersede {
        Some(supersede) => newest.get(&(job.queue, supersede.key.as_str().to_owned())).is_some_and(|b| b.1 == job.id),
        None => true,
    };
    let mut alone = |job: &Found| job.unique.as_ref().is_none_or(|key| seen.insert((job.queue, key.clone())));
    dead.into_iter().filter(|job| is_newest(job) && alone(job)).collect()
}

/// Brings finished jobs back and lets them wait for their turn.
async fn revive(write: &mut Write<'_>, jobs: &[Found]) -> Result<(), StoreError> {
    let now_ms = write.now_ms;
    let ids: Vec<Id> = jobs.iter().map(|job| job.id).collect();
    let key = |job: &Found| job.supersede.as_ref().map(|supersede| supersede.key.as_str().to_owned());
    let unique: Vec<_> =
        jobs.iter().filter_map(|job| Some((job.queue, job.unique.as_ref()?, job.id, key(job)))).collect();
    write.each(sql::UNIQUE_TAKE, &unique).await?;
    let known: Vec<_> =
        jobs.iter().filter_map(|job| Some((job.queue, job.supersede.as_ref()?, JobId::from(job.id.0)))).collect();
    versions::remember(write, &known).await?;
    write.each_with(sql::REVIVE, &ids, now_ms).await?;
    write.each(sql::FORGET_FINISHED, &ids).await?;
    place(write, &ids).await
}

async fn place(write: &mut Write<'_>, ids: &[Id]) -> Result<(), StoreError> {
    let rows = write.rows_of(sql::WAITING, ids).await?;
    let jobs = rows.iter().map(Waiting::read).collect::<Result<Vec<_>, _>>().map_err(write.fault())?;
    lanes::place_due(write, &jobs).await
}
