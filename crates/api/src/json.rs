//! How enum values and bytes of the API look in JSON: the enum's own names, lower case, with dashes.

use serde::Serializer;

use crate::v1;

macro_rules! enum_field {
    ($($function:ident, $type:ident, $prefix:literal;)*) => {$(
        pub(crate) fn $function<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(&short(v1::$type::try_from(*value).unwrap_or_default().as_str_name(), $prefix))
        }
    )*};
}

enum_field! {
    stage, Stage, "STAGE_";
    watch_event, WatchEvent, "WATCH_EVENT_";
    apply_mode, ApplyMode, "APPLY_MODE_";
    change_effect, ChangeEffect, "CHANGE_EFFECT_";
    health_state, HealthState, "HEALTH_STATE_";
}

/// `STAGE_SHUTTING_DOWN` without its prefix is `shutting-down`.
pub(crate) fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', "-")
}

/// Bytes that are text in practice; what is not UTF-8 is replaced.
pub(crate) fn text<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(value))
}

macro_rules! display {
    ($($type:ident, $prefix:literal;)*) => {$(
        impl std::fmt::Display for v1::$type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&short(self.as_str_name(), $prefix))
            }
        }
    )*};
}

display! {
    Stage, "STAGE_";
    WatchEvent, "WATCH_EVENT_";
    ApplyMode, "APPLY_MODE_";
    ChangeEffect, "CHANGE_EFFECT_";
    HealthState, "HEALTH_STATE_";
}

#[cfg(test)]
mod tests {
    use crate::v1;

    #[test]
    fn enums_are_words_in_json_and_in_text() {
        let status = v1::StatusResponse { stage: v1::Stage::ShuttingDown.into(), ..Default::default() };
        assert_eq!(serde_json::to_value(&status).unwrap()["stage"], "shutting-down");
        assert_eq!(v1::HealthState::Passed.to_string(), "passed");
    }

    #[test]
    fn log_lines_are_text_in_json() {
        let line = v1::LogLine { time_unix_ms: 5, line: b"a\xffb".as_slice().into() };
        assert_eq!(serde_json::to_string(&line).unwrap(), "{\"timeUnixMs\":5,\"line\":\"a\u{fffd}b\"}");
    }
}
