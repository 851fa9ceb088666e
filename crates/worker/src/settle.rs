use std::{sync::Arc, time::Duration};

use job::{QueueName, Transition};
use store::{Settled, Settlement, StoreError, chain, recv_together};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    Drained,
    backoff::Backoff,
    lease::Held,
    metric,
    op::Op,
    shared::{CALL_MAX, Shared},
};

/// Most settlements in one call, so that none of them waits long for the others.
const BATCH_MAX: usize = 1_000;
/// How long after its lease ran out a settlement is still tried. While the store is away nobody can take the lease over,
/// so that work which is done need not be done again; an hour bounds it. A worker that drains tries no longer than the
/// lease runs.
const PATIENCE: Duration = Duration::from_hours(1);

/// The end of an attempt, on its way to the store.
pub(crate) struct Ending {
    pub(crate) settlement: Settlement,
    pub(crate) queue: QueueName,
    /// Until when the lease surely ran when the attempt ended.
    pub(crate) until: Instant,
    /// Keeps the lease renewed until the store has answered.
    pub(crate) _held: Held,
}

/// Writes endings in batches until all senders are gone. A flush starts as soon as none is in flight and takes all that
/// came in meanwhile, so that a lone job waits for nobody.
pub(crate) async fn run(shared: Arc<Shared>, mut endings: mpsc::Receiver<Ending>) -> Drained {
    let mut drained = Drained::default();
    let mut batch = Vec::new();
    while recv_together(&mut endings, &mut batch, BATCH_MAX).await > 0 {
        flush(&shared, &mut drained, std::mem::take(&mut batch)).await;
    }
    drained
}

async fn flush(shared: &Shared, drained: &mut Drained, mut batch: Vec<Ending>) {
    let mut backoff = Backoff::new();
    while !batch.is_empty() {
        let settlements: Vec<_> = batch.iter().map(|ending| ending.settlement.clone()).collect();
        match shared.call(Op::Settle, CALL_MAX, shared.store.settle(&settlements)).await {
            Ok(answers) => {
                batch.iter().zip(answers).for_each(|(ending, settled)| drained.count(ending, settled));
                return;
            }
            Err(error) if error.is_transient() => {
                let abandoned = batch.extract_if(.., |ending| is_hopeless(shared, ending));
                abandoned.for_each(|ending| drained.give_up(&ending, &error));
            }
            // One settlement that the store refuses must not keep back the others.
            Err(_) if batch.len() > 1 => {
                for ending in batch {
                    Box::pin(flush(shared, drained, vec![ending])).await;
                }
                return;
            }
            Err(error) => return batch.iter().for_each(|ending| drained.give_up(ending, &error)),
        }
        shared.pause(backoff.next()).await;
    }
    shared.faults.clear(Op::Settle.name());
}

fn is_hopeless(shared: &Shared, ending: &Ending) -> bool {
    let patience = if shared.stop.is_cancelled() { Duration::ZERO } else { PATIENCE };
    ending.until + patience <= Instant::now()
}

impl Drained {
    fn count(&mut self, ending: &Ending, settled: Settled) {
        if settled == Settled::LeaseLost {
            self.leases_lost += 1;
            metric::lost(&ending.queue);
            let job_id = ending.settlement.lease().job;
            tracing::warn!(%job_id, queue = %ending.queue, "the lease was lost: another attempt has the job");
            return;
        }
        let transition = ending.settlement.transition();
        metric::settled(&ending.queue, transition);
        *match transition {
            Transition::Complete => &mut self.completed,
            Transition::Retry { .. } => &mut self.retried,
            Transition::Bury { .. } => &mut self.dead,
            Transition::Release => &mut self.released,
            Transition::Cancel(_) => &mut self.cancelled,
        } += 1;
    }

    fn give_up(&mut self, ending: &Ending, error: &StoreError) {
        self.unsettled += 1;
        let (job_id, error) = (ending.settlement.lease().job, chain(error));
        tracing::error!(%job_id, queue = %ending.queue, error, "a settlement is given up: the job will run again");
    }
}
