use std::{future::Future, time::Instant};

const CALL_SECONDS: &str = "reviewfleet_store_call_seconds";

/// Measures the calls to a backend.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    backend: &'static str,
}

impl Meter {
    /// Of the backend that has this name in the metrics, such as `sqlite`.
    pub fn new(backend: &'static str) -> Self {
        metrics::describe_histogram!(
            CALL_SECONDS,
            metrics::Unit::Seconds,
            "Time of a call to the queue's store, by call."
        );
        Self { backend }
    }

    /// Does what a call asks for and records how long it took, whatever came of it.
    pub async fn time<T>(&self, call: &'static str, work: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let done = work.await;
        let seconds = start.elapsed().as_secs_f64();
        metrics::histogram!(CALL_SECONDS, "backend" => self.backend, "call" => call).record(seconds);
        done
    }
}
