//! Values with bounds, so that a mistake is found with its place in the file and an answer to what is allowed.

use std::{fmt, marker::PhantomData, time::Duration};

use review::Micros;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Highest amount of money, in dollars: beyond it a decimal point was forgotten.
const USD_MAX: u64 = 1_000_000;
const MICROS_PER_USD: u64 = 1_000_000;
const USD_DECIMALS: usize = 6;
/// What stands in the place of a limit where there is none.
const UNLIMITED: &str = "unlimited";

/// A whole number within bounds, both of them allowed.
pub fn whole<'de, const MIN: i64, const MAX: i64, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<i64>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_i64(Whole::<MIN, MAX, T>(PhantomData))
}

/// [`whole`] for a key that may be left out.
pub fn optional<'de, const MIN: i64, const MAX: i64, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: TryFrom<i64>,
    D: Deserializer<'de>,
{
    whole::<MIN, MAX, T, D>(deserializer).map(Some)
}

/// A whole number of seconds within bounds.
pub fn secs<'de, const MIN: i64, const MAX: i64, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    whole::<MIN, MAX, u64, D>(deserializer).map(Duration::from_secs)
}

/// A whole number of milliseconds within bounds.
pub fn millis<'de, const MIN: i64, const MAX: i64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    whole::<MIN, MAX, u64, D>(deserializer).map(Duration::from_millis)
}

/// A whole number of KiB within bounds, in bytes.
pub fn kib<'de, const MIN: i64, const MAX: i64, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    whole::<MIN, MAX, usize, D>(deserializer).map(|kib| kib * 1024)
}

/// A whole number within bounds, or none where `"unlimited"` stands.
#[derive(Clone, Copy)]
pub struct Limit<const MIN: i64, const MAX: i64>(pub Option<u32>);

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Limit<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitVisitor::<MIN, MAX>)
    }
}

struct LimitVisitor<const MIN: i64, const MAX: i64>;

impl<const MIN: i64, const MAX: i64> Visitor<'_> for LimitVisitor<MIN, MAX> {
    type Value = Limit<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}, or {UNLIMITED:?}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        let allowed = (MIN..=MAX).contains(&number).then(|| u32::try_from(number).ok()).flatten();
        allowed.map(|limit| Limit(Some(limit))).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text == UNLIMITED { Ok(Limit(None)) } else { Err(E::invalid_value(Unexpected::Str(text), &self)) }
    }
}

struct Whole<const MIN: i64, const MAX: i64, T>(PhantomData<T>);

impl<const MIN: i64, const MAX: i64, T: TryFrom<i64>> Visitor<'_> for Whole<MIN, MAX, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let wrong = || E::invalid_value(Unexpected::Signed(number), &self);
        if (MIN..=MAX).contains(&number) { T::try_from(number).map_err(|_| wrong()) } else { Err(wrong()) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<T, E> {
        Err(E::invalid_value(Unexpected::Other(&format!("integer `{number}`")), &self))
    }
}

/// An amount of dollars, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usd(pub Micros);

/// An amount of dollars as [`Micros`].
pub fn usd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
    Usd::deserialize(deserializer).map(|usd| usd.0)
}

/// [`usd`] for a key that may be left out.
pub fn optional_usd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Micros>, D::Error> {
    usd(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UsdVisitor)
    }
}

struct UsdVisitor;

impl Visitor<'_> for UsdVisitor {
    type Value = Usd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "US dollars from 0 to {USD_MAX} with at most {USD_DECIMALS} decimals, such as 0.30 or \"0.30\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Usd, E> {
        parse_usd(text).map(Usd).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Usd, E> {
        parse_usd(&number.to_string()).map(Usd).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    // The shortest text that reads back as the same number is the text that stood in the file, so that 0.30 is exact.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Usd, E> {
        parse_usd(&number.to_string()).map(Usd).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
}

fn parse_usd(text: &str) -> Option<Micros> {
    let (dollars, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(dollars) || !digits(decimals) || decimals.len() > USD_DECIMALS {
        return None;
    }
    let dollars = dollars.parse::<u64>().ok().filter(|usd| *usd <= USD_MAX)?;
    let micros = format!("{decimals:0<USD_DECIMALS$}").parse::<u64>().ok()?;
    Some(Micros(dollars * MICROS_PER_USD + micros)).filter(|sum| sum.0 <= USD_MAX * MICROS_PER_USD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly_or_not_at_all() {
        for (text, micros) in [
            ("0", 0),
            ("0.3", 300_000),
            ("0.30", 300_000),
            ("2.5", 2_500_000),
            ("0.000001", 1),
            ("1000000", 1_000_000_000_000),
        ] {
            assert_eq!(parse_usd(text), Some(Micros(micros)), "{text}");
        }
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "0.0000001", "1000000.1", "1 000", "NaN", "inf", "１"] {
            assert_eq!(parse_usd(text), None, "{text}");
        }
    }
}
