use job::{GroupName, QueueName};
use store::{
    ClassSettings, GroupSettings, KEYS_SHOWN_MAX, KeySettings, QueueSettings, StoreError, Throttle, WhenFull, units,
};

use crate::{
    error::{corrupt, fault},
    json,
    queue::Shared,
    queues::Queues,
    rows::column,
    sql,
    write::Write,
};

pub(crate) async fn define(
    shared: &Shared,
    group: &GroupName,
    names: &[QueueName],
    limit: Option<u32>,
) -> Result<(), StoreError> {
    let mut write = Write::begin(shared, "define a group").await?;
    let (queues, fault) = (Queues::load(&mut write).await?, write.fault());
    let ids = names.iter().map(|name| queues.id(name)).collect::<Result<Vec<_>, _>>()?;
    for (name, id) in names.iter().zip(&ids) {
        let other: Option<String> = sqlx::query_scalar(sql::GROUP_OF)
            .bind(id)
            .bind(group.as_str())
            .fetch_optional(write.connection())
            .await
            .map_err(&fault)?;
        if let Some(other) = other {
            return Err(StoreError::Invalid(format!(
                "queue {name} is in the group {other} already: a queue is in one group at most"
            )));
        }
    }
    let id: i64 = sqlx::query_scalar(sql::GROUP_PUT)
        .bind(group.as_str())
        .bind(limit)
        .fetch_one(write.connection())
        .await
        .map_err(&fault)?;
    sqlx::query(sql::GROUP_MEMBERS)
        .bind(id)
        .bind(json::array(&ids)?)
        .execute(write.connection())
        .await
        .map_err(&fault)?;
    if ids.is_empty() {
        sqlx::query(sql::GROUP_DROP).bind(id).execute(write.connection()).await.map_err(&fault)?;
    }
    // A raised limit or a queue that has left lets more start.
    write.became_ready();
    write.commit().await
}

pub(crate) async fn settings(shared: &Shared, queue: &QueueName) -> Result<QueueSettings, StoreError> {
    let fault = fault("a queue's settings");
    let mut read = shared.readers.begin().await.map_err(&fault)?;
    let row = sqlx::query(sql::SETTINGS_OF).bind(queue.as_str()).fetch_optional(&mut *read).await.map_err(&fault)?;
    let row = row.ok_or_else(|| StoreError::Invalid(format!("there is no queue {queue}")))?;
    let id: i64 = column(&row, 0)?;
    let group = match column::<Option<i64>>(&row, 3)? {
        None => None,
        Some(group) => {
            let names: Vec<String> =
                sqlx::query_scalar(sql::GROUP_QUEUES).bind(group).fetch_all(&mut *read).await.map_err(&fault)?;
            Some(GroupSettings {
                name: GroupName::new(column::<&str>(&row, 4)?).map_err(corrupt("a group's name"))?,
                queues: names.iter().map(QueueName::new).collect::<Result<_, _>>().map_err(corrupt("a queue name"))?,
                limit: column::<Option<i64>>(&row, 5)?.map(units::small),
            })
        }
    };
    let classes = sqlx::query(sql::CLASS_SETTINGS).bind(id).fetch_all(&mut *read).await.map_err(&fault)?;
    let shown = i64::try_from(KEYS_SHOWN_MAX + 1).unwrap_or(i64::MAX);
    let keys = sqlx::query(sql::KEY_SETTINGS).bind(id).bind(shown).fetch_all(&mut *read).await.map_err(&fault)?;
    Ok(QueueSettings {
        queue: queue.clone(),
        limit: column::<Option<i64>>(&row, 1)?.map(units::small),
        paused: column(&row, 2)?,
        group,
        classes: classes.iter().map(class).collect::<Result<_, _>>()?,
        more_keys: keys.len() > KEYS_SHOWN_MAX,
        keys: keys.iter().take(KEYS_SHOWN_MAX).map(key).collect::<Result<_, _>>()?,
    })
}

fn class(row: &sqlx::sqlite::SqliteRow) -> Result<ClassSettings, StoreError> {
    let throttle = match column::<Option<i64>>(row, 2)? {
        None => None,
        Some(starts) => Some(Throttle {
            starts: units::small(starts),
            period: units::duration(column(row, 3)?),
            when_full: if column(row, 4)? { WhenFull::Refuse } else { WhenFull::Wait },
        }),
    };
    Ok(ClassSettings {
        class: job::LimitClass::new(column::<&str>(row, 0)?).map_err(corrupt("a limit class"))?,
        limit: column::<Option<i64>>(row, 1)?.map(units::small),
        throttle,
    })
}

fn key(row: &sqlx::sqlite::SqliteRow) -> Result<KeySettings, StoreError> {
    Ok(KeySettings {
        key: job::ConcurrencyKey::new(column::<&str>(row, 0)?).map_err(corrupt("a concurrency key"))?,
        limit: column::<Option<i64>>(row, 1)?.map(units::small),
        paused: column(row, 2)?,
    })
}
