use job::{AttemptError, ConcurrencyKey, JobId, JobKind, JobState, QueueName, StateName, WorkerId};
use redis::Value;
use store::{JobFilter, JobPage, JobView, PAGE_MAX, StoreError, codes, units};

use crate::{
    claim::records_and_bodies,
    codec::{self, Reader, Stored},
    error::corrupt,
    operate::digits,
    queue::Shared,
    reply, rows, script,
};

/// Jobs of which one call of the script tells all: a few milliseconds, in which Redis serves nobody else.
const VIEWS_MAX: usize = 100;

pub(crate) async fn get(shared: &Shared, id: JobId) -> Result<Option<JobView>, StoreError> {
    Ok(views(shared, &[id]).await?.pop())
}

pub(crate) async fn list(shared: &Shared, filter: &JobFilter) -> Result<JobPage, StoreError> {
    let most = if filter.limit == 0 { PAGE_MAX } else { filter.limit.min(PAGE_MAX) };
    let mut from = filter.before.map_or_else(Vec::new, |id| codec::id(&id).to_vec());
    let mut found = Vec::new();
    // Each call looks at a bounded number of jobs; it ends with the jobs.
    while found.len() < most {
        let answer = shared.connection.run_one("a list of jobs", &script::LIST, |command| {
            command.arg(from.as_slice()).arg(filter.queue.as_ref().map_or("", QueueName::as_str));
            command.arg(digits(filter.state.map(|state| codes::of_state(state).into())));
            command.arg(filter.kind.as_ref().map_or("", JobKind::as_str));
            command.arg(filter.key.as_ref().map_or("", ConcurrencyKey::as_str));
            command.arg(digits(filter.created_after.map(jiff::Timestamp::as_millisecond)));
            command.arg(digits(filter.created_before.map(jiff::Timestamp::as_millisecond)));
            command.arg(most - found.len());
        });
        let [ids, next] = reply::parts(answer.await?)?;
        found.extend(codec::ids(&reply::bytes(ids)?));
        from = reply::bytes(next)?;
        if from.is_empty() {
            break;
        }
    }
    let mut jobs = Vec::with_capacity(found.len());
    for ids in found.chunks(VIEWS_MAX) {
        jobs.extend(views(shared, ids).await?);
    }
    let next = if found.len() == most { found.last().copied() } else { None };
    Ok(JobPage { jobs, next })
}

/// All that is known of jobs, each seen at one instant; without those that are not known, or are forgotten meanwhile.
async fn views(shared: &Shared, ids: &[JobId]) -> Result<Vec<JobView>, StoreError> {
    let answer = shared.connection.run_one("a job", &script::VIEW, |command| {
        for id in ids {
            command.arg(codec::id(id));
        }
    });
    let rows = reply::list(answer.await?)?;
    let rows = rows.into_iter().map(Row::read).collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    // What changes is in the row; a body never does.
    let known: Vec<JobId> = rows.iter().map(|row| row.id).collect();
    let (_, bodies) = records_and_bodies(shared, &known).await?;
    rows.into_iter().zip(bodies).filter_map(|(row, body)| Some(row.view(&body?))).collect()
}

/// What the script tells of a job.
struct Row {
    id: JobId,
    record: Vec<u8>,
    state: StateName,
    lease: Vec<u8>,
    since_ms: i64,
    errors: Vec<Value>,
    steps: Vec<Value>,
}

impl Row {
    fn read(row: Value) -> Result<Self, StoreError> {
        let [id, record, state, lease, since, errors, steps] = reply::parts(row)?;
        let id = codec::ids(&reply::bytes(id)?).pop();
        Ok(Self {
            id: id.ok_or_else(|| StoreError::Corrupt { what: "an id", source: "it is cut short".into() })?,
            record: reply::bytes(record)?,
            state: codes::state(i16::try_from(reply::int(&state)?).unwrap_or(i16::MAX))?,
            lease: reply::bytes(lease)?,
            since_ms: reply::int(&since)?,
            errors: reply::list(errors)?,
            steps: reply::list(steps)?,
        })
    }

    fn view(self, body: &[u8]) -> Result<JobView, StoreError> {
        let stored = rows::job(self.id, &self.record, body)?;
        let (state, leased_at_ms) = self.state(&stored)?;
        let started_at = (leased_at_ms > 0).then(|| units::timestamp(leased_at_ms)).transpose()?;
        let errors = self.errors.into_iter().map(error).collect::<Result<_, _>>()?;
        let checkpoints = self.steps.into_iter().map(reply::text).collect::<Result<_, _>>()?;
        Ok(JobView { job: stored.job, state, started_at, errors, checkpoints })
    }

    /// Its state, and when its last attempt started.
    fn state(&self, stored: &Stored) -> Result<(JobState, i64), StoreError> {
        let (at, reason) = (units::timestamp(stored.at_ms), i16::from(stored.reason));
        let state = match self.state {
            StateName::Scheduled => JobState::Scheduled { run_at: at? },
            StateName::Ready => JobState::Ready { since: units::timestamp(self.since_ms.max(stored.at_ms))? },
            StateName::Parked => JobState::Parked,
            StateName::Leased => return self.leased(),
            StateName::Completed => JobState::Completed { at: at? },
            StateName::Dead => JobState::Dead { at: at?, reason: codes::bury(reason)? },
            StateName::Cancelled => JobState::Cancelled { at: at?, reason: codes::cancel(reason)? },
        };
        Ok((state, stored.leased_at_ms))
    }

    /// Reads the lease, `LEASE` in `lua/prelude.lua`.
    fn leased(&self) -> Result<(JobState, i64), StoreError> {
        let mut lease = Reader::new(&self.lease);
        let (_token, asked) = (lease.uuid()?, lease.u8()?);
        let (leased_at_ms, expires_at_ms) = (lease.number()?, lease.number()?);
        let (_pass, _ready_ms, worker) = (lease.number()?, lease.number()?, lease.short()?);
        let state = JobState::Leased {
            worker: WorkerId::new(worker).map_err(corrupt("a worker id"))?,
            since: units::timestamp(leased_at_ms)?,
            expires_at: units::timestamp(expires_at_ms)?,
            cancel_requested: if asked == 0 { None } else { Some(codes::cancel(i16::from(asked))?) },
        };
        Ok((state, leased_at_ms))
    }
}

/// Reads an error, `ERROR` in `lua/settle.lua`.
fn error(value: Value) -> Result<AttemptError, StoreError> {
    let bytes = reply::bytes(value)?;
    let mut error = Reader::new(&bytes);
    let (attempt, kind, at_ms) = (error.u32()?, error.u8()?, error.number()?);
    Ok(AttemptError {
        attempt,
        kind: codes::error_kind(i16::from(kind))?,
        message: error.rest()?.to_owned(),
        at: Some(units::timestamp(at_ms)?),
    })
}
