//! The kernel command line, from a list of arguments with reasons.

use serde::Deserialize;

use crate::verity::RootHash;

/// How the argument starts that names the root image.
pub const ROOT_HASH: &str = "corten.roothash=";

/// The list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// In the order in which the kernel gets them.
    #[serde(rename = "argument")]
    pub arguments: Vec<Argument>,
}

/// One argument.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// As the kernel gets it.
    pub value: String,
    /// What it is for.
    pub reason: String,
}

impl Arguments {
    /// The whole line for an image with this root hash.
    pub fn line(&self, root: &RootHash) -> String {
        let arguments = self.arguments.iter().map(|argument| argument.value.as_str());
        let mut words: Vec<&str> = arguments.collect();
        let root = format!("{ROOT_HASH}{root}");
        words.push(&root);
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_the_image_are_single_words_with_reasons() {
        let text = include_str!("../../../kernel/cmdline.toml");
        let list: Arguments = toml::from_str(text).unwrap();
        assert!(!list.arguments.is_empty());
        for argument in &list.arguments {
            assert!(!argument.value.contains(char::is_whitespace), "{}", argument.value);
            assert!(!argument.reason.is_empty(), "{}", argument.value);
        }
    }
}
