use std::time::Duration;

use job::{BuryReason, ConcurrencyKey, GroupName, JobKind, JobState, LimitClass, QueueName, StateName};
use store::{
    ClassSettings, GroupSettings, JobFilter, KEYS_SHOWN_MAX, KeySettings, LimitTarget, NewJob, PauseTarget,
    PruneFilter, QueueSettings, ReplayFilter, StoreError, Throttle, WhenFull,
};

use crate::Bed;

const MINUTE: Duration = Duration::from_mins(1);

fn key(name: &str) -> ConcurrencyKey {
    ConcurrencyKey::new(name).unwrap()
}

pub async fn what_is_set_for_a_queue_is_shown(bed: Bed) {
    let (queue, store) = (Bed::queue(), &bed.store);
    let class = |class, limit, throttle| ClassSettings { class, limit, throttle };
    let nothing = QueueSettings {
        queue: queue.clone(),
        limit: None,
        paused: false,
        group: None,
        classes: vec![class(Bed::class(), Some(Bed::KEY_LIMIT), None)],
        keys: vec![],
        more_keys: false,
    };
    assert_eq!(store.settings(&queue).await.unwrap(), nothing);
    let index = QueueName::new("index").unwrap();
    store.define_queue(&index, None).await.unwrap();
    let group = GroupName::new("account").unwrap();
    store.define_group(&group, &[queue.clone(), index.clone()], Some(9)).await.unwrap();
    store.set_limit(&LimitTarget::Queue(queue.clone()), Some(7)).await.unwrap();
    store.pause(&PauseTarget::Queue(queue.clone())).await.unwrap();
    let throttle = Throttle { starts: 5, period: MINUTE, when_full: WhenFull::Refuse };
    let bot = LimitClass::new("bot").unwrap();
    store.set_throttle(&queue, &bot, Some(throttle)).await.unwrap();
    store.pause(&PauseTarget::Key(queue.clone(), key("b"))).await.unwrap();
    store.set_limit(&LimitTarget::Key(queue.clone(), key("a")), Some(0)).await.unwrap();
    let expected = QueueSettings {
        limit: Some(7),
        paused: true,
        group: Some(GroupSettings { name: group, queues: vec![index, queue.clone()], limit: Some(9) }),
        classes: vec![class(bot, None, Some(throttle)), class(Bed::class(), Some(Bed::KEY_LIMIT), None)],
        keys: vec![
            KeySettings { key: key("a"), limit: Some(0), paused: false },
            KeySettings { key: key("b"), limit: None, paused: true },
        ],
        ..nothing
    };
    assert_eq!(store.settings(&queue).await.unwrap(), expected);
    let error = store.settings(&QueueName::new("nowhere").unwrap()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Invalid(text) if text.contains("nowhere")), "{error:?}");
}

pub async fn the_keys_that_are_shown_are_bounded(bed: Bed) {
    for n in 0..=KEYS_SHOWN_MAX {
        let target = LimitTarget::Key(Bed::queue(), key(&format!("k{n}")));
        bed.store.set_limit(&target, Some(1)).await.unwrap();
    }
    let settings = bed.store.settings(&Bed::queue()).await.unwrap();
    assert_eq!((settings.keys.len(), settings.more_keys), (KEYS_SHOWN_MAX, true));
}

pub async fn a_list_is_filtered_by_the_time_of_creation(bed: Bed) {
    let first = bed.put(Bed::job()).await;
    bed.complete(vec![bed.claim_one().await]).await;
    bed.advance(MINUTE).await;
    let second = bed.put(Bed::job()).await;
    let at = bed.view(second).await.job.created_at;
    let list = async |after, before| {
        let filter = JobFilter { created_after: after, created_before: before, ..JobFilter::default() };
        bed.store.list(&filter).await.unwrap().jobs.iter().map(|view| view.job.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Some(at), None).await, [second]);
    assert_eq!(list(None, Some(at)).await, [first]);
    assert_eq!(list(Some(at - MINUTE * 2), Some(at + MINUTE)).await, [second, first]);
    assert!(list(Some(at + MINUTE), None).await.is_empty());
}

/// Dead letters of three keys; the last one died a minute after the others, of too many attempts.
async fn bury(bed: &Bed) -> Vec<job::JobId> {
    let mut ids = bed.put_all(vec![Bed::keyed("a"), Bed::keyed("b")]).await;
    for leased in bed.claim(10).await {
        bed.end(leased, &Bed::permanent()).await;
    }
    bed.advance(MINUTE).await;
    ids.push(bed.put(NewJob { max_attempts: 1, ..Bed::keyed("c") }).await);
    bed.end(bed.claim_one().await, &Bed::transient()).await;
    ids
}

pub async fn a_replay_is_filtered_by_key_reason_and_time(bed: Bed) {
    let ids = bury(&bed).await;
    let JobState::Dead { at, .. } = bed.state(ids[2]).await else { unreachable!("it is dead") };
    let all = ReplayFilter { max: 10, ..ReplayFilter::default() };
    let count = async |filter: ReplayFilter| bed.store.replay(&ReplayFilter { dry_run: true, ..filter }).await.unwrap();
    assert_eq!(count(all.clone()).await, (3, false));
    assert_eq!(count(ReplayFilter { max: 2, ..all.clone() }).await, (2, true));
    assert_eq!(count(ReplayFilter { key: Some(key("b")), ..all.clone() }).await, (1, false));
    assert_eq!(count(ReplayFilter { reason: Some(BuryReason::Permanent), ..all.clone() }).await, (2, false));
    assert_eq!(count(ReplayFilter { reason: Some(BuryReason::CrashesExhausted), ..all.clone() }).await, (0, false));
    assert_eq!(count(ReplayFilter { finished_after: Some(at), ..all.clone() }).await, (1, false));
    assert_eq!(count(ReplayFilter { finished_before: Some(at), ..all.clone() }).await, (2, false));
    assert_eq!(count(ReplayFilter { queue: Some(Bed::queue()), ..all.clone() }).await, (3, false));
    assert_eq!(bed.stats().await.dead, 3, "counting changes nothing");
    let filter = ReplayFilter { reason: Some(BuryReason::AttemptsExhausted), key: Some(key("c")), ..all };
    assert_eq!(bed.store.replay(&filter).await.unwrap(), (1, false));
    assert_eq!(bed.start(10).await, ids[2..]);
}

pub async fn finished_jobs_are_pruned_by_what_is_named(bed: Bed) {
    let dead = bury(&bed).await;
    let index = JobKind::new("index").unwrap();
    let done = bed.put_all(vec![Bed::keyed("a"), NewJob { kind: index.clone(), ..Bed::job() }]).await;
    bed.complete(bed.claim(10).await).await;
    let cancelled = bed.put(Bed::job()).await;
    bed.store.cancel(cancelled, job::CancelReason::Requested).await.unwrap();
    let JobState::Dead { at, .. } = bed.state(dead[2]).await else { unreachable!("it is dead") };
    let all = PruneFilter { max: 10, ..PruneFilter::default() };
    let count =
        async |filter: PruneFilter| bed.store.prune_matching(&PruneFilter { dry_run: true, ..filter }).await.unwrap();
    assert_eq!(count(all.clone()).await, (3, false), "dead letters are not named");
    assert_eq!(count(PruneFilter { max: 2, ..all.clone() }).await, (2, true));
    assert_eq!(count(PruneFilter { key: Some(key("a")), ..all.clone() }).await, (1, false));
    assert_eq!(count(PruneFilter { kind: Some(index.clone()), ..all.clone() }).await, (1, false));
    assert_eq!(count(PruneFilter { state: Some(StateName::Cancelled), ..all.clone() }).await, (1, false));
    assert_eq!(count(PruneFilter { finished_before: Some(at), ..all.clone() }).await, (0, false));
    let named = PruneFilter { state: Some(StateName::Dead), ..all.clone() };
    assert_eq!(count(PruneFilter { finished_before: Some(at), ..named.clone() }).await, (2, false));
    assert_eq!(count(PruneFilter { finished_after: Some(at), ..named.clone() }).await, (1, false));
    assert_eq!(
        (bed.stats().await.dead, bed.name(done[0]).await),
        (3, StateName::Completed),
        "counting changes nothing"
    );

    let one = PruneFilter { kind: Some(index), ..all.clone() };
    assert_eq!(bed.store.prune_matching(&one).await.unwrap(), (1, false));
    assert_eq!(bed.store.get(done[1]).await.unwrap(), None);
    let buried = PruneFilter { queue: Some(Bed::queue()), key: Some(key("b")), ..named };
    assert_eq!(bed.store.prune_matching(&buried).await.unwrap(), (1, false));
    assert_eq!(bed.store.get(dead[1]).await.unwrap(), None);
    assert_eq!(bed.stats().await.dead, 2);
    assert_eq!(bed.store.prune_matching(&PruneFilter { max: 1, ..all.clone() }).await.unwrap(), (1, true));
    assert_eq!(bed.store.prune_matching(&all).await.unwrap(), (1, false));
}

pub async fn a_job_that_is_not_finished_is_not_pruned(bed: Bed) {
    bed.put(Bed::job()).await;
    let filter = PruneFilter { state: Some(StateName::Ready), max: 10, ..PruneFilter::default() };
    let error = bed.store.prune_matching(&filter).await.unwrap_err();
    assert!(matches!(&error, StoreError::Invalid(text) if text.contains("allowed are")), "{error:?}");
    let all = PruneFilter { max: 10, ..PruneFilter::default() };
    assert_eq!(bed.store.prune_matching(&all).await.unwrap(), (0, false));
    let nowhere = PruneFilter { queue: QueueName::new("nowhere").ok(), ..all };
    assert!(matches!(bed.store.prune_matching(&nowhere).await, Err(StoreError::Invalid(_))));
    assert_eq!(bed.start(10).await.len(), 1);
}
