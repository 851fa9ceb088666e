use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use redis::{RedisError, aio::PubSub};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::connection::Connection;

/// First and longest wait before the listener connects again.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// How often a silent connection is asked whether it lives, and how long it has to answer.
const PROBE_EVERY: Duration = Duration::from_secs(30);
const PROBE_WAIT: Duration = Duration::from_secs(5);

/// Hears wake-ups of all processes on a connection of its own, and connects again when it is lost.
pub(crate) async fn listen(connection: Arc<Connection>, wake: watch::Sender<()>) {
    let channel = connection.key("wake");
    let mut back_off = BACK_OFF_MIN;
    loop {
        match timeout(PROBE_WAIT, subscribe(&connection, &channel)).await {
            Ok(Ok(listener)) => {
                back_off = BACK_OFF_MIN;
                // What was said while nobody listened is made up for.
                wake.send_replace(());
                hear(listener, &wake).await;
                tracing::warn!("the listener has lost its connection to Redis");
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, retry_ms = back_off.as_millis(), "the listener cannot connect to Redis");
            }
            Err(_) => tracing::warn!(retry_ms = back_off.as_millis(), "Redis does not answer the listener"),
        }
        sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

async fn subscribe(connection: &Connection, channel: &str) -> Result<PubSub, RedisError> {
    let mut listener = connection.client().get_async_pubsub().await?;
    listener.subscribe(channel).await?;
    Ok(listener)
}

/// Passes wake-ups on until the connection is lost.
async fn hear(listener: PubSub, wake: &watch::Sender<()>) {
    let (mut asking, mut heard) = listener.split();
    loop {
        match timeout(PROBE_EVERY, heard.next()).await {
            Ok(Some(_)) => {
                wake.send_replace(());
            }
            Ok(None) => return,
            // A connection that was cut without a word is silent for ever; a living one answers.
            Err(_) => {
                if !matches!(timeout(PROBE_WAIT, asking.ping::<redis::Value>()).await, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}
