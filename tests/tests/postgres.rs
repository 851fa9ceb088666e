//! A fleet of processes on one Postgres: killed, cut off, restarted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::{collections::BTreeSet, path::Path, process::Command, time::Instant};

use postgres_testing::{Database, Pooler, Server, server_url};
use support::{Api, DEADLINE, FakeModel, FleetProcess, Repo, Service, block_on, reviewfleet, run, until};

/// Jobs that each worker runs at once.
const SLOTS: usize = 8;

/// A folder with the configuration of a fleet that reviews one repository by a model.
fn folder(repo: &Repo, model: &FakeModel) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "[api]\nlisten = \"127.0.0.1:0\"\n\
         [worker]\nconcurrency = {SLOTS}\nlease_secs = 2\npoll_interval_ms = 100\n[retry]\nbase_ms = 100\n\
         [forge.repositories]\n\"acme/widgets\" = {:?}\n\
         [models.fake]\nprovider = \"openai\"\nmodel = \"fake-1\"\nbase_url = \"{}\"\n\
         input_usd_per_million_tokens = 1.0\noutput_usd_per_million_tokens = 2.0\n\
         [routing]\nsimple = \"fake\"\nmedium = \"fake\"\ncomplex = \"fake\"\n",
        repo.path().to_str().unwrap(),
        model.base_url
    );
    std::fs::write(dir.path().join("workers.toml"), config).unwrap();
    dir
}

/// The jobs of all recorded reviews.
fn recorded(database: &Database) -> Vec<String> {
    block_on(database.texts("SELECT job::text FROM ledger.review"))
}

#[test]
fn two_hundred_jobs_survive_a_killed_worker_and_a_crashed_server() {
    let server = Server::start(&[]);
    let database = block_on(Database::fresh(&server.url));
    let (repo, commits) = Repo::with_commits(200);
    let model = FakeModel::holding_after(60);
    let dir = folder(&repo, &model);

    let mut api = Api::start(dir.path(), &database.url);
    let killed = FleetProcess::start("reviewfleet-worker", dir.path(), &database.url, "killed.log");
    let mut worker = FleetProcess::start("reviewfleet-worker", dir.path(), &database.url, "worker.log");
    let jobs: Vec<String> =
        commits.iter().enumerate().map(|(i, head)| api.review(head, &format!("u{}", i % 10))).collect();
    until("all slots of both workers waiting for the model", || (model.waiting() == 2 * SLOTS).then_some(()));
    killed.kill();
    server.crash();
    // The reviews that are in hand come to their end while there is nothing to record them in.
    model.open();
    until("a worker that sees its database gone", || worker.log().contains("WARN").then_some(()));
    server.restart();

    for job in &jobs {
        let view = api.ended(job);
        assert_eq!(view["state"], "completed", "{view}");
    }
    let recorded = recorded(&database);
    assert_eq!(recorded.len(), 200, "no review exists twice");
    assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), jobs.into_iter().collect(), "and none is missing");
    assert!(api.process.runs() && worker.runs(), "nothing had to be started again");
}

#[test]
fn a_database_that_goes_away_is_a_503_and_what_was_accepted_is_kept() {
    let server = Server::start(&[]);
    let database = block_on(Database::fresh(&server.url));
    let (repo, commits) = Repo::with_commits(12);
    let model = FakeModel::holding_after(2);
    let dir = folder(&repo, &model);

    let mut api = Api::start(dir.path(), &database.url);
    let mut worker = FleetProcess::start("reviewfleet-worker", dir.path(), &database.url, "worker.log");
    let mut jobs: Vec<String> = commits[..6].iter().map(|head| api.review(head, "ann")).collect();
    until("the worker waiting for the model", || (model.waiting() == 4).then_some(()));
    server.stop();

    let (status, kind, problem) = api.post(&commits[6], "ann");
    assert_eq!((status, kind.as_str()), (503, "application/problem+json"), "{problem}");
    // The unit of the user's day, which is in the ledger, is taken before the job is stored.
    assert_eq!(problem["type"], "/problems/ledger-unavailable", "{problem}");
    assert!(!problem.to_string().contains("127.0.0.1"), "a caller learns nothing of the database: {problem}");
    assert_eq!((api.get("/healthz").0, api.get("/readyz").0), (200, 503));

    server.restart();
    until("the API is ready again", || (api.get("/readyz").0 == 200).then_some(()));
    jobs.extend(commits[6..].iter().map(|head| api.review(head, "ben")));
    model.open();
    for job in &jobs {
        let view = api.ended(job);
        assert_eq!(view["state"], "completed", "{view}");
    }
    let recorded = recorded(&database);
    assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), jobs.into_iter().collect());
    assert!(api.process.runs() && worker.runs(), "nothing had to be started again");
}

#[test]
fn a_fleet_behind_a_pooler_reviews() {
    const WORKERS: usize = 6;
    let database = block_on(Database::fresh(server_url()));
    let bouncer = Pooler::start(server_url(), &["default_pool_size=5"]);
    let url = bouncer.url_of(&database.name);
    let (repo, commits) = Repo::with_commits(30);
    let model = FakeModel::holding_after(usize::MAX);
    let dir = folder(&repo, &model);
    let file = dir.path().join("workers.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let store = format!("[store]\ntransaction_pooler = true\nlisten_url = \"{}\"\n", database.url);
    std::fs::write(file, store + &config).unwrap();

    let api = Api::start(dir.path(), &url);
    // All at once, so that their migrations meet each other's server processes.
    let workers: Vec<FleetProcess> = (0..WORKERS)
        .map(|i| FleetProcess::start("reviewfleet-worker", dir.path(), &url, &format!("worker-{i}.log")))
        .collect();
    let jobs: Vec<String> = commits.iter().map(|head| api.review(head, "ann")).collect();
    for job in &jobs {
        assert_eq!(api.ended(job)["state"], "completed");
    }
    for worker in &workers {
        worker.has_logged("the worker starts");
    }
    assert_eq!(recorded(&database).len(), commits.len());
    let connections = block_on(database.connections());
    assert!(connections <= 5 + WORKERS + 1, "the pool, and a listener a process: {connections}");
}

#[test]
fn a_worker_without_its_database_waits_and_then_says_why_it_ends() {
    let server = Server::start(&["fsync=off"]);
    server.stop();
    let dir = tempfile::tempdir().unwrap();
    let url = server.url.replace("postgres@", "postgres:s3cret-word@");
    std::fs::write(dir.path().join("workers.toml"), "store.connect_wait_secs = 1").unwrap();
    let mut worker = FleetProcess::start("reviewfleet-worker", dir.path(), &url, "short.log");
    assert_eq!(worker.wait().code(), Some(1));
    let log = worker.log();
    assert_eq!(log.matches("waiting for the database").count(), 1, "one line a fault: {log}");
    assert!(log.contains(&format!("no server listens at {}", server.url)), "{log}");
    assert!(!log.contains("s3cret"), "{log}");

    std::fs::write(dir.path().join("workers.toml"), "store.connect_wait_secs = 3600").unwrap();
    for program in ["reviewfleet-worker", "reviewfleet-api"] {
        let mut waiting = FleetProcess::start(program, dir.path(), &url, &format!("{program}.log"));
        waiting.has_logged("waiting for the database");
        let begun = Instant::now();
        waiting.terminate();
        assert!(waiting.wait().success(), "a stop is no failure");
        assert!(begun.elapsed() < DEADLINE / 2, "{:?}", begun.elapsed());
    }
}

/// Runs a command line on a database: its exit code and both outputs.
fn command(dir: &Path, url: &str, line: &str) -> (i32, String, String) {
    let mut command = reviewfleet(dir);
    command.args(line.split(' ')).args(["--database-url", url]);
    let (status, out, err) = run(command);
    (status.code().unwrap(), out, err)
}

#[test]
fn the_operators_commands_work_on_postgres() {
    let database = block_on(Database::fresh(server_url()));
    let (repo, commits) = Repo::with_commits(3);
    let model = FakeModel::holding_after(0);
    let dir = folder(&repo, &model);
    let (url, place) = (database.url.as_str(), dir.path());

    let (code, _, err) = command(place, url, "queues");
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("there is no queue in postgres://") && err.contains("run `reviewfleet migrate`"), "{err}");
    let (code, out, err) = command(place, url, "migrate");
    assert_eq!(
        (code, out),
        (0, format!("queue and ledger in {url} (--database-url) have this program's schema\n")),
        "{err}"
    );

    let nobody = "postgres://nobody@127.0.0.1:1/nowhere";
    let begun = Instant::now();
    let (code, _, err) = command(place, nobody, "migrate");
    assert_eq!(code, 1);
    assert!(err.contains(&format!("no server listens at {nobody}")), "{err}");
    assert!(begun.elapsed() < DEADLINE / 4, "a command does not wait: {:?}", begun.elapsed());

    let api = Api::start(place, url);
    let _worker = FleetProcess::start("reviewfleet-worker", place, url, "worker.log");
    let jobs: Vec<String> = commits.iter().map(|head| api.review(head, "ann")).collect();
    until("all jobs running", || (model.waiting() == 3).then_some(()));
    for line in ["queues", "jobs list", "jobs list --state leased", "queues pause review", "queues resume review"] {
        let (code, out, err) = command(place, url, line);
        assert_eq!((code, err.as_str()), (0, ""), "{line}");
        assert!(!out.is_empty(), "{line}");
    }
    let (_, out, _) = command(place, url, &format!("jobs show {}", jobs[0]));
    assert!(out.contains(&jobs[0]) && out.contains("leased"), "{out}");
    assert_eq!(command(place, url, &format!("jobs cancel {}", jobs[1])).0, 0);
    assert_eq!(api.ended(&jobs[1])["state"], "cancelled");
    let enqueue = format!("enqueue --repository acme/widgets --head {} --user ben", "1".repeat(40));
    assert_eq!(command(place, url, &enqueue).0, 0);
    model.open();
    assert_eq!(api.ended(&jobs[0])["state"], "completed");
    let (code, out, err) = command(place, url, "dead-letters list");
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn up_runs_on_files_whatever_the_file_names_and_on_the_database_that_its_caller_names() {
    let database = block_on(Database::fresh(server_url()));
    let (repo, commits) = Repo::with_commits(1);
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "[store]\nurl = \"postgres://nobody@127.0.0.1:1/nowhere\"\n[forge.repositories]\n\"acme/widgets\" = {:?}\n",
        repo.path().to_str().unwrap()
    );
    std::fs::write(dir.path().join("workers.toml"), config).unwrap();

    let embedded = Service::start(dir.path());
    let job = embedded.review("acme/widgets", &commits[0], "ann");
    assert_eq!(embedded.ended(&job)["state"], "completed");
    let mut list = reviewfleet(dir.path());
    list.args(["jobs", "list", "--data-dir", "reviewfleet-data"]);
    assert!(run(list).1.contains(&job));
    let mut elsewhere = reviewfleet(dir.path());
    elsewhere.args(["jobs", "list"]);
    let (status, _, err) = run(elsewhere);
    assert!(!status.success() && err.contains("no server listens at postgres://nobody@127.0.0.1:1/nowhere"), "{err}");
    drop(embedded);

    let mut up: Command = reviewfleet(dir.path());
    up.args(["up", "--listen", "127.0.0.1:0"]).env("DATABASE_URL", &database.url);
    let mut up = up.stdout(std::process::Stdio::piped()).spawn().unwrap();
    until("the queue in the database", || {
        let queues = "SELECT relname::text FROM pg_class WHERE oid = to_regclass('queue.migration')";
        (!block_on(database.texts(queues)).is_empty()).then_some(())
    });
    up.kill().unwrap();
    up.wait().unwrap();
}
