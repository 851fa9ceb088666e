use std::collections::HashMap;

use job::JobId;
use redis::{Cmd, Value};
use store::{Enqueued, NewJob, RUN_AT_MAX_DAYS, Rejection, StoreError, units};
use uuid::Uuid;

use crate::{
    codec::{self, Writer},
    queue::Shared,
    reply, script,
};

/// Jobs that one call of the script stores: a few milliseconds, in which Redis serves nobody else.
const JOBS_MAX: usize = 200;
/// Bytes of bodies in one call: Redis holds them more than once while it runs.
const BODIES_MAX_BYTES: usize = 4 * 1024 * 1024;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Stores the jobs of all callers that joined.
pub(crate) async fn enqueue(shared: &Shared, jobs: &[&NewJob]) -> Result<Vec<Enqueued>, StoreError> {
    let mut calls = shared.connection.calls("enqueue", &script::ENQUEUE).await?;
    let mut parts = Vec::new();
    let (mut rest, mut bodies) = (jobs, Vec::with_capacity(JOBS_MAX));
    while !rest.is_empty() {
        let mut bytes = 0;
        for job in rest.iter().take(JOBS_MAX) {
            let body = codec::body(job);
            bytes += body.len();
            if bytes > BODIES_MAX_BYTES && !bodies.is_empty() {
                break;
            }
            bodies.push(body);
        }
        let (now, later) = rest.split_at(bodies.len());
        calls.add(|command| arguments(command, now, &bodies));
        parts.push(now);
        bodies.clear();
        rest = later;
    }
    let found = shared.connection.run(calls).await?;
    let mut answers = Vec::with_capacity(jobs.len());
    for (part, found) in parts.into_iter().zip(found) {
        answers.extend(read(part, found)?);
    }
    Ok(answers)
}

/// What the script is asked: see `lua/storing.lua`.
pub(crate) fn arguments(command: &mut Cmd, jobs: &[&NewJob], bodies: &[Vec<u8>]) {
    command.arg(i64::from(RUN_AT_MAX_DAYS) * DAY_MS);
    let queues = Names::of(jobs.iter().map(|job| job.queue.as_str()));
    let classes = Names::of(jobs.iter().filter_map(|job| Some(job.concurrency.as_ref()?.class.as_str())));
    queues.write(command);
    classes.write(command);
    for (job, body) in jobs.iter().zip(bodies) {
        let class = job.concurrency.as_ref().map_or(0, |concurrency| classes.place(concurrency.class.as_str()));
        let asked = Writer::default()
            .u16(queues.place(job.queue.as_str()))
            .u16(class)
            .raw(&job.priority.0.to_le_bytes())
            .u16(job.weight.get())
            .number(job.run_at.map_or(-1, jiff::Timestamp::as_millisecond))
            .u8(notes(job));
        command.arg(codec::id(&job.id)).arg(codec::spec(asked, job).done()).arg(body.as_slice());
    }
}

/// What the script is to look at: nothing at all for a plain job, 1 for one without attempts, 2 for a unique key or a version.
const fn notes(job: &NewJob) -> u8 {
    match (job.max_attempts, &job.unique, &job.supersede) {
        (0, ..) => 1,
        (_, None, None) => 0,
        _ => 2,
    }
}

/// Names that jobs share, each sent once.
struct Names<'j>(HashMap<&'j str, u16>);

impl<'j> Names<'j> {
    fn of(names: impl Iterator<Item = &'j str>) -> Self {
        let mut places = HashMap::new();
        for name in names {
            let next = u16::try_from(places.len() + 1).unwrap_or(u16::MAX);
            places.entry(name).or_insert(next);
        }
        Self(places)
    }

    /// From 1; 0 is none.
    fn place(&self, name: &str) -> u16 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn write(&self, command: &mut Cmd) {
        let mut names: Vec<_> = self.0.iter().collect();
        names.sort_unstable_by_key(|(_, place)| **place);
        command.arg(names.len());
        for (name, _) in names {
            command.arg(*name);
        }
    }
}

/// Reads what became of jobs.
pub(crate) fn read(jobs: &[&NewJob], found: Value) -> Result<Vec<Enqueued>, StoreError> {
    let [codes, about] = reply::parts(found)?;
    let mut about = reply::list(about)?.into_iter();
    let answer = |(job, code): (&&NewJob, u8)| {
        Ok(match code {
            0 => Enqueued::Inserted,
            1 => Enqueued::Duplicate(holder(about.next())?),
            2 => Enqueued::Rejected(Rejection::UnknownQueue(job.queue.clone())),
            3 => match &job.concurrency {
                Some(concurrency) => Enqueued::Rejected(Rejection::UnknownLimitClass(concurrency.class.clone())),
                None => return Err(unknown(code)),
            },
            4 => Enqueued::Rejected(Rejection::NoAttempts),
            5 => Enqueued::Rejected(Rejection::RunAtTooFar { max_days: RUN_AT_MAX_DAYS }),
            6 => Enqueued::Superseded(holder(about.next())?),
            7 => {
                let retry_in = units::duration(reply::int(&about.next().unwrap_or(Value::Nil))?);
                Enqueued::Rejected(Rejection::Throttled { retry_in })
            }
            _ => return Err(unknown(code)),
        })
    };
    jobs.iter().zip(reply::bytes(codes)?).map(answer).collect()
}

fn holder(value: Option<Value>) -> Result<JobId, StoreError> {
    let bytes = reply::bytes(value.unwrap_or(Value::Nil))?;
    Uuid::from_slice(&bytes).map(JobId::from).map_err(crate::error::corrupt("an id"))
}

fn unknown(code: u8) -> StoreError {
    StoreError::Corrupt { what: "an answer of Redis", source: format!("the code {code} is not known").into() }
}
