//! How long files are, and how much of them is tests and words: STYLE section 2 gives the aims.

/// Sizes of the Rust files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    files: usize,
    median: usize,
    p90: usize,
    comments_percent: usize,
    tests_percent: usize,
}

impl std::fmt::Display for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { files, median, p90, comments_percent, tests_percent } = self;
        write!(
            f,
            "{files} Rust files; lines without tests: median {median} (aim 120), p90 {p90} (aim 350); \
             comments {comments_percent}% (aim 12 to 20); test lines {tests_percent}% of product lines (aim 80)"
        )
    }
}

/// Measures files, given as their path and text.
pub(super) fn measure<'a>(sources: impl Iterator<Item = (&'a str, &'a str)>) -> Sizes {
    let (mut lengths, mut comments, mut tests) = (Vec::new(), 0, 0);
    for (path, text) in sources {
        let lines: Vec<&str> = text.lines().collect();
        if is_test(path) {
            tests += lines.len();
            continue;
        }
        let product = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1] == "mod tests {");
        let product = product.unwrap_or(lines.len());
        comments += lines[..product].iter().filter(|line| line.trim_start().starts_with("//")).count();
        tests += lines.len() - product;
        lengths.push(product);
    }
    lengths.sort_unstable();
    let total: usize = lengths.iter().sum();
    let at = |percent: usize| lengths.get(lengths.len() * percent / 100).copied().unwrap_or_default();
    let percent = |part: usize| part * 100 / total.max(1);
    Sizes {
        files: lengths.len(),
        median: at(50),
        p90: at(90),
        comments_percent: percent(comments),
        tests_percent: percent(tests),
    }
}

fn is_test(path: &str) -> bool {
    let folder = path.split('/').any(|part| part == "tests");
    folder || path.ends_with("tests.rs") || path.ends_with("fixtures.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count_as_product() {
        let with_tests = "//! A.\nfn a() {}\n#[cfg(test)]\nmod tests {\n}\n";
        let plain = "//! B.\n#[cfg(test)]\nmod fixtures;\nfn c() {}\n";
        let sources =
            [("a.rs", with_tests), ("b.rs", plain), ("a/tests.rs", "//! T.\n"), ("tests/a.rs", "//! T.\n")];
        let sizes = measure(sources.into_iter());
        assert_eq!((sizes.files, sizes.median, sizes.p90), (2, 4, 4));
        assert_eq!((sizes.comments_percent, sizes.tests_percent), (2 * 100 / 6, 5 * 100 / 6));
        assert_eq!(measure(std::iter::empty()).median, 0);
    }
}
