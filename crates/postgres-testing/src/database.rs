use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use uuid::Uuid;

/// A database of its own on a server; dropped by nobody, since the server is a test's.
#[derive(Debug)]
pub struct Database {
    /// Its address.
    pub url: String,
    /// Its name.
    pub name: String,
    server: String,
}

impl Database {
    /// Makes one on the server with this address.
    pub async fn fresh(server: &str) -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        execute(server, &format!("CREATE DATABASE {name}")).await;
        let (base, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{base}/{name}"), name, server: server.to_owned() }
    }

    /// Runs statements.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// Notes in a schema of ours that a step was applied which no program knows yet.
    pub async fn pretend_newer(&self, schema: &str) {
        self.execute(&format!("INSERT INTO {schema}.migration VALUES (999, 'later', now(), true, '\\x00', 0)")).await;
    }

    /// Forgets that the last step of a schema of ours was applied, as a restore of a part of a backup does.
    pub async fn forget_last_step(&self, schema: &str) {
        let last = format!("(SELECT max(version) FROM {schema}.migration)");
        self.execute(&format!("DELETE FROM {schema}.migration WHERE version = {last}")).await;
    }

    /// The first column of the rows that a statement answers, each as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0)).collect()
    }

    /// Cuts all connections to it, as the end of all its clients does.
    pub async fn cut(&self) {
        let name = &self.name;
        let cut = format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'");
        execute(&self.server, &cut).await;
    }

    /// Connections to it.
    pub async fn connections(&self) -> usize {
        let name = &self.name;
        let count = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        usize::try_from(count).unwrap()
    }
}

async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
