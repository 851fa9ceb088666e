use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use jiff::SignedDuration;

use super::{
    Figure,
    target::{Bare, Place, Target},
    workload::{KEY_LIMIT, Sizes, Workload, at_once, keys, open, per_second},
};
use crate::output::Output;

/// Waiting jobs of the small queue that a large one is held against.
const FEW: usize = 10_000;
/// Jobs of each kind in the large one.
const MANY: usize = 1_000_000;
/// How far in the future its scheduled jobs lie: nothing of them falls due meanwhile.
pub const FAR: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Scrapes of the depth.
const SCRAPES: u32 = 20;

/// Claims and settlements with limits and turns.
pub async fn run(target: &Target, out: &Output) -> Result<Vec<Figure>> {
    let sizes = target.sizes();
    let place = target.place().await?;
    let bare = bare(place.bare(sizes.clients).await?, sizes).await?;
    let clients = open(&place, sizes.clients).await?;
    let store = clients[0].queue.as_ref();
    let work = Workload::define(store, KEY_LIMIT).await?;
    let bar = out.progress("filling", 0);
    work.fill(store, sizes.waiting, &keys("user", sizes.keys)?, None, &bar).await?;
    bar.finish_and_clear();
    let begun = Instant::now();
    let done = work.cycle(&clients, sizes.batch, sizes.cycles).await?;
    let value = per_second(done, begun.elapsed());
    drop(clients);
    place.remove().await?;
    let conditions = format!(
        "{} waiting, {} keys of limit {KEY_LIMIT}, {} a call, {} clients, over {} jobs",
        sizes.waiting, sizes.keys, sizes.batch, sizes.clients, sizes.cycles
    );
    Ok(vec![Figure::new("claim-settle", target, value, "jobs/s", conditions).beside(bare)])
}

/// The same with few jobs and with very many, and how long the depth takes to read there.
pub async fn many_keys(target: &Target, out: &Output) -> Result<Vec<Figure>> {
    let sizes = target.sizes();
    let place = target.place().await?;
    let (few, _) = flat(&place, sizes, FEW, 0, out).await?;
    place.remove().await?;
    let place = target.place().await?;
    let (many, scrape) = flat(&place, sizes, MANY, MANY, out).await?;
    place.remove().await?;
    let tail = format!("{} keys of limit {KEY_LIMIT}, {} a call, {} clients", sizes.keys, sizes.batch, sizes.clients);
    let full = format!("{MANY} waiting, {MANY} scheduled and {MANY} parked");
    Ok(vec![
        Figure::new("many-keys", target, few, "jobs/s", format!("{FEW} waiting, {tail}")),
        Figure::new(
            "many-keys",
            target,
            many,
            "jobs/s",
            format!("{full}, {tail}: {:.2} of the rate at {FEW}", many / few),
        ),
        Figure::new("many-keys", target, scrape.as_secs_f64() * 1e3, "ms", format!("one scrape of the depth, {full}")),
    ])
}

async fn flat(place: &Place, sizes: Sizes, waiting: usize, others: usize, out: &Output) -> Result<(f64, Duration)> {
    let clients = open(place, sizes.clients).await?;
    let store = clients[0].queue.as_ref();
    let work = Workload::define(store, KEY_LIMIT).await?;
    let bar = out.progress("filling", 0);
    if others > 0 {
        let held = work.class(store, "held", 0).await?;
        held.fill(store, others, &keys("held", sizes.keys)?, None, &bar).await?;
        // Where jobs are parked by the claims that meet them, they meet them now.
        while work.stats(store).await?.ready > 0 {
            ensure!(
                store.claim(&work.claim(sizes.batch)?).await?.jobs.is_empty(),
                "a job of a key with limit 0 has started"
            );
        }
        let far = work.in_the_future(store, FAR).await?;
        work.fill(store, others, &keys("later", sizes.keys)?, Some(far), &bar).await?;
    }
    let keys = keys("user", sizes.keys)?;
    work.fill(store, waiting, &keys, None, &bar).await?;
    bar.finish_and_clear();
    // In rounds, so that the queue stays about as full.
    let each = sizes.cycles.min(waiting / 2);
    let (mut done, mut took) = (0, Duration::ZERO);
    while done < sizes.cycles {
        let begun = Instant::now();
        let cycled = work.cycle(&clients, sizes.batch, each).await?;
        (done, took) = (done + cycled, took + begun.elapsed());
        work.fill(store, cycled, &keys, None, &bar).await?;
    }
    let value = per_second(done, took);
    let begun = Instant::now();
    for _ in 0..SCRAPES {
        work.stats(store).await?;
    }
    Ok((value, begun.elapsed() / SCRAPES))
}

/// Cycles a second of a bare table.
pub async fn bare(table: Bare, sizes: Sizes) -> Result<f64> {
    let batch = u32::try_from(sizes.batch)?;
    for _ in 0..sizes.waiting / sizes.batch {
        table.insert(batch).await?;
    }
    table.analyze().await?;
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let callers = (0..sizes.clients).map(|_| {
        let (table, done) = (table.clone(), done.clone());
        async move {
            while done.load(Ordering::Relaxed) < sizes.cycles {
                let jobs = table.cycle(batch).await?;
                ensure!(jobs > 0, "the bare table ran dry");
                done.fetch_add(jobs, Ordering::Relaxed);
            }
            Ok(())
        }
    });
    at_once(callers).await?;
    let value = per_second(done.load(Ordering::Relaxed), begun.elapsed());
    table.close().await;
    Ok(value)
}
