use job::{Attempt, Transition};
use store::{LeaseRef, Settled, Settlement, StoreError, codes, units};

use crate::{
    codec::{self, Writer},
    queue::Shared,
    reply, script,
};

/// Leases that one call of the script ends: a few milliseconds, in which Redis serves nobody else.
const LEASES_MAX: usize = 200;

/// Ends the leases of all callers that joined.
pub(crate) async fn settle(shared: &Shared, batch: &[&Settlement]) -> Result<Vec<Settled>, StoreError> {
    let mut calls = shared.connection.calls("settle", &script::SETTLE).await?;
    for part in batch.chunks(LEASES_MAX) {
        calls.add(|command| {
            for settlement in part {
                command.arg(written(settlement));
            }
        });
    }
    let mut answers = Vec::with_capacity(batch.len());
    for found in shared.connection.run(calls).await? {
        answers.extend(reply::bytes(found)?.into_iter().map(|holds| match holds {
            0 => Settled::LeaseLost,
            _ => Settled::Applied,
        }));
    }
    Ok(answers)
}

/// A settlement, as `lua/settle.lua` reads it.
fn written(settlement: &Settlement) -> Vec<u8> {
    let (LeaseRef { job, token }, transition) = (settlement.lease(), settlement.transition());
    let lease = Writer::default().raw(codec::id(&job)).raw(token.as_uuid().as_bytes());
    let (action, reason, delay_ms, error) = match transition {
        Transition::Complete => return lease.u8(1).done(),
        Transition::Retry { delay, error } => (2, 0, units::millis(*delay), Some(error)),
        Transition::Bury { reason, error } => (3, codes::of_bury(*reason), 0, Some(error)),
        Transition::Release => (4, 0, 0, None),
        Transition::Cancel(reason) => (5, codes::of_cancel(*reason), 0, None),
    };
    // What a transition charges does not depend on what was charged before.
    let charged = transition.charge(Attempt { number: 0, max: 0, crashes: 0 });
    let code = |code: i16| u8::try_from(code).unwrap_or(0);
    let writer = lease.u8(action).u8(code(reason)).number(delay_ms).u32(charged.number).u32(charged.crashes);
    match error {
        None => writer.u8(0).u32(0).done(),
        Some(error) => writer
            .u8(code(codes::of_error_kind(error.kind)))
            .u32(error.attempt)
            .raw(error.storable_message().as_bytes())
            .done(),
    }
}
