//! Dates for people: seconds since 1970 and the calendar, in UTC. It does not look at the clock.

/// Days from the first of March of the year 0 to 1970.
const DAYS_TO_1970: u64 = 719_468;
const DAYS_PER_400_YEARS: u64 = 146_097;
/// Last year that is read.
const YEAR_MAX: u64 = 9_999;

/// The day, as `2026-07-28`.
pub(crate) fn date(unix_s: u64) -> String {
    // https://howardhinnant.github.io/date_algorithms.html, civil_from_days; years begin in March.
    let days = unix_s / 86_400 + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = match month_from_march {
        0..10 => month_from_march + 3,
        _ => month_from_march - 9,
    };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Seconds since 1970 of a time such as `2026-07-28T23:30:00Z`, or of the first moment of a day.
///
/// # Errors
/// It is none, or before 1970; the text says what one looks like.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    read(text).ok_or_else(|| "no time in UTC, hint: for example `2026-07-28T23:30:00Z`".to_owned())
}

fn read(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time.strip_suffix('Z')?, ':', [2, 2, 2])?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let fits = (1_970..=YEAR_MAX).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !fits {
        return None;
    }
    // days_from_civil of the same page.
    let year = year - u64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - DAYS_TO_1970;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Three numbers of so many digits each.
fn numbers(text: &str, between: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        *number = part
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_seconds_agree() {
        for (text, unix_s) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2026-07-28", 1_785_196_800),
            ("2100-02-28", 4_107_456_000),
            ("2100-03-01", 4_107_542_400),
        ] {
            assert_eq!(parse(text), Ok(unix_s), "{text}");
            assert_eq!(date(unix_s + 86_399), text);
        }
        assert_eq!(parse("2026-07-28T23:30:01Z"), Ok(1_785_196_800 + 84_601));
        for day in 0..200_000 {
            assert_eq!(parse(&date(day * 86_400)), Ok(day * 86_400));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "1969-12-31",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-04-31",
            "2026-7-28",
            "2026-07-28T24:00:00Z",
            "2026-07-28T10:00:00",
            "2026-07-28T10:00Z",
            "2026-07-28T10:00:00+01:00",
            "+026-07-28",
            "2026-07-28-01",
        ] {
            assert!(parse(text).is_err_and(|error| error.contains("hint:")), "{text}");
        }
    }
}
