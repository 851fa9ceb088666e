use std::time::Instant;

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
    let keys = keys("user", sizes.keys)?;
    let begun = Instant::now();
    at_once(sizes.clients, async |nth| {
        for call in 0..per_client {
            let first = (nth * per_client + call) * sizes.batch;
            let batch: Vec<_> = (0..sizes.batch).map(|i| work.job(&keys[(first + i) % keys.len()])).collect();
            store_all(clients[nth].queue.as_ref(), &batch).await?;
        }
        Ok(())
    })
    .await?;
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
    let keys = keys("user", target.sizes().keys)?;
    let begun = Instant::now();
    let waits = at_once(SINGLE_CALLERS, async |nth| {
        let mut waits = Vec::with_capacity(per_caller);
        for call in 0..per_caller {
            let job = work.job(&keys[(nth * per_caller + call) % keys.len()]);
            let asked = Instant::now();
            store_all(fleet.queue.as_ref(), &[job]).await?;
            waits.push(asked.elapsed());
        }
        Ok(waits)
    });
    let waits = waits.await?.concat();
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
    at_once(callers, async |_| {
        for _ in 0..calls {
            table.insert(jobs).await?;
        }
        Ok(())
    })
    .await?;
    let value = per_second(callers * calls * batch, begun.elapsed());
    table.close().await;
    Ok(value)
}
