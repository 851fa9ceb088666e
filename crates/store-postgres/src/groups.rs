use job::{ConcurrencyKey, GroupName, LimitClass, QueueName};
use sqlx::postgres::PgRow;
use store::{
    ClassSettings, GroupSettings, KEYS_SHOWN_MAX, KeySettings, QueueSettings, StoreError, Throttle, WhenFull, units,
};

use crate::{
    admin,
    database::{Shared, column},
    error::corrupt,
    sql,
};

pub(crate) async fn define(
    shared: &Shared,
    group: &GroupName,
    names: &[QueueName],
    limit: Option<u32>,
) -> Result<(), StoreError> {
    let mut queues = Vec::with_capacity(names.len());
    for name in names {
        queues.push(admin::queue_id(shared, name).await?);
    }
    let query = sqlx::query(sql::DEFINE_GROUP).bind(group.as_str()).bind(queues).bind(limit.map(i64::from));
    let row = shared.change("define a group", query).await?;
    if let (Some(name), Some(other)) = (column::<Option<&str>>(&row, 0)?, column::<Option<&str>>(&row, 1)?) {
        return Err(StoreError::Invalid(format!(
            "queue {name} is in the group {other} already: a queue is in one group at most"
        )));
    }
    // A raised limit or a queue that has left lets more start.
    shared.woke(true);
    Ok(())
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
    let id = admin::queue_id(shared, queue).await?;
    let query = sqlx::query(sql::SET_THROTTLE)
        .bind(id)
        .bind(class.as_str())
        .bind(throttle.map(|t| i64::from(t.starts)))
        .bind(throttle.map(|t| units::millis(t.period)))
        .bind(throttle.is_some_and(|t| t.when_full == WhenFull::Refuse));
    shared.change("set a throttle", query).await?;
    // Jobs that the throttle held back before may have room now.
    admin::use_room(shared, id, Some(class.as_str()), None).await
}

pub(crate) async fn settings(shared: &Shared, queue: &QueueName) -> Result<QueueSettings, StoreError> {
    let rows = |query| shared.database.rows("a queue's settings", query);
    let own = rows(sqlx::query(sql::SETTINGS_OF).bind(queue.as_str())).await?;
    let Some(own) = own.first() else { return Err(StoreError::Invalid(format!("there is no queue {queue}"))) };
    let id: i32 = column(own, 0)?;
    let group = match column::<Option<i32>>(own, 3)? {
        None => None,
        Some(group) => {
            let names = rows(sqlx::query(sql::GROUP_QUEUES).bind(group)).await?;
            let name = |row: &PgRow| QueueName::new(column::<&str>(row, 0)?).map_err(corrupt("a queue name"));
            Some(GroupSettings {
                name: GroupName::new(column::<&str>(own, 4)?).map_err(corrupt("a group's name"))?,
                queues: names.iter().map(name).collect::<Result<_, _>>()?,
                limit: column::<Option<i64>>(own, 5)?.map(units::small),
            })
        }
    };
    let classes = rows(sqlx::query(sql::CLASS_SETTINGS).bind(id)).await?;
    let shown = i64::try_from(KEYS_SHOWN_MAX + 1).unwrap_or(i64::MAX);
    let keys = rows(sqlx::query(sql::KEY_SETTINGS).bind(id).bind(shown)).await?;
    Ok(QueueSettings {
        queue: queue.clone(),
        limit: column::<Option<i64>>(own, 1)?.map(units::small),
        paused: column(own, 2)?,
        group,
        classes: classes.iter().map(class).collect::<Result<_, _>>()?,
        more_keys: keys.len() > KEYS_SHOWN_MAX,
        keys: keys.iter().take(KEYS_SHOWN_MAX).map(key).collect::<Result<_, _>>()?,
    })
}

fn class(row: &PgRow) -> Result<ClassSettings, StoreError> {
    let throttle = match column::<Option<i64>>(row, 2)? {
        None => None,
        Some(starts) => Some(Throttle {
            starts: units::small(starts),
            period: units::duration(column(row, 3)?),
            when_full: if column(row, 4)? { WhenFull::Refuse } else { WhenFull::Wait },
        }),
    };
    Ok(ClassSettings {
        class: LimitClass::new(column::<&str>(row, 0)?).map_err(corrupt("a limit class"))?,
        limit: column::<Option<i64>>(row, 1)?.map(units::small),
        throttle,
    })
}

fn key(row: &PgRow) -> Result<KeySettings, StoreError> {
    Ok(KeySettings {
        key: ConcurrencyKey::new(column::<&str>(row, 0)?).map_err(corrupt("a concurrency key"))?,
        limit: column::<Option<i64>>(row, 1)?.map(units::small),
        paused: column(row, 2)?,
    })
}
