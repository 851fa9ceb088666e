use proptest::prelude::*;

use super::*;

fn schedule(expression: &str, zone: &str) -> CronSchedule {
    CronSchedule::new(expression, zone).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next times after one, in the zone's own time.
fn next(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(expression, zone);
    let mut times = Vec::new();
    let mut after = at(after);
    for _ in 0..count {
        after = schedule.next_after(after).unwrap();
        times.push(after.to_string());
    }
    times
}

#[test]
fn fields_lists_ranges_and_steps_name_their_times() {
    let from = "2026-01-01T00:00:00Z";
    assert_eq!(next("30 9 * * *", "UTC", from, 2), ["2026-01-01T09:30:00Z", "2026-01-02T09:30:00Z"]);
    assert_eq!(
        next("*/20 8-9 * * *", "UTC", from, 3),
        ["2026-01-01T08:00:00Z", "2026-01-01T08:20:00Z", "2026-01-01T08:40:00Z"]
    );
    assert_eq!(
        next("5/25,59 0 * * *", "UTC", from, 4),
        ["2026-01-01T00:05:00Z", "2026-01-01T00:30:00Z", "2026-01-01T00:55:00Z", "2026-01-01T00:59:00Z"]
    );
    // The first of January 2026 is a Thursday.
    assert_eq!(next("0 6 * * MON-fri/2", "UTC", from, 2), ["2026-01-02T06:00:00Z", "2026-01-05T06:00:00Z"]);
    assert_eq!(next("0 0 29 2 *", "UTC", from, 1), ["2028-02-29T00:00:00Z"]);
    assert_eq!(next("0 0 1 jan,JUL *", "UTC", from, 2), ["2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
}

#[test]
fn a_day_that_fits_either_restricted_field_fits() {
    let times = next("0 0 13 * 5", "UTC", "2026-01-01T00:00:00Z", 4);
    assert_eq!(times, ["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z", "2026-01-16T00:00:00Z"]);
    assert_eq!(
        next("0 0 */10 * 0", "UTC", "2026-01-01T00:00:00Z", 1),
        ["2026-01-11T00:00:00Z"],
        "a step of all is all"
    );
}

#[test]
fn sunday_has_two_numbers_and_names_have_their_expressions() {
    for (name, expression) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@MIDNIGHT", "0 0 * * *"),
        ("@weekly", "0 0 * * 7"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 JAN *"),
        ("@annually", "0 0 1 1 *"),
    ] {
        let from = "2026-03-04T05:06:07Z";
        assert_eq!(next(name, "UTC", from, 3), next(expression, "UTC", from, 3), "{name}");
    }
}

#[test]
fn a_time_that_does_not_exist_fires_once_right_after_the_gap() {
    // Berlin: at 02:00 on 29 March 2026 the clocks show 03:00, which is 01:00 UTC.
    let daily = next("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
    assert_eq!(daily, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    let quarters = next("*/15 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2);
    assert_eq!(quarters, ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"], "all of the gap together");
    let around = next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 3);
    assert_eq!(around, ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]);
    // Samoa had no 30 December 2011 at all.
    let days = next("0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", 2);
    assert_eq!(days, ["2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]);
}

#[test]
fn a_time_that_exists_twice_fires_once() {
    // Berlin: at 03:00 on 25 October 2026, 01:00 UTC, the clocks show 02:00 again.
    let daily = next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
    assert_eq!(daily, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    // A week across the end of daylight saving has one run, an hour later by UTC.
    let weekly = next("0 9 * * MON", "America/New_York", "2026-10-26T14:00:00Z", 2);
    assert_eq!(weekly, ["2026-11-02T14:00:00Z", "2026-11-09T14:00:00Z"]);
    let from_within = schedule("45 2 * * *", "Europe/Berlin").next_after(at("2026-10-25T01:10:00Z")).unwrap();
    assert_eq!(from_within, at("2026-10-26T01:45:00Z"), "asked within the second pass");
}

#[test]
fn what_is_no_schedule_is_refused_with_what_is_allowed() {
    let refused = |expression: &str| CronSchedule::new(expression, "UTC").unwrap_err().to_string();
    for text in ["", "* * * *", "* * * * * *", "@often", &"1,".repeat(400)] {
        assert!(refused(text).contains("expected five fields"), "{text}");
    }
    for (text, named) in [
        ("60 * * * *", "\"60\" is no minute: expected 0 to 59"),
        ("* 24 * * *", "\"24\" is no hour"),
        ("* * 0 * *", "\"0\" is no day of the month"),
        ("* * * 13 *", "\"13\" is no month: expected 1 to 12 or JAN to DEC"),
        ("* * * * 8", "\"8\" is no day of the week"),
        ("5-1 * * * *", "\"5-1\" is no minute"),
        ("*/0 * * * *", "\"*/0\" is no minute"),
        ("*/60 * * * *", "no minute"),
        ("1,,2 * * * *", "no minute"),
        ("+5 * * * *", "no minute"),
        ("-5 * * * *", "no minute"),
        ("005 * * * *", "no minute"),
        ("1/2/3 * * * *", "no minute"),
        ("? * * * *", "no minute"),
        ("* * * * MONDAY", "no day of the week"),
        ("\u{661} * * * *", "no minute"),
    ] {
        assert!(refused(text).contains(named), "{text}: {}", refused(text));
    }
    assert!(refused("0 0 30 2 *").contains("never fires"));
    for zone in ["", "Mars/Olympus", "../etc/passwd", "Europe/Berlin\0", &"x".repeat(1_000)] {
        let error = CronSchedule::new("@daily", zone).unwrap_err().to_string();
        assert!(error.contains("expected a name of the IANA database") && error.len() < 500, "{error}");
    }
}

proptest! {
    #[test]
    fn times_rise_and_none_between_is_left_out(
        minute in 0_u8..60, hour in 0_u8..24, weekday in 0_u8..7, since in 0_i64..2_000_000_000,
        zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe")],
    ) {
        let schedule = schedule(&format!("{minute} {hour} * * {weekday}"), zone);
        let after = Timestamp::from_second(since).unwrap();
        let first = schedule.next_after(after).unwrap();
        prop_assert!(first > after);
        prop_assert_eq!(schedule.next_after(first - std::time::Duration::from_nanos(1)), Some(first));
        let second = schedule.next_after(first).unwrap();
        let hours = (second - first).as_secs() / 3_600;
        prop_assert!((166..=169).contains(&hours), "once a week, and {} came {} hours later", second, hours);
    }

    #[test]
    fn no_text_makes_it_panic(expression in "\\PC{0,40}", zone in "\\PC{0,20}") {
        let _ = CronSchedule::new(&expression, &zone);
        let _ = CronSchedule::new(&format!("{expression} * * * *"), "UTC");
    }
}
