//! What every ledger promises, case by case. [`cases`] makes each a test of a backend.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use job::JobId;
use ledger::{
    LIST_MAX, Ledger, LedgerError, NewReview, NewUnit, Recorded, ReviewFilter, ReviewId, ReviewStatus, ReviewedPlace,
    Taken, UNITS_OF_SUBJECT_MAX, Usage, UsageFilter, UsageSum,
};
use uuid::Uuid;

const HOUR: Duration = Duration::from_hours(1);

/// A backend under test: an empty ledger that can be opened any number of times.
#[async_trait]
pub trait Bed: Send + Sync {
    /// Opens it, or opens it again.
    async fn open(&self) -> Arc<dyn Ledger>;

    /// Moves every record so many milliseconds into the past.
    async fn age(&self, millis: i64);
}

macro_rules! cases {
    ($bed:expr) => {
        $crate::suite::cases!($bed;
            a_review_comes_back_whole_after_the_ledger_was_opened_again,
            the_first_record_of_a_job_stays,
            one_of_twenty_tasks_in_two_openings_records_the_job,
            pages_are_newest_first_and_keep_to_their_filter,
            pages_are_of_an_owner_a_pull_request_and_a_status,
            a_page_has_a_maximum_whatever_is_asked,
            a_large_review_comes_back_whole,
            usage_is_summed_by_day_user_and_model,
            usage_of_nobody_is_nothing,
            as_many_of_fifty_as_a_day_has_units_take_one,
            a_subject_without_a_review_takes_one_unit_whatever_its_jobs,
            a_unit_that_is_given_back_can_be_taken_and_one_with_a_review_is_spent,
            the_next_day_has_units_of_its_own,
        );
    };
    ($bed:expr; $($case:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            suite::$case(&$bed.await).await;
        })*
    };
}
pub(crate) use cases;

pub fn review(user: &str, repository: &str) -> NewReview {
    NewReview {
        id: ReviewId(Uuid::now_v7()),
        job: JobId::from(Uuid::now_v7()),
        user: user.into(),
        repository: repository.into(),
        base: Some("b".repeat(40)),
        head: "a".repeat(40),
        title: "Mend the gate".into(),
        model: "fast".into(),
        findings: 3,
        usage: Usage { input_tokens: 30_000, cached_tokens: 1_000, output_tokens: 4_000, cost_micros: 19_000 },
        duration_ms: 1_234,
        document: r#"{"findings":[]}"#.into(),
        markdown: "# Review".into(),
        pull_request: Some(7),
        status: Some(ReviewStatus::Complete),
    }
}

pub async fn a_review_comes_back_whole_after_the_ledger_was_opened_again(bed: &impl Bed) {
    let mut first = review("ü'\"\\\u{1}🦀", "acme/widgets");
    first.base = None;
    first.pull_request = None;
    first.markdown = "a NUL \0 and what follows".into();
    first.usage.input_tokens = u64::MAX;
    assert_eq!(bed.open().await.record(&first).await.unwrap(), Recorded::New);

    let ledger = bed.open().await;
    let by_id = ledger.review(first.id).await.unwrap().unwrap();
    let job = first.job;
    first.markdown = "a NUL \u{fffd} and what follows".into();
    first.usage.input_tokens = u64::MAX / 2;
    assert_eq!(by_id.review, first);
    let made_ms = i64::try_from(first.id.0.get_timestamp().unwrap().to_unix().0 * 1000).unwrap();
    assert!((by_id.created_at.as_millisecond() - made_ms).abs() < 60_000, "{:?}", by_id.created_at);
    assert_eq!(ledger.review_of_job(job).await.unwrap(), Some(by_id));
    assert_eq!(ledger.review(ReviewId(Uuid::now_v7())).await.unwrap(), None);
    assert_eq!(ledger.review_of_job(JobId::from(Uuid::now_v7())).await.unwrap(), None);
}

pub async fn the_first_record_of_a_job_stays(bed: &impl Bed) {
    let ledger = bed.open().await;
    let first = review("u", "acme/widgets");
    let second = NewReview { id: ReviewId(Uuid::now_v7()), title: "Another".into(), ..first.clone() };
    assert_eq!(ledger.record(&first).await.unwrap(), Recorded::New);
    assert_eq!(ledger.record(&second).await.unwrap(), Recorded::Already(first.id));
    assert_eq!(ledger.record(&first).await.unwrap(), Recorded::Already(first.id));
    assert_eq!(ledger.review_of_job(first.job).await.unwrap().unwrap().review, first);
    assert_eq!(ledger.review(second.id).await.unwrap(), None);

    let stolen = NewReview { id: first.id, ..review("u", "acme/widgets") };
    assert!(matches!(ledger.record(&stolen).await, Err(LedgerError::Corrupt(_))));
}

pub async fn one_of_twenty_tasks_in_two_openings_records_the_job(bed: &impl Bed) {
    let openings = [bed.open().await, bed.open().await];
    let job = JobId::from(Uuid::now_v7());
    let tasks: Vec<_> = (0..20)
        .map(|i| {
            let ledger = openings[i % 2].clone();
            tokio::spawn(async move {
                let review = NewReview { job, ..review("u", "acme/widgets") };
                (review.id, ledger.record(&review).await.unwrap())
            })
        })
        .collect();
    let (mut new, mut already) = (Vec::new(), HashSet::new());
    for task in tasks {
        match task.await.unwrap() {
            (id, Recorded::New) => new.push(id),
            (_, Recorded::Already(id)) => _ = already.insert(id),
        }
    }
    assert_eq!(new.len(), 1);
    assert_eq!(already, HashSet::from([new[0]]));
}

pub async fn pages_are_newest_first_and_keep_to_their_filter(bed: &impl Bed) {
    let ledger = bed.open().await;
    let mut ids = Vec::new();
    for (user, repository) in [("ann", "acme/a"), ("bob", "acme/a"), ("ann", "acme/b"), ("ann", "acme/a")] {
        let new = review(user, repository);
        ids.push(new.id);
        ledger.record(&new).await.unwrap();
    }
    let all = ReviewFilter { limit: 10, ..ReviewFilter::default() };
    let list = async |filter: ReviewFilter| -> Vec<ReviewId> {
        ledger.list(&filter).await.unwrap().into_iter().map(|r| r.review.id).collect()
    };
    assert_eq!(list(all.clone()).await, [ids[3], ids[2], ids[1], ids[0]]);
    assert_eq!(list(ReviewFilter { limit: 2, ..all.clone() }).await, [ids[3], ids[2]]);
    assert_eq!(list(ReviewFilter { before: Some(ids[2]), ..all.clone() }).await, [ids[1], ids[0]]);
    let ann = ReviewFilter { user: Some("ann".into()), ..all.clone() };
    assert_eq!(list(ann.clone()).await, [ids[3], ids[2], ids[0]]);
    let in_a = ReviewFilter { of: ReviewedPlace::Repository("acme/a".into()), ..all.clone() };
    assert_eq!(list(in_a.clone()).await, [ids[3], ids[1], ids[0]]);
    let ann_in_a = ReviewFilter { of: ReviewedPlace::Repository("acme/a".into()), ..ann };
    assert_eq!(list(ann_in_a.clone()).await, [ids[3], ids[0]]);
    assert_eq!(list(ReviewFilter { before: Some(ids[3]), ..ann_in_a }).await, [ids[0]]);
    assert_eq!(list(ReviewFilter { user: Some("eve".into()), ..in_a }).await, []);
    assert_eq!(list(ReviewFilter { limit: 0, ..all }).await, []);
}

pub async fn pages_are_of_an_owner_a_pull_request_and_a_status(bed: &impl Bed) {
    use ReviewStatus::{Complete, Degraded, Partial, WithoutModel};
    let ledger = bed.open().await;
    let mut ids = Vec::new();
    for (user, repository, pull_request, status) in [
        ("ann", "acme/a", Some(1), Some(Complete)),
        ("bob", "acme/a", Some(1), Some(Partial)),
        ("ann", "acme/a", Some(u32::MAX), Some(WithoutModel)),
        ("ann", "acme/b", Some(1), Some(Partial)),
        ("ann", "acme2/a", None, Some(Degraded)),
        ("bob", "acme2/a", None, None),
    ] {
        let new = NewReview { pull_request, status, ..review(user, repository) };
        ids.push(new.id);
        ledger.record(&new).await.unwrap();
        assert_eq!(ledger.review(new.id).await.unwrap().unwrap().review, new);
    }
    let owner = ReviewedPlace::Owner("acme".into());
    let in_a = ReviewedPlace::Repository("acme/a".into());
    let pull = |number| ReviewedPlace::PullRequest { repository: "acme/a".into(), number };
    for (user, of, status, expected) in [
        (None, owner.clone(), None, &[3, 2, 1, 0][..]),
        (Some("ann"), owner.clone(), None, &[3, 2, 0]),
        (None, owner.clone(), Some(Partial), &[3, 1]),
        (Some("bob"), owner.clone(), Some(Partial), &[1]),
        (Some("bob"), owner, Some(Complete), &[]),
        (None, ReviewedPlace::Owner("acme/a".into()), None, &[]),
        (None, ReviewedPlace::Everywhere, Some(Degraded), &[4]),
        (Some("bob"), ReviewedPlace::Everywhere, Some(Partial), &[1]),
        (None, in_a.clone(), Some(WithoutModel), &[2]),
        (Some("ann"), in_a.clone(), Some(Complete), &[0]),
        (Some("ann"), in_a, None, &[2, 0]),
        (None, pull(1), None, &[1, 0]),
        (Some("ann"), pull(1), None, &[0]),
        (None, pull(1), Some(Partial), &[1]),
        (Some("ann"), pull(1), Some(Partial), &[]),
        (None, pull(u32::MAX), None, &[2]),
        (None, pull(2), None, &[]),
    ] {
        let filter = ReviewFilter { user: user.map(Into::into), of, status, before: None, limit: 10 };
        let list: Vec<_> = ledger.list(&filter).await.unwrap().into_iter().map(|r| r.review.id).collect();
        let expected: Vec<_> = expected.iter().map(|&at: &usize| ids[at]).collect();
        assert_eq!(list, expected, "{filter:?}");
        let rest = ReviewFilter { before: expected.first().copied(), limit: 1, ..filter };
        let rest: Vec<_> = ledger.list(&rest).await.unwrap().into_iter().map(|r| r.review.id).collect();
        assert_eq!(rest, expected.get(1).copied().into_iter().collect::<Vec<_>>(), "the next page");
    }
}

pub async fn a_page_has_a_maximum_whatever_is_asked(bed: &impl Bed) {
    let ledger = bed.open().await;
    for _ in 0..=LIST_MAX {
        ledger.record(&review("u", "acme/widgets")).await.unwrap();
    }
    let everything = ReviewFilter { limit: usize::MAX, ..ReviewFilter::default() };
    assert_eq!(ledger.list(&everything).await.unwrap().len(), LIST_MAX);
}

pub async fn a_large_review_comes_back_whole(bed: &impl Bed) {
    let ledger = bed.open().await;
    // More than a row or an index entry of any database holds by itself.
    let mut large = review(&"u".repeat(128), "acme/widgets");
    large.markdown = "é漢🦀 ".repeat(200_000);
    large.document = format!("{:?}", "x".repeat(1_000_000));
    ledger.record(&large).await.unwrap();
    assert_eq!(ledger.review(large.id).await.unwrap().unwrap().review, large);
}

fn since(from: Timestamp) -> UsageFilter {
    UsageFilter { from, until: Timestamp::MAX, user: None, limit: usize::MAX }
}

pub async fn usage_is_summed_by_day_user_and_model(bed: &impl Bed) {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let ledger = bed.open().await;
    let cost = |micros| Usage { input_tokens: 10, cached_tokens: 3, output_tokens: 2, cost_micros: micros };
    let record = async |user: &str, model: &str, micros| {
        let new = NewReview { usage: cost(micros), model: model.into(), ..review(user, "acme/widgets") };
        ledger.record(&new).await.unwrap();
        ledger.review(new.id).await.unwrap().unwrap().created_at
    };
    record("ann", "fast", 5).await;
    let old = record("bob", "fast", 7).await;
    bed.age(DAY_MS).await;
    record("ann", "fast", 11).await;
    record("ann", "fast", 13).await;
    record("ann", "strong", 17).await;
    let now = record("bob", "fast", 19).await;

    let day = |at: Timestamp| jiff::tz::Offset::UTC.to_datetime(at).date();
    let (today, before) = (day(now), day(old - Duration::from_hours(24)));
    let sum = |day, user: &str, model: &str, reviews: u64, cost_micros| UsageSum {
        day,
        user: user.into(),
        model: model.into(),
        reviews,
        usage: Usage {
            input_tokens: 10 * reviews,
            cached_tokens: 3 * reviews,
            output_tokens: 2 * reviews,
            cost_micros,
        },
    };
    let all = [
        sum(today, "ann", "fast", 2, 24),
        sum(today, "ann", "strong", 1, 17),
        sum(today, "bob", "fast", 1, 19),
        sum(before, "ann", "fast", 1, 5),
        sum(before, "bob", "fast", 1, 7),
    ];
    assert_eq!(ledger.usage(&since(Timestamp::UNIX_EPOCH)).await.unwrap(), all);
    assert_eq!(ledger.usage(&since(now - HOUR)).await.unwrap(), all[..3]);
    let until = UsageFilter { until: now - HOUR, ..since(Timestamp::MIN) };
    assert_eq!(ledger.usage(&until).await.unwrap(), all[3..]);
    let of_ann = UsageFilter { user: Some("ann".into()), limit: 2, ..since(Timestamp::UNIX_EPOCH) };
    assert_eq!(ledger.usage(&of_ann).await.unwrap(), all[..2]);
}

pub async fn usage_of_nobody_is_nothing(bed: &impl Bed) {
    let ledger = bed.open().await;
    assert_eq!(ledger.usage(&since(Timestamp::MIN)).await.unwrap(), []);
    ledger.record(&review("ann", "acme/widgets")).await.unwrap();
    let of_eve = UsageFilter { user: Some("eve".into()), ..since(Timestamp::MIN) };
    assert_eq!(ledger.usage(&of_eve).await.unwrap(), []);
    assert_eq!(ledger.usage(&UsageFilter { limit: 0, ..since(Timestamp::MIN) }).await.unwrap(), []);
}

fn unit(user: &str, subject: &str) -> NewUnit {
    NewUnit { job: JobId::from(Uuid::now_v7()), user: user.into(), subject: subject.into() }
}

async fn takes(ledger: &dyn Ledger, unit: &NewUnit, daily: u32) -> bool {
    match ledger.take_unit(unit, daily).await.unwrap() {
        Taken::Yes => true,
        Taken::No { resets_in } => {
            assert!(resets_in > Duration::ZERO && resets_in <= 24 * HOUR, "{resets_in:?}");
            false
        }
    }
}

pub async fn as_many_of_fifty_as_a_day_has_units_take_one(bed: &impl Bed) {
    let openings = [bed.open().await, bed.open().await];
    let tasks: Vec<_> = (0..50)
        .map(|i| {
            let ledger = openings[i % 2].clone();
            tokio::spawn(async move { takes(&*ledger, &unit("ann", &format!("change-{i}")), 10).await })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += usize::from(task.await.unwrap());
    }
    assert_eq!(taken, 10);
    assert_eq!(openings[0].held_units("ann").await.unwrap().len(), 10);
    assert!(takes(&*openings[0], &unit("ann", "another"), 11).await, "another tier's day is longer");
    assert!(takes(&*openings[1], &unit("bob", "change-0"), 1).await, "another user has a day of his own");
    assert!(openings[1].held_units("eve").await.unwrap().is_empty());
}

pub async fn a_subject_without_a_review_takes_one_unit_whatever_its_jobs(bed: &impl Bed) {
    let ledger = bed.open().await;
    let first = unit("ann", "one");
    assert!(takes(&*ledger, &first, 1).await);
    assert!(takes(&*ledger, &first, 1).await, "the same job has it");
    let again = unit("ann", "one");
    assert!(takes(&*ledger, &again, 1).await, "the same subject");
    assert!(!takes(&*ledger, &unit("ann", "two"), 1).await);
    assert!(takes(&*ledger, &unit("ann", "two"), 2).await, "two of a subject count once");
    let jobs: Vec<_> = ledger.units_of_subject("one").await.unwrap().into_iter().map(|unit| unit.job).collect();
    assert_eq!(HashSet::from_iter(jobs), HashSet::from([first.job, again.job]));

    ledger.record(&NewReview { job: first.job, ..review("ann", "acme/widgets") }).await.unwrap();
    assert!(!takes(&*ledger, &unit("ann", "three"), 3).await, "one with a review, and two subjects without");
    for _ in 0..UNITS_OF_SUBJECT_MAX {
        assert!(takes(&*ledger, &unit("ann", "one"), 3).await);
    }
    assert_eq!(ledger.units_of_subject("one").await.unwrap().len(), UNITS_OF_SUBJECT_MAX);
}

pub async fn a_unit_that_is_given_back_can_be_taken_and_one_with_a_review_is_spent(bed: &impl Bed) {
    let ledger = bed.open().await;
    let (spent, free) = (unit("ann\0", "one"), unit("ann\0", "two"));
    assert!(takes(&*ledger, &spent, 2).await && takes(&*ledger, &free, 2).await);
    ledger.record(&NewReview { job: spent.job, ..review("ann", "acme/widgets") }).await.unwrap();
    let held: Vec<_> = ledger.held_units("ann\0").await.unwrap();
    assert_eq!(held.iter().map(|unit| unit.job).collect::<Vec<_>>(), [free.job]);
    assert!(held[0].age < HOUR, "{held:?}");

    ledger.give_back(&[]).await.unwrap();
    assert!(!takes(&*ledger, &unit("ann\0", "three"), 2).await);
    ledger.give_back(&[spent.job, free.job, JobId::from(Uuid::now_v7())]).await.unwrap();
    assert!(takes(&*ledger, &unit("ann\0", "three"), 2).await);
    assert!(!takes(&*ledger, &unit("ann\0", "four"), 2).await, "a review is not given back");
}

pub async fn the_next_day_has_units_of_its_own(bed: &impl Bed) {
    let ledger = bed.open().await;
    assert!(takes(&*ledger, &unit("ann", "one"), 1).await);
    assert!(!takes(&*ledger, &unit("ann", "two"), 1).await);
    bed.age(24 * 60 * 60 * 1000).await;
    assert!(takes(&*ledger, &unit("ann", "two"), 1).await);
    assert!(!takes(&*ledger, &unit("ann", "three"), 1).await);
    assert_eq!(ledger.held_units("ann").await.unwrap().len(), 1, "those of today");
    let old = ledger.units_of_subject("one").await.unwrap();
    assert!(old[0].age >= 24 * HOUR && old[0].age < 25 * HOUR, "{old:?}");
}
