use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use job::{
    AttemptError, AttemptErrorKind, BuryReason, CancelReason, JobId, Priority, StateName, Supersede, SupersedeKey,
    Transition, Unique, UniqueKey, Version, VersionId, Weight,
};
use store::{Enqueued, JobFilter, JobView, LeaseRef, LeasedJob, NewJob, Renewal, Settled, Settlement};

use crate::{
    Bed,
    model::{
        operation::{End, KEYS, Offer, Operation, UNIQUES, VERSIONED, WINDOW_SECS},
        queue::{Known, Place, Queue},
    },
};

/// What was expected and not found, in words.
pub(super) type Broken = String;

/// The store beside the queue in memory.
pub(super) struct Check {
    pub(super) bed: Bed,
    pub(super) model: Queue,
    start: Option<Timestamp>,
    held: Vec<LeasedJob>,
    /// Leases that were taken over.
    lost: Vec<LeasedJob>,
    /// Settlements that were applied last to their jobs.
    settled: HashMap<JobId, Settlement>,
    pub(super) order: Vec<JobId>,
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
                self.model.stale = true;
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

    fn job(&self, offer: &Offer) -> NewJob {
        let base = offer.key.map_or_else(Bed::job, |key| Bed::keyed(KEYS[key]));
        let unique = offer
            .unique
            .map(|at| Unique { key: UniqueKey::new(UNIQUES[at]).unwrap(), window: Duration::from_secs(WINDOW_SECS) });
        let supersede = offer.version.map(|(key, at, id)| Supersede {
            key: SupersedeKey::new(VERSIONED[key]).unwrap(),
            version: Version {
                at: Timestamp::from_second(at).unwrap(),
                id: VersionId::new(if id { "a" } else { "b" }).unwrap(),
            },
        });
        // Before the first job is stored the store's time is not known, and a delay says nothing.
        let run_at = offer.delay_secs.zip(self.start);
        NewJob {
            priority: Priority(offer.priority),
            weight: Weight::new(offer.weight).unwrap(),
            unique,
            supersede,
            run_at: run_at.map(|(delay, start)| start + Duration::from_secs(self.model.now_secs + delay)),
            ..base
        }
    }

    async fn enqueue(&mut self, offers: &[Offer]) -> Result<(), Broken> {
        let jobs: Vec<NewJob> = offers.iter().map(|offer| self.job(offer)).collect();
        let answers = self.bed.store.enqueue(&jobs).await.unwrap();
        for ((offer, job), answer) in offers.iter().zip(&jobs).zip(answers) {
            let expected = self.expected(offer);
            must!(answer == expected, "answered {answer:?} instead of {expected:?}");
            if answer != Enqueued::Inserted {
                continue;
            }
            if let Some((version, at, id)) = offer.version {
                self.model.supersede(version);
                self.model.newest.insert(version, (at, id, job.id));
            }
            if let Some(unique) = offer.unique {
                self.model.unique.insert(unique, (job.id, None));
            }
            let place = match (job.run_at, offer.delay_secs) {
                (Some(_), Some(delay)) if delay > 0 => Place::Scheduled { run_at: self.model.now_secs + delay },
                _ => self.model.arrive(),
            };
            let (key, priority, unique) = (offer.key, offer.priority, offer.unique);
            let version = offer.version.map(|(version, ..)| version);
            let known = Known { key, priority, unique, version, place, attempt: 1, crashes: 0, cancel_asked: None };
            self.model.jobs.insert(job.id, known);
            self.order.push(job.id);
        }
        if let (None, Some(id)) = (self.start, self.order.first()) {
            self.start = Some(self.bed.view(*id).await.job.created_at - Duration::from_secs(self.model.now_secs));
        }
        Ok(())
    }

    fn expected(&self, offer: &Offer) -> Enqueued {
        let version = offer.version.map(|(version, ..)| version);
        if let Some((version, at, id)) = offer.version
            && let Some((newest_at, newest_id, newest)) = self.model.newest.get(&version)
        {
            if (at, id) == (*newest_at, *newest_id) {
                return Enqueued::Duplicate(*newest);
            }
            if at < *newest_at {
                return Enqueued::Superseded(*newest);
            }
        }
        match offer.unique.and_then(|unique| self.model.holder(unique, version)) {
            Some(holder) => Enqueued::Duplicate(holder),
            None => Enqueued::Inserted,
        }
    }

    async fn claim(&mut self, max: usize) -> Result<(), Broken> {
        if self.model.throttle.is_some() {
            // Starts that have come back are given away by maintenance, as workers have it before they claim.
            self.maintain().await?;
        }
        let claimed = self.bed.claim_all(max).await;
        must!(claimed.jobs.len() <= max, "{} jobs, and {max} were asked for", claimed.jobs.len());
        must!(claimed.jobs.is_empty() || !self.model.paused, "the queue is paused");
        let waiting = self.model.waiting().into_iter().filter(|(_, job)| !self.model.waits_for_older(job));
        let before: Vec<JobId> = waiting.map(|(id, _)| id).collect();
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
            let version = job.version;
            *started.entry(job.key).or_default() += 1;
            lowest = lowest.min(job.priority);
            self.model.started(self.model.jobs[&id].key);
            let of_version = |job: &&Known| job.version == version && matches!(job.place, Place::Leased { .. });
            let running = self.model.jobs.values().filter(of_version).count();
            must!(version.is_none() || running == 1, "{running} jobs of a supersede key are leased");
            self.held.push(leased);
        }
        // The jobs of a key start in their order: what has started is the head of what waited.
        for (key, count) in &started {
            let mut of_key = before.iter().filter(|id| self.model.jobs[id].key == *key);
            let in_order = of_key.by_ref().take(*count).all(|id| !is_waiting(&self.model.jobs[id]));
            must!(in_order, "a job of key {key:?} was overtaken");
            let over = self.model.limit_of(*key).is_some_and(|limit| self.model.leased_of(*key) > limit);
            must!(!over, "key {key:?} is above its limit");
            let over = self.model.starts_left(*key).is_some_and(|left| left < 0);
            must!(!over, "key {key:?} has had more starts than its throttle allows");
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
        let has_room = |job: &Known| {
            self.model.limit_of(job.key).is_none_or(|limit| self.model.leased_of(job.key) < limit)
                && self.model.starts_left(job.key).is_none_or(|left| left > 0)
                && !self.model.waits_for_older(job)
        };
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
            _ if job.cancel_asked.is_some() => self.model.end(id, Place::Cancelled, 0),
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
        let expected = job.cancel_asked.map_or(Renewal::Extended, Renewal::CancelRequested);
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
        self.model.stale = false;
        must!(maintained.unparked == 0, "{} parked jobs had been forgotten", maintained.unparked);
        for (_, id) in moved {
            let place = self.model.arrive();
            self.model.jobs.get_mut(&id).unwrap().place = place;
        }
        Ok(())
    }

    pub(super) fn pick(&self, at: usize) -> Option<JobId> {
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

    /// Whether the leased jobs of the key, its starts and the ready ones that start before it leave no room for this one.
    fn may_be_parked(&self, view: &JobView, all: &[JobView]) -> bool {
        let parked = &self.model.jobs[&view.job.id];
        let left = self.model.starts_left(parked.key);
        if self.model.waits_for_older(parked) || (left.is_some() && self.model.stale) {
            return true;
        }
        let rank = |known: &Known| match known.place {
            Place::Waiting { arrival } => (std::cmp::Reverse(known.priority), arrival),
            _ => (std::cmp::Reverse(i16::MIN), u64::MAX),
        };
        let ahead = all.iter().filter(|other| {
            let known = &self.model.jobs[&other.job.id];
            known.key == parked.key && other.state.name() == StateName::Ready && rank(known) < rank(parked)
        });
        let ahead = ahead.count();
        self.model.limit_of(parked.key).is_some_and(|limit| self.model.leased_of(parked.key) + ahead >= limit)
            || left.is_some_and(|left| i64::try_from(ahead).unwrap() >= left)
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
