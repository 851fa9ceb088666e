//! The operator's command line on good and bad input.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{FakeModel, Repo, Service, reviewfleet, run, until};

/// Runs a command line in a folder: its exit code and both outputs.
fn command(dir: &Path, line: &str) -> (i32, String, String) {
    let mut command = reviewfleet(dir);
    command.args(line.split(' '));
    let (status, out, err) = run(command);
    (status.code().unwrap(), out, err)
}

/// Asserts that a command line fails with this code and says so on standard error alone.
#[track_caller]
fn refused(dir: &Path, line: &str, code: i32, says: &str) {
    let (status, out, err) = command(dir, line);
    assert_eq!(status, code, "{line}: {out}{err}");
    assert!(err.starts_with("error: ") && err.contains(says), "{line}: {err}");
    assert_eq!(out, "", "{line}");
}

const UNKNOWN: &str = "0198c0de-0000-7000-8000-000000000000";

#[test]
fn a_wrong_command_line_says_what_is_allowed_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let sha = "1".repeat(40);
    for (line, says) in [
        ("nonsense", "unrecognized subcommand"),
        ("jobs show 123", "expected a UUID"),
        ("jobs list --state asleep", "allowed are scheduled, ready, parked, leased, completed, dead and cancelled"),
        ("jobs list --limit 0", "1..=500"),
        ("queues limit review many", "invalid value"),
        ("dead-letters replay", "<ID|--all>"),
        ("dead-letters replay --all --reason bored", "allowed are permanent, attempts-exhausted and crashes-exhausted"),
        ("dead-letters replay --all --before yesterday", "invalid value"),
        ("queues throttle review user 5", "--period <PERIOD>"),
        ("queues throttle review user 5 --period 5", "expected a number and a unit, such as 90s, 15m, 1h or 7d"),
        ("queues limit review --key user:ann --class user 5", "cannot be used with"),
        ("queues group Account review", "group name may not contain 'A'"),
        ("cron set weekly @weekly --queue review", "--kind <KIND>"),
        ("cron set weekly @weekly --queue review --kind report --key all", "--class <CLASS>"),
        ("prune", "--before <TIME>"),
        ("completions tcl", "possible values: bash"),
        ("bench --scenario nap", "possible values: enqueue-batch"),
        ("bench --backend oracle", "possible values: sqlite, postgres"),
        ("bench --backend postgres --url mysql://ann:s3cret@h/db", "expected postgres://user@host:port/database"),
        (&format!("enqueue --repository widgets --head {sha} --user ann"), "expected owner/name"),
        ("enqueue --repository acme/widgets --head main --user ann", "40 or 64 hexadecimal digits"),
    ] {
        let (status, out, err) = command(dir.path(), line);
        assert_eq!((status, out.as_str()), (2, ""), "{line}: {err}");
        assert!(err.contains(says), "{line}: {err}");
    }
}

#[test]
fn what_is_not_there_is_named_and_ends_with_1() {
    let dir = tempfile::tempdir().unwrap();
    refused(dir.path(), "jobs list", 1, "there is no queue in reviewfleet-data (store.data_dir)");
    assert!(!dir.path().join("reviewfleet-data").exists(), "a look makes no databases");

    assert_eq!(command(dir.path(), "migrate").0, 0);
    let (repo, _) = Repo::with_commits(1);
    drop(serving(dir.path(), &repo, ""));
    for line in [
        "jobs list --queue nope",
        "queues pause nope",
        "queues show nope",
        "queues group account review nope",
        "queues throttle nope user",
        "cron set weekly @weekly --queue nope --kind report",
        "prune --before 2026-01-31T09:00:00Z --queue nope",
        "dead-letters list --queue nope",
    ] {
        refused(dir.path(), line, 1, "there is no queue nope: allowed are review");
    }
    refused(dir.path(), &format!("jobs show {UNKNOWN}"), 1, "there is no job 0198c0de");
    refused(dir.path(), &format!("jobs cancel {UNKNOWN}"), 1, "there is no job");
    refused(dir.path(), &format!("dead-letters replay {UNKNOWN}"), 1, "there is no dead letter");
    refused(dir.path(), "cron remove weekly", 1, "there is no schedule weekly");
    for (line, says) in [
        ("cron set weekly @fortnightly --queue review --kind report", "expected five fields"),
        ("cron set weekly @weekly --time-zone Mars --queue review --kind report", "is no time zone"),
        ("cron set weekly @weekly --queue review --kind report --payload {", "--payload"),
        ("queues throttle review user 5 --period 31d", "allowed are 1 s to 30 days"),
        ("prune --before 2026-01-31T09:00:00Z --state ready", "allowed are completed, dead and cancelled"),
    ] {
        refused(dir.path(), line, 1, says);
    }
    assert_eq!(command(dir.path(), "dead-letters list"), (0, "no dead letters\n".into(), String::new()));
}

/// A service over one repository, `acme/widgets`.
fn serving(dir: &Path, repo: &Repo, more: &str) -> Service {
    let config = format!(
        "[worker]\nlease_secs = 2\npoll_interval_ms = 100\n[forge.repositories]\n\"acme/widgets\" = {:?}\n{more}",
        repo.path().to_str().unwrap()
    );
    std::fs::write(dir.join("workers.toml"), config).unwrap();
    Service::start(dir)
}

fn asking(model: &FakeModel) -> String {
    format!(
        "[models.fake]\nprovider = \"openai\"\nbase_url = \"{}\"\ninput_usd_per_million_tokens = 1.0\n\
         output_usd_per_million_tokens = 2.0\n[routing]\nsimple = \"fake\"\nmedium = \"fake\"\ncomplex = \"fake\"\n",
        model.base_url
    )
}

#[test]
fn every_command_prints_json_when_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, commits) = Repo::with_commits(1);
    let service = serving(dir.path(), &repo, "");
    let job = service.review("acme/widgets", &commits[0], "ann");
    service.ended(&job);
    for line in [
        "migrate".to_owned(),
        "config check".to_owned(),
        "queues".to_owned(),
        "queues pause review".to_owned(),
        "queues resume review".to_owned(),
        "queues limit review 5".to_owned(),
        "queues limit review --class user 5".to_owned(),
        "queues throttle review user 1000 --period 1h --refuse".to_owned(),
        "queues group account review --limit 9".to_owned(),
        "queues show review".to_owned(),
        "cron set weekly @weekly --queue review --kind report --time-zone Europe/Berlin".to_owned(),
        "cron list".to_owned(),
        "cron remove weekly".to_owned(),
        "prune --before 2026-01-31T09:00:00Z".to_owned(),
        "dead-letters replay --all --dry-run --reason permanent".to_owned(),
        "jobs list".to_owned(),
        format!("jobs show {job}"),
        "dead-letters replay --all".to_owned(),
        format!("enqueue --repository acme/widgets --head {} --user ann", commits[0]),
    ] {
        let (status, out, err) = command(dir.path(), &format!("{line} --json"));
        assert_eq!((status, err.as_str()), (0, ""), "{line}");
        assert!(!out.is_empty(), "{line}");
        for line in out.lines() {
            assert!(serde_json::from_str::<Value>(line).unwrap().is_object(), "{line}");
        }
    }
}

#[test]
fn what_an_operator_has_set_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, _) = Repo::with_commits(1);
    drop(serving(dir.path(), &repo, ""));
    for line in [
        "queues limit review --class user 5",
        "queues limit review --key user:ann 1",
        "queues pause review --key user:bob",
        "queues throttle review user 20 --period 1h",
        "queues group account review --limit 9",
        "cron set nightly 30_2_*_*_* --queue review --kind report --time-zone Europe/Berlin",
    ] {
        // The arguments of a line are cut at its spaces.
        let mut set = reviewfleet(dir.path());
        set.args(line.split(' ').map(|argument| argument.replace('_', " ")));
        let (status, out, err) = run(set);
        assert!(status.success() && err.is_empty(), "{line}: {out}{err}");
    }
    let (status, shown, _) = command(dir.path(), "queues show review");
    assert_eq!(status, 0);
    assert_eq!(
        shown,
        "review  200 at once\n  group account: 9 at once of review together\n  \
         class user: 5 at once of a key; 20 starts of a key in 3600 s, others wait\n  \
         key user:ann: 1 at once\n  key user:bob: the limit of its class, paused\n"
    );
    let (_, schedules, _) = command(dir.path(), "cron list");
    assert!(schedules.contains("30 2 * * * (Europe/Berlin)"), "{schedules}");
    assert_eq!(command(dir.path(), "queues throttle review user").0, 0);
    assert_eq!(command(dir.path(), "queues group account").0, 0);
    let (_, shown, _) = command(dir.path(), "queues show review");
    assert!(!shown.contains("starts") && !shown.contains("account"), "{shown}");
}

#[test]
fn a_running_service_heeds_the_command_line_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, commits) = Repo::with_commits(2);
    let model = FakeModel::holding_after(0);
    let service = serving(dir.path(), &repo, &asking(&model));

    assert_eq!(command(dir.path(), "queues pause review").0, 0);
    let first = service.review("acme/widgets", &commits[0], "ann");
    assert_eq!(service.get(&format!("/v1/jobs/{first}")).1["state"], "ready");
    assert_eq!(command(dir.path(), "queues resume review").0, 0);
    until("the model's call", || (model.waiting() == 1).then_some(()));

    let (status, out, _) = command(dir.path(), &format!("jobs cancel {first}"));
    assert_eq!((status, out), (0, format!("job {first}: told to stop\n")));
    assert_eq!(service.ended(&first)["state"], "cancelled");
    refused(dir.path(), &format!("dead-letters replay {first}"), 1, "there is no dead letter");

    model.open();
    assert_eq!(command(dir.path(), &format!("jobs retry {first}")).0, 0);
    assert_eq!(service.ended(&first)["state"], "completed");
    refused(dir.path(), &format!("jobs cancel {first}"), 1, "is completed already");
}

#[test]
fn a_second_signal_ends_a_service_at_once_with_130() {
    let dir = tempfile::tempdir().unwrap();
    let (repo, commits) = Repo::with_commits(1);
    let model = FakeModel::holding_after(0);
    let service = serving(dir.path(), &repo, &asking(&model));
    service.review("acme/widgets", &commits[0], "ann");
    until("the model's call", || (model.waiting() == 1).then_some(()));
    service.signal("TERM");
    until("the first signal's arrival", || {
        std::fs::read_to_string(dir.path().join("log")).unwrap().contains("told to stop").then_some(())
    });
    service.signal("INT");
    assert_eq!(service.wait().code(), Some(130));
}

#[test]
fn a_configuration_that_is_wrong_ends_check_and_up_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("workers.toml");
    for (text, says) in [
        (b"[api]\nlisten = \"here\"\n".as_slice(), "workers.toml:2: api.listen = \"here\": expected an IP address"),
        (b"[worker]\nconcurrency = 0\n", "workers.toml:2: worker.concurrency = 0: invalid value"),
        (b"[apii]\n", "unknown field `apii`, expected one of `api`, `limits`, `store`"),
        (b"[routing]\nsimple = \"none\"\n", "there is no model none: defined are fast, strong"),
        (b"[worker\n", "workers.toml:1: no TOML"),
        (
            b"[forge.repositories]\n\"acme/widgets\" = \"nowhere\"\n",
            "workers.toml:2: forge.repositories.\"acme/widgets\" = \"nowhere\": nowhere does not exist: expected the root",
        ),
        (b"\xff\xfe", "workers.toml cannot be read: stream did not contain valid UTF-8"),
    ] {
        std::fs::write(&file, text).unwrap();
        refused(dir.path(), "config check", 2, says);
        refused(dir.path(), "up", 2, says);
    }
    std::fs::write(&file, "[forge.repositories]\n\"acme/widgets\" = \"nowhere\"\n").unwrap();
    let mut elsewhere = reviewfleet(dir.path());
    elsewhere.args(["config", "check", "--elsewhere"]);
    assert!(run(elsewhere).0.success(), "the file of another machine");
    refused(dir.path(), "config check nowhere.toml", 2, "nowhere.toml cannot be read: No such file");
    refused(dir.path(), "--config . up", 2, "Is a directory");
    std::fs::remove_file(&file).unwrap();
    let mut keyless = reviewfleet(dir.path());
    keyless.env_remove("REVIEWFLEET_API_KEY").arg("up");
    let (status, _, err) = run(keyless);
    assert_eq!(status.code(), Some(2));
    assert!(err.contains("REVIEWFLEET_API_KEY: the API needs a key of at least 16 characters"), "{err}");
    assert!(!dir.path().join("reviewfleet-data").exists());
}

#[test]
fn a_place_that_cannot_be_served_ends_up_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let held = std::net::TcpListener::bind(taken).unwrap();
    refused(dir.path(), &format!("up --listen {taken}"), 1, &format!("cannot listen on {taken} (api.listen)"));
    drop(held);
    assert!(!dir.path().join("reviewfleet-data").exists());

    std::fs::write(dir.path().join("file"), "x").unwrap();
    let up = "up --listen 127.0.0.1:0 --data-dir";
    refused(dir.path(), &format!("{up} file"), 1, "the folder file (store.data_dir) cannot be made");
    refused(dir.path(), &format!("{up} /proc/self"), 1, "the queue in /proc/self (store.data_dir) cannot be opened");
    for (folder, database, says) in
        [("a", "queue.db", "is not a SQLite database"), ("b", "ledger.db", "is no SQLite database")]
    {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
        std::fs::write(dir.path().join(folder).join(database), "no database ".repeat(1000)).unwrap();
        refused(dir.path(), &format!("{up} {folder}"), 1, says);
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    for line in ["man", "completions bash", "config check"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = reviewfleet(dir.path());
        let child = command.args(line.split(' ')).stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), b"".as_slice()), "{line}");
    }
}

#[test]
fn a_bench_prints_an_object_a_line_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = command(dir.path(), "bench --backend sqlite --scenario pickup,enqueue-batch --json");
    assert_eq!(code, 0, "{out}{err}");
    let figures: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [figure, beside_bare] = &figures[..] else { panic!("{out}") };
    assert_eq!(
        (&figure["scenario"], &figure["backend"], &figure["unit"]),
        (&"pickup".into(), &"sqlite".into(), &"jobs/s".into())
    );
    assert!(
        figure["value"].as_f64().unwrap() > 0.0 && figure["p50_ms"].as_f64() <= figure["p99_ms"].as_f64(),
        "{figure}"
    );
    assert!(figure["ratio_to_bare"].is_null() && figure["conditions"].is_string(), "{figure}");
    assert!(beside_bare["ratio_to_bare"].as_f64().unwrap() > 0.0, "{beside_bare}");
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn a_bench_of_a_server_makes_its_own_database_and_removes_it() {
    let dir = tempfile::tempdir().unwrap();
    let url = postgres_testing::server_url();
    let (code, out, err) =
        command(dir.path(), &format!("bench --backend postgres --scenario pickup --json --url {url}"));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(serde_json::from_str::<Value>(out.trim()).unwrap()["backend"], "postgres");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(postgres_testing::Database::fresh(url));
    let left = "SELECT datname FROM pg_database WHERE datname LIKE 'reviewfleet_scratch%'";
    assert_eq!(runtime.block_on(server.texts(left)), [""; 0]);
}

#[test]
fn a_bench_of_a_server_that_is_not_there_says_so() {
    let dir = tempfile::tempdir().unwrap();
    refused(
        dir.path(),
        "bench --backend postgres --scenario pickup --url postgres://ann:s3cret@127.0.0.1:1/db",
        1,
        "no server listens at postgres://ann@127.0.0.1:1/db",
    );
}
