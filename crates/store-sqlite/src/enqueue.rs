use std::collections::{HashMap, HashSet};

use job::JobId;
use store::{Enqueued, NewJob, RUN_AT_MAX_DAYS, Rejection, StoreError, codes, units};

use crate::{
    json,
    json::Id,
    lanes::{Admission, Lane, Lanes},
    queues::{Classes, QueueRow, Queues},
    sql,
    throttle::Quotas,
    versions,
    write::Write,
};

/// Bytes of payloads that one statement inserts: it is all in memory at once, some three times over.
const BODIES_MAX_BYTES: usize = 8 * 1024 * 1024;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A job that nothing keeps out, with its place in the request.
struct Accepted<'a> {
    at: usize,
    job: &'a NewJob,
    queue: i64,
}

impl<'a> Accepted<'a> {
    fn supersede_key(&self) -> Option<(i64, &'a str)> {
        self.job.supersede.as_ref().map(|supersede| (self.queue, supersede.key.as_str()))
    }
}

/// Stores the jobs of all callers of a transaction.
pub(crate) async fn enqueue(write: &mut Write<'_>, jobs: &[&NewJob]) -> Result<Vec<Enqueued>, StoreError> {
    let queues = Queues::load(write).await?;
    let classes = Classes::load(write).await?;
    let mut answers = vec![Enqueued::Inserted; jobs.len()];
    let mut accepted = Vec::with_capacity(jobs.len());
    for (at, job) in jobs.iter().enumerate() {
        match check(job, &queues, &classes, write.now_ms) {
            Ok(queue) => accepted.push(Accepted { at, job, queue: queue.id }),
            Err(rejection) => answers[at] = Enqueued::Rejected(rejection),
        }
    }
    for segment in segments(accepted) {
        store(write, segment, &classes, &mut answers).await?;
    }
    Ok(answers)
}

/// Cuts a batch where a supersede key comes again, so that its later version meets the earlier one in the store.
fn segments(accepted: Vec<Accepted<'_>>) -> Vec<Vec<Accepted<'_>>> {
    let (mut segments, mut segment) = (Vec::new(), Vec::with_capacity(accepted.len()));
    let mut seen = HashSet::new();
    for job in accepted {
        if let Some(key) = job.supersede_key()
            && !seen.insert(key)
        {
            seen.clear();
            seen.insert(key);
            segments.push(std::mem::take(&mut segment));
        }
        segment.push(job);
    }
    segments.push(segment);
    segments
}

/// Stores jobs none of which supersedes another one of them.
async fn store(
    write: &mut Write<'_>,
    mut accepted: Vec<Accepted<'_>>,
    classes: &Classes,
    answers: &mut [Enqueued],
) -> Result<(), StoreError> {
    drop_known_ids(write, &mut accepted, answers).await?;
    drop_old_versions(write, &mut accepted, answers).await?;
    drop_taken_and_refused(write, &mut accepted, classes, answers).await?;
    let newest: Vec<_> = accepted.iter().filter_map(|a| Some((a.queue, a.job.supersede.as_ref()?, a.job.id))).collect();
    versions::remember(write, &newest).await?;
    let keys: Vec<_> = accepted.iter().filter_map(Accepted::supersede_key).collect();
    versions::supersede(write, &keys).await?;
    insert(write, &accepted).await
}

fn check<'q>(job: &NewJob, queues: &'q Queues, classes: &Classes, now_ms: i64) -> Result<&'q QueueRow, Rejection> {
    let queue = queues.find(&job.queue).ok_or_else(|| Rejection::UnknownQueue(job.queue.clone()))?;
    if let Some(concurrency) = &job.concurrency
        && !classes.has(queue.id, &concurrency.class)
    {
        return Err(Rejection::UnknownLimitClass(concurrency.class.clone()));
    }
    if job.max_attempts == 0 {
        return Err(Rejection::NoAttempts);
    }
    let latest_ms = now_ms.saturating_add(i64::from(RUN_AT_MAX_DAYS) * DAY_MS);
    if job.run_at.is_some_and(|at| at.as_millisecond() > latest_ms) {
        return Err(Rejection::RunAtTooFar { max_days: RUN_AT_MAX_DAYS });
    }
    Ok(queue)
}

async fn drop_known_ids(
    write: &mut Write<'_>,
    accepted: &mut Vec<Accepted<'_>>,
    answers: &mut [Enqueued],
) -> Result<(), StoreError> {
    let ids: Vec<_> = accepted.iter().map(|a| Id(*a.job.id.as_uuid())).collect();
    let rows = write.rows_of(sql::KNOWN_IDS, &ids).await?;
    let mut known = HashSet::with_capacity(rows.len());
    for row in rows {
        let at: i64 = sqlx::Row::try_get(&row, 0).map_err(write.fault())?;
        known.extend(usize::try_from(at).ok().and_then(|at| ids.get(at)).map(|id| id.0));
    }
    accepted.retain(|a| {
        // An id that has come once in this batch is known from then on.
        let new = known.insert(*a.job.id.as_uuid());
        if !new {
            answers[a.at] = Enqueued::Duplicate(a.job.id);
        }
        new
    });
    Ok(())
}

async fn drop_old_versions(
    write: &mut Write<'_>,
    accepted: &mut Vec<Accepted<'_>>,
    answers: &mut [Enqueued],
) -> Result<(), StoreError> {
    let keys: Vec<_> = accepted.iter().filter_map(Accepted::supersede_key).collect();
    let known = versions::newest(write, &keys).await?;
    accepted.retain(|a| {
        let (Some(key), Some(supersede)) = (a.supersede_key(), &a.job.supersede) else { return true };
        let Some(newest) = known.get(&key) else { return true };
        if supersede.version.is_same_as(&newest.version) {
            answers[a.at] = Enqueued::Duplicate(newest.job);
        } else if supersede.version.is_older_than(&newest.version) {
            answers[a.at] = Enqueued::Superseded(newest.job);
        } else {
            return true;
        }
        false
    });
    Ok(())
}

async fn drop_taken_and_refused(
    write: &mut Write<'_>,
    accepted: &mut Vec<Accepted<'_>>,
    classes: &Classes,
    answers: &mut [Enqueued],
) -> Result<(), StoreError> {
    let asked: Vec<(i64, &str)> =
        accepted.iter().filter_map(|a| a.job.unique.as_ref().map(|u| (a.queue, u.key.as_str()))).collect();
    let mut holders: HashMap<(i64, &str), Holder> = taken(write, &asked).await?.into_iter().collect();
    let mut quotas = Quotas::load(write, classes, accepted.iter().map(|a| (a.queue, a.job))).await?;
    let now_ms = write.now_ms;
    let mut taken = Vec::with_capacity(asked.len());
    // Supersede keys of the jobs before in this batch, whose older versions no longer wait.
    let mut superseding = HashSet::new();
    accepted.retain(|a| {
        let unique = a.job.unique.as_ref().map(|unique| (a.queue, unique.key.as_str()));
        let is_gone = |holder: &&Holder| {
            let key = holder.supersede_key.as_ref().map(|key| (a.queue, key.as_str()));
            key.is_some_and(|key| a.supersede_key() == Some(key) || (holder.waits && superseding.contains(&key)))
        };
        if let Some(holder) = unique.and_then(|key| holders.get(&key)).filter(|holder| !is_gone(holder)) {
            answers[a.at] = Enqueued::Duplicate(holder.job);
            return false;
        }
        if let Err(rejection) = quotas.take(a.queue, a.job, now_ms, classes) {
            answers[a.at] = Enqueued::Rejected(rejection);
            return false;
        }
        superseding.extend(a.supersede_key());
        if let Some(key) = unique {
            holders.insert(key, Holder { job: a.job.id, supersede_key: None, waits: true });
            taken.push((key.0, key.1, Id(*a.job.id.as_uuid()), a.supersede_key().map(|(_, key)| key)));
        }
        true
    });
    write.each(sql::UNIQUE_TAKE, &taken).await?;
    Ok(())
}

/// Who has a unique key. An older version leaves it to a newer one of its supersede key, and to all once it waits no more.
pub(crate) struct Holder {
    pub(crate) job: JobId,
    pub(crate) supersede_key: Option<String>,
    waits: bool,
}

/// Which of these unique keys are taken, and by whom.
pub(crate) async fn taken<'k>(
    write: &mut Write<'_>,
    asked: &[(i64, &'k str)],
) -> Result<Vec<((i64, &'k str), Holder)>, StoreError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let (text, now_ms, fault) = (json::array(asked)?, write.now_ms, write.fault());
    let rows: Vec<(i64, Id, Option<String>, bool)> =
        sqlx::query_as(sql::TAKEN_KEYS).bind(text).bind(now_ms).fetch_all(write.connection()).await.map_err(fault)?;
    let holder = |(at, Id(job), supersede_key, waits): (i64, Id, Option<String>, bool)| {
        let asked = *asked.get(usize::try_from(at).ok()?)?;
        Some((asked, Holder { job: JobId::from(job), supersede_key, waits }))
    };
    Ok(rows.into_iter().filter_map(holder).collect())
}

async fn insert(write: &mut Write<'_>, accepted: &[Accepted<'_>]) -> Result<(), StoreError> {
    if accepted.is_empty() {
        return Ok(());
    }
    let now_ms = write.now_ms;
    let waits = |job: &NewJob| job.run_at.map(jiff::Timestamp::as_millisecond).filter(|at| *at > now_ms);
    let starting = accepted.iter().filter(|a| waits(a.job).is_none());
    let supersede_keys = accepted.iter().filter_map(Accepted::supersede_key);
    let supersede_keys = supersede_keys.map(|(queue, key)| (queue, key.to_owned())).collect();
    let mut lanes = Lanes::load(write, starting.map(|a| lane(a.job, a.queue)), supersede_keys).await?;
    let first_arrival = write.arrivals(accepted.len()).await?;
    let mut rows = Vec::with_capacity(accepted.len());
    for (arrival, accepted @ Accepted { job, queue, .. }) in (first_arrival..).zip(accepted) {
        let lane = lane(job, *queue);
        let run_at = waits(job);
        let (state, pass) = if run_at.is_some() {
            (codes::SCHEDULED, 0)
        } else {
            match lanes.admit(&lane, i64::from(job.weight.get()), accepted.supersede_key().map(|(_, key)| key)) {
                Admission::Ready { pass } => {
                    write.became_ready();
                    (codes::READY, pass)
                }
                Admission::Parked => (codes::PARKED, 0),
            }
        };
        rows.push((
            Id(*job.id.as_uuid()),
            *queue,
            job.kind.as_str(),
            state,
            (job.priority.0, job.weight.get(), pass, arrival),
            (lane.key, lane.class, run_at),
            (job.max_attempts, units::millis(job.timeout)),
            job.unique.as_ref().map(|u| (u.key.as_str(), units::millis(u.window))),
            job.supersede.as_ref().map(|s| (s.key.as_str(), s.version.at.as_millisecond(), s.version.id.as_str())),
        ));
    }
    write.each_with(sql::JOB_INSERT, &rows, now_ms).await?;
    lanes.watch_throttled(write).await?;
    insert_bodies(write, accepted).await
}

async fn insert_bodies(write: &mut Write<'_>, accepted: &[Accepted<'_>]) -> Result<(), StoreError> {
    let mut rest = accepted;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|a| {
            bytes += a.job.payload.as_str().len();
            bytes <= BODIES_MAX_BYTES
        });
        let (now, later) = rest.split_at(fits.count().max(1));
        let rows: Vec<_> = now
            .iter()
            .map(|a| (Id(*a.job.id.as_uuid()), a.job.payload.as_str(), a.job.trace_parent.as_deref()))
            .collect();
        write.each(sql::BODY_INSERT, &rows).await?;
        rest = later;
    }
    Ok(())
}

/// Where a job waits. The empty key is that of all jobs without one: they take turns together and have no limit.
fn lane(job: &NewJob, queue: i64) -> Lane {
    let (key, class) = match &job.concurrency {
        Some(c) => (c.key.as_str().to_owned(), Some(c.class.as_str().to_owned())),
        None => (String::new(), None),
    };
    Lane { queue, key, class, priority: i64::from(job.priority.0) }
}
