use std::{sync::Arc, time::Instant};

use anyhow::Result;

use super::{
    Figure,
    target::{Bare, Target},
    workload::{KEY_LIMIT, Workload, at_once, keys, open, per_second, store_all},
};

/// Callers that store one job at a time, as requests do that come in at once.
const SINGLE_CALLERS: usize = 16;
/// Jobs that they store.
const SINGLE_JOBS: usize = 100_000;

/// Batches by several clients.
pub async fn batches(target: &Target) -> Result<Vec<Figure>> {
    let sizes = target.sizes();
    let per_client = sizes.waiting / sizes.batch / sizes.clients;
    let place = target.place().await?;
    let bare = insert(place.bare(sizes.clients).await?, sizes.clients, per_client, sizes.batch).await?;
    let clients = open(&place, sizes.clients).await?;
    let work = Workload::define(clients[0].queue.as_ref(), KEY_LIMIT).await?;
    let keys = Arc::new(keys("user", sizes.keys)?);
    let begun = Instant::now();
    let callers = clients.iter().enumerate().map(|(nth, client)| {
        let (store, work, keys) = (client.queue.clone(), work.clone(), keys.clone());
        async move {
            for call in 0..per_client {
                let first = (nth * per_client + call) * sizes.batch;
                let batch: Vec<_> = (0..sizes.batch).map(|i| work.job(&keys[(first + i) % keys.len()])).collect();
                store_all(store.as_ref(), &batch).await?;
            }
            Ok(())
        }
    });
    at_once(callers).await?;
    let value = per_second(per_client * sizes.batch * sizes.clients, begun.elapsed());
    drop(clients);
    place.remove().await?;
    let conditions =
        format!("{} jobs, {} keys, {} a call, {} clients", sizes.waiting, sizes.keys, sizes.batch, sizes.clients);
    Ok(vec![Figure::new("enqueue-batch", target, value, "jobs/s", conditions).beside(bare)])
}

/// One job a call by many callers in one process, each answered once its job is durable.
pub async fn singles(target: &Target) -> Result<Vec<Figure>> {
    let place = target.place().await?;
    let per_caller = SINGLE_JOBS / SINGLE_CALLERS;
    let bare = insert(place.bare(SINGLE_CALLERS).await?, SINGLE_CALLERS, per_caller / 4, 1).await?;
    let fleet = place.open().await?;
    let work = Workload::define(fleet.queue.as_ref(), KEY_LIMIT).await?;
    let keys = Arc::new(keys("user", target.sizes().keys)?);
    let begun = Instant::now();
    let callers = (0..SINGLE_CALLERS).map(|nth| {
        let (store, work, keys) = (fleet.queue.clone(), work.clone(), keys.clone());
        async move {
            let mut waits = Vec::with_capacity(per_caller);
            for call in 0..per_caller {
                let job = work.job(&keys[(nth * per_caller + call) % keys.len()]);
                let asked = Instant::now();
                store_all(store.as_ref(), &[job]).await?;
                waits.push(asked.elapsed());
            }
            Ok(waits)
        }
    });
    let waits = at_once(callers).await?.concat();
    let value = per_second(waits.len(), begun.elapsed());
    drop(fleet);
    place.remove().await?;
    let conditions = format!("{SINGLE_CALLERS} callers in one process, one job a call");
    Ok(vec![Figure::new("enqueue-single", target, value, "jobs/s", conditions).beside(bare).waiting(waits)])
}

/// Jobs a second that go into a bare table.
async fn insert(table: Bare, callers: usize, calls: usize, batch: usize) -> Result<f64> {
    let jobs = u32::try_from(batch)?;
    let begun = Instant::now();
    let inserting = (0..callers).map(|_| {
        let table = table.clone();
        async move {
            for _ in 0..calls {
                table.insert(jobs).await?;
            }
            Ok(())
        }
    });
    at_once(inserting).await?;
    let value = per_second(callers * calls * batch, begun.elapsed());
    table.close().await;
    Ok(value)
}
