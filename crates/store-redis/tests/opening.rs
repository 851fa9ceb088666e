//! Which servers and namespaces are refused, and with which words.

mod support;

use store::{QueueStore, StoreError};
use store_redis::{Durability, Options, RedisQueue};
use support::{Server, namespace, server};

async fn open(url: &str, durability: Durability) -> Result<(), StoreError> {
    let options = Options { namespace: namespace(), durability, ..Options::default() };
    RedisQueue::open(url, options).await.map(drop)
}

#[track_caller]
fn assert_invalid(answer: &Result<(), StoreError>, says: &str) {
    assert!(matches!(answer, Err(StoreError::Invalid(text)) if text.contains(says)), "{answer:?}");
}

#[tokio::test]
async fn strict_durability_asks_for_a_log_that_is_on_disk_before_the_answer() {
    let server = Server::start(&[]);
    for (setting, says) in [
        ("appendfsync everysec", "appendfsync everysec: set it to always"),
        ("appendfsync no", "appendfsync no: set it to always"),
        ("no-appendfsync-on-rewrite yes", "no-appendfsync-on-rewrite yes"),
        ("appendonly no", "keeps no log"),
    ] {
        let (name, _) = setting.split_once(' ').unwrap();
        let normal = ["appendfsync always", "no-appendfsync-on-rewrite no", "appendonly yes"];
        server.command(&format!("CONFIG SET {setting}")).await;
        assert_invalid(&open(&server.url, Durability::Strict).await, says);
        open(&server.url, Durability::Relaxed).await.unwrap();
        let back = normal.iter().find(|other| other.starts_with(&format!("{name} "))).unwrap();
        server.command(&format!("CONFIG SET {back}")).await;
    }
    open(&server.url, Durability::Strict).await.unwrap();
}

#[tokio::test]
async fn a_server_that_evicts_is_refused() {
    let server = Server::start(&["maxmemory-policy=allkeys-lru"]);
    for durability in [Durability::Strict, Durability::Relaxed] {
        assert_invalid(&open(&server.url, durability).await, "maxmemory-policy allkeys-lru");
    }
}

#[tokio::test]
async fn where_the_configuration_is_forbidden_the_server_is_asked_for_its_state() {
    let server = Server::start(&["maxmemory-policy=volatile-ttl"]);
    server.command("ACL SETUSER app on >secret ~* &* +@all -config").await;
    let url = server.url.replace("redis://", "redis://app:secret@");
    assert_invalid(&open(&url, Durability::Relaxed).await, "maxmemory-policy volatile-ttl");
    server.command("CONFIG SET maxmemory-policy noeviction").await;
    open(&url, Durability::Relaxed).await.unwrap();
    assert_invalid(&open(&url, Durability::Strict).await, "does not tell its appendfsync");
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_privilege_are_told() {
    let server = Server::start(&["requirepass=right"]);
    assert_invalid(&open(&server.url, Durability::Strict).await, "user or password");
    let url = |user: &str| server.url.replace("redis://", &format!("redis://{user}@"));
    assert_invalid(&open(&url(":wrong"), Durability::Strict).await, "user or password");
    open(&url(":right"), Durability::Strict).await.unwrap();
    assert_invalid(&open("http://127.0.0.1", Durability::Strict).await, "address");
    let reader = Server::start(&[]);
    reader.command("ACL SETUSER reader on >r ~* +@all -evalsha -script").await;
    let url = reader.url.replace("redis://", "redis://reader:r@");
    assert_invalid(&open(&url, Durability::Strict).await, "lacks a privilege");
}

#[tokio::test]
async fn a_namespace_of_another_program_is_left_alone() {
    let open_as = async |namespace: &str| {
        let options = Options { namespace: namespace.to_owned(), ..Options::default() };
        RedisQueue::open(&server().url, options).await
    };
    let (newer, foreign) = (namespace(), namespace());
    server().command(&format!("HSET {{{newer}}}:meta layout 99")).await;
    let error = open_as(&newer).await.unwrap_err();
    assert!(matches!(&error, StoreError::Schema(text) if text.contains("99")), "{error:?}");
    server().command(&format!("SET {{{foreign}}}:meta theirs")).await;
    let error = open_as(&foreign).await.unwrap_err();
    assert!(matches!(&error, StoreError::Schema(text) if text.contains("another program")), "{error:?}");
    for wrong in ["", "a b", "a}b", &"x".repeat(65)] {
        let error = open_as(wrong).await.unwrap_err();
        assert!(matches!(&error, StoreError::Invalid(text) if text.contains("namespace")), "{error:?}");
    }
    let (one, other) = (open_as(&namespace()).await.unwrap(), open_as(&namespace()).await.unwrap());
    store::QueueAdmin::define_queue(&one, &store_conformance::Bed::queue(), None).await.unwrap();
    assert!(other.stats().await.unwrap().is_empty(), "namespaces do not see each other");
}
