use std::time::Duration;

use job::{CancelReason, ConcurrencyKey, JobId, StateName};
use store::{LimitTarget, PauseTarget, ReplayFilter, Retried, Throttle, WhenFull};

use crate::{
    Bed,
    model::{
        check::{Broken, Check},
        operation::{KEYS, Operation, PERIOD_SECS},
        queue::{Place, Queue},
    },
};

/// What an operator does.
impl Check {
    pub(super) async fn operate(&mut self, operation: &Operation) {
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
            Operation::Throttle(starts) => {
                self.model.throttle = *starts;
                let period = Duration::from_secs(PERIOD_SECS);
                let throttle = starts.map(|starts| Throttle { starts, period, when_full: WhenFull::Wait });
                store.set_throttle(&queue, &Bed::class(), throttle).await.unwrap();
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

    pub(super) async fn cancel(&mut self, at: usize) -> Result<(), Broken> {
        let Some(id) = self.pick(at) else { return Ok(()) };
        let answer = self.bed.store.cancel(id, CancelReason::Requested).await.unwrap();
        match self.model.jobs[&id].place {
            Place::Leased { .. } => self.model.ask_to_stop(id, CancelReason::Requested),
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

    pub(super) async fn retry(&mut self, at: usize) -> Result<(), Broken> {
        let Some(id) = self.pick(at) else { return Ok(()) };
        let answer = self.bed.store.retry(id).await.unwrap();
        let job = &self.model.jobs[&id];
        let expected = match job.place {
            Place::Leased { .. } => Retried::NotRetryable(StateName::Leased),
            Place::Completed => Retried::NotRetryable(StateName::Completed),
            Place::Dead | Place::Cancelled => {
                if let Some(newest) = self.model.superseded_by(id) {
                    Retried::Superseded(newest)
                } else if let Some(holder) = job.unique.and_then(|unique| self.model.holder(unique, job.version)) {
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

    pub(super) async fn replay(&mut self, max: usize) -> Result<(), Broken> {
        let filter = ReplayFilter { queue: Some(Bed::queue()), max, ..ReplayFilter::default() };
        let (replayed, _) = self.bed.store.replay(&filter).await.unwrap();
        // Oldest first, as many as were replayed; each must have been free to come back.
        let mut dead: Vec<JobId> = self.order.clone();
        dead.sort_unstable();
        let mut expected = 0;
        for id in dead.into_iter().filter(|id| self.model.jobs[id].place == Place::Dead).collect::<Vec<_>>() {
            let job = &self.model.jobs[&id];
            let taken = job.unique.is_some_and(|unique| self.model.holder(unique, job.version).is_some());
            if !taken && self.model.superseded_by(id).is_none() && expected < replayed {
                self.model.revive(id);
                expected += 1;
            }
        }
        must!(replayed == expected && replayed <= max, "{replayed} were replayed of {max}, and {expected} could be");
        Ok(())
    }
}
