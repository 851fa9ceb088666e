use std::{future::Future, io};

use tokio_util::sync::CancellationToken;
use tracing::info;

/// The stop signal of a process: asked for once, everything drains; asked for again, nothing is waited for any more.
///
/// Clones share the signal.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    now: CancellationToken,
}

/// A signal has ended a program before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// It was told to stop before what it does once was done.
    #[error("stopped before the end")]
    BeforeTheEnd,
    /// It was told a second time while it was stopping.
    #[error("stopped at once, by a second signal")]
    AtOnce,
}

impl Shutdown {
    /// Exit code of a process that was told a second time to stop: 128 and the number of SIGINT, as shells have it.
    pub const FORCED_EXIT_CODE: u8 = 130;

    /// A signal that only [`Shutdown::request`] gives.
    pub fn new() -> Self {
        Self::default()
    }

    /// A signal that SIGTERM and SIGINT (Ctrl-C) give as well, for as long as the process lives. Needs a runtime.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut signals = Signals::listen()?;
        let told = shutdown.clone();
        tokio::spawn(async move {
            while !told.now.is_cancelled() {
                let signal = signals.next().await;
                info!(signal, again = told.drain.is_cancelled(), "told to stop");
                told.request();
            }
        });
        Ok(shutdown)
    }

    /// Asks for the end: the first time to drain, the second time to end at once.
    pub fn request(&self) {
        if self.drain.is_cancelled() {
            self.now.cancel();
        }
        self.drain.cancel();
    }

    /// The token that the first request cancels.
    pub const fn token(&self) -> &CancellationToken {
        &self.drain
    }

    /// Waits for the first request.
    pub async fn requested(&self) {
        self.drain.cancelled().await;
    }

    /// Waits for the second request. What runs then is to be dropped, and the process to end with
    /// [`Shutdown::FORCED_EXIT_CODE`].
    pub async fn forced(&self) {
        self.now.cancelled().await;
    }

    /// Runs `work`, which leaves nothing behind when it is dropped, to its end, or until it is told to stop.
    pub async fn unless_requested<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.requested() => None,
            done = work => Some(done),
        }
    }

    /// Runs `work` to its end, or until it is told a second time to stop; then it is dropped.
    pub async fn run<T, E: From<Interrupted>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        tokio::select! {
            biased;
            () = self.forced() => Err(Interrupted::AtOnce.into()),
            done = work => done,
        }
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> &'static str {
        self.0.recv().await;
        "Ctrl-C"
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        pin::Pin,
        process::Command,
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    /// Far more than a signal needs to arrive.
    const PATIENCE: Duration = Duration::from_secs(10);

    #[cfg(unix)]
    #[tokio::test]
    async fn the_first_signal_drains_and_the_second_ends_at_once() {
        let shutdown = Shutdown::on_signals().unwrap();
        let send = |signal: &str| {
            let pid = std::process::id().to_string();
            assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        };
        assert!(!shutdown.token().is_cancelled());
        send("TERM");
        timeout(PATIENCE, shutdown.requested()).await.unwrap();
        assert!(!shutdown.now.is_cancelled());
        send("INT");
        timeout(PATIENCE, shutdown.forced()).await.unwrap();
    }

    #[tokio::test]
    async fn work_is_dropped_at_the_second_request_and_not_before() {
        let shutdown = Shutdown::new();
        shutdown.request();
        let run = async |work: Pin<Box<dyn Future<Output = Result<u8, Interrupted>>>>| shutdown.run(work).await;
        assert_eq!(run(Box::pin(ready(Ok(7)))).await, Ok(7));
        let clone = shutdown.clone();
        clone.request();
        assert_eq!(timeout(PATIENCE, run(Box::pin(pending()))).await.unwrap(), Err(Interrupted::AtOnce));
    }
}
