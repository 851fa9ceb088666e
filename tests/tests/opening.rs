//! Databases that this program cannot use: of a newer schema, damaged, or no databases at all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::{collections::BTreeMap, path::Path};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use support::{reviewfleet, run};

/// The commands that open the stores: one that changes the schema, one that serves, one that looks.
const COMMANDS: [&str; 3] = ["migrate", "up --listen 127.0.0.1:0", "jobs list"];

/// Runs SQL on a database and carries its log over into the file, so that the file alone is the database.
fn change(file: &Path, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// A folder whose `data` holds both databases, made by this program, with a job in the queue.
fn migrated() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    git2::Repository::init(dir.path()).unwrap();
    std::fs::write(dir.path().join("workers.toml"), "[forge.repositories]\n\"acme/widgets\" = \".\"\n").unwrap();
    let sha = "1".repeat(40);
    for line in ["migrate", &format!("enqueue --repository acme/widgets --head {sha} --user ann")] {
        let mut command = reviewfleet(dir.path());
        command.args(["--data-dir", "data"]).args(line.split(' '));
        let (status, out, err) = run(command);
        assert!(status.success(), "{out}{err}");
    }
    for name in ["queue.db", "ledger.db"] {
        change(&dir.path().join("data").join(name), "PRAGMA user_version");
    }
    dir
}

/// What the databases' files hold. The log and its index beside a file are `SQLite`'s own affair.
fn contents(dir: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    ["queue.db", "ledger.db"].map(|name| (name, std::fs::read(dir.join("data").join(name)).unwrap())).into()
}

/// Asserts that each command refuses the folder, in one line that has all these words, and leaves both files as they are.
#[track_caller]
fn refused(dir: &Path, words: &[&str]) {
    let before = contents(dir);
    for line in COMMANDS {
        let mut command = reviewfleet(dir);
        command.args(["--data-dir", "data"]).args(line.split(' '));
        let (status, out, err) = run(command);
        assert_eq!((status.code(), out.as_str()), (Some(1), ""), "{line}: {err}");
        // A log line may stand before it.
        let error = err.lines().last().unwrap_or_default();
        assert!(error.starts_with("error: ") && words.iter().all(|word| error.contains(word)), "{line}: {err}");
        assert!(contents(dir) == before, "{line} has changed a file");
    }
}

const FROM_THE_FUTURE: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                               VALUES (999, 'of the future', 1, x'00', 0)";

#[test]
fn a_newer_queue_is_refused_with_its_file_and_both_versions() {
    let dir = migrated();
    change(&dir.path().join("data/queue.db"), FROM_THE_FUTURE);
    refused(dir.path(), &["data/queue.db has schema version 999", "knows versions up to 3"]);
}

#[test]
fn a_newer_ledger_is_refused_with_its_file_and_both_versions() {
    let dir = migrated();
    change(&dir.path().join("data/ledger.db"), FROM_THE_FUTURE);
    refused(dir.path(), &["data/ledger.db", "newer version", "has step 999", "knows the steps up to 104"]);
}

#[test]
fn a_truncated_file_is_refused_by_its_name_and_not_made_anew() {
    for name in ["queue.db", "ledger.db"] {
        for bytes_left in [50, 1_000, 4_096, 10_000, 20_000] {
            let dir = migrated();
            let path = dir.path().join("data").join(name);
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes_left).unwrap();
            refused(dir.path(), &[&format!("data/{name} is ")]);
        }
    }
}

#[test]
fn a_file_of_garbage_is_refused_by_its_name() {
    for name in ["queue.db", "ledger.db"] {
        for garbage in [b"no database".repeat(1_000), vec![0; 8_192], vec![0xff; 3]] {
            let dir = migrated();
            std::fs::write(dir.path().join("data").join(name), garbage).unwrap();
            refused(dir.path(), &[&format!("data/{name} is ")]);
        }
    }
}

#[test]
fn a_file_with_a_damaged_schema_is_refused_by_its_name() {
    for name in ["queue.db", "ledger.db"] {
        let dir = migrated();
        let path = dir.path().join("data").join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        // The first page holds the schema, right behind the file's head.
        bytes[100..4_096].fill(0x5a);
        std::fs::write(&path, bytes).unwrap();
        refused(dir.path(), &[&format!("data/{name} is ")]);
    }
}
