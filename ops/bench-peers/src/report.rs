use std::time::Duration;

use serde::Serialize;

use crate::scenario::Scenario;

/// The lock file says which version is measured.
const LOCK: &str = include_str!("../Cargo.lock");

/// Jobs within a time.
#[derive(Clone, Copy)]
pub struct Measured {
    jobs: u64,
    time: Duration,
}

impl Measured {
    /// That many jobs in that time.
    pub fn new(jobs: u64, time: Duration) -> Self {
        Self { jobs, time }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below what a float holds exactly")]
    fn rate(self) -> f64 {
        self.jobs as f64 / self.time.as_secs_f64()
    }
}

#[derive(Serialize)]
struct Line<'a> {
    peer: &'a str,
    version: &'a str,
    scenario: &'a str,
    value: f64,
    unit: &'a str,
    conditions: String,
}

/// What stands above the table.
pub fn begin(json: bool) {
    if !json {
        println!("{:<16} {:<8} {:<15} {:>8}  conditions", "peer", "version", "scenario", "jobs/s");
    }
}

/// Tells the median of the rounds, of which there is at least one.
pub fn tell(json: bool, peer: &str, scenario: Scenario, conditions: &str, mut rounds: Vec<Measured>) {
    let each = rounds
        .iter()
        .map(|round| format!("{:.0}/s: {} in {:.1} s", round.rate(), round.jobs, round.time.as_secs_f64()))
        .collect::<Vec<_>>()
        .join(", ");
    rounds.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    let Some(median) = rounds.get((rounds.len() - 1) / 2) else { return };
    let line = Line {
        peer,
        version: version(peer),
        scenario: scenario.name(),
        value: median.rate().round(),
        unit: "jobs/s",
        conditions: format!("{conditions}; median of {} ({each})", rounds.len()),
    };
    if json {
        println!("{}", serde_json::json!(line));
    } else {
        println!("{:<16} {:<8} {:<15} {:>8}  {}", line.peer, line.version, line.scenario, line.value, line.conditions);
    }
}

fn version(package: &str) -> &'static str {
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != name);
    lines.nth(1).and_then(|line| line.split('"').nth(1)).unwrap_or("unknown")
}
