//! Forms that Kubernetes prescribes.

use super::{Refusal, network};

const NAME_MAX: usize = 63;
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn label_key(text: &str) -> Result<(), Refusal> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if let Some(prefix) = prefix {
        network::domain(prefix)
            .map_err(|refusal| Refusal::because(format!("in the prefix {prefix:?}, {}", refusal.reason)))?;
    }
    if name.is_empty() {
        return Err(Refusal::because("the name is empty"));
    }
    label_value(name)
}

pub(super) fn label_value(text: &str) -> Result<(), Refusal> {
    if text.len() > NAME_MAX {
        return Err(Refusal::because(format!("it has {} characters", text.len())));
    }
    if let Some(odd) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(*c))) {
        return Err(Refusal::because(format!("the character {odd:?} is not allowed")));
    }
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    match edge(text.chars().next()) && edge(text.chars().next_back()) {
        true => Ok(()),
        false => Err(Refusal::because("it starts or ends with something other than a letter or a digit")),
    }
}

pub(super) fn taint(text: &str) -> Result<(), Refusal> {
    let Some((pair, effect)) = text.rsplit_once(':') else {
        return Err(Refusal::because("the effect is missing").suggest(format!("{text}:NoSchedule")));
    };
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    label_key(key)?;
    label_value(value)?;
    if EFFECTS.contains(&effect) {
        return Ok(());
    }
    let refusal = Refusal::because(format!("{effect:?} is no effect"));
    Err(match crate::nearest::nearest(effect, EFFECTS) {
        Some(near) => refusal.suggest(format!("{pair}:{near}")),
        None => refusal,
    })
}

pub(super) fn flag(text: &str) -> Result<(), Refusal> {
    let bare = text.trim_start_matches('-');
    if bare != text {
        return Err(Refusal::because("it starts with a dash").suggest(bare));
    }
    match !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        true => Ok(()),
        false => Err(Refusal::because("it is not the name of a flag")),
    }
}
