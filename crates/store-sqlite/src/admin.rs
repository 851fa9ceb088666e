use job::{ConcurrencyKey, LimitClass, QueueName};
use store::{LimitTarget, NO_KEY_IS_CONFIGURED, PauseTarget, StoreError};

use crate::{lanes, queue::Shared, queues::Queues, sql, write::Write};

/// Keys that one transaction looks at when a limit was raised.
const KEYS_MAX: usize = 200;
/// Parked jobs of a key that one transaction frees.
const PER_KEY_MAX: usize = 500;

pub(crate) async fn define_queue(shared: &Shared, queue: &QueueName, limit: Option<u32>) -> Result<(), StoreError> {
    let mut write = Write::begin(shared, "define a queue").await?;
    let fault = write.fault();
    sqlx::query(sql::QUEUE_DEFINE).bind(queue.as_str()).bind(limit).execute(write.connection()).await.map_err(fault)?;
    write.became_ready();
    write.commit().await
}

pub(crate) async fn configure_limit(
    shared: &Shared,
    target: &LimitTarget,
    limit: Option<u32>,
) -> Result<(), StoreError> {
    let mut write = Write::begin(shared, "configure a limit").await?;
    let fault = write.fault();
    match target {
        LimitTarget::Queue(queue) => {
            let configure = sqlx::query(sql::QUEUE_CONFIGURE).bind(queue.as_str()).bind(limit);
            configure.execute(write.connection()).await.map_err(fault)?;
            write.became_ready();
            write.commit().await
        }
        LimitTarget::Class(queue, class) => {
            let id = Queues::load(&mut write).await?.id(queue)?;
            let configure = sqlx::query(sql::CLASS_CONFIGURE).bind(id).bind(class.as_str()).bind(limit);
            let changed = configure.execute(write.connection()).await.map_err(fault)?.rows_affected() > 0;
            write.commit().await?;
            if changed { fill_queue(shared, id).await } else { Ok(()) }
        }
        LimitTarget::Key(..) => Err(StoreError::Invalid(NO_KEY_IS_CONFIGURED.to_owned())),
    }
}

pub(crate) async fn pause(shared: &Shared, target: &PauseTarget) -> Result<(), StoreError> {
    let mut write = Write::begin(shared, "pause").await?;
    let queues = Queues::load(&mut write).await?;
    let fault = write.fault();
    match target {
        PauseTarget::Queue(queue) => {
            let id = queues.id(queue)?;
            sqlx::query(sql::QUEUE_PAUSE).bind(id).execute(write.connection()).await.map_err(fault)?;
        }
        PauseTarget::Key(queue, key) => set_key_paused(&mut write, queues.id(queue)?, key, true).await?,
    }
    write.commit().await
}

pub(crate) async fn resume(shared: &Shared, target: &PauseTarget) -> Result<(), StoreError> {
    let mut write = Write::begin(shared, "resume").await?;
    let queues = Queues::load(&mut write).await?;
    let (now_ms, fault) = (write.now_ms, write.fault());
    match target {
        PauseTarget::Queue(queue) => {
            let id = queues.id(queue)?;
            sqlx::query(sql::QUEUE_RESUME).bind(id).bind(now_ms).execute(write.connection()).await.map_err(fault)?;
            write.became_ready();
            write.commit().await
        }
        PauseTarget::Key(queue, key) => {
            let id = queues.id(queue)?;
            set_key_paused(&mut write, id, key, false).await?;
            sqlx::query(sql::KEY_RESTED)
                .bind(id)
                .bind(key.as_str())
                .bind(now_ms)
                .execute(write.connection())
                .await
                .map_err(fault)?;
            fill_key(write, shared, id, key).await
        }
    }
}

pub(crate) async fn set_limit(shared: &Shared, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
    let mut write = Write::begin(shared, "set a limit").await?;
    let queues = Queues::load(&mut write).await?;
    match target {
        LimitTarget::Queue(queue) => {
            let (id, fault) = (queues.id(queue)?, write.fault());
            sqlx::query(sql::QUEUE_LIMIT).bind(id).bind(limit).execute(write.connection()).await.map_err(fault)?;
            write.became_ready();
            write.commit().await
        }
        LimitTarget::Class(queue, class) => {
            let id = queues.id(queue)?;
            set_class_limit(&mut write, id, class, limit).await?;
            write.commit().await?;
            fill_queue(shared, id).await
        }
        LimitTarget::Key(queue, key) => {
            let id = queues.id(queue)?;
            set_key_limit(&mut write, id, key, limit).await?;
            fill_key(write, shared, id, key).await
        }
    }
}

async fn set_class_limit(
    write: &mut Write<'_>,
    queue: i64,
    class: &LimitClass,
    limit: Option<u32>,
) -> Result<(), StoreError> {
    let fault = write.fault();
    sqlx::query(sql::CLASS_LIMIT)
        .bind(queue)
        .bind(class.as_str())
        .bind(limit)
        .execute(write.connection())
        .await
        .map_err(fault)?;
    Ok(())
}

async fn set_key_limit(
    write: &mut Write<'_>,
    queue: i64,
    key: &ConcurrencyKey,
    limit: Option<u32>,
) -> Result<(), StoreError> {
    let fault = write.fault();
    sqlx::query(sql::KEY_LIMIT)
        .bind(queue)
        .bind(key.as_str())
        .bind(limit)
        .execute(write.connection())
        .await
        .map_err(fault)?;
    forget_plain_key(write, queue, key).await
}

async fn set_key_paused(
    write: &mut Write<'_>,
    queue: i64,
    key: &ConcurrencyKey,
    paused: bool,
) -> Result<(), StoreError> {
    let fault = write.fault();
    sqlx::query(sql::KEY_PAUSE)
        .bind(queue)
        .bind(key.as_str())
        .bind(paused)
        .execute(write.connection())
        .await
        .map_err(fault)?;
    forget_plain_key(write, queue, key).await
}

async fn forget_plain_key(write: &mut Write<'_>, queue: i64, key: &ConcurrencyKey) -> Result<(), StoreError> {
    let fault = write.fault();
    sqlx::query(sql::KEY_PLAIN).bind(queue).bind(key.as_str()).execute(write.connection()).await.map_err(fault)?;
    Ok(())
}

/// Gives a key its room, the first batch in the transaction that has changed its limit. It ends because every further
/// batch frees parked jobs, and is as long as they are many.
async fn fill_key(write: Write<'_>, shared: &Shared, queue: i64, key: &ConcurrencyKey) -> Result<(), StoreError> {
    let keys = [(queue, key.as_str().to_owned())];
    let mut write = write;
    loop {
        let freed = lanes::unpark(&mut write, &keys, PER_KEY_MAX).await?;
        write.commit().await?;
        if freed < PER_KEY_MAX {
            return Ok(());
        }
        write = Write::begin(shared, "unpark").await?;
    }
}

/// Gives all keys of a queue their room, in batches that let other writers in between.
pub(crate) async fn fill_queue(shared: &Shared, queue: i64) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let mut write = Write::begin(shared, "unpark").await?;
        let keys = lanes::keys_after(&mut write, queue, &after, KEYS_MAX).await?;
        let mut freed = lanes::unpark(&mut write, &keys, PER_KEY_MAX).await?;
        write.commit().await?;
        while freed > 0 {
            let mut write = Write::begin(shared, "unpark").await?;
            freed = lanes::unpark(&mut write, &keys, PER_KEY_MAX).await?;
            write.commit().await?;
        }
        match keys.into_iter().next_back() {
            Some((_, last)) => after = last,
            None => return Ok(()),
        }
    }
}
