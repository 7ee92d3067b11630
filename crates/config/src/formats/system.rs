//! Forms of the kernel's names, of sizes and durations, and of plain words.

use std::time::Duration;

use super::Refusal;
use crate::types::size::{self, SizeRange};
use crate::types::span;

const WORD_MAX: usize = 255;
const BY_ID: &str = "/dev/disk/by-id/";
const HEALTH_DEADLINE: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(3600)];
const SOAK: [Duration; 2] = [Duration::ZERO, Duration::from_secs(600)];

pub(super) fn word(text: &str) -> Result<(), Refusal> {
    match text.chars().find(|c| !c.is_ascii_graphic()) {
        _ if text.is_empty() || text.len() > WORD_MAX => {
            Err(Refusal::because(format!("it has {} characters", text.len())))
        }
        Some(odd) => Err(Refusal::because(format!("the character {odd:?} is not allowed"))),
        None => Ok(()),
    }
}

pub(super) fn line(text: &str) -> Result<(), Refusal> {
    match text.chars().find(|c| c.is_control()) {
        _ if text.is_empty() || text.len() > WORD_MAX => {
            Err(Refusal::because(format!("it has {} characters", text.len())))
        }
        Some(odd) => Err(Refusal::because(format!("the character {odd:?} is not allowed"))),
        None if text.trim() != text => {
            Err(Refusal::because("there are blanks around it").suggest(text.trim()))
        }
        None => Ok(()),
    }
}

pub(super) fn disk_id(text: &str) -> Result<(), Refusal> {
    word(text)?;
    if !text.contains('/') {
        return Ok(());
    }
    let name = text.strip_prefix(BY_ID).filter(|name| !name.is_empty() && !name.contains('/'));
    Err(Refusal { reason: "it is a path and not a name".to_owned(), suggestion: name.map(str::to_owned) })
}

pub(super) fn disk_size(text: &str) -> Result<(), Refusal> {
    text.parse::<SizeRange>()
        .map(drop)
        .map_err(|reason| Refusal { reason, suggestion: size::suggestion(text) })
}

pub(super) fn health_deadline(text: &str) -> Result<(), Refusal> {
    duration(text, HEALTH_DEADLINE)
}

pub(super) fn soak(text: &str) -> Result<(), Refusal> {
    duration(text, SOAK)
}

fn duration(text: &str, [min, max]: [Duration; 2]) -> Result<(), Refusal> {
    let span = match span::parse(text) {
        Ok(span) => span,
        Err(reason) => {
            let compact: String = text.to_lowercase().split_whitespace().collect();
            let better = span::parse(&compact).is_ok_and(|span| (min..=max).contains(&span));
            return Err(Refusal { reason, suggestion: better.then_some(compact) });
        }
    };
    if span < min {
        return Err(Refusal::because("it is too short").suggest(span::format(min)));
    }
    if span > max {
        return Err(Refusal::because("it is too long").suggest(span::format(max)));
    }
    Ok(())
}

pub(super) fn module_name(text: &str) -> Result<(), Refusal> {
    if !text.is_empty() && text.chars().all(is_name_char) {
        return Ok(());
    }
    let refusal = Refusal::because("it is not the name of a module");
    let bare = text.strip_suffix(".ko").unwrap_or(text);
    match bare != text && bare.chars().all(is_name_char) {
        true => Err(refusal.suggest(bare)),
        false => Err(refusal),
    }
}

pub(super) fn module_parameter(text: &str) -> Result<(), Refusal> {
    word(text)?;
    let name = text.split('=').next().unwrap_or(text);
    match !name.is_empty() && name.chars().all(|c| is_name_char(c) || c == '.') {
        true => Ok(()),
        false => Err(Refusal::because(format!("{name:?} is not the name of a parameter"))),
    }
}

pub(super) fn sysctl(text: &str) -> Result<(), Refusal> {
    word(text)?;
    let parts = || text.split(['.', '/']);
    if parts().count() < 2 {
        return Err(Refusal::because("the area in front of the name is missing"));
    }
    match parts()
        .all(|part| !part.is_empty() && part.chars().all(|c| is_name_char(c) || c == ':' || c == '@'))
    {
        true => Ok(()),
        false => Err(Refusal::because("it does not name a file below /proc/sys")),
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}
