//! Daily quotas: a job takes a unit of its user's day before it is stored. How units are counted and come back says
//! `docs/decisions/units-are-counted-by-jobs.md`.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use job::{JobId, JobState};
use ledger::{HeldUnit, NewUnit, Taken};
use store::{Enqueued, NewJob, StoreError, chain};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    limit::whole_secs,
    problem::{Problem, ProblemKind, shown},
    router::Shared,
};

/// How long a unit is kept whose job the queue does not know. The enqueue that it was taken for has ended by then: a request
/// takes 60 s at most.
const UNSEEN_HOLDS: Duration = Duration::from_mins(5);
/// How long a user whose day was found used up is refused without another look at his jobs.
const REFUSAL_HOLDS: Duration = Duration::from_secs(1);
/// Most users whose refusal is remembered; of more, the next is looked at again.
const REFUSALS_MAX: usize = 10_000;
/// Most looks at users' jobs at once: each asks the queue's store after as many jobs as a day has units, one by one.
const LOOKS_MAX: usize = 4;

/// A user's quota.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    pub(crate) user: String,
    pub(crate) tier: String,
    /// Reviews a day.
    pub(crate) daily: u32,
}

/// What is known of the users who have used their day up.
pub(crate) struct Quotas {
    looks: Semaphore,
    refused: Mutex<HashMap<String, Instant>>,
}

impl Quotas {
    pub(crate) fn new() -> Self {
        Self { looks: Semaphore::new(LOOKS_MAX), refused: Mutex::default() }
    }

    /// Takes a unit for a job. Where the day is used up, the job of the same change that is there already is answered, which
    /// costs nothing.
    pub(crate) async fn take(&self, shared: &Shared, job: &NewJob, quota: &Quota) -> Result<Option<JobId>, Problem> {
        let Shared { api, health, .. } = shared;
        let unit = NewUnit { job: job.id, user: quota.user.clone(), subject: subject(job) };
        let take = async || health.recalled(api.ledger.take_unit(&unit, quota.daily).await);
        let Taken::No { resets_in } = take().await? else { return Ok(None) };
        if let Some(same) = same_change(shared, job, &unit.subject).await? {
            return Ok(Some(same));
        }
        // Closed by nobody: without a permit, the look is one too many, and no more.
        let _look = self.looks.acquire().await;
        if !self.is_refused(&quota.user) {
            let ended = ended_jobs(shared, &quota.user).await?;
            if !ended.is_empty() {
                health.recalled(api.ledger.give_back(&ended).await)?;
                if take().await? == Taken::Yes {
                    return Ok(None);
                }
            }
            self.refuse(quota.user.clone());
        }
        Err(used_up(quota, resets_in))
    }

    fn is_refused(&self, user: &str) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(user).is_some_and(|at| at.elapsed() < REFUSAL_HOLDS)
    }

    fn refuse(&self, user: String) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= REFUSALS_MAX {
            refused.retain(|_, at| at.elapsed() < REFUSAL_HOLDS);
        }
        if refused.len() < REFUSALS_MAX {
            refused.insert(user, Instant::now());
        }
    }
}

/// Gives a job's unit back unless the job was stored, as far as that is known. A fault costs the user the unit for some
/// minutes, and the caller nothing.
pub(crate) async fn settle_unit(shared: &Shared, job: JobId, answer: &Result<Vec<Enqueued>, StoreError>) {
    let is_kept = match answer {
        Ok(answers) => answers.contains(&Enqueued::Inserted),
        Err(error) => !error.is_undone(),
    };
    if !is_kept && let Err(error) = shared.api.ledger.give_back(&[job]).await {
        tracing::warn!(error = chain(&error), "a unit of a quota was not given back");
    }
}

/// A pull request where there is one, since only its newest push is reviewed; else the change.
fn subject(job: &NewJob) -> String {
    let pull_request = job.supersede.as_ref().map(|supersede| supersede.key.to_string());
    let change = || job.unique.as_ref().map_or_else(|| job.id.to_string(), |unique| unique.key.to_string());
    pull_request.unwrap_or_else(change)
}

/// The job that an enqueue would call this one a duplicate of.
async fn same_change(shared: &Shared, job: &NewJob, subject: &str) -> Result<Option<JobId>, Problem> {
    let Shared { api, health, .. } = shared;
    let Some(unique) = &job.unique else { return Ok(None) };
    for HeldUnit { job, age } in health.recalled(api.ledger.units_of_subject(subject).await)? {
        let Some(view) = health.asked(api.queue.get(job).await)? else { continue };
        let keeps_key = match view.state {
            JobState::Completed { .. } => age < unique.window,
            state => !state.name().is_final(),
        };
        if keeps_key && view.job.unique.is_some_and(|taken| taken.key == unique.key) {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

/// The jobs of a user's day that will have no review.
async fn ended_jobs(shared: &Shared, user: &str) -> Result<Vec<JobId>, Problem> {
    let Shared { api, health, .. } = shared;
    let mut ended = Vec::new();
    for HeldUnit { job, age } in health.recalled(api.ledger.held_units(user).await)? {
        let has_ended = match health.asked(api.queue.get(job).await)? {
            Some(view) => matches!(view.state, JobState::Dead { .. } | JobState::Cancelled { .. }),
            None => age > UNSEEN_HOLDS,
        };
        if has_ended {
            ended.push(job);
        }
    }
    Ok(ended)
}

fn used_up(Quota { user, tier, daily }: &Quota, resets_in: Duration) -> Problem {
    let secs = whole_secs(resets_in);
    let detail = format!(
        "The user {:?} has had all reviews of this day (UTC), of which the tier {tier} has {daily}. The next begins in {secs} s.",
        shown(user)
    );
    Problem::new(ProblemKind::QuotaUsedUp(secs), detail)
}
