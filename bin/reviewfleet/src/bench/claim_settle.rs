use anyhow::{Context, Result};
use fleet::{Config, Fleet};

use super::{
    Figure,
    load::{FILL_BATCH, Load},
};
use crate::output::Output;

/// Backlogs to measure at: the figure must not fall with the depth.
const WAITING: [usize; 2] = [100_000, 1_000_000];
const KEYS: usize = 1_000;
const KEY_LIMIT: u32 = 50;
const BATCH: usize = 100;
/// Jobs that each figure is measured over: few enough that every settlement, at either depth, frees room that a parked
/// job of its key takes.
const CYCLES: usize = KEYS * KEY_LIMIT as usize;

/// Claims and settlements a second of the embedded store, beside how fast the backlog was put in.
pub async fn run(out: &Output) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for waiting in WAITING {
        let dir = tempfile::tempdir().context("no temporary folder")?;
        let mut config = Config::default();
        config.store.data_dir = dir.path().to_owned();
        let fleet = Fleet::open(config).await?;
        let store = fleet.queue.as_ref();
        let load = Load::prepare(store, KEYS, KEY_LIMIT).await?;
        let bar = out.progress("filling", waiting as u64);
        let filled = load.fill(store, waiting, |jobs| bar.inc(jobs as u64)).await?;
        bar.finish_and_clear();
        let cycles = load.cycle(store, BATCH, CYCLES).await?;
        figures.push(figure("enqueue-batch", filled, format!("{waiting} jobs, {KEYS} keys, {FILL_BATCH} a call")));
        figures.push(figure(
            "claim-settle",
            cycles,
            format!("{waiting} waiting, {KEYS} keys of limit {KEY_LIMIT}, {BATCH} a call, over {CYCLES} jobs"),
        ));
    }
    Ok(figures)
}

fn figure(scenario: &'static str, value: f64, conditions: String) -> Figure {
    Figure { scenario, backend: "sqlite", value, unit: "jobs/s", p50_ms: None, p99_ms: None, conditions }
}
