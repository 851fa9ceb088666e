use std::time::Duration;

use job::{Concurrency, LimitClass, QueueName, Transition};
use store::{CLAIM_MAX, ENQUEUE_MAX, Enqueued, LeaseRef, NewJob, Rejection, SETTLE_MAX, Settled, StoreError};

use crate::Bed;

pub async fn each_job_of_a_batch_is_answered_in_order(bed: Bed) {
    let nowhere = QueueName::new("nowhere").unwrap();
    let unlimited = LimitClass::new("unlimited").unwrap();
    let classless = Concurrency { class: unlimited.clone(), ..Bed::keyed("a").concurrency.unwrap() };
    let jobs = [
        Bed::job(),
        NewJob { queue: nowhere.clone(), ..Bed::job() },
        NewJob { concurrency: Some(classless), ..Bed::job() },
        NewJob { max_attempts: 0, ..Bed::job() },
        Bed::keyed("a"),
    ];
    let answers = bed.store.enqueue(&jobs).await.unwrap();
    assert_eq!(
        answers,
        [
            Enqueued::Inserted,
            Enqueued::Rejected(Rejection::UnknownQueue(nowhere)),
            Enqueued::Rejected(Rejection::UnknownLimitClass(unlimited)),
            Enqueued::Rejected(Rejection::NoAttempts),
            Enqueued::Inserted,
        ]
    );
    assert_eq!(bed.start(10).await.len(), 2);
    assert_eq!(bed.store.get(jobs[1].id).await.unwrap(), None);
}

pub async fn a_repeated_enqueue_is_a_duplicate(bed: Bed) {
    let job = Bed::unique("k", Duration::from_mins(1));
    let again = bed.store.enqueue(&[job.clone(), job.clone()]).await.unwrap();
    assert_eq!(again, [Enqueued::Inserted, Enqueued::Duplicate(job.id)]);
    let again = bed.store.enqueue(&[Bed::job(), job.clone()]).await.unwrap();
    assert_eq!(again, [Enqueued::Inserted, Enqueued::Duplicate(job.id)]);
    assert_eq!(bed.start(10).await.len(), 2);
}

pub async fn a_job_that_has_ended_is_still_known_at_a_repeated_enqueue(bed: Bed) {
    let job = Bed::job();
    bed.put(job.clone()).await;
    bed.complete(vec![bed.claim_one().await]).await;
    assert_eq!(bed.store.enqueue(std::slice::from_ref(&job)).await.unwrap(), [Enqueued::Duplicate(job.id)]);
    assert!(bed.start(1).await.is_empty());
}

pub async fn calls_beyond_their_maximum_are_refused(bed: Bed) {
    let is_refused = |error: StoreError| assert!(matches!(error, StoreError::Invalid(_)), "{error:?}");
    let job = Bed::job();
    is_refused(bed.store.enqueue(&vec![job; ENQUEUE_MAX + 1]).await.unwrap_err());
    is_refused(bed.store.claim(&Bed::request(CLAIM_MAX + 1)).await.unwrap_err());
    bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    let too_many: Vec<LeaseRef> = vec![leased.lease; SETTLE_MAX + 1];
    is_refused(bed.store.renew(&too_many, Bed::LEASE).await.unwrap_err());
    let settlement = leased.settle(Transition::Complete);
    is_refused(bed.store.settle(&vec![settlement; SETTLE_MAX + 1]).await.unwrap_err());
    assert_eq!(bed.stats().await.leased, 1, "a refused call changes nothing");
}

pub async fn empty_calls_are_answered(bed: Bed) {
    assert_eq!(bed.store.enqueue(&[]).await.unwrap(), []);
    assert_eq!(bed.store.settle(&[]).await.unwrap(), []);
    assert_eq!(bed.store.renew(&[], Bed::LEASE).await.unwrap(), []);
    bed.put(Bed::job()).await;
    let claimed = bed.claim_all(0).await;
    assert!(claimed.jobs.is_empty());
}

pub async fn many_callers_at_once_get_their_own_answers(bed: Bed) {
    let known = Bed::job();
    bed.put(known.clone()).await;
    let calls = (0..100).map(|n| {
        let (store, known) = (bed.store.clone(), known.clone());
        tokio::spawn(async move {
            let duplicate = Enqueued::Duplicate(known.id);
            if n % 3 == 0 {
                assert_eq!(store.enqueue(&[Bed::job(), known]).await.unwrap(), [Enqueued::Inserted, duplicate]);
            } else {
                assert_eq!(store.enqueue(&[known]).await.unwrap(), [duplicate]);
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let running = bed.claim(100).await;
    assert_eq!(running.len(), 35);
    let ends = running.into_iter().map(|leased| {
        let store = bed.store.clone();
        tokio::spawn(async move { store.settle(&[leased.settle(Transition::Complete)]).await.unwrap() })
    });
    for end in ends.collect::<Vec<_>>() {
        assert_eq!(end.await.unwrap(), [Settled::Applied]);
    }
}
