use std::collections::HashMap;

use job::{LimitClass, QueueName};
use sqlx::Row;
use store::StoreError;

use crate::{sql, write::Write};

/// A queue as a claim sees it.
pub(crate) struct QueueRow {
    pub(crate) id: i64,
    name: String,
    pub(crate) limit: Option<i64>,
    pub(crate) paused: bool,
    pub(crate) resumed_at_ms: i64,
    pub(crate) starts: i64,
    /// The group that it is in and that one's limit.
    pub(crate) group: Option<(i64, Option<i64>)>,
}

/// All queues: few, since their names come from the configuration.
pub(crate) struct Queues(Vec<QueueRow>);

impl Queues {
    pub(crate) async fn load(write: &mut Write<'_>) -> Result<Self, StoreError> {
        let fault = write.fault();
        let rows = sqlx::query(sql::QUEUES).fetch_all(write.connection()).await.map_err(&fault)?;
        let read = |row: &sqlx::sqlite::SqliteRow| -> Result<QueueRow, sqlx::Error> {
            Ok(QueueRow {
                id: row.try_get(0)?,
                name: row.try_get(1)?,
                limit: row.try_get(2)?,
                paused: row.try_get(3)?,
                resumed_at_ms: row.try_get(4)?,
                starts: row.try_get(5)?,
                group: row
                    .try_get::<Option<i64>, _>(6)?
                    .map(|id| Ok::<_, sqlx::Error>((id, row.try_get(7)?)))
                    .transpose()?,
            })
        };
        Ok(Self(rows.iter().map(read).collect::<Result<_, _>>().map_err(&fault)?))
    }

    pub(crate) fn find(&self, name: &QueueName) -> Option<&QueueRow> {
        self.0.iter().find(|q| q.name == name.as_str())
    }

    /// The id of a queue that a command names.
    pub(crate) fn id(&self, name: &QueueName) -> Result<i64, StoreError> {
        self.find(name).map(|q| q.id).ok_or_else(|| StoreError::Invalid(format!("there is no queue {name}")))
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().map(|q| q.id)
    }
}

/// All limit classes, and of each whether a job that would wait for its throttle is refused.
pub(crate) struct Classes(HashMap<(i64, String), bool>);

impl Classes {
    pub(crate) async fn load(write: &mut Write<'_>) -> Result<Self, StoreError> {
        let fault = write.fault();
        let rows: Vec<(i64, String, bool)> =
            sqlx::query_as(sql::CLASSES).fetch_all(write.connection()).await.map_err(fault)?;
        Ok(Self(rows.into_iter().map(|(queue, class, refuses)| ((queue, class), refuses)).collect()))
    }

    pub(crate) fn has(&self, queue: i64, class: &LimitClass) -> bool {
        self.0.contains_key(&(queue, class.as_str().to_owned()))
    }

    /// Whether the throttle of a class refuses jobs that would have to wait.
    pub(crate) fn refuses(&self, queue: i64, class: &LimitClass) -> bool {
        self.0.get(&(queue, class.as_str().to_owned())).copied().unwrap_or(false)
    }
}
