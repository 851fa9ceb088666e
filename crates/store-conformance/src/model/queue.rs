use std::collections::HashMap;

use job::{JobId, StateName};

/// The reference: what the contract says of each job, without turns, indexes or parking.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) jobs: HashMap<JobId, Known>,
    pub(super) now_secs: u64,
    pub(super) class_limit: Option<u32>,
    pub(super) key_limits: HashMap<usize, u32>,
    pub(super) key_paused: HashMap<usize, bool>,
    pub(super) job_limit: Option<u32>,
    pub(super) paused: bool,
    /// Unique keys: who holds them, and until when once its holder has completed.
    pub(super) unique: HashMap<usize, (JobId, Option<u64>)>,
    arrivals: u64,
}

pub(super) struct Known {
    pub(super) key: Option<usize>,
    pub(super) priority: i16,
    pub(super) unique: Option<usize>,
    pub(super) place: Place,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) cancel_asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Scheduled {
        run_at: u64,
    },
    /// Ready or parked: which of both is the store's own business, within an invariant.
    Waiting {
        arrival: u64,
    },
    Leased {
        arrival: u64,
        expires_at: u64,
    },
    Completed,
    Dead,
    Cancelled,
}

impl Queue {
    pub(super) fn arrive(&mut self) -> Place {
        self.arrivals += 1;
        Place::Waiting { arrival: self.arrivals }
    }

    /// Whether the store's state of a job is the one it should be in.
    pub(super) fn allows(place: Place, state: StateName) -> bool {
        match place {
            Place::Scheduled { .. } => state == StateName::Scheduled,
            Place::Waiting { .. } => matches!(state, StateName::Ready | StateName::Parked),
            Place::Leased { .. } => state == StateName::Leased,
            Place::Completed => state == StateName::Completed,
            Place::Dead => state == StateName::Dead,
            Place::Cancelled => state == StateName::Cancelled,
        }
    }

    /// The limit of a job's key; `None`: none.
    pub(super) fn limit_of(&self, key: Option<usize>) -> Option<usize> {
        let key = key?;
        if self.key_paused.get(&key).copied().unwrap_or(false) {
            return Some(0);
        }
        let limit = self.key_limits.get(&key).copied().or(self.class_limit)?;
        usize::try_from(limit).ok()
    }

    pub(super) fn leased_of(&self, key: Option<usize>) -> usize {
        self.jobs.values().filter(|job| job.key == key && matches!(job.place, Place::Leased { .. })).count()
    }

    pub(super) fn leased(&self) -> usize {
        self.jobs.values().filter(|job| matches!(job.place, Place::Leased { .. })).count()
    }

    /// Waiting jobs in the order in which those of one key must start.
    pub(super) fn waiting(&self) -> Vec<(JobId, &Known)> {
        let mut waiting: Vec<_> = self
            .jobs
            .iter()
            .filter_map(|(id, job)| match job.place {
                Place::Waiting { arrival } => Some((std::cmp::Reverse(job.priority), arrival, *id, job)),
                _ => None,
            })
            .collect();
        waiting.sort_unstable_by_key(|(priority, arrival, ..)| (*priority, *arrival));
        waiting.into_iter().map(|(_, _, id, job)| (id, job)).collect()
    }

    /// Who holds a unique key now.
    pub(super) fn holder(&self, unique: usize) -> Option<JobId> {
        let (job, until) = self.unique.get(&unique)?;
        until.is_none_or(|until| until > self.now_secs).then_some(*job)
    }

    /// Ends a job.
    pub(super) fn end(&mut self, id: JobId, place: Place, window_secs: u64) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.place = place;
        if let Some(unique) = job.unique {
            if place == Place::Completed {
                self.unique.insert(unique, (id, Some(self.now_secs + window_secs)));
            } else {
                self.unique.remove(&unique);
            }
        }
    }

    /// Brings a finished job back.
    pub(super) fn revive(&mut self, id: JobId) {
        let place = self.arrive();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        (job.place, job.attempt, job.crashes, job.cancel_asked) = (place, 1, 0, false);
        if let Some(unique) = job.unique {
            self.unique.insert(unique, (id, None));
        }
    }
}
