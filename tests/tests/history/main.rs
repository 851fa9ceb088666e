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

use postgres_testing::{Pooler, Proxy};
use rustix::process::Signal;
use sqlx::{Connection, Executor, PgConnection};
use stage::{Stage, block_on};
use worker::{HOLDS, LEASE, SLOTS_OF_ITS_OWN, Worker, faketime};

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
    let hours = [&[1][..], &[-1], &[-1, 0, 1]];
    for (n, hours) in hours.iter().enumerate() {
        assert!(
            stage.hours_off(&format!("worker-{n}")).iter().eq(*hours),
            "the clock of worker {n} is as wrong as it should be"
        );
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

/// An outage that callers of the store meet as answers, and not as silence.
#[test]
fn an_outage_of_a_server_that_recovers_brings_few_connections() {
    const OUTAGE: Duration = Duration::from_secs(6);
    // A connection that a server refuses costs it a process. A worker asks for some at once when its own are cut, and then
    // ever more seldom.
    const TRIES_MAX: usize = 40;
    let mut stage = Stage::new();
    let proxy = Proxy::start(&stage.server.url);
    stage.recipe.url = proxy.url_of(&stage.database.name);
    let mut workers = workers(&stage);
    stage.feed();
    sleep(Duration::from_secs(2));
    let before = proxy.tried();
    proxy.recover(true);
    sleep(OUTAGE);
    let tried = proxy.tried() - before;
    proxy.recover(false);
    println!("{tried} connections were tried by {WORKERS} workers within {OUTAGE:?}");
    assert!(workers.iter_mut().all(Worker::runs), "no worker ends with its database");
    let logs: Vec<String> = workers.iter().map(Worker::log).collect();
    stage.keeps_the_contract();
    assert!(tried <= WORKERS * TRIES_MAX, "{tried} connections");
    for log in logs {
        let lines = |of: &str| log.lines().filter(|line| line.contains("no further line") && line.contains(of)).count();
        assert_eq!((lines("the store is away"), lines("connection that listens is away")), (1, 1), "{log}");
    }
}

const HELD: usize = 64;

/// Kills a worker that has [`HELD`] jobs in flight, beside another one. How long after its death, in milliseconds, each was taken
/// over, and each started again; and the other one.
fn kill_one_of_two(stage: &mut Stage, busy: bool) -> (Vec<i64>, Vec<i64>, Worker) {
    let slots = (SLOTS_OF_ITS_OWN, "64");
    let doomed = stage.recipe.start_with("doomed", &[slots, (HOLDS, "yes")]);
    stage.put("sleep", 500);
    stage.until("queue.job", 0);
    stage.put("hold", HELD);
    stage.until("queue.job WHERE state = 1", HELD);
    let other = stage.recipe.start_with("other", &[slots]);
    // None but the other has room for it.
    stage.put("hold", 1);
    stage.until("queue.job", HELD);
    if busy {
        stage.feed();
        stage.until("(SELECT FROM judge.finished LIMIT 2000) f", 2_000);
    }
    let killed = stage.now_ms();
    doomed.kill();
    stage.until("queue.job WHERE worker = 'doomed' OR key = ''", 0);
    let held = "job IN (SELECT job FROM judge.event WHERE changes_hands)";
    let taken_over = stage.committed_after_ms("changes_hands", killed);
    let started = stage.committed_after_ms(&format!("was = 2 AND state = 1 AND {held}"), killed);
    println!(
        "the last was taken over after {:?} ms, and started again after {:?} ms",
        taken_over.last(),
        started.last()
    );
    (taken_over, started, other)
}

#[test]
fn the_jobs_of_a_killed_worker_run_again_within_a_second_of_their_leases() {
    let mut stage = Stage::new().without_queue_limit();
    let (taken_over, started, _other) = kill_one_of_two(&mut stage, false);
    assert_eq!((taken_over.len(), started.len()), (HELD, HELD), "each is taken over once and started once");
    let within = i64::try_from(LEASE.as_millis()).unwrap() + 1_000;
    assert!(started.last().is_some_and(|last| *last <= within), "{started:?}");
    stage.keeps_the_contract();
}

#[test]
fn the_jobs_of_a_killed_worker_are_taken_over_by_a_busy_one_within_a_second_of_their_leases() {
    let mut stage = Stage::new().without_queue_limit();
    let (taken_over, started, _other) = kill_one_of_two(&mut stage, true);
    assert!(taken_over.len() >= HELD && started.len() >= HELD, "{} and {}", taken_over.len(), started.len());
    let within = i64::try_from(LEASE.as_millis()).unwrap() + 1_000;
    assert!(taken_over[HELD - 1] <= within, "{taken_over:?}");
    stage.keeps_the_contract();
}
