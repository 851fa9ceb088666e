//! Random sequences of operations, on the store and on a queue in memory that keeps the contract in the plainest way.

macro_rules! must {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

mod check;
mod operate;
mod operation;
mod queue;

use std::future::Future;

use proptest::{
    collection::vec,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{Bed, Harness, model::operation::Operation};

/// Operations of one sequence.
const LENGTH_MAX: usize = 40;
/// Sequences of one run; a failing one is shrunk.
const SEQUENCES: u32 = 48;

/// Runs random sequences, each on a fresh store, and fails with the shortest one found on which the store and the queue
/// in memory part, or an invariant breaks.
pub fn agrees<H, F>(fresh: impl Fn() -> F)
where
    H: Harness + 'static,
    F: Future<Output = H>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
    let sequences = vec(Operation::any(), 1..=LENGTH_MAX);
    let outcome = TestRunner::new(config).run(&sequences, |operations| {
        runtime.block_on(async {
            let mut check = check::Check::new(Bed::new(fresh().await).await);
            for operation in &operations {
                check
                    .apply(operation)
                    .await
                    .map_err(|broken| TestCaseError::fail(format!("{operation:?}: {broken}")))?;
                check.compare().await.map_err(|broken| TestCaseError::fail(format!("{operation:?}: {broken}")))?;
            }
            Ok(())
        })
    });
    assert!(outcome.is_ok(), "{}", outcome.err().map_or_else(String::new, |failure| failure.to_string()));
}
