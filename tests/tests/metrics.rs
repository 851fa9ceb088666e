//! What `/metrics` tells, read as Prometheus' text format and held against what was run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use regex::Regex;
use serde_json::json;
use support::{Exposition, FakeModel, Repo, Service, asking, configure, until};

const FINE: &str = r#"{"summary":"Adds a function.","findings":[]}"#;

/// Every label that a metric may carry, the format's own one of histograms included.
const LABELS: [&str; 13] = [
    "backend",
    "call",
    "direction",
    "le",
    "method",
    "model",
    "outcome",
    "queue",
    "route",
    "severity",
    "stage",
    "state",
    "status",
];

fn scraped(service: &Service) -> Exposition {
    let text = service.text("/metrics");
    Exposition::parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
}

/// One commit of each user by the model, one repeated post, one commit that is not there, one bad post, one unknown path.
fn run_all_kinds(service: &Service, commits: &[String], user: &str, unknown: char) {
    for (i, head) in commits.iter().enumerate() {
        let job = service.review("acme/widgets", head, &format!("{user}{i}"));
        assert_eq!(service.ended(&job)["state"], "completed");
    }
    service.review("acme/widgets", &commits[0], user);
    let lost = service.review("acme/widgets", &unknown.to_string().repeat(40), user);
    assert_eq!(service.ended(&lost)["state"], "dead");
    assert_eq!(service.post("/v1/reviews", &json!({"repository": user})).0, 422);
    assert_eq!(service.get(&format!("/v1/{user}")).0, 404);
    assert_eq!(service.get("/v1/reviews/0198c0de-0000-7000-8000-000000000000").0, 404);
    assert_eq!(service.get("/v1/jobs/none").0, 422);
    assert_eq!(service.delete(&format!("/v1/jobs/{lost}")).0, 409);
}

#[test]
fn every_value_is_what_was_run() {
    let (repo, commits) = Repo::with_commits(3);
    let model = FakeModel::writing(FINE);
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), repo.path(), "", &asking(&[&model], 10));
    let service = Service::start(dir.path());
    run_all_kinds(&service, &commits, "ann", 'e');

    // A job is settled before it is counted.
    let metrics = until("four settlements and the dead letter's gauge", || {
        let metrics = scraped(&service);
        let dead = metrics.value("reviewfleet_queue_depth", &[("queue", "review"), ("state", "dead")]);
        let seconds = metrics.value("reviewfleet_job_seconds_count", &[("queue", "review")]);
        (dead == Some(1.0) && seconds == Some(4.0)).then_some(metrics)
    });
    let (post, queue) = (("method", "POST"), ("queue", "review"));
    let (reviews, model) = (("route", "/v1/reviews"), ("model", "fake0"));
    for (name, labels, value) in [
        ("reviewfleet_api_requests_total", &[post, reviews, ("status", "202")][..], 5.0),
        ("reviewfleet_api_requests_total", &[post, reviews, ("status", "422")], 1.0),
        ("reviewfleet_api_request_seconds_count", &[reviews], 6.0),
        ("reviewfleet_api_requests_total", &[("method", "GET"), ("route", "none"), ("status", "404")], 1.0),
        ("reviewfleet_jobs_claimed_total", &[queue], 4.0),
        ("reviewfleet_jobs_settled_total", &[queue, ("outcome", "completed")], 3.0),
        ("reviewfleet_jobs_settled_total", &[queue, ("outcome", "dead")], 1.0),
        ("reviewfleet_jobs_running", &[queue], 0.0),
        ("reviewfleet_leases_lost_total", &[queue], 0.0),
        ("reviewfleet_leases_reaped_total", &[queue], 0.0),
        ("reviewfleet_queue_limit", &[queue], 200.0),
        ("reviewfleet_queue_paused", &[queue], 0.0),
        ("reviewfleet_queue_depth", &[queue, ("state", "ready")], 0.0),
        ("reviewfleet_review_stage_seconds_count", &[("stage", "generate")], 3.0),
        ("reviewfleet_review_stage_seconds_count", &[("stage", "verify")], 3.0),
        ("reviewfleet_model_calls_total", &[model, ("outcome", "answered")], 3.0),
        ("reviewfleet_model_tokens_total", &[model, ("direction", "input")], 300.0),
        ("reviewfleet_model_tokens_total", &[model, ("direction", "output")], 30.0),
        // 100 tokens of 1 micro-dollar and 10 of 2, three times.
        ("reviewfleet_model_cost_micros_total", &[model], 360.0),
    ] {
        assert_eq!(metrics.value(name, labels), Some(value), "{name} {labels:?}\n{metrics:?}");
    }
    // One transaction may take the posts of many, so that there are at most as many calls.
    let calls = metrics.value("reviewfleet_store_call_seconds_count", &[("backend", "sqlite"), ("call", "enqueue")]);
    assert!(calls.is_some_and(|calls| (1.0..=5.0).contains(&calls)), "{calls:?}");
}

#[test]
fn no_user_job_or_commit_makes_a_series_of_its_own() {
    let (repo, commits) = Repo::with_commits(6);
    let model = FakeModel::writing(FINE);
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), repo.path(), "", &asking(&[&model], 10));
    let service = Service::start(dir.path());
    // A scrape is a request too, and has its series from the second one on.
    scraped(&service);
    run_all_kinds(&service, &commits[..3], "ann", 'e');
    let settled = |metrics: &Exposition, completed, dead| {
        [("completed", completed), ("dead", dead)].into_iter().all(|(outcome, jobs)| {
            let labels = [("queue", "review"), ("outcome", outcome)];
            metrics.value("reviewfleet_jobs_settled_total", &labels) == Some(jobs)
        })
    };
    // Counters of what an idle worker does at its own pace may come in between.
    let of_pace = |name: &str| name.starts_with("reviewfleet_store_call_seconds");
    let series = |metrics: &Exposition| -> Vec<_> {
        metrics.series().into_iter().filter(|(name, _)| !of_pace(name)).cloned().collect()
    };
    let first = until("the first three", || Some(scraped(&service)).filter(|m| settled(m, 3.0, 1.0)));
    run_all_kinds(&service, &commits[3..], "ben", 'f');
    let second = until("three more", || Some(scraped(&service)).filter(|m| settled(m, 6.0, 2.0)));
    assert_eq!(series(&first), series(&second));

    let identity = Regex::new(r"[0-9a-f]{8}-[0-9a-f]{4}|[0-9a-f]{10}|acme|widgets|ann|ben|127\.0").unwrap();
    for (name, labels) in second.series() {
        for (label, value) in labels {
            assert!(LABELS.contains(&label.as_str()), "{name} has a label {label}");
            assert!(!identity.is_match(value), "{name} has {label} = {value}");
        }
    }
}

#[test]
fn each_worker_process_tells_of_its_own_work_at_an_address_of_its_own() {
    let (repo, commits) = Repo::with_commits(2);
    let model = FakeModel::writing(FINE);
    let dir = tempfile::tempdir().unwrap();
    let api = format!("{}[api]\nlisten = \"127.0.0.1:0\"\n", asking(&[&model], 10));
    configure(dir.path(), repo.path(), "metrics_listen = \"127.0.0.1:0\"", &api);
    let api = Service::start_api(dir.path());
    let first = Service::start_scraped_worker(dir.path(), "first.log", &[]);
    for head in &commits {
        api.completed(&api.review("acme/widgets", head, "ann"));
    }
    let (queue, done) = (("queue", "review"), ("outcome", "completed"));
    let settled = |worker: &Service| scraped(worker).value("reviewfleet_jobs_settled_total", &[queue, done]);
    let metrics = until("two settlements", || (settled(&first) == Some(2.0)).then(|| scraped(&first)));
    for (name, labels, value) in [
        ("reviewfleet_jobs_claimed_total", &[queue][..], 2.0),
        ("reviewfleet_job_seconds_count", &[queue], 2.0),
        ("reviewfleet_review_stage_seconds_count", &[("stage", "generate")], 2.0),
        ("reviewfleet_model_calls_total", &[("model", "fake0"), ("outcome", "answered")], 2.0),
    ] {
        assert_eq!(metrics.value(name, labels), Some(value), "{name} {labels:?}\n{metrics:?}");
    }

    let second = Service::start_scraped_worker(dir.path(), "second.log", &["--metrics-listen", "127.0.0.1:0"]);
    assert_eq!(settled(&second).filter(|jobs| *jobs > 0.0), None, "what another process has done is not its own");
    assert_eq!(first.text("/healthz"), "ok\n");
    for (method, path, status) in
        [("GET", "/metrics", 200), ("POST", "/metrics", 405), ("GET", "/v1/jobs/none", 404), ("HEAD", "/healthz", 200)]
    {
        assert_eq!(first.status_of(method, path), status, "{method} {path}");
    }
    for worker in [first, second] {
        worker.signal("TERM");
        assert!(worker.wait().success());
    }
}

#[test]
fn a_method_of_the_callers_own_making_is_no_label() {
    let (repo, _) = Repo::with_commits(1);
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), repo.path(), "", "");
    let service = Service::start(dir.path());
    for (method, path) in [("BREW", "/v1/reviews"), ("brew", "/pot?for=ann"), ("BREW2", "/healthz")] {
        service.status_of(method, path);
    }
    let metrics = scraped(&service);
    for (name, labels) in metrics.series() {
        assert!(!labels.values().any(|value| value.to_lowercase().contains("brew")), "{name} {labels:?}");
        assert!(!labels.values().any(|value| value.contains("pot")), "{name} {labels:?}");
    }
    let other = [("method", "other"), ("route", "none"), ("status", "404")];
    assert_eq!(metrics.value("reviewfleet_api_requests_total", &other), Some(1.0), "{metrics:?}");
}

#[test]
fn the_reader_of_metrics_is_as_strict_as_it_says() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"c\\\"}\"} 1\na_total 2\n\n";
    let read = Exposition::parse(good).unwrap();
    assert_eq!((read.value("a_total", &[]), read.families().count()), (Some(2.0), 1));
    let histogram =
        "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n";
    Exposition::parse(histogram).unwrap();
    for (from, to) in [
        ("# HELP a_total A.\n", ""),
        ("# TYPE a_total counter\n", ""),
        ("counter", "gauge"),
        ("a_total 2\n", "a_total 2"),
        ("a_total 2\n", "a_total{b=\"c\\\"}\"} 2\n"),
        ("a_total 2\n", "a_total -2\n"),
        ("a_total 2\n", "a_total two\n"),
        ("a_total 2\n", "a_total 2 1700000000\n"),
        ("a_total 2\n", "b_total 2\n"),
        ("{b=\"c", "{1b=\"c"),
        ("{b=\"c", "{b=c\"c"),
        ("A.\n", "A.\n# HELP a_total A.\n"),
    ] {
        // Without the empty line, which would stand in for the last one's end.
        let bad = good.replace("\n\n", "\n").replace(from, to);
        assert!(Exposition::parse(&bad).is_err(), "{bad}");
    }
    for (from, to) in [("h_count 3\n", ""), ("h_count 3", "h_count 4"), ("} 2", "} 9"), ("{le=\"+Inf\"}", "{le=\"2\"}")]
    {
        assert!(Exposition::parse(&histogram.replace(from, to)).is_err(), "{from} {to}");
    }
}
