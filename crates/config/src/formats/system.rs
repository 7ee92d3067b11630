//! Forms of the kernel's names, and of plain words.

use super::Refusal;

const WORD_MAX: usize = 255;

pub(super) fn word(text: &str) -> Result<(), Refusal> {
    match text.chars().find(|c| !c.is_ascii_graphic()) {
        _ if text.is_empty() || text.len() > WORD_MAX => {
            Err(Refusal::because(format!("it has {} characters", text.len())))
        }
        Some(odd) => Err(Refusal::because(format!("the character {odd:?} is not allowed"))),
        None => Ok(()),
    }
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
