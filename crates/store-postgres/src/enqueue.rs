use job::JobId;
use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use store::{Enqueued, NewJob, RUN_AT_MAX_DAYS, Rejection, StoreError, units};
use uuid::Uuid;

use crate::{
    database::{Shared, column},
    error::corrupt,
    sql,
};

/// Bytes of payloads that one statement takes: they are all in memory at once on both sides, some three times over.
const CHUNK_MAX_BYTES: usize = 8 * 1024 * 1024;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Stores the jobs of all callers that joined.
pub(crate) async fn enqueue(shared: &Shared, jobs: &[&NewJob]) -> Result<Vec<Enqueued>, StoreError> {
    let mut answers = Vec::with_capacity(jobs.len());
    let mut rest = jobs;
    while let Some((now, later)) = chunk(rest) {
        let stored = insert(shared, &tried(now)).await?;
        answers.extend(with_refused(now, stored));
        rest = later;
    }
    Ok(answers)
}

/// Divides jobs into those that one statement takes, at least one, and the rest. `None` when there are none.
pub(crate) fn chunk<'a, 'b>(jobs: &'a [&'b NewJob]) -> Option<(&'a [&'b NewJob], &'a [&'b NewJob])> {
    let mut bytes = 0;
    let fits = jobs.iter().take_while(|job| {
        bytes += job.payload.as_str().len();
        bytes <= CHUNK_MAX_BYTES
    });
    let fits = fits.count().max(1);
    (!jobs.is_empty()).then(|| jobs.split_at(fits))
}

/// The jobs that are stored: the store keeps nothing of one that may never be tried.
pub(crate) fn tried<'b>(jobs: &[&'b NewJob]) -> Vec<&'b NewJob> {
    jobs.iter().filter(|job| job.max_attempts > 0).copied().collect()
}

/// The answers for all jobs of which those to [`tried`] are given.
pub(crate) fn with_refused(jobs: &[&NewJob], stored: Vec<Enqueued>) -> Vec<Enqueued> {
    let mut stored = stored.into_iter();
    let refused = || Enqueued::Rejected(Rejection::NoAttempts);
    let answer = |job: &&NewJob| if job.max_attempts > 0 { stored.next().unwrap_or_else(refused) } else { refused() };
    jobs.iter().map(answer).collect()
}

async fn insert(shared: &Shared, jobs: &[&NewJob]) -> Result<Vec<Enqueued>, StoreError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let row = shared.database.row("enqueue", statement(sql::ENQUEUE, jobs)).await?;
    shared.woke(column(&row, 2)?);
    shared.refill(&row, 4).await?;
    if !column::<bool>(&row, 6)? {
        shared.flush().await?;
    }
    answers(jobs, &row)
}

/// The statement that stores jobs; its row tells what [`answers`] reads.
pub(crate) fn statement(sql: &'static str, jobs: &[&NewJob]) -> Query<'static, Postgres, PgArguments> {
    let each = jobs.iter();
    let concurrency = |job: &&NewJob| {
        let named = job.concurrency.as_ref();
        named.map_or((String::new(), String::new()), |c| (c.key.to_string(), c.class.to_string()))
    };
    let (keys, classes): (Vec<String>, Vec<String>) = each.clone().map(concurrency).unzip();
    sqlx::query(sql)
        .bind(each.clone().map(|job| *job.id.as_uuid()).collect::<Vec<_>>())
        .bind(each.clone().map(|job| job.queue.to_string()).collect::<Vec<_>>())
        .bind(each.clone().map(|job| job.kind.to_string()).collect::<Vec<_>>())
        .bind(each.clone().map(|job| job.priority.0).collect::<Vec<_>>())
        // Weights reach to 1,000.
        .bind(each.clone().map(|job| i16::try_from(job.weight.get()).unwrap_or(i16::MAX)).collect::<Vec<_>>())
        .bind(keys)
        .bind(classes)
        .bind(each.clone().map(|job| job.run_at.map(jiff::Timestamp::as_millisecond)).collect::<Vec<_>>())
        .bind(each.clone().map(|job| i64::from(job.max_attempts)).collect::<Vec<_>>())
        .bind(each.clone().map(|job| units::millis(job.timeout)).collect::<Vec<_>>())
        .bind(each.clone().map(|job| job.unique.as_ref().map(|u| u.key.to_string())).collect::<Vec<_>>())
        .bind(each.clone().map(|job| job.unique.as_ref().map(|u| units::millis(u.window))).collect::<Vec<_>>())
        .bind(each.clone().map(|job| job.payload.as_str().to_owned()).collect::<Vec<_>>())
        .bind(each.clone().map(|job| job.trace_parent.as_deref().map(storable)).collect::<Vec<_>>())
        .bind(i64::from(RUN_AT_MAX_DAYS) * DAY_MS)
        .bind(each.clone().map(|job| job.supersede.as_ref().map(|s| s.key.to_string())).collect::<Vec<_>>())
        .bind(each.clone().map(|job| job.supersede.as_ref().map(|s| s.version.at.as_millisecond())).collect::<Vec<_>>())
        .bind(each.clone().map(|job| job.supersede.as_ref().map(|s| s.version.id.to_string())).collect::<Vec<_>>())
}

/// What became of jobs.
pub(crate) fn answers(jobs: &[&NewJob], row: &PgRow) -> Result<Vec<Enqueued>, StoreError> {
    let (codes, holders): (Vec<i16>, Vec<Uuid>) = (column(row, 0)?, column(row, 1)?);
    let waits: Vec<Option<i64>> = column(row, 3)?;
    let each = jobs.iter().zip(codes).zip(holders).zip(waits);
    each.map(|(((job, code), holder), wait_ms)| answer(job, code, holder, wait_ms.unwrap_or(0))).collect()
}

fn answer(job: &NewJob, code: i16, holder: Uuid, wait_ms: i64) -> Result<Enqueued, StoreError> {
    let class = || job.concurrency.as_ref().map(|c| c.class.clone());
    Ok(match (code, class()) {
        (0, _) => Enqueued::Inserted,
        (1, _) => Enqueued::Duplicate(JobId::from(holder)),
        (2, _) => Enqueued::Rejected(Rejection::UnknownQueue(job.queue.clone())),
        (3, Some(class)) => Enqueued::Rejected(Rejection::UnknownLimitClass(class)),
        (4, _) => Enqueued::Rejected(Rejection::RunAtTooFar { max_days: RUN_AT_MAX_DAYS }),
        (5, _) => Enqueued::Superseded(JobId::from(holder)),
        (6, _) => Enqueued::Rejected(Rejection::Throttled { retry_in: units::duration(wait_ms) }),
        _ => return Err(corrupt("the answer to an enqueue")(std::io::Error::other(format!("code {code}")))),
    })
}

/// Postgres keeps no NUL in a text, and a `traceparent` has none.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}
