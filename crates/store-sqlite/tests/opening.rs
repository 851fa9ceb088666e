//! What happens when the file is not what it should be.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test fail it")]

use std::{fs, io::Write, path::Path, time::Duration};

use job::QueueName;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use store::{Enqueued, QueueAdmin, QueueStore, StoreError};
use store_conformance::Bed;
use store_sqlite::{Options, SqliteQueue};
use tempfile::tempdir;

async fn open(path: &Path) -> Result<SqliteQueue, StoreError> {
    SqliteQueue::open(path, Options::default()).await
}

async fn run(path: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn schema_error(outcome: Result<SqliteQueue, StoreError>) -> String {
    let error = outcome.expect_err("the file should be refused");
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_file_with_a_newer_schema_is_left_alone() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("queue.db");
    open(&path).await.unwrap().close().await;
    run(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'of the future', 1, x'00', 0)",
    )
    .await;
    let text = schema_error(open(&path).await);
    assert!(text.contains("queue.db has schema version 99, and this program knows versions up to 3"), "{text}");
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date_with_what_it_holds() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let review = QueueName::new("review").unwrap();
    let queue = open(&path).await.unwrap();
    queue.define_queue(&review, Some(7)).await.unwrap();
    queue.enqueue(&[Bed::job()]).await.unwrap();
    queue.close().await;
    // What the second version has added.
    for undo in [
        "DROP TABLE probe",
        "ALTER TABLE queue DROP COLUMN configured",
        "ALTER TABLE limit_class DROP COLUMN configured",
        "DELETE FROM _sqlx_migrations WHERE version = 2",
    ] {
        run(&path, undo).await;
    }
    let queue = open(&path).await.unwrap();
    queue.probe().await.unwrap();
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats[0].limit, stats[0].ready), (Some(7), 1));
    let target = store::LimitTarget::Queue(review);
    queue.configure_limit(&target, Some(9)).await.unwrap();
    assert_eq!(queue.stats().await.unwrap()[0].limit, Some(9), "nothing is known to have been configured before");
}

#[tokio::test]
async fn a_file_whose_schema_was_changed_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("queue.db");
    open(&path).await.unwrap().close().await;
    run(&path, "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    let text = schema_error(open(&path).await);
    assert!(text.contains("schema version 1 that differs"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let content = "not a database, but a text that somebody may want to keep. ".repeat(50);
    fs::write(&path, &content).unwrap();
    let text = schema_error(open(&path).await);
    assert!(text.contains("queue.db is not a SQLite database"), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), content);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("other.db");
    run(&path, "CREATE TABLE job (id INTEGER PRIMARY KEY)").await;
    let text = schema_error(open(&path).await);
    assert!(text.contains("other.db is a database of another program"), "{text}");
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_unavailable() {
    let dir = tempdir().unwrap();
    let missing = open(&dir.path().join("no such folder").join("queue.db")).await;
    assert!(matches!(missing, Err(StoreError::Unavailable { .. })), "{missing:?}");
    let folder = open(dir.path()).await;
    assert!(matches!(folder, Err(StoreError::Unavailable { .. })), "{folder:?}");
}

#[tokio::test]
async fn many_handles_may_open_a_new_file_at_once() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { open(&path).await })
        })
        .collect();
    for opened in opening {
        let queue = opened.await.unwrap().unwrap();
        queue.define_queue(&QueueName::new("review").unwrap(), None).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_another_process_keeps_locked_is_unavailable_and_unchanged() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let options = Options { busy_timeout: Duration::from_millis(50), ..Options::default() };
    let queue = SqliteQueue::open(&path, options).await.unwrap();
    queue.define_queue(&QueueName::new("review").unwrap(), None).await.unwrap();
    let other = SqliteConnectOptions::new().filename(&path);
    let mut other = SqliteConnection::connect_with(&other).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    // Each of the callers that share the transaction gets its own fault.
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.enqueue(&[Bed::job()]).await })
        })
        .collect();
    for call in calls {
        let refused = call.await.unwrap();
        assert!(matches!(&refused, Err(fault) if fault.is_transient()), "{refused:?}");
    }
    assert_eq!(queue.stats().await.unwrap()[0].ready, 0, "reading goes on");
    lock.rollback().await.unwrap();
    assert_eq!(queue.enqueue(&[Bed::job()]).await.unwrap(), [Enqueued::Inserted]);
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_stored_in_a_file_that_is_gone_or_replaced() {
    let dir = tempdir().unwrap();
    let (path, other) = (dir.path().join("queue.db"), dir.path().join("other.db"));
    let queue = open(&path).await.unwrap();
    queue.define_queue(&QueueName::new("review").unwrap(), None).await.unwrap();
    open(&other).await.unwrap().close().await;
    queue.probe().await.unwrap();
    let aside = dir.path().join("aside.db");
    fs::rename(&path, &aside).unwrap();
    for replaced in [false, true] {
        if replaced {
            fs::rename(&other, &path).unwrap();
        }
        for refused in [queue.probe().await, queue.enqueue(&[Bed::job()]).await.map(drop)] {
            let fault = refused.unwrap_err();
            assert!(fault.is_undone() && fault.is_transient(), "{fault:?}");
            assert!(store::chain(&fault).contains("queue.db is gone or is another file"), "{}", store::chain(&fault));
        }
    }
    fs::rename(&aside, &path).unwrap();
    assert_eq!(queue.enqueue(&[Bed::job()]).await.unwrap(), [Enqueued::Inserted]);
}

#[tokio::test]
async fn a_unique_key_of_a_transaction_that_is_rolled_back_is_free() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("queue.db");
    let queue = open(&path).await.unwrap();
    queue.define_queue(&QueueName::new("review").unwrap(), None).await.unwrap();
    let other = SqliteConnectOptions::new().filename(&path);
    let mut other = SqliteConnection::connect_with(&other).await.unwrap();
    let mut holder = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query("INSERT INTO unique_key (queue, key, job) VALUES (1, 'k', randomblob(16))")
        .execute(&mut *holder)
        .await
        .unwrap();
    let (stores, job) = (queue.clone(), Bed::unique("k", Duration::from_mins(1)));
    let enqueue = tokio::spawn(async move { stores.enqueue(&[job]).await });
    holder.rollback().await.unwrap();
    assert_eq!(enqueue.await.unwrap().unwrap(), [Enqueued::Inserted], "the second is stored, or told why not");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_unavailable() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("queue.db");
    open(&path).await.unwrap().close().await;
    fs::create_dir(dir.path().join("queue.db-wal")).unwrap();
    let outcome = open(&path).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_damaged_file_is_reported_and_not_made_anew() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("queue.db");
    open(&path).await.unwrap().close().await;
    let length = fs::metadata(&path).unwrap().len();
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all(&[0x5a; 100]).unwrap();
    drop(file);
    let text = schema_error(open(&path).await);
    assert!(text.contains("is not a SQLite database"), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().len(), length);
}
