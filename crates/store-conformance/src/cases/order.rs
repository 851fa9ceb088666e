use std::{collections::HashMap, time::Duration};

use job::{JobId, Outcome, Priority, QueueName, Weight};
use store::{ClaimRequest, LimitTarget, NewJob, PauseTarget};

use crate::Bed;

async fn unlimited(bed: &Bed) {
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), None).await.unwrap();
}

/// Starts jobs one by one, so that the order of the answers is the order of the starts.
async fn start_one_by_one(bed: &Bed, count: usize) -> Vec<JobId> {
    let mut started = Vec::with_capacity(count);
    for _ in 0..count {
        started.push(bed.claim_one().await.job.id);
    }
    started
}

fn key_of(jobs: &[NewJob]) -> HashMap<JobId, String> {
    let key = |job: &NewJob| job.concurrency.as_ref().map_or(String::new(), |c| c.key.to_string());
    jobs.iter().map(|job| (job.id, key(job))).collect()
}

pub async fn a_higher_priority_starts_first(bed: Bed) {
    let low = bed.put(Bed::ranked("a", -5)).await;
    let middle = bed.put(Bed::ranked("b", 0)).await;
    let high = bed.put(Bed::ranked("c", i16::MAX)).await;
    assert_eq!(start_one_by_one(&bed, 3).await, [high, middle, low]);
}

pub async fn a_late_high_priority_overtakes_its_own_key(bed: Bed) {
    let low = bed.put_all((0..4).map(|_| Bed::ranked("a", 0)).collect()).await;
    let running = bed.claim(10).await;
    let high = bed.put(Bed::ranked("a", 9)).await;
    bed.complete(running).await;
    assert_eq!(start_one_by_one(&bed, 2).await, [high, low[2]]);
}

pub async fn jobs_of_a_key_start_in_the_order_of_their_arrival(bed: Bed) {
    unlimited(&bed).await;
    let mut ids = bed.put_all((0..3).map(|_| Bed::keyed("a")).collect()).await;
    for _ in 0..3 {
        ids.push(bed.put(Bed::keyed("a")).await);
    }
    assert_eq!(start_one_by_one(&bed, 6).await, ids);
}

pub async fn jobs_of_a_key_that_were_parked_start_in_the_order_of_their_arrival(bed: Bed) {
    let mut expected = bed.put_all((0..6).map(|_| Bed::keyed("a")).collect()).await;
    let mut started = Vec::new();
    for round in 0..5 {
        let running = bed.claim(10).await;
        started.extend(running.iter().map(|leased| leased.job.id));
        // Late ones come while there is room and while there is none, and overtake nobody.
        if round < 2 {
            expected.push(bed.put(Bed::keyed("a")).await);
        }
        bed.complete(running).await;
        if round < 2 {
            expected.push(bed.put(Bed::keyed("a")).await);
        }
    }
    assert_eq!(started, expected);
}

/// More jobs than one claim looks at.
const LONG: usize = 300;

pub async fn a_key_that_was_full_has_its_next_turn_with_the_others(bed: Bed) {
    let jobs: Vec<NewJob> = (0..LONG).flat_map(|_| [Bed::keyed("a"), Bed::job()]).collect();
    let key = key_of(&jobs);
    bed.put_all(jobs).await;
    let running = bed.claim(4).await;
    let (of_a, _) = running.into_iter().partition::<Vec<_>, _>(|leased| key[&leased.job.id] == "a");
    assert_eq!(of_a.len(), 2, "its limit");
    // They meet jobs of the full key, which has others ready far behind.
    assert!(bed.start(20).await.iter().all(|id| key[id].is_empty()));
    bed.complete(of_a).await;
    let started = bed.start(4).await;
    assert!(started.iter().any(|id| key[id] == "a"), "it waits for the turns of jobs that it had ready once");
}

pub async fn a_key_has_one_turn_at_a_time_for_the_jobs_that_it_had_parked(bed: Bed) {
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    bed.put_all((0..10).map(|_| Bed::keyed("a")).collect()).await;
    let mut running = bed.claim(10).await;
    // Ready, and behind all that are parked.
    bed.put(Bed::keyed("a")).await;
    let others = bed.put_all((0..5).map(|_| Bed::job()).collect()).await;
    let mut started = Vec::new();
    for _ in 0..8 {
        bed.complete(running).await;
        running = bed.claim(1).await;
        started.extend(running.iter().map(|leased| leased.job.id));
    }
    let of_others = started.iter().filter(|id| others.contains(id)).count();
    assert!((3..=5).contains(&of_others), "of eight starts the others had {of_others}");
}

pub async fn keys_take_turns_at_equal_priority(bed: Bed) {
    unlimited(&bed).await;
    let jobs: Vec<NewJob> = ["a", "b", "c"].iter().flat_map(|key| (0..4).map(|_| Bed::keyed(key))).collect();
    let key = key_of(&jobs);
    bed.put_all(jobs).await;
    let started = start_one_by_one(&bed, 12).await;
    for round in started.chunks(3) {
        let mut keys: Vec<_> = round.iter().map(|id| key[id].as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a", "b", "c"], "each key once a round");
    }
}

pub async fn a_newcomer_starts_within_one_turn_of_a_long_backlog(bed: Bed) {
    unlimited(&bed).await;
    for _ in 0..3 {
        bed.put_all((0..1_000).map(|_| Bed::keyed("a")).collect()).await;
    }
    let running = bed.claim(500).await;
    bed.complete(running).await;
    let newcomer = bed.put(Bed::keyed("b")).await;
    assert!(bed.start(2).await.contains(&newcomer), "one turn of two keys");
}

pub async fn a_newcomer_makes_up_for_no_turns_of_the_past(bed: Bed) {
    unlimited(&bed).await;
    bed.put_all((0..1_000).map(|_| Bed::keyed("a")).collect()).await;
    for _ in 0..3 {
        let running = bed.claim(100).await;
        bed.complete(running).await;
    }
    let newcomers = bed.put_all((0..100).map(|_| Bed::keyed("b")).collect()).await;
    let started = bed.start(20).await.iter().filter(|id| newcomers.contains(id)).count();
    assert!((9..=11).contains(&started), "every second turn from now on, and {started} of 20 were");
}

pub async fn a_heavier_key_gets_more_turns(bed: Bed) {
    unlimited(&bed).await;
    let heavy = |_| NewJob { weight: Weight::new(3).unwrap(), ..Bed::keyed("heavy") };
    let jobs: Vec<NewJob> = (0..40).map(heavy).chain((0..40).map(|_| Bed::keyed("light"))).collect();
    let key = key_of(&jobs);
    bed.put_all(jobs).await;
    let started = bed.start(40).await;
    let heavy = started.iter().filter(|id| key[id] == "heavy").count();
    assert!((29..=31).contains(&heavy), "three of four turns, and {heavy} of 40 were");
}

pub async fn a_full_key_costs_the_others_nothing(bed: Bed) {
    bed.put_all((0..3_000).map(|_| Bed::ranked("a", 5)).collect()).await;
    bed.claim(10).await;
    let other = bed.put(Bed::ranked("b", 0)).await;
    assert_eq!(bed.start(1).await, [other], "by the first claim, behind 2,998 better jobs that may not start");
}

pub async fn a_released_job_starts_after_one_of_higher_priority_that_was_parked(bed: Bed) {
    let low = bed.put_all((0..2).map(|_| Bed::keyed("a")).collect()).await;
    let running = bed.claim(10).await;
    let high = bed.put(Bed::ranked("a", 9)).await;
    assert!(bed.start(10).await.is_empty());
    for leased in running {
        bed.end(leased, &Outcome::Released).await;
    }
    assert_eq!(bed.start(10).await, [high, low[0]]);
}

pub async fn a_released_job_starts_before_the_later_ones_of_its_key(bed: Bed) {
    let limited = bed.put_all((0..5).map(|_| Bed::keyed("a")).collect()).await;
    let running = bed.claim(10).await;
    for leased in running.into_iter().rev() {
        bed.end(leased, &Outcome::Released).await;
    }
    assert_eq!(bed.start(10).await, limited[..2], "before those that were parked");
    unlimited(&bed).await;
    let free = bed.put_all((0..3).map(|_| Bed::ranked("b", 1)).collect()).await;
    bed.end(bed.claim_one().await, &Outcome::Released).await;
    assert_eq!(start_one_by_one(&bed, 3).await, free, "before those that were ready");
}

pub async fn every_tenth_start_goes_to_a_key_that_has_waited_too_long(bed: Bed) {
    let starved = bed.put(Bed::ranked("low", 0)).await;
    bed.advance(Duration::from_secs(1)).await;
    bed.put_all((0..40).map(|_| NewJob { priority: Priority(9), ..Bed::job() }).collect()).await;
    assert!(!bed.start(20).await.contains(&starved), "nothing has waited too long yet");
    bed.advance(Duration::from_secs(301)).await;
    let ids = bed.start(10).await;
    assert!(ids.contains(&starved), "one of ten starts");
    assert_eq!(ids.len(), 10);
}

pub async fn a_paused_key_does_not_wait(bed: Bed) {
    let low = Bed::ranked("low", 0);
    let target = PauseTarget::Key(Bed::queue(), low.concurrency.clone().unwrap().key);
    let rested = bed.put(low).await;
    bed.put_all((0..40).map(|_| NewJob { priority: Priority(9), ..Bed::job() }).collect()).await;
    bed.store.pause(&target).await.unwrap();
    bed.advance(Duration::from_secs(301)).await;
    bed.store.resume(&target).await.unwrap();
    // The others have waited as long, and are served first anyway.
    assert!(!bed.start(20).await.contains(&rested));
}

pub async fn a_key_that_has_waited_too_long_keeps_its_limit(bed: Bed) {
    let low = bed.put_all((0..2).map(|_| Bed::ranked("low", 0)).collect()).await;
    assert_eq!(bed.start(1).await, low[..1]);
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    bed.put_all((0..40).map(|_| NewJob { priority: Priority(9), ..Bed::job() }).collect()).await;
    bed.advance(Duration::from_secs(301)).await;
    assert!(!bed.start(30).await.contains(&low[1]));
}

pub async fn the_time_that_a_key_was_full_is_no_starvation(bed: Bed) {
    bed.store.set_limit(&LimitTarget::Class(Bed::queue(), Bed::class()), Some(1)).await.unwrap();
    let low = bed.put_all((0..2).map(|_| Bed::ranked("low", 0)).collect()).await;
    let running = bed.claim_one().await;
    bed.put_all((0..40).map(|_| NewJob { priority: Priority(9), ..Bed::job() }).collect()).await;
    bed.advance(Duration::from_secs(301)).await;
    bed.complete(vec![running]).await;
    // The others have waited as long, and are served first anyway.
    assert!(!bed.start(20).await.contains(&low[1]));
}

pub async fn queues_are_asked_in_the_order_of_the_claim(bed: Bed) {
    let other = QueueName::new("index").unwrap();
    bed.store.define_queue(&other, None).await.unwrap();
    let first = bed.put(Bed::job()).await;
    let second = bed.put(NewJob { queue: other.clone(), priority: Priority(9), ..Bed::job() }).await;
    let request = ClaimRequest { queues: vec![Bed::queue(), other.clone()], ..Bed::request(1) };
    let claimed = bed.store.claim(&request).await.unwrap();
    assert_eq!(claimed.jobs[0].job.id, first);
    assert!(claimed.more);
    let request = ClaimRequest { queues: vec![Bed::queue(), other], ..Bed::request(5) };
    assert_eq!(bed.store.claim(&request).await.unwrap().jobs[0].job.id, second);
}
