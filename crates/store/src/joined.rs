use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{GroupCommit, GroupCommitError, StoreError};

/// Callers whose items one transaction takes.
const JOIN_MAX: usize = 256;
/// Callers that wait beside the transaction in flight; further ones wait to be let in.
const WAITING_MAX: usize = 4096;
/// A call with more items than this gains nothing by joining others, and has a transaction of its own.
const JOIN_ITEMS_MAX: usize = 128;

type Answers<O> = Vec<Result<Vec<O>, StoreError>>;
type Work<I, O> = dyn Fn(Vec<Vec<I>>) -> Pin<Box<dyn Future<Output = Answers<O>> + Send>> + Send + Sync;

/// Calls of many items, such as enqueues or settlements, of which those that come while a transaction is in flight share the
/// next one.
pub struct JoinedCalls<I, O> {
    group: GroupCommit<Vec<I>, Result<Vec<O>, StoreError>>,
    work: Arc<Work<I, O>>,
}

// Derived, these would ask for items and answers that have them.
impl<I, O> Clone for JoinedCalls<I, O> {
    fn clone(&self) -> Self {
        Self { group: self.group.clone(), work: self.work.clone() }
    }
}

impl<I, O> fmt::Debug for JoinedCalls<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinedCalls").finish_non_exhaustive()
    }
}

impl<I: Clone + Send + 'static, O: Send + 'static> JoinedCalls<I, O> {
    /// `work` does the items of all calls in one transaction and answers each call; see [`in_parts`].
    pub fn start<F, A>(work: F) -> Self
    where
        F: Fn(Vec<Vec<I>>) -> A + Send + Sync + 'static,
        A: Future<Output = Answers<O>> + Send + 'static,
    {
        let work: Arc<Work<I, O>> = Arc::new(move |calls| Box::pin(work(calls)));
        let of_group = work.clone();
        Self { group: GroupCommit::start(JOIN_MAX, WAITING_MAX, move |calls| of_group(calls)), work }
    }

    /// Does the items of one call, and answers each.
    pub async fn submit(&self, items: &[I]) -> Result<Vec<O>, StoreError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let call = items.to_vec();
        if call.len() > JOIN_ITEMS_MAX {
            return (self.work)(vec![call]).await.pop().unwrap_or_else(|| Err(gone(GroupCommitError)));
        }
        self.group.submit(call).await.map_err(gone)?
    }
}

/// Gives each call its own part of the answers, or its own copy of the fault.
pub fn in_parts<I, O>(calls: &[Vec<I>], answers: Result<Vec<O>, StoreError>) -> Answers<O> {
    match answers {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            calls.iter().map(|call| Ok(answers.by_ref().take(call.len()).collect())).collect()
        }
        Err(fault) => calls.iter().map(|_| Err(fault.copied())).collect(),
    }
}

/// The task behind a joined call is gone.
fn gone(error: GroupCommitError) -> StoreError {
    StoreError::Unavailable { what: "a joined call", source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Doubles numbers, and notes how many calls each transaction took.
    fn doubling(taken: Arc<Mutex<Vec<usize>>>) -> JoinedCalls<usize, usize> {
        JoinedCalls::start(move |calls: Vec<Vec<usize>>| {
            taken.lock().unwrap().push(calls.len());
            async move {
                tokio::task::yield_now().await;
                let all = calls.iter().flatten().map(|n| n * 2).collect();
                in_parts(&calls, Ok(all))
            }
        })
    }

    #[tokio::test]
    async fn each_call_gets_the_answers_to_its_own_items_and_a_large_one_is_alone() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let calls = doubling(taken.clone());
        let large: Vec<usize> = (0..=JOIN_ITEMS_MAX).collect();
        let (a, b, c, none) =
            tokio::join!(calls.submit(&[1, 2]), calls.submit(&[3]), calls.submit(&large), calls.submit(&[]));
        assert_eq!((a.unwrap(), b.unwrap(), none.unwrap()), (vec![2, 4], vec![6], vec![]));
        assert_eq!(c.unwrap(), large.iter().map(|n| n * 2).collect::<Vec<_>>());
        let mut taken = taken.lock().unwrap().clone();
        assert_eq!(taken.iter().sum::<usize>(), 3, "an empty call asks for nothing");
        taken.sort_unstable();
        assert_eq!(taken[0], 1);
    }

    #[test]
    fn each_call_gets_a_copy_of_the_fault() {
        let away = StoreError::undone("enqueue", std::io::Error::other("full"));
        let answers = in_parts::<_, u8>(&[vec![1], vec![2]], Err(away));
        assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(StoreError::is_undone)), "{answers:?}");
    }
}
