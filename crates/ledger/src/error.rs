use std::path::Path;

/// Why the ledger did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database is away, busy or full for now; repeating the call is safe.
    #[error("the ledger did not answer: {what}")]
    Unavailable {
        /// What was tried.
        what: &'static str,
        /// The database's own fault.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database's address, user or settings are wrong: somebody must change them.
    #[error("{0}")]
    Setup(String),
    /// The schema in the database is not the one that this program knows.
    #[error("{0}")]
    Schema(String),
    /// What the ledger holds cannot be read.
    #[error("the ledger holds what this program cannot read: {0}")]
    Corrupt(String),
}

/// `SQLite`'s primary result codes: <https://www.sqlite.org/rescode.html>.
const BUSY: i32 = 5;
const CORRUPT: i32 = 11;
const NOT_A_DATABASE: i32 = 26;
/// Extended codes keep the primary one in their low byte.
const PRIMARY: i32 = 0xff;

impl LedgerError {
    /// A call failed.
    pub(crate) fn calling(what: &'static str, fault: sqlx::Error) -> Self {
        match primary_code(&fault) {
            Some(CORRUPT | NOT_A_DATABASE) => Self::Corrupt(fault.to_string()),
            _ => Self::Unavailable { what, source: fault.into() },
        }
    }

    /// The file could not be opened.
    pub(crate) fn opening(path: &Path, fault: sqlx::Error) -> Self {
        let shown = path.display();
        match primary_code(&fault) {
            Some(NOT_A_DATABASE) => Self::Corrupt(format!(
                "{shown} is no SQLite database. Move it away, and a new ledger is made, or name another data_dir"
            )),
            Some(BUSY) => {
                Self::Unavailable { what: "open its file, which another process keeps", source: fault.into() }
            }
            Some(CORRUPT) => Self::Corrupt(format!("{shown} is damaged ({fault}). Restore it from a backup")),
            _ => Self::Unavailable {
                what: "open its file",
                source: Box::new(OpenFault { path: shown.to_string(), source: fault }),
            },
        }
    }
}

/// Which file could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{path} must be a file that this process may write, in a folder that it may write")]
struct OpenFault {
    path: String,
    source: sqlx::Error,
}

/// Whether another process holds the lock.
pub fn is_busy(fault: &sqlx::Error) -> bool {
    primary_code(fault) == Some(BUSY)
}

fn primary_code(fault: &sqlx::Error) -> Option<i32> {
    let code: i32 = fault.as_database_error()?.code()?.parse().ok()?;
    Some(code & PRIMARY)
}
