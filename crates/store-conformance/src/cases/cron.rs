use std::time::Duration;

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use job::{
    Concurrency, ConcurrencyKey, CronName, CronSchedule, JobKind, LimitClass, Payload, Priority, QueueName, Weight,
};
use store::{CronEntry, CronView, Enqueued, LimitTarget, Maintained, StoreError, Throttle, WhenFull};

use crate::Bed;

fn name(name: &str) -> CronName {
    CronName::new(name).unwrap()
}

fn entry(named: &str, expression: &str, zone: &str) -> CronEntry {
    CronEntry {
        name: name(named),
        schedule: CronSchedule::new(expression, zone).unwrap(),
        queue: Bed::queue(),
        kind: JobKind::new("report").unwrap(),
        payload: Payload::parse(r#"{"for":"all 🦀"}"#).unwrap(),
        priority: Priority(7),
        weight: Weight::new(3).unwrap(),
        concurrency: Bed::keyed("reports").concurrency,
        max_attempts: 2,
        timeout: Duration::from_secs(90),
    }
}

async fn view(bed: &Bed, named: &str) -> CronView {
    let all = bed.store.list_cron().await.unwrap();
    all.into_iter().find(|view| view.entry.name == name(named)).expect("the schedule is stored")
}

async fn now(bed: &Bed) -> Timestamp {
    let id = bed.put(Bed::job()).await;
    bed.complete(vec![bed.claim_one().await]).await;
    bed.view(id).await.job.created_at
}

/// Moves the clock to a schedule's next firing.
async fn to_next_firing(bed: &Bed, named: &str) -> Maintained {
    let wait = view(bed, named).await.next_at.expect("it fires again") - now(bed).await;
    bed.advance(Duration::try_from(wait).unwrap_or_default()).await;
    bed.maintain().await
}

pub async fn a_schedule_makes_one_job_of_each_firing(bed: Bed) {
    let entry = entry("hourly", "@hourly", "UTC");
    bed.store.set_cron(&entry).await.unwrap();
    assert_eq!(bed.maintain().await.fired, 0, "it has not fired yet");
    for _ in 0..3 {
        let at = view(&bed, "hourly").await.next_at.unwrap();
        let mut wake = bed.store.subscribe();
        assert_eq!(to_next_firing(&bed, "hourly").await.fired, 1);
        assert!(wake.has_changed().unwrap());
        wake.mark_unchanged();
        assert_eq!(bed.maintain().await.fired, 0, "once");
        let job = bed.claim_one().await;
        let after = view(&bed, "hourly").await;
        assert_eq!((after.last_at, after.last_job), (Some(at), Some(job.job.id)));
        assert_eq!(after.next_at, Some(at + Duration::from_hours(1)));
        let made = entry.firing(at, job.job.id).unwrap();
        assert_eq!(job.job, job::Job { created_at: job.job.created_at, ..job::Job::from(&made) }, "as it was set");
        assert_eq!(
            bed.store.enqueue(&[entry.firing(at, Bed::job().id).unwrap()]).await.unwrap(),
            [Enqueued::Duplicate(job.job.id)]
        );
        bed.complete(vec![job]).await;
    }
}

pub async fn of_racing_maintenance_each_firing_is_one_job(bed: Bed) {
    bed.store.set_cron(&entry("hourly", "@hourly", "UTC")).await.unwrap();
    let other = bed.harness.open().await;
    bed.advance(Duration::from_hours(1)).await;
    let passes = (0..20).map(|n| {
        let store = if n % 2 == 0 { bed.store.clone() } else { other.clone() };
        tokio::spawn(async move { store.maintain(&store::Budget { jobs_max: 10 }).await.unwrap().fired })
    });
    let mut fired = 0;
    for pass in passes.collect::<Vec<_>>() {
        fired += pass.await.unwrap();
    }
    assert_eq!((fired, bed.stats().await.ready), (1, 1));
}

pub async fn a_claim_and_maintenance_say_when_a_schedule_fires(bed: Bed) {
    bed.store.set_cron(&entry("hourly", "@hourly", "UTC")).await.unwrap();
    let wait = view(&bed, "hourly").await.next_at.unwrap() - now(&bed).await;
    let wait = Duration::try_from(wait).unwrap();
    let is_then = |said: Option<Duration>| {
        let said = said.expect("it fires");
        assert!(said <= wait && said + Duration::from_secs(10) > wait, "{said:?} and not {wait:?}");
    };
    is_then(bed.claim_all(1).await.next_due_in);
    is_then(bed.maintain().await.next_due_in);
    bed.advance(wait).await;
    assert_eq!(bed.claim_all(1).await.next_due_in, Some(Duration::ZERO), "it waits for the maintenance");
}

pub async fn missed_firings_are_made_up_for_by_one_job(bed: Bed) {
    bed.store.set_cron(&entry("hourly", "@hourly", "UTC")).await.unwrap();
    let missed = view(&bed, "hourly").await.next_at.unwrap();
    bed.advance(Duration::from_hours(100)).await;
    let present = now(&bed).await;
    assert_eq!(bed.maintain().await.fired, 1);
    let after = view(&bed, "hourly").await;
    assert_eq!(after.last_at, Some(missed), "the first of them");
    let next = after.next_at.unwrap();
    assert!(next > present && next <= present + Duration::from_hours(1), "and the next one comes in its time");
    assert_eq!(bed.maintain().await.fired, 0);
    assert_eq!(bed.stats().await.ready, 1);
}

pub async fn a_schedule_that_is_set_again_keeps_its_next_firing(bed: Bed) {
    bed.store.set_cron(&entry("hourly", "@hourly", "UTC")).await.unwrap();
    let due = view(&bed, "hourly").await.next_at;
    bed.advance(Duration::from_hours(2)).await;
    let higher = CronEntry { priority: Priority(9), ..entry("hourly", "@hourly", "UTC") };
    bed.store.set_cron(&higher).await.unwrap();
    assert_eq!(view(&bed, "hourly").await.next_at, due, "a start of a process loses no firing");
    assert_eq!(bed.maintain().await.fired, 1);
    assert_eq!(bed.claim_one().await.job.priority, Priority(9));
    bed.advance(Duration::from_hours(2)).await;
    bed.store.set_cron(&entry("hourly", "@daily", "UTC")).await.unwrap();
    assert_eq!(bed.maintain().await.fired, 0, "another expression begins anew");
    assert!(view(&bed, "hourly").await.next_at > due);
}

pub async fn a_removed_schedule_fires_no_more(bed: Bed) {
    bed.store.set_cron(&entry("hourly", "@hourly", "UTC")).await.unwrap();
    bed.store.set_cron(&entry("daily", "@daily", "UTC")).await.unwrap();
    to_next_firing(&bed, "hourly").await;
    let before = bed.stats().await.ready;
    assert!(bed.store.remove_cron(&name("hourly")).await.unwrap());
    assert!(!bed.store.remove_cron(&name("hourly")).await.unwrap(), "there is none any more");
    assert_eq!(bed.stats().await.ready, before, "its jobs stay");
    let left: Vec<_> = bed.store.list_cron().await.unwrap().into_iter().map(|view| view.entry).collect();
    assert_eq!(left, [entry("daily", "@daily", "UTC")]);
    bed.advance(Duration::from_hours(25)).await;
    assert_eq!(bed.maintain().await.fired, 1);
}

pub async fn a_weekly_schedule_runs_once_a_week_across_the_changes_of_the_clocks(bed: Bed) {
    let zone = TimeZone::get("America/New_York").unwrap();
    bed.store.set_cron(&entry("weekly", "30 1 * * SUN", "America/New_York")).await.unwrap();
    let mut last: Option<Timestamp> = None;
    for _ in 0..54 {
        assert_eq!(to_next_firing(&bed, "weekly").await.fired, 1);
        let fired = view(&bed, "weekly").await.last_at.unwrap();
        let local = zone.to_datetime(fired);
        assert_eq!((local.weekday(), local.hour(), local.minute()), (Weekday::Sunday, 1, 30));
        if let Some(last) = last {
            let hours = (fired - last).as_secs() / 3_600;
            assert!((167..=169).contains(&hours), "{hours} hours after the one before");
        }
        last = Some(fired);
        bed.complete(bed.claim(10).await).await;
        bed.advance(Duration::from_hours(2)).await;
        assert_eq!(bed.maintain().await.fired, 0, "once, also when its hour comes twice");
    }
}

pub async fn a_schedule_that_cannot_be_kept_is_refused(bed: Bed) {
    let good = entry("hourly", "@hourly", "UTC");
    let class = LimitClass::new("unheard-of").unwrap();
    let classless = Concurrency { key: ConcurrencyKey::new("a").unwrap(), class };
    for (wrong, named) in [
        (CronEntry { queue: QueueName::new("nowhere").unwrap(), ..good.clone() }, "nowhere"),
        (CronEntry { concurrency: Some(classless), ..good.clone() }, "unheard-of"),
        (CronEntry { max_attempts: 0, ..good }, "max_attempts"),
    ] {
        let error = bed.store.set_cron(&wrong).await.unwrap_err();
        assert!(matches!(&error, StoreError::Invalid(text) if text.contains(named)), "{error:?}");
    }
    assert!(bed.store.list_cron().await.unwrap().is_empty());
}

pub async fn a_firing_that_the_queue_refuses_is_over(bed: Bed) {
    let day = Duration::from_hours(24);
    let once_a_day = Throttle { starts: 1, period: day, when_full: WhenFull::Refuse };
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), None).await.unwrap();
    bed.store.set_throttle(&Bed::queue(), &Bed::class(), Some(once_a_day)).await.unwrap();
    bed.store.set_cron(&entry("hourly", "@hourly", "UTC")).await.unwrap();
    to_next_firing(&bed, "hourly").await;
    let first = view(&bed, "hourly").await;
    assert!(first.last_job.is_some());
    to_next_firing(&bed, "hourly").await;
    let second = view(&bed, "hourly").await;
    assert_eq!((second.last_at, second.last_job), (first.next_at, None));
    assert_eq!(bed.stats().await.ready, 1);
}

pub async fn a_schedule_outlives_a_crash(mut bed: Bed) {
    bed.store.set_cron(&entry("hourly", "@hourly", "Asia/Kolkata")).await.unwrap();
    let before = view(&bed, "hourly").await;
    bed.crash().await;
    assert_eq!(view(&bed, "hourly").await, before);
    assert_eq!(to_next_firing(&bed, "hourly").await.fired, 1);
    bed.crash().await;
    assert_eq!(bed.maintain().await.fired, 0);
}
