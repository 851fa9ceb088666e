use std::time::Duration;

use jiff::Timestamp;
use job::{
    CancelReason, Concurrency, ConcurrencyKey, JobId, JobState, Outcome, QueueName, StateName, Supersede, SupersedeKey,
    Version, VersionId,
};
use store::{Budget, Enqueued, LimitTarget, NewJob, Renewal, ReplayFilter, Retried, VERSIONS_KEPT};

use crate::Bed;

const OLD: CancelReason = CancelReason::Superseded;
const PAST_THE_LEASE: Duration = Duration::from_secs(31);
const DAY: Duration = Duration::from_hours(24);

/// A job of the version that was pushed so many seconds after some time, which has nothing to do with the store's.
fn version(key: &str, secs: i64, id: &str) -> NewJob {
    let at = Timestamp::from_second(1_500_000_000 + secs).unwrap();
    let version = Version { at, id: VersionId::new(id).unwrap() };
    NewJob { supersede: Some(Supersede { key: SupersedeKey::new(key).unwrap(), version }), ..Bed::job() }
}

/// The same, of a concurrency key.
fn of_user(user: &str, job: NewJob) -> NewJob {
    let key = ConcurrencyKey::new(user).unwrap();
    NewJob { concurrency: Some(Concurrency { key, class: Bed::class() }), ..job }
}

fn unique(key: &str, job: NewJob) -> NewJob {
    NewJob { unique: Bed::unique(key, Duration::from_mins(1)).unique, ..job }
}

async fn offer(bed: &Bed, job: NewJob) -> Enqueued {
    bed.store.enqueue(&[job]).await.unwrap().remove(0)
}

async fn is_superseded(bed: &Bed, id: JobId) -> bool {
    matches!(bed.state(id).await, JobState::Cancelled { reason: OLD, .. })
}

pub async fn a_newer_version_cancels_the_one_that_waits(bed: Bed) {
    let ready = bed.put(version("pull#1", 1, "a")).await;
    let newer = bed.put(version("pull#1", 2, "b")).await;
    assert!(is_superseded(&bed, ready).await, "a ready one");
    let soon = bed.view(newer).await.job.created_at + Duration::from_mins(1);
    let scheduled = bed.put(NewJob { run_at: Some(soon), ..version("pull#1", 3, "c") }).await;
    assert!(is_superseded(&bed, newer).await);
    let newest = bed.put(version("pull#1", 4, "d")).await;
    assert!(is_superseded(&bed, scheduled).await, "a scheduled one");
    bed.end(bed.claim_one().await, &Bed::transient()).await;
    assert_eq!(bed.name(newest).await, StateName::Scheduled);
    bed.put(version("pull#1", 5, "e")).await;
    assert!(is_superseded(&bed, newest).await, "one that waits for a retry");
    bed.advance(Duration::from_mins(10)).await;
    bed.maintain().await;
    assert_eq!(bed.start(10).await.len(), 1);
}

pub async fn a_newer_version_tells_the_running_one_to_stop(bed: Bed) {
    let older = bed.put(version("pull#1", 1, "a")).await;
    let leased = bed.claim_one().await;
    let mut wake = bed.store.subscribe();
    wake.mark_unchanged();
    bed.put(version("pull#1", 2, "b")).await;
    let woken = tokio::time::timeout(Duration::from_secs(5), wake.changed()).await;
    assert!(woken.is_ok(), "who runs it is woken, so that it renews and learns of it");
    let renewals = bed.store.renew(&[leased.lease], Bed::LEASE).await.unwrap();
    assert_eq!(renewals, [Renewal::CancelRequested(OLD)]);
    bed.end(leased, &Outcome::Cancelled(OLD)).await;
    assert!(is_superseded(&bed, older).await);
}

pub async fn a_newer_version_waits_until_the_older_is_settled(bed: Bed) {
    let outcomes = [Outcome::Completed, Outcome::Cancelled(OLD), Outcome::Released, Bed::transient(), Bed::permanent()];
    for (outcome, n) in outcomes.into_iter().zip(0_i64..) {
        let older = bed.put(version("pull#1", 2 * n, "a")).await;
        let leased = bed.claim_one().await;
        let newer = bed.put(version("pull#1", 2 * n + 1, "b")).await;
        assert_eq!(bed.name(newer).await, StateName::Parked);
        assert!(bed.start(10).await.is_empty(), "one of a supersede key is leased at a time");
        bed.end(leased, &outcome).await;
        let is_completed = bed.name(older).await == StateName::Completed;
        assert!(if outcome == Outcome::Completed { is_completed } else { is_superseded(&bed, older).await });
        let running = bed.claim(10).await;
        assert_eq!(running.iter().map(|l| l.job.id).collect::<Vec<_>>(), [newer], "after {outcome:?}");
        bed.complete(running).await;
    }
}

pub async fn a_newer_version_waits_until_a_dead_workers_lease_is_reaped(bed: Bed) {
    let older = bed.put(version("pull#1", 1, "a")).await;
    bed.claim_one().await;
    let newer = bed.put(version("pull#1", 2, "b")).await;
    bed.advance(PAST_THE_LEASE).await;
    assert!(bed.start(10).await.is_empty(), "its handler may still run");
    let reaped = bed.reap().await.remove(0);
    assert!(bed.start(10).await.is_empty(), "the reaper holds it until it settles");
    bed.end(reaped, &Bed::crashed()).await;
    assert!(is_superseded(&bed, older).await);
    assert_eq!(bed.start(10).await, [newer]);
}

pub async fn an_older_version_that_arrives_late_is_not_run(bed: Bed) {
    let newer = bed.put(version("pull#1", 9, "b")).await;
    let late = version("pull#1", 8, "a");
    assert_eq!(offer(&bed, late.clone()).await, Enqueued::Superseded(newer));
    assert_eq!(bed.store.get(late.id).await.unwrap(), None, "it is not stored");
    let running = bed.claim(10).await;
    assert_eq!(running[0].job.id, newer);
    assert_eq!(offer(&bed, late.clone()).await, Enqueued::Superseded(newer), "while the newer runs");
    bed.complete(running).await;
    assert_eq!(offer(&bed, late).await, Enqueued::Superseded(newer), "and when it is done");
    assert!(bed.start(10).await.is_empty());
}

pub async fn the_same_version_again_is_a_duplicate(bed: Bed) {
    let first = bed.put(version("pull#1", 1, "a")).await;
    assert_eq!(offer(&bed, version("pull#1", 1, "a")).await, Enqueued::Duplicate(first));
    bed.end(bed.claim_one().await, &Bed::permanent()).await;
    assert_eq!(offer(&bed, version("pull#1", 1, "a")).await, Enqueued::Duplicate(first), "however it ended");
}

pub async fn a_push_back_to_an_earlier_head_is_a_new_version(bed: Bed) {
    let first = bed.put(unique("head-a", version("pull#1", 1, "a"))).await;
    bed.complete(vec![bed.claim_one().await]).await;
    let second = bed.put(unique("head-b", version("pull#1", 2, "b"))).await;
    let back = bed.put(unique("head-a", version("pull#1", 3, "a"))).await;
    assert!(is_superseded(&bed, second).await);
    assert_eq!(bed.name(first).await, StateName::Completed);
    assert_eq!(bed.start(10).await, [back], "though the unique key's window has not ended");
    let other = unique("head-a", Bed::job());
    assert_eq!(offer(&bed, other).await, Enqueued::Duplicate(back), "the newer version has the key now");
}

pub async fn at_equal_times_the_later_arrival_is_the_newer_version(bed: Bed) {
    let first = bed.put(version("pull#1", 1, "b")).await;
    let second = bed.put(version("pull#1", 1, "a")).await;
    assert!(is_superseded(&bed, first).await);
    assert_eq!(bed.start(10).await, [second]);
}

pub async fn a_superseded_job_frees_its_unique_key(bed: Bed) {
    bed.put(unique("k", version("pull#1", 1, "a"))).await;
    bed.put(version("pull#1", 2, "b")).await;
    bed.put(unique("k", Bed::job())).await;
}

pub async fn a_newer_version_takes_the_unique_key_over_from_a_running_one(bed: Bed) {
    bed.put(unique("k", version("pull#1", 1, "a"))).await;
    let older = bed.claim_one().await;
    let newer = bed.put(unique("k", version("pull#1", 2, "b"))).await;
    bed.end(older, &Outcome::Cancelled(OLD)).await;
    assert_eq!(
        offer(&bed, unique("k", Bed::job())).await,
        Enqueued::Duplicate(newer),
        "the end of the older frees nothing"
    );
    bed.complete(vec![bed.claim_one().await]).await;
    assert_eq!(offer(&bed, unique("k", Bed::job())).await, Enqueued::Duplicate(newer), "and its window is the newer's");
}

pub async fn versions_of_one_batch_are_answered_in_their_order(bed: Bed) {
    let jobs = [
        version("pull#1", 1, "a"),
        version("pull#2", 1, "a"),
        version("pull#1", 3, "c"),
        version("pull#1", 2, "b"),
        Bed::job(),
        version("pull#1", 3, "c"),
        version("pull#1", 3, "d"),
    ];
    let answers = bed.store.enqueue(&jobs).await.unwrap();
    let [stored, newer] = [Enqueued::Inserted, Enqueued::Superseded(jobs[2].id)];
    let again = Enqueued::Duplicate(jobs[2].id);
    assert_eq!(answers, [stored.clone(), stored.clone(), stored.clone(), newer, stored.clone(), again, stored]);
    assert!(is_superseded(&bed, jobs[0].id).await && is_superseded(&bed, jobs[2].id).await);
    let mut started = bed.start(10).await;
    started.sort_unstable();
    let mut expected = [jobs[1].id, jobs[4].id, jobs[6].id];
    expected.sort_unstable();
    assert_eq!(started, expected);
}

pub async fn a_job_that_is_not_stored_supersedes_none(bed: Bed) {
    let holder = bed.put(unique("k", Bed::job())).await;
    let older = bed.put(version("pull#1", 1, "a")).await;
    assert_eq!(offer(&bed, unique("k", version("pull#1", 2, "b"))).await, Enqueued::Duplicate(holder));
    let nowhere = QueueName::new("nowhere").unwrap();
    let rejected = offer(&bed, NewJob { queue: nowhere, ..version("pull#1", 3, "c") }).await;
    assert!(matches!(rejected, Enqueued::Rejected(_)), "{rejected:?}");
    assert_eq!(bed.name(older).await, StateName::Ready);
    assert_eq!(offer(&bed, version("pull#1", 1, "a")).await, Enqueued::Duplicate(older), "it is the newest still");
}

pub async fn a_supersede_key_is_one_within_its_queue(bed: Bed) {
    let other = QueueName::new("index").unwrap();
    bed.store.define_queue(&other, None).await.unwrap();
    let here = bed.put(version("pull#1", 1, "a")).await;
    bed.put(NewJob { queue: other.clone(), ..version("pull#1", 2, "b") }).await;
    bed.put(version("pull#2", 2, "b")).await;
    assert_eq!(bed.name(here).await, StateName::Ready);
    bed.put(NewJob { queue: other, ..version("pull#1", 3, "c") }).await;
    assert_eq!(bed.name(here).await, StateName::Ready);
}

pub async fn a_superseded_job_is_not_run_again(bed: Bed) {
    let cancelled = bed.put(version("pull#1", 1, "a")).await;
    let dead = bed.put(version("pull#1", 2, "b")).await;
    bed.end(bed.claim_one().await, &Bed::permanent()).await;
    let newer = bed.put(version("pull#1", 3, "c")).await;
    assert_eq!(bed.store.retry(cancelled).await.unwrap(), Retried::Superseded(newer));
    assert_eq!(bed.store.retry(dead).await.unwrap(), Retried::Superseded(newer));
    let filter = ReplayFilter { max: 10, ..ReplayFilter::default() };
    assert_eq!(bed.store.replay(&filter).await.unwrap(), (0, false));
    assert_eq!(bed.start(10).await, [newer]);
}

pub async fn a_dead_newest_version_is_replayed(bed: Bed) {
    let id = bed.put(version("pull#1", 1, "a")).await;
    bed.end(bed.claim_one().await, &Bed::permanent()).await;
    let filter = ReplayFilter { max: 10, ..ReplayFilter::default() };
    assert_eq!(bed.store.replay(&filter).await.unwrap(), (1, false));
    bed.end(bed.claim_one().await, &Bed::permanent()).await;
    assert_eq!(bed.store.retry(id).await.unwrap(), Retried::Done);
    let newer = bed.put(version("pull#1", 2, "b")).await;
    assert!(is_superseded(&bed, id).await, "and is superseded like any other");
    assert_eq!(bed.start(10).await, [newer]);
}

pub async fn versions_are_remembered_for_thirty_days(bed: Bed) {
    let newer = bed.put(version("pull#1", 9, "b")).await;
    bed.complete(vec![bed.claim_one().await]).await;
    bed.advance(VERSIONS_KEPT.checked_sub(DAY).unwrap()).await;
    assert_eq!(bed.maintain().await.versions_expired, 0);
    assert_eq!(offer(&bed, version("pull#1", 8, "a")).await, Enqueued::Superseded(newer));
    bed.advance(DAY).await;
    assert_eq!(bed.maintain().await.versions_expired, 1);
    bed.put(version("pull#1", 8, "a")).await;
}

pub async fn the_version_of_a_live_job_is_not_forgotten(bed: Bed) {
    let jobs: Vec<_> = (0..12_i64).map(|n| version(&format!("pull#{n}"), 9, "b")).collect();
    let ids = bed.put_all(jobs).await;
    let is_live = |id: &JobId| ids.iter().position(|other| other == id).is_some_and(|n| n % 2 == 0);
    bed.complete(bed.claim(20).await.into_iter().filter(|leased| !is_live(&leased.job.id)).collect()).await;
    bed.advance(VERSIONS_KEPT).await;
    let mut forgotten = 0;
    for _ in 0..20 {
        let pass = bed.store.maintain(&Budget { jobs_max: 2 }).await.unwrap();
        assert!(pass.versions_expired <= 2, "in bounded batches");
        forgotten += pass.versions_expired;
    }
    assert_eq!(forgotten, 6);
    for (n, newer) in ids.iter().enumerate().filter(|(_, id)| is_live(id)) {
        let late = version(&format!("pull#{n}"), 8, "a");
        assert_eq!(offer(&bed, late).await, Enqueued::Superseded(*newer));
    }
}

pub async fn of_racing_versions_the_newest_is_left(bed: Bed) {
    let other = bed.harness.open().await;
    let offers = (0..30_i64).map(|n| {
        let store = if n % 2 == 0 { bed.store.clone() } else { other.clone() };
        tokio::spawn(async move {
            // Neither the rising nor the falling order.
            let job = version("pull#1", n * 7 % 30, "a");
            let id = job.id;
            let answer = store.enqueue(&[job]).await.unwrap().remove(0);
            let claimed = store.claim(&Bed::request(1)).await.unwrap().jobs;
            (n * 7 % 30, id, answer, claimed)
        })
    });
    let (mut newest, mut running) = (None, Vec::new());
    for offer in offers.collect::<Vec<_>>() {
        let (version, id, answer, claimed) = offer.await.unwrap();
        assert!(matches!(answer, Enqueued::Inserted | Enqueued::Superseded(_)), "{answer:?}");
        running.extend(claimed);
        if version == 29 {
            newest = Some(id);
        }
    }
    assert_eq!(running.len(), 1, "one of a supersede key is leased at a time");
    let (first, newest) = (running.remove(0), newest.unwrap());
    if first.job.id != newest {
        bed.end(first, &Outcome::Released).await;
        assert_eq!(bed.start(10).await, [newest]);
    }
    let stats = bed.stats().await;
    assert_eq!((stats.leased, stats.ready, stats.parked, stats.scheduled), (1, 0, 0, 0));
}

pub async fn a_version_that_waits_for_the_older_holds_back_no_other_job(bed: Bed) {
    bed.put(of_user("ann", version("pull#1", 1, "a"))).await;
    let older = bed.claim_one().await;
    let newer = bed.put(of_user("bob", version("pull#1", 2, "b"))).await;
    let others = bed.put_all((0..4).map(|_| Bed::keyed("bob")).collect()).await;
    let mut running = bed.claim(10).await;
    let ids: Vec<_> = running.iter().map(|leased| leased.job.id).collect();
    assert_eq!(ids, others[..2], "up to the key's limit");
    bed.complete(vec![running.remove(0)]).await;
    running.extend(bed.claim(10).await);
    assert_eq!(running[1].job.id, others[2], "room of its key goes past it");
    bed.complete(vec![older]).await;
    assert_eq!(bed.name(newer).await, StateName::Parked, "now by its key's limit");
    bed.complete(running).await;
    assert_eq!(bed.start(10).await, [newer, others[3]], "in the order of their arrival");
}

pub async fn a_newer_version_of_another_key_starts_when_the_older_has_ended(bed: Bed) {
    bed.put(of_user("ann", version("pull#1", 1, "a"))).await;
    let older = bed.claim_one().await;
    let newer = bed.put(of_user("bob", version("pull#1", 2, "b"))).await;
    let mut wake = bed.store.subscribe();
    wake.mark_unchanged();
    bed.end(older, &Outcome::Cancelled(OLD)).await;
    let woken = tokio::time::timeout(Duration::from_secs(5), wake.changed()).await;
    assert!(woken.is_ok(), "who waits is woken");
    assert_eq!(bed.start(10).await, [newer]);
}

pub async fn a_superseded_job_gives_its_room_to_the_next(bed: Bed) {
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    bed.put(of_user("ann", version("pull#1", 1, "a"))).await;
    let next = bed.put(Bed::keyed("ann")).await;
    let newer = bed.put(of_user("bob", version("pull#1", 2, "b"))).await;
    assert_eq!(bed.name(next).await, StateName::Ready);
    let mut started = bed.start(10).await;
    started.sort_unstable();
    assert_eq!(started, [next, newer]);
}

pub async fn a_version_outlives_a_crash(mut bed: Bed) {
    bed.put(version("pull#1", 1, "a")).await;
    let running = bed.claim_one().await;
    let newer = bed.put(version("pull#1", 2, "b")).await;
    bed.crash().await;
    assert_eq!(offer(&bed, version("pull#1", 1, "x")).await, Enqueued::Superseded(newer));
    let renewals = bed.store.renew(&[running.lease], Bed::LEASE).await.unwrap();
    assert_eq!(renewals, [Renewal::CancelRequested(OLD)]);
    assert!(bed.start(10).await.is_empty());
}
