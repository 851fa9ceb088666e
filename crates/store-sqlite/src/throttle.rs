use std::collections::{BTreeSet, HashMap};

use job::{LimitClass, QueueName};
use sqlx::Row;
use store::{NewJob, Rejection, StoreError, Throttle, WhenFull, units};

use crate::{
    admin, lanes,
    queue::Shared,
    queues::{Classes, Queues},
    sql,
    write::Write,
};

/// Keys of one queue whose throttles one maintenance pass looks at; what is left is for the next pass, at once.
const KEYS_MAX: usize = 200;

/// A queue, a class and a key.
pub(crate) type ThrottledKey = (i64, String, String);

pub(crate) async fn set(
    shared: &Shared,
    queue: &QueueName,
    class: &LimitClass,
    throttle: Option<Throttle>,
) -> Result<(), StoreError> {
    if let Some(throttle) = &throttle {
        throttle.check()?;
    }
    let mut write = Write::begin(shared, "set a throttle").await?;
    let (id, fault) = (Queues::load(&mut write).await?.id(queue)?, write.fault());
    sqlx::query(sql::THROTTLE_SET)
        .bind(id)
        .bind(class.as_str())
        .bind(throttle.map(|t| t.starts))
        .bind(throttle.map(|t| units::millis(t.period)))
        .bind(throttle.is_some_and(|t| t.when_full == WhenFull::Refuse))
        .execute(write.connection())
        .await
        .map_err(fault)?;
    write.commit().await?;
    // Jobs that the throttle held back before may have room now.
    admin::fill_queue(shared, id).await
}

/// Counts starts of the keys of throttled classes, and looks at each key again when its throttle has a start for it; how
/// many of each have started.
pub(crate) async fn started(write: &mut Write<'_>, starts: &HashMap<ThrottledKey, i64>) -> Result<(), StoreError> {
    let now_ms = write.now_ms;
    let rows: Vec<_> = starts.iter().map(|((queue, class, key), n)| (queue, class, key, n)).collect();
    write.each_with(sql::THROTTLE_START, &rows, now_ms).await?;
    watch(write, &starts.keys().cloned().collect()).await
}

/// Sees to it that the parked jobs of these keys are looked at again when a start leaves the period.
pub(crate) async fn watch(write: &mut Write<'_>, keys: &BTreeSet<ThrottledKey>) -> Result<(), StoreError> {
    let (now_ms, keys) = (write.now_ms, keys.iter().collect::<Vec<_>>());
    write.each_with(sql::THROTTLE_WATCH, &keys, now_ms).await?;
    Ok(())
}

/// Frees parked jobs for which a throttle has starts again, at most `most`; how many. What is left is due at once.
pub(crate) async fn free(write: &mut Write<'_>, queues: &Queues, most: usize) -> Result<usize, StoreError> {
    let mut freed = 0;
    for queue in queues.ids() {
        let left = most - freed;
        if left == 0 {
            break;
        }
        let (now_ms, fault) = (write.now_ms, write.fault());
        let keys: Vec<String> = sqlx::query_scalar(sql::THROTTLE_ENDED)
            .bind(queue)
            .bind(now_ms)
            .bind(i64::try_from(left.min(KEYS_MAX)).unwrap_or(0))
            .fetch_all(write.connection())
            .await
            .map_err(fault)?;
        if keys.is_empty() {
            continue;
        }
        let keys: Vec<_> = keys.into_iter().map(|key| (queue, key)).collect();
        let per_key = (left / keys.len()).max(1);
        let count = lanes::unpark_each(write, &keys, per_key).await?;
        freed += count.values().sum::<usize>();
        // Of these keys more may have room.
        let again: Vec<_> = count.into_iter().filter(|(_, n)| *n == per_key).map(|(key, _)| key).collect();
        write.each_with(sql::THROTTLE_AGAIN, &again, now_ms).await?;
    }
    Ok(freed)
}

/// What the throttles that refuse still take, for the jobs of one enqueue.
pub(crate) struct Quotas(HashMap<ThrottledKey, Quota>);

struct Quota {
    left: i64,
    retry_in_ms: i64,
}

impl Quotas {
    pub(crate) async fn load<'j>(
        write: &mut Write<'_>,
        classes: &Classes,
        jobs: impl Iterator<Item = (i64, &'j NewJob)>,
    ) -> Result<Self, StoreError> {
        let asked: BTreeSet<ThrottledKey> =
            jobs.filter_map(|(queue, job)| Self::key(queue, job, write.now_ms, classes)).collect();
        let (asked, now_ms) = (asked.into_iter().collect::<Vec<_>>(), write.now_ms);
        let rows = write.rows_with(sql::THROTTLE_ROOM, &asked, now_ms).await?;
        let mut quotas = HashMap::with_capacity(rows.len());
        for row in &rows {
            let read = || Ok((row.try_get::<i64, _>(0)?, row.try_get(1)?, row.try_get(2)?));
            let (at, left, retry_in_ms) = read().map_err(write.fault())?;
            if let Some(key) = usize::try_from(at).ok().and_then(|at| asked.get(at)) {
                quotas.insert(key.clone(), Quota { left, retry_in_ms });
            }
        }
        Ok(Self(quotas))
    }

    /// Takes a place for a job, or says why there is none.
    pub(crate) fn take(&mut self, queue: i64, job: &NewJob, now_ms: i64, classes: &Classes) -> Result<(), Rejection> {
        let quota = Self::key(queue, job, now_ms, classes).and_then(|key| self.0.get_mut(&key));
        let Some(quota) = quota else { return Ok(()) };
        if quota.left <= 0 {
            return Err(Rejection::Throttled { retry_in: units::duration(quota.retry_in_ms) });
        }
        quota.left -= 1;
        Ok(())
    }

    /// The key of a job that a throttle may refuse. One that starts later anyway is not refused.
    fn key(queue: i64, job: &NewJob, now_ms: i64, classes: &Classes) -> Option<ThrottledKey> {
        let concurrency = job.concurrency.as_ref()?;
        let waits = job.run_at.is_some_and(|at| at.as_millisecond() > now_ms);
        let asks = !waits && classes.refuses(queue, &concurrency.class);
        asks.then(|| (queue, concurrency.class.as_str().to_owned(), concurrency.key.as_str().to_owned()))
    }
}
