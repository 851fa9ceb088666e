//! API and workers as processes of their own, over one folder: they join, drain, and die.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};
use support::{FakeModel, Process, Repo, Service, asking, configure, logged, reviewfleet, run, until};

/// A folder for processes whose workers have two slots each, and a model that holds every call until it is opened.
fn folder(repo: &Repo, worker: &str) -> (tempfile::TempDir, FakeModel) {
    let model = FakeModel::holding_after(0);
    let dir = tempfile::tempdir().unwrap();
    let more = format!("{}[api]\nlisten = \"127.0.0.1:0\"\n", asking(&[&model], 50));
    configure(dir.path(), repo.path(), &format!("concurrency = 2\n{worker}"), &more);
    (dir, model)
}

fn post_all(service: &Service, commits: &[String]) -> Vec<String> {
    commits.iter().map(|head| service.review("acme/widgets", head, "ann")).collect()
}

fn calls(model: &FakeModel, waiting: usize) {
    until("the model's calls", || (model.waiting() == waiting).then_some(()));
}

/// A job as the command line shows it.
fn shown(dir: &Path, job: &str) -> Value {
    let mut command = reviewfleet(dir);
    command.args(["jobs", "show", job, "--json"]);
    let (status, out, err) = run(command);
    assert!(status.success(), "{err}");
    serde_json::from_str(&out).unwrap()
}

/// The workers that have these jobs leased.
fn holders(dir: &Path) -> BTreeSet<String> {
    let mut command = reviewfleet(dir);
    command.args(["jobs", "list", "--state", "leased", "--json"]);
    let (status, out, err) = run(command);
    assert!(status.success(), "{err}");
    let worker = |line: &str| -> Value { serde_json::from_str::<Value>(line).unwrap()["worker"].clone() };
    out.lines().map(|line| worker(line).as_str().unwrap_or_else(|| panic!("no worker: {out}")).to_owned()).collect()
}

#[test]
fn a_worker_does_what_the_api_took_and_drains_when_it_is_told_to_stop() {
    let (repo, commits) = Repo::with_commits(4);
    let (dir, model) = folder(&repo, "drain_grace_secs = 50");
    let api = Service::start_api(dir.path());
    let jobs = post_all(&api, &commits);
    assert_eq!(api.get(&format!("/v1/jobs/{}", jobs[0])).1["state"], "ready", "no worker is there yet");

    let worker = Process::worker(dir.path(), "worker.log");
    calls(&model, 2);
    worker.signal("TERM");
    logged(dir.path(), "worker.log", "told to stop");
    model.open();
    assert!(worker.wait().success(), "a stop is no failure");
    let states: Vec<Value> = jobs.iter().map(|job| api.get(&format!("/v1/jobs/{job}")).1["state"].clone()).collect();
    assert_eq!(states, ["completed", "completed", "ready", "ready"], "what ran has ended, and nothing else was begun");

    let worker = Process::worker(dir.path(), "worker.log");
    for job in &jobs {
        let review = api.completed(job);
        assert_eq!(review["reviewer"]["by"], "model", "{review}");
        assert_eq!(api.get(&format!("/v1/jobs/{job}")).1["attempt"], json!(1));
    }
    assert_eq!(model.requests().len(), 4);
    api.signal("TERM");
    worker.signal("TERM");
    assert!(api.wait().success() && worker.wait().success());
}

#[test]
fn a_second_worker_takes_jobs_beside_the_first_and_after_kill_9_does_the_others_too() {
    let (repo, commits) = Repo::with_commits(6);
    let (dir, model) = folder(&repo, "lease_secs = 2");
    let api = Service::start_api(dir.path());
    let jobs = post_all(&api, &commits);
    let first = Process::worker(dir.path(), "first.log");
    calls(&model, 2);
    let of_first = holders(dir.path());
    assert_eq!(of_first.len(), 1);
    let second = Process::worker(dir.path(), "second.log");
    calls(&model, 4);
    let of_both = holders(dir.path());
    assert!(of_both.len() == 2 && of_both.is_superset(&of_first), "{of_both:?}");

    first.kill();
    model.open();
    let mut reviews = BTreeSet::new();
    for job in &jobs {
        reviews.insert(api.completed(job)["pull_request"]["head"].as_str().unwrap().to_owned());
    }
    assert_eq!(reviews.len(), 6);
    let crashes: Vec<u64> = jobs.iter().map(|job| shown(dir.path(), job)["crashes"].as_u64().unwrap()).collect();
    assert_eq!(crashes, [1, 1, 0, 0, 0, 0], "the jobs of the worker that died, and no others, have run again");
    assert_eq!(model.requests().len(), 8, "two calls were lost with it");
    second.signal("TERM");
    assert!(second.wait().success());
}

#[test]
fn a_worker_goes_on_without_the_api_whose_next_process_finds_what_was_done() {
    let (repo, commits) = Repo::with_commits(4);
    let (dir, model) = folder(&repo, "");
    let api = Service::start_api(dir.path());
    let jobs = post_all(&api, &commits);
    let _worker = Process::worker(dir.path(), "worker.log");
    calls(&model, 2);
    api.kill();
    std::fs::remove_file(dir.path().join("api.log")).unwrap();
    model.open();
    for job in &jobs {
        until("the job's end", || (shown(dir.path(), job)["review"].is_string()).then_some(()));
    }
    let api = Service::start_api(dir.path());
    for (job, head) in jobs.iter().zip(&commits) {
        assert_eq!(api.completed(job)["pull_request"]["head"], json!(head));
        assert_eq!(&api.review("acme/widgets", head, "ann"), job, "posted again, it is the same job");
    }
}

#[test]
fn a_stop_whose_grace_is_over_gives_jobs_to_other_workers_at_no_cost() {
    let (repo, commits) = Repo::with_commits(2);
    let (dir, model) = folder(&repo, "drain_grace_secs = 0");
    let api = Service::start_api(dir.path());
    let jobs = post_all(&api, &commits);
    let first = Process::worker(dir.path(), "first.log");
    calls(&model, 2);
    first.signal("TERM");
    assert!(first.wait().success());
    for job in &jobs {
        let view = api.get(&format!("/v1/jobs/{job}")).1;
        assert_eq!((&view["state"], view["errors"].as_array().unwrap().len()), (&json!("ready"), 0), "{view}");
    }
    model.open();
    let _second = Process::worker(dir.path(), "second.log");
    for job in &jobs {
        api.completed(job);
        let job = shown(dir.path(), job);
        assert_eq!((&job["attempt"], &job["crashes"]), (&json!(1), &json!(0)), "{job}");
    }
}
