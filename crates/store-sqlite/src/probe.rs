use store::StoreError;

use crate::{queue::Shared, sql, write::Write};

/// Bytes that a probe writes: as many as the largest job of a default configuration has. A smaller probe would fit where a
/// job does not.
const PROBE_BYTES: i64 = 64 * 1024;

/// Writes what a job would, and waits until it is on the disk.
pub(crate) async fn probe(shared: &Shared) -> Result<(), StoreError> {
    let mut write = Write::begin(shared, "probe").await?;
    let fault = write.fault();
    sqlx::query(sql::PROBE).bind(PROBE_BYTES).execute(write.connection()).await.map_err(fault)?;
    write.commit().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Clock, open};

    #[tokio::test]
    async fn a_probe_fails_while_the_file_may_not_grow_and_has_then_changed_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, readers, file) = open::open(&dir.path().join("queue.db"), Duration::from_secs(1)).await.unwrap();
        // The fewest pages that SQLite lets itself be held to are those that are there.
        sqlx::query("PRAGMA max_page_count = 1").execute(&writer).await.unwrap();
        let shared = Shared::new(writer, readers, file, Clock::default(), Duration::from_secs(1));
        let full = probe(&shared).await.unwrap_err();
        assert!(full.is_transient() && full.is_undone(), "{full:?}");
        // The connection of the fault is made anew, without the bound.
        probe(&shared).await.unwrap();
        probe(&shared).await.unwrap();
    }
}
