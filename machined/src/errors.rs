//! How errors are told: the whole chain of causes, in one line.

use std::error::Error;

/// An error with everything that caused it, outermost first.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("mount the root")]
    struct Outer {
        source: std::io::Error,
    }

    #[test]
    fn the_whole_chain_is_told() {
        let error = Outer { source: std::io::Error::other("no such device") };
        assert_eq!(chain(&error), "mount the root: no such device");
    }
}
