//! What the config's CA tells about the clock: it was made before this machine got it, and it ends some day.
//!
//! Without this, a machine whose clock has no battery, and whom no time server answers, makes certificates that nobody
//! takes any more, and finds those of others not valid yet.

use std::time::SystemTime;

use corten_pki::{CLOCK_SKEW, Validity};
use corten_resources::network::TimeStatus;
use corten_store::Store;
use corten_sys::system;

use crate::boot::fatal::say;

/// How the clock fits the CA.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It may be right.
    Plausible,
    /// The CA was not made yet; it was at that time.
    Early(SystemTime),
    /// The CA has ended.
    Late,
}

fn judge(ca: Validity, now: SystemTime) -> Verdict {
    // By how much a certificate begins before it is made.
    let made = ca.not_before + CLOCK_SKEW;
    match now {
        now if now < made => Verdict::Early(made),
        now if now > ca.not_after => Verdict::Late,
        _ => Verdict::Plausible,
    }
}

/// Sets a clock that is before the CA was made, unless a time server said so; and tells of one after its end, which is
/// more than a guess can mend.
pub(super) fn mend(store: &Store, ca: Validity) {
    let synced = store.get::<TimeStatus>(TimeStatus::ID).is_some_and(|time| time.spec.synced);
    match judge(ca, SystemTime::now()) {
        Verdict::Early(made) if !synced => match system::clock_not_before(made) {
            Ok(_) => say("corten: the clock was before the cluster's CA was made, and is set to that time"),
            Err(error) => tracing::warn!(%error, "the clock is wrong and cannot be set"),
        },
        Verdict::Late => say(&format!(
            "corten: by this clock ({:.0}) the cluster's CA has ended: nobody is let in until the clock is right",
            jiff::Timestamp::now()
        )),
        Verdict::Early(_) | Verdict::Plausible => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_ca_bounds_the_clock() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let ca = Validity { not_before: at(10_000), not_after: at(20_000) };
        let made = ca.not_before + CLOCK_SKEW;
        assert_eq!(judge(ca, at(0)), Verdict::Early(made));
        assert_eq!(judge(ca, at(10_000)), Verdict::Early(made));
        assert_eq!(judge(ca, made), Verdict::Plausible);
        assert_eq!(judge(ca, at(20_000)), Verdict::Plausible);
        assert_eq!(judge(ca, at(20_001)), Verdict::Late);
    }
}
