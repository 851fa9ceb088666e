//! The whole service as processes: killed in the middle of its work, told to stop, started again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::{collections::BTreeSet, path::Path};

use support::{FakeModel, Repo, Service, until};

/// The service's folder: its configuration and its databases.
fn folder(repo: &Repo, model: Option<&FakeModel>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let model = model.map_or_else(String::new, |model| {
        format!(
            "[models.fake]\nprovider = \"openai\"\nmodel = \"fake-1\"\nbase_url = \"{}\"\n\
             input_usd_per_million_tokens = 1.0\noutput_usd_per_million_tokens = 2.0\n\
             [routing]\nsimple = \"fake\"\nmedium = \"fake\"\ncomplex = \"fake\"\n",
            model.base_url
        )
    });
    let config = format!(
        "[worker]\nconcurrency = 8\nlease_secs = 2\npoll_interval_ms = 100\ndrain_grace_secs = 1\n[forge.repositories]\n\"acme/widgets\" = {:?}\n{model}",
        repo.path().to_str().unwrap()
    );
    std::fs::write(dir.path().join("workers.toml"), config).unwrap();
    dir
}

fn recorded_reviews(dir: &Path) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let file = ledger::SqliteOptions::new(dir.join("reviewfleet-data/ledger.db"));
        let ledger = ledger::SqliteLedger::open(&file).await.unwrap();
        let all = ledger::ReviewFilter { limit: ledger::LIST_MAX, ..ledger::ReviewFilter::default() };
        ledger::Ledger::list(&ledger, &all).await.unwrap().len()
    })
}

#[test]
fn two_hundred_jobs_survive_kill_9_in_the_middle() {
    let (repo, commits) = Repo::with_commits(200);
    let model = FakeModel::holding_after(60);
    let dir = folder(&repo, Some(&model));

    let service = Service::start(dir.path());
    let jobs: Vec<String> = commits
        .iter()
        .enumerate()
        .map(|(i, head)| service.review("acme/widgets", head, &format!("u{}", i % 9)))
        .collect();
    until("all slots waiting for the model", || (model.waiting() == 8).then_some(()));
    service.kill();

    model.open();
    let service = Service::start(dir.path());
    let mut reviews = BTreeSet::new();
    for job in &jobs {
        let view = service.ended(job);
        assert_eq!(view["state"], "completed", "{view}");
        let review = view["links"]["review"].as_str().unwrap_or_else(|| panic!("no review: {view}")).to_owned();
        let (status, document) = service.get(&review);
        assert_eq!(status, 200, "{document}");
        reviews.insert(review);
    }
    assert_eq!(reviews.len(), 200, "each job has a review of its own");
    drop(service);
    assert_eq!(recorded_reviews(dir.path()), 200, "no review exists twice");
}

#[test]
fn a_stop_releases_what_runs_and_costs_no_attempt() {
    let (repo, commits) = Repo::with_commits(20);
    let model = FakeModel::holding_after(4);
    let dir = folder(&repo, Some(&model));

    let service = Service::start(dir.path());
    let jobs: Vec<String> = commits.iter().map(|head| service.review("acme/widgets", head, "ann")).collect();
    until("all slots waiting for the model", || (model.waiting() == 8).then_some(()));
    service.signal("TERM");
    assert!(service.wait().success(), "a stop is no failure");

    model.open();
    let service = Service::start(dir.path());
    for job in &jobs {
        let view = service.ended(job);
        assert_eq!((view["state"].as_str(), view["attempt"].as_u64()), (Some("completed"), Some(1)), "{view}");
        assert_eq!(view["errors"].as_array().map(Vec::len), Some(0), "{view}");
    }
    drop(service);
    assert_eq!(recorded_reviews(dir.path()), 20);
}

#[test]
fn the_same_delivery_twice_is_one_job_across_a_restart() {
    let (repo, commits) = Repo::with_commits(1);
    let dir = folder(&repo, None);
    let service = Service::start(dir.path());
    let first = service.review("acme/widgets", &commits[0], "ann");
    assert_eq!(service.ended(&first)["state"], "completed");
    assert_eq!(service.review("acme/widgets", &commits[0], "ann"), first);
    service.kill();
    let service = Service::start(dir.path());
    assert_eq!(service.review("acme/widgets", &commits[0], "ann"), first);
}
