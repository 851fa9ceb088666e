use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, ensure};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use url::Url;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../postgres-server");
/// As `ops/measure-postgres` sets its server: no checkpoint falls into a measurement.
const SETTINGS: [&str; 3] = ["shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min"];
/// What a job queue stands on. A server that saves on it would tell figures that no service may have.
const DURABLE: [&str; 3] = ["synchronous_commit", "fsync", "full_page_writes"];

/// A Postgres server that lives as long as this does.
pub struct PrivateServer {
    folder: TempDir,
    url: String,
}

impl PrivateServer {
    /// Starts it on a free port of the loopback address.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        // The server runs as another user where this runs as root.
        set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let mut server = Self { folder, url: String::new() };
        let started = Command::new(SCRIPT).arg("start").arg(server.data()).args(SETTINGS).output().context(SCRIPT)?;
        ensure!(started.status.success(), "no Postgres server: {}", String::from_utf8_lossy(&started.stderr).trim());
        String::from_utf8(started.stdout)?.trim().clone_into(&mut server.url);
        Ok(server)
    }

    /// Of its database `postgres`.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("server")
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        if let Err(error) = Command::new(SCRIPT).arg("stop").arg(self.data()).status() {
            eprintln!("the private Postgres server does not stop: {error}");
        }
    }
}

/// Refuses a server whose commits are not on disk when it answers.
pub async fn check_durable(url: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await.context("connecting")?;
    for name in DURABLE {
        let set: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await?;
        ensure!(set == "on", "{name} is {set} on this server and must be on");
    }
    Ok(connection.close().await?)
}

/// A database that this program made.
pub struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    /// Makes it empty; a database of that name must not be there.
    pub async fn create(server: &str, peer: &str) -> anyhow::Result<Self> {
        let name = format!("bench_{}_{}", peer.replace('-', "_"), std::process::id());
        let mut url = Url::parse(server)?;
        url.set_path(&name);
        let database = Self { server: server.to_owned(), name, url: url.into() };
        database.execute(format!("CREATE DATABASE {}", database.name)).await?;
        Ok(database)
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Drops it, and ends who is still connected.
    pub async fn remove(self) -> anyhow::Result<()> {
        self.execute(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await
    }

    /// The name, of letters, digits and underscores, needs no quotes.
    async fn execute(&self, statement: String) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.server).await?;
        let context = statement.clone();
        connection.execute(AssertSqlSafe(statement)).await.context(context)?;
        Ok(connection.close().await?)
    }
}
