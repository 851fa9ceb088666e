//! A Postgres for tests: the one that `REVIEWFLEET_TEST_POSTGRES_URL` names, or else a private one of this process.

#![allow(dead_code, reason = "each test binary uses a part")]
#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ops/postgres-server");

/// A server that this process has started. It ends with the process: a watcher stops it when its standard input closes.
pub struct Server {
    pub url: String,
    dir: PathBuf,
}

fn script(command: &str, dir: &Path, settings: &[&str]) -> String {
    let output = Command::new(SCRIPT).arg(command).arg(dir).args(settings).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "ops/postgres-server {command} fails");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Server {
    pub fn start(settings: &[&str]) -> Self {
        let dir = TempDir::new().unwrap().keep();
        let url = script("start", &dir, settings);
        // Tests are killed at a timeout, and destructors of statics never run: the watcher outlives this process.
        Command::new("sh")
            .args(["-c", r#"cat >/dev/null; "$0" stop "$1"; rm -rf "$1""#, SCRIPT])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(|child| std::mem::forget(child.stdin))
            .unwrap();
        Self { url, dir }
    }

    /// Ends all processes of the server at once and starts it anew.
    pub fn crash(&self) {
        script("crash", &self.dir, &[]);
        assert_eq!(script("start", &self.dir, &[]), self.url);
    }
}

/// The address of the server that the tests of this run share.
#[expect(clippy::disallowed_methods, reason = "the test runner names its server so")]
pub fn server_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        std::env::var("REVIEWFLEET_TEST_POSTGRES_URL").unwrap_or_else(|_| Server::start(&["fsync=off"]).url)
    })
}

/// A database of its own on a server, dropped by nobody: its server is a test's.
pub struct Database {
    pub url: String,
    name: String,
    server: String,
}

impl Database {
    pub async fn fresh(server: &str) -> Self {
        let name = format!("queue_{}", Uuid::now_v7().simple());
        execute(server, &format!("CREATE DATABASE {name}")).await;
        let (base, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{base}/{name}"), name, server: server.to_owned() }
    }

    /// Cuts all connections to the database, as the end of all its clients does.
    pub async fn cut(&self) {
        let name = &self.name;
        execute(
            &self.server,
            &format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"),
        )
        .await;
    }

    pub async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }
}

async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
