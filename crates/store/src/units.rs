//! Between the units of the seam and the milliseconds of a backend's columns.

use std::time::Duration;

use crate::StoreError;
use jiff::Timestamp;

/// Whole milliseconds; what does not fit, some 292 million years, is cut.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The duration behind a column; a negative one is no duration and reads as zero.
pub fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// The time behind a column.
pub fn timestamp(millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millis).map_err(|e| StoreError::Corrupt { what: "a time", source: Box::new(e) })
}

/// A count or limit that is never negative and fits by the schema's own bounds.
pub fn small(count: i64) -> u32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}
