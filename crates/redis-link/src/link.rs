use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, ServerErrorKind, Value, aio::MultiplexedConnection,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::RedisUrl;

/// How long a connection may take to be made, in the background.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// The pause before a lost connection is made anew, and between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Losses that are told at once; all but the first are of the same connection.
const LOSSES_MAX: usize = 8;

/// One connection that all callers share. Clones are not needed: it is called by reference.
#[derive(Debug)]
pub struct Link {
    state: watch::Receiver<State>,
    lost: mpsc::Sender<u64>,
    wait: Duration,
    task: JoinHandle<()>,
}

/// Why a call had no answer. What was called may have happened.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no connection at the moment.
    #[error("Redis is away")]
    Away,
    /// The answer did not come in time.
    #[error("Redis did not answer in time")]
    Late,
    /// The server refused, or the connection broke.
    #[error("the call of Redis failed")]
    Failed(#[from] RedisError),
}

#[derive(Debug, Clone)]
enum State {
    /// No connection was tried yet.
    Starting,
    Away,
    /// With its number, so that a connection is lost once.
    Live(u64, MultiplexedConnection),
}

impl Link {
    /// Begins to connect. A call answers after `wait` at the latest. Must be called within a Tokio runtime.
    pub fn new(url: &RedisUrl, wait: Duration) -> Self {
        let (tell, state) = watch::channel(State::Starting);
        let (lost, losses) = mpsc::channel(LOSSES_MAX);
        let task = tokio::spawn(keep(url.client(), url.to_string(), tell, losses));
        Self { state, lost, wait, task }
    }

    /// Sends one command. Without a connection the answer is [`LinkError::Away`] at once, but for the first one, which is
    /// waited for.
    pub async fn call(&self, command: &Cmd) -> Result<Value, LinkError> {
        let mut number = None;
        let call = async {
            let mut state = self.state.clone();
            let state = state.wait_for(|state| !matches!(state, State::Starting)).await;
            let Ok(State::Live(live, mut connection)) = state.map(|state| state.clone()) else {
                return Err(LinkError::Away);
            };
            number = Some(live);
            Ok(command.query_async(&mut connection).await?)
        };
        let answer = timeout(self.wait, call).await.unwrap_or(Err(LinkError::Late));
        if let (Some(number), Err(error)) = (number, &answer)
            && is_loss(error)
        {
            // Where there is no room, this loss has been told already.
            let _ = self.lost.try_send(number);
        }
        answer
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server that answers "no" to one call serves the next; one that has become a replica does not.
fn is_loss(error: &LinkError) -> bool {
    match error {
        LinkError::Away => false,
        LinkError::Late => true,
        LinkError::Failed(error) => {
            error.is_io_error()
                || error.is_unrecoverable_error()
                || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        }
    }
}

/// Keeps a connection until the link is dropped. Two log lines an outage.
async fn keep(client: Client, address: String, tell: watch::Sender<State>, mut losses: mpsc::Receiver<u64>) {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_WAIT))
        // Each call has its own, shorter.
        .set_response_timeout(None);
    let (mut number, mut is_away) = (0, false);
    loop {
        match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => {
                number += 1;
                if is_away {
                    tracing::info!(redis = address, "Redis is back");
                }
                is_away = false;
                tell.send_replace(State::Live(number, connection));
                while losses.recv().await.is_some_and(|lost| lost != number) {}
                tell.send_replace(State::Away);
            }
            Err(error) => {
                if !is_away {
                    tracing::warn!(redis = address, %error, "Redis is away");
                }
                is_away = true;
                tell.send_replace(State::Away);
            }
        }
        sleep(PAUSE).await;
    }
}
