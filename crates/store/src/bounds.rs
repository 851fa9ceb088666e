use crate::{CHECKPOINT_MAX_BYTES, CLAIM_MAX, Checkpoint, ENQUEUE_MAX, SETTLE_MAX, STEP_MAX_BYTES, StoreError};

/// Refuses an enqueue of more jobs than one call takes.
pub fn check_enqueue(jobs: usize) -> Result<(), StoreError> {
    at_most(ENQUEUE_MAX, jobs, || format!("{jobs} jobs in one call"))
}

/// Refuses more settlements or renewals than one call takes.
pub fn check_leases(leases: usize) -> Result<(), StoreError> {
    at_most(SETTLE_MAX, leases, || format!("{leases} leases in one call"))
}

/// Refuses a claim of more jobs than one call answers.
pub fn check_claim(jobs: usize) -> Result<(), StoreError> {
    at_most(CLAIM_MAX, jobs, || format!("a claim of {jobs} jobs"))
}

/// Refuses a reap of more leases than one call answers.
pub fn check_reap(leases: usize) -> Result<(), StoreError> {
    at_most(CLAIM_MAX, leases, || format!("a reap of {leases} leases"))
}

/// Refuses a checkpoint whose step has no name, a long one or one with a NUL, or whose value is too large.
pub fn check_checkpoint(checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let Checkpoint { step, value } = checkpoint;
    if step.is_empty() || step.len() > STEP_MAX_BYTES || step.contains('\0') {
        let bytes = step.len();
        return Err(StoreError::Invalid(format!(
            "a checkpoint's step must have 1 to {STEP_MAX_BYTES} bytes without NUL, and has {bytes}"
        )));
    }
    let bytes = value.len();
    if bytes > CHECKPOINT_MAX_BYTES {
        return Err(StoreError::Invalid(format!(
            "a checkpoint has {bytes} bytes: at most {CHECKPOINT_MAX_BYTES} are allowed"
        )));
    }
    Ok(())
}

fn at_most(most: usize, asked: usize, what: impl FnOnce() -> String) -> Result<(), StoreError> {
    if asked <= most { Ok(()) } else { Err(StoreError::Invalid(format!("{}: at most {most} are allowed", what()))) }
}
