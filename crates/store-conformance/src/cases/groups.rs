use std::time::Duration;

use job::{GroupName, QueueName};
use store::{ClaimRequest, LeasedJob, NewJob, StoreError};

use crate::Bed;

fn account() -> GroupName {
    GroupName::new("account").unwrap()
}

fn index() -> QueueName {
    QueueName::new("index").unwrap()
}

/// Both queues in one group.
async fn group(bed: &Bed, limit: Option<u32>) {
    bed.store.define_queue(&index(), None).await.unwrap();
    bed.store.define_group(&account(), &[Bed::queue(), index()], limit).await.unwrap();
}

async fn put_many(bed: &Bed, queue: &QueueName, count: usize) {
    bed.put_all((0..count).map(|_| NewJob { queue: queue.clone(), ..Bed::job() }).collect()).await;
}

async fn claim(bed: &Bed, queues: &[QueueName], max: usize) -> Vec<LeasedJob> {
    let request = ClaimRequest { queues: queues.to_vec(), ..Bed::request(max) };
    bed.store.claim(&request).await.unwrap().jobs
}

pub async fn no_more_jobs_of_a_group_start_than_its_limit(bed: Bed) {
    group(&bed, Some(3)).await;
    put_many(&bed, &Bed::queue(), 2).await;
    put_many(&bed, &index(), 5).await;
    let request = ClaimRequest { queues: vec![Bed::queue(), index()], ..Bed::request(10) };
    let claimed = bed.store.claim(&request).await.unwrap();
    assert_eq!(claimed.jobs.len(), 3, "in one claim of both queues");
    assert!(!claimed.more, "a full group is not to be asked again at once");
    assert!(claim(&bed, &[index()], 10).await.is_empty(), "nor in a claim of one");
    bed.complete(claimed.jobs).await;
    assert_eq!(claim(&bed, &[index()], 2).await.len(), 2);
    put_many(&bed, &Bed::queue(), 5).await;
    assert_eq!(claim(&bed, &[Bed::queue()], 10).await.len(), 1);
}

pub async fn an_end_in_one_queue_lets_a_job_of_another_start(bed: Bed) {
    group(&bed, Some(1)).await;
    put_many(&bed, &Bed::queue(), 1).await;
    put_many(&bed, &index(), 1).await;
    let leased = bed.claim_one().await;
    assert!(claim(&bed, &[index()], 1).await.is_empty());
    let mut wake = bed.store.subscribe();
    wake.mark_unchanged();
    bed.complete(vec![leased]).await;
    assert!(tokio::time::timeout(Duration::from_secs(5), wake.changed()).await.is_ok(), "who waits is woken");
    assert_eq!(claim(&bed, &[index()], 1).await.len(), 1);
}

pub async fn a_limit_of_a_group_is_changed_at_once(bed: Bed) {
    group(&bed, Some(2)).await;
    put_many(&bed, &Bed::queue(), 9).await;
    put_many(&bed, &index(), 1).await;
    let mut running = claim(&bed, &[index(), Bed::queue()], 10).await;
    assert_eq!(running.len(), 2);
    group(&bed, Some(1)).await;
    bed.complete(vec![running.remove(0)]).await;
    assert!(claim(&bed, &[Bed::queue()], 10).await.is_empty(), "one still runs, and one may");
    let mut wake = bed.store.subscribe();
    wake.mark_unchanged();
    group(&bed, Some(4)).await;
    assert!(tokio::time::timeout(Duration::from_secs(5), wake.changed()).await.is_ok(), "who waits is woken");
    assert_eq!(claim(&bed, &[Bed::queue()], 10).await.len(), 3);
    group(&bed, None).await;
    assert_eq!(claim(&bed, &[Bed::queue()], 10).await.len(), 5);
}

pub async fn a_queues_own_limit_holds_within_its_group(bed: Bed) {
    group(&bed, Some(5)).await;
    bed.store.define_queue(&index(), Some(1)).await.unwrap();
    put_many(&bed, &index(), 5).await;
    put_many(&bed, &Bed::queue(), 9).await;
    assert_eq!(claim(&bed, &[index()], 10).await.len(), 1);
    assert_eq!(claim(&bed, &[index(), Bed::queue()], 10).await.len(), 4);
}

pub async fn a_queue_is_in_one_group_at_most(bed: Bed) {
    group(&bed, Some(1)).await;
    let other = GroupName::new("other").unwrap();
    let error = bed.store.define_group(&other, &[index()], Some(9)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Invalid(text) if text.contains("account")), "{error:?}");
    let nowhere = QueueName::new("nowhere").unwrap();
    let error = bed.store.define_group(&other, &[nowhere], Some(9)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Invalid(text) if text.contains("nowhere")), "{error:?}");
    bed.store.define_group(&account(), &[Bed::queue()], Some(1)).await.unwrap();
    bed.store.define_group(&other, &[index()], Some(2)).await.unwrap();
    put_many(&bed, &Bed::queue(), 5).await;
    put_many(&bed, &index(), 5).await;
    assert_eq!(claim(&bed, &[Bed::queue(), index()], 10).await.len(), 3, "each in its own group now");
}

pub async fn a_dissolved_group_limits_nothing(bed: Bed) {
    group(&bed, Some(1)).await;
    put_many(&bed, &Bed::queue(), 5).await;
    assert_eq!(claim(&bed, &[Bed::queue()], 10).await.len(), 1);
    bed.store.define_group(&account(), &[], None).await.unwrap();
    assert_eq!(claim(&bed, &[Bed::queue()], 10).await.len(), 4);
    assert_eq!(bed.store.settings(&Bed::queue()).await.unwrap().group, None);
    bed.store.define_group(&account(), &[], Some(1)).await.unwrap();
}

pub async fn racing_claims_never_pass_a_groups_limit(bed: Bed) {
    group(&bed, Some(4)).await;
    put_many(&bed, &Bed::queue(), 30).await;
    put_many(&bed, &index(), 30).await;
    let other = bed.harness.open().await;
    let claims = (0..20).map(|n| {
        let store = if n % 2 == 0 { bed.store.clone() } else { other.clone() };
        let queues = if n % 3 == 0 { vec![Bed::queue()] } else { vec![index(), Bed::queue()] };
        tokio::spawn(async move {
            let request = ClaimRequest { queues, ..Bed::request(3) };
            store.claim(&request).await.unwrap().jobs.len()
        })
    });
    let mut started = 0;
    for claim in claims.collect::<Vec<_>>() {
        started += claim.await.unwrap();
    }
    assert_eq!(started, 4);
}

pub async fn a_group_outlives_a_crash(mut bed: Bed) {
    group(&bed, Some(1)).await;
    put_many(&bed, &Bed::queue(), 1).await;
    put_many(&bed, &index(), 1).await;
    let leased = bed.claim_one().await;
    bed.crash().await;
    assert!(claim(&bed, &[index()], 10).await.is_empty());
    bed.complete(vec![leased]).await;
    assert_eq!(claim(&bed, &[index()], 10).await.len(), 1);
}
