//! The numbers that stand in a backend's columns for the values of the domain, the same in each.

use crate::StoreError;
use job::{AttemptErrorKind, BuryReason, CancelReason, StateName};

/// [`StateName::Scheduled`].
pub const SCHEDULED: i16 = 0;
/// [`StateName::Ready`].
pub const READY: i16 = 2;
/// [`StateName::Parked`].
pub const PARKED: i16 = 3;
/// [`StateName::Leased`].
pub const LEASED: i16 = 1;
/// [`StateName::Completed`].
pub const COMPLETED: i16 = 4;
/// [`StateName::Dead`].
pub const DEAD: i16 = 5;
/// [`StateName::Cancelled`].
pub const CANCELLED: i16 = 6;

/// The code of a state.
pub const fn of_state(state: StateName) -> i16 {
    match state {
        StateName::Scheduled => SCHEDULED,
        StateName::Ready => READY,
        StateName::Parked => PARKED,
        StateName::Leased => LEASED,
        StateName::Completed => COMPLETED,
        StateName::Dead => DEAD,
        StateName::Cancelled => CANCELLED,
    }
}

/// The state of a code; [`StoreError::Corrupt`] for one that is not known, as for the other codes.
pub fn state(code: i16) -> Result<StateName, StoreError> {
    StateName::ALL.into_iter().find(|s| of_state(*s) == code).ok_or_else(|| unknown("a state", code))
}

/// The code of a reason to cancel.
pub const fn of_cancel(reason: CancelReason) -> i16 {
    match reason {
        CancelReason::Requested => 1,
        CancelReason::Superseded => 2,
    }
}

/// The reason to cancel of a code.
pub fn cancel(code: i16) -> Result<CancelReason, StoreError> {
    match code {
        1 => Ok(CancelReason::Requested),
        2 => Ok(CancelReason::Superseded),
        _ => Err(unknown("a reason of a cancellation", code)),
    }
}

/// The code of why a job is dead.
pub const fn of_bury(reason: BuryReason) -> i16 {
    match reason {
        BuryReason::Permanent => 1,
        BuryReason::AttemptsExhausted => 2,
        BuryReason::CrashesExhausted => 3,
    }
}

/// Why a job is dead, of a code.
pub fn bury(code: i16) -> Result<BuryReason, StoreError> {
    match code {
        1 => Ok(BuryReason::Permanent),
        2 => Ok(BuryReason::AttemptsExhausted),
        3 => Ok(BuryReason::CrashesExhausted),
        _ => Err(unknown("a reason of a dead letter", code)),
    }
}

/// The code of a kind of error.
pub const fn of_error_kind(kind: AttemptErrorKind) -> i16 {
    match kind {
        AttemptErrorKind::Transient => 1,
        AttemptErrorKind::TimedOut => 2,
        AttemptErrorKind::Permanent => 3,
        AttemptErrorKind::Crashed => 4,
    }
}

/// The kind of error of a code.
pub fn error_kind(code: i16) -> Result<AttemptErrorKind, StoreError> {
    match code {
        1 => Ok(AttemptErrorKind::Transient),
        2 => Ok(AttemptErrorKind::TimedOut),
        3 => Ok(AttemptErrorKind::Permanent),
        4 => Ok(AttemptErrorKind::Crashed),
        _ => Err(unknown("a kind of error", code)),
    }
}

fn unknown(what: &'static str, code: i16) -> StoreError {
    StoreError::Corrupt { what, source: format!("the code {code} is not known").into() }
}
