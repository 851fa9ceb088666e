//! How a process uses its connections, for Prometheus.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use sqlx::PgPool;
use tokio::time::sleep;

const CONNECTIONS: &str = "reviewfleet_store_connections";
const CONNECTIONS_MAX: &str = "reviewfleet_store_connections_max";
const TIMEOUTS: &str = "reviewfleet_store_connection_timeouts_total";

/// How often the use of a pool is looked at, which asks no server: more often than Prometheus asks, which is every 15 s by
/// custom.
const EVERY: Duration = Duration::from_secs(5);

/// Publishes how many connections of a process' one pool are in use and idle, and how many there may be, until the pool is
/// closed. Looks between calls: who found no connection at all is counted by [`count_timeout`].
pub async fn watch_pool(pool: PgPool) {
    describe();
    while !pool.is_closed() {
        publish(&pool);
        sleep(EVERY).await;
    }
}

/// Counts the fault of a call if it is that no connection was to be had in time.
pub fn count_timeout(error: &sqlx::Error) {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        counter!(TIMEOUTS).increment(1);
    }
}

fn describe() {
    describe_gauge!(
        CONNECTIONS,
        Unit::Count,
        "Connections of this process to Postgres that run a call, and that are idle."
    );
    describe_gauge!(CONNECTIONS_MAX, Unit::Count, "Most connections that this process' calls may open.");
    describe_counter!(
        TIMEOUTS,
        Unit::Count,
        "Calls that had no connection in time: all were in use, or the server gave none."
    );
    // The series exists from here on, so that a rate sees the first one.
    counter!(TIMEOUTS).increment(0);
}

fn publish(pool: &PgPool) {
    let open = pool.size();
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX).min(open);
    gauge!(CONNECTIONS, "state" => "used").set(open - idle);
    gauge!(CONNECTIONS, "state" => "idle").set(idle);
    gauge!(CONNECTIONS_MAX).set(pool.options().get_max_connections());
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use sqlx::postgres::PgPoolOptions;

    use super::*;
    use crate::{Address, Database, Fault};

    #[tokio::test]
    async fn connections_in_use_and_calls_without_one_are_told() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let shown = recorder.handle();
        let _here = metrics::set_default_local_recorder(&recorder);
        let tells =
            |line: &str| assert!(shown.render().lines().any(|l| l == line), "no {line:?} in\n{}", shown.render());

        let address: Address = postgres_testing::server_url().parse().unwrap();
        let options = PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_millis(50));
        let pool = options.connect_lazy_with(address.options().clone());
        describe();
        tells("reviewfleet_store_connection_timeouts_total 0");
        let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
        publish(&pool);
        tells(r#"reviewfleet_store_connections{state="used"} 2"#);
        tells(r#"reviewfleet_store_connections{state="idle"} 0"#);
        tells("reviewfleet_store_connections_max 2");

        let database = Database::over(pool.clone(), false);
        let fault = database.rows("ask", sqlx::query("SELECT 1")).await.unwrap_err();
        assert!(matches!(fault, Fault::Unavailable { .. }), "{fault:?}");
        tells("reviewfleet_store_connection_timeouts_total 1");
        drop(held);
        database.rows("ask", sqlx::query("SELECT 1")).await.unwrap();
        tells("reviewfleet_store_connection_timeouts_total 1");
    }
}
