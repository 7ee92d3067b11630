//! Times, spans and sizes as people read and write them.

use std::time::Duration;

use jiff::Timestamp;

/// `2.5 s`, `3m12s`, `5h3m`, `12d4h`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// How long ago a moment was, by the clock of this machine.
pub(crate) fn ago(unix_ms: i64, now_unix_ms: i64) -> String {
    if unix_ms == 0 {
        return "-".to_owned();
    }
    span(Duration::from_millis(u64::try_from(now_unix_ms - unix_ms).unwrap_or(0)))
}

/// The present, milliseconds since 1970.
pub(crate) fn now_unix_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// `2026-11-21T12:00:00.123Z`.
pub(crate) fn moment(unix_ms: i64) -> String {
    let format = |time: Timestamp| format!("{time:.3}");
    Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), format)
}

/// `2026-11-21`, or `-` for none.
pub(crate) fn day(unix: i64) -> String {
    match Timestamp::from_second(unix) {
        Ok(time) if unix != 0 => time.strftime("%Y-%m-%d %H:%M").to_string(),
        _ => "-".to_owned(),
    }
}

/// `512 B`, `1.5 KiB`, `23 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Sizes are shown with three digits: what a float loses does not show.
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or("TiB");
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// Read `90`, `90s`, `5m`, `2h`, `1d` or `500ms`.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("'{text}' is no span of time: want a number with ms, s, m, h or d");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let scale = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(scale).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let show = |ms| span(Duration::from_millis(ms));
        assert_eq!(
            [250, 9_940, 59_000, 192_000, 7_380_000, 97_200_000].map(show),
            ["0.2s", "9.9s", "59s", "3m12s", "2h3m", "1d3h"]
        );
        assert_eq!(ago(0, 5), "-");
        assert_eq!(ago(1000, 900), "0.0s", "a clock that is ahead makes no huge number");
    }

    #[test]
    fn spans_are_read() {
        assert_eq!(parse_span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_span("90"), parse_span("90s"));
        assert_eq!(parse_span("2h"), Ok(Duration::from_secs(7200)));
        for text in ["", "s", "5x", "-1s", "1.5s", "99999999999999999999", "999999999999999999d"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        let sizes = [0, 1023, 1024, 1536, 23 << 20, (1 << 20) - 1, 5 << 40].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "23 MiB", "1.0 MiB", "5.0 TiB"]);
    }

    #[test]
    fn moments() {
        assert_eq!(moment(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(day(1_700_000_000), "2023-11-14 22:13");
        assert_eq!(day(0), "-");
    }
}
