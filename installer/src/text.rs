//! Sizes for people.

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// `16 MiB`, `19.5 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    let power = (1..UNITS.len()).take_while(|power| bytes >> (10 * power) > 0).count();
    let unit = UNITS.get(power).copied().unwrap_or_default();
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {unit}"),
        (whole, tenth) => format!("{whole}.{tenth} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_a_unit_and_at_most_one_digit_after_the_point() {
        let cases = [
            (0, "0 B"),
            (512, "512 B"),
            (16 << 20, "16 MiB"),
            (20_937_965_568, "19.5 GiB"),
            (1 << 41, "2 TiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(super::size(bytes), text);
        }
    }
}
