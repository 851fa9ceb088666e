use store::StoreError;

/// Classes and codes of <https://www.postgresql.org/docs/current/errcodes-appendix.html> that no repetition mends: data
/// that cannot be stored, and statements that do not fit the schema.
const DATA: &str = "22";
const CONSTRAINT: &str = "23";
const NO_SCHEMA: &str = "3F";
const UNDEFINED: &[&str] = &["42883", "42P01", "42703"];
const WRONG_CREDENTIALS: &[&str] = &["28000", "28P01"];
const NO_DATABASE: &str = "3D000";
const NO_PRIVILEGE: &str = "42501";
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Makes the seam's error of a fault of Postgres: what was tried is `what`. Lost connections, a server that recovers or
/// only reads, locks that are not had in time and full disks pass; the rest does not.
pub(crate) fn fault(what: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(inner) => {
            let (code, text) = (inner.code().unwrap_or_default(), inner.message());
            match code.as_ref() {
                code if WRONG_CREDENTIALS.contains(&code) => {
                    StoreError::Invalid(format!("Postgres refuses the user or password: {text}"))
                }
                NO_DATABASE => StoreError::Invalid(format!("Postgres has no such database: {text}")),
                NO_PRIVILEGE => StoreError::Invalid(format!("the user of Postgres lacks a privilege: {text}")),
                code if UNDEFINED.contains(&code) || code.starts_with(NO_SCHEMA) => {
                    StoreError::Schema(format!("the schema in Postgres is not this program's: {text}"))
                }
                code if code.starts_with(DATA) || code.starts_with(CONSTRAINT) => {
                    StoreError::Corrupt { what, source: Box::new(error) }
                }
                _ => StoreError::Unavailable { what, source: Box::new(error) },
            }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => {
            StoreError::Corrupt { what, source: Box::new(error) }
        }
        sqlx::Error::Configuration(_) => StoreError::Invalid(format!("the address of Postgres is not one: {error}")),
        // Without a connection nothing was asked.
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
            postgres::count_timeout(&error);
            StoreError::undone(what, error)
        }
        sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => StoreError::undone(what, error),
        _ => StoreError::Unavailable { what, source: Box::new(error) },
    }
}

/// Makes the seam's error of a stored value that is not one.
pub(crate) fn corrupt<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl Fn(E) -> StoreError {
    move |error| StoreError::Corrupt { what, source: Box::new(error) }
}

/// Whether a lock was not had in time, which says nothing of the server and all of who holds it.
pub(crate) fn is_lock_timeout(error: &StoreError) -> bool {
    let StoreError::Unavailable { source, .. } = error else { return false };
    let of_server = source.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    of_server.and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == LOCK_NOT_AVAILABLE)
}

/// The task of a call has ended without an answer.
pub(crate) fn ended(error: tokio::task::JoinError) -> StoreError {
    StoreError::Unavailable { what: "enqueue", source: Box::new(error) }
}

/// The task behind a joined call is gone.
pub(crate) fn shutting_down(error: store::GroupCommitError) -> StoreError {
    StoreError::Unavailable { what: "a joined call", source: Box::new(error) }
}
