use std::{borrow::Cow, str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use store::StoreError;

use crate::{database::Database, door::Door, error::fault, sql};

/// Statements that a connection keeps prepared: all that this crate has.
const STATEMENTS_MAX: usize = 64;
/// How long a call waits for a connection before it answers `Unavailable`.
pub(crate) const ACQUIRE_WAIT: Duration = Duration::from_secs(2);
/// A connection that nobody has used for so long is closed, so that a quiet process leaves the server to others.
const IDLE: Duration = Duration::from_secs(30);

pub(crate) fn parse(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(fault("the address of Postgres"))?;
    Ok(options.application_name("reviewfleet").statement_cache_capacity(STATEMENTS_MAX))
}

/// Brings the schema up to date and opens the pool.
pub(crate) async fn open(options: PgConnectOptions, connections: u32, pooled: bool) -> Result<Database, StoreError> {
    let mut connection = PgConnection::connect_with(&options).await.map_err(fault("connect to Postgres"))?;
    migrate(&mut connection).await?;
    connection.close().await.map_err(fault("connect to Postgres"))?;
    let options = if pooled { options.statement_cache_capacity(0) } else { options };
    let pool: PgPool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_WAIT)
        .idle_timeout(IDLE)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(fault("connect to Postgres"))?;
    let database = Database { door: Door::new(pool), pooled };
    database.row("make partitions", sqlx::query(sql::TURN_PARTITIONS)).await?;
    Ok(database)
}

/// Applies what the schema lacks, all or nothing, while no other process does.
async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    let what = fault("migrate Postgres");
    let mut tx = connection.begin().await.map_err(&what)?;
    sqlx::query(sql::MIGRATE_LOCK).persistent(false).execute(&mut *tx).await.map_err(&what)?;
    let foreign: bool =
        sqlx::query_scalar(sql::SCHEMA_IS_FOREIGN).persistent(false).fetch_one(&mut *tx).await.map_err(&what)?;
    if foreign {
        return Err(StoreError::Schema("the schema \"queue\" in this database belongs to another program".into()));
    }
    // The migrator prepares its statements under names. Behind a pooler in transaction mode the server process is not this
    // connection's own: another one may have left the same names there, and the next would find these.
    sqlx::raw_sql(sql::FORGET).execute(&mut *tx).await.map_err(&what)?;
    let migrator = migrator();
    migrator.run_direct(None, &mut *tx, false).await.map_err(|e| not_migrated(&migrator, e))?;
    sqlx::raw_sql(sql::FORGET).execute(&mut *tx).await.map_err(&what)?;
    tx.commit().await.map_err(what)
}

/// The schema's steps. Their files stand at the top of the workspace, where an operator looks for them.
fn migrator() -> Migrator {
    let step = |version, name, sql: &'static str| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    };
    let mut migrator = Migrator::with_migrations(vec![
        step(1, "queue", include_str!("../../../migrations/postgres/0001_queue.sql")),
        step(2, "admission", include_str!("../../../migrations/postgres/0002_admission.sql")),
        step(3, "work", include_str!("../../../migrations/postgres/0003_work.sql")),
        step(4, "operator", include_str!("../../../migrations/postgres/0004_operator.sql")),
        step(5, "settings", include_str!("../../../migrations/postgres/0005_settings.sql")),
        step(6, "enqueue in", include_str!("../../../migrations/postgres/0006_enqueue_in.sql")),
    ]);
    migrator.create_schema("queue");
    migrator.dangerous_set_table_name("queue.migration");
    // The lock that would be taken is one of the session, which a pooler loses; the transaction holds its own.
    migrator.set_locking(false);
    migrator
}

fn not_migrated(migrator: &Migrator, error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) => {
            let known = migrator.iter().map(|step| step.version).max().unwrap_or(0);
            StoreError::Schema(format!(
                "the queue has schema version {found}, and this program knows versions up to {known}: use the newer program"
            ))
        }
        MigrateError::VersionMismatch(version) => StoreError::Schema(format!(
            "the queue has a schema version {version} that differs from this program's: it was made by a changed program"
        )),
        MigrateError::ExecuteMigration(error, step) if is_about_the_schema(&error) => StoreError::Schema(format!(
            "step {step} of the queue's schema cannot be applied, since the schema is half migrated or was changed by hand: \
             {error}. Restore a backup, or drop the schema \"queue\" if nothing in it is needed"
        )),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => fault("migrate Postgres")(error),
        other => StoreError::Schema(format!("the queue cannot be migrated: {other}")),
    }
}

/// Whether a statement did not fit what is there: class 42 of
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>, but for a missing privilege.
fn is_about_the_schema(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
    code.starts_with("42") && code != "42501"
}
