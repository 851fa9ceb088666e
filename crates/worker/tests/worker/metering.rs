use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use job::Outcome;
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use store::{NewJob, QueueStore};
use tokio::time::sleep;
use worker::Options;

use crate::{
    fake::{Fake, State},
    support::{Worker, handlers, ms, new_job, new_jobs, options, secs, until},
};

/// Keeps every series under its name and labels.
#[derive(Default)]
struct Meter(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

/// Counts what is recorded.
struct Count(Arc<AtomicU64>);

impl HistogramFn for Count {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Meter {
    fn series(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let series = format!("{}{{{}}}", key.name(), labels.join(","));
        self.0.lock().unwrap().entry(series).or_default().clone()
    }

    fn value(&self, series: &str) -> Option<u64> {
        self.0.lock().unwrap().get(series).map(|value| value.load(Ordering::SeqCst))
    }

    fn gauge(&self, series: &str) -> Option<f64> {
        self.value(series).map(f64::from_bits)
    }
}

impl Recorder for Meter {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Count(self.series(key))))
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_does_is_metered_by_queue_and_outcome() {
    let meter = Meter::default();
    let _metering = metrics::set_default_local_recorder(&meter);
    let store = Arc::new(Fake::default());
    let stolen = new_job();
    let id = stolen.id;
    let mut jobs = new_jobs(5);
    jobs.extend([NewJob { max_attempts: 1, ..new_job() }, stolen]);
    let bad = jobs[5].id;
    store.enqueue(&jobs).await.unwrap();
    let handler = handlers(move |job, _| async move {
        if job.id == id {
            sleep(secs(600)).await;
        }
        sleep(ms(10)).await;
        if job.id == bad { Outcome::TimedOut } else { Outcome::Completed }
    });
    let worker = Worker::start(store.clone(), handler, Options { lease: secs(3), ..options() });
    until(|| meter.gauge("reviewfleet_jobs_running{queue=work}") == Some(7.0)).await;
    assert_eq!(meter.value("reviewfleet_leases_lost_total{queue=work}"), Some(0));
    store.steal(id);
    until(|| meter.value("reviewfleet_leases_lost_total{queue=work}") == Some(1)).await;
    until(|| store.count(&State::Completed) == 5).await;
    worker.drain().await;
    assert_eq!(meter.value("reviewfleet_jobs_claimed_total{queue=work}"), Some(7));
    assert_eq!(meter.value("reviewfleet_jobs_settled_total{queue=work,outcome=completed}"), Some(5));
    assert_eq!(meter.value("reviewfleet_jobs_settled_total{queue=work,outcome=dead}"), Some(1));
    assert_eq!(meter.value("reviewfleet_leases_reaped_total{queue=work}"), Some(0));
    assert_eq!(meter.value("reviewfleet_job_queue_seconds{queue=work}"), Some(7));
    assert_eq!(meter.value("reviewfleet_job_seconds{queue=work}"), Some(7));
    assert_eq!(meter.gauge("reviewfleet_jobs_running{queue=work}"), Some(0.0));
}
