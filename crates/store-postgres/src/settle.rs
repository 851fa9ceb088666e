use job::{Attempt, AttemptError, Transition};
use sqlx::postgres::PgRow;
use store::{Settled, Settlement, StoreError, codes, units};
use uuid::Uuid;

use crate::{
    database::{Shared, column},
    sql,
};

/// The columns of a batch.
#[derive(Default)]
struct Batch {
    jobs: Vec<Uuid>,
    tokens: Vec<Uuid>,
    actions: Vec<i16>,
    reasons: Vec<Option<i16>>,
    delays_ms: Vec<Option<i64>>,
    more_attempts: Vec<i64>,
    more_crashes: Vec<i64>,
    error_attempts: Vec<Option<i64>>,
    error_kinds: Vec<Option<i16>>,
    error_messages: Vec<Option<String>>,
}

/// Ends the leases of all callers that joined.
pub(crate) async fn settle(shared: &Shared, settlements: &[&Settlement]) -> Result<Vec<Settled>, StoreError> {
    let mut batch = Batch::default();
    for settlement in settlements {
        batch.add(settlement);
    }
    let query = sqlx::query(sql::SETTLE)
        .bind(batch.jobs)
        .bind(batch.tokens)
        .bind(batch.actions)
        .bind(batch.reasons)
        .bind(batch.delays_ms)
        .bind(batch.more_attempts)
        .bind(batch.more_crashes)
        .bind(batch.error_attempts)
        .bind(batch.error_kinds)
        .bind(batch.error_messages);
    let row = shared.database.row("settle", query).await?;
    shared.offered(column(&row, 1)?);
    tokio::try_join!(shared.flush(), fill(shared, &row))?;
    let answers: Vec<bool> = column(&row, 0)?;
    Ok(answers.into_iter().map(|holds| if holds { Settled::Applied } else { Settled::LeaseLost }).collect())
}

/// Gives the room that has become free to parked jobs, in a transaction after the one that has freed it.
async fn fill(shared: &Shared, settled: &PgRow) -> Result<(), StoreError> {
    let (queues, version_queues): (Option<Vec<i32>>, Option<Vec<i32>>) = (column(settled, 2)?, column(settled, 5)?);
    if queues.is_none() && version_queues.is_none() {
        return Ok(());
    }
    let query = sqlx::query(sql::FILL)
        .bind(queues)
        .bind(column::<Option<Vec<String>>>(settled, 3)?)
        .bind(column::<Option<Vec<i32>>>(settled, 4)?)
        .bind(version_queues)
        .bind(column::<Option<Vec<String>>>(settled, 6)?)
        .bind(shared.max_wait_ms);
    shared.offered(column(&shared.database.row("unpark", query).await?, 0)?);
    Ok(())
}

impl Batch {
    fn add(&mut self, settlement: &Settlement) {
        let (lease, transition) = (settlement.lease(), settlement.transition());
        let (action, reason, delay, error) = match transition {
            Transition::Complete => (1, None, None, None),
            Transition::Retry { delay, error } => (2, None, Some(units::millis(*delay)), Some(error)),
            Transition::Bury { reason, error } => (3, Some(codes::of_bury(*reason)), None, Some(error)),
            Transition::Release => (4, None, None, None),
            Transition::Cancel(reason) => (5, Some(codes::of_cancel(*reason)), None, None),
        };
        // What a transition charges does not depend on what was charged before.
        let charged = transition.charge(Attempt { number: 0, max: 0, crashes: 0 });
        self.jobs.push(*lease.job.as_uuid());
        self.tokens.push(*lease.token.as_uuid());
        self.actions.push(action);
        self.reasons.push(reason);
        self.delays_ms.push(delay);
        self.more_attempts.push(i64::from(charged.number));
        self.more_crashes.push(i64::from(charged.crashes));
        self.error_attempts.push(error.map(|e| i64::from(e.attempt)));
        self.error_kinds.push(error.map(|e| codes::of_error_kind(e.kind)));
        self.error_messages.push(error.map(AttemptError::storable_message));
    }
}
