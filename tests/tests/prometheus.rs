//! The rules of `ops/prometheus`, by Prometheus' own tools, and with a real Prometheus that scrapes a real fleet.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use postgres_testing::{Database, server_url};
use regex::Regex;
use support::{
    Api, Exposition, FakeModel, FleetProcess, Prometheus, Repo, asking, block_on, configure, prometheus_folder,
    promtool, reviewfleet, run, until,
};

/// Labels that Prometheus itself gives, to a series or to an alert.
const LABELS_OF_PROMETHEUS: [&str; 4] = ["alertname", "instance", "job", "le"];

/// An API process and a worker process on a database of their own, each scraped at an address of its own.
struct Scraped {
    dir: tempfile::TempDir,
    database: Database,
    commits: Vec<String>,
    api: Api,
    worker_address: String,
    _worker: FleetProcess,
    _repo: Repo,
    model: FakeModel,
}

impl Scraped {
    /// Starts it with a model that answers once it is opened.
    fn start() -> Self {
        let database = block_on(Database::fresh(server_url()));
        let (repo, commits) = Repo::with_commits(5);
        let model = FakeModel::holding_after(0);
        let dir = tempfile::tempdir().unwrap();
        let more = format!("{}[api]\nlisten = \"127.0.0.1:0\"\n", asking(&[&model], 10));
        configure(dir.path(), repo.path(), "lease_secs = 2\nmetrics_listen = \"127.0.0.1:0\"", &more);
        let api = Api::start(dir.path(), &database.url);
        let worker = FleetProcess::start("reviewfleet-worker", dir.path(), &database.url, "worker.log");
        let worker_address = worker.address();
        Self { dir, database, commits, api, worker_address, _worker: worker, _repo: repo, model }
    }

    /// A commit that is reviewed, after its lease was renewed, and one that is not there.
    fn one_done_and_one_dead(&self) {
        let done = self.api.review(&self.commits[0], "ann");
        until("a renewal", || Told::by(&self.expositions()).has("call", "renew").then_some(()));
        self.model.open();
        assert_eq!(self.api.ended(&done)["state"], "completed");
        assert_eq!(self.api.ended(&self.api.review(&"e".repeat(40), "ann"))["state"], "dead");
    }

    fn command(&self, line: &str) {
        let mut command = reviewfleet(self.dir.path());
        command.args(line.split(' ')).args(["--database-url", &self.database.url]);
        let (status, out, err) = run(command);
        assert!(status.success(), "{line}: {out}{err}");
    }

    /// Both processes' metrics.
    fn expositions(&self) -> [Exposition; 2] {
        [self.api.address(), self.worker_address.clone()].map(|address| {
            let text = reqwest::blocking::get(format!("http://{address}/metrics")).unwrap().text().unwrap();
            Exposition::parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
        })
    }

    /// The folder of `ops/prometheus`, with this fleet's processes as targets, a second where an interval or a patience is
    /// longer, and all else as it is.
    fn prometheus_folder(&self) -> PathBuf {
        let folder = self.dir.path().join("prometheus");
        fs::create_dir_all(folder.join("targets")).unwrap();
        let intervals = Regex::new(r"(?m)^(\s*(?:scrape_interval|evaluation_interval|for)): \S+$").unwrap();
        for name in ["prometheus.yml", "rules.yml", "alerts.yml"] {
            let text = fs::read_to_string(prometheus_folder().join(name)).unwrap();
            fs::write(folder.join(name), intervals.replace_all(&text, "$1: 1s").as_bytes()).unwrap();
        }
        for (name, address) in [("api.yml", self.api.address()), ("workers.yml", self.worker_address.clone())] {
            fs::write(folder.join("targets").join(name), format!("- targets: [\"{address}\"]\n")).unwrap();
        }
        folder
    }
}

#[test]
fn promtool_is_content_with_configuration_rules_and_their_tests() {
    let folder = prometheus_folder();
    for args in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "rules.yml", "alerts.yml"],
        &["test", "rules", "alerts_test.yml"],
    ] {
        let (is_content, said) = promtool(&folder, args);
        assert!(is_content, "{args:?}\n{said}");
    }
}

#[test]
fn a_changed_threshold_fails_the_tests_of_the_rules() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["rules.yml", "alerts.yml", "alerts_test.yml"] {
        fs::copy(prometheus_folder().join(name), dir.path().join(name)).unwrap();
    }
    let alerts = fs::read_to_string(dir.path().join("alerts.yml")).unwrap();
    let deaf = alerts.replace("oldest_ready_seconds:max > 600", "oldest_ready_seconds:max > 600000");
    assert_ne!(deaf, alerts);
    fs::write(dir.path().join("alerts.yml"), deaf).unwrap();
    let (is_content, said) = promtool(dir.path(), &["test", "rules", "alerts_test.yml"]);
    assert!(!is_content && said.contains("ReviewfleetQueueTooOld"), "{said}");
}

#[test]
fn each_alert_has_a_severity_a_command_to_give_and_tests_of_both_ends() {
    let (alerts, tests) = (text("alerts.yml"), text("alerts_test.yml"));
    let command = Regex::new(r"`reviewfleet ([^`]*)`").unwrap();
    let severity = Regex::new(r"severity: (critical|warning)\n").unwrap();
    let mut commands = BTreeSet::new();
    let all: Vec<&str> = alerts.split("- alert: ").skip(1).collect();
    assert!(all.len() > 10, "{alerts}");
    for alert in all {
        let name = alert.lines().next().unwrap();
        assert!(severity.is_match(alert), "{name} has no severity");
        assert!(alert.contains("summary: "), "{name} says nothing");
        let (_, runbook) = alert.split_once("runbook: ").unwrap_or_else(|| panic!("{name} has no runbook"));
        let named: Vec<String> = command.captures_iter(runbook).map(|found| found[1].to_owned()).collect();
        assert!(!named.is_empty(), "{name} names no command");
        commands.extend(named);
        let expects = |what: &str| Regex::new(&format!(r"alertname: {name}\n\s*exp_alerts:{what}\n")).unwrap();
        assert!(expects("").is_match(&tests), "no test has {name} fire");
        assert!(expects(r" \[\]").is_match(&tests), "no test keeps {name} from firing");
    }
    let dir = tempfile::tempdir().unwrap();
    for line in commands {
        // What stands for a value of the operator's is a value of any kind.
        let line = line.replace("{{ $labels.queue }}", "review").replace("TIME", "2026-01-31T09:00:00Z");
        let mut command = reviewfleet(dir.path());
        command.args(line.split_whitespace()).arg("--help");
        let (status, _, err) = run(command);
        assert!(status.success(), "reviewfleet {line}: {err}");
    }
}

#[test]
fn every_metric_label_and_value_that_a_rule_asks_for_is_told_and_every_metric_that_is_told_is_in_the_handbook() {
    let fleet = Scraped::start();
    fleet.one_done_and_one_dead();
    let told = until("metrics of all that was run", || {
        let told = Told::by(&fleet.expositions());
        told.has("outcome", "dead").then_some(told)
    });
    let rules = text("rules.yml") + &text("alerts.yml");
    let mut breaches = told.unknown_names(&rules);
    breaches.extend(told.unknown_labels(&rules));
    assert!(breaches.is_empty(), "{breaches:#?}\n{told:#?}");

    let handbook = fs::read_to_string(prometheus_folder().join("../../docs/operations.md")).unwrap();
    let missing: Vec<&String> = told.families.iter().filter(|name| !handbook.contains(&format!("`{name}"))).collect();
    assert!(missing.is_empty(), "docs/operations.md does not say what these metrics mean: {missing:?}");
}

#[test]
fn a_real_prometheus_scrapes_a_fleet_and_an_alert_begins_and_ends() {
    let fleet = Scraped::start();
    let prometheus = Prometheus::start(&fleet.prometheus_folder());
    fleet.one_done_and_one_dead();
    for (expression, value) in [
        (r#"count(up{job=~"reviewfleet-(api|worker)"} == 1)"#, 2.0),
        (r#"reviewfleet:queue_depth:max{queue="review",state="ready"}"#, 0.0),
        (r#"reviewfleet:queue_depth:max{queue="review",state="dead"}"#, 1.0),
        (r#"reviewfleet:queue_limit:max{queue="review"}"#, 200.0),
        (r#"sum(reviewfleet_jobs_claimed_total{queue="review"})"#, 2.0),
        (r#"sum(reviewfleet_jobs_settled_total{queue="review",outcome="completed"})"#, 1.0),
        (r#"sum(reviewfleet_job_queue_seconds_count{queue="review"})"#, 2.0),
        (r#"reviewfleet:jobs_running:sum{queue="review"}"#, 0.0),
        // 20 and 2 as configured, less the one connection of each that listens.
        (r#"reviewfleet_store_connections_max{job="reviewfleet-api"}"#, 19.0),
        (r#"reviewfleet_store_connections_max{job="reviewfleet-worker"}"#, 1.0),
        (r"sum(reviewfleet_store_connection_timeouts_total)", 0.0),
    ] {
        prometheus.has(expression, value);
    }
    let groups = until("all rules were worked out", || {
        let groups = prometheus.get("rules", &[])["groups"].as_array().unwrap().clone();
        let mut rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        rules.all(|rule| rule["health"] != "unknown").then_some(groups)
    });
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        assert_eq!((&rule["health"], &rule["lastError"]), (&"ok".into(), &serde_json::Value::Null), "{rule}");
    }

    let firing = r#"ALERTS{alertname="ReviewfleetQueueHalted",alertstate="firing",queue="review"}"#;
    assert_eq!(prometheus.value(firing), None);
    fleet.command("queues pause review");
    let jobs: Vec<String> = fleet.commits[1..4].iter().map(|head| fleet.api.review(head, "ben")).collect();
    prometheus.has(firing, 1.0);
    prometheus.has(r#"reviewfleet:queue_depth:max{queue="review",state="ready"}"#, 3.0);
    let alerts = prometheus.get("alerts", &[])["alerts"].as_array().unwrap().clone();
    let halted = alerts.iter().find(|alert| alert["labels"]["alertname"] == "ReviewfleetQueueHalted").unwrap();
    assert_eq!(halted["labels"]["severity"], "warning");
    let runbook = halted["annotations"]["runbook"].as_str().unwrap();
    assert!(runbook.contains("`reviewfleet queues resume review`"), "{runbook}");

    fleet.command("queues resume review");
    for job in &jobs {
        assert_eq!(fleet.api.ended(job)["state"], "completed");
    }
    until("the alert's end", || prometheus.value(firing).is_none().then_some(()));
    prometheus.has(r#"sum(reviewfleet_job_queue_seconds_count{queue="review"})"#, 5.0);
    assert!(prometheus.value(r#"sum(reviewfleet_job_queue_seconds_sum{queue="review"})"#).unwrap() > 1.0);
    assert!(prometheus.stop().success());
}

fn text(name: &str) -> String {
    fs::read_to_string(prometheus_folder().join(name)).unwrap()
}

/// What processes tell: names, the labels of each and the values of each label.
#[derive(Debug, Default)]
struct Told {
    families: BTreeSet<String>,
    /// Samples, whose names are longer than their family's where it is a histogram.
    labels: BTreeMap<String, BTreeSet<String>>,
    values: BTreeMap<String, BTreeSet<String>>,
}

impl Told {
    fn by(expositions: &[Exposition]) -> Self {
        let mut told = Self::default();
        for exposition in expositions {
            told.families.extend(exposition.families().map(|(name, _)| name.to_owned()));
            for (name, labels) in exposition.series() {
                told.labels.entry(name.clone()).or_default().extend(labels.keys().cloned());
                for (label, value) in labels {
                    told.values.entry(label.clone()).or_default().insert(value.clone());
                }
            }
        }
        told
    }

    fn has(&self, label: &str, value: &str) -> bool {
        self.values.get(label).is_some_and(|values| values.contains(value))
    }

    /// What rules ask for that no process tells and no rule records.
    fn unknown_names(&self, rules: &str) -> Vec<String> {
        let recorded = all(rules, r"record: (\S+)");
        let told = all(rules, r"\b(reviewfleet_\w+)").into_iter().filter(|name| !self.labels.contains_key(name));
        let used = all(rules, r"\b(reviewfleet:[\w:]+)").into_iter().filter(|name| !recorded.contains(name));
        told.chain(used).collect()
    }

    /// Labels that a rule selects or groups by and that what it asks for does not have, and values that they never take.
    fn unknown_labels(&self, rules: &str) -> Vec<String> {
        let mut unknown = Vec::new();
        let selector = Regex::new(r"\b(reviewfleet[\w:]+)\{([^{}]*)\}").unwrap();
        let matcher = Regex::new(r#"(\w+)(?:=~|!~|!=|=)"([^"]*)""#).unwrap();
        for selected in selector.captures_iter(rules) {
            for one in matcher.captures_iter(&selected[2]) {
                let (label, value) = (&one[1], &one[2]);
                let is_known = match self.labels.get(&selected[1]) {
                    Some(labels) => labels.contains(label),
                    // A recorded series has labels of what it was recorded from.
                    None => self.values.contains_key(label),
                };
                let is_taken = |pattern: &str| {
                    let whole = Regex::new(&format!("^(?:{pattern})$")).unwrap();
                    self.values.get(label).is_some_and(|values| values.iter().any(|value| whole.is_match(value)))
                };
                // No test makes an API answer with faults of its own.
                if !is_known || !(label == "status" || value.split('|').all(is_taken)) {
                    unknown.push(format!("{}: {}", &selected[0], &one[0]));
                }
            }
        }
        let grouped = all(rules, r"\b(?:by|on|without|ignoring) \(([^)]*)\)");
        let named = grouped.iter().flat_map(|list| list.split(", ").map(str::to_owned));
        let named = named.chain(all(rules, r"\$labels\.(\w+)"));
        unknown.extend(
            named.filter(|label| !self.values.contains_key(label) && !LABELS_OF_PROMETHEUS.contains(&label.as_str())),
        );
        unknown
    }
}

fn all(text: &str, pattern: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}
