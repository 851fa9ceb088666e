//! A worker and its store in virtual time: only the choosing is real.

use std::collections::BTreeMap;

use job::{ClaimId, Job, JobId, JobKind, LeaseToken, Payload, Priority};
use proptest::{collection::vec, prelude::*};
use store::{LeaseRef, LeasedJob, NewJob};
use uuid::Uuid;

use super::*;

/// More jobs than any run starts.
const ENDLESS: usize = usize::MAX / 2;

/// Claims after which a run is taken for an endless one.
const CLAIMS_MAX: usize = 200_000;

/// One queue of a run: its weight, how long its jobs hold a slot, and how many of them wait.
#[derive(Debug, Clone, Copy)]
struct Kind {
    weight: u16,
    hold: Duration,
    ready: usize,
}

fn endless(weight: u16, hold: Duration) -> Kind {
    Kind { weight, hold, ready: ENDLESS }
}

struct Run {
    turns: Turns,
    queues: Vec<(QueueName, Kind)>,
    slots: usize,
    now: Instant,
    /// How long a claim takes.
    round_trip: Duration,
    /// How long slots are gathered before a claim.
    gather: Duration,
    running: BTreeMap<(Instant, usize), (usize, Instant, Share)>,
    /// By queue: slot time of ended jobs, and starts.
    used: Vec<Duration>,
    starts: Vec<usize>,
    claims: usize,
}

impl Run {
    fn new(slots: usize, round_trip: Duration, kinds: &[Kind]) -> Self {
        let now = Instant::now();
        let name = |n| QueueName::new(format!("q{n}")).unwrap();
        let queues: Vec<_> = kinds.iter().enumerate().map(|(n, kind)| (name(n), *kind)).collect();
        let weighted = queues.iter().map(|(name, kind)| (name.clone(), Weight::new(kind.weight).unwrap()));
        Self {
            turns: Turns::new(weighted, slots, now),
            slots,
            now,
            round_trip,
            gather: Duration::ZERO,
            running: BTreeMap::new(),
            used: vec![Duration::ZERO; kinds.len()],
            starts: vec![0; kinds.len()],
            claims: 0,
            queues,
        }
    }

    fn end_jobs(&mut self) {
        while let Some(first) = self.running.first_entry().filter(|first| first.key().0 <= self.now) {
            let ((end, _), (queue, start, _share)) = first.remove_entry();
            self.used[queue] += end - start;
        }
    }

    /// One claim as the worker makes it, or none without a free slot; whether to claim again at once.
    fn claim(&mut self) -> bool {
        self.end_jobs();
        let free = self.slots - self.running.len();
        if free == 0 {
            return false;
        }
        let turn = self.turns.next(free, self.now);
        assert!((1..=free).contains(&turn.max), "{} of {free} free slots are asked for", turn.max);
        let mut jobs = Vec::new();
        for name in &turn.queues {
            let kind = &mut self.queues.iter_mut().find(|(of, _)| of == name).unwrap().1;
            let taken = kind.ready.min(turn.max - jobs.len());
            kind.ready -= taken;
            jobs.extend((0..taken).map(|_| leased(name)));
        }
        self.now += self.round_trip;
        self.claims += 1;
        let claimed = Claimed { jobs, more: false, next_due_in: None };
        let more = self.turns.answered(&turn, &claimed, self.now);
        for leased in &claimed.jobs {
            let queue = self.queues.iter().position(|(name, _)| *name == leased.job.queue).unwrap();
            let share = self.turns.hold(&leased.job.queue).unwrap();
            self.starts[queue] += 1;
            let end = self.now + self.queues[queue].1.hold;
            let nth = self.starts.iter().sum();
            self.running.insert((end, nth), (queue, self.now, share));
        }
        if !more {
            assert!(self.queues.iter().all(|(_, kind)| kind.ready == 0), "a slot is free, and a job waits");
        }
        more
    }

    /// Claims until no slot is free or no job waits.
    fn fill(&mut self) {
        while self.claim() {}
    }

    /// Works until it holds.
    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.fill();
            assert!(self.claims < CLAIMS_MAX, "it does not come to pass: {:?} started", self.starts);
            if let Some(((end, _), _)) = self.running.first_key_value() {
                self.now = self.now.max(*end) + self.gather;
            }
        }
    }

    fn held(&self, queue: usize) -> usize {
        self.running.values().filter(|(of, ..)| *of == queue).count()
    }

    fn share_of_time(&self, queue: usize) -> f64 {
        let mut used = self.used.clone();
        for (of, start, _) in self.running.values() {
            used[*of] += self.now.saturating_duration_since(*start);
        }
        used[queue].as_secs_f64() / used.iter().sum::<Duration>().as_secs_f64()
    }
}

fn leased(queue: &QueueName) -> LeasedJob {
    let new = NewJob {
        id: JobId::from(Uuid::nil()),
        queue: queue.clone(),
        kind: JobKind::new("task").unwrap(),
        payload: Payload::null(),
        priority: Priority(0),
        weight: Weight::ONE,
        concurrency: None,
        unique: None,
        supersede: None,
        run_at: None,
        max_attempts: 1,
        timeout: Duration::from_secs(1),
        trace_parent: None,
    };
    let token = LeaseToken::from(*ClaimId::from(Uuid::nil()).as_uuid());
    let lease = LeaseRef { job: new.id, token };
    LeasedJob { job: Job::from(&new), lease, checkpoints: Vec::new(), ready_for: Duration::ZERO }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const ROUND_TRIP: Duration = Duration::from_micros(500);

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slots_are_shared_by_weight_however_long_the_jobs_are(
        slots in 1_usize..40,
        queues in vec((1_u16..=8, 2_u64..60), 2..=5),
    ) {
        let kinds: Vec<_> = queues.iter().map(|&(weight, hold)| endless(weight, ms(hold))).collect();
        let mut run = Run::new(slots, ROUND_TRIP, &kinds);
        run.until(|run| run.starts.iter().all(|starts| *starts >= 40 + 4 * slots));
        let all: u16 = queues.iter().map(|(weight, _)| weight).sum();
        for (queue, (weight, _)) in queues.iter().enumerate() {
            let (is, due) = (run.share_of_time(queue), f64::from(*weight) / f64::from(all));
            prop_assert!((is - due).abs() < 0.15 * due, "queue {queue} of weight {weight} has {is:.3}, {due:.3} is due");
        }
    }

    #[test]
    fn no_slot_is_free_while_a_job_waits_and_no_queue_waits_for_ever(
        slots in 1_usize..600,
        round_trip in 0_u64..3,
        queues in vec((1_u16..=1000, 0_u64..100, 0_usize..300), 1..=8),
    ) {
        let kinds: Vec<_> = queues.iter().map(|&(weight, hold, ready)| Kind { weight, hold: ms(hold), ready }).collect();
        let mut run = Run::new(slots, ms(round_trip), &kinds);
        // `claim` fails where a job is left beside a free slot.
        run.until(|run| run.starts.iter().zip(&kinds).all(|(starts, kind)| *starts == kind.ready));
    }
}

#[test]
fn a_claim_of_many_slots_is_divided_at_once() {
    for (weights, held) in
        [(vec![3, 1], vec![375, 125]), (vec![1, 3], vec![125, 375]), (vec![1, 1, 2, 1], vec![100, 100, 200, 100])]
    {
        let kinds: Vec<_> = weights.iter().map(|weight| endless(*weight, ms(60_000))).collect();
        let mut run = Run::new(500, ROUND_TRIP, &kinds);
        run.fill();
        assert_eq!((0..held.len()).map(|queue| run.held(queue)).collect::<Vec<_>>(), held);
        assert!(run.claims <= 2 * weights.len(), "{} claims", run.claims);
    }
}

#[test]
fn the_share_of_a_queue_without_jobs_is_the_others_at_once() {
    let mut run = Run::new(
        500,
        ROUND_TRIP,
        &[endless(1, ms(60_000)), endless(1, ms(60_000)), Kind { ready: 0, ..endless(2, ms(1)) }],
    );
    run.fill();
    assert_eq!([run.held(0), run.held(1)], [250, 250]);
    assert!(run.claims <= 4, "{} claims", run.claims);
}

#[test]
fn a_heavy_queue_without_jobs_leaves_the_others_their_shares() {
    let idle = Kind { ready: 0, ..endless(1_000, ms(1)) };
    let mut run = Run::new(16, ROUND_TRIP, &[endless(1, ms(10)), idle, endless(3, ms(10))]);
    run.until(|run| run.starts[0] >= 200);
    assert!((560..=640).contains(&run.starts[2]), "{:?}", run.starts);
}

#[test]
fn a_queue_that_gets_jobs_has_its_share_as_soon_as_slots_come_free() {
    let mut run = Run::new(8, ROUND_TRIP, &[endless(1, ms(2_000)), Kind { ready: 0, ..endless(1, ms(5)) }]);
    // Eight long jobs that end one after another.
    for started in 1..=8 {
        run.slots = started;
        run.fill();
        run.now += ms(200);
    }
    assert_eq!(run.held(0), 8);
    run.queues[1].1.ready = ENDLESS;
    run.until(|run| run.held(0) <= 4);
    assert_eq!(run.starts[0], 8, "no long job starts while the other queue has less than its share");
    run.until(|run| run.starts[0] >= 40);
    assert_eq!([run.held(0), run.held(1)], [4, 4]);
}

#[test]
fn a_queue_saves_no_turns_up_while_it_has_no_jobs() {
    let mut run = Run::new(1, ROUND_TRIP, &[endless(1, ms(10)), Kind { ready: 0, ..endless(1, ms(10)) }]);
    run.until(|run| run.starts[0] == 1_000);
    run.queues[1].1.ready = ENDLESS;
    run.until(|run| run.starts[1] == 50);
    assert!((1_048..=1_052).contains(&run.starts[0]), "{:?}", run.starts);
}

#[test]
fn a_single_slot_is_shared_by_the_time_that_it_is_held() {
    let mut run = Run::new(1, ROUND_TRIP, &[endless(1, ms(2)), endless(1, ms(1_000))]);
    run.until(|run| run.starts[1] == 20);
    assert!((0.4..0.6).contains(&run.share_of_time(1)), "{:?}", run.starts);
}

#[test]
fn jobs_that_take_no_time_are_shared_by_their_number() {
    let mut run = Run::new(1, Duration::ZERO, &[endless(3, Duration::ZERO), endless(1, Duration::ZERO)]);
    for _ in 0..400 {
        run.claim();
    }
    assert!((95..=105).contains(&run.starts[1]), "{:?}", run.starts);
}

#[test]
fn idle_queues_are_looked_at_once_in_ten_milliseconds_beside_a_busy_one() {
    let idle = Kind { ready: 0, ..endless(1, ms(1)) };
    let busy = Kind { ready: 20_000, ..endless(1_000, ms(3)) };
    let work_off = |kinds: &[Kind]| {
        let mut run = Run { gather: ms(2), ..Run::new(200, ms(1), kinds) };
        let begin = run.now;
        run.until(|run| run.starts.iter().sum::<usize>() == 20_000);
        (run.claims, run.now - begin)
    };
    let (alone, _) = work_off(&[busy]);
    let (beside, took) = work_off(&[idle, idle, busy, idle, idle]);
    let looks = usize::try_from(took.as_millis() / DRY_FOR.as_millis()).unwrap() + 1;
    assert!((alone..=alone + looks).contains(&beside), "{beside} claims in {took:?}, {alone} without the others");
}

#[test]
fn one_queue_is_asked_for_all_that_is_free() {
    let mut run = Run::new(50, ROUND_TRIP, &[endless(7, ms(30))]);
    run.until(|run| run.starts[0] == 500);
    assert_eq!(run.claims, 10);
}
