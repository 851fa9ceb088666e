use std::time::Instant;

use postgres_testing::{Database, Pooler, Server, server_url};
use store::{ClaimRequest, LeasedJob};
use tokio::time::timeout;

use super::*;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn named(url: &str, text: &str) -> Config {
    config(Path::new("/nowhere"), text).with_database(Some(url)).unwrap()
}

async fn refused(config: Config) -> String {
    chain(&Fleet::open(config).await.err().unwrap())
}

async fn claim(fleet: &Fleet, max: usize) -> Vec<LeasedJob> {
    let request = ClaimRequest {
        id: Uuid::now_v7().into(),
        queues: vec![review()],
        max,
        worker: job::WorkerId::new("w").unwrap(),
        lease: PATIENCE,
    };
    fleet.queue.claim(&request).await.unwrap().jobs
}

#[tokio::test]
async fn a_fleet_on_postgres_has_its_configuration_and_shares_its_stores() {
    let database = Database::fresh(server_url()).await;
    let fleet = Fleet::open(named(&database.url, "[queues.review]\nlimit = 60")).await.unwrap();
    assert_eq!(stats(&fleet).await.limit, Some(60));
    let other = Fleet::open_for_worker(named(&database.url, "[queues.review]\nlimit = 60")).await.unwrap();
    let mut awake = other.queue.subscribe();
    awake.mark_unchanged();
    assert_eq!(fleet.queue.enqueue(&[job("user")]).await.unwrap(), [Enqueued::Inserted]);
    timeout(PATIENCE, awake.changed()).await.unwrap().unwrap();
    assert_eq!(claim(&other, 10).await.len(), 1);
    assert!(other.ledger.list(&ledger::ReviewFilter { limit: 1, ..Default::default() }).await.unwrap().is_empty());
    assert!(!Path::new("/nowhere").exists(), "no folder is made where none is needed");
}

#[tokio::test]
async fn attaching_to_a_database_without_a_queue_says_so_and_makes_nothing() {
    let database = Database::fresh(server_url()).await;
    let error = Fleet::attach(named(&database.url, "")).await.err().unwrap();
    let says = format!("there is no queue in {} (--database-url): run `reviewfleet migrate`", database.url);
    assert!(error.to_string().starts_with(&says), "{error}");
    let still = Fleet::attach(named(&database.url, "")).await.err().unwrap();
    assert!(matches!(still, OpenError::NoStore { .. }), "{still:?}");

    let fleet = Fleet::open(named(&database.url, "")).await.unwrap();
    fleet.queue.set_limit(&LimitTarget::Queue(review()), Some(5)).await.unwrap();
    let attached = Fleet::attach(named(&database.url, "")).await.unwrap();
    assert_eq!(stats(&attached).await.limit, Some(5));
}

#[tokio::test]
async fn what_nobody_but_an_operator_mends_is_refused_at_once_with_what_to_do() {
    let (base, _) = server_url().rsplit_once('/').unwrap();
    let bouncer = Pooler::start(server_url(), &[]);
    let newer_ledger = Database::fresh(server_url()).await;
    let newer_queue = Database::fresh(server_url()).await;
    for (newer, schema) in [(&newer_ledger, "ledger"), (&newer_queue, "queue")] {
        Fleet::open(named(&newer.url, "")).await.unwrap();
        newer.pretend_newer(schema).await;
    }
    let [half_ledger, half_queue] = [Database::fresh(server_url()).await, Database::fresh(server_url()).await];
    for (half, schema) in [(&half_ledger, "ledger"), (&half_queue, "queue")] {
        Fleet::open(named(&half.url, "")).await.unwrap();
        half.forget_last_step(schema).await;
    }
    let foreign = Database::fresh(server_url()).await;
    foreign.execute("CREATE SCHEMA queue").await;
    let pooled = format!(
        "[store]\ntransaction_pooler = true\nlisten_url = \"{}\"",
        bouncer.url_of(&Database::fresh(server_url()).await.name)
    );
    let begun = Instant::now();
    for (config, says) in [
        (named(&format!("{base}/nowhere"), ""), "database \"nowhere\" does not exist"),
        (named(&bouncer.url, ""), "is a pooler in transaction mode: set transaction_pooler = true"),
        (named(&bouncer.url, &pooled), "(listen_url) does not hear what is said at"),
        (named(&newer_ledger.url, ""), "was made by a newer version of reviewfleet: it has step 999"),
        (named(&newer_queue.url, ""), "999"),
        (named(&half_ledger.url, ""), "half migrated or was changed by hand"),
        (named(&half_queue.url, ""), "half migrated or was changed by hand"),
        (named(&foreign.url, ""), "the schema \"queue\" in this database belongs to another program"),
    ] {
        let refused = refused(config).await;
        assert!(refused.contains(says), "{refused}");
        assert!(refused.contains("(--database-url)"), "{refused}");
    }
    assert!(begun.elapsed() < PATIENCE, "nothing of it is waited for: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_never_shown() {
    let server = Server::start(&["fsync=off"]);
    let hba = server.dir().join("data/pg_hba.conf");
    fs::write(&hba, "host all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    server.stop();
    server.restart();
    let refused = refused(named(&server.url.replace("postgres@", "postgres:s3cret-word@"), "")).await;
    assert!(refused.contains("refuses the user or the password"), "{refused}");
    assert!(!refused.contains("s3cret"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let server = Server::start(&["fsync=off"]);
    let database = Database::fresh(&server.url).await;
    server.stop();
    let opening = tokio::spawn(Fleet::open_for_worker(named(&database.url, "")));
    // It has looked by then, and found nobody.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!opening.is_finished());
    server.restart();
    timeout(PATIENCE, opening).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_come_is_given_up_with_a_clear_word() {
    let server = Server::start(&["fsync=off"]);
    server.stop();
    let begun = Instant::now();
    let refused = refused(named(&server.url, "store.connect_wait_secs = 1")).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(
        refused,
        format!("the database {0} (--database-url) cannot serve: no server listens at {0}", server.url)
    );
    let begun = Instant::now();
    assert!(Fleet::attach(named(&server.url, "")).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(1), "a command does not wait");
}

#[tokio::test]
async fn a_standby_is_given_up_with_a_clear_word() {
    let server = Server::start(&["fsync=off"]);
    server.stop();
    fs::write(server.dir().join("data/standby.signal"), "").unwrap();
    server.restart();
    let refused = refused(named(&server.url, "store.connect_wait_secs = 0")).await;
    assert!(refused.ends_with("only reads: the server is a standby. Give the primary's address"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_behind_a_pooler_works_and_is_woken() {
    let database = Database::fresh(server_url()).await;
    let bouncer = Pooler::start(server_url(), &["min_pool_size=4", "server_round_robin=1"]);
    let text = format!("[store]\ntransaction_pooler = true\nlisten_url = \"{}\"", database.url);
    let open = || named(&bouncer.url_of(&database.name), &text);
    let fleet = Fleet::open(open()).await.unwrap();
    let other = Fleet::open_for_worker(open()).await.unwrap();
    let mut awake = other.queue.subscribe();
    awake.mark_unchanged();
    let jobs: Vec<_> = (0..20).map(|_| job("user")).collect();
    fleet.queue.enqueue(&jobs).await.unwrap();
    timeout(PATIENCE, awake.changed()).await.unwrap().unwrap();
    let claimed = claim(&other, 20).await;
    assert_eq!(claimed.len(), 20);
    let settlements: Vec<_> = claimed.into_iter().map(|l| l.settle(job::Transition::Complete)).collect();
    let settled = other.queue.settle(&settlements).await.unwrap();
    assert!(settled.iter().all(|s| *s == store::Settled::Applied), "{settled:?}");
}

/// A default Postgres has 100 connections, three of them for superusers.
#[tokio::test(flavor = "multi_thread")]
async fn forty_workers_and_an_api_fit_in_a_default_server() {
    const WORKERS: usize = 40;
    let server = Server::start(&["fsync=off", "max_connections=100"]);
    let database = Database::fresh(&server.url).await;
    let api = Fleet::open(named(&database.url, "store.api_connections = 16")).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Fleet::open_for_worker(named(&database.url, "")).await.unwrap());
    }
    let tasks: Vec<_> = workers
        .iter()
        .cycle()
        .take(WORKERS * 10)
        .map(|worker| {
            let (api, worker) = (api.clone(), worker.clone());
            tokio::spawn(async move {
                api.queue.enqueue(&[job("user")]).await.unwrap();
                worker.ledger.review(ledger::ReviewId(Uuid::now_v7())).await.unwrap();
                claim(&worker, 1).await;
                worker.queue.stats().await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let found = database.connections().await;
    assert!(found > 2 * WORKERS && found <= 2 * WORKERS + 16, "{found}");
}
