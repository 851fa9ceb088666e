use job::{ConcurrencyKey, LimitClass, QueueName};
use store::{LimitTarget, NO_KEY_IS_CONFIGURED, PauseTarget, StoreError, Throttle, WhenFull, units};

use crate::{error::corrupt, queue::Shared, reply, script};

/// Names a queue that is not there.
pub(crate) fn unknown(queue: &QueueName) -> StoreError {
    StoreError::Invalid(format!("there is no queue {queue}"))
}

/// All queues, in one order. They are few, from the configuration.
pub(crate) async fn queues(shared: &Shared) -> Result<Vec<QueueName>, StoreError> {
    let mut command = redis::cmd("HKEYS");
    command.arg(shared.connection.key("queues"));
    let names = reply::list(shared.connection.command("queues", command).await?)?;
    let read = |name| QueueName::new(reply::text(name)?).map_err(corrupt("a queue name"));
    let mut names = names.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    Ok(names)
}

pub(crate) async fn define_queue(shared: &Shared, queue: &QueueName, limit: Option<u32>) -> Result<(), StoreError> {
    set_queue(shared, queue, limit, true, false).await
}

pub(crate) async fn configure_limit(
    shared: &Shared,
    target: &LimitTarget,
    limit: Option<u32>,
) -> Result<(), StoreError> {
    match target {
        LimitTarget::Queue(queue) => set_queue(shared, queue, limit, true, true).await,
        LimitTarget::Class(queue, class) => set_class(shared, queue, class, "configured", limit).await,
        LimitTarget::Key(..) => Err(StoreError::Invalid(NO_KEY_IS_CONFIGURED.to_owned())),
    }
}

pub(crate) async fn set_limit(shared: &Shared, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
    match target {
        LimitTarget::Queue(queue) => set_queue(shared, queue, limit, false, false).await,
        LimitTarget::Class(queue, class) => set_class(shared, queue, class, "limit", limit).await,
        LimitTarget::Key(queue, key) => set_key(shared, queue, key, "limit", limit).await,
    }
}

async fn set_queue(
    shared: &Shared,
    queue: &QueueName,
    limit: Option<u32>,
    makes: bool,
    configures: bool,
) -> Result<(), StoreError> {
    let known = shared.connection.run_one("set a queue's limit", &script::QUEUE_SET, |command| {
        command.arg(queue.as_str()).arg(limit.map_or_else(String::new, |limit| limit.to_string()));
        command.arg(u8::from(makes)).arg(u8::from(configures));
    });
    if reply::int(&known.await?)? == 0 { Err(unknown(queue)) } else { Ok(()) }
}

async fn set_class(
    shared: &Shared,
    queue: &QueueName,
    class: &LimitClass,
    what: &'static str,
    limit: Option<u32>,
) -> Result<(), StoreError> {
    let answer = shared.connection.run_one("set a class's limit", &script::CLASS_SET, |command| {
        command.arg(queue.as_str()).arg(class.as_str()).arg(what).arg(limit.map_or(-1, i64::from));
    });
    match reply::int(&answer.await?)? {
        0 => Err(unknown(queue)),
        1 => Ok(()),
        _ => fill(shared, queue).await,
    }
}

async fn set_key(
    shared: &Shared,
    queue: &QueueName,
    key: &ConcurrencyKey,
    what: &'static str,
    limit: Option<u32>,
) -> Result<(), StoreError> {
    let known = shared.connection.run_one("set a key's limit", &script::KEY_SET, |command| {
        command.arg(queue.as_str()).arg(key.as_str()).arg(what).arg(limit.map_or(-1, i64::from));
    });
    if reply::int(&known.await?)? == 0 { Err(unknown(queue)) } else { Ok(()) }
}

pub(crate) async fn pause(shared: &Shared, target: &PauseTarget) -> Result<(), StoreError> {
    match target {
        PauseTarget::Queue(queue) => pause_queue(shared, queue, true).await,
        PauseTarget::Key(queue, key) => set_key(shared, queue, key, "pause", None).await,
    }
}

pub(crate) async fn resume(shared: &Shared, target: &PauseTarget) -> Result<(), StoreError> {
    match target {
        PauseTarget::Queue(queue) => pause_queue(shared, queue, false).await,
        PauseTarget::Key(queue, key) => set_key(shared, queue, key, "resume", None).await,
    }
}

async fn pause_queue(shared: &Shared, queue: &QueueName, paused: bool) -> Result<(), StoreError> {
    let known = shared.connection.run_one("pause a queue", &script::QUEUE_PAUSE, |command| {
        command.arg(queue.as_str()).arg(u8::from(paused));
    });
    if reply::int(&known.await?)? == 0 { Err(unknown(queue)) } else { Ok(()) }
}

pub(crate) async fn set_throttle(
    shared: &Shared,
    queue: &QueueName,
    class: &LimitClass,
    throttle: Option<Throttle>,
) -> Result<(), StoreError> {
    if let Some(throttle) = &throttle {
        throttle.check()?;
    }
    let answer = shared.connection.run_one("set a throttle", &script::CLASS_SET, |command| {
        command.arg(queue.as_str()).arg(class.as_str()).arg("throttle").arg(throttle.map_or(0, |t| t.starts));
        command.arg(throttle.map_or(0, |t| units::millis(t.period)));
        command.arg(u8::from(throttle.is_some_and(|t| t.when_full == WhenFull::Refuse)));
    });
    if reply::int(&answer.await?)? == 0 {
        return Err(unknown(queue));
    }
    // Jobs that the throttle held back before may have room now.
    fill(shared, queue).await
}

/// Gives all keys of a queue their room, page by page, and serves others in between. It ends with the pages, of which there are as
/// many as there are keys with parked jobs.
async fn fill(shared: &Shared, queue: &QueueName) -> Result<(), StoreError> {
    let mut cursor = "0".to_owned();
    loop {
        (cursor, _) = fill_page(shared, queue, &cursor).await?;
        if cursor == "0" {
            return Ok(());
        }
    }
}

/// Gives the keys of one page their room: where the next page begins, "0" after the last, and how many jobs became ready.
pub(crate) async fn fill_page(shared: &Shared, queue: &QueueName, cursor: &str) -> Result<(String, usize), StoreError> {
    let page = shared.connection.run_one("unpark", &script::FILL, |command| {
        command.arg(queue.as_str()).arg(cursor);
    });
    let [next, freed] = reply::parts(page.await?)?;
    Ok((reply::text(next)?, reply::count(&freed)?))
}
