use job::{QueueName, Transition};
use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use store::LeasedJob;

const CLAIMED: &str = "reviewfleet_jobs_claimed_total";
const SETTLED: &str = "reviewfleet_jobs_settled_total";
const LOST: &str = "reviewfleet_leases_lost_total";
const REAPED: &str = "reviewfleet_leases_reaped_total";
const SECONDS: &str = "reviewfleet_job_seconds";
const QUEUE_SECONDS: &str = "reviewfleet_job_queue_seconds";
const RUNNING: &str = "reviewfleet_jobs_running";

/// Tells the exporter what the worker's metrics mean. Labels are queues of the configuration and the few names of a
/// transition, never a job, a key or a message. The series of the worker's own queues exist from here on, so that a rate
/// sees the first event.
pub(crate) fn describe(queues: &[QueueName]) {
    describe_counter!(CLAIMED, "Jobs leased to this worker");
    describe_counter!(SETTLED, "Attempts settled, by what became of the job");
    describe_counter!(LOST, "Settlements that came too late: the lease had been taken over");
    describe_counter!(REAPED, "Expired leases taken over from workers that died or lost the store");
    describe_histogram!(QUEUE_SECONDS, Unit::Seconds, "How long a job had been ready when it started");
    describe_histogram!(SECONDS, Unit::Seconds, "From a handler's start to its end");
    describe_gauge!(RUNNING, "Handlers that run");
    for queue in queues {
        for name in [CLAIMED, LOST, REAPED] {
            counter!(name, "queue" => queue.to_string()).increment(0);
        }
        gauge!(RUNNING, "queue" => queue.to_string()).increment(0);
    }
}

pub(crate) fn claimed(leased: &LeasedJob) {
    let queue = &leased.job.queue;
    counter!(CLAIMED, "queue" => queue.to_string()).increment(1);
    histogram!(QUEUE_SECONDS, "queue" => queue.to_string()).record(leased.ready_for);
}

pub(crate) fn settled(queue: &QueueName, transition: &Transition) {
    let outcome = match transition {
        Transition::Complete => "completed",
        Transition::Retry { .. } => "retried",
        Transition::Bury { .. } => "dead",
        Transition::Release => "released",
        Transition::Cancel(_) => "cancelled",
    };
    counter!(SETTLED, "queue" => queue.to_string(), "outcome" => outcome).increment(1);
}

pub(crate) fn lost(queue: &QueueName) {
    counter!(LOST, "queue" => queue.to_string()).increment(1);
}

pub(crate) fn reaped(queue: &QueueName) {
    counter!(REAPED, "queue" => queue.to_string()).increment(1);
}

/// Counts a handler as running while it exists, and its time at its end.
pub(crate) struct Running {
    queue: QueueName,
    gauge: Gauge,
    since: tokio::time::Instant,
}

impl Running {
    pub(crate) fn start(queue: &QueueName) -> Self {
        let gauge = gauge!(RUNNING, "queue" => queue.to_string());
        gauge.increment(1);
        Self { queue: queue.clone(), gauge, since: tokio::time::Instant::now() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gauge.decrement(1);
        histogram!(SECONDS, "queue" => self.queue.to_string()).record(self.since.elapsed());
    }
}
