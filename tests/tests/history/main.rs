//! The queue's contract on Postgres under real faults: worker processes, a server of the test's own, and a checker that judges
//! what the database has committed against what callers were told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]
#![allow(clippy::print_stdout, reason = "a test says what it has judged")]

mod checker;
mod stage;
mod worker;

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use postgres_testing::Pooler;
use rustix::process::Signal;
use sqlx::{Connection, Executor, PgConnection};
use stage::{Stage, block_on};
use worker::{LEASE, Worker, faketime};

const WORKERS: usize = 4;
/// How long faults go on.
const FAULTS: Duration = Duration::from_secs(5);

fn workers(stage: &Stage) -> Vec<Worker> {
    (0..WORKERS).map(|n| stage.recipe.start(&format!("worker-{n}"))).collect()
}

/// Does something again and again while faults go on, with the number of the time.
fn again_and_again(pause: Duration, mut fault: impl FnMut(usize)) {
    let begun = Instant::now();
    for n in 0.. {
        sleep(pause);
        if begun.elapsed() > FAULTS {
            return;
        }
        fault(n);
    }
}

#[test]
fn the_contract_holds_while_workers_are_killed() {
    let mut stage = Stage::new();
    let mut workers = workers(&stage);
    stage.feed();
    again_and_again(Duration::from_millis(200), |n| {
        let one = n % WORKERS;
        workers.remove(one).kill();
        // Under the same name, as a container that restarts.
        workers.insert(one, stage.recipe.start(&format!("worker-{one}")));
    });
    stage.keeps_the_contract();
}

#[test]
fn the_contract_holds_while_the_server_is_killed_and_restarted() {
    let mut stage = Stage::new();
    let mut workers = workers(&stage);
    stage.feed();
    stage.settle_by_hand();
    again_and_again(Duration::from_millis(1_200), |n| {
        if n % 2 == 0 {
            stage.server.crash();
        } else {
            stage.server.stop();
        }
        stage.server.restart();
    });
    // Until the last outage's grace is over, what was lost is not taken over.
    assert!(workers.iter_mut().all(Worker::runs), "no worker ends with its database");
    stage.keeps_the_contract();
}

#[test]
fn the_contract_holds_beside_transactions_that_are_left_open() {
    let mut stage = Stage::new();
    let _workers = workers(&stage);
    stage.feed();
    block_on(async {
        let mut snapshot = PgConnection::connect(&stage.database.url).await.unwrap();
        snapshot.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue.job").await.unwrap();
        let begun = Instant::now();
        while begun.elapsed() < FAULTS {
            let mut holder = PgConnection::connect(&stage.database.url).await.unwrap();
            let hold = "BEGIN; SELECT id FROM queue.job WHERE state <> 0 ORDER BY id LIMIT 5 FOR UPDATE";
            holder.execute(hold).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            holder.close().await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        snapshot.close().await.unwrap();
    });
    stage.keeps_the_contract();
}

#[test]
fn the_contract_holds_while_connections_are_cut() {
    let mut stage = Stage::new();
    let mut workers = workers(&stage);
    stage.feed();
    stage.settle_by_hand();
    again_and_again(Duration::from_millis(300), |_| block_on(stage.database.cut()));
    assert!(workers.iter_mut().all(Worker::runs), "no worker ends with its connections");
    stage.keeps_the_contract();
}

#[test]
fn the_contract_holds_while_workers_sleep_through_their_leases() {
    let mut stage = Stage::new();
    let workers = workers(&stage);
    stage.feed();
    again_and_again(Duration::from_millis(100), |n| {
        let one = &workers[n % WORKERS];
        one.signal(Signal::STOP);
        sleep(LEASE + Duration::from_millis(700));
        one.signal(Signal::CONT);
    });
    stage.keeps_the_contract();
}

#[test]
fn the_contract_holds_whatever_time_workers_believe_it_is() {
    let mut stage = Stage::new();
    let library = faketime();
    let jumping = stage.recipe.dir.join("clock");
    std::fs::write(&jumping, "+0\n").unwrap();
    let wrong = [("FAKETIME", "+1h"), ("FAKETIME", "-1h"), ("FAKETIME_TIMESTAMP_FILE", jumping.to_str().unwrap())];
    let mut workers: Vec<_> = wrong
        .iter()
        .enumerate()
        .map(|(n, clock)| {
            let preload = ("LD_PRELOAD", library.to_str().unwrap());
            let environment = [preload, *clock, ("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
            stage.recipe.start_with(&format!("worker-{n}"), &environment)
        })
        .collect();
    stage.feed();
    again_and_again(Duration::from_millis(400), |n| {
        std::fs::write(&jumping, ["+1h\n", "-1h\n", "+0\n"][n % 3]).unwrap();
    });
    assert!(workers.iter_mut().all(Worker::runs), "no worker ends with its clock");
    for worker in &workers {
        assert!(!worker.log().contains("error while loading"), "{}", worker.log());
    }
    stage.keeps_the_contract();
}

#[test]
fn the_contract_holds_behind_a_pooler_while_workers_are_killed() {
    let mut stage = Stage::new();
    let pooler = Pooler::start(&stage.server.url, &["default_pool_size=5"]);
    stage.recipe.listen = Some(stage.database.url.clone());
    stage.recipe.url = pooler.url_of(&stage.database.name);
    let mut workers = workers(&stage);
    stage.feed();
    again_and_again(Duration::from_millis(500), |n| {
        let one = n % WORKERS;
        workers.remove(one).kill();
        workers.insert(one, stage.recipe.start(&format!("worker-{one}")));
    });
    stage.keeps_the_contract();
}

#[test]
fn an_outage_is_waited_out_with_one_line_a_fault_and_no_storm() {
    let mut stage = Stage::new();
    let mut workers = workers(&stage);
    stage.feed();
    sleep(Duration::from_secs(2));
    stage.server.stop();
    sleep(Duration::from_secs(5));
    stage.server.restart();
    sleep(Duration::from_secs(1));
    let connections = block_on(stage.database.connections());
    // Each process may have ten, and one that listens.
    assert!(connections <= (WORKERS + 1) * 11 + 1, "{connections} connections");
    assert!(workers.iter_mut().all(Worker::runs), "no worker ends with its database");
    let logs: Vec<String> = workers.iter().map(Worker::log).collect();
    stage.keeps_the_contract();
    assert!(
        logs.iter().all(|log| log.contains("no further line until it answers again")),
        "an outage is told: {logs:#?}"
    );
    for log in logs {
        for op in ["claim", "settle", "renew", "reap", "maintain"] {
            let of_op = |line: &&str| line.contains("WARN") && line.contains(&format!("op=\"{op}\""));
            assert!(log.lines().filter(of_op).count() <= 1, "more than one line of {op}: {log}");
        }
        assert!(log.lines().count() <= 40, "{log}");
    }
}
