//! Judges a history of leases by the queue's contract. It knows nothing of how the history came about.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

/// States as the store numbers them.
pub const SCHEDULED: i16 = 0;
pub const LEASED: i16 = 1;
pub const READY: i16 = 2;
pub const PARKED: i16 = 3;
pub const COMPLETED: i16 = 4;
pub const DEAD: i16 = 5;

/// Starts of one key at the priority of another key's ready job, before that job's own start, that turns explain: one a turn,
/// and what had its turn before and was parked.
const TURNS_MAX: u32 = 15;

/// How long after its time of commit others may not see a transaction yet, in microseconds: until its log is on disk, which
/// takes longer the busier the machine is.
const SEEN_WITHIN: i64 = 50_000;

/// A committed change of one job's state or lease.
#[derive(Debug, Clone)]
pub struct Event {
    /// When its transaction committed, in microseconds of the store's clock.
    pub at: i64,
    /// When its transaction began.
    pub began: i64,
    /// Its transaction.
    pub transaction: i64,
    pub job: Uuid,
    pub key: String,
    pub priority: i16,
    pub arrival: i64,
    /// Its turn, which nothing is judged by.
    #[expect(dead_code, reason = "a failure shows it")]
    pub pass: i64,
    /// `None`: not in the table of live jobs.
    pub was: Option<i16>,
    pub state: Option<i16>,
    /// Whether another holds the lease than before.
    pub changes_hands: bool,
}

/// A finished job as the store keeps it.
#[derive(Debug, Clone)]
pub struct Finished {
    pub job: Uuid,
    pub state: i16,
    pub attempt: i64,
    pub crashes: i64,
    /// Errors kept of attempts that failed by themselves, and of those that crashed.
    pub failures: i64,
    pub crash_errors: i64,
    /// The last lease that was settled.
    pub settled: Option<Uuid>,
}

/// All that is judged.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In the order of their commits.
    pub events: Vec<Event>,
    /// Each entry of a job into the history.
    pub finished: Vec<Finished>,
    /// Jobs that were answered to be stored.
    pub acknowledged: Vec<Uuid>,
    /// Settlements that were answered to be applied: the job and the lease.
    pub applied: Vec<(Uuid, Uuid)>,
    /// Attempts that a handler has begun.
    pub begun: Vec<Uuid>,
    pub key_limits: HashMap<String, usize>,
    pub queue_limit: usize,
}

/// What the contract does not allow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    KeyLimit {
        key: String,
        held: usize,
        limit: usize,
    },
    QueueLimit {
        held: usize,
        limit: usize,
    },
    SettledTwice(Uuid),
    /// An answered job that neither ended nor is live.
    Lost(Uuid),
    /// An answered job that is live though all work should be done.
    Unfinished(Uuid),
    /// It ended as completed without a lease of its own.
    NeverStarted(Uuid),
    LeasedAfterItsEnd(Uuid),
    /// An answered settlement that the store does not know.
    SettlementForgotten(Uuid),
    /// A handler began a job that no lease on record explains.
    BegunWithoutLease(Uuid),
    /// A claim started the second though the first was ready before it, and comes first.
    Overtaken {
        first: Uuid,
        second: Uuid,
    },
    /// A ready job waited while another key had this many starts.
    NoTurn {
        waiting: Uuid,
        other: String,
    },
    Attempts(Uuid),
    Crashes(Uuid),
}

impl History {
    /// All violations, each once.
    pub fn violations(&self) -> BTreeSet<Violation> {
        let mut found = BTreeSet::new();
        self.limits(&mut found);
        self.ends(&mut found);
        self.counts(&mut found);
        self.order(&mut found);
        found
    }

    /// What happened to the jobs that a violation of the order is about.
    pub fn of(&self, violation: &Violation) -> Vec<&Event> {
        let about = |event: &&Event| match violation {
            Violation::Overtaken { first, second } => [*first, *second].contains(&event.job),
            Violation::NoTurn { waiting, other } => event.job == *waiting || event.key == *other,
            _ => false,
        };
        self.events.iter().filter(about).collect()
    }

    /// Transactions in the order of their commits, each as the events that it made.
    fn transactions(&self) -> impl Iterator<Item = &[Event]> {
        self.events.chunk_by(|a, b| a.transaction == b.transaction)
    }

    fn limits(&self, found: &mut BTreeSet<Violation>) {
        let (mut of_keys, mut all) = (HashMap::<&str, usize>::new(), 0);
        for events in self.transactions() {
            for event in events {
                let held = of_keys.entry(&event.key).or_default();
                if event.state == Some(LEASED) && event.was != Some(LEASED) {
                    *held += 1;
                    all += 1;
                } else if event.was == Some(LEASED) && event.state != Some(LEASED) {
                    *held -= 1;
                    all -= 1;
                }
            }
            for event in events {
                let (held, limit) = (of_keys[event.key.as_str()], self.key_limits[&event.key]);
                if held > limit {
                    found.insert(Violation::KeyLimit { key: event.key.clone(), held, limit });
                }
            }
            if all > self.queue_limit {
                found.insert(Violation::QueueLimit { held: all, limit: self.queue_limit });
            }
        }
    }

    fn ends(&self, found: &mut BTreeSet<Violation>) {
        let mut ended = HashMap::new();
        for finished in &self.finished {
            if ended.insert(finished.job, finished).is_some() {
                found.insert(Violation::SettledTwice(finished.job));
            }
        }
        let (mut live, mut leased, mut left) = (HashMap::new(), BTreeSet::new(), BTreeSet::new());
        for event in &self.events {
            live.insert(event.job, event.state.is_some());
            if event.state == Some(LEASED) {
                leased.insert(event.job);
                if left.contains(&event.job) {
                    found.insert(Violation::LeasedAfterItsEnd(event.job));
                }
            }
            if event.state.is_none() && event.was == Some(LEASED) {
                left.insert(event.job);
            }
        }
        for job in &self.acknowledged {
            match ended.get(job) {
                Some(end) if end.state == COMPLETED && !leased.contains(job) => {
                    found.insert(Violation::NeverStarted(*job));
                }
                Some(_) => {}
                None if live.get(job) == Some(&true) => {
                    found.insert(Violation::Unfinished(*job));
                }
                None => {
                    found.insert(Violation::Lost(*job));
                }
            }
        }
        for (job, lease) in &self.applied {
            if ended.get(job).is_none_or(|end| end.settled != Some(*lease)) {
                found.insert(Violation::SettlementForgotten(*job));
            }
        }
        found.extend(
            self.begun.iter().filter(|job| !leased.contains(job)).map(|job| Violation::BegunWithoutLease(*job)),
        );
    }

    fn counts(&self, found: &mut BTreeSet<Violation>) {
        let mut taken_over = HashMap::<Uuid, i64>::new();
        for event in self.events.iter().filter(|event| event.changes_hands) {
            *taken_over.entry(event.job).or_default() += 1;
        }
        for job in &self.finished {
            // A dead job's last failure has no attempt after it, unless a crash has ended it.
            let failed = job.attempt - 1;
            if job.failures != failed && !(job.state == DEAD && job.failures == failed + 1) {
                found.insert(Violation::Attempts(job.job));
            }
            // A reaper that dies itself charges nothing: there are as many takeovers as crashes, or more.
            if job.crashes != job.crash_errors || job.crashes > taken_over.get(&job.job).copied().unwrap_or(0) {
                found.insert(Violation::Crashes(job.job));
            }
        }
    }

    fn order(&self, found: &mut BTreeSet<Violation>) {
        // Waiting jobs by rank: higher priority first, then by key and arrival.
        let mut waiting = BTreeMap::<(i16, &str, i64), Waiting>::new();
        let mut held = HashMap::<&str, usize>::new();
        for events in self.transactions() {
            let starts = |event: &&Event| event.was == Some(READY) && event.state == Some(LEASED);
            for event in events.iter().filter(|event| event.was == Some(READY)) {
                waiting.remove(&place(event));
            }
            for event in events {
                let held = held.entry(&event.key).or_default();
                *held += usize::from(event.state == Some(LEASED));
                *held = held.saturating_sub(usize::from(event.was == Some(LEASED)));
            }
            for start in events.iter().filter(starts) {
                let mut lane = None;
                for ((rank, key, arrival), job) in waiting.range_mut(..=(-start.priority, "\u{10FFFF}", i64::MAX)) {
                    // What is parked is before what comes after it in its lane, and cannot start itself.
                    let is_first_of_lane = lane.replace((*rank, *key)) != Some((*rank, *key));
                    if !job.is_ready || job.since + SEEN_WITHIN >= start.began {
                        continue;
                    }
                    let is_of_key = *key == start.key;
                    let has_room = held.get(key).is_none_or(|held| *held < self.key_limits[*key]);
                    if (is_of_key && *arrival < start.arrival) || (*rank < -start.priority && (is_of_key || has_room)) {
                        found.insert(Violation::Overtaken { first: job.id, second: start.job });
                    } else if is_first_of_lane && !is_of_key && has_room {
                        let starts = job.starts.entry(&start.key).or_default();
                        *starts += 1;
                        if *starts > TURNS_MAX {
                            found.insert(Violation::NoTurn { waiting: job.id, other: start.key.clone() });
                        }
                    }
                }
            }
            // In their order: a repeated enqueue of a job that has ended comes and goes in one transaction.
            for event in events {
                waiting.remove(&place(event));
                if matches!(event.state, Some(READY | PARKED)) {
                    let is_ready = event.state == Some(READY);
                    waiting.insert(
                        place(event),
                        Waiting { id: event.job, is_ready, since: event.at, starts: HashMap::new() },
                    );
                }
            }
        }
    }
}

fn place(event: &Event) -> (i16, &str, i64) {
    (-event.priority, &event.key, event.arrival)
}

/// A job that may start, or is parked.
struct Waiting<'a> {
    id: Uuid,
    is_ready: bool,
    since: i64,
    /// Starts of other keys since it was first of its own.
    starts: HashMap<&'a str, u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history in the making: each call is a transaction of its own, and a second after the last.
    #[derive(Default)]
    struct Script(History);

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    impl Script {
        fn new() -> Self {
            let key_limits = [("a".to_owned(), 1), ("b".to_owned(), 5)].into();
            Self(History { key_limits, queue_limit: 2, ..History::default() })
        }

        fn step(mut self, job: u128, key: &str, priority: i16, was: Option<i16>, state: Option<i16>) -> Self {
            let now = (i64::try_from(self.0.events.len()).unwrap() + 1) * 1_000_000;
            self.0.events.push(Event {
                at: now,
                began: now - 1_000,
                transaction: now,
                job: id(job),
                key: key.to_owned(),
                priority,
                arrival: job.try_into().unwrap(),
                pass: 0,
                was,
                state,
                changes_hands: was == Some(LEASED) && state == Some(LEASED),
            });
            self
        }

        fn enqueue(self, job: u128, key: &str, priority: i16) -> Self {
            let mut script = self.step(job, key, priority, None, Some(READY));
            script.0.acknowledged.push(id(job));
            script
        }

        fn start(self, job: u128, key: &str, priority: i16) -> Self {
            self.step(job, key, priority, Some(READY), Some(LEASED))
        }

        fn end(self, job: u128, key: &str) -> Self {
            let mut script = self.step(job, key, 0, Some(LEASED), None);
            script.0.finished.push(Finished {
                job: id(job),
                state: COMPLETED,
                attempt: 1,
                crashes: 0,
                failures: 0,
                crash_errors: 0,
                settled: Some(id(99)),
            });
            script
        }

        fn whole(self, job: u128, key: &str) -> Self {
            self.enqueue(job, key, 0).start(job, key, 0).end(job, key)
        }

        #[track_caller]
        fn finds(&self, violation: Violation) {
            assert_eq!(self.0.violations(), [violation].into());
        }
    }

    #[test]
    fn a_history_that_keeps_the_contract_has_no_violation() {
        let script = Script::new().enqueue(1, "a", 0).enqueue(2, "b", 0).start(1, "a", 0).start(2, "b", 0);
        assert_eq!(script.end(1, "a").end(2, "b").whole(3, "a").0.violations(), BTreeSet::new());
    }

    #[test]
    fn two_leases_of_a_key_of_one_are_seen() {
        let script = Script::new().enqueue(1, "a", 0).enqueue(2, "a", 0).start(1, "a", 0).start(2, "a", 0);
        script.end(1, "a").end(2, "a").finds(Violation::KeyLimit { key: "a".to_owned(), held: 2, limit: 1 });
    }

    #[test]
    fn a_third_lease_of_a_queue_of_two_is_seen() {
        let mut script = Script::new().enqueue(1, "b", 0).enqueue(2, "b", 0).enqueue(3, "b", 0);
        script = script.start(1, "b", 0).start(2, "b", 0).start(3, "b", 0);
        script.end(1, "b").end(2, "b").end(3, "b").finds(Violation::QueueLimit { held: 3, limit: 2 });
    }

    #[test]
    fn a_job_that_ends_twice_is_seen() {
        let mut script = Script::new().whole(1, "a");
        script.0.finished.push(script.0.finished[0].clone());
        script.finds(Violation::SettledTwice(id(1)));
    }

    #[test]
    fn a_lost_job_is_seen() {
        let mut script = Script::new().whole(1, "a");
        script.0.acknowledged.push(id(2));
        script.finds(Violation::Lost(id(2)));
    }

    #[test]
    fn a_job_that_was_parked_for_ever_is_seen() {
        let script = Script::new().enqueue(1, "a", 0).step(1, "a", 0, Some(READY), Some(PARKED));
        script.finds(Violation::Unfinished(id(1)));
    }

    #[test]
    fn a_completed_job_without_a_lease_is_seen() {
        let script = Script::new().enqueue(1, "a", 0).step(1, "a", 0, Some(READY), Some(SCHEDULED)).end(1, "b");
        let mut history = script.0;
        history.events.retain(|event| event.was != Some(LEASED));
        assert_eq!(history.violations(), [Violation::NeverStarted(id(1))].into());
    }

    #[test]
    fn a_job_that_comes_back_after_its_end_is_seen() {
        let script = Script::new().whole(1, "a").step(1, "a", 0, None, Some(LEASED));
        script.finds(Violation::LeasedAfterItsEnd(id(1)));
    }

    #[test]
    fn an_answered_settlement_that_is_not_on_record_is_seen() {
        let mut script = Script::new().whole(1, "a");
        script.0.applied = vec![(id(1), id(99))];
        assert_eq!(script.0.violations(), BTreeSet::new());
        script.0.applied = vec![(id(1), id(98))];
        script.finds(Violation::SettlementForgotten(id(1)));
    }

    #[test]
    fn a_handler_without_a_lease_is_seen() {
        let mut script = Script::new().whole(1, "a");
        script.0.begun = vec![id(1), id(2)];
        script.finds(Violation::BegunWithoutLease(id(2)));
    }

    #[test]
    fn a_later_job_of_a_key_that_starts_first_is_seen() {
        let script = Script::new().enqueue(1, "a", 0).enqueue(2, "a", 0).start(2, "a", 0).end(2, "a");
        script.start(1, "a", 0).end(1, "a").finds(Violation::Overtaken { first: id(1), second: id(2) });
    }

    #[test]
    fn a_lower_priority_that_starts_first_is_seen() {
        let script = Script::new().enqueue(1, "a", 5).enqueue(2, "b", 0).start(2, "b", 0).end(2, "b");
        script.start(1, "a", 5).end(1, "a").finds(Violation::Overtaken { first: id(1), second: id(2) });
    }

    #[test]
    fn a_higher_priority_that_came_during_the_claim_is_no_fault() {
        let mut script = Script::new().enqueue(2, "b", 0).enqueue(1, "a", 5).start(2, "b", 0).end(2, "b");
        script.0.events[2].began = script.0.events[1].at;
        assert_eq!(script.start(1, "a", 5).end(1, "a").0.violations(), BTreeSet::new());
    }

    #[test]
    fn a_key_that_gets_no_turn_is_seen() {
        let mut script = Script::new().enqueue(1, "a", 0);
        for job in 2..=u128::from(TURNS_MAX) + 2 {
            script = script.whole(job, "b");
        }
        let script = script.start(1, "a", 0).end(1, "a");
        script.finds(Violation::NoTurn { waiting: id(1), other: "b".to_owned() });
    }

    #[test]
    fn a_job_whose_key_is_full_or_has_an_earlier_one_parked_is_not_owed_a_turn() {
        let script = Script::new().enqueue(1, "a", 0).enqueue(2, "a", 0).enqueue(3, "a", 0).start(1, "a", 0);
        let mut script = script.step(2, "a", 0, Some(READY), Some(PARKED));
        for job in 4..=u128::from(TURNS_MAX) + 4 {
            script = script.whole(job, "b");
        }
        let script = script.end(1, "a").step(2, "a", 0, Some(PARKED), Some(READY)).start(2, "a", 0).end(2, "a");
        assert_eq!(script.start(3, "a", 0).end(3, "a").0.violations(), BTreeSet::new());
    }

    #[test]
    fn an_attempt_that_was_not_counted_is_seen() {
        let mut script = Script::new().whole(1, "a");
        script.0.finished[0].failures = 1;
        script.finds(Violation::Attempts(id(1)));
    }

    #[test]
    fn a_crash_that_nobody_took_over_is_seen() {
        let mut script = Script::new().whole(1, "a");
        script.0.finished[0].crashes = 1;
        script.0.finished[0].crash_errors = 1;
        script.finds(Violation::Crashes(id(1)));
        let script = Script::new().enqueue(1, "a", 0).start(1, "a", 0).step(1, "a", 0, Some(LEASED), Some(LEASED));
        let mut script = script.end(1, "a");
        (script.0.finished[0].crashes, script.0.finished[0].crash_errors) = (1, 1);
        assert_eq!(script.0.violations(), BTreeSet::new());
    }
}
