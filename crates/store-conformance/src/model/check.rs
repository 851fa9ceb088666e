use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use job::{
    AttemptError, AttemptErrorKind, BuryReason, CancelReason, ConcurrencyKey, JobId, Priority, StateName, Transition,
    Unique, UniqueKey, Weight,
};
use store::{
    Enqueued, JobFilter, JobView, LeaseRef, LeasedJob, LimitTarget, NewJob, PauseTarget, Renewal, ReplayFilter,
    Retried, Settled, Settlement,
};

use crate::{
    Bed,
    model::{
        operation::{End, KEYS, Offer, Operation, UNIQUES, WINDOW_SECS},
        queue::{Known, Place, Queue},
    },
};

/// What was expected and not found, in words.
type Broken = String;

macro_rules! must {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

/// The store beside the queue in memory.
pub(super) struct Check {
    bed: Bed,
    model: Queue,
    start: Option<Timestamp>,
    held: Vec<LeasedJob>,
    /// Leases that were taken over.
    lost: Vec<LeasedJob>,
    /// Settlements that were applied last to their jobs.
    settled: HashMap<JobId, Settlement>,
    order: Vec<JobId>,
}

impl Check {
    pub(super) fn new(bed: Bed) -> Self {
        let mut model = Queue::default();
        model.class_limit = Some(Bed::KEY_LIMIT);
        Self { bed, model, start: None, held: vec![], lost: vec![], settled: HashMap::new(), order: vec![] }
    }

    pub(super) async fn apply(&mut self, operation: &Operation) -> Result<(), Broken> {
        match operation {
            Operation::Enqueue(offers) => self.enqueue(offers).await,
            Operation::Claim { max } => self.claim(*max).await,
            Operation::Settle { lease, how } => self.settle(*lease, how).await,
            Operation::SettleStale { lease } => self.settle_stale(*lease).await,
            Operation::Renew { lease } => self.renew(*lease).await,
            Operation::Reap => self.reap().await,
            Operation::Advance { secs } => {
                self.model.now_secs += secs;
                self.bed.advance(Duration::from_secs(*secs)).await;
                Ok(())
            }
            Operation::Maintain => self.maintain().await,
            Operation::Cancel { job } => self.cancel(*job).await,
            Operation::Retry { job } => self.retry(*job).await,
            Operation::Replay { max } => self.replay(*max).await,
            Operation::Crash => {
                self.bed.crash().await;
                Ok(())
            }
            limits => {
                self.operate(limits).await;
                Ok(())
            }
        }
    }

    async fn operate(&mut self, operation: &Operation) {
        let (store, queue) = (&self.bed.store, Bed::queue());
        let key = |at: usize| ConcurrencyKey::new(KEYS[at]).unwrap();
        match operation {
            Operation::LimitClass(limit) => {
                self.model.class_limit = *limit;
                store.set_limit(&LimitTarget::Class(queue, Bed::class()), *limit).await.unwrap();
            }
            Operation::LimitKey(at, limit) => {
                match limit {
                    Some(limit) => self.model.key_limits.insert(*at, *limit),
                    None => self.model.key_limits.remove(at),
                };
                store.set_limit(&LimitTarget::Key(queue, key(*at)), *limit).await.unwrap();
            }
            Operation::LimitQueue(limit) => {
                self.model.job_limit = *limit;
                store.set_limit(&LimitTarget::Queue(queue), *limit).await.unwrap();
            }
            Operation::PauseKey(at, on) => {
                self.model.key_paused.insert(*at, *on);
                let target = PauseTarget::Key(queue, key(*at));
                if *on { store.pause(&target).await } else { store.resume(&target).await }.unwrap();
            }
            Operation::PauseQueue(on) => {
                self.model.paused = *on;
                let target = PauseTarget::Queue(queue);
                if *on { store.pause(&target).await } else { store.resume(&target).await }.unwrap();
            }
            _ => {}
        }
    }

    fn job(&self, offer: &Offer) -> NewJob {
        let base = offer.key.map_or_else(Bed::job, |key| Bed::keyed(KEYS[key]));
        let unique = offer
            .unique
            .map(|at| Unique { key: UniqueKey::new(UNIQUES[at]).unwrap(), window: Duration::from_secs(WINDOW_SECS) });
        // Before the first job is stored the store's time is not known, and a delay says nothing.
        let run_at = offer.delay_secs.zip(self.start);
        NewJob {
            priority: Priority(offer.priority),
            weight: Weight::new(offer.weight).unwrap(),
            unique,
            run_at: run_at.map(|(delay, start)| start + Duration::from_secs(self.model.now_secs + delay)),
            ..base
        }
    }

    async fn enqueue(&mut self, offers: &[Offer]) -> Result<(), Broken> {
        let jobs: Vec<NewJob> = offers.iter().map(|offer| self.job(offer)).collect();
        let answers = self.bed.store.enqueue(&jobs).await.unwrap();
        for ((offer, job), answer) in offers.iter().zip(&jobs).zip(answers) {
            let expected = match offer.unique.and_then(|unique| self.model.holder(unique)) {
                Some(holder) => Enqueued::Duplicate(holder),
                None => Enqueued::Inserted,
            };
            must!(answer == expected, "answered {answer:?} instead of {expected:?}");
            if answer != Enqueued::Inserted {
                continue;
            }
            if let Some(unique) = offer.unique {
                self.model.unique.insert(unique, (job.id, None));
            }
            let place = match (job.run_at, offer.delay_secs) {
                (Some(_), Some(delay)) if delay > 0 => Place::Scheduled { run_at: self.model.now_secs + delay },
                _ => self.model.arrive(),
            };
            let (key, priority, unique) = (offer.key, offer.priority, offer.unique);
            let known = Known { key, priority, unique, place, attempt: 1, crashes: 0, cancel_asked: false };
            self.model.jobs.insert(job.id, known);
            self.order.push(job.id);
        }
        if let (None, Some(id)) = (self.start, self.order.first()) {
            self.start = Some(self.bed.view(*id).await.job.created_at - Duration::from_secs(self.model.now_secs));
        }
        Ok(())
    }

    async fn claim(&mut self, max: usize) -> Result<(), Broken> {
        let claimed = self.bed.claim_all(max).await;
        must!(claimed.jobs.len() <= max, "{} jobs, and {max} were asked for", claimed.jobs.len());
        must!(claimed.jobs.is_empty() || !self.model.paused, "the queue is paused");
        let before: Vec<JobId> = self.model.waiting().iter().map(|(id, _)| *id).collect();
        let expires_at = self.model.now_secs + Bed::LEASE.as_secs();
        let mut started: HashMap<Option<usize>, usize> = HashMap::new();
        let mut lowest = i16::MAX;
        for leased in claimed.jobs {
            let id = leased.job.id;
            let Some(job) = self.model.jobs.get_mut(&id) else { return Err(format!("{id} is not known")) };
            let Place::Waiting { arrival } = job.place else { return Err(format!("{id} was {:?}", job.place)) };
            job.place = Place::Leased { arrival, expires_at };
            must!(leased.job.attempt == job.attempt, "attempt {} and not {}", leased.job.attempt, job.attempt);
            must!(leased.job.crashes == job.crashes, "{} crashes and not {}", leased.job.crashes, job.crashes);
            *started.entry(job.key).or_default() += 1;
            lowest = lowest.min(job.priority);
            self.held.push(leased);
        }
        // The jobs of a key start in their order: what has started is the head of what waited.
        for (key, count) in &started {
            let mut of_key = before.iter().filter(|id| self.model.jobs[id].key == *key);
            let in_order = of_key.by_ref().take(*count).all(|id| !is_waiting(&self.model.jobs[id]));
            must!(in_order, "a job of key {key:?} was overtaken");
            let over = self.model.limit_of(*key).is_some_and(|limit| self.model.leased_of(*key) > limit);
            must!(!over, "key {key:?} is above its limit");
        }
        let queue_full = self.model.job_limit.is_some_and(|limit| self.model.leased() >= limit as usize);
        let over = self.model.job_limit.is_some_and(|limit| self.model.leased() > limit as usize);
        must!(started.is_empty() || !over, "the queue is above its limit");
        let startable = self.startable();
        if let Some((id, priority)) = startable.filter(|_| !queue_full && !self.model.paused) {
            let asked_enough = started.values().sum::<usize>() == max;
            must!(asked_enough, "{id} could have started");
            must!(max == 0 || claimed.more, "more are ready, and the claim does not say so");
            must!(started.is_empty() || priority <= lowest, "{id} of priority {priority} was passed over");
        }
        Ok(())
    }

    /// The best job whose key has room, the queue's own limit and pause aside.
    fn startable(&self) -> Option<(JobId, i16)> {
        let has_room =
            |job: &Known| self.model.limit_of(job.key).is_none_or(|limit| self.model.leased_of(job.key) < limit);
        let waiting = self.model.waiting();
        waiting.into_iter().find(|(_, job)| has_room(job)).map(|(id, job)| (id, job.priority))
    }

    async fn settle(&mut self, lease: usize, how: &End) -> Result<(), Broken> {
        if self.held.is_empty() {
            return Ok(());
        }
        let leased = self.held.remove(lease % self.held.len());
        let id = leased.job.id;
        let error = |kind| AttemptError::new(leased.job.attempt, kind, "\0 failed");
        let transition = match how {
            End::Complete => Transition::Complete,
            End::Retry { delay_secs } => {
                Transition::Retry { delay: Duration::from_secs(*delay_secs), error: error(AttemptErrorKind::Transient) }
            }
            End::Bury => Transition::Bury { reason: BuryReason::Permanent, error: error(AttemptErrorKind::Permanent) },
            End::Release => Transition::Release,
            End::Cancel => Transition::Cancel(CancelReason::Requested),
        };
        self.settle_with(leased, transition).await?;
        let settlement = self.settled[&id].clone();
        let again = self.bed.store.settle(&[settlement]).await.unwrap();
        must!(again == [Settled::Applied], "a repeated settlement answered {again:?}");
        Ok(())
    }

    async fn settle_with(&mut self, leased: LeasedJob, transition: Transition) -> Result<(), Broken> {
        let id = leased.job.id;
        let settlement = leased.settle(transition.clone());
        let answers = self.bed.store.settle(std::slice::from_ref(&settlement)).await.unwrap();
        must!(answers == [Settled::Applied], "answered {answers:?}");
        self.settled.insert(id, settlement);
        let now_secs = self.model.now_secs;
        let job = self.model.jobs.get_mut(&id).unwrap();
        let Place::Leased { arrival, .. } = job.place else { return Err(format!("{id} was {:?}", job.place)) };
        match &transition {
            Transition::Complete => self.model.end(id, Place::Completed, WINDOW_SECS),
            _ if job.cancel_asked => self.model.end(id, Place::Cancelled, 0),
            Transition::Cancel(_) => self.model.end(id, Place::Cancelled, 0),
            Transition::Bury { .. } => self.model.end(id, Place::Dead, 0),
            Transition::Release => job.place = Place::Waiting { arrival },
            Transition::Retry { delay, error } => {
                job.place = Place::Scheduled { run_at: now_secs + delay.as_secs() };
                match error.kind {
                    AttemptErrorKind::Crashed => job.crashes += 1,
                    _ => job.attempt += 1,
                }
            }
        }
        Ok(())
    }

    async fn settle_stale(&mut self, lease: usize) -> Result<(), Broken> {
        if self.lost.is_empty() {
            return Ok(());
        }
        let leased = self.lost.remove(lease % self.lost.len());
        let answers = self.bed.store.settle(&[leased.settle(Transition::Complete)]).await.unwrap();
        must!(answers == [Settled::LeaseLost], "a stale settlement answered {answers:?}");
        Ok(())
    }

    async fn renew(&mut self, lease: usize) -> Result<(), Broken> {
        if self.held.is_empty() {
            return Ok(());
        }
        let LeaseRef { job: id, .. } = self.held[lease % self.held.len()].lease;
        let lease = self.held[lease % self.held.len()].lease;
        let answers = self.bed.store.renew(&[lease], Bed::LEASE).await.unwrap();
        let now_secs = self.model.now_secs;
        let job = self.model.jobs.get_mut(&id).unwrap();
        if let Place::Leased { expires_at, .. } = &mut job.place {
            *expires_at = now_secs + Bed::LEASE.as_secs();
        }
        let expected =
            if job.cancel_asked { Renewal::CancelRequested(CancelReason::Requested) } else { Renewal::Extended };
        must!(answers == [expected], "answered {answers:?} instead of {expected:?}");
        Ok(())
    }

    async fn reap(&mut self) -> Result<(), Broken> {
        let reaped = self.bed.reap().await;
        let now_secs = self.model.now_secs;
        let is_expired = |job: &Known| matches!(job.place, Place::Leased { expires_at, .. } if expires_at <= now_secs);
        let expired = self.model.jobs.values().filter(|job| is_expired(job)).count();
        must!(reaped.len() == expired, "{} leases were taken over, and {expired} have expired", reaped.len());
        for leased in reaped {
            let id = leased.job.id;
            must!(is_expired(&self.model.jobs[&id]), "the lease of {id} has not expired");
            let at = self.held.iter().position(|held| held.job.id == id);
            self.lost.extend(at.map(|at| self.held.remove(at)));
            let transition = Bed::decide(&leased, &Bed::crashed());
            self.settle_with(leased, whole_seconds(transition)).await?;
        }
        Ok(())
    }

    async fn maintain(&mut self) -> Result<(), Broken> {
        let maintained = self.bed.maintain().await;
        let now_secs = self.model.now_secs;
        let due = |job: &Known| match job.place {
            Place::Scheduled { run_at } if run_at <= now_secs => Some(run_at),
            _ => None,
        };
        let mut moved: Vec<(u64, JobId)> =
            self.model.jobs.iter().filter_map(|(id, job)| Some((due(job)?, *id))).collect();
        moved.sort_unstable();
        must!(maintained.due == moved.len(), "{} were due, and {} moved", moved.len(), maintained.due);
        must!(maintained.unparked == 0, "{} parked jobs had been forgotten", maintained.unparked);
        for (_, id) in moved {
            let place = self.model.arrive();
            self.model.jobs.get_mut(&id).unwrap().place = place;
        }
        Ok(())
    }

    async fn cancel(&mut self, at: usize) -> Result<(), Broken> {
        let Some(id) = self.pick(at) else { return Ok(()) };
        let answer = self.bed.store.cancel(id, CancelReason::Requested).await.unwrap();
        let job = self.model.jobs.get_mut(&id).unwrap();
        match job.place {
            Place::Leased { .. } => job.cancel_asked = true,
            Place::Scheduled { .. } | Place::Waiting { .. } => self.model.end(id, Place::Cancelled, 0),
            Place::Completed | Place::Dead | Place::Cancelled => {}
        }
        let place = self.model.jobs[&id].place;
        must!(
            answer.is_some_and(|state| Queue::allows(place, state.name())),
            "cancelled to another state than {place:?}"
        );
        Ok(())
    }

    async fn retry(&mut self, at: usize) -> Result<(), Broken> {
        let Some(id) = self.pick(at) else { return Ok(()) };
        let answer = self.bed.store.retry(id).await.unwrap();
        let job = &self.model.jobs[&id];
        let expected = match job.place {
            Place::Leased { .. } => Retried::NotRetryable(StateName::Leased),
            Place::Completed => Retried::NotRetryable(StateName::Completed),
            Place::Dead | Place::Cancelled => {
                if let Some(holder) = job.unique.and_then(|unique| self.model.holder(unique)) {
                    Retried::KeyTaken(holder)
                } else {
                    self.model.revive(id);
                    Retried::Done
                }
            }
            Place::Scheduled { .. } => {
                let place = self.model.arrive();
                self.model.jobs.get_mut(&id).unwrap().place = place;
                Retried::Done
            }
            Place::Waiting { .. } => Retried::Done,
        };
        must!(answer == expected, "answered {answer:?} instead of {expected:?}");
        Ok(())
    }

    async fn replay(&mut self, max: usize) -> Result<(), Broken> {
        let filter = ReplayFilter { queue: Some(Bed::queue()), max, ..ReplayFilter::default() };
        let (replayed, _) = self.bed.store.replay(&filter).await.unwrap();
        // Oldest first, as many as were replayed; each must have been free to come back.
        let mut dead: Vec<JobId> = self.order.clone();
        dead.sort_unstable();
        let mut expected = 0;
        for id in dead.into_iter().filter(|id| self.model.jobs[id].place == Place::Dead).collect::<Vec<_>>() {
            let taken = self.model.jobs[&id].unique.is_some_and(|unique| self.model.holder(unique).is_some());
            if !taken && expected < replayed {
                self.model.revive(id);
                expected += 1;
            }
        }
        must!(replayed == expected && replayed <= max, "{replayed} were replayed of {max}, and {expected} could be");
        Ok(())
    }

    fn pick(&self, at: usize) -> Option<JobId> {
        if self.order.is_empty() { None } else { Some(self.order[at % self.order.len()]) }
    }

    /// Compares all of the store with the queue in memory, and checks what must always hold.
    pub(super) async fn compare(&self) -> Result<(), Broken> {
        let page = self.bed.store.list(&JobFilter::default()).await.unwrap();
        must!(page.jobs.len() == self.model.jobs.len(), "{} jobs of {}", page.jobs.len(), self.model.jobs.len());
        for view in &page.jobs {
            let known = &self.model.jobs[&view.job.id];
            let (id, state) = (view.job.id, view.state.name());
            must!(Queue::allows(known.place, state), "{id} is {state}, and should be {:?}", known.place);
            must!(view.job.attempt == known.attempt, "{id} is at attempt {}", view.job.attempt);
            must!(state != StateName::Parked || self.may_be_parked(view, &page.jobs), "{id} is parked, and has room");
        }
        let stats = self.bed.stats().await;
        let count = |state| page.jobs.iter().filter(|view| view.state.name() == state).count() as u64;
        for (counted, state) in [
            (stats.scheduled, StateName::Scheduled),
            (stats.ready, StateName::Ready),
            (stats.parked, StateName::Parked),
            (stats.leased, StateName::Leased),
            (stats.dead, StateName::Dead),
        ] {
            must!(counted == count(state), "{counted} jobs are counted as {state}, and {} are", count(state));
        }
        Ok(())
    }

    /// Whether the leased jobs of the key and the ready ones that start before it leave no room for this one.
    fn may_be_parked(&self, view: &JobView, all: &[JobView]) -> bool {
        let parked = &self.model.jobs[&view.job.id];
        let Some(limit) = self.model.limit_of(parked.key) else { return false };
        let rank = |known: &Known| match known.place {
            Place::Waiting { arrival } => (std::cmp::Reverse(known.priority), arrival),
            _ => (std::cmp::Reverse(i16::MIN), u64::MAX),
        };
        let ahead = all.iter().filter(|other| {
            let known = &self.model.jobs[&other.job.id];
            known.key == parked.key && other.state.name() == StateName::Ready && rank(known) < rank(parked)
        });
        self.model.leased_of(parked.key) + ahead.count() >= limit
    }
}

const fn is_waiting(job: &Known) -> bool {
    matches!(job.place, Place::Waiting { .. })
}

/// The queue in memory counts whole seconds.
fn whole_seconds(transition: Transition) -> Transition {
    match transition {
        Transition::Retry { delay, error } => Transition::Retry { delay: Duration::from_secs(delay.as_secs()), error },
        other => other,
    }
}
