use std::{fs, path::Path, time::Duration};

use job::{Concurrency, ConcurrencyKey, JobId, JobKind, LimitClass, Payload, Priority, QueueName, Weight};
use store::{Enqueued, NewJob, QueueStats, Rejection, Throttle, WhenFull};
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    embedded::{LEDGER_FILE, QUEUE_FILE},
    *,
};
use crate::Environment;

mod on_postgres;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn config(folder: &Path, text: &str) -> Config {
    Config::parse(text, &folder.join("workers.toml"), &Environment::default()).unwrap()
}

fn review() -> QueueName {
    QueueName::new("review").unwrap()
}

fn job(class: &str) -> NewJob {
    NewJob {
        id: JobId::from(Uuid::now_v7()),
        queue: review(),
        kind: JobKind::new("review").unwrap(),
        payload: Payload::parse("{}").unwrap(),
        priority: Priority(50),
        weight: Weight::ONE,
        concurrency: Some(Concurrency {
            key: ConcurrencyKey::new("user:42").unwrap(),
            class: LimitClass::new(class).unwrap(),
        }),
        unique: None,
        supersede: None,
        run_at: None,
        max_attempts: 4,
        timeout: Duration::from_mins(2),
        trace_parent: None,
    }
}

async fn stats(fleet: &Fleet) -> QueueStats {
    let all = fleet.queue.stats().await.unwrap();
    all.into_iter().find(|stats| stats.queue == review()).unwrap()
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn an_opened_fleet_has_the_queues_and_limit_classes_of_its_configuration() {
    let folder = folder();
    let fleet = Fleet::open(config(folder.path(), "[queues.review]\nlimit = 60\n[queues.index]")).await.unwrap();
    assert_eq!(stats(&fleet).await.limit, Some(60));
    assert_eq!(fleet.queue.stats().await.unwrap().len(), 2);
    let answers = fleet.queue.enqueue(&[job("user"), job("planet")]).await.unwrap();
    let unknown = Rejection::UnknownLimitClass(LimitClass::new("planet").unwrap());
    assert_eq!(answers, [Enqueued::Inserted, Enqueued::Rejected(unknown)]);
    assert!(fleet.ledger.list(&ledger::ReviewFilter { limit: 1, ..Default::default() }).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_class_of_the_configuration_limits_each_key() {
    let folder = folder();
    let fleet = Fleet::open(config(folder.path(), "queues.review.limits.user = 1")).await.unwrap();
    fleet.queue.enqueue(&[job("user"), job("user")]).await.unwrap();
    let stats = stats(&fleet).await;
    assert_eq!((stats.ready, stats.parked), (1, 1));
}

#[tokio::test]
async fn an_opened_fleet_has_the_throttles_groups_and_schedules_of_its_configuration() {
    let folder = folder();
    let text = "[queues.review.throttles]\nuser = { starts = 5, period_secs = 60, when_full = \"refuse\" }\n[queues.index]\n\
                [groups.account]\nqueues = [\"review\", \"index\"]\nlimit = 9\n\
                [cron.weekly]\nexpression = \"0 9 * * MON\"\ntime_zone = \"Europe/Berlin\"\nqueue = \"review\"\n\
                kind = \"report\"\nkey = \"all\"\nclass = \"user\"";
    let parsed = config(folder.path(), text);
    let fleet = Fleet::open(parsed.clone()).await.unwrap();
    let settings = fleet.queue.settings(&review()).await.unwrap();
    let group = settings.group.unwrap();
    assert_eq!((group.name.as_str(), group.queues.len(), group.limit), ("account", 2, Some(9)));
    let throttle = Throttle { starts: 5, period: Duration::from_mins(1), when_full: WhenFull::Refuse };
    assert_eq!((settings.classes[0].limit, settings.classes[0].throttle), (Some(50), Some(throttle)));
    let weekly = fleet.queue.list_cron().await.unwrap().remove(0);
    let (name, cron) = parsed.cron.first_key_value().unwrap();
    assert_eq!(weekly.entry, cron.entry(name).unwrap());
    drop(fleet);
    let moved = "[queues.index]\n[groups.one]\nqueues = [\"review\"]\nlimit = 3";
    let fleet = Fleet::open(config(folder.path(), moved)).await.unwrap();
    let group = fleet.queue.settings(&review()).await.unwrap().group.unwrap();
    assert_eq!((group.name.as_str(), group.limit), ("one", Some(3)), "a queue may move to another group");
    assert_eq!(fleet.queue.list_cron().await.unwrap().len(), 1, "a schedule stays until it is removed");
}

#[tokio::test]
async fn an_operators_limit_holds_until_the_configured_one_changes() {
    let folder = folder();
    let (queue, class) = (LimitTarget::Queue(review()), LimitTarget::Class(review(), LimitClass::new("user").unwrap()));
    let limits = async |text: &str| {
        let fleet = Fleet::open(config(folder.path(), text)).await.unwrap();
        // As many jobs of one key as there is no other limit for: those that are ready show the class's.
        fleet.queue.enqueue(&[job("user"), job("user"), job("user")]).await.unwrap();
        let stats = stats(&fleet).await;
        (fleet, stats.limit, stats.ready)
    };
    let configured = "queues.review = { limit = 60, limits = { user = 1 } }";
    let (fleet, limit, ready) = limits(configured).await;
    assert_eq!((limit, ready), (Some(60), 1));
    fleet.queue.set_limit(&queue, Some(5)).await.unwrap();
    fleet.queue.set_limit(&class, Some(2)).await.unwrap();
    drop(fleet);

    let attached = Fleet::attach(config(folder.path(), configured)).await.unwrap();
    assert_eq!(stats(&attached).await.limit, Some(5));
    let (_, limit, ready) = limits(configured).await;
    assert_eq!((limit, ready), (Some(5), 2), "a start with the same configuration");
    let (_, limit, ready) = limits("queues.review = { limit = 60, limits = { user = 4 } }").await;
    assert_eq!((limit, ready), (Some(5), 4), "the class's is another now, and at once");
    let (_, limit, _) = limits("queues.review = { limit = 70, limits = { user = 4 } }").await;
    assert_eq!(limit, Some(70), "the queue's too");
}

#[tokio::test]
async fn a_limit_that_an_operator_took_away_stays_away() {
    let folder = folder();
    let fleet = Fleet::open(config(folder.path(), "")).await.unwrap();
    fleet.queue.set_limit(&LimitTarget::Queue(review()), None).await.unwrap();
    drop(fleet);
    assert_eq!(stats(&Fleet::open(config(folder.path(), "")).await.unwrap()).await.limit, None);
}

#[tokio::test]
async fn attaching_where_nothing_is_says_so_and_makes_nothing() {
    let folder = folder();
    let error = Fleet::attach(config(folder.path(), "")).await.err().unwrap();
    let data_dir = folder.path().join("reviewfleet-data");
    assert!(matches!(&error, OpenError::NoStore { place } if *place == Place::Folder(data_dir.clone())), "{error:?}");
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn an_empty_file_is_no_queue_for_what_attaches_and_becomes_one_for_what_opens() {
    let folder = folder();
    let data_dir = folder.path().join("reviewfleet-data");
    fs::create_dir(&data_dir).unwrap();
    fs::write(data_dir.join(QUEUE_FILE), "").unwrap();
    let error = Fleet::attach(config(folder.path(), "")).await.err().unwrap();
    assert!(matches!(&error, OpenError::NoStore { .. }), "{error:?}");
    assert_eq!(fs::metadata(data_dir.join(QUEUE_FILE)).unwrap().len(), 0, "it is left as it is");
    assert!(!data_dir.join(LEDGER_FILE).exists());

    Fleet::open(config(folder.path(), "")).await.unwrap();
    Fleet::attach(config(folder.path(), "")).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_data_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let config = config(folder.path(), "store.data_dir = \"a/b\"");
    Fleet::open(config).await.unwrap();
    let mode = fs::metadata(folder.path().join("a/b")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    fs::write(folder.path().join("reviewfleet-data"), "a file").unwrap();
    let error = Fleet::open(config(folder.path(), "")).await.err().unwrap();
    assert!(matches!(error, OpenError::DataDir { .. }), "{error:?}");
    assert!(chain(&error).contains("reviewfleet-data (store.data_dir) cannot be made: "), "{}", chain(&error));
}

#[tokio::test]
async fn a_store_that_is_none_is_named_with_its_folder() {
    for (file, name) in [(QUEUE_FILE, "queue"), (LEDGER_FILE, "ledger")] {
        let folder = folder();
        let data_dir = folder.path().join("reviewfleet-data");
        fs::create_dir(&data_dir).unwrap();
        fs::write(data_dir.join(file), "no database, and longer than a header of one would have to be. ".repeat(99))
            .unwrap();
        let error = Fleet::open(config(folder.path(), "")).await.err().unwrap();
        assert!(error.to_string().starts_with(&format!("the {name} in {}", data_dir.display())), "{error}");
        assert!(chain(&error).contains(file), "{}", chain(&error));
    }
}
