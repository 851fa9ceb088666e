use redis::{ErrorKind, RedisError, ServerErrorKind};
use store::StoreError;

/// Codes of faults that pass, and of which Redis says before it has changed anything: no memory left, no disk, a server that
/// loads, only reads, runs another's script or waits for its Cluster.
const REFUSED_FOR_NOW: &[&str] = &[
    "OOM",
    "MISCONF",
    "LOADING",
    "READONLY",
    "BUSY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "NOREPLICAS",
];
const WRONG_CREDENTIALS: &[&str] = &["NOAUTH", "WRONGPASS"];
const NO_PRIVILEGE: &str = "NOPERM";
const WRONG_TYPE: &str = "WRONGTYPE";
const NO_SCRIPT: &str = "NOSCRIPT";

/// Makes the seam's error of a fault of Redis: what was tried is `what`.
pub(crate) fn fault(what: &'static str, error: RedisError) -> StoreError {
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) => refused(&error),
        (_, Some(code)) if WRONG_CREDENTIALS.contains(&code) => refused(&error),
        (_, Some(NO_PRIVILEGE)) | (ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
            StoreError::Invalid(format!("the user of Redis lacks a privilege: {error}"))
        }
        (ErrorKind::InvalidClientConfig, _) => StoreError::Invalid(format!("the address of Redis is not one: {error}")),
        (_, Some(WRONG_TYPE)) => {
            StoreError::Schema(format!("the namespace in Redis belongs to another program: {error}"))
        }
        (_, Some(code)) if REFUSED_FOR_NOW.contains(&code) => StoreError::undone(what, error),
        _ if error.is_connection_refusal() => StoreError::undone(what, error),
        (ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound, _) => {
            StoreError::Unavailable { what, source: Box::new(error) }
        }
        _ => StoreError::Corrupt { what, source: Box::new(error) },
    }
}

fn refused(error: &RedisError) -> StoreError {
    StoreError::Invalid(format!("Redis refuses the user or password: {error}"))
}

/// Whether the server does not have the script that it was to run.
pub(crate) fn is_no_script(error: &redis::ServerError) -> bool {
    error.code() == NO_SCRIPT
}

/// Makes the seam's error of a stored value that is not one.
pub(crate) fn corrupt<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl Fn(E) -> StoreError {
    move |error| StoreError::Corrupt { what, source: Box::new(error) }
}
