use std::{collections::BTreeMap, sync::Arc, time::Duration};

use job::{QueueName, Weight, WorkerId};
use tokio_util::sync::CancellationToken;
use worker::{Handlers, Options, RunError, run, worker_id};

use crate::{
    fake::Fake,
    support::{ms, options, queue, secs},
};

#[test]
fn options_out_of_bounds_are_refused_with_what_is_allowed() {
    let refused = |options: Options| options.validate().unwrap_err().to_string();
    assert_eq!(refused(Options { concurrency: 0, ..options() }), "concurrency must be from 1 to 10000, and is 0");
    assert_eq!(refused(Options { lease: ms(1), ..options() }), "lease must be from 200ms to 3600s, and is 1ms");
    assert!(refused(Options { poll_interval: Duration::ZERO, ..options() }).contains("poll_interval"));
    assert!(refused(Options { drain_grace: secs(3_601), ..options() }).contains("drain_grace"));
    assert_eq!(refused(Options { queues: vec![], ..options() }), "a worker serves 1 to 64 queues, and not 0");
    let many = (0..65).map(|n| QueueName::new(format!("q{n}")).unwrap()).collect();
    assert_eq!(refused(Options { queues: many, ..options() }), "a worker serves 1 to 64 queues, and not 65");
    assert_eq!(refused(Options { queues: vec![queue(), queue()], ..options() }), "the queue work is named twice");
    let stray = BTreeMap::from([(QueueName::new("other").unwrap(), Weight::ONE)]);
    assert_eq!(
        refused(Options { weights: stray, ..options() }),
        "the queue other has a weight, and is not among those that the worker serves"
    );
    options().validate().unwrap();
}

#[tokio::test]
async fn a_worker_does_not_start_with_options_out_of_bounds() {
    let none = Options { concurrency: 0, ..options() };
    let answer = run(Arc::new(Fake::default()), Handlers::default(), none, CancellationToken::new()).await;
    assert!(matches!(answer, Err(RunError::Options(_))));
}

#[test]
fn each_incarnation_has_an_id_of_its_own_whatever_its_host_is_called() {
    let (one, other) = (worker_id("host").unwrap(), worker_id("host").unwrap());
    assert!(one.as_str().starts_with("host/") && one != other);
    let long = worker_id(&"ü".repeat(300)).unwrap();
    assert!(long.as_str().len() <= WorkerId::MAX_BYTES && long.as_str().contains("ü/"));
    assert!(worker_id("a\0b").is_err());
}
