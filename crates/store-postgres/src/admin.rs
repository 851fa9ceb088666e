use job::QueueName;
use store::{LimitTarget, NO_KEY_IS_CONFIGURED, PauseTarget, StoreError};

use crate::{
    database::{Shared, column},
    maintain, sql,
};

/// Keys that one transaction looks at when the limit of a class was raised, and parked jobs of each that it frees.
const SWEEP_KEYS_MAX: i32 = 100;
const SWEEP_PER_KEY_MAX: i32 = 50;
/// Parked jobs that one transaction frees when the limit of one key was raised.
const FILL_MAX: i32 = 500;

/// The id of a queue that a command names.
pub(crate) async fn queue_id(shared: &Shared, name: &QueueName) -> Result<i32, StoreError> {
    let rows = shared.database.rows("a queue", sqlx::query(sql::QUEUE_ID).bind(name.as_str())).await?;
    match rows.first() {
        Some(row) => column(row, 0),
        None => Err(StoreError::Invalid(format!("there is no queue {name}"))),
    }
}

pub(crate) async fn define_queue(shared: &Shared, queue: &QueueName, limit: Option<u32>) -> Result<(), StoreError> {
    let query = sqlx::query(sql::DEFINE_QUEUE).bind(queue.as_str()).bind(limit.map(i64::from));
    shared.change("define a queue", query).await?;
    shared.woke(true);
    Ok(())
}

pub(crate) async fn pause(shared: &Shared, target: &PauseTarget) -> Result<(), StoreError> {
    set_paused(shared, target, true).await.map(drop)
}

pub(crate) async fn resume(shared: &Shared, target: &PauseTarget) -> Result<(), StoreError> {
    let queue = set_paused(shared, target, false).await?;
    if let PauseTarget::Key(_, key) = target {
        fill_key(shared, queue, key.as_str()).await?;
    }
    shared.woke(true);
    shared.flush().await
}

async fn set_paused(shared: &Shared, target: &PauseTarget, paused: bool) -> Result<i32, StoreError> {
    let (name, key) = match target {
        PauseTarget::Queue(name) => (name, None),
        PauseTarget::Key(name, key) => (name, Some(key.as_str())),
    };
    let queue = queue_id(shared, name).await?;
    shared.change("pause", sqlx::query(sql::SET_PAUSED).bind(queue).bind(key).bind(paused)).await?;
    Ok(queue)
}

pub(crate) async fn set_limit(shared: &Shared, target: &LimitTarget, limit: Option<u32>) -> Result<(), StoreError> {
    let (name, class, key) = match target {
        LimitTarget::Queue(name) => (name, None, None),
        LimitTarget::Class(name, class) => (name, Some(class.as_str()), None),
        LimitTarget::Key(name, key) => (name, None, Some(key.as_str())),
    };
    let queue = queue_id(shared, name).await?;
    let query = sqlx::query(sql::SET_LIMIT).bind(queue).bind(class).bind(key).bind(limit.map(i64::from));
    shared.change("set a limit", query).await?;
    use_room(shared, queue, class, key).await
}

pub(crate) async fn configure_limit(
    shared: &Shared,
    target: &LimitTarget,
    limit: Option<u32>,
) -> Result<(), StoreError> {
    let (name, class) = match target {
        LimitTarget::Queue(name) => (name, None),
        LimitTarget::Class(name, class) => (name, Some(class.as_str())),
        LimitTarget::Key(..) => return Err(StoreError::Invalid(NO_KEY_IS_CONFIGURED.to_owned())),
    };
    let query = sqlx::query(sql::CONFIGURE_LIMIT).bind(name.as_str()).bind(class).bind(limit.map(i64::from));
    if column(&shared.change("configure a limit", query).await?, 0)? {
        let queue = queue_id(shared, name).await?;
        use_room(shared, queue, class, None).await?;
    }
    Ok(())
}

/// Lets jobs start that a changed limit has room for.
pub(crate) async fn use_room(
    shared: &Shared,
    queue: i32,
    class: Option<&str>,
    key: Option<&str>,
) -> Result<(), StoreError> {
    match (class, key) {
        (Some(_), _) => fill_queue(shared, queue).await?,
        (None, Some(key)) => fill_key(shared, queue, key).await?,
        (None, None) => {}
    }
    shared.woke(true);
    shared.flush().await
}

/// Gives a key its room, in batches that let claims in between. It ends because every further batch frees parked jobs,
/// and is as long as they are many.
async fn fill_key(shared: &Shared, queue: i32, key: &str) -> Result<(), StoreError> {
    loop {
        let query = sqlx::query(sql::FILL_KEY).bind(queue).bind(key).bind(FILL_MAX);
        let freed: i64 = column(&shared.database.row("unpark", query).await?, 0)?;
        if freed < i64::from(FILL_MAX) {
            return Ok(());
        }
    }
}

/// Gives all keys of a queue their room, in batches that let claims in between.
async fn fill_queue(shared: &Shared, queue: i32) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let from = after.clone();
        let mut freed = maintain::one_sweep(shared, queue, &mut after, SWEEP_KEYS_MAX, SWEEP_PER_KEY_MAX).await?;
        while freed > 0 {
            let mut again = from.clone();
            freed = maintain::one_sweep(shared, queue, &mut again, SWEEP_KEYS_MAX, SWEEP_PER_KEY_MAX).await?;
        }
        if after.is_empty() {
            return Ok(());
        }
    }
}
