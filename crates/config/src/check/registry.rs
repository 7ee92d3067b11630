//! Registries: settings of a mirror that do not go together.

use super::{Checker, Place};

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    for (index, registry) in checker.documents.registries.iter().enumerate() {
        if registry.mirrors.is_empty() {
            let message = format!("the Registry {} has no mirrors and changes nothing", registry.host);
            checker.warning(
                &Place::new("Registry", index, &[]),
                message,
                "add mirrors, or remove the document",
            );
        }
        for (number, mirror) in registry.mirrors.iter().enumerate() {
            let number = number.to_string();
            let plain = mirror.endpoint.starts_with("http://");
            if plain && (mirror.ca.is_some() || mirror.skip_verify) {
                let message = format!("{} has no certificate to check", mirror.endpoint);
                let hint = "write https://, or remove ca and skipVerify";
                checker.contradiction(
                    &Place::new("Registry", index, &["mirrors", &number, "endpoint"]),
                    message,
                    hint,
                );
            } else if mirror.skip_verify && mirror.ca.is_some() {
                let message = "`ca` is given and `skipVerify` ignores it";
                let hint = "remove skipVerify";
                checker.contradiction(
                    &Place::new("Registry", index, &["mirrors", &number, "skipVerify"]),
                    message,
                    hint,
                );
            } else if mirror.skip_verify {
                let message = format!("anyone on the way can pose as {}", mirror.endpoint);
                let hint = "give the mirror's authority as `ca` instead";
                checker.warning(
                    &Place::new("Registry", index, &["mirrors", &number, "skipVerify"]),
                    message,
                    hint,
                );
            }
        }
    }
}
