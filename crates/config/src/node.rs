//! A YAML document as a tree in which every node knows its place.

/// A place in the text: line and column from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) end_line: usize,
    pub(crate) end_column: usize,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) data: Data,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// Text; `plain` when it stands without quotes, so that it may mean a number or nothing.
    Scalar { text: String, plain: bool },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the text; keys are unique.
    Mapping(Vec<Entry>),
    /// Something that was reported already.
    Invalid,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Mark,
    pub(crate) value: Node,
}

impl Node {
    /// Whether nothing stands here: `key:`, `key: ~` or `key: null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The entry called `key`.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.data {
            Data::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The place of what `path` leads to, or of the last step that exists.
    pub(crate) fn locate(&self, path: &[&str]) -> Mark {
        let Some((step, rest)) = path.split_first() else { return self.mark };
        match &self.data {
            Data::Sequence(items) => {
                let item = step.parse().ok().and_then(|index: usize| items.get(index));
                item.map_or(self.mark, |item| item.locate(rest))
            }
            _ => match self.entry(step) {
                // A nested document shows its key, a value shows itself.
                Some(entry) if rest.is_empty() && !matches!(entry.value.data, Data::Scalar { .. }) => {
                    entry.mark
                }
                Some(entry) => entry.value.locate(rest),
                None => self.mark,
            },
        }
    }

    /// Calls `visit` with the place of every scalar below.
    pub(crate) fn scalars(&self, visit: &mut impl FnMut(Mark)) {
        match &self.data {
            Data::Scalar { .. } => visit(self.mark),
            Data::Sequence(items) => items.iter().for_each(|item| item.scalars(visit)),
            Data::Mapping(entries) => entries.iter().for_each(|entry| entry.value.scalars(visit)),
            Data::Invalid => {}
        }
    }

    /// What it is, for people.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.data {
            _ if self.is_null() => "nothing",
            Data::Scalar { .. } => "a single value",
            Data::Sequence(_) => "a list",
            Data::Mapping(_) => "a mapping",
            Data::Invalid => "something unreadable",
        }
    }
}
