use std::{sync::Arc, time::Duration};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use store::{QueueBackend, QueueStats, StoreError};
use tokio::{task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const DEPTH: &str = "reviewfleet_queue_depth";
const OLDEST: &str = "reviewfleet_queue_oldest_ready_seconds";
const LIMIT: &str = "reviewfleet_queue_limit";
const PAUSED: &str = "reviewfleet_queue_paused";
const FAILURES: &str = "reviewfleet_queue_depth_failures_total";

/// Publishes the depth of every queue at each interval, until it is told to stop. Every process of a fleet may do so:
/// they all say the same, and a query takes the greatest.
pub fn watch_depth(queue: Arc<dyn QueueBackend>, interval: Duration, stop: CancellationToken) -> JoinHandle<()> {
    describe();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let stats = queue.stats().await;
            tell_of_change(&mut is_failing, &stats);
            match stats {
                Ok(stats) => stats.iter().for_each(publish),
                Err(_) => counter!(FAILURES).increment(1),
            }
        }
    })
}

/// A line when it begins to fail and one when it is over, and not one an interval.
fn tell_of_change(is_failing: &mut bool, stats: &Result<Vec<QueueStats>, StoreError>) {
    match stats {
        Err(error) if !*is_failing => {
            warn!(error = error as &dyn std::error::Error, "the queues' depth cannot be read");
        }
        Ok(_) if *is_failing => info!("the queues' depth can be read again"),
        _ => {}
    }
    *is_failing = stats.is_err();
}

fn describe() {
    describe_gauge!(DEPTH, Unit::Count, "Jobs of a queue, by state.");
    describe_gauge!(OLDEST, Unit::Seconds, "How long the oldest ready job of a queue has been ready; 0 when none is.");
    describe_gauge!(LIMIT, Unit::Count, "Most jobs of a queue that may run at once; +Inf when there is no limit.");
    describe_gauge!(PAUSED, Unit::Count, "1 while a queue is paused, else 0.");
    describe_counter!(
        FAILURES,
        Unit::Count,
        "Times that the queues' depth could not be read: the gauges are old then."
    );
    // The series exists from here on, so that a rate sees the first failure.
    counter!(FAILURES).increment(0);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is an f64, exact up to 2^53 jobs")]
fn publish(stats: &QueueStats) {
    let queue = stats.queue.as_str();
    for (state, jobs) in [
        ("scheduled", stats.scheduled),
        ("ready", stats.ready),
        ("parked", stats.parked),
        ("leased", stats.leased),
        ("dead", stats.dead),
    ] {
        gauge!(DEPTH, "queue" => queue.to_owned(), "state" => state).set(jobs as f64);
    }
    gauge!(OLDEST, "queue" => queue.to_owned()).set(stats.oldest_ready.unwrap_or_default().as_secs_f64());
    gauge!(LIMIT, "queue" => queue.to_owned()).set(stats.limit.map_or(f64::INFINITY, f64::from));
    gauge!(PAUSED, "queue" => queue.to_owned()).set(f64::from(u8::from(stats.paused)));
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use job::QueueName;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use store::{PauseTarget, QueueAdmin};
    use store_sqlite::{Options, SqliteQueue};

    use super::*;

    /// Far more than a reading of the depth needs.
    const PATIENCE: Duration = Duration::from_secs(10);
    const INTERVAL: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn depth_is_published_until_the_stop_and_a_failure_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let queue = SqliteQueue::open(folder.path().join("queue.db"), Options::default()).await.unwrap();
        let review = QueueName::new("review").unwrap();
        queue.define_queue(&review, Some(7)).await.unwrap();
        let recorder = PrometheusBuilder::new().build_recorder();
        let shown = recorder.handle();
        let _here = metrics::set_default_local_recorder(&recorder);
        let appears = async |line: &str| {
            let start = Instant::now();
            while !shown.render().lines().any(|l| l.starts_with(line)) {
                assert!(start.elapsed() < PATIENCE, "no {line:?} in\n{}", shown.render());
                tokio::time::sleep(INTERVAL).await;
            }
        };

        let stop = CancellationToken::new();
        let task = watch_depth(Arc::new(queue.clone()), INTERVAL, stop.clone());
        appears(r#"reviewfleet_queue_limit{queue="review"} 7"#).await;
        for state in ["scheduled", "ready", "parked", "leased", "dead"] {
            appears(&format!(r#"reviewfleet_queue_depth{{queue="review",state="{state}"}} 0"#)).await;
        }
        appears(r#"reviewfleet_queue_oldest_ready_seconds{queue="review"} 0"#).await;
        appears(r#"reviewfleet_queue_paused{queue="review"} 0"#).await;
        queue.pause(&PauseTarget::Queue(review.clone())).await.unwrap();
        appears(r#"reviewfleet_queue_paused{queue="review"} 1"#).await;

        queue.close().await;
        appears("reviewfleet_queue_depth_failures_total 1").await;
        stop.cancel();
        task.await.unwrap();
    }
}
