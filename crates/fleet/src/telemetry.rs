//! What a process tells of itself: log lines on standard error, and metrics for Prometheus.

use std::{io, time::Duration};

use anstream::{AutoStream, ColorChoice};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::time::MissedTickBehavior;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::EnvFilter;

use crate::{LogFormat, TelemetryConfig};

/// Upper bounds of the buckets of every other `_seconds` histogram: fine below the API's target of half a second, and up to
/// the longest timeout of a job.
const SECONDS: [f64; 18] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];

/// The histogram whose times are those of a backlog, and the upper bounds of its buckets: from a start at once to a queue
/// that nobody has worked on for half a day.
const QUEUE_SECONDS: &str = "reviewfleet_job_queue_seconds";
const BACKLOG_SECONDS: [f64; 16] =
    [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 43200.0];

/// How often the recorder gives back the memory of samples that it has counted. Scrapes do so too; a process that nobody
/// scrapes would grow without it.
const UPKEEP: Duration = Duration::from_secs(5);

/// The running telemetry.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// Why a process stays silent.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log_level` is no filter; [`crate::Config::load`] lets none such through.
    #[error("telemetry.log_level is no filter of log lines")]
    LogLevel(#[source] tracing_subscriber::filter::ParseError),
    /// Something writes the process' log lines already.
    #[error("log lines have a writer already: a process starts its telemetry once")]
    Log(#[source] SetGlobalDefaultError),
    /// Something records the process' metrics already.
    #[error("metrics have a recorder already: a process starts its telemetry once")]
    Metrics(#[source] BuildError),
}

/// Starts both, for the whole process. Once a process, inside a runtime.
pub fn init(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    start_log(config)?;
    let recorder = recorder().map_err(TelemetryError::Metrics)?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|e| TelemetryError::Metrics(e.into()))?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(Telemetry { metrics: handle })
}

fn start_log(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(&config.log_level).map_err(TelemetryError::LogLevel)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match config.log_format {
        LogFormat::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()),
        LogFormat::Text => tracing::subscriber::set_global_default(lines.with_ansi(has_colour()).finish()),
    }
    .map_err(TelemetryError::Log)
}

/// As all else on standard error: by `--color`, the environment and the terminal.
fn has_colour() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    // Of two that match, the whole name goes before a part of it.
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(QUEUE_SECONDS.into()), &BACKLOG_SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?;
    Ok(builder.build_recorder())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_counted_in_buckets() {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::describe_histogram!("reviewfleet_job_seconds", metrics::Unit::Seconds, "Time of a job.");
            metrics::histogram!("reviewfleet_job_seconds", "queue" => "review").record(0.3);
            metrics::histogram!(QUEUE_SECONDS, "queue" => "review").record(4000.0);
        });
        let text = handle.render();
        assert!(text.contains("# TYPE reviewfleet_job_seconds histogram"), "{text}");
        assert!(text.contains(r#"reviewfleet_job_seconds_bucket{queue="review",le="0.25"} 0"#), "{text}");
        assert!(text.contains(r#"reviewfleet_job_seconds_bucket{queue="review",le="0.5"} 1"#), "{text}");
        assert!(text.contains(r#"reviewfleet_job_queue_seconds_bucket{queue="review",le="3600"} 0"#), "{text}");
        assert!(text.contains(r#"reviewfleet_job_queue_seconds_bucket{queue="review",le="14400"} 1"#), "{text}");
    }

    #[tokio::test]
    async fn telemetry_starts_once() {
        let config = TelemetryConfig::default();
        init(&config).unwrap();
        metrics::counter!("reviewfleet_starts_total").increment(1);
        assert!(matches!(init(&config), Err(TelemetryError::Log(_))));
    }
}
