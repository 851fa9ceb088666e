use std::collections::HashMap;

use job::{CancelReason, JobId, StateName};

use crate::model::operation::PERIOD_SECS;

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
    /// Newest versions of supersede keys: time, id and job.
    pub(super) newest: HashMap<usize, (i64, bool, JobId)>,
    pub(super) throttle: Option<u32>,
    /// Whether time has passed since the last maintenance, so that starts may have come back which nobody has given away.
    pub(super) stale: bool,
    /// When jobs of a key have started under a throttle.
    starts: Vec<(usize, u64)>,
    arrivals: u64,
}

pub(super) struct Known {
    pub(super) key: Option<usize>,
    pub(super) priority: i16,
    pub(super) unique: Option<usize>,
    pub(super) place: Place,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) version: Option<usize>,
    pub(super) cancel_asked: Option<CancelReason>,
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

    /// How many starts a key has left, above none when its throttle was lowered.
    pub(super) fn starts_left(&self, key: Option<usize>) -> Option<i64> {
        let (starts, key) = (self.throttle?, key?);
        let counts = |(of, at): &&(usize, u64)| *of == key && at + PERIOD_SECS > self.now_secs;
        Some(i64::from(starts) - i64::try_from(self.starts.iter().filter(counts).count()).unwrap())
    }

    /// Counts a start.
    pub(super) fn started(&mut self, key: Option<usize>) {
        if let (Some(_), Some(key)) = (self.throttle, key) {
            self.starts.push((key, self.now_secs));
        }
    }

    /// Whether a job waits for another version that is leased.
    pub(super) fn waits_for_older(&self, job: &Known) -> bool {
        job.version.is_some()
            && self
                .jobs
                .values()
                .any(|other| other.version == job.version && matches!(other.place, Place::Leased { .. }))
    }

    /// The job of a newer version, if there is one.
    pub(super) fn superseded_by(&self, id: JobId) -> Option<JobId> {
        let (.., newest) = self.newest.get(&self.jobs.get(&id)?.version?)?;
        (*newest != id).then_some(*newest)
    }

    /// Cancels what is older than a new version, or asks it to stop.
    pub(super) fn supersede(&mut self, version: usize) {
        let live: Vec<JobId> =
            self.jobs.iter().filter(|(_, job)| job.version == Some(version)).map(|(id, _)| *id).collect();
        for id in live {
            match self.jobs[&id].place {
                Place::Scheduled { .. } | Place::Waiting { .. } => self.end(id, Place::Cancelled, 0),
                Place::Leased { .. } => self.ask_to_stop(id, CancelReason::Superseded),
                Place::Completed | Place::Dead | Place::Cancelled => {}
            }
        }
    }

    /// Asks a running job to stop; the first reason stands.
    pub(super) fn ask_to_stop(&mut self, id: JobId, reason: CancelReason) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.cancel_asked.get_or_insert(reason);
        }
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

    /// Who holds a unique key now and does not leave it to this version.
    pub(super) fn holder(&self, unique: usize, version: Option<usize>) -> Option<JobId> {
        let (job, until) = self.unique.get(&unique)?;
        let leaves_it = version.is_some() && self.jobs.get(job).is_some_and(|job| job.version == version);
        (until.is_none_or(|until| until > self.now_secs) && !leaves_it).then_some(*job)
    }

    /// Ends a job.
    pub(super) fn end(&mut self, id: JobId, place: Place, window_secs: u64) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.place = place;
        if let Some(unique) = job.unique.filter(|unique| self.unique.get(unique).is_some_and(|held| held.0 == id)) {
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
        (job.place, job.attempt, job.crashes, job.cancel_asked) = (place, 1, 0, None);
        if let Some(unique) = job.unique {
            self.unique.insert(unique, (id, None));
        }
    }
}
