//! "Did you mean": the allowed word that is closest to a mistyped one.

/// The word among `allowed` that `text` was probably meant to be: at most a third of its characters differ.
pub(crate) fn nearest<'a>(text: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase();
    let scored = allowed.into_iter().map(|word| (distance(&lower, &word.to_lowercase()), word));
    let (distance, word) = scored.min_by_key(|(distance, _)| *distance)?;
    let limit = (word.chars().count().max(text.chars().count()) / 3).max(1);
    (distance <= limit).then_some(word)
}

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours each count one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(LONGEST).collect(), b.chars().take(LONGEST).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// Longer words are compared up to here: keys of attackers must not cost time.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_others_are_not() {
        let allowed = ["addresses", "dhcp4", "mtu", "routes"];
        for (text, meant) in [
            ("adresses", Some("addresses")),
            ("DHCP4", Some("dhcp4")),
            ("mut", Some("mtu")),
            ("route", Some("routes")),
            ("gateway", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, allowed), meant, "{text}");
        }
    }
}
