use super::{CronError, start_of};

/// Numbers of a field, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub(super) const fn has(self, number: i8) -> bool {
        self.0 >> number & 1 == 1
    }
}

/// A parsed expression.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) minutes: Set,
    pub(super) hours: Set,
    pub(super) days: Set,
    pub(super) months: Set,
    /// From 0, Sunday, to 6.
    pub(super) weekdays: Set,
    /// Whether the day of the month is unrestricted: the field begins with `*`, as in Vixie's cron.
    pub(super) any_day: bool,
    /// The same of the day of the week.
    pub(super) any_weekday: bool,
}

/// What a field may hold.
struct Kind {
    name: &'static str,
    allowed: &'static str,
    min: u8,
    max: u8,
    /// Names of the numbers from `min` on.
    names: &'static [&'static str],
}

const MINUTE: Kind = Kind { name: "minute", allowed: "0 to 59", min: 0, max: 59, names: &[] };
const HOUR: Kind = Kind { name: "hour", allowed: "0 to 23", min: 0, max: 23, names: &[] };
const DAY: Kind = Kind { name: "day of the month", allowed: "1 to 31", min: 1, max: 31, names: &[] };
const MONTH: Kind = Kind {
    name: "month",
    allowed: "1 to 12 or JAN to DEC",
    min: 1,
    max: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
const WEEKDAY: Kind = Kind {
    name: "day of the week",
    allowed: "0 to 7 or SUN to SAT",
    min: 0,
    max: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
};

impl Fields {
    /// `None`: the text has not the shape of an expression.
    pub(super) fn parse(expression: &str) -> Result<Option<Self>, CronError> {
        let expression = match expression.to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            _ => expression,
        };
        let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return Ok(None) };
        let mut weekdays = set(&WEEKDAY, weekday)?;
        // 7 is Sunday too.
        weekdays.0 = (weekdays.0 | weekdays.0 >> 7) & 0x7f;
        Ok(Some(Self {
            minutes: set(&MINUTE, minute)?,
            hours: set(&HOUR, hour)?,
            days: set(&DAY, day)?,
            months: set(&MONTH, month)?,
            weekdays,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        }))
    }
}

fn set(kind: &Kind, text: &str) -> Result<Set, CronError> {
    let wrong = || CronError::Field { field: kind.name, text: start_of(text), allowed: kind.allowed };
    let mut bits = 0;
    for item in text.split(',') {
        bits |= item_bits(kind, item).ok_or_else(wrong)?;
    }
    Ok(Set(bits))
}

fn item_bits(kind: &Kind, item: &str) -> Option<u64> {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(digits(step).filter(|step| (1..=kind.max).contains(step))?)),
        None => (item, None),
    };
    let (first, last) = match range.split_once('-') {
        _ if range == "*" => (kind.min, kind.max),
        Some((first, last)) => (number(kind, first)?, number(kind, last)?),
        // `5/15` is from 5 on.
        None => number(kind, range).map(|n| (n, if step.is_some() { kind.max } else { n }))?,
    };
    if first > last {
        return None;
    }
    Some((first..=last).step_by(step.unwrap_or(1).into()).fold(0, |bits, n| bits | 1 << n))
}

fn number(kind: &Kind, text: &str) -> Option<u8> {
    let named = kind.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let number = match named {
        Some(at) => u8::try_from(at).ok()? + kind.min,
        None => digits(text)?,
    };
    (kind.min..=kind.max).contains(&number).then_some(number)
}

/// A plain number: no sign, and no more digits than a field's numbers have.
fn digits(text: &str) -> Option<u8> {
    if (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}
