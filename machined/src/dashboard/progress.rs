//! The installation as lines: one when the step changes, and one for each tenth of it.

use super::snapshot::Install;

/// Parts of a step that are worth a line.
const PARTS: u64 = 10;

/// Whether somebody should see it.
pub(super) fn is_news(old: Option<&Install>, new: &Install) -> bool {
    if new.phase == "waiting" {
        return false;
    }
    let Some(old) = old else { return true };
    (&old.phase, &old.disk, &old.message) != (&new.phase, &new.disk, &new.message) || part(old) != part(new)
}

/// Percent, rate and remaining time, as far as they are known.
pub(super) fn line(install: &Install) -> String {
    let Install { disk, message, done, total, rate, remaining_ms, .. } = install;
    let mut line = format!("installation to {disk}: {message}");
    if *total > 0 {
        line = format!("{line}, {} %", percent(*done, *total));
        if *rate > 0 {
            line = format!("{line}, {} MB/s, {} s left", rate / 1_000_000, remaining_ms.div_ceil(1000));
        }
    }
    line
}

fn part(install: &Install) -> u64 {
    percent(install.done, install.total) * PARTS / 100
}

fn percent(done: u64, total: u64) -> u64 {
    let percent = (u128::from(done) * 100).checked_div(u128::from(total)).unwrap_or(0);
    u64::try_from(percent).unwrap_or(100).min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writing(done: u64) -> Install {
        Install {
            phase: "running".into(),
            disk: "/dev/vda".into(),
            message: "write-root".into(),
            done,
            total: 1000,
            rate: 210_000_000,
            remaining_ms: 4100,
        }
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let line = line(&writing(405));
        assert_eq!(line, "installation to /dev/vda: write-root, 40 %, 210 MB/s, 5 s left");
        let begun = Install { total: 0, ..writing(0) };
        assert_eq!(super::line(&begun), "installation to /dev/vda: write-root");
    }

    #[test]
    fn tenths_and_new_steps_are_news() {
        assert!(is_news(None, &writing(0)));
        assert!(!is_news(Some(&writing(0)), &writing(99)));
        assert!(is_news(Some(&writing(99)), &writing(100)));
        let next = Install { message: "verify".into(), ..writing(99) };
        assert!(is_news(Some(&writing(99)), &next));
        assert!(!is_news(None, &Install { phase: "waiting".into(), ..Install::default() }));
    }
}
