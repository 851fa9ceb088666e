use std::{fmt, str::FromStr};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone},
};
use serde::{Serialize, Serializer};

mod fields;
#[cfg(test)]
mod tests;

use fields::{Fields, Set};

/// Days that a search looks ahead. The rarest day there is, a 29 February, comes back after eight years at the latest
/// (1896 to 1904), so that a schedule that has nothing within them has nothing at all.
const DAYS_MAX: u32 = 8 * 366 + 1;
/// Most bytes of an expression: each minute of an hour, written out, has 170.
const EXPRESSION_MAX_BYTES: usize = 512;

/// When something is to happen again and again: a cron expression, read in a time zone.
///
/// An expression has the five fields of Vixie's cron: minute (0–59), hour (0–23), day of the month (1–31), month (1–12 or
/// JAN–DEC) and day of the week (0–7 or SUN–SAT, both 0 and 7 are Sunday); each a `*`, a number, a range `1-5`, a list
/// `1,3,5`, any of them with a step `*/15`. When both days are restricted, a day that fits either of them fits. In place
/// of five fields there may be `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` or `@annually`.
///
/// The time zone is a name of the IANA database, such as `Europe/Berlin`; the database is part of the program. A local
/// time that a change of the clocks leaves out fires once, right after the gap, together with all others of the gap. A
/// local time that comes twice fires the first time; so a schedule of every hour has one longer pause a year, and one
/// that must not has the zone `UTC`.
#[derive(Debug, Clone)]
pub struct CronSchedule {
    expression: String,
    fields: Fields,
    zone: TimeZone,
    zone_name: String,
}

/// Why a text is no schedule. Names what is wrong and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields, and no name either.
    #[error(
        "{text:?} is no cron expression: expected five fields (minute, hour, day of the month, month, day of the week), \
         or @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually"
    )]
    Shape {
        /// The start of the text.
        text: String,
    },
    /// A field that cannot be read.
    #[error("{text:?} is no {field}: expected {allowed}, as *, N, N-M or a list of them, perhaps with a step /N")]
    Field {
        /// Which field.
        field: &'static str,
        /// What stands there.
        text: String,
        /// Its numbers and names.
        allowed: &'static str,
    },
    /// A day that no month has, such as 30 February.
    #[error("{text:?} never fires: no month that it names has such a day")]
    Never {
        /// The expression.
        text: String,
    },
    /// Not in the database of time zones.
    #[error("{name:?} is no time zone: expected a name of the IANA database, such as UTC or Europe/Berlin")]
    Zone {
        /// The start of the name.
        name: String,
    },
}

impl CronSchedule {
    /// Reads an expression and the name of a time zone.
    pub fn new(expression: &str, zone: &str) -> Result<Self, CronError> {
        let expression = expression.trim();
        let shape = || CronError::Shape { text: start_of(expression) };
        if expression.len() > EXPRESSION_MAX_BYTES {
            return Err(shape());
        }
        let fields = Fields::parse(expression)?.ok_or_else(shape)?;
        // A zone's name is a path in the database: what is none is not looked up.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
        let known = Some(zone).filter(|zone| zone.len() <= 64 && zone.chars().all(is_name));
        let known = known.and_then(|zone| TimeZone::get(zone).ok());
        let known = known.ok_or_else(|| CronError::Zone { name: start_of(zone) })?;
        let zone_name = known.iana_name().unwrap_or(zone).to_owned();
        let this = Self { expression: expression.to_owned(), fields, zone: known, zone_name };
        if this.next_after(Timestamp::UNIX_EPOCH).is_none() {
            return Err(CronError::Never { text: this.expression });
        }
        Ok(this)
    }

    /// The expression as it was written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of the time zone.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The first time after a given one; `None` only at the end of all times.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let from = self.zone.to_datetime(after);
        let mut date = from.date();
        for _ in 0..DAYS_MAX {
            if self.fields.has_day(date) {
                let since = if date == from.date() { (from.hour(), from.minute()) } else { (0, 0) };
                if let Some(at) = self.on(date, since).find(|at| *at > after) {
                    return Some(at);
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The times of a day, from an hour and minute on.
    fn on(&self, date: Date, (hour, minute): (i8, i8)) -> impl Iterator<Item = Timestamp> {
        let minutes = move |h: i8| self.fields.minutes.from(if h == hour { minute } else { 0 });
        let times = self.fields.hours.from(hour).flat_map(move |h| minutes(h).map(move |m| (h, m)));
        times.filter_map(move |(h, m)| self.instant(date.at(h, m, 0, 0)))
    }

    fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let at = self.zone.to_ambiguous_timestamp(local);
        match at.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => at.earlier().ok(),
            AmbiguousOffset::Gap { .. } => {
                let before = at.earlier().ok()?;
                self.zone.following(before).next().map(|change| change.timestamp())
            }
        }
    }
}

impl Fields {
    fn has_day(&self, date: Date) -> bool {
        if !self.months.has(date.month()) {
            return false;
        }
        let in_month = self.days.has(date.day());
        let in_week = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        match (self.any_day, self.any_weekday) {
            (false, false) => in_month || in_week,
            _ => in_month && in_week,
        }
    }
}

impl Set {
    fn from(self, first: i8) -> impl Iterator<Item = i8> {
        (first..60).filter(move |n| self.has(*n))
    }
}

/// The start of a text from outside, for an error.
fn start_of(text: &str) -> String {
    text.chars().take(64).collect()
}

impl PartialEq for CronSchedule {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone_name == other.zone_name
    }
}

impl Eq for CronSchedule {}

impl fmt::Display for CronSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.expression, self.zone_name)
    }
}

impl Serialize for CronSchedule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = to.serialize_struct("CronSchedule", 2)?;
        fields.serialize_field("expression", &self.expression)?;
        fields.serialize_field("time_zone", &self.zone_name)?;
        fields.end()
    }
}

/// An expression alone is read in UTC.
impl FromStr for CronSchedule {
    type Err = CronError;

    fn from_str(expression: &str) -> Result<Self, CronError> {
        Self::new(expression, "UTC")
    }
}
