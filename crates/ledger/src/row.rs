use jiff::Timestamp;
use job::JobId;
use sqlx::{ColumnIndex, Decode, Row, Sqlite, Type, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{LedgerError, NewReview, ReviewId, ReviewRecord, Usage};

/// An id as its 16 bytes, whose order is the order of the ids.
pub fn id_of(id: &Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// A number as `SQLite` holds it. What is beyond 63 bits is cut to them: no review has so many tokens or micros.
pub fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The review in a row, by the names of its columns, so that columns added later do not disturb.
pub fn from_row(row: &SqliteRow) -> Result<ReviewRecord, LedgerError> {
    let review = NewReview {
        id: ReviewId(uuid(row, "id")?),
        job: JobId::from(uuid(row, "job")?),
        user: get(row, "user")?,
        repository: get(row, "repository")?,
        base: get(row, "base")?,
        head: get(row, "head")?,
        title: get(row, "title")?,
        model: get(row, "model")?,
        findings: get(row, "findings")?,
        usage: Usage {
            input_tokens: number(row, "input_tokens")?,
            cached_tokens: number(row, "cached_tokens")?,
            output_tokens: number(row, "output_tokens")?,
            cost_micros: number(row, "cost_micros")?,
        },
        duration_ms: number(row, "duration_ms")?,
        document: get(row, "document")?,
        markdown: get(row, "markdown")?,
    };
    let created_at =
        Timestamp::from_millisecond(get(row, "created_at_ms")?).map_err(|e| corrupt("created_at_ms", e))?;
    Ok(ReviewRecord { review, created_at })
}

fn get<'r, T>(row: &'r SqliteRow, column: &'static str) -> Result<T, LedgerError>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
    &'static str: ColumnIndex<SqliteRow>,
{
    row.try_get(column).map_err(|e| corrupt(column, e))
}

fn uuid(row: &SqliteRow, column: &'static str) -> Result<Uuid, LedgerError> {
    Uuid::from_slice(get(row, column)?).map_err(|e| corrupt(column, e))
}

fn number(row: &SqliteRow, column: &'static str) -> Result<u64, LedgerError> {
    u64::try_from(get::<i64>(row, column)?).map_err(|e| corrupt(column, e))
}

fn corrupt(column: &str, why: impl std::fmt::Display) -> LedgerError {
    LedgerError::Corrupt(format!("column {column} of a review: {why}"))
}
