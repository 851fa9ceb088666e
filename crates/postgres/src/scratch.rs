use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::{Address, Fault};

/// A database of its own on a server, for something that leaves nothing behind.
#[derive(Debug)]
pub struct ScratchDatabase {
    server: Address,
    address: Address,
    name: String,
}

impl ScratchDatabase {
    /// Makes one on the server of this address, whose user must be allowed to.
    pub async fn create(server: &Address) -> Result<Self, Fault> {
        let name = format!("reviewfleet_scratch_{}", Uuid::now_v7().simple());
        execute(server, format!("CREATE DATABASE {name}")).await?;
        Ok(Self { server: server.clone(), address: server.with_database(&name), name })
    }

    /// Where it is.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Removes it, and cuts whoever is still connected to it.
    pub async fn drop(self) -> Result<(), Fault> {
        execute(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await
    }
}

async fn execute(server: &Address, sql: String) -> Result<(), Fault> {
    let mut connection =
        PgConnection::connect_with(server.options()).await.map_err(|e| Fault::connecting(server, e))?;
    let calling = |e| Fault::calling("make or remove a database", e);
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.map_err(calling)?;
    connection.close().await.map_err(calling)
}
