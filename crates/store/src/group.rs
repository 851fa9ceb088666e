use std::future::Future;

use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
};

/// Joins the calls of many callers into one: a flush starts as soon as none is in flight, and takes all that came in
/// meanwhile. There is no timer, so that a lone caller waits for nobody.
///
/// ```text
/// callers ──▶ channel (bounded) ──▶ flush of up to `batch_max` items ──▶ each caller's own answer
/// ```
#[derive(Debug)]
pub struct GroupCommit<I, O> {
    queue: mpsc::Sender<Entry<I, O>>,
}

// Derived, it would ask for items and answers that can be cloned, which errors cannot.
impl<I, O> Clone for GroupCommit<I, O> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

#[derive(Debug)]
struct Entry<I, O> {
    item: I,
    answer: oneshot::Sender<O>,
}

/// The task behind a [`GroupCommit`] is gone: the program is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the program is shutting down")]
pub struct GroupCommitError;

impl<I: Send + 'static, O: Send + 'static> GroupCommit<I, O> {
    /// Starts the flushing task; it ends when every clone is dropped and all items are answered.
    ///
    /// `flush` gets the items of a batch and answers as many, in their order. At most `waiting_max` callers wait beside
    /// the batch in flight; further ones wait to be let in.
    pub fn start<F, A>(batch_max: usize, waiting_max: usize, flush: F) -> Self
    where
        F: Fn(Vec<I>) -> A + Send + Sync + 'static,
        A: Future<Output = Vec<O>> + Send,
    {
        let (queue, mut waiting) = mpsc::channel::<Entry<I, O>>(waiting_max);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(batch_max);
            while recv_together(&mut waiting, &mut batch, batch_max).await > 0 {
                let (items, answers): (Vec<_>, Vec<_>) = batch.drain(..).map(|e| (e.item, e.answer)).unzip();
                for (answer, output) in answers.into_iter().zip(flush(items).await) {
                    // A caller that has gone away does not need its answer.
                    let _ = answer.send(output);
                }
            }
        });
        Self { queue }
    }

    /// Hands in one item and waits for its answer.
    pub async fn submit(&self, item: I) -> Result<O, GroupCommitError> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Entry { item, answer }).await.map_err(|_| GroupCommitError)?;
        answered.await.map_err(|_| GroupCommitError)
    }
}

/// As [`mpsc::Receiver::recv_many`], and lets those in as well that are about to send: callers that were answered together,
/// or tasks that end together, come one after another, and the first of them would go alone while all others wait for it.
/// One that is alone is not kept waiting.
pub async fn recv_together<T>(from: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, batch_max: usize) -> usize {
    let mut known = 0;
    let mut taken = from.recv_many(batch, batch_max).await;
    while known < taken && taken < batch_max {
        known = taken;
        yield_now().await;
        while taken < batch_max
            && let Ok(item) = from.try_recv()
        {
            batch.push(item);
            taken += 1;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn callers_that_come_during_a_flush_share_the_next_one() {
        let flushes = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let (count, wait) = (flushes.clone(), gate.clone());
        let group = GroupCommit::start(100, 100, move |items: Vec<u32>| {
            let (count, wait) = (count.clone(), wait.clone());
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                wait.acquire().await.unwrap().forget();
                items.into_iter().map(|i| i * 2).collect()
            }
        });
        let calls: Vec<_> = (0..51)
            .map(|i| {
                let group = group.clone();
                tokio::spawn(async move { group.submit(i).await })
            })
            .collect();
        while flushes.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
        gate.add_permits(51);
        for (i, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), Ok(u32::try_from(i).unwrap() * 2));
        }
        assert!(flushes.load(Ordering::SeqCst) <= 3, "{flushes:?} flushes for 51 callers");
    }
}
