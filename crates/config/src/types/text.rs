//! Marks for the schema: which form a text has. The forms themselves are in [`crate::formats`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::formats;

/// Declares one mark per form: a type that exists only for its schema.
macro_rules! marks {
    ($($mark:ident => $format:literal,)*) => {$(
        #[doc = concat!("A text of the form `", $format, "`.")]
        #[derive(Debug)]
        pub(crate) enum $mark {}

        impl JsonSchema for $mark {
            fn schema_name() -> Cow<'static, str> {
                $format.into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text($format)
            }
        }
    )*

        #[cfg(test)]
        pub(crate) const MARKS: &[&str] = &[$($format,)*];
    };
}

marks! {
    Address => "address",
    CertificatePem => "certificate",
    Cidr => "cidr",
    DiskId => "disk-id",
    DiskSize => "disk-size",
    Domain => "domain",
    HealthDeadline => "health-deadline",
    Host => "host",
    HostName => "hostname",
    HttpUrl => "http-url",
    HttpsUrl => "https-url",
    Ip => "ip",
    LabelValue => "label-value",
    Line => "line",
    LinkName => "link-name",
    Mac => "mac",
    ModuleName => "module-name",
    ModuleParameter => "module-parameter",
    Pattern => "pattern",
    RegistryHost => "registry-host",
    SecretKey32 => "key32",
    SecretPem => "private-key",
    SecretToken => "token",
    Soak => "soak",
    Taint => "taint",
    Word => "word",
}

fn text(format: &str) -> Schema {
    match formats::find(format).is_some_and(|format| format.secret) {
        true => json_schema!({ "type": "string", "format": format, "x-secret": true }),
        false => json_schema!({ "type": "string", "format": format }),
    }
}
