//! Reviews to the values of a statement and back, the same for each database.

use std::{borrow::Cow, time::Duration};

use jiff::{Timestamp, civil::Date, tz::Offset};
use job::JobId;
use sqlx::{ColumnIndex, Database, Decode, Encode, Row, Type, query::Query};
use uuid::Uuid;

use crate::{HeldUnit, LedgerError, NewReview, ReviewId, ReviewRecord, Usage, UsageSum};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A number as a database holds it. What is beyond 63 bits is cut to them: no review has so many tokens or micros.
pub fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A text that every database holds: Postgres takes no NUL, and Markdown replaces it in the same way.
pub fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Binds a review's values in the order of the columns.
pub fn bind<'q, DB>(query: Query<'q, DB, DB::Arguments>, review: &'q NewReview) -> Query<'q, DB, DB::Arguments>
where
    DB: Database,
    i64: Encode<'q, DB> + Type<DB>,
    Option<i64>: Encode<'q, DB> + Type<DB>,
    Uuid: Encode<'q, DB> + Type<DB>,
    Cow<'q, str>: Encode<'q, DB> + Type<DB>,
    Option<Cow<'q, str>>: Encode<'q, DB> + Type<DB>,
{
    query
        .bind(review.id.0)
        .bind(*review.job.as_uuid())
        .bind(text(&review.user))
        .bind(text(&review.repository))
        .bind(review.base.as_deref().map(text))
        .bind(text(&review.head))
        .bind(text(&review.title))
        .bind(text(&review.model))
        .bind(i64::from(review.findings))
        .bind(count(review.usage.input_tokens))
        .bind(count(review.usage.cached_tokens))
        .bind(count(review.usage.output_tokens))
        .bind(count(review.usage.cost_micros))
        .bind(count(review.duration_ms))
        .bind(text(&review.document))
        .bind(text(&review.markdown))
        .bind(review.pull_request.map(i64::from))
        .bind(review.status.map(|status| Cow::from(status.as_str())))
}

/// The review in a row, by the names of its columns, so that columns added later do not disturb.
pub fn review<'r, R>(row: &'r R) -> Result<ReviewRecord, LedgerError>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    let review = NewReview {
        id: ReviewId(get(row, "id")?),
        job: JobId::from(get::<Uuid, _>(row, "job")?),
        user: get(row, "user")?,
        repository: get(row, "repository")?,
        base: get(row, "base")?,
        head: get(row, "head")?,
        title: get(row, "title")?,
        model: get(row, "model")?,
        findings: u32::try_from(get::<i64, _>(row, "findings")?).map_err(|e| corrupt("findings", e))?,
        usage: usage(row)?,
        duration_ms: number(row, "duration_ms")?,
        document: get(row, "document")?,
        markdown: get(row, "markdown")?,
        pull_request: get::<Option<i64>, _>(row, "pull_request")?
            .map(u32::try_from)
            .transpose()
            .map_err(|e| corrupt("pull_request", e))?,
        status: get::<Option<String>, _>(row, "status")?
            .map(|text| text.parse())
            .transpose()
            .map_err(|e| corrupt("status", e))?,
    };
    let created_at =
        Timestamp::from_millisecond(get(row, "created_at_ms")?).map_err(|e| corrupt("created_at_ms", e))?;
    Ok(ReviewRecord { review, created_at })
}

/// The sum in a row.
pub fn sum<'r, R>(row: &'r R) -> Result<UsageSum, LedgerError>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(UsageSum {
        day: day(get(row, "day")?)?,
        user: get(row, "user")?,
        model: get(row, "model")?,
        reviews: number(row, "reviews")?,
        usage: usage(row)?,
    })
}

/// The unit in a row.
pub fn held_unit<'r, R>(row: &'r R) -> Result<HeldUnit, LedgerError>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
{
    // A clock that was set back makes a unit that is not there yet: it was taken just now.
    let age_ms = get::<i64, _>(row, "age_ms")?.max(0).unsigned_abs();
    Ok(HeldUnit { job: JobId::from(get::<Uuid, _>(row, "job")?), age: Duration::from_millis(age_ms) })
}

/// How long the day still is.
pub fn resets_in<'r, R>(row: &'r R) -> Result<Duration, LedgerError>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    number(row, "resets_in_ms").map(Duration::from_millis)
}

fn day(number: i64) -> Result<Date, LedgerError> {
    let start = number.saturating_mul(DAY_MS);
    let start = Timestamp::from_millisecond(start).map_err(|e| corrupt("created_at_ms", e))?;
    Ok(Offset::UTC.to_datetime(start).date())
}

fn usage<'r, R>(row: &'r R) -> Result<Usage, LedgerError>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(Usage {
        input_tokens: number(row, "input_tokens")?,
        cached_tokens: number(row, "cached_tokens")?,
        output_tokens: number(row, "output_tokens")?,
        cost_micros: number(row, "cost_micros")?,
    })
}

pub fn get<'r, T, R>(row: &'r R, column: &'static str) -> Result<T, LedgerError>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    T: Decode<'r, R::Database> + Type<R::Database>,
{
    row.try_get(column).map_err(|e| corrupt(column, e))
}

fn number<'r, R>(row: &'r R, column: &'static str) -> Result<u64, LedgerError>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    u64::try_from(get::<i64, _>(row, column)?).map_err(|e| corrupt(column, e))
}

fn corrupt(column: &str, why: impl std::fmt::Display) -> LedgerError {
    LedgerError::Corrupt(format!("column {column}: {why}"))
}
