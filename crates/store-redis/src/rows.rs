use job::{
    Concurrency, ConcurrencyKey, Job, JobId, JobKind, LimitClass, Payload, Priority, QueueName, Supersede,
    SupersedeKey, Unique, UniqueKey, Version, VersionId, Weight,
};
use store::{StoreError, units};

use crate::{
    codec::{RECORD_TEXTS_AT, Reader, Stored},
    error::corrupt,
};

/// Bit of a record's notes: whether the job has checkpoints.
const HAS_STEPS: u8 = 1;

/// Reads a job from its record and its body.
pub(crate) fn job(id: JobId, record: &[u8], body: &[u8]) -> Result<Stored, StoreError> {
    let mut numbers = Reader::new(record);
    let (_, reason, notes) = (numbers.u8()?, numbers.u8()?, numbers.u8()?);
    let (_queue, _class) = (numbers.u16()?, numbers.u16()?);
    let (priority, weight, attempt, crashes) = (numbers.i16()?, numbers.u16()?, numbers.u32()?, numbers.u32()?);
    let (_arrival, at_ms, created_ms, leased_at_ms) =
        (numbers.number()?, numbers.number()?, numbers.number()?, numbers.number()?);
    let mut texts = Reader::new(record.get(RECORD_TEXTS_AT..).unwrap_or_default());
    let (kind, key) = (texts.short()?, texts.text()?);
    let (unique, window_ms) = (texts.text()?, texts.number()?);
    let supersede = supersede(&mut texts)?;
    let mut body = Reader::new(body);
    let (queue, class) = (body.short()?, body.short()?);
    let (max_attempts, timeout_ms, trace_bytes) = (body.u32()?, body.i64()?, body.u32()?);
    let trace_parent = match usize::try_from(trace_bytes).unwrap_or(usize::MAX).checked_sub(1) {
        None => None,
        Some(bytes) => Some(std::str::from_utf8(body.raw(bytes)?).map_err(corrupt("a trace's parent"))?.to_owned()),
    };
    let job = Job {
        id,
        queue: QueueName::new(queue).map_err(corrupt("a queue name"))?,
        kind: JobKind::new(kind).map_err(corrupt("a job kind"))?,
        payload: Payload::parse(body.rest()?).map_err(corrupt("a payload"))?,
        priority: Priority(priority),
        weight: Weight::new(weight).map_err(corrupt("a weight"))?,
        concurrency: concurrency(key, class)?,
        unique: match unique {
            "" => None,
            key => Some(Unique {
                key: UniqueKey::new(key).map_err(corrupt("a unique key"))?,
                window: units::duration(window_ms),
            }),
        },
        supersede,
        attempt,
        max_attempts,
        crashes,
        timeout: units::duration(timeout_ms),
        trace_parent,
        created_at: units::timestamp(created_ms)?,
    };
    Ok(Stored { job, reason, has_steps: notes & HAS_STEPS != 0, at_ms, leased_at_ms })
}

/// A key with its class; both are empty for a job without one.
pub(crate) fn concurrency(key: &str, class: &str) -> Result<Option<Concurrency>, StoreError> {
    if key.is_empty() {
        return Ok(None);
    }
    Ok(Some(Concurrency {
        key: ConcurrencyKey::new(key).map_err(corrupt("a concurrency key"))?,
        class: LimitClass::new(class).map_err(corrupt("a limit class"))?,
    }))
}

fn supersede(texts: &mut Reader<'_>) -> Result<Option<Supersede>, StoreError> {
    let (key, at_ms, version) = (texts.text()?, texts.number()?, texts.text()?);
    if key.is_empty() {
        return Ok(None);
    }
    let id = VersionId::new(version).map_err(corrupt("a version"))?;
    Ok(Some(Supersede {
        key: SupersedeKey::new(key).map_err(corrupt("a supersede key"))?,
        version: Version { at: units::timestamp(at_ms)?, id },
    }))
}
