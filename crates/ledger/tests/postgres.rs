//! The ledger's promises on Postgres, by itself and through a pooler, and what is Postgres' own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod suite;

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use ledger::{Ledger, LedgerError, PostgresLedger, Recorded, ReviewFilter};
use postgres::{Address, PoolOptions};
use postgres_testing::{Database, Pooler, Server, server_url};

/// Fewer connections than a case has callers at once.
const CONNECTIONS: u32 = 2;

struct Direct(Database);

async fn open_through(url: &str, transaction_pooler: bool) -> Result<PostgresLedger, LedgerError> {
    let address: Address = url.parse().unwrap();
    let pool = PoolOptions { connections_max: CONNECTIONS, transaction_pooler };
    PostgresLedger::open(&address, postgres::Database::new(&address, pool)).await
}

async fn open(url: &str) -> Result<PostgresLedger, LedgerError> {
    open_through(url, false).await
}

async fn age(database: &Database, millis: i64) {
    database.execute(&format!("update ledger.review set created_at_ms = created_at_ms - {millis}")).await;
    let day = format!("(taken_at_ms - {millis}) / 86400000");
    let older = format!("update ledger.quota_unit set taken_at_ms = taken_at_ms - {millis}, day = {day}");
    database.execute(&older).await;
}

#[async_trait]
impl suite::Bed for Direct {
    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(open(&self.0.url).await.unwrap())
    }

    async fn age(&self, millis: i64) {
        age(&self.0, millis).await;
    }
}

async fn direct() -> Direct {
    Direct(Database::fresh(server_url()).await)
}

suite::cases!(direct());

mod pooled {
    use super::*;

    /// Each statement meets another server process.
    struct Pooled(Database, Pooler);

    #[async_trait]
    impl suite::Bed for Pooled {
        async fn open(&self) -> Arc<dyn Ledger> {
            let url = self.1.url_of(&self.0.name);
            Arc::new(open_through(&url, true).await.unwrap())
        }

        async fn age(&self, millis: i64) {
            age(&self.0, millis).await;
        }
    }

    async fn bed() -> Pooled {
        let database = Database::fresh(server_url()).await;
        Pooled(database, Pooler::start(server_url(), &["server_round_robin=1", "min_pool_size=4"]))
    }

    suite::cases!(bed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_may_be_opened_by_many_at_once() {
    let database = Database::fresh(server_url()).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let url = database.url.clone();
            tokio::spawn(async move { open(&url).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn every_query_has_its_index() {
    let database = Database::fresh(server_url()).await;
    open(&database.url).await.unwrap();
    database
        .execute(
            "insert into ledger.review
             select gen_random_uuid(), gen_random_uuid(), 'user-' || i % 1000, 'acme-' || i % 300 || '/' || i % 700, null, '',
                    '', 'fast', 1, 1, 1, 1, 1, 1, '{}', '', i::bigint * 60000, i % 5000,
                    case when i % 100 = 0 then 'without_model' else 'complete' end
             from generate_series(1, 100000) i;
             insert into ledger.quota_unit
             select gen_random_uuid(), 'user-' || i % 1000, 20000 + i / 1000, 'subject-' || i, i::bigint * 86400
             from generate_series(1, 100000) i;
             analyze ledger.review, ledger.quota_unit",
        )
        .await;
    let id = "'018f0000-0000-7000-8000-000000000000'";
    for (sql, values, index) in [
        (include_str!("../sql/postgres/review.sql"), vec![id], "review_pkey"),
        (include_str!("../sql/postgres/review_of_job.sql"), vec![id], "review_job_key"),
        (include_str!("../sql/postgres/list.sql"), vec![id, "100"], "review_pkey"),
        (include_str!("../sql/postgres/list_of_user.sql"), vec!["'user-7'", id, "20"], "review_of_user"),
        (include_str!("../sql/postgres/list_of_repository.sql"), vec!["'acme-7/7'", id, "20"], "review_of_repository"),
        (
            include_str!("../sql/postgres/list_of_user_in_repository.sql"),
            vec!["'user-7'", "'acme-7/7'", id, "null", "20"],
            "review_of_user_in_repository",
        ),
        (include_str!("../sql/postgres/list_of_owner.sql"), vec!["'acme-7'", id, "20"], "review_of_owner"),
        (
            include_str!("../sql/postgres/list_of_user_at_owner.sql"),
            vec!["'user-7'", "'acme-7'", id, "'complete'", "20"],
            "review_of_user_at_owner",
        ),
        (
            include_str!("../sql/postgres/list_of_pull_request.sql"),
            vec!["'acme-7/7'", "7", id, "'user-7'", "null", "20"],
            "review_of_pull_request",
        ),
        (include_str!("../sql/postgres/list_of_status.sql"), vec!["'without_model'", id, "20"], "review_of_status"),
        (
            include_str!("../sql/postgres/list_of_status_of_user.sql"),
            vec!["'user-7'", "'without_model'", id, "20"],
            "review_of_status_of_user",
        ),
        (
            include_str!("../sql/postgres/list_of_status_of_owner.sql"),
            vec!["'acme-7'", "'without_model'", id, "20"],
            "review_of_status_of_owner",
        ),
        (
            include_str!("../sql/postgres/list_of_status_in_repository.sql"),
            vec!["'acme-7/7'", "'without_model'", id, "20"],
            "review_of_status_in_repository",
        ),
        (include_str!("../sql/postgres/held_units.sql"), vec!["'user-7'", "100"], "quota_unit_of_day"),
        (include_str!("../sql/postgres/units_of_subject.sql"), vec!["'subject-7'", "32"], "quota_unit_of_subject"),
        (include_str!("../sql/postgres/usage.sql"), vec!["6000000", "12000000", "100"], "review_by_creation"),
        (
            include_str!("../sql/postgres/usage_of_user.sql"),
            vec!["'user-7'", "6000000", "12000000", "100"],
            "review_of_user_by_creation",
        ),
    ] {
        let mut explain = format!("explain {}", sql.split_once('\n').unwrap().1);
        for (i, value) in values.iter().enumerate().rev() {
            explain = explain.replace(&format!("${}", i + 1), value);
        }
        let plan = database.texts(&explain).await.join("\n");
        assert!(plan.contains(&format!("{index} ")) || plan.contains(&format!("{index}\n")), "{sql}{plan}");
        assert!(!plan.contains("Seq Scan"), "{sql}{plan}");
    }
}

#[tokio::test]
async fn late_indexes_are_there_after_the_opening() {
    let database = Database::fresh(server_url()).await;
    open(&database.url).await.unwrap();
    database.execute("drop index ledger.review_by_creation").await;
    open(&database.url).await.unwrap();
    let valid = "select indexrelid::regclass::text from pg_index where indisvalid and indexrelid::regclass::text like \
                 'ledger.%by_creation' order by 1";
    assert_eq!(database.texts(valid).await, ["ledger.review_by_creation", "ledger.review_of_user_by_creation"]);
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_what_to_do() {
    let database = Database::fresh(server_url()).await;
    open(&database.url).await.unwrap();
    database.pretend_newer("ledger").await;
    let error = open(&database.url).await.unwrap_err();
    assert!(matches!(error, LedgerError::Schema(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.starts_with("the schema \"ledger\" in postgres://"), "{error}");
    assert!(error.contains("it has step 999, and this program knows the steps up to 111. Start the newer"), "{error}");
}

#[tokio::test]
async fn a_server_that_goes_away_and_comes_back_is_found_again() {
    let server = Server::start(&[]);
    let database = Database::fresh(&server.url).await;
    let ledger = open(&database.url).await.unwrap();
    let first = suite::review("ann", "acme/widgets");
    assert_eq!(ledger.record(&first).await.unwrap(), Recorded::New);

    server.crash();
    let begun = Instant::now();
    let second = suite::review("ann", "acme/widgets");
    let error = ledger.record(&second).await.unwrap_err();
    assert!(matches!(error, LedgerError::Unavailable { .. }), "{error:?}");
    assert!(begun.elapsed().as_secs() < 5, "a caller is not kept waiting: {:?}", begun.elapsed());

    server.restart();
    assert_eq!(ledger.record(&second).await.unwrap(), Recorded::New);
    let all = ReviewFilter { limit: 10, ..ReviewFilter::default() };
    let kept: Vec<_> = ledger.list(&all).await.unwrap().into_iter().map(|r| r.review.id).collect();
    assert_eq!(kept, [second.id, first.id]);
}

#[tokio::test]
async fn connections_that_were_cut_are_made_anew() {
    let database = Database::fresh(server_url()).await;
    let ledger = open(&database.url).await.unwrap();
    ledger.record(&suite::review("ann", "acme/widgets")).await.unwrap();
    database.cut().await;
    assert_eq!(ledger.record(&suite::review("ann", "acme/widgets")).await.unwrap(), Recorded::New);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_is_bounded() {
    let database = Database::fresh(server_url()).await;
    let ledger = open(&database.url).await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.record(&suite::review("ann", "acme/widgets")).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(database.connections().await, CONNECTIONS as usize);
}
