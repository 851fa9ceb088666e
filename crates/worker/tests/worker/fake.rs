//! A store in memory whose clock is the runtime's, so that a test can move it, and whose faults are the test's to choose.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use job::{
    Attempt, AttemptError, BuryReason, CancelReason, ClaimId, Job, JobId, JobState, LeaseToken, Transition, WorkerId,
};
use store::{
    Budget, Checkpoint, ClaimRequest, Claimed, Enqueued, JobFilter, JobPage, JobView, LeaseRef, LeasedJob, LimitTarget,
    Maintained, NewJob, PauseTarget, QueueAdmin, QueueStats, QueueStore, ReapRequest, Renewal, ReplayFilter, Retried,
    Settled, Settlement, StoreError, Wakeups,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    Claim,
    Renew,
    Settle,
    Reap,
    Maintain,
}

pub const ALL: [Op; 5] = [Op::Claim, Op::Renew, Op::Settle, Op::Reap, Op::Maintain];

/// One call as the store saw it.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub op: Op,
    /// Of a claim.
    pub id: Option<ClaimId>,
    /// Jobs asked for, or leases named.
    pub size: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Scheduled(Instant),
    Ready,
    Leased { token: LeaseToken, worker: WorkerId, expires: Instant, cancel: Option<CancelReason> },
    Completed,
    Dead(BuryReason),
    Cancelled,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub job: Job,
    pub state: State,
    pub errors: Vec<AttemptError>,
    pub checkpoints: Vec<Checkpoint>,
}

#[derive(Default)]
struct Content {
    rows: BTreeMap<JobId, Row>,
    settled: HashSet<LeaseRef>,
    applied: usize,
    calls: Vec<Call>,
    away: HashSet<Op>,
    full: bool,
    answers_to_lose: HashMap<Op, usize>,
    slow: HashMap<Op, Duration>,
    refused: Option<JobId>,
    claim_max: Option<usize>,
    silent: bool,
    broken: Option<Op>,
}

#[derive(Default)]
pub struct Fake {
    content: Mutex<Content>,
    wakeups: watch::Sender<()>,
}

/// What a test does to the store, and what it sees of it.
impl Fake {
    pub fn go_away(&self, ops: &[Op]) {
        self.lock().away.extend(ops);
    }

    /// Has no room for any write from now on, and says so.
    pub fn fill_up(&self) {
        self.lock().full = true;
    }

    pub fn come_back(&self) {
        let mut content = self.lock();
        content.away.clear();
        content.full = false;
        content.slow.clear();
    }

    /// The next calls take effect and are not answered.
    pub fn lose_answers(&self, op: Op, count: usize) {
        self.lock().answers_to_lose.insert(op, count);
    }

    pub fn slow_down(&self, op: Op, by: Duration) {
        self.lock().slow.insert(op, by);
    }

    /// Refuses every batch of settlements that has this job in it.
    pub fn refuse(&self, id: JobId) {
        self.lock().refused = Some(id);
    }

    /// Answers at most so many jobs to a claim, and that there are more.
    pub fn answer_at_most(&self, jobs: usize) {
        self.lock().claim_max = Some(jobs);
    }

    /// Loses every wake-up from now on.
    pub fn fall_silent(&self) {
        self.lock().silent = true;
    }

    /// Gives a leased job to another worker, as a reaper would.
    pub fn steal(&self, id: JobId) -> LeaseRef {
        let token = LeaseToken::from(uuid::Uuid::now_v7());
        let worker = WorkerId::new("thief").unwrap();
        let expires = Instant::now() + Duration::from_hours(1);
        self.lock().rows.get_mut(&id).unwrap().state = State::Leased { token, worker, expires, cancel: None };
        LeaseRef { job: id, token }
    }

    /// Panics at the next call, as a program with a fault in it does.
    pub fn break_down(&self, op: Op) {
        self.lock().broken = Some(op);
    }

    pub fn row(&self, id: JobId) -> Row {
        self.lock().rows[&id].clone()
    }

    pub fn state(&self, id: JobId) -> State {
        self.row(id).state
    }

    pub fn count(&self, state: &State) -> usize {
        self.lock().rows.values().filter(|row| row.state == *state).count()
    }

    /// Settlements that have changed something.
    pub fn applied(&self) -> usize {
        self.lock().applied
    }

    pub fn calls(&self, op: Op) -> Vec<Call> {
        self.lock().calls.iter().filter(|call| call.op == op).copied().collect()
    }

    pub fn wake(&self) {
        if !self.lock().silent {
            self.wakeups.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap()
    }

    /// A call comes in; its effect follows unless the store is away.
    async fn enter(&self, op: Op, id: Option<ClaimId>, size: usize) -> Result<(), StoreError> {
        let slow = {
            let mut content = self.lock();
            content.calls.push(Call { op, id, size });
            content.slow.get(&op).copied()
        };
        if let Some(slow) = slow {
            sleep(slow).await;
        }
        let broken = self.lock().broken.take_if(|broken| *broken == op);
        assert_eq!(broken, None, "the store's client has a fault");
        let content = self.lock();
        if content.full {
            return Err(StoreError::undone("fake", "disk is full"));
        }
        if content.away.contains(&op) { Err(unavailable()) } else { Ok(()) }
    }

    /// The answer goes out, unless it is to be lost.
    fn answer<T>(&self, op: Op, answer: T) -> Result<T, StoreError> {
        match self.lock().answers_to_lose.get_mut(&op) {
            Some(left @ 1..) => {
                *left -= 1;
                Err(unavailable())
            }
            _ => Ok(answer),
        }
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { what: "fake", source: "connection reset".into() }
}

fn not_part_of_the_fake<T>() -> Result<T, StoreError> {
    Err(StoreError::Invalid("not part of the fake".into()))
}

impl Content {
    fn next_due_in(&self) -> Option<Duration> {
        let due = |row: &Row| if let State::Scheduled(at) = row.state { Some(at) } else { None };
        let next = self.rows.values().filter_map(due).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn lease(&mut self, id: JobId, token: LeaseToken, worker: &WorkerId, lease: Duration) -> LeasedJob {
        let row = self.rows.get_mut(&id).unwrap();
        let expires = Instant::now() + lease;
        row.state = State::Leased { token, worker: worker.clone(), expires, cancel: None };
        leased(row, token)
    }

    fn held(&mut self, lease: &LeaseRef) -> Option<&mut Row> {
        let row = self.rows.get_mut(&lease.job)?;
        matches!(row.state, State::Leased { token, .. } if token == lease.token).then_some(row)
    }

    fn settle(&mut self, settlement: &Settlement) -> Settled {
        let lease = settlement.lease();
        if self.settled.contains(&lease) {
            return Settled::Applied;
        }
        let Some(row) = self.held(&lease) else { return Settled::LeaseLost };
        let budgets: Attempt = settlement.transition().charge(row.job.budgets());
        (row.job.attempt, row.job.crashes) = (budgets.number, budgets.crashes);
        row.state = match settlement.transition().clone() {
            Transition::Complete => State::Completed,
            Transition::Retry { delay, error } => {
                row.errors.push(error);
                State::Scheduled(Instant::now() + delay)
            }
            Transition::Bury { reason, error } => {
                row.errors.push(error);
                State::Dead(reason)
            }
            Transition::Release => State::Ready,
            Transition::Cancel(_) => State::Cancelled,
        };
        self.settled.insert(lease);
        self.applied += 1;
        Settled::Applied
    }
}

fn leased(row: &Row, token: LeaseToken) -> LeasedJob {
    LeasedJob {
        job: row.job.clone(),
        lease: LeaseRef { job: row.job.id, token },
        checkpoints: row.checkpoints.clone(),
        ready_for: Duration::ZERO,
    }
}

#[async_trait]
impl QueueStore for Fake {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<Vec<Enqueued>, StoreError> {
        for new in jobs {
            let wait = new.run_at.map(|at| Duration::try_from(at - Timestamp::UNIX_EPOCH).unwrap());
            // A test gives `run_at` as the time from now, on a clock that starts with the epoch.
            let state = wait.map_or(State::Ready, |wait| State::Scheduled(Instant::now() + wait));
            let row = Row { job: new.into(), state, errors: Vec::new(), checkpoints: Vec::new() };
            self.lock().rows.insert(new.id, row);
        }
        self.wake();
        Ok(vec![Enqueued::Inserted; jobs.len()])
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claimed, StoreError> {
        self.enter(Op::Claim, Some(request.id), request.max).await?;
        let token = LeaseToken::from(*request.id.as_uuid());
        let claimed = {
            let mut content = self.lock();
            let rows = content.rows.values();
            let mut jobs: Vec<_> = rows
                .filter(|row| matches!(row.state, State::Leased { token: held, .. } if held == token))
                .map(|row| leased(row, token))
                .collect();
            let mut more = false;
            if jobs.is_empty() {
                let ready = content.rows.values().filter(|row| row.state == State::Ready);
                let mut ready: Vec<_> =
                    ready.filter(|row| request.queues.contains(&row.job.queue)).map(|row| &row.job).collect();
                let place = |job: &Job| request.queues.iter().position(|queue| *queue == job.queue);
                ready.sort_by_key(|job| (place(job), std::cmp::Reverse(job.priority), job.id));
                let max = content.claim_max.unwrap_or(request.max).min(request.max);
                more = ready.len() > max;
                let ids: Vec<_> = ready.iter().take(max).map(|job| job.id).collect();
                let lease = |id| content.lease(id, token, &request.worker, request.lease);
                jobs = ids.into_iter().map(lease).collect();
            }
            Claimed { jobs, more, next_due_in: content.next_due_in() }
        };
        self.answer(Op::Claim, claimed)
    }

    async fn renew(&self, leases: &[LeaseRef], extend: Duration) -> Result<Vec<Renewal>, StoreError> {
        self.enter(Op::Renew, None, leases.len()).await?;
        let mut content = self.lock();
        let renew = |lease| match content.held(lease).map(|row| &mut row.state) {
            Some(State::Leased { expires, cancel, .. }) => {
                *expires = Instant::now() + extend;
                cancel.map_or(Renewal::Extended, Renewal::CancelRequested)
            }
            _ => Renewal::LeaseLost,
        };
        Ok(leases.iter().map(renew).collect())
    }

    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        self.enter(Op::Settle, None, batch.len()).await?;
        let answers = {
            let mut content = self.lock();
            if batch.iter().any(|settlement| content.refused == Some(settlement.lease().job)) {
                return Err(StoreError::Invalid("refused".into()));
            }
            batch.iter().map(|settlement| content.settle(settlement)).collect()
        };
        self.answer(Op::Settle, answers)
    }

    async fn checkpoint(&self, lease: &LeaseRef, checkpoint: &Checkpoint) -> Result<Settled, StoreError> {
        let mut content = self.lock();
        let Some(row) = content.held(lease) else { return Ok(Settled::LeaseLost) };
        row.checkpoints.retain(|kept| kept.step != checkpoint.step);
        row.checkpoints.push(checkpoint.clone());
        Ok(Settled::Applied)
    }

    async fn reap(&self, request: &ReapRequest) -> Result<Vec<LeasedJob>, StoreError> {
        self.enter(Op::Reap, Some(request.id), request.max).await?;
        let reaped = {
            let mut content = self.lock();
            let now = Instant::now();
            let expired = |row: &&Row| matches!(row.state, State::Leased { expires, .. } if expires <= now);
            let expired: Vec<_> =
                content.rows.values().filter(expired).take(request.max).map(|row| row.job.id).collect();
            let token = LeaseToken::from(*request.id.as_uuid());
            let lease = |id| content.lease(id, token, &request.worker, request.lease);
            expired.into_iter().map(lease).collect()
        };
        self.answer(Op::Reap, reaped)
    }

    async fn maintain(&self, budget: &Budget) -> Result<Maintained, StoreError> {
        self.enter(Op::Maintain, None, budget.jobs_max).await?;
        let mut content = self.lock();
        let now = Instant::now();
        let mut done = Maintained::default();
        for row in content.rows.values_mut() {
            if matches!(row.state, State::Scheduled(at) if at <= now) {
                row.state = State::Ready;
                done.due += 1;
            }
        }
        done.next_due_in = content.next_due_in();
        Ok(done)
    }

    async fn stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        not_part_of_the_fake()
    }
}

#[async_trait]
impl QueueAdmin for Fake {
    async fn cancel(&self, id: JobId, reason: CancelReason) -> Result<Option<JobState>, StoreError> {
        if let Some(Row { state: State::Leased { cancel, .. }, .. }) = self.lock().rows.get_mut(&id) {
            *cancel = Some(reason);
        }
        self.wake();
        Ok(None)
    }

    async fn define_queue(&self, _: &job::QueueName, _: Option<u32>) -> Result<(), StoreError> {
        not_part_of_the_fake()
    }

    async fn get(&self, _: JobId) -> Result<Option<JobView>, StoreError> {
        not_part_of_the_fake()
    }

    async fn list(&self, _: &JobFilter) -> Result<JobPage, StoreError> {
        not_part_of_the_fake()
    }

    async fn retry(&self, _: JobId) -> Result<Retried, StoreError> {
        not_part_of_the_fake()
    }

    async fn replay(&self, _: &ReplayFilter) -> Result<(usize, bool), StoreError> {
        not_part_of_the_fake()
    }

    async fn pause(&self, _: &PauseTarget) -> Result<(), StoreError> {
        not_part_of_the_fake()
    }

    async fn resume(&self, _: &PauseTarget) -> Result<(), StoreError> {
        not_part_of_the_fake()
    }

    async fn set_limit(&self, _: &LimitTarget, _: Option<u32>) -> Result<(), StoreError> {
        not_part_of_the_fake()
    }

    async fn prune(&self, _: Timestamp, _: usize) -> Result<usize, StoreError> {
        not_part_of_the_fake()
    }

    async fn prune_matching(&self, _: &store::PruneFilter) -> Result<(usize, bool), StoreError> {
        not_part_of_the_fake()
    }

    async fn set_throttle(
        &self,
        _: &job::QueueName,
        _: &job::LimitClass,
        _: Option<store::Throttle>,
    ) -> Result<(), StoreError> {
        not_part_of_the_fake()
    }

    async fn define_group(&self, _: &job::GroupName, _: &[job::QueueName], _: Option<u32>) -> Result<(), StoreError> {
        not_part_of_the_fake()
    }

    async fn set_cron(&self, _: &store::CronEntry) -> Result<(), StoreError> {
        not_part_of_the_fake()
    }

    async fn remove_cron(&self, _: &job::CronName) -> Result<bool, StoreError> {
        not_part_of_the_fake()
    }

    async fn list_cron(&self) -> Result<Vec<store::CronView>, StoreError> {
        not_part_of_the_fake()
    }

    async fn settings(&self, _: &job::QueueName) -> Result<store::QueueSettings, StoreError> {
        not_part_of_the_fake()
    }
}

impl Wakeups for Fake {
    fn subscribe(&self) -> watch::Receiver<()> {
        self.wakeups.subscribe()
    }
}
