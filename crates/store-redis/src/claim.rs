use std::collections::HashMap;

use job::{JobId, LeaseToken};
use redis::Value;
use store::{
    Checkpoint, ClaimRequest, Claimed, LeaseRef, LeasedJob, ReapRequest, StoreError, check_claim, check_reap, units,
};
use uuid::Uuid;

use crate::{
    codec,
    connection::{hash_fields, hash_values},
    queue::Shared,
    reply, rows, script,
};

/// Jobs that one call of the script leases: a few milliseconds, in which Redis serves nobody else.
const JOBS_MAX: usize = 200;
/// Jobs whose bodies are read at once, so that Redis holds few of them in its buffers.
const BODIES_MAX: usize = 250;

/// What a call of the script has leased.
#[derive(Default)]
struct Leased {
    ids: Vec<JobId>,
    ready_ms: Vec<i64>,
}

impl Leased {
    fn add(&mut self, ids: Value, ready_ms: Value) -> Result<usize, StoreError> {
        let ids = codec::ids(&reply::bytes(ids)?);
        let count = ids.len();
        self.ids.extend(ids);
        self.ready_ms.extend(codec::numbers(&reply::bytes(ready_ms)?));
        Ok(count)
    }
}

pub(crate) async fn claim(shared: &Shared, request: &ClaimRequest) -> Result<Claimed, StoreError> {
    check_claim(request.max)?;
    // Marks this very call, so that a repeated one leases nothing with its later parts.
    let mark = Uuid::new_v4();
    let parts = request.max.div_ceil(JOBS_MAX).max(1);
    let mut calls = shared.connection.calls("claim", &script::CLAIM).await?;
    for part in 0..parts {
        calls.add(|command| {
            let most = (request.max - part * JOBS_MAX).min(JOBS_MAX);
            command.arg(request.id.as_uuid().as_bytes()).arg(request.worker.as_str()).arg(units::millis(request.lease));
            command.arg(most).arg(part).arg(u8::from(parts > 1)).arg(mark.as_bytes()).arg(shared.max_wait_ms);
            for queue in &request.queues {
                command.arg(queue.as_str());
            }
        });
    }
    let (mut leased, mut claimed) = (Leased::default(), Claimed::default());
    for answer in shared.connection.run(calls).await? {
        let [unknown, ids, ready_ms, more, next_due_ms] = reply::parts(answer)?;
        let unknown = reply::text(unknown)?;
        if !unknown.is_empty() {
            return Err(StoreError::Invalid(format!("there is no queue {unknown}")));
        }
        leased.add(ids, ready_ms)?;
        let more = reply::int(&more)?;
        // A part of a repeated call has not looked.
        if more >= 0 {
            claimed.more = more > 0;
            claimed.next_due_in = due_in(&next_due_ms)?;
        }
    }
    claimed.jobs = read(shared, &leased, *request.id.as_uuid()).await?;
    claimed.jobs.sort_by_key(|leased| request.queues.iter().position(|name| *name == leased.job.queue));
    Ok(claimed)
}

/// How long until something is due; below zero when nothing waits for a time.
pub(crate) fn due_in(value: &Value) -> Result<Option<std::time::Duration>, StoreError> {
    let ms = reply::int(value)?;
    Ok((ms >= 0).then(|| units::duration(ms)))
}

pub(crate) async fn reap(shared: &Shared, request: &ReapRequest) -> Result<Vec<LeasedJob>, StoreError> {
    check_reap(request.max)?;
    let mut leased = Leased::default();
    while leased.ids.len() < request.max {
        let before = leased.ids.len();
        let most = (request.max - before).min(JOBS_MAX);
        let answer = shared.connection.run_one("reap", &script::REAP, |command| {
            command.arg(request.id.as_uuid().as_bytes()).arg(request.worker.as_str()).arg(units::millis(request.lease));
            command.arg(most).arg(before);
        });
        let [ids, ready_ms, is_all] = reply::parts(answer.await?)?;
        leased.add(ids, ready_ms)?;
        if reply::int(&is_all)? > 0 {
            break;
        }
    }
    read(shared, &leased, *request.id.as_uuid()).await
}

/// Reads leased jobs after the leases are made, so that their payloads keep no script running. One that was taken over and
/// forgotten meanwhile is not answered.
async fn read(shared: &Shared, leased: &Leased, token: Uuid) -> Result<Vec<LeasedJob>, StoreError> {
    let mut jobs = Vec::with_capacity(leased.ids.len());
    let mut with_checkpoints = Vec::new();
    for (ids, ready_ms) in leased.ids.chunks(BODIES_MAX).zip(leased.ready_ms.chunks(BODIES_MAX)) {
        let (records, bodies) = records_and_bodies(shared, ids).await?;
        for (((id, record), body), ready_ms) in ids.iter().zip(records).zip(bodies).zip(ready_ms) {
            let (Some(record), Some(body)) = (record, body) else { continue };
            let stored = rows::job(*id, &record, &body)?;
            if stored.has_steps {
                with_checkpoints.push(*id);
            }
            let lease = LeaseRef { job: *id, token: LeaseToken::from(token) };
            let ready_for = units::duration(*ready_ms);
            jobs.push(LeasedJob { job: stored.job, lease, checkpoints: Vec::new(), ready_for });
        }
    }
    if !with_checkpoints.is_empty() {
        let mut kept = checkpoints(shared, &with_checkpoints).await?;
        for leased in &mut jobs {
            leased.checkpoints = kept.remove(&leased.job.id).unwrap_or_default();
        }
    }
    Ok(jobs)
}

type Fields = Vec<Option<Vec<u8>>>;

/// The records and the bodies of jobs, as far as they are known.
pub(crate) async fn records_and_bodies(shared: &Shared, ids: &[JobId]) -> Result<(Fields, Fields), StoreError> {
    let fields: Vec<&[u8]> = ids.iter().map(|id| codec::id(id).as_slice()).collect();
    let commands = ["jobs", "bodies"].map(|hash| hash_fields(&shared.connection.key(hash), &fields)).to_vec();
    let mut found = shared.connection.commands("jobs", commands).await?.into_iter();
    let mut next = || hash_values(found.next().unwrap_or(Value::Nil));
    Ok((next()?, next()?))
}

/// What earlier attempts have kept, in the order of writing.
async fn checkpoints(shared: &Shared, ids: &[JobId]) -> Result<HashMap<JobId, Vec<Checkpoint>>, StoreError> {
    let mut kept = HashMap::with_capacity(ids.len());
    for id in ids {
        let key = |prefix: &str| [shared.connection.key(prefix).as_bytes(), codec::id(id)].concat();
        let mut steps = redis::cmd("LRANGE");
        steps.arg(key("ks:")).arg(0).arg(-1);
        let mut values = redis::cmd("HGETALL");
        values.arg(key("k:"));
        let mut found = shared.connection.commands("checkpoints", vec![steps, values]).await?.into_iter();
        let steps = reply::list(found.next().unwrap_or(Value::Nil))?;
        let mut values = reply::list(found.next().unwrap_or(Value::Nil))?.into_iter();
        let mut by_step = HashMap::new();
        while let (Some(step), Some(value)) = (values.next(), values.next()) {
            by_step.insert(reply::text(step)?, reply::bytes(value)?);
        }
        let mut of_job = Vec::with_capacity(steps.len());
        for step in steps {
            let step = reply::text(step)?;
            of_job.extend(by_step.remove(&step).map(|value| Checkpoint { step, value }));
        }
        kept.insert(*id, of_job);
    }
    Ok(kept)
}
