//! Long matrices: every run takes a rotating slice, `cargo xtask test --long` takes all.

use std::env;

/// Whether this run takes every row of every matrix.
fn long() -> bool {
    env::var("CORTEN_TEST_LONG").is_ok_and(|value| value == "1")
}

/// `count` rows of a matrix, other ones in each run. `CORTEN_TEST_SLICE` chooses which; without it, the day does,
/// so that a failure can be repeated for the rest of the day.
#[must_use]
pub fn rotating<T: Clone>(rows: &[T], count: usize) -> Vec<T> {
    if long() {
        return rows.to_vec();
    }
    window(rows, count, chosen())
}

/// The same for a test that runs in one of [`TURNS`] runs only: it goes on with the next rows each time.
#[must_use]
pub fn rotating_in_turn<T: Clone>(rows: &[T], count: usize) -> Vec<T> {
    if long() {
        return rows.to_vec();
    }
    window(rows, count, chosen() / TURNS)
}

/// Into so many groups are the tests divided that take turns; each group takes six to seven minutes under emulation.
pub(crate) const TURNS: usize = 4;

/// Whether a test that takes turns is to run in this run.
pub(crate) fn has_turn(turn: usize) -> bool {
    long() || chosen() % TURNS == turn
}

fn chosen() -> usize {
    let chosen = env::var("CORTEN_TEST_SLICE").ok().and_then(|text| text.parse().ok());
    chosen.unwrap_or_else(today)
}

fn today() -> usize {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    usize::try_from(now.as_secs() / 86_400).unwrap_or(0)
}

fn window<T: Clone>(rows: &[T], count: usize, number: usize) -> Vec<T> {
    rows.iter()
        .cycle()
        .skip((number * count) % rows.len().max(1))
        .take(count.min(rows.len()))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_turn() {
        let rows = ['a', 'b', 'c', 'd', 'e'];
        let mut seen: Vec<char> = (0..3).flat_map(|number| window(&rows, 2, number)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, rows);
        assert_eq!(window(&rows, 9, 4).len(), 5);
        assert!(window(&[] as &[u8], 2, 7).is_empty());
    }
}
