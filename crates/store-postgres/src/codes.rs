//! The numbers that stand in the columns for the values of the domain.

use job::{AttemptErrorKind, BuryReason, CancelReason, StateName};
use store::StoreError;

pub(crate) const SCHEDULED: i16 = 0;
pub(crate) const READY: i16 = 2;
pub(crate) const PARKED: i16 = 3;
pub(crate) const LEASED: i16 = 1;
pub(crate) const COMPLETED: i16 = 4;
pub(crate) const DEAD: i16 = 5;
pub(crate) const CANCELLED: i16 = 6;

pub(crate) const fn of_state(state: StateName) -> i16 {
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

pub(crate) fn state(code: i16) -> Result<StateName, StoreError> {
    StateName::ALL.into_iter().find(|s| of_state(*s) == code).ok_or_else(|| unknown("a state", code))
}

pub(crate) const fn of_cancel(reason: CancelReason) -> i16 {
    match reason {
        CancelReason::Requested => 1,
        CancelReason::Superseded => 2,
    }
}

pub(crate) fn cancel(code: i16) -> Result<CancelReason, StoreError> {
    match code {
        1 => Ok(CancelReason::Requested),
        2 => Ok(CancelReason::Superseded),
        _ => Err(unknown("a reason of a cancellation", code)),
    }
}

pub(crate) const fn of_bury(reason: BuryReason) -> i16 {
    match reason {
        BuryReason::Permanent => 1,
        BuryReason::AttemptsExhausted => 2,
        BuryReason::CrashesExhausted => 3,
    }
}

pub(crate) fn bury(code: i16) -> Result<BuryReason, StoreError> {
    match code {
        1 => Ok(BuryReason::Permanent),
        2 => Ok(BuryReason::AttemptsExhausted),
        3 => Ok(BuryReason::CrashesExhausted),
        _ => Err(unknown("a reason of a dead letter", code)),
    }
}

pub(crate) const fn of_error_kind(kind: AttemptErrorKind) -> i16 {
    match kind {
        AttemptErrorKind::Transient => 1,
        AttemptErrorKind::TimedOut => 2,
        AttemptErrorKind::Permanent => 3,
        AttemptErrorKind::Crashed => 4,
    }
}

pub(crate) fn error_kind(code: i16) -> Result<AttemptErrorKind, StoreError> {
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
