use std::io;

use crate::{Address, count_timeout};

/// Classes and codes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
const WRONG_CREDENTIALS: [&str; 2] = ["28000", "28P01"];
const NO_DATABASE: &str = "3D000";
const NO_PRIVILEGE: &str = "42501";
/// `PgBouncer` answers with this code and a text alone.
const PROTOCOL: &str = "08P01";
/// Data that cannot be what it is taken for, and statements that do not fit the schema.
const DATA: &str = "22";
const CONSTRAINT: &str = "23";
const STATEMENT: &str = "42";
const NO_SCHEMA: &str = "3F";

/// Why Postgres did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is away, full, only reads, or has no free connection: the same call may succeed later.
    #[error("{what}")]
    Unavailable {
        /// What is the matter.
        what: String,
        /// The driver's own fault, where there is one.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// The address, or what was said of it, is wrong: somebody must change it.
    #[error("{0}")]
    Setup(String),
    /// The schema is not the one that this program knows.
    #[error("{0}")]
    Schema(String),
    /// What is stored cannot be read, or what is to be stored is not allowed there.
    #[error("{what}")]
    Corrupt {
        /// What was tried.
        what: &'static str,
        /// The driver's own fault.
        #[source]
        source: sqlx::Error,
    },
}

impl Fault {
    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn away(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into(), source: None }
    }

    /// A connection was not made.
    pub(crate) fn connecting(address: &Address, error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(e) => Self::away(no_answer(address, e)),
            sqlx::Error::Tls(e) => Self::Setup(format!("{address} and this program find no encryption in common: {e}")),
            sqlx::Error::Database(inner) => {
                let (code, text) = (inner.code().unwrap_or_default(), inner.message());
                let is_pooler = code == PROTOCOL && is_refusal_of_pooler(text);
                if WRONG_CREDENTIALS.contains(&code.as_ref()) {
                    Self::Setup(format!("{address} refuses the user or the password: {text}"))
                } else if code == NO_DATABASE || is_pooler || code == NO_PRIVILEGE {
                    Self::Setup(format!("{address} cannot be used: {text}"))
                } else {
                    Self::Unavailable { what: format!("{address} takes no connection: {text}"), source: None }
                }
            }
            _ => Self::Unavailable { what: format!("{address} takes no connection"), source: Some(error) },
        }
    }

    /// A statement failed.
    pub(crate) fn calling(what: &'static str, error: sqlx::Error) -> Self {
        count_timeout(&error);
        let code =
            error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned();
        match &error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => {
                Self::Corrupt { what, source: error }
            }
            _ if code == NO_PRIVILEGE => Self::Setup(format!("{what}: the user lacks a privilege: {error}")),
            _ if code.starts_with(DATA) || code.starts_with(CONSTRAINT) => Self::Corrupt { what, source: error },
            _ if code.starts_with(STATEMENT) || code.starts_with(NO_SCHEMA) => {
                Self::Schema(format!("{what}: the schema in the database is not this program's: {error}"))
            }
            _ => Self::Unavailable { what: what.to_owned(), source: Some(error) },
        }
    }
}

fn no_answer(address: &Address, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("no server listens at {address}"),
        _ => format!("{address} cannot be reached: {error}"),
    }
}

/// What an operator has to change; the other faults of a pooler pass, such as its server being away.
fn is_refusal_of_pooler(text: &str) -> bool {
    ["no such database", "no such user", "unsupported startup parameter"].iter().any(|refusal| text.contains(refusal))
}
