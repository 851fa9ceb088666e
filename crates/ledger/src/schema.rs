use std::path::Path;

use sqlx::{
    SqlSafeStr, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use crate::LedgerError;

/// "rfl1", which the first step writes into the file.
const APPLICATION_ID: i64 = 0x7266_6c31;

/// The ledger's steps, in order. A step that was released is never edited: another one is added.
fn steps() -> Vec<Migration> {
    let step = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    vec![
        step(100, "ledger", include_str!("../../../migrations/sqlite/0100_ledger.sql")),
        step(101, "ledger_creation", include_str!("../../../migrations/sqlite/0101_ledger_creation.sql")),
        step(103, "ledger_pull_request", include_str!("../../../migrations/sqlite/0103_ledger_pull_request.sql")),
        step(104, "ledger_quota_unit", include_str!("../../../migrations/sqlite/0104_ledger_quota_unit.sql")),
    ]
}

/// Brings the schema up to date, all steps or none. Processes that open a new file at once wait for each other: sqlx has
/// no lock for `SQLite`, so that without the transaction two of them would run the same step.
pub async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), LedgerError> {
    let migrator = Migrator::with_migrations(steps());
    let mut transaction = writer.begin_with("begin immediate").await.map_err(|e| LedgerError::opening(path, e))?;
    check_owner(&mut transaction, path).await?;
    let done = migrator.run_direct(None, &mut *transaction, false).await;
    done.map_err(|e| refused(&migrator, path, e))?;
    // SQLite opens a file that it may not write all the same, and would refuse the first record only.
    let probe = sqlx::query(include_str!("../sql/sqlite/probe.sql")).execute(&mut *transaction).await;
    probe.map_err(|e| LedgerError::opening(path, e))?;
    transaction.commit().await.map_err(|e| LedgerError::opening(path, e))
}

/// Keeps the ledger's tables out of another program's database, or of the queue's.
async fn check_owner(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let owner = sqlx::query_as::<_, (i64, bool)>(include_str!("../sql/sqlite/owner.sql")).fetch_one(connection).await;
    match owner.map_err(|e| LedgerError::opening(path, e))? {
        (APPLICATION_ID, _) | (0, false) => Ok(()),
        _ => Err(LedgerError::Schema(format!(
            "{} is another program's database and no ledger. Name another data_dir",
            path.display()
        ))),
    }
}

fn refused(migrator: &Migrator, path: &Path, error: MigrateError) -> LedgerError {
    let path = path.display();
    let known = migrator.iter().map(|m| m.version).max().unwrap_or_default();
    match error {
        MigrateError::VersionMissing(found) => LedgerError::Schema(format!(
            "the ledger {path} was written by a newer version of reviewfleet: its schema has step {found}, and this \
             program knows the steps up to {known}. Start the newer version, or restore the backup from before the \
             upgrade"
        )),
        MigrateError::VersionMismatch(step) => LedgerError::Schema(format!(
            "step {step} of the schema of the ledger {path} is not the one that this program knows: the file was made \
             by a build that was never released. Start that build, or name another data_dir"
        )),
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            LedgerError::calling("bring the schema up to date", source)
        }
        other => LedgerError::Schema(format!("the schema of the ledger {path} cannot be brought up to date: {other}")),
    }
}
