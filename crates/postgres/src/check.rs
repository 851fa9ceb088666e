use std::{future::Future, time::Duration};

use sqlx::{
    Connection, PgConnection,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{Address, Fault};

/// How long a connection may take: a firewall that drops packets gives no answer at all.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a statement of the check may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a notification may take to arrive: it takes a millisecond where it arrives at all.
const HEAR: Duration = Duration::from_secs(2);
/// Rounds in which two connections are looked at for a pooler; other clients of it may spoil one.
const ROUNDS: usize = 5;

/// What was said of a database.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Where statements go.
    pub address: &'a Address,
    /// Where wake-ups are listened for, if not there.
    pub listen: Option<&'a Address>,
    /// Whether a pooler in transaction mode stands before `address`.
    pub transaction_pooler: bool,
}

/// Whether a set-up can serve: the server answers, lets this user in, may be written to, and is what was said of it. Takes
/// two connections for some milliseconds.
pub async fn check(setup: Setup<'_>) -> Result<(), Fault> {
    let mut connection = connect(setup.address).await?;
    writes(setup.address, &mut connection).await?;
    if !setup.transaction_pooler {
        let mut other = connect(setup.address).await?;
        if share_a_backend(&mut connection, &mut other).await? {
            return Err(Fault::Setup(format!(
                "{} is a pooler in transaction mode: set transaction_pooler = true, and listen_url to the server's own \
                 address, or give the server's own address only",
                setup.address
            )));
        }
        // Whether the server hears that they end tells nothing.
        let _ = other.close().await;
    }
    if let Some(listen) = setup.listen {
        hears(setup.address, listen, &mut connection).await?;
    }
    let _ = connection.close().await;
    Ok(())
}

/// Whether a table of this name is there, its schema before it.
pub async fn has_relation(address: &Address, name: &str) -> Result<bool, Fault> {
    let mut connection = connect(address).await?;
    let found = in_time(async {
        let mut tx = connection.begin().await?;
        sqlx::query_scalar(include_str!("../sql/has_relation.sql"))
            .persistent(false)
            .bind(name)
            .fetch_one(&mut *tx)
            .await
    });
    let found = found.await?;
    let _ = connection.close().await;
    Ok(found)
}

pub(crate) async fn connect(address: &Address) -> Result<PgConnection, Fault> {
    match timeout(CONNECT, PgConnection::connect_with(address.options())).await {
        Ok(made) => made.map_err(|e| Fault::connecting(address, e)),
        Err(_) => Err(Fault::away(format!("{address} does not answer within {CONNECT:?}"))),
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Fault> {
    match timeout(ANSWER, call).await {
        Ok(answer) => answer.map_err(|e| Fault::calling("look at the set-up", e)),
        Err(_) => Err(Fault::away(format!("the database does not answer within {ANSWER:?}"))),
    }
}

async fn writes(address: &Address, connection: &mut PgConnection) -> Result<(), Fault> {
    let (is_standby, reads_only): (bool, bool) = in_time(async {
        let mut tx = connection.begin().await?;
        sqlx::query_as(include_str!("../sql/reads_only.sql")).persistent(false).fetch_one(&mut *tx).await
    })
    .await?;
    let why = match (is_standby, reads_only) {
        (false, false) => return Ok(()),
        (true, _) => "the server is a standby. Give the primary's address",
        (false, true) => "its default_transaction_read_only is on",
    };
    Err(Fault::away(format!("{address} only reads: {why}")))
}

/// Whether two connections that are open at once have met the same server process, or one of them has met two: then
/// something between deals the processes out by the transaction.
async fn share_a_backend(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, Fault> {
    in_time(async {
        for _ in 0..ROUNDS {
            let first = backend(one).await?;
            let mut tx = other.begin().await?;
            let second = backend(&mut tx).await?;
            if first == second || backend(one).await? != first {
                return Ok(true);
            }
            tx.rollback().await?;
        }
        Ok(false)
    })
    .await
}

async fn backend(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    use sqlx::{Executor, Row};
    // In the simple protocol, which needs no second step on the same server process.
    connection.fetch_one(sqlx::raw_sql(include_str!("../sql/backend.sql"))).await?.try_get(0)
}

/// Whether what is said at the one address is heard at the other.
async fn hears(address: &Address, listen: &Address, connection: &mut PgConnection) -> Result<(), Fault> {
    let channel = format!("reviewfleet_check_{}", Uuid::now_v7().simple());
    let pool =
        PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT).connect_lazy_with(listen.options().clone());
    let mut listener = PgListener::connect_with(&pool).await.map_err(|e| Fault::connecting(listen, e))?;
    in_time(listener.listen(&channel)).await?;
    in_time(async {
        let mut tx = connection.begin().await?;
        let said = sqlx::query(include_str!("../sql/notify.sql")).persistent(false).bind(&channel);
        said.execute(&mut *tx).await?;
        tx.commit().await
    })
    .await?;
    match timeout(HEAR, listener.recv()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(e)) => Err(Fault::connecting(listen, e)),
        Err(_) => Err(Fault::Setup(format!(
            "{listen} (listen_url) does not hear what is said at {address}: it must be the same database by its server's \
             own address, since no wake-up comes through a pooler in transaction mode"
        ))),
    }
}
