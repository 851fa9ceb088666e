use std::sync::Arc;

use async_trait::async_trait;
use job::JobId;
use postgres::{Address, Database, Fault, Index, Schema, Step};
use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

use crate::{
    HeldUnit, LIST_MAX, Ledger, LedgerError, NewReview, NewUnit, Recorded, ReviewFilter, ReviewId, ReviewRecord,
    ReviewStatus, ReviewedPlace, Taken, UNITS_MAX, UNITS_OF_SUBJECT_MAX, USAGE_MAX, UsageFilter, UsageSum,
    row::{self, count},
};

/// The ledger's schema. Its files stand at the top of the workspace, where an operator looks for them.
const SCHEMA: Schema = Schema {
    name: "ledger",
    // "rfl1", as the mark of the ledger's file.
    lock: 0x7266_6c31,
    steps: &[
        Step { version: 100, name: "ledger", sql: include_str!("../../../migrations/postgres/0100_ledger.sql") },
        Step {
            version: 103,
            name: "pull request and status",
            sql: include_str!("../../../migrations/postgres/0103_ledger_pull_request.sql"),
        },
        Step {
            version: 111,
            name: "quota units",
            sql: include_str!("../../../migrations/postgres/0111_ledger_quota_unit.sql"),
        },
    ],
    indexes: &[
        index("ledger.review_by_creation", include_str!("../../../migrations/postgres/0101_ledger_creation.sql")),
        index(
            "ledger.review_of_user_by_creation",
            include_str!("../../../migrations/postgres/0102_ledger_creation_of_user.sql"),
        ),
        index("ledger.review_of_owner", include_str!("../../../migrations/postgres/0104_ledger_owner.sql")),
        index(
            "ledger.review_of_user_at_owner",
            include_str!("../../../migrations/postgres/0105_ledger_user_at_owner.sql"),
        ),
        index(
            "ledger.review_of_pull_request",
            include_str!("../../../migrations/postgres/0106_ledger_pull_request_page.sql"),
        ),
        index("ledger.review_of_status", include_str!("../../../migrations/postgres/0107_ledger_status.sql")),
        index(
            "ledger.review_of_status_of_user",
            include_str!("../../../migrations/postgres/0108_ledger_status_of_user.sql"),
        ),
        index(
            "ledger.review_of_status_of_owner",
            include_str!("../../../migrations/postgres/0109_ledger_status_of_owner.sql"),
        ),
        index(
            "ledger.review_of_status_in_repository",
            include_str!("../../../migrations/postgres/0110_ledger_status_in_repository.sql"),
        ),
    ],
};

const fn index(name: &'static str, create: &'static str) -> Index {
    Index { name, create }
}

/// The ledger in a Postgres database, in its schema `ledger`: one place for the workers of all machines. Clones share
/// connections.
#[derive(Debug, Clone)]
pub struct PostgresLedger {
    database: Database,
}

impl PostgresLedger {
    /// Brings the schema in the database at this address up to date, on a connection of its own that ends with it; all
    /// other calls go by the connections of `database`, which another part of the process may use as well.
    pub async fn open(address: &Address, database: Database) -> Result<Self, LedgerError> {
        SCHEMA.migrate(address).await.map_err(fault("open it"))?;
        Ok(Self { database })
    }

    /// The same, for callers who know the trait alone.
    // Compiled here, once and optimized: what makes a `dyn` trait of a type compiles all of its operations.
    #[inline(never)]
    pub fn shared(self) -> Arc<dyn Ledger> {
        Arc::new(self)
    }

    /// Ends the connections, once the calls in flight are answered. Dropping the ledger does the same in the background.
    pub async fn close(&self) {
        self.database.close().await;
    }

    async fn rows(
        &self,
        what: &'static str,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, LedgerError> {
        self.database.rows(what, query).await.map_err(fault(what))
    }

    async fn find(&self, sql: &'static str, id: Uuid) -> Result<Option<ReviewRecord>, LedgerError> {
        let rows = self.rows("read a review", sqlx::query(sql).bind(id)).await?;
        rows.first().map(row::review).transpose()
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn record(&self, review: &NewReview) -> Result<Recorded, LedgerError> {
        let insert = row::bind(sqlx::query(include_str!("../sql/postgres/record.sql")), review);
        if !self.rows("record a review", insert).await?.is_empty() {
            return Ok(Recorded::New);
        }
        // Rows are never deleted, so that what kept this one out is still there.
        match self.review_of_job(review.job).await? {
            Some(first) => Ok(Recorded::Already(first.review.id)),
            None => Err(LedgerError::Corrupt(format!("review {} is recorded for another job", review.id))),
        }
    }

    async fn review(&self, id: ReviewId) -> Result<Option<ReviewRecord>, LedgerError> {
        self.find(include_str!("../sql/postgres/review.sql"), id.0).await
    }

    async fn review_of_job(&self, job: JobId) -> Result<Option<ReviewRecord>, LedgerError> {
        self.find(include_str!("../sql/postgres/review_of_job.sql"), *job.as_uuid()).await
    }

    async fn list(&self, filter: &ReviewFilter) -> Result<Vec<ReviewRecord>, LedgerError> {
        self.rows("list reviews", page(filter)).await?.iter().map(row::review).collect()
    }

    async fn usage(&self, filter: &UsageFilter) -> Result<Vec<UsageSum>, LedgerError> {
        let sums = match &filter.user {
            None => sqlx::query(include_str!("../sql/postgres/usage.sql")),
            Some(user) => sqlx::query(include_str!("../sql/postgres/usage_of_user.sql")).bind(user),
        };
        let sums = sums
            .bind(filter.from.as_millisecond())
            .bind(filter.until.as_millisecond())
            .bind(count(filter.limit.min(USAGE_MAX) as u64));
        self.rows("sum up usage", sums).await?.iter().map(row::sum).collect()
    }

    async fn take_unit(&self, unit: &NewUnit, daily: u32) -> Result<Taken, LedgerError> {
        let take = sqlx::query(include_str!("../sql/postgres/take_unit.sql"))
            .bind(*unit.job.as_uuid())
            .bind(row::text(&unit.user))
            .bind(row::text(&unit.subject))
            .bind(i64::from(daily));
        let rows = self.rows("take a unit of a quota", take).await?;
        let answer = rows.first().ok_or_else(|| LedgerError::Corrupt("take_unit answers nothing".to_owned()))?;
        if row::get(answer, "taken")? { Ok(Taken::Yes) } else { Ok(Taken::No { resets_in: row::resets_in(answer)? }) }
    }

    async fn held_units(&self, user: &str) -> Result<Vec<HeldUnit>, LedgerError> {
        let held = sqlx::query(include_str!("../sql/postgres/held_units.sql"));
        let held = held.bind(row::text(user)).bind(count(UNITS_MAX as u64));
        self.rows("list a quota's units", held).await?.iter().map(row::held_unit).collect()
    }

    async fn units_of_subject(&self, subject: &str) -> Result<Vec<HeldUnit>, LedgerError> {
        let units = sqlx::query(include_str!("../sql/postgres/units_of_subject.sql"));
        let units = units.bind(row::text(subject)).bind(count(UNITS_OF_SUBJECT_MAX as u64));
        self.rows("list a subject's units", units).await?.iter().map(row::held_unit).collect()
    }

    async fn give_back(&self, jobs: &[JobId]) -> Result<(), LedgerError> {
        let jobs: Vec<Uuid> = jobs.iter().take(UNITS_MAX).map(|job| *job.as_uuid()).collect();
        let give_back = sqlx::query(include_str!("../sql/postgres/give_back.sql")).bind(jobs);
        self.rows("give units of a quota back", give_back).await.map(drop)
    }
}

/// A statement for each set of filters, so that each has an index of its own (what a pull request, or a user in one place, has
/// is little: there a status is looked for among all of it).
fn page(filter: &ReviewFilter) -> Query<'_, Postgres, PgArguments> {
    // The greatest UUID is no id of version 7, so that "below it" is all of them.
    let below = filter.before.map_or(Uuid::max(), |id| id.0);
    let status = filter.status.map(ReviewStatus::as_str);
    let of_some = match (&filter.of, filter.user.as_deref(), status) {
        (ReviewedPlace::Everywhere, None, None) => sqlx::query(include_str!("../sql/postgres/list.sql")).bind(below),
        (ReviewedPlace::Everywhere, Some(user), None) => {
            sqlx::query(include_str!("../sql/postgres/list_of_user.sql")).bind(user).bind(below)
        }
        (ReviewedPlace::Everywhere, None, Some(status)) => {
            sqlx::query(include_str!("../sql/postgres/list_of_status.sql")).bind(status).bind(below)
        }
        (ReviewedPlace::Everywhere, Some(user), Some(status)) => {
            sqlx::query(include_str!("../sql/postgres/list_of_status_of_user.sql")).bind(user).bind(status).bind(below)
        }
        (ReviewedPlace::Owner(owner), None, None) => {
            sqlx::query(include_str!("../sql/postgres/list_of_owner.sql")).bind(owner).bind(below)
        }
        (ReviewedPlace::Owner(owner), None, Some(status)) => {
            sqlx::query(include_str!("../sql/postgres/list_of_status_of_owner.sql"))
                .bind(owner)
                .bind(status)
                .bind(below)
        }
        (ReviewedPlace::Owner(owner), Some(user), status) => {
            sqlx::query(include_str!("../sql/postgres/list_of_user_at_owner.sql"))
                .bind(user)
                .bind(owner)
                .bind(below)
                .bind(status)
        }
        (ReviewedPlace::Repository(repository), None, None) => {
            sqlx::query(include_str!("../sql/postgres/list_of_repository.sql")).bind(repository).bind(below)
        }
        (ReviewedPlace::Repository(repository), None, Some(status)) => {
            sqlx::query(include_str!("../sql/postgres/list_of_status_in_repository.sql"))
                .bind(repository)
                .bind(status)
                .bind(below)
        }
        (ReviewedPlace::Repository(repository), Some(user), status) => {
            sqlx::query(include_str!("../sql/postgres/list_of_user_in_repository.sql"))
                .bind(user)
                .bind(repository)
                .bind(below)
                .bind(status)
        }
        (ReviewedPlace::PullRequest { repository, number }, user, status) => {
            let of_pull_request = sqlx::query(include_str!("../sql/postgres/list_of_pull_request.sql"));
            of_pull_request.bind(repository).bind(i64::from(*number)).bind(below).bind(user).bind(status)
        }
    };
    of_some.bind(count(filter.limit.min(LIST_MAX) as u64))
}

fn fault(what: &'static str) -> impl Fn(Fault) -> LedgerError {
    move |fault| match fault {
        Fault::Unavailable { .. } => LedgerError::Unavailable { what, source: fault.into() },
        Fault::Setup(why) => LedgerError::Setup(why),
        Fault::Schema(why) => LedgerError::Schema(why),
        Fault::Corrupt { what, source } => LedgerError::Corrupt(format!("{what}: {source}")),
    }
}
