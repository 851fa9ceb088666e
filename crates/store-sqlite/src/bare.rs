use std::path::Path;

use sqlx::SqlitePool;
use store::StoreError;

use crate::{Options, error::fault, json, open, sql};

/// The least that a queue in one `SQLite` file can be, to measure one beside: a table of jobs, worked off in order by a
/// connection like the queue's own. No limits, no turns, no leases that are renewed, no history; a job that is done is
/// deleted.
#[derive(Debug, Clone)]
pub struct BareTable {
    writer: SqlitePool,
}

const USE: &str = "use the bare table";

impl BareTable {
    /// Makes the table, in a file that is not there.
    pub async fn create(path: &Path) -> Result<Self, StoreError> {
        let writer = open::writer(path, Options::default().busy_timeout).await?;
        sqlx::raw_sql(sql::BARE_CREATE).execute(&writer).await.map_err(fault(USE))?;
        Ok(Self { writer })
    }

    /// Stores so many jobs in one statement, which makes them itself: nothing but the statement reaches the connection.
    pub async fn insert(&self, jobs: u32) -> Result<(), StoreError> {
        sqlx::query(sql::BARE_INSERT).bind(jobs).execute(&self.writer).await.map_err(fault(USE))?;
        Ok(())
    }

    /// Claims up to `jobs` and settles them, each in a transaction of its own; how many there were.
    pub async fn cycle(&self, jobs: u32) -> Result<usize, StoreError> {
        let claimed: Vec<(i64, String)> =
            sqlx::query_as(sql::BARE_CLAIM).bind(jobs).fetch_all(&self.writer).await.map_err(fault(USE))?;
        let ids: Vec<i64> = claimed.iter().map(|(id, _)| *id).collect();
        sqlx::query(sql::BARE_SETTLE).bind(json::array(&ids)?).execute(&self.writer).await.map_err(fault(USE))?;
        Ok(ids.len())
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bare_table_gives_each_of_its_jobs_out_once() {
        let dir = tempfile::tempdir().unwrap();
        let table = BareTable::create(&dir.path().join("bare.db")).await.unwrap();
        table.insert(0).await.unwrap();
        assert_eq!(table.cycle(3).await.unwrap(), 0);
        table.insert(3).await.unwrap();
        table.insert(2).await.unwrap();
        for left in [3, 2, 0] {
            assert_eq!(table.cycle(3).await.unwrap(), left);
        }
    }
}
