//! Every statement that runs while the queue works reaches its rows by an index, with and without statistics.

use sqlx::{Row, SqlitePool};

use crate::{open, sql};

/// The statements of claims, enqueues, settlements, renewals, reaping, maintenance and scrapes, and how many parameters
/// they have.
const HOT: &[(&str, usize)] = &[
    (sql::ARRIVE, 1),
    (sql::BEST_PARKED, 2),
    (sql::BODY_INSERT, 1),
    (sql::CANCEL_ASK_ALL, 2),
    (sql::CHECKPOINTS_OF, 1),
    (sql::CHECKPOINT_COUNT, 2),
    (sql::CLAIM_WINDOW, 3),
    (sql::CRON_DUE, 3),
    (sql::CRON_FIRED, 1),
    (sql::DUE, 3),
    (sql::ERROR_INSERT, 2),
    (sql::ERROR_TRIM, 2),
    (sql::FINISH, 2),
    (sql::FORGET_CHECKPOINTS, 1),
    (sql::FORGET_LIVE, 1),
    (sql::GIVE_BACK, 2),
    (sql::GROUP_LEASED, 1),
    (sql::HOLDS, 2),
    (sql::JOB_INSERT, 2),
    (sql::KNOWN_IDS, 1),
    (sql::LANES, 2),
    (sql::LEASE, 5),
    (sql::LEASED_BY_TOKEN, 1),
    (sql::LEASED_COUNT, 1),
    (sql::LEASED_UNDER, 1),
    (sql::NEXT_DUE, 1),
    (sql::PARK, 1),
    (sql::PARKED_VERSIONS, 1),
    (sql::KEYS_AFTER, 3),
    (sql::PLACE, 2),
    (sql::PRUNABLE, 7),
    (sql::PRUNABLE_DEAD, 6),
    (sql::REAP, 5),
    (sql::RENEW, 2),
    (sql::RUNNING_VERSIONS, 1),
    (sql::SETTLING, 1),
    (sql::STARTS_ADD, 2),
    (sql::STARVED, 4),
    (sql::STATS, 0),
    (sql::SUPERSEDED, 1),
    (sql::TAKEN_KEYS, 2),
    (sql::THROTTLE_AGAIN, 2),
    (sql::THROTTLE_ENDED, 3),
    (sql::THROTTLE_EXPIRE, 2),
    (sql::THROTTLE_ROOM, 2),
    (sql::THROTTLE_START, 2),
    (sql::THROTTLE_WATCH, 2),
    (sql::TURN_RAISE, 1),
    (sql::UNIQUE_END, 1),
    (sql::UNIQUE_EXPIRE, 2),
    (sql::UNIQUE_FREE, 1),
    (sql::UNIQUE_TAKE, 1),
    (sql::VERSIONS, 1),
    (sql::VERSION_EXPIRE, 2),
    (sql::VERSION_KEEP, 3),
    (sql::VERSION_PUT, 2),
    (sql::WAS_FULL, 2),
];

/// What may be walked from end to end: the parameters of the statement, unfolded, the queues (q and m) and the limit
/// classes (c), which are few. All aliases that stand for tables of jobs are absent.
const WALKED: &[&str] = &["jsonb_each", "e", "a", "f", "l", "h", "hop", "q", "m", "c", "CONSTANT"];

async fn plan(pool: &SqlitePool, statement: &str, parameters: usize) -> Vec<String> {
    let mut query = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
    for _ in 0..parameters {
        query = query.bind("[]");
    }
    query.fetch_all(pool).await.unwrap().iter().map(|row| row.get("detail")).collect()
}

/// Lines of a plan whose cost grows with the jobs.
fn walks(plan: &[String]) -> Vec<&String> {
    let is_subquery = |name: &str| plan.iter().any(|line| *line == format!("CO-ROUTINE {name}"));
    let walks = |line: &&String| {
        let name = line.strip_prefix("SCAN ").map(|rest| rest.split(' ').next().unwrap_or(rest));
        name.is_some_and(|name| !WALKED.contains(&name) && !is_subquery(name)) || line.contains("AUTOMATIC")
    };
    plan.iter().filter(walks).collect()
}

#[tokio::test]
async fn hot_statements_reach_their_rows_by_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, ..) = open::open(&dir.path().join("queue.db"), std::time::Duration::from_secs(5)).await.unwrap();
    for statistics in ["none", "of empty tables"] {
        for (statement, parameters) in HOT {
            let plan = plan(&writer, statement, *parameters).await;
            assert!(walks(&plan).is_empty(), "with statistics {statistics}: {statement}\n{plan:#?}");
        }
        sqlx::query("ANALYZE").execute(&writer).await.unwrap();
    }
}

#[tokio::test]
async fn ordered_reads_follow_their_index_and_sort_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, ..) = open::open(&dir.path().join("queue.db"), std::time::Duration::from_secs(5)).await.unwrap();
    for (statement, parameters, index) in [
        (sql::CLAIM_WINDOW, 3, "job_ready (queue=?)"),
        (sql::DUE, 3, "job_due (queue=? AND run_at<?)"),
        (sql::STARVED, 4, "job_ready_age (queue=? AND ready_at<?)"),
        (sql::REAP, 5, "job_expiry (expires_at<?)"),
        (sql::RENEW, 2, "PRIMARY KEY (id=?)"),
        (sql::KEYS_AFTER, 3, "job_lane (queue=? AND key>?)"),
        (sql::PRUNABLE, 7, "history_finished (finished_at<?)"),
        (sql::PRUNABLE_DEAD, 6, "history_dead (queue=?)"),
        (sql::THROTTLE_ENDED, 3, "throttled_until (queue=? AND until<?)"),
        (sql::THROTTLE_EXPIRE, 2, "throttle_start_age (queue=? AND class=? AND at<?)"),
        (sql::VERSION_EXPIRE, 2, "version_forget (forget_at<?)"),
        (sql::CRON_DUE, 3, "cron_next (queue=? AND next_at>? AND next_at<?)"),
    ] {
        let plan = plan(&writer, statement, parameters).await;
        assert!(plan.iter().any(|line| line.contains(index)), "{statement}\n{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{statement}\n{plan:#?}");
    }
}

#[tokio::test]
async fn the_bare_table_is_worked_off_along_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let writer = open::writer(&dir.path().join("bare.db"), std::time::Duration::from_secs(5)).await.unwrap();
    sqlx::raw_sql(sql::BARE_CREATE).execute(&writer).await.unwrap();
    let (claim, settle) = (plan(&writer, sql::BARE_CLAIM, 1).await, plan(&writer, sql::BARE_SETTLE, 1).await);
    assert!(walks(&claim).is_empty() && walks(&settle).is_empty(), "{claim:#?}\n{settle:#?}");
    assert!(claim.iter().any(|line| line.contains("bare_ready (queue=?)")), "{claim:#?}");
    assert!(!claim.iter().any(|line| line.contains("TEMP B-TREE")), "{claim:#?}");
}
