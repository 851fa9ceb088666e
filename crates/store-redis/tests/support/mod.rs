//! A private Redis for the tests of this process, and namespaces of its own for each.

#![allow(dead_code, reason = "each test binary uses a part")]
#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::{
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use redis::{Client, Value, aio::MultiplexedConnection};
use store_redis::{Options, RedisQueue};
use tempfile::TempDir;
use uuid::Uuid;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ops/redis-server");

/// A server that this process has started. It ends when it is dropped, or else with the process: a watcher stops it when its
/// standard input closes.
pub struct Server {
    pub url: String,
    dir: PathBuf,
    _watched: ChildStdin,
}

fn script(command: &str, dir: &Path, settings: &[&str]) -> String {
    let output = Command::new(SCRIPT).arg(command).arg(dir).args(settings).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "ops/redis-server {command} fails");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Server {
    /// Starts one with these settings, each `name=value`, beside a log that is on disk before a call is answered.
    pub fn start(settings: &[&str]) -> Self {
        let dir = TempDir::new().unwrap().keep();
        let url = script("start", &dir, settings);
        // Tests are killed at a timeout, and destructors of statics never run: the watcher outlives this process.
        let watcher = Command::new("sh")
            .args(["-c", r#"cat >/dev/null; "$0" stop "$1"; rm -rf "$1""#, SCRIPT])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self { url, dir, _watched: watcher.unwrap().stdin.unwrap() }
    }

    /// Ends it at once and starts it anew.
    pub fn crash(&self) {
        script("crash", &self.dir, &[]);
        self.restart();
    }

    /// Ends it in order.
    pub fn stop(&self) {
        script("stop", &self.dir, &[]);
    }

    /// Starts it anew.
    pub fn restart(&self) {
        assert_eq!(script("start", &self.dir, &[]), self.url);
    }

    /// A connection to it, beside the queue's.
    pub async fn connection(&self) -> MultiplexedConnection {
        Client::open(self.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    /// Runs a command, its words divided by spaces.
    pub async fn command(&self, words: &str) -> Value {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query_async(&mut self.connection().await).await.unwrap()
    }
}

/// The server that the tests of this process share.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&[]))
}

/// A namespace that no other test uses.
pub fn namespace() -> String {
    format!("test-{}", Uuid::now_v7().simple())
}

/// A queue in a namespace.
pub async fn open(server: &Server, namespace: &str) -> RedisQueue {
    let options = Options { namespace: namespace.to_owned(), ..Options::default() };
    RedisQueue::open(&server.url, options).await.unwrap()
}

/// Makes the clock of a namespace stand, at a time in which nothing else happens.
pub async fn stop_clock(server: &Server, namespace: &str) {
    server.command(&format!("HSET {{{namespace}}}:meta clock 1767323045000")).await;
}

/// Moves a clock that stands.
pub async fn advance(server: &Server, namespace: &str, by: Duration) {
    server.command(&format!("HINCRBY {{{namespace}}}:meta clock {}", by.as_millis())).await;
}
