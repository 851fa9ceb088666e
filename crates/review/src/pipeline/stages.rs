use std::time::{Duration, Instant};

use crate::{Micros, Stage, StageReport, metric};

/// What each stage has taken so far.
#[derive(Debug, Default)]
pub struct Stages(Vec<StageReport>);

impl Stages {
    /// Runs a stage that computes.
    pub fn time<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let made = work();
        self.add(stage, begun.elapsed(), Micros(0));
        made
    }

    /// Runs a stage that waits for others.
    pub async fn timed<T>(&mut self, stage: Stage, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let made = work.await;
        self.add(stage, begun.elapsed(), Micros(0));
        made
    }

    /// Reports a stage that was measured elsewhere.
    pub fn add(&mut self, stage: Stage, took: Duration, cost: Micros) {
        metrics::histogram!(metric::STAGE_SECONDS, "stage" => stage.as_str()).record(took.as_secs_f64());
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.push(StageReport { stage, took_us, cost });
    }

    /// The reports, in the order of the stages.
    pub fn reports(self) -> Vec<StageReport> {
        self.0
    }
}
