use std::{
    error::Error,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tracing::{info, warn};

use super::OpenError;

/// First and longest pause between two tries.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long faults are borne that may pass by themselves. Each is told once, so that somebody who watches knows at once
/// what is waited for.
pub struct Patience {
    until: Instant,
    pause: Duration,
    told: Option<String>,
}

impl Patience {
    pub fn new(patience: Duration) -> Self {
        Self { until: Instant::now() + patience, pause: PAUSE_MIN, told: None }
    }

    /// Pauses before the next try, or gives the fault back.
    pub async fn bear(&mut self, error: OpenError) -> Result<(), OpenError> {
        let left = self.until.saturating_duration_since(Instant::now());
        if !error.is_transient() || left.is_zero() {
            return Err(error);
        }
        let fault = chain(&error);
        if self.told.as_ref() != Some(&fault) {
            warn!(error = fault, left_secs = left.as_secs(), "waiting for the database");
            self.told = Some(fault);
        }
        sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }

    /// Tells that it is over.
    pub fn end(self) {
        if self.told.is_some() {
            info!("the database is there");
        }
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
