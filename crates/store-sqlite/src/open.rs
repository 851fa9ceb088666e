use std::{borrow::Cow, path::Path, time::Duration};

use sqlx::{
    Connection, Sqlite, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use store::StoreError;
use tokio::time::Instant;

use crate::{
    error::{damage, fault, is_busy, is_not_a_database},
    file::OpenedFile,
};

/// "rfq1": marks the file as this program's queue. Written by the first migration.
const APPLICATION_ID: i64 = 0x7266_7131;
/// Connections for reading beside the writer: payloads of claims, lists and scrapes.
const READERS_MAX: u32 = 4;
/// Statements that a connection keeps prepared: all that this crate has.
const STATEMENTS_MAX: usize = 128;
/// Page cache of the writer, in KiB: it holds the hot ends of all indexes at a million waiting jobs.
const WRITER_CACHE_KIB: u32 = 64 * 1024;
/// The log is cut back to this size after a checkpoint, so that one burst does not keep the disk for good.
const WAL_KEPT_BYTES: u32 = 64 * 1024 * 1024;
/// Pages of the log after which a commit carries them over into the file: some 32 MiB, which keeps the many changes of
/// the same hot pages from being carried over one by one.
const CHECKPOINT_PAGES: u32 = 8000;
/// Switching a new file to its log cannot wait for a lock; two processes that make it at once try again after this.
const RETRY: Duration = Duration::from_millis(20);

/// Opens the file with one connection that writes and some that read.
pub(crate) async fn open(
    path: &Path,
    busy_timeout: Duration,
) -> Result<(SqlitePool, SqlitePool, OpenedFile), StoreError> {
    let writing = writing(path, busy_timeout);
    let mut connection = connect(path, &writing, busy_timeout).await?;
    migrate(path, &mut connection).await?;
    connection.close().await.map_err(fault("close the queue's file"))?;
    let reading = options(path, busy_timeout).pragma("query_only", "on");
    let (writer, readers) = (pool(writing, 1).await?, pool(reading, READERS_MAX).await?);
    let file = OpenedFile::of(path).map_err(|error| fault("open the queue's file")(error.into()))?;
    Ok((writer, readers, file))
}

/// The one connection that writes, to a file of which it asks nothing.
pub(crate) async fn writer(path: &Path, busy_timeout: Duration) -> Result<SqlitePool, StoreError> {
    pool(writing(path, busy_timeout), 1).await
}

fn writing(path: &Path, busy_timeout: Duration) -> SqliteConnectOptions {
    options(path, busy_timeout).create_if_missing(true).pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
}

fn options(path: &Path, busy_timeout: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(busy_timeout)
        .journal_mode(SqliteJournalMode::Wal)
        // An answered enqueue is on the disk: the log is synced at every commit.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .statement_cache_capacity(STATEMENTS_MAX)
        // The lists that statements take as parameters are small tables in memory, not files.
        .pragma("temp_store", "memory")
        .pragma("journal_size_limit", WAL_KEPT_BYTES.to_string())
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
}

async fn pool(options: SqliteConnectOptions, connections: u32) -> Result<SqlitePool, StoreError> {
    SqlitePoolOptions::new()
        // A fault such as a full disk makes SQLite roll back by itself. sqlx's own rollback then finds no transaction and
        // fails, and from there on sqlx takes the connection for one in a transaction, in which no other can begin.
        .after_release(|connection, _| Box::pin(is_free(connection)))
        .max_connections(connections)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        // A connection to a file does not go stale.
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(fault("open the queue's file"))
}

/// Whether a connection that is given back has no transaction open; one that has is closed, and made anew when it is needed.
async fn is_free(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // Answered after the rollback that dropping a transaction has begun.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

async fn connect(
    path: &Path,
    options: &SqliteConnectOptions,
    busy_timeout: Duration,
) -> Result<SqliteConnection, StoreError> {
    let deadline = Instant::now() + busy_timeout;
    loop {
        match SqliteConnection::connect_with(options).await {
            Ok(connection) => return Ok(connection),
            Err(error) if is_busy(&error) && Instant::now() < deadline => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(opening(path, error)),
        }
    }
}

fn opening(path: &Path, error: sqlx::Error) -> StoreError {
    let path = path.display();
    if is_not_a_database(&error) {
        return StoreError::Schema(format!("{path} is not a SQLite database"));
    }
    match damage(&error) {
        Some(why) => StoreError::Schema(format!("{path} is damaged ({why}): restore it from a backup")),
        None => fault("open the queue's file")(error),
    }
}

/// Applies what the file lacks, all or nothing, while no other process can.
async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(|e| opening(path, e))?;
    check_owner(path, &mut tx).await?;
    let migrator = migrator();
    migrator.run_direct(None, &mut *tx, false).await.map_err(|e| not_migrated(path, &migrator, e))?;
    tx.commit().await.map_err(fault("migrate the queue's file"))
}

async fn check_owner(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let owner: i64 = scalar(connection, "PRAGMA application_id").await.map_err(|e| opening(path, e))?;
    let tables: i64 = scalar(connection, "SELECT count(*) FROM sqlite_schema").await.map_err(|e| opening(path, e))?;
    if owner == APPLICATION_ID || (owner == 0 && tables == 0) {
        return Ok(());
    }
    Err(StoreError::Schema(format!("{} is a database of another program, not a queue", path.display())))
}

async fn scalar(connection: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar::<Sqlite, i64>(sql).fetch_one(connection).await
}

/// The schema's steps. Their files stand at the top of the workspace, where an operator looks for them.
fn migrator() -> Migrator {
    let step = |version, name, sql: &'static str| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    };
    Migrator::with_migrations(vec![
        step(1, "queue", include_str!("../../../migrations/sqlite/0001_queue.sql")),
        step(2, "readiness and limits", include_str!("../../../migrations/sqlite/0002_readiness_and_limits.sql")),
        step(3, "contract", include_str!("../../../migrations/sqlite/0003_contract.sql")),
    ])
}

fn not_migrated(path: &Path, migrator: &Migrator, error: MigrateError) -> StoreError {
    let shown = path.display();
    match error {
        MigrateError::VersionMissing(found) => {
            let known = migrator.iter().map(|step| step.version).max().unwrap_or(0);
            StoreError::Schema(format!(
                "{shown} has schema version {found}, and this program knows versions up to {known}: use the newer program"
            ))
        }
        MigrateError::VersionMismatch(version) => StoreError::Schema(format!(
            "{shown} has a schema version {version} that differs from this program's: it was made by a changed program"
        )),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if damage(&error).is_some() => {
            opening(path, error)
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            fault("migrate the queue's file")(error)
        }
        other => StoreError::Schema(format!("{shown} cannot be migrated: {other}")),
    }
}
