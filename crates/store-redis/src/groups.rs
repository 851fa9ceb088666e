use job::{ConcurrencyKey, GroupName, LimitClass, QueueName};
use redis::Value;
use store::{
    ClassSettings, GroupSettings, KEYS_SHOWN_MAX, KeySettings, QueueSettings, StoreError, Throttle, WhenFull, units,
};

use crate::{admin, codec::Reader, error::corrupt, queue::Shared, reply, script};

pub(crate) async fn define(
    shared: &Shared,
    group: &GroupName,
    queues: &[QueueName],
    limit: Option<u32>,
) -> Result<(), StoreError> {
    let answer = shared.connection.run_one("define a group", &script::GROUP_SET, |command| {
        command.arg(group.as_str()).arg(limit.map_or_else(String::new, |limit| limit.to_string()));
        for queue in queues {
            command.arg(queue.as_str());
        }
    });
    let [queue, other] = reply::parts(answer.await?)?;
    match (reply::text(queue)?.as_str(), reply::text(other)?.as_str()) {
        ("", _) => Ok(()),
        (queue, "") => Err(StoreError::Invalid(format!("there is no queue {queue}"))),
        (queue, other) => Err(StoreError::Invalid(format!(
            "queue {queue} is in the group {other} already: a queue is in one group at most"
        ))),
    }
}

pub(crate) async fn settings(shared: &Shared, queue: &QueueName) -> Result<QueueSettings, StoreError> {
    let answer = shared.connection.run_one("a queue's settings", &script::SETTINGS, |command| {
        command.arg(queue.as_str()).arg(KEYS_SHOWN_MAX + 1);
    });
    let found = reply::list(answer.await?)?;
    if found.is_empty() {
        return Err(admin::unknown(queue));
    }
    let [limit, paused, group, group_limit, names, classes, keys, overrides] = reply::parts(Value::Array(found))?;
    let (keys, overrides) = (reply::list(keys)?, reply::list(overrides)?);
    Ok(QueueSettings {
        queue: queue.clone(),
        limit: reply::maybe_int(limit)?.map(units::small),
        paused: reply::int(&paused)? > 0,
        group: read_group(&reply::text(group)?, group_limit, names)?,
        classes: read_classes(classes)?,
        more_keys: keys.len() > KEYS_SHOWN_MAX,
        keys: keys.into_iter().zip(overrides).take(KEYS_SHOWN_MAX).map(read_key).collect::<Result<_, _>>()?,
    })
}

fn read_group(name: &str, limit: Value, names: Value) -> Result<Option<GroupSettings>, StoreError> {
    if name.is_empty() {
        return Ok(None);
    }
    let read = |name| QueueName::new(reply::text(name)?).map_err(corrupt("a queue name"));
    let mut queues = reply::list(names)?.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    queues.sort_unstable();
    let name = GroupName::new(name).map_err(corrupt("a group's name"))?;
    Ok(Some(GroupSettings { name, queues, limit: reply::maybe_int(limit)?.map(units::small) }))
}

/// Names and settings, `CLASS` in `lua/prelude.lua`, in turn.
fn read_classes(found: Value) -> Result<Vec<ClassSettings>, StoreError> {
    let mut found = reply::list(found)?.into_iter();
    let mut classes = Vec::new();
    while let (Some(name), Some(set)) = (found.next(), found.next()) {
        let class = LimitClass::new(reply::text(name)?).map_err(corrupt("a limit class"))?;
        let set = reply::bytes(set)?;
        let mut set = Reader::new(&set);
        let (_number, limit, starts, period_ms, refuses) =
            (set.u16()?, set.number()?, set.number()?, set.number()?, set.u8()?);
        let when_full = if refuses > 0 { WhenFull::Refuse } else { WhenFull::Wait };
        let throttle = Throttle { starts: units::small(starts), period: units::duration(period_ms), when_full };
        classes.push(ClassSettings { class, limit: limit_of(limit), throttle: (starts > 0).then_some(throttle) });
    }
    classes.sort_unstable_by(|a, b| a.class.cmp(&b.class));
    Ok(classes)
}

/// A key and its own settings, `OVERRIDE` in `lua/prelude.lua`.
fn read_key((key, set): (Value, Value)) -> Result<KeySettings, StoreError> {
    let set = reply::bytes(set)?;
    let mut set = Reader::new(&set);
    let (limit, paused) = (set.number()?, set.u8()?);
    let key = ConcurrencyKey::new(reply::text(key)?).map_err(corrupt("a concurrency key"))?;
    Ok(KeySettings { key, limit: limit_of(limit), paused: paused > 0 })
}

/// Below zero stands for none.
fn limit_of(limit: i64) -> Option<u32> {
    u32::try_from(limit).ok()
}
