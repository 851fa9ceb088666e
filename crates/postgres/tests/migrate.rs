//! Schemas come whole or not at all, and late indexes without a lock on their table.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::time::{Duration, Instant};

use postgres::{Address, Fault, Index, Schema, Step};
use postgres_testing::{Database, Pooler, server_url};
use sqlx::{Connection, PgConnection};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

const FIRST: Step = Step { version: 1, name: "first", sql: "create table garden.bed (id bigint)" };
const SECOND: Step = Step { version: 2, name: "second", sql: "create table garden.path (id bigint)" };
const BED_ID: Index = Index { name: "garden.bed_id", create: "create index concurrently bed_id on garden.bed (id)" };

const fn garden(steps: &'static [Step], indexes: &'static [Index]) -> Schema {
    Schema { name: "garden", lock: 7, steps, indexes }
}

fn address(database: &Database) -> Address {
    database.url.parse().unwrap()
}

async fn valid(database: &Database) -> Vec<String> {
    database.texts("SELECT indisvalid::text FROM pg_index WHERE indexrelid = to_regclass('garden.bed_id')").await
}

#[tokio::test]
async fn steps_are_applied_once_and_later_ones_are_added() {
    let database = Database::fresh(server_url()).await;
    let first = garden(&[FIRST], &[]);
    first.migrate(&address(&database)).await.unwrap();
    first.migrate(&address(&database)).await.unwrap();
    garden(&[FIRST, SECOND], &[]).migrate(&address(&database)).await.unwrap();
    let applied = database.texts("SELECT description FROM garden.migration ORDER BY version").await;
    assert_eq!(applied, ["first", "second"]);
}

#[tokio::test]
async fn a_step_that_fails_leaves_none_of_the_steps() {
    const BROKEN: Step = Step { version: 2, name: "broken", sql: "create table garden.path (id nonsense)" };
    let database = Database::fresh(server_url()).await;
    let fault = garden(&[FIRST, BROKEN], &[]).migrate(&address(&database)).await.unwrap_err();
    assert!(matches!(fault, Fault::Schema(_)), "{fault:?}");
    assert_eq!(database.texts("SELECT 'there' WHERE to_regnamespace('garden') IS NOT NULL").await, [""; 0]);
}

#[tokio::test]
async fn a_newer_a_changed_a_half_migrated_and_a_foreign_schema_are_refused() {
    let newer = Database::fresh(server_url()).await;
    garden(&[FIRST, SECOND], &[]).migrate(&address(&newer)).await.unwrap();
    let changed = Database::fresh(server_url()).await;
    garden(&[FIRST], &[]).migrate(&address(&changed)).await.unwrap();
    changed.execute("UPDATE garden.migration SET checksum = '\\x00'").await;
    let half = Database::fresh(server_url()).await;
    garden(&[FIRST], &[]).migrate(&address(&half)).await.unwrap();
    half.execute("DELETE FROM garden.migration").await;
    let foreign = Database::fresh(server_url()).await;
    foreign.execute("CREATE SCHEMA garden").await;
    for (database, says) in [
        (newer, "was made by a newer version of reviewfleet: it has step 2, and this program knows the steps up to 1"),
        (changed, "step 1 of the schema \"garden\""),
        (half, "cannot be applied, since the schema is half migrated or was changed by hand"),
        (foreign, "belongs to another program"),
    ] {
        let fault = garden(&[FIRST], &[]).migrate(&address(&database)).await.unwrap_err();
        assert!(matches!(fault, Fault::Schema(_)), "{fault:?}");
        assert!(fault.to_string().contains(says), "{fault}");
    }
}

#[tokio::test]
async fn many_processes_may_migrate_at_once() {
    let database = Database::fresh(server_url()).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let address = address(&database);
            tokio::spawn(async move { garden(&[FIRST, SECOND], &[BED_ID]).migrate(&address).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    // Who came while another was building has gone on; the build has ended with its builder.
    assert_eq!(valid(&database).await, ["true"]);
}

#[tokio::test]
async fn an_index_is_built_while_its_table_is_written_to() {
    let database = Database::fresh(server_url()).await;
    garden(&[FIRST], &[]).migrate(&address(&database)).await.unwrap();
    let mut writer = PgConnection::connect(&database.url).await.unwrap();
    let mut writing = writer.begin().await.unwrap();
    sqlx::raw_sql("insert into garden.bed values (1)").execute(&mut *writing).await.unwrap();

    // A plain build would keep every later writer out until the one above ends; this one waits for it alone.
    let to = address(&database);
    let building = tokio::spawn(async move { garden(&[FIRST], &[BED_ID]).migrate(&to).await });
    let begun = Instant::now();
    while valid(&database).await.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "the build has not begun");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    database.execute("SET lock_timeout = '5s'; insert into garden.bed values (2)").await;
    // Nor does it keep other processes from starting.
    garden(&[FIRST], &[BED_ID]).migrate(&address(&database)).await.unwrap();
    assert_eq!(valid(&database).await, ["false"]);

    writing.commit().await.unwrap();
    building.await.unwrap().unwrap();
    assert_eq!(valid(&database).await, ["true"]);
}

#[tokio::test]
async fn an_index_whose_build_was_broken_off_is_built_anew() {
    const UNIQUE: Index =
        Index { name: "garden.bed_id", create: "create unique index concurrently bed_id on garden.bed (id)" };
    let database = Database::fresh(server_url()).await;
    garden(&[FIRST], &[]).migrate(&address(&database)).await.unwrap();
    database.execute("insert into garden.bed values (1), (1)").await;
    garden(&[FIRST], &[UNIQUE]).migrate(&address(&database)).await.unwrap_err();
    assert_eq!(valid(&database).await, ["false"], "what a failed build leaves");
    garden(&[FIRST], &[BED_ID]).migrate(&address(&database)).await.unwrap();
    assert_eq!(valid(&database).await, ["true"]);
}

#[tokio::test]
async fn a_schema_is_migrated_through_a_pooler_in_transaction_mode() {
    let database = Database::fresh(server_url()).await;
    let bouncer = Pooler::start(server_url(), &["min_pool_size=3", "server_round_robin=1"]);
    let pooled: Address = bouncer.url_of(&database.name).parse().unwrap();
    garden(&[FIRST], &[]).migrate(&pooled).await.unwrap();
    garden(&[FIRST, SECOND], &[BED_ID]).migrate(&pooled).await.unwrap();
    assert_eq!(valid(&database).await, ["true"]);
}
