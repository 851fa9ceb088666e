use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use job::JobId;
use sqlx::{
    Sqlite, SqlitePool,
    query::Query,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
    },
};
use uuid::Uuid;

use crate::{
    HeldUnit, LIST_MAX, Ledger, LedgerError, NewReview, NewUnit, Recorded, ReviewFilter, ReviewId, ReviewRecord,
    ReviewStatus, ReviewedPlace, Taken, UNITS_MAX, UNITS_OF_SUBJECT_MAX, USAGE_MAX, UsageFilter, UsageSum,
    error::is_busy,
    row::{self, count},
    schema,
};

/// Most connections that read. A page of reviews takes well under a millisecond, so that few serve many callers.
const READERS_MAX: u32 = 4;

/// Pause between two tries to open a file that another process is just opening, which takes it some milliseconds.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Where the ledger stands, and how patient it is.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file; it is made when it is not there, its folder is not.
    pub path: PathBuf,
    /// How long a call waits for another process that writes; for a free connection it waits twice as long.
    pub busy_timeout: Duration,
}

impl SqliteOptions {
    /// A file, with five seconds of patience: a thousand times the usual commit, and less than a caller waits.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), busy_timeout: Duration::from_secs(5) }
    }
}

/// The ledger in a `SQLite` file of its own. Any number of processes of one machine may open it at once.
///
/// A record is on disk when it is answered (WAL with `synchronous = FULL`). One connection writes, since `SQLite` lets one
/// write at a time anyway and waiting in line is cheaper than being refused; others read meanwhile.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteLedger {
    /// Opens the file and brings its schema up to date.
    pub async fn open(options: &SqliteOptions) -> Result<Self, LedgerError> {
        let connect = SqliteConnectOptions::new()
            .filename(&options.path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(options.busy_timeout);
        Self::connect(connect, options).await
    }

    async fn connect(connect: SqliteConnectOptions, options: &SqliteOptions) -> Result<Self, LedgerError> {
        // A caller waits for the one before it, and both for another process. A connection to a file does not go stale,
        // so that none is made anew after a time.
        let pool =
            || SqlitePoolOptions::new().acquire_timeout(options.busy_timeout * 2).idle_timeout(None).max_lifetime(None);
        let writer = first_connection(&connect, pool().max_connections(1), options).await?;
        schema::migrate(&writer, &options.path).await?;
        let readers = pool().max_connections(READERS_MAX).connect_lazy_with(connect.read_only(true));
        Ok(Self { writer, readers })
    }

    /// The same, for callers who know the trait alone.
    // Compiled here, once and optimized: what makes a `dyn` trait of a type compiles all of its operations.
    #[inline(never)]
    pub fn shared(self) -> Arc<dyn Ledger> {
        Arc::new(self)
    }

    /// Ends the connections, once the calls in flight are answered. Dropping the ledger does the same in the background.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn find(&self, sql: &'static str, id: &Uuid) -> Result<Option<ReviewRecord>, LedgerError> {
        let row = sqlx::query(sql).bind(*id).fetch_optional(&self.readers).await;
        row.map_err(|e| LedgerError::calling("read a review", e))?.as_ref().map(row::review).transpose()
    }
}

/// Connects, waiting out other processes that open the same new file: `SQLite` does not wait by itself for the lock that
/// the change to WAL takes, and answers "busy" at once.
async fn first_connection(
    connect: &SqliteConnectOptions,
    pool: SqlitePoolOptions,
    options: &SqliteOptions,
) -> Result<SqlitePool, LedgerError> {
    let give_up = Instant::now() + options.busy_timeout;
    loop {
        match pool.clone().connect_with(connect.clone()).await {
            Err(e) if is_busy(&e) && Instant::now() < give_up => tokio::time::sleep(BUSY_PAUSE).await,
            result => return result.map_err(|e| LedgerError::opening(&options.path, e)),
        }
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn record(&self, review: &NewReview) -> Result<Recorded, LedgerError> {
        let insert = row::bind(sqlx::query(include_str!("../sql/sqlite/record.sql")), review);
        let written: Option<SqliteRow> =
            insert.fetch_optional(&self.writer).await.map_err(|e| LedgerError::calling("record a review", e))?;
        if written.is_some() {
            return Ok(Recorded::New);
        }
        // Rows are never deleted, so that what kept this one out is still there.
        match self.review_of_job(review.job).await? {
            Some(first) => Ok(Recorded::Already(first.review.id)),
            None => Err(LedgerError::Corrupt(format!("review {} is recorded for another job", review.id))),
        }
    }

    async fn review(&self, id: ReviewId) -> Result<Option<ReviewRecord>, LedgerError> {
        self.find(include_str!("../sql/sqlite/review.sql"), &id.0).await
    }

    async fn review_of_job(&self, job: JobId) -> Result<Option<ReviewRecord>, LedgerError> {
        self.find(include_str!("../sql/sqlite/review_of_job.sql"), job.as_uuid()).await
    }

    async fn list(&self, filter: &ReviewFilter) -> Result<Vec<ReviewRecord>, LedgerError> {
        let rows = page(filter).fetch_all(&self.readers).await.map_err(|e| LedgerError::calling("list reviews", e))?;
        rows.iter().map(row::review).collect()
    }

    async fn usage(&self, filter: &UsageFilter) -> Result<Vec<UsageSum>, LedgerError> {
        let sums = match &filter.user {
            None => sqlx::query(include_str!("../sql/sqlite/usage.sql")),
            Some(user) => sqlx::query(include_str!("../sql/sqlite/usage_of_user.sql")).bind(user),
        };
        let rows = sums
            .bind(filter.from.as_millisecond())
            .bind(filter.until.as_millisecond())
            .bind(count(filter.limit.min(USAGE_MAX) as u64))
            .fetch_all(&self.readers)
            .await
            .map_err(|e| LedgerError::calling("sum up usage", e))?;
        rows.iter().map(row::sum).collect()
    }

    async fn take_unit(&self, unit: &NewUnit, daily: u32) -> Result<Taken, LedgerError> {
        let fault = |e| LedgerError::calling("take a unit of a quota", e);
        let taken = sqlx::query(include_str!("../sql/sqlite/take_unit.sql"))
            .bind(*unit.job.as_uuid())
            .bind(row::text(&unit.user))
            .bind(row::text(&unit.subject))
            .bind(i64::from(daily))
            .fetch_optional(&self.writer)
            .await
            .map_err(fault)?;
        if taken.is_some() {
            return Ok(Taken::Yes);
        }
        let left = sqlx::query(include_str!("../sql/sqlite/day_left.sql")).fetch_one(&self.readers).await;
        Ok(Taken::No { resets_in: row::resets_in(&left.map_err(fault)?)? })
    }

    async fn held_units(&self, user: &str) -> Result<Vec<HeldUnit>, LedgerError> {
        let held = sqlx::query(include_str!("../sql/sqlite/held_units.sql"));
        let held = held.bind(row::text(user)).bind(count(UNITS_MAX as u64)).fetch_all(&self.readers).await;
        held.map_err(|e| LedgerError::calling("list a quota's units", e))?.iter().map(row::held_unit).collect()
    }

    async fn units_of_subject(&self, subject: &str) -> Result<Vec<HeldUnit>, LedgerError> {
        let units = sqlx::query(include_str!("../sql/sqlite/units_of_subject.sql"));
        let units = units.bind(row::text(subject)).bind(count(UNITS_OF_SUBJECT_MAX as u64)).fetch_all(&self.readers);
        let units = units.await.map_err(|e| LedgerError::calling("list a subject's units", e))?;
        units.iter().map(row::held_unit).collect()
    }

    async fn give_back(&self, jobs: &[JobId]) -> Result<(), LedgerError> {
        // SQLite takes no list as a value, but reads one of JSON.
        let jobs: Vec<_> = jobs.iter().take(UNITS_MAX).map(|job| format!("\"{}\"", job.as_uuid().simple())).collect();
        let give_back = sqlx::query(include_str!("../sql/sqlite/give_back.sql")).bind(format!("[{}]", jobs.join(",")));
        let given = give_back.execute(&self.writer).await;
        given.map(drop).map_err(|e| LedgerError::calling("give units of a quota back", e))
    }
}

/// A statement for each set of filters, so that each has an index of its own (what a pull request, or a user in one place, has
/// is little: there a status is looked for among all of it) and its plan needs no statistics.
fn page(filter: &ReviewFilter) -> Query<'_, Sqlite, SqliteArguments> {
    // The greatest UUID is no id of version 7, so that "below it" is all of them.
    let below = filter.before.map_or(Uuid::max(), |id| id.0);
    let status = filter.status.map(ReviewStatus::as_str);
    let of_some = match (&filter.of, filter.user.as_deref(), status) {
        (ReviewedPlace::Everywhere, None, None) => sqlx::query(include_str!("../sql/sqlite/list.sql")).bind(below),
        (ReviewedPlace::Everywhere, Some(user), None) => {
            sqlx::query(include_str!("../sql/sqlite/list_of_user.sql")).bind(user).bind(below)
        }
        (ReviewedPlace::Everywhere, None, Some(status)) => {
            sqlx::query(include_str!("../sql/sqlite/list_of_status.sql")).bind(status).bind(below)
        }
        (ReviewedPlace::Everywhere, Some(user), Some(status)) => {
            sqlx::query(include_str!("../sql/sqlite/list_of_status_of_user.sql")).bind(user).bind(status).bind(below)
        }
        (ReviewedPlace::Owner(owner), None, None) => {
            sqlx::query(include_str!("../sql/sqlite/list_of_owner.sql")).bind(owner).bind(below)
        }
        (ReviewedPlace::Owner(owner), None, Some(status)) => {
            sqlx::query(include_str!("../sql/sqlite/list_of_status_of_owner.sql")).bind(owner).bind(status).bind(below)
        }
        (ReviewedPlace::Owner(owner), Some(user), status) => {
            sqlx::query(include_str!("../sql/sqlite/list_of_user_at_owner.sql"))
                .bind(user)
                .bind(owner)
                .bind(below)
                .bind(status)
        }
        (ReviewedPlace::Repository(repository), None, None) => {
            sqlx::query(include_str!("../sql/sqlite/list_of_repository.sql")).bind(repository).bind(below)
        }
        (ReviewedPlace::Repository(repository), None, Some(status)) => {
            sqlx::query(include_str!("../sql/sqlite/list_of_status_in_repository.sql"))
                .bind(repository)
                .bind(status)
                .bind(below)
        }
        (ReviewedPlace::Repository(repository), Some(user), status) => {
            sqlx::query(include_str!("../sql/sqlite/list_of_user_in_repository.sql"))
                .bind(user)
                .bind(repository)
                .bind(below)
                .bind(status)
        }
        (ReviewedPlace::PullRequest { repository, number }, user, status) => {
            let of_pull_request = sqlx::query(include_str!("../sql/sqlite/list_of_pull_request.sql"));
            of_pull_request.bind(repository).bind(i64::from(*number)).bind(below).bind(user).bind(status)
        }
    };
    of_some.bind(count(filter.limit.min(LIST_MAX) as u64))
}

#[cfg(test)]
mod tests;
