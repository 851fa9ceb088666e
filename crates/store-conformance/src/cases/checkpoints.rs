use std::time::Duration;

use store::{CHECKPOINT_MAX_BYTES, CHECKPOINTS_MAX, Checkpoint, LeasedJob, Settled, StoreError};

use crate::Bed;

fn checkpoint(step: &str, value: &[u8]) -> Checkpoint {
    Checkpoint { step: step.into(), value: value.to_vec() }
}

async fn keep(bed: &Bed, leased: &LeasedJob, checkpoint: &Checkpoint) {
    assert_eq!(bed.store.checkpoint(&leased.lease, checkpoint).await.unwrap(), Settled::Applied);
}

pub async fn a_checkpoint_reaches_the_next_attempt(bed: Bed) {
    bed.put_all(vec![Bed::job(), Bed::job()]).await;
    let mut running = bed.claim(2).await;
    let (other, leased) = (running.remove(1), running.remove(0));
    let kept = [checkpoint("posted", b"\0\xff"), checkpoint("diff", b"")];
    for checkpoint in &kept {
        keep(&bed, &leased, checkpoint).await;
    }
    let id = leased.job.id;
    bed.end(leased, &Bed::transient()).await;
    bed.end(other, &Bed::transient()).await;
    assert_eq!(bed.view(id).await.checkpoints, ["posted", "diff"]);
    bed.advance(Duration::from_mins(1)).await;
    bed.maintain().await;
    for leased in bed.claim(2).await {
        let expected: &[Checkpoint] = if leased.job.id == id { &kept } else { &[] };
        assert_eq!(leased.checkpoints, expected);
    }
}

pub async fn a_step_written_again_replaces_its_value(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    for (step, value) in [("a", b"1"), ("b", b"2"), ("a", b"3")] {
        keep(&bed, &leased, &checkpoint(step, value)).await;
    }
    assert_eq!(bed.view(id).await.checkpoints, ["b", "a"]);
    bed.end(leased, &job::Outcome::Released).await;
    assert_eq!(bed.claim_one().await.checkpoints, [checkpoint("b", b"2"), checkpoint("a", b"3")]);
}

pub async fn checkpoints_are_bounded(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    let refused = async |checkpoint: Checkpoint| {
        let error = bed.store.checkpoint(&leased.lease, &checkpoint).await.unwrap_err();
        assert!(matches!(error, StoreError::Invalid(_)), "{error:?}");
    };
    refused(checkpoint("large", &vec![0; CHECKPOINT_MAX_BYTES + 1])).await;
    refused(checkpoint("", b"1")).await;
    refused(checkpoint(&"x".repeat(65), b"1")).await;
    for n in 0..CHECKPOINTS_MAX {
        keep(&bed, &leased, &checkpoint(&format!("step-{n}"), &vec![7; CHECKPOINT_MAX_BYTES / 16])).await;
    }
    refused(checkpoint("one more", b"1")).await;
    keep(&bed, &leased, &checkpoint("step-3", b"again")).await;
    assert_eq!(bed.view(id).await.checkpoints.len(), CHECKPOINTS_MAX);
}

pub async fn checkpoints_of_a_completed_job_are_gone(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    keep(&bed, &leased, &checkpoint("diff", b"1")).await;
    bed.complete(vec![leased]).await;
    assert!(bed.view(id).await.checkpoints.is_empty());
}

pub async fn checkpoints_of_a_dead_job_reach_its_replay(bed: Bed) {
    let id = bed.put(Bed::job()).await;
    let leased = bed.claim_one().await;
    keep(&bed, &leased, &checkpoint("diff", b"1")).await;
    bed.end(leased, &Bed::permanent()).await;
    bed.store.retry(id).await.unwrap();
    assert_eq!(bed.claim_one().await.checkpoints, [checkpoint("diff", b"1")]);
}
