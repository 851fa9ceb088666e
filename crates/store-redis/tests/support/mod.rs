//! A private Redis for the tests of this process, and namespaces of its own for each.

#![allow(dead_code, reason = "each test binary uses a part")]
#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::{ops::Deref, sync::OnceLock, time::Duration};

use redis::{Client, Value, aio::MultiplexedConnection};
use store_redis::{Options, RedisQueue};
use uuid::Uuid;

/// A server that this process has started, which can be asked.
pub struct Server(redis_testing::Server);

impl Deref for Server {
    type Target = redis_testing::Server;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Server {
    /// Starts one with these settings, each `name=value`, beside a log that is on disk before a call is answered.
    pub fn start(settings: &[&str]) -> Self {
        Self(redis_testing::Server::start(settings))
    }

    /// Ends it at once and starts it anew.
    pub fn crash(&self) {
        self.kill();
        self.restart();
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
