use std::time::Duration;

use job::{
    AttemptError, AttemptErrorKind, BuryReason, Concurrency, ConcurrencyKey, JobKind, PAYLOAD_MAX_BYTES, Payload,
    Priority, Supersede, SupersedeKey, Transition, Unique, UniqueKey, Version, VersionId, Weight,
};
use store::{NewJob, Settled};

use crate::Bed;

/// Quotes, controls, what JSON and SQL treat in their own ways, and characters of one to four bytes.
const WILD: &str = "'\"\\;--%_$1?{}[]\u{1}\u{7f}\t\n\r\u{2028}\u{feff}é漢🦀\u{10ffff}";

pub async fn any_unicode_comes_back_whole(bed: Bed) {
    let text = serde_json::to_string(&serde_json::json!({ WILD: [WILD, WILD.repeat(20)] })).unwrap();
    let job = NewJob {
        payload: Payload::parse(text).unwrap(),
        concurrency: Some(Concurrency { key: ConcurrencyKey::new(WILD).unwrap(), class: Bed::class() }),
        unique: Some(Unique { key: UniqueKey::new(WILD).unwrap(), window: Duration::from_secs(1) }),
        trace_parent: Some(WILD.into()),
        ..Bed::job()
    };
    bed.put(job.clone()).await;
    bed.put_all((0..2).map(|_| NewJob { id: Bed::job().id, unique: None, ..job.clone() }).collect()).await;
    let running = bed.claim(10).await;
    assert_eq!(running.len(), 2, "the key is one key, and its limit holds");
    let leased = running[0].job.clone();
    assert_eq!((leased.payload, leased.concurrency, leased.unique), (job.payload, job.concurrency, job.unique));
    assert_eq!(leased.trace_parent, job.trace_parent);
    bed.complete(running).await;
    assert_eq!(bed.start(10).await.len(), 1, "and its room is found again");
}

pub async fn the_largest_payload_comes_back_whole(bed: Bed) {
    let text = format!("\"{}\"", "x".repeat(PAYLOAD_MAX_BYTES - 2));
    let largest = || NewJob { payload: Payload::parse(text.as_str()).unwrap(), ..Bed::job() };
    bed.put_all((0..40).map(|_| largest()).collect()).await;
    let claimed = bed.claim(100).await;
    assert_eq!(claimed.len(), 40);
    assert!(claimed.iter().all(|leased| leased.job.payload.as_str() == text));
}

pub async fn any_error_text_settles(bed: Bed) {
    let long = format!("{WILD}\0{}", "ü".repeat(10_000));
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    // As a caller would build it that does not know what can be stored.
    let error = AttemptError { attempt: 1, kind: AttemptErrorKind::Permanent, message: long, at: None };
    let transition = Transition::Bury { reason: BuryReason::Permanent, error };
    assert_eq!(bed.settle(leased, transition).await, Settled::Applied);
    let kept = bed.view(id).await.errors.remove(0).message;
    assert!(kept.starts_with(&format!("{WILD}\u{fffd}üü")), "{kept:.80}");
}

pub async fn all_fields_of_a_job_come_back(bed: Bed) {
    let new = NewJob {
        kind: JobKind::new("index").unwrap(),
        priority: Priority(i16::MIN),
        weight: Weight::new(Weight::MAX).unwrap(),
        max_attempts: u32::MAX,
        timeout: Duration::from_millis(1_500),
        trace_parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        supersede: Some(Supersede {
            key: SupersedeKey::new(WILD).unwrap(),
            version: Version { at: "1999-12-31T23:59:59.999Z".parse().unwrap(), id: VersionId::new(WILD).unwrap() },
        }),
        ..Bed::unique("k", Duration::from_millis(2_500))
    };
    bed.put(new.clone()).await;
    let stored = bed.view(new.id).await.job;
    assert_eq!(stored, job::Job { created_at: stored.created_at, ..job::Job::from(&new) });
    let leased = bed.claim_one().await;
    assert_eq!(leased.job, stored);
    bed.complete(vec![leased]).await;
    assert_eq!(bed.view(new.id).await.job, stored);
}
