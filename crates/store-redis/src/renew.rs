use std::time::Duration;

use store::{
    CHECKPOINTS_MAX, Checkpoint, LeaseRef, Renewal, Settled, StoreError, check_checkpoint, check_leases, codes, units,
};

use crate::{codec, queue::Shared, reply, script};

/// Leases that one call of the script extends: some milliseconds, in which Redis serves nobody else.
const LEASES_MAX: usize = 500;

pub(crate) async fn renew(shared: &Shared, leases: &[LeaseRef], extend: Duration) -> Result<Vec<Renewal>, StoreError> {
    check_leases(leases.len())?;
    let mut calls = shared.connection.calls("renew", &script::RENEW).await?;
    for part in leases.chunks(LEASES_MAX) {
        calls.add(|command| {
            command.arg(units::millis(extend));
            for lease in part {
                command.arg([codec::id(&lease.job).as_slice(), lease.token.as_uuid().as_bytes()].concat());
            }
        });
    }
    let mut answers = Vec::with_capacity(leases.len());
    for found in shared.connection.run(calls).await? {
        for answer in reply::bytes(found)? {
            answers.push(match answer {
                0 => Renewal::LeaseLost,
                1 => Renewal::Extended,
                asked => Renewal::CancelRequested(codes::cancel(i16::from(asked - 1))?),
            });
        }
    }
    Ok(answers)
}

pub(crate) async fn checkpoint(
    shared: &Shared,
    lease: &LeaseRef,
    checkpoint: &Checkpoint,
) -> Result<Settled, StoreError> {
    check_checkpoint(checkpoint)?;
    let kept = shared.connection.run_one("checkpoint", &script::CHECKPOINT, |command| {
        command.arg(codec::id(&lease.job)).arg(lease.token.as_uuid().as_bytes());
        command.arg(&checkpoint.step).arg(checkpoint.value.as_slice()).arg(CHECKPOINTS_MAX);
    });
    match reply::int(&kept.await?)? {
        0 => Ok(Settled::LeaseLost),
        1 => Ok(Settled::Applied),
        _ => Err(StoreError::Invalid(format!("the job has {CHECKPOINTS_MAX} checkpoints: no more are allowed"))),
    }
}
