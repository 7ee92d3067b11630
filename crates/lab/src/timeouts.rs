//! Patience that fits the machine: what takes a second under KVM takes several under emulation.

use crate::Accel;
use std::time::Duration;

/// Factor for emulation. A boot to Ready takes 80 s emulated on a quiet machine and 260 s on one whose neighbours are busy,
/// where KVM needs about 12 s; deadlines are for the busy one.
const EMULATION: f64 = 8.0;

/// A scale for every deadline of the lab and its tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeouts {
    factor: f64,
}

impl Timeouts {
    /// 1 under KVM, 8 under emulation; `CORTEN_TIMEOUT_FACTOR` multiplies it on a slow or busy machine.
    #[must_use]
    pub fn new(accel: Accel) -> Self {
        let wanted = std::env::var("CORTEN_TIMEOUT_FACTOR").ok();
        Self::with_override(accel, wanted.as_deref())
    }

    fn with_override(accel: Accel, wanted: Option<&str>) -> Self {
        let base = match accel {
            Accel::Kvm => 1.0,
            Accel::Tcg => EMULATION,
        };
        let extra = wanted.and_then(|text| text.parse::<f64>().ok()).filter(|x| x.is_finite() && *x > 0.0);
        Self { factor: base * extra.unwrap_or(1.0) }
    }

    /// That many seconds of a machine under KVM.
    #[must_use]
    pub fn seconds(self, seconds: u32) -> Duration {
        Duration::from_secs_f64(f64::from(seconds) * self.factor)
    }

    /// Power on until the API answers.
    #[must_use]
    pub fn api(self) -> Duration {
        self.seconds(20)
    }

    /// Power on, or bootstrap, until the node is Ready in Kubernetes.
    #[must_use]
    pub fn ready(self) -> Duration {
        self.seconds(50)
    }

    /// Request until the machine is off.
    #[must_use]
    pub fn power_off(self) -> Duration {
        self.seconds(15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulation_gets_eight_times_the_time_and_the_environment_multiplies() {
        let seconds = |accel, wanted| Timeouts::with_override(accel, wanted).seconds(10).as_secs();
        assert_eq!(seconds(Accel::Kvm, None), 10);
        assert_eq!(seconds(Accel::Tcg, None), 80);
        assert_eq!(seconds(Accel::Tcg, Some("0.5")), 40);
        assert_eq!(seconds(Accel::Kvm, Some("nonsense")), 10);
        assert_eq!(seconds(Accel::Kvm, Some("-1")), 10);
    }
}
