use std::time::Duration;

use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use tokio::time::{Instant, sleep};

use crate::{Address, Fault, check::connect};

/// How long another process' migration is waited for, and how often it is asked after.
const LOCK_WAIT: Duration = Duration::from_mins(1);
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The second number of the lock for the steps, and of that for the indexes: a long build keeps nobody from starting.
const STEPS: i32 = 0;
const INDEXES: i32 = 1;

/// A schema of this program in a database: its tables, which come in numbered steps, and the indexes that were thought of
/// later. What was applied stands in its table `migration`.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its name.
    pub name: &'static str,
    /// The first number of the advisory locks that keep two processes from migrating at once.
    pub lock: i32,
    /// Its steps, in order. A step that was released is never edited.
    pub steps: &'static [Step],
    /// Its later indexes.
    pub indexes: &'static [Index],
}

/// A step of a schema: applied in a transaction, together with all others that are missing, or not at all.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its number.
    pub version: i64,
    /// Its name, for people who read the table.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

/// An index that is added to a table in use: built `CONCURRENTLY`, so that the table is written to meanwhile, and therefore
/// outside of any transaction. Whether it is there says the catalogue: a build that was broken off leaves an invalid index,
/// which is dropped and built anew at the next start. Another index gets another name.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    /// Its name, the schema before it.
    pub name: &'static str,
    /// One statement, `create index concurrently …`.
    pub create: &'static str,
}

impl Schema {
    /// Brings the database to this schema. Waits while another process does so.
    pub async fn migrate(&self, address: &Address) -> Result<(), Fault> {
        let mut connection = connect(address).await?;
        self.apply(address, &mut connection).await?;
        for index in self.indexes {
            self.build(index, address, &mut connection).await?;
        }
        // Whether the server hears that it ends tells nothing.
        let _ = connection.close().await;
        Ok(())
    }

    /// Applies the missing steps once it has the lock. It asks for that again and again: waiting in one statement would hold
    /// a snapshot, which the concurrent build of an index by the lock's owner waits for in turn, and neither would end.
    async fn apply(&self, address: &Address, connection: &mut PgConnection) -> Result<(), Fault> {
        let give_up = Instant::now() + LOCK_WAIT;
        loop {
            let mut tx = connection.begin().await.map_err(migrating)?;
            if self.try_lock(STEPS, &mut tx).await? {
                self.check_owner(address, &mut tx).await?;
                self.run_steps(address, &mut tx).await?;
                return tx.commit().await.map_err(migrating);
            }
            tx.rollback().await.map_err(migrating)?;
            if Instant::now() > give_up {
                let what = format!("another process has been migrating the schema \"{}\" for {LOCK_WAIT:?}", self.name);
                return Err(Fault::away(what));
            }
            sleep(LOCK_PAUSE).await;
        }
    }

    async fn run_steps(&self, address: &Address, connection: &mut PgConnection) -> Result<(), Fault> {
        // The migrator prepares its statements under names. Behind a pooler in transaction mode the server process is not
        // this connection's own: another one may have left the same names there, and the next would find these.
        let forget = async |c: &mut PgConnection| c.execute(sqlx::raw_sql(include_str!("../sql/forget.sql"))).await;
        forget(connection).await.map_err(migrating)?;
        let migrator = self.migrator();
        let ended = migrator.run_direct(None, connection, false).await;
        ended.map_err(|e| self.not_migrated(address, &migrator, e))?;
        forget(connection).await.map_err(migrating)?;
        Ok(())
    }

    /// Builds an index unless it is there, or another process is at it.
    async fn build(&self, index: &Index, address: &Address, connection: &mut PgConnection) -> Result<(), Fault> {
        // A snapshot of this transaction would be waited for by the build that it guards: it must hold none between its
        // statements, whatever the server's default is.
        let mut guard = connection.begin_with(include_str!("../sql/begin.sql")).await.map_err(migrating)?;
        let is_valid: Option<bool> = sqlx::query_scalar(include_str!("../sql/index_is_valid.sql"))
            .persistent(false)
            .bind(index.name)
            .fetch_optional(&mut *guard)
            .await
            .map_err(migrating)?;
        if is_valid == Some(true) || !self.try_lock(INDEXES, &mut guard).await? {
            return guard.rollback().await.map_err(migrating);
        }
        tracing::info!(index = index.name, "building an index");
        let mut builder = connect(address).await?;
        if is_valid == Some(false) {
            // A name can be no parameter; this one is a constant of the program.
            let drop = format!("drop index concurrently if exists {}", index.name);
            builder.execute(sqlx::raw_sql(AssertSqlSafe(drop))).await.map_err(migrating)?;
        }
        builder.execute(sqlx::raw_sql(index.create)).await.map_err(migrating)?;
        let _ = builder.close().await;
        guard.rollback().await.map_err(migrating)
    }

    async fn try_lock(&self, what: i32, connection: &mut PgConnection) -> Result<bool, Fault> {
        sqlx::query_scalar(include_str!("../sql/try_lock.sql"))
            .persistent(false)
            .bind(self.lock)
            .bind(what)
            .fetch_one(connection)
            .await
            .map_err(migrating)
    }

    async fn check_owner(&self, address: &Address, connection: &mut PgConnection) -> Result<(), Fault> {
        let is_foreign: bool = sqlx::query_scalar(include_str!("../sql/is_foreign.sql"))
            .persistent(false)
            .bind(self.name)
            .fetch_one(connection)
            .await
            .map_err(migrating)?;
        if !is_foreign {
            return Ok(());
        }
        Err(Fault::Schema(format!(
            "the schema \"{}\" in {address} belongs to another program: give the address of another database",
            self.name
        )))
    }

    fn migrator(&self) -> Migrator {
        let step = |step: &Step| {
            let sql = step.sql.into_sql_str();
            Migration::new(step.version, step.name.into(), MigrationType::Simple, sql, false)
        };
        let mut migrator = Migrator::with_migrations(self.steps.iter().map(step).collect());
        migrator.create_schema(self.name);
        migrator.dangerous_set_table_name(format!("{}.migration", self.name));
        // The lock that would be taken is one of the session, which a pooler loses.
        migrator.set_locking(false);
        migrator
    }

    fn not_migrated(&self, address: &Address, migrator: &Migrator, error: MigrateError) -> Fault {
        let name = self.name;
        let known = migrator.iter().map(|step| step.version).max().unwrap_or_default();
        match error {
            MigrateError::VersionMissing(found) => Fault::Schema(format!(
                "the schema \"{name}\" in {address} was made by a newer version of reviewfleet: it has step {found}, and \
                 this program knows the steps up to {known}. Start the newer version, or restore the backup from before the \
                 upgrade"
            )),
            MigrateError::VersionMismatch(step) | MigrateError::Dirty(step) => Fault::Schema(format!(
                "step {step} of the schema \"{name}\" in {address} is not the one that this program knows: it was made by \
                 a build that was never released, or was changed by hand"
            )),
            MigrateError::Execute(source) => migrating(source),
            MigrateError::ExecuteMigration(source, step) => match Fault::calling("bring the schema up to date", source)
            {
                Fault::Schema(why) => Fault::Schema(format!(
                    "step {step} of the schema \"{name}\" in {address} cannot be applied, since the schema is half \
                     migrated or was changed by hand: {why}. Restore a backup, or drop the schema if nothing in it is needed"
                )),
                other => other,
            },
            other => Fault::Schema(format!("the schema \"{name}\" in {address} cannot be brought up to date: {other}")),
        }
    }
}

fn migrating(error: sqlx::Error) -> Fault {
    Fault::calling("bring the schema up to date", error)
}
