use std::{fs, path::Path};

use job::JobId;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use super::*;
use crate::Usage;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn open(folder: &Path) -> Result<SqliteLedger, LedgerError> {
    SqliteLedger::open(&SqliteOptions::new(folder.join("ledger.db"))).await
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

fn review(user: &str, repository: &str) -> NewReview {
    NewReview {
        id: ReviewId(Uuid::now_v7()),
        job: JobId::from(Uuid::now_v7()),
        user: user.into(),
        repository: repository.into(),
        base: Some("b".repeat(40)),
        head: "a".repeat(40),
        title: "Mend the gate".into(),
        model: "fast".into(),
        findings: 3,
        usage: Usage { input_tokens: 30_000, cached_tokens: 1_000, output_tokens: 4_000, cost_micros: 19_000 },
        duration_ms: 1_234,
        document: r#"{"findings":[]}"#.into(),
        markdown: "# Review".into(),
        pull_request: Some(7),
        status: Some(ReviewStatus::Complete),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_may_be_opened_by_many_at_once() {
    let folder = folder();
    let path = folder.path().to_owned();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { open(&path).await.map(|_| ()).map_err(|e| chain(&e)) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
}

#[tokio::test]
async fn a_page_is_read_from_its_index() {
    let folder = folder();
    open(folder.path()).await.unwrap().close().await;
    let mut database = raw(&folder.path().join("ledger.db")).await;
    every_page_has_its_index(&mut database).await;
    // With statistics the planner weighs the indexes against each other.
    let many = "with recursive i(n) as (select 1 union all select n + 1 from i where n < 100000)
                insert into review
                select randomblob(16), randomblob(16), 'user-' || n % 1000, 'acme-' || n % 300 || '/' || n % 700, null, '', '',
                       'fast', 1, 1, 1, 1, 1, 1, '{}', '', n * 60000, n % 5000,
                       iif(n % 100 = 0, 'without_model', 'complete') from i";
    sqlx::query(many).execute(&mut database).await.unwrap();
    sqlx::query("analyze").execute(&mut database).await.unwrap();
    every_page_has_its_index(&mut database).await;
}

#[tokio::test]
async fn units_are_read_from_their_index() {
    let folder = folder();
    open(folder.path()).await.unwrap().close().await;
    let mut database = raw(&folder.path().join("ledger.db")).await;
    for (sql, index) in [
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/held_units.sql")),
            "quota_unit_of_day (user=? AND day=?)",
        ),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/units_of_subject.sql")),
            "quota_unit_of_subject (subject=?)",
        ),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/give_back.sql")),
            "sqlite_autoindex_quota_unit_1 (job=?)",
        ),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/take_unit.sql")),
            "quota_unit_of_day (user=? AND day=?)",
        ),
    ] {
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(&mut database).await.unwrap();
        let plan = plan.into_iter().map(|step| step.3).collect::<Vec<_>>().join("\n");
        assert!(plan.contains(index), "{sql}: {plan}");
        for table in ["SCAN unit", "SCAN held", "SCAN quota_unit", "SCAN review"] {
            assert!(!plan.contains(table), "{sql}: {plan}");
        }
    }
}

async fn every_page_has_its_index(database: &mut SqliteConnection) {
    for (sql, index) in [
        (concat!("explain query plan ", include_str!("../../sql/sqlite/review.sql")), "sqlite_autoindex_review_1"),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/review_of_job.sql")),
            "sqlite_autoindex_review_2",
        ),
        (concat!("explain query plan ", include_str!("../../sql/sqlite/list.sql")), "sqlite_autoindex_review_1"),
        (concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_user.sql")), "review_of_user"),
        (concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_owner.sql")), "review_of_owner"),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_user_at_owner.sql")),
            "review_of_user_at_owner",
        ),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_repository.sql")),
            "review_of_repository",
        ),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_user_in_repository.sql")),
            "review_of_user_in_repository",
        ),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_pull_request.sql")),
            "review_of_pull_request",
        ),
        (concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_status.sql")), "review_of_status"),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_status_of_user.sql")),
            "review_of_status_of_user",
        ),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_status_of_owner.sql")),
            "review_of_status_of_owner",
        ),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/list_of_status_in_repository.sql")),
            "review_of_status_in_repository",
        ),
    ] {
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(&mut *database).await.unwrap();
        let plan: Vec<_> = plan.into_iter().map(|step| step.3).collect();
        assert_eq!(plan.len(), 1, "{plan:?}");
        assert!(plan[0].starts_with(&format!("SEARCH review USING INDEX {index} (")), "{sql}: {plan:?}");
    }
    for (sql, index) in [
        (concat!("explain query plan ", include_str!("../../sql/sqlite/usage.sql")), "review_by_creation"),
        (
            concat!("explain query plan ", include_str!("../../sql/sqlite/usage_of_user.sql")),
            "review_of_user_by_creation",
        ),
    ] {
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(&mut *database).await.unwrap();
        assert!(plan[0].3.starts_with(&format!("SEARCH review USING INDEX {index} (")), "{sql}: {plan:?}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_what_to_do() {
    let folder = folder();
    open(folder.path()).await.unwrap().close().await;
    let path = folder.path().join("ledger.db");
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                 values (999, 'later', true, x'00', 0)";
    sqlx::query(newer).execute(&mut raw(&path).await).await.unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Schema(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!(
            "the ledger {} was written by a newer version of reviewfleet: its schema has step 999, and this program \
             knows the steps up to 104. Start the newer version, or restore the backup from before the upgrade",
            path.display()
        )
    );
}

#[tokio::test]
async fn a_step_that_was_edited_is_refused() {
    let folder = folder();
    open(folder.path()).await.unwrap().close().await;
    let path = folder.path().join("ledger.db");
    sqlx::query("update _sqlx_migrations set checksum = x'00'").execute(&mut raw(&path).await).await.unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert!(matches!(&error, LedgerError::Schema(what) if what.starts_with("step 100 of the schema")), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let content = "a note, by mistake in this place\n".repeat(200);
    fs::write(&path, &content).unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Corrupt(_)), "{error:?}");
    assert!(error.to_string().contains("ledger.db is no SQLite database. Move it away"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), content);
}

#[tokio::test]
async fn a_database_of_another_program_gets_no_tables() {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let mut other =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path).create_if_missing(true))
            .await
            .unwrap();
    sqlx::query("create table note (text text)").execute(&mut other).await.unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert!(matches!(&error, LedgerError::Schema(what) if what.contains("another program's database")), "{error:?}");
    let tables: i64 = sqlx::query_scalar("select count(*) from sqlite_schema").fetch_one(&mut other).await.unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_lock_that_another_process_keeps_is_waited_for_and_then_named() {
    let folder = folder();
    let options =
        SqliteOptions { busy_timeout: Duration::from_millis(50), ..SqliteOptions::new(folder.path().join("l")) };
    let ledger = SqliteLedger::open(&options).await.unwrap();
    let mut other = raw(&options.path).await;
    let lock = other.begin_with("begin immediate").await.unwrap();
    let new = review("u", "acme/widgets");
    assert!(matches!(ledger.record(&new).await, Err(LedgerError::Unavailable { .. })));
    let error = SqliteLedger::open(&options).await.unwrap_err();
    assert_eq!(error.to_string(), "the ledger did not answer: open its file, which another process keeps");
    assert_eq!(ledger.review(new.id).await.unwrap(), None);
    lock.rollback().await.unwrap();
    assert_eq!(ledger.record(&new).await.unwrap(), Recorded::New);
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_answered() {
    let folder = folder();
    let options = SqliteOptions::new(folder.path().join("ledger.db"));
    SqliteLedger::open(&options).await.unwrap().close().await;
    let connect = SqliteConnectOptions::new().filename(&options.path).pragma("max_page_count", "40");
    let small = SqliteLedger::connect(connect, &options).await.unwrap();
    let mut kept = Vec::new();
    let (refused, error) = loop {
        let new = review("u", "acme/widgets");
        match small.record(&new).await {
            Ok(_) => kept.push(new.id),
            Err(error) => break (new, error),
        }
        assert!(kept.len() < 1_000, "the disk never filled up");
    };
    assert!(matches!(error, LedgerError::Unavailable { .. }), "{error:?}");
    assert!(chain(&error).contains("disk is full"), "{}", chain(&error));
    small.close().await;

    let ledger = open(folder.path()).await.unwrap();
    let all = ReviewFilter { limit: LIST_MAX, ..ReviewFilter::default() };
    kept.reverse();
    assert_eq!(ledger.list(&all).await.unwrap().into_iter().map(|r| r.review.id).collect::<Vec<_>>(), kept);
    assert_eq!(ledger.record(&refused).await.unwrap(), Recorded::New);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let folder = folder();
    let error = open(&folder.path().join("missing")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Unavailable { .. }), "{error:?}");
    assert!(
        chain(&error).contains("missing/ledger.db must be a file that this process may write"),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_an_error_and_no_panic() {
    let folder = folder();
    let ledger = open(folder.path()).await.unwrap();
    let new = review("u", "acme/widgets");
    ledger.record(&new).await.unwrap();
    let mut database = raw(&folder.path().join("ledger.db")).await;
    for damage in [
        "update review set cost_micros = -1",
        "update review set created_at_ms = 9223372036854775807",
        "update review set created_at_ms = 1, cost_micros = 1, status = 'perfect'",
        "update review set status = null, pull_request = -1",
    ] {
        sqlx::query(damage).execute(&mut database).await.unwrap();
        let error = ledger.review(new.id).await.unwrap_err();
        assert!(matches!(error, LedgerError::Corrupt(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_named_at_the_opening() {
    let folder = folder();
    let options = SqliteOptions::new(folder.path().join("ledger.db"));
    SqliteLedger::open(&options).await.unwrap().close().await;
    // Read-only by the connection and not by the file's mode, which would not bind a superuser.
    let connect = SqliteConnectOptions::new().filename(&options.path).read_only(true);
    let error = SqliteLedger::connect(connect, &options).await.unwrap_err();
    let LedgerError::Unavailable { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("ledger.db must be a file that this process may write"), "{source}");
}
