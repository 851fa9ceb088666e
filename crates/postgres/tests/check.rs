//! A set-up that is wrong says what is wrong with it.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::net::TcpListener;

use postgres::{Address, Fault, Setup, check};
use postgres_testing::{Database, Pooler, Server, server_url};

fn address(url: &str) -> Address {
    url.parse().unwrap()
}

async fn check_of(url: &str) -> Result<(), Fault> {
    check(Setup { address: &address(url), listen: None, transaction_pooler: false }).await
}

/// What is wrong with a set-up that somebody has to change.
#[track_caller]
fn setup_fault(found: Result<(), Fault>) -> String {
    let fault = found.unwrap_err();
    assert!(matches!(fault, Fault::Setup(_)), "{fault:?}");
    fault.to_string()
}

/// What is wrong with one that may mend itself.
#[track_caller]
fn passing_fault(found: Result<(), Fault>) -> String {
    let fault = found.unwrap_err();
    assert!(fault.is_transient(), "{fault:?}");
    fault.to_string()
}

#[tokio::test]
async fn a_server_of_its_own_is_in_order() {
    check_of(server_url()).await.unwrap();
    let same = address(server_url());
    check(Setup { address: &same, listen: Some(&same), transaction_pooler: false }).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_refused_without_a_word_of_the_password() {
    let server = Server::start(&["fsync=off", "password_encryption=scram-sha-256"]);
    let database = Database::fresh(&server.url).await;
    database.execute("CREATE ROLE ann LOGIN PASSWORD 'right-word'").await;
    let hba = server.dir().join("data/pg_hba.conf");
    std::fs::write(&hba, "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    database.execute("SELECT pg_reload_conf()").await;
    let as_user = |user: &str| database.url.replace("postgres@", &format!("{user}@"));
    check_of(&as_user("ann:right-word")).await.unwrap();
    for user in ["ann:wrong-word", "ann", "eve:wrong-word"] {
        let wrong = setup_fault(check_of(&as_user(user)).await);
        assert!(wrong.contains("refuses the user or the password: password authentication failed"), "{wrong}");
        assert!(!wrong.contains("wrong-word"), "{wrong}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let (base, _) = server_url().rsplit_once('/').unwrap();
    let wrong = setup_fault(check_of(&format!("{base}/nowhere")).await);
    assert!(wrong.ends_with("/nowhere cannot be used: database \"nowhere\" does not exist"), "{wrong}");
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let wrong = passing_fault(check_of(&format!("postgres://ann:s3cret@{free}/fleet")).await);
    assert_eq!(wrong, format!("no server listens at postgres://ann@{free}/fleet"));
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap();
    let wrong = passing_fault(check_of(&format!("postgres://ann@{place}/fleet")).await);
    assert_eq!(wrong, format!("postgres://ann@{place}/fleet does not answer within 5s"));
}

#[tokio::test]
async fn a_full_server_may_have_room_later() {
    let server = Server::start(&["fsync=off", "max_connections=5", "superuser_reserved_connections=3"]);
    Database::fresh(&server.url).await.execute("CREATE ROLE ann LOGIN").await;
    let ann = server.url.replace("postgres@", "ann@");
    let wrong = {
        // The check itself takes two.
        use sqlx::{Connection, PgConnection};
        let _held = [PgConnection::connect(&ann).await.unwrap(), PgConnection::connect(&ann).await.unwrap()];
        passing_fault(check_of(&ann).await)
    };
    assert!(wrong.contains("takes no connection: "), "{wrong}");
}

#[tokio::test]
async fn a_standby_and_a_database_that_only_reads_are_named() {
    let server = Server::start(&["fsync=off"]);
    let database = Database::fresh(&server.url).await;
    database.execute(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name)).await;
    let wrong = passing_fault(check_of(&database.url).await);
    assert!(wrong.ends_with("only reads: its default_transaction_read_only is on"), "{wrong}");

    server.stop();
    std::fs::write(server.dir().join("data/standby.signal"), "").unwrap();
    server.restart();
    let wrong = passing_fault(check_of(&server.url).await);
    assert!(wrong.ends_with("only reads: the server is a standby. Give the primary's address"), "{wrong}");
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_found_out_when_it_was_not_said() {
    // However it deals its server processes out, and however few it has.
    for settings in [&[][..], &["server_round_robin=1", "min_pool_size=3"], &["default_pool_size=1"]] {
        let bouncer = Pooler::start(server_url(), settings);
        let wrong = setup_fault(check_of(&bouncer.url).await);
        assert!(wrong.contains("is a pooler in transaction mode: set transaction_pooler = true"), "{wrong}");
        let (pooled, direct) = (address(&bouncer.url), address(server_url()));
        check(Setup { address: &pooled, listen: Some(&direct), transaction_pooler: true }).await.unwrap();
    }
}

#[tokio::test]
async fn a_pooler_in_session_mode_is_as_good_as_the_server() {
    let bouncer = Pooler::start(server_url(), &["pool_mode=session"]);
    let pooled = address(&bouncer.url);
    check(Setup { address: &pooled, listen: Some(&pooled), transaction_pooler: false }).await.unwrap();
}

#[tokio::test]
async fn listening_where_nothing_is_heard_is_refused() {
    let bouncer = Pooler::start(server_url(), &[]);
    let (pooled, direct) = (address(&bouncer.url), address(server_url()));
    let elsewhere = address(&Database::fresh(server_url()).await.url);
    for (to, listen, transaction_pooler) in
        [(&pooled, &pooled, true), (&direct, &pooled, false), (&direct, &elsewhere, false)]
    {
        let wrong = setup_fault(check(Setup { address: to, listen: Some(listen), transaction_pooler }).await);
        assert!(wrong.starts_with(&format!("{listen} (listen_url) does not hear what is said at {to}")), "{wrong}");
    }
}

#[tokio::test]
async fn a_pooler_that_refuses_what_the_driver_asks_for_says_which_setting_is_missing() {
    let bouncer = Pooler::start(server_url(), &["ignore_startup_parameters="]);
    let wrong = setup_fault(check_of(&bouncer.url).await);
    assert!(wrong.contains("unsupported startup parameter: extra_float_digits"), "{wrong}");
}
