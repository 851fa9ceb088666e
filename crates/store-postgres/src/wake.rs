use std::{sync::Arc, time::Duration};

use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use store::Faults;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::{database::Database, sql};

/// The channel that all processes listen on. A notification has no payload: who hears it asks for work.
const CHANNEL: &str = "reviewfleet_queue";
/// Least time between two notifications of a process: each is a transaction that takes a lock of the whole server.
const NOTIFY_EVERY: Duration = Duration::from_millis(5);
/// How long jobs are this process's alone to claim: a claim's round trip, and little beside the wait for a wake-up.
const OFFERED_FOR: Duration = Duration::from_millis(3);
/// First and longest wait before the listener connects again.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// How long a connection may take to listen, and to answer whether it lives.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// What the listener does, in the account of its faults.
const LISTEN: &str = "listen";

/// What wakes this process and the others.
#[derive(Debug, Clone)]
pub(crate) struct Waker {
    here: watch::Sender<()>,
    others: Arc<Notify>,
    others_later: Arc<Notify>,
}

impl Waker {
    pub(crate) fn new() -> Self {
        Self { here: watch::Sender::new(()), others: Arc::default(), others_later: Arc::default() }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.here.subscribe()
    }

    /// Wakes who waits for work, here at once and in the other processes within milliseconds.
    pub(crate) fn wake(&self) {
        self.here.send_replace(());
        self.others.notify_one();
    }

    /// Wakes who waits for work here, and the others if something is left soon after: for jobs that have become ready as
    /// this process has ended others, and so has most likely room for them. All woken together, all but one find nothing.
    pub(crate) fn offer(&self) {
        self.here.send_replace(());
        self.others_later.notify_one();
    }
}

/// Wakes the other processes, after the commits that asked for it and joined with what comes meanwhile.
pub(crate) async fn notify(database: Database, waker: Waker) {
    loop {
        let later = async {
            waker.others_later.notified().await;
            sleep(OFFERED_FOR).await;
        };
        let statement = tokio::select! {
            biased;
            () = waker.others.notified() => sql::NOTIFY,
            () = later => sql::NOTIFY_IF_READY,
        };
        // A wake-up may be lost: polling covers it.
        let _ = database.rows("notify", sqlx::query(statement)).await;
        sleep(NOTIFY_EVERY).await;
    }
}

/// Hears wake-ups of all processes on a connection of its own, and connects again when it is lost. A connection that has been
/// silent for `probe` is asked whether it lives.
pub(crate) async fn listen(options: PgConnectOptions, probe: Duration, waker: Waker) {
    let faults = Faults::new("connection that listens");
    let mut back_off = BACK_OFF_MIN;
    let mut is_again = false;
    loop {
        // Whichever step it hangs in.
        let connected = timeout(ANSWER_MAX, connect(&options, is_again)).await;
        is_again = true;
        let error = match connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(mut listener) => {
                faults.clear(LISTEN);
                back_off = BACK_OFF_MIN;
                // What was said while nobody listened is made up for.
                waker.here.send_replace(());
                hear(&mut listener, probe, &waker.here).await
            }
            Err(error) => error,
        };
        faults.away(LISTEN, &error);
        sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

/// Connects and listens; `again` where the server may be away: a pool would ask it ten times.
async fn connect(options: &PgConnectOptions, again: bool) -> Result<PgListener, sqlx::Error> {
    if again {
        PgConnection::connect_with(options).await?.close().await?;
    }
    let pool =
        PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER_MAX).connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Passes notifications on until the connection is lost, and says why it is.
async fn hear(listener: &mut PgListener, probe: Duration, wake: &watch::Sender<()>) -> sqlx::Error {
    loop {
        match timeout(probe, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {
                wake.send_replace(());
            }
            Ok(Ok(None)) => return sqlx::Error::PoolClosed,
            Ok(Err(error)) => return error,
            // A connection that was cut without a word is silent for ever; a living one answers.
            Err(_) => match timeout(ANSWER_MAX.min(probe), sqlx::query("SELECT 1").execute(&mut *listener)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error,
                Err(_) => return sqlx::Error::PoolTimedOut,
            },
        }
    }
}
