use std::time::Duration;

use job::JobId;

/// Most units that one question after them answers, which is also the greatest quota.
pub const UNITS_MAX: usize = 10_000;
/// Most units of one subject that are answered. One has the live job of it, or the last one that has ended; the others are
/// those that are about to be given back.
pub const UNITS_OF_SUBJECT_MAX: usize = 32;

/// A unit of a user's daily quota that a job is to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUnit {
    /// The job; it takes one unit at most, however often it is asked for.
    pub job: JobId,
    /// Whose quota it is.
    pub user: String,
    /// What is to be reviewed. Of all jobs of a subject that have no review yet one at most will have one, so that they take
    /// one unit together.
    pub subject: String,
}

/// Whether a unit was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was.
    Yes,
    /// The day has no unit left.
    No {
        /// How long until the next day (UTC) begins.
        resets_in: Duration,
    },
}

/// A unit that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldUnit {
    /// The job that has it.
    pub job: JobId,
    /// For how long.
    pub age: Duration,
}
