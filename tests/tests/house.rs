//! Guards who may know what, by reading the workspace's own manifests and sources. `docs/architecture.md` states the rules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// What each package may depend on of the workspace (development dependencies aside).
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("job", &[]),
    ("store", &["job"]),
    ("postgres", &[]),
    ("postgres-testing", &[]),
    ("store-sqlite", &["store", "job"]),
    ("store-postgres", &["store", "job", "postgres"]),
    ("store-redis", &["store", "job"]),
    ("redis-link", &[]),
    ("redis-testing", &[]),
    ("limits", &["redis-link"]),
    ("store-conformance", &["store", "job"]),
    ("worker", &["store", "job"]),
    ("review", &[]),
    ("ledger", &["job", "postgres"]),
    ("fleet", &["job", "store", "store-sqlite", "store-postgres", "postgres", "worker", "review", "ledger", "limits"]),
    ("reviewfleet-api", &["fleet", "job", "store", "ledger", "review", "limits"]),
    ("reviewfleet-worker", &["fleet", "job", "store", "ledger", "review", "worker"]),
    (
        "reviewfleet",
        &[
            "fleet",
            "job",
            "store",
            "store-sqlite",
            "ledger",
            "review",
            "worker",
            "postgres",
            "reviewfleet-api",
            "reviewfleet-worker",
        ],
    ),
    ("reviewfleet-tests", &[]),
];

/// The only packages that may depend on a crate from outside.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("apalis", &["worker"]),
    ("apalis-core", &["worker"]),
    ("axum", &["reviewfleet-api"]),
    ("tower-http", &["reviewfleet-api"]),
    ("sqlx", &["store-sqlite", "store-postgres", "postgres", "postgres-testing", "ledger"]),
    ("redis", &["store-redis", "redis-link"]),
    ("toml", &["fleet"]),
    ("git2", &["review"]),
    ("backoff", &["review"]),
    ("clap", &["fleet", "reviewfleet", "reviewfleet-api", "reviewfleet-worker"]),
    ("anyhow", &["reviewfleet", "reviewfleet-api", "reviewfleet-worker"]),
];

/// What `job` must do without, so that its decisions depend on their arguments alone.
const NOT_IN_JOB: &[&str] = &["tokio", "rand", "sqlx", "reqwest", "async-trait", "tracing"];

/// Every label that a metric may carry: each takes its values from a bounded set.
const METRIC_LABELS: &[&str] = &[
    "backend",
    "call",
    "direction",
    "kind",
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

struct Package {
    name: String,
    dir: PathBuf,
    manifest: toml::Table,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

fn packages() -> Vec<Package> {
    let mut dirs = vec![root().join("tests")];
    for group in ["crates", "bin"] {
        dirs.extend(fs::read_dir(root().join(group)).unwrap().map(|e| e.unwrap().path()));
    }
    dirs.into_iter()
        .map(|dir| {
            let manifest: toml::Table = fs::read_to_string(dir.join("Cargo.toml")).unwrap().parse().unwrap();
            let name = manifest["package"]["name"].as_str().unwrap().to_owned();
            Package { name, dir, manifest }
        })
        .collect()
}

impl Package {
    fn dependencies(&self) -> BTreeSet<String> {
        ["dependencies", "build-dependencies"]
            .iter()
            .filter_map(|section| self.manifest.get(*section)?.as_table())
            .flat_map(|table| table.keys().cloned())
            .collect()
    }

    /// Its sources, tests left out, by their path from the workspace's root.
    fn sources(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        collect(&self.dir.join("src"), &mut found);
        found
    }
}

fn collect(dir: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

fn all_sources() -> BTreeMap<String, String> {
    packages().iter().flat_map(Package::sources).collect()
}

#[track_caller]
fn assert_none(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n{}", breaches.join("\n"));
}

#[test]
fn each_package_knows_only_what_it_may() {
    let workspace: BTreeSet<String> = packages().into_iter().map(|p| p.name).collect();
    let mut breaches = Vec::new();
    for package in packages() {
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(name, _)| *name == package.name) else {
            breaches.push(format!("{} stands in no room of the house: add it to MAY_KNOW", package.name));
            continue;
        };
        for known in package.dependencies().intersection(&workspace) {
            if !allowed.contains(&known.as_str()) {
                breaches.push(format!("{} may not know {known}", package.name));
            }
        }
    }
    assert_none("A package depends on one that it may not know", &breaches);
}

#[test]
fn outside_crates_stand_only_where_they_belong() {
    let mut breaches = Vec::new();
    for package in packages() {
        for dependency in package.dependencies() {
            if let Some((_, homes)) = ONLY_IN.iter().find(|(name, _)| *name == dependency)
                && !homes.contains(&package.name.as_str())
            {
                breaches.push(format!("{} depends on {dependency}, which only {homes:?} may", package.name));
            }
            if package.name == "job" && NOT_IN_JOB.contains(&dependency.as_str()) {
                breaches.push(format!("job depends on {dependency}"));
            }
        }
    }
    assert_none("A crate from outside is used in the wrong room", &breaches);
}

#[test]
fn only_one_file_names_apalis() {
    let breaches: Vec<_> = all_sources()
        .into_iter()
        .filter(|(path, text)| {
            path != "crates/worker/src/apalis.rs" && uses(text, r"\bapalis_core\b|(\buse |[^\w])(::)?apalis::[A-Z{]")
        })
        .map(|(path, _)| path)
        .collect();
    assert_none("Only crates/worker/src/apalis.rs names apalis", &breaches);
}

#[test]
fn only_the_http_retry_policy_names_backoff() {
    let breaches: Vec<_> = all_sources()
        .into_iter()
        .filter(|(path, text)| {
            path.starts_with("crates/review/") && !path.contains("/model/http") && uses(text, r"\bbackoff::")
        })
        .map(|(path, _)| path)
        .collect();
    assert_none("backoff stands in the outbound HTTP retry policy alone", &breaches);
}

#[test]
fn only_fleet_reads_the_environment() {
    let breaches: Vec<_> = all_sources()
        .into_iter()
        .filter(|(path, text)| {
            // Test servers are named by the test runner.
            let allowed = path.starts_with("crates/fleet/") || path.starts_with("crates/postgres-testing/");
            !allowed && uses(text, r"\benv::(var|vars|var_os|vars_os)\b")
        })
        .map(|(path, _)| path)
        .collect();
    assert_none("Only crates/fleet reads the environment", &breaches);
}

#[test]
fn sql_stands_only_in_the_stores_and_the_ledger() {
    let allowed =
        |path: &str| ["crates/store-", "crates/ledger/", "crates/postgres"].iter().any(|room| path.starts_with(room));
    let sql = r#"(?i)"\s*(select\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|create\s+table\s)"#;
    let breaches: Vec<_> = all_sources()
        .into_iter()
        // The rule reviewer looks for SQL that is built from strings, and the index for definitions in SQL files: their
        // tests must spell some.
        .filter(|(path, text)| {
            let quotes =
                path.starts_with("crates/review/src/rules/") || path == "crates/review/src/context/definition.rs";
            !allowed(path) && !quotes && uses(text, sql)
        })
        .map(|(path, _)| path)
        .collect();
    assert_none("SQL stands only in store-*, ledger, postgres and migrations", &breaches);
}

#[test]
fn metric_labels_come_from_bounded_sets() {
    let call = Regex::new(r"(?s)\b(?:counter|gauge|histogram)!\((.*?)\)\s*[.;]").unwrap();
    let label = Regex::new(r#""([a-z_]+)"\s*=>"#).unwrap();
    let mut breaches = Vec::new();
    for (path, text) in all_sources() {
        for found in call.captures_iter(&text) {
            for name in label.captures_iter(&found[1]) {
                if !METRIC_LABELS.contains(&&name[1]) {
                    breaches.push(format!("{path}: label {:?}", &name[1]));
                }
            }
        }
    }
    assert_none("A metric has a label outside METRIC_LABELS", &breaches);
}

#[test]
fn every_package_keeps_the_workspace_lints() {
    let breaches: Vec<_> = packages()
        .into_iter()
        .filter(|p| {
            p.manifest.get("lints").and_then(|l| l.get("workspace")).and_then(toml::Value::as_bool) != Some(true)
        })
        .map(|p| p.name)
        .collect();
    assert_none("A package does not inherit the workspace's lints", &breaches);
}

#[test]
fn the_mains_are_thin() {
    let breaches: Vec<_> = all_sources()
        .into_iter()
        .filter(|(path, text)| path.ends_with("/main.rs") && text.lines().count() >= 40)
        .map(|(path, _)| path)
        .collect();
    assert_none("A main.rs has 40 lines or more", &breaches);
}

/// Whether code, comments aside, matches a pattern.
fn uses(text: &str, pattern: &str) -> bool {
    let pattern = Regex::new(pattern).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| pattern.is_match(line))
}
