use sqlx::error::DatabaseError;
use store::StoreError;

/// `SQLite`'s primary result codes, <https://sqlite.org/rescode.html>.
const BUSY: i32 = 5;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const NOT_A_DATABASE: i32 = 26;
/// `SQLITE_IOERR_WRITE`, an extended code.
const WRITE_FAILED: i32 = 778;

/// Makes the seam's error of a fault of `SQLite`: what was tried is `what`.
pub(crate) fn fault(what: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(inner) if matches!(primary_code(inner.as_ref()), CORRUPT | NOT_A_DATABASE) => {
            StoreError::Corrupt { what, source: Box::new(error) }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            StoreError::Corrupt { what, source: Box::new(error) }
        }
        _ => StoreError::Unavailable { what, source: Box::new(error) },
    }
}

/// As [`fault`], of a transaction that was not committed: it has changed nothing.
pub(crate) fn undone(what: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| match fault(what)(error) {
        StoreError::Unavailable { what, source } => StoreError::undone(what, source),
        other => other,
    }
}

/// As [`fault`], of a commit. One that could not be written has changed nothing; one that was written and not synced may
/// have.
pub(crate) fn committing(what: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(inner) if matches!(code(inner.as_ref()), FULL | WRITE_FAILED) => undone(what)(error),
        _ => fault(what)(error),
    }
}

/// Makes the seam's error of a stored value that is not one.
pub(crate) fn corrupt<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl Fn(E) -> StoreError {
    move |error| StoreError::Corrupt { what, source: Box::new(error) }
}

/// Whether the file is no `SQLite` database at all.
pub(crate) fn is_not_a_database(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(inner) if primary_code(inner.as_ref()) == NOT_A_DATABASE)
}

/// What `SQLite` says of a database whose pages do not fit together; `None` of any other fault.
pub(crate) fn damage(error: &sqlx::Error) -> Option<&str> {
    match error {
        sqlx::Error::Database(inner) if primary_code(inner.as_ref()) == CORRUPT => Some(inner.message()),
        _ => None,
    }
}

/// Whether another process holds the lock that was asked for.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(inner) if primary_code(inner.as_ref()) == BUSY)
}

/// Extended codes hold the primary one in their low byte.
fn primary_code(error: &dyn DatabaseError) -> i32 {
    code(error) & 0xff
}

fn code(error: &dyn DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or(0)
}
