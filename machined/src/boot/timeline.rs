//! The node's own record of how it booted: named marks with the time since the kernel started.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use corten_resources::runtime::{BootMark, BootTimeline};

/// Marks, in the order in which they were reached. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    marks: Arc<Mutex<Vec<(String, Duration)>>>,
}

impl Timeline {
    /// Notes that `name` is reached now.
    pub fn mark(&self, name: impl Into<String>) {
        self.mark_at(name, corten_sys::system::uptime());
    }

    /// Notes that `name` is reached now, unless it was before.
    pub fn mark_once(&self, name: &str) {
        let known = self.lock().iter().any(|(known, _)| known == name);
        if !known {
            self.mark(name);
        }
    }

    fn mark_at(&self, name: impl Into<String>, at: Duration) {
        self.lock().push((name.into(), at));
    }

    /// The resource that the API shows.
    pub fn snapshot(&self) -> BootTimeline {
        let marks = self.lock();
        let marks = marks.iter().map(|(name, at)| BootMark { name: name.clone(), at_ms: milliseconds(*at) });
        BootTimeline { marks: marks.collect() }
    }

    /// One line, for the environment of the next program.
    pub fn encode(&self) -> String {
        let marks = self.lock();
        let marks = marks.iter().map(|(name, at)| format!("{}={name}", milliseconds(*at)));
        marks.collect::<Vec<_>>().join(";")
    }

    /// The reverse of [`Timeline::encode`]; what cannot be read is left out.
    pub fn decode(text: &str) -> Self {
        let timeline = Self::default();
        for (at, name) in text.split(';').filter_map(|mark| mark.split_once('=')) {
            if let Ok(at) = at.parse() {
                timeline.mark_at(name, Duration::from_millis(at));
            }
        }
        timeline
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, Duration)>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_the_change_of_programs() {
        let timeline = Timeline::default();
        timeline.mark_at("init", Duration::from_micros(2_500_900));
        timeline.mark_at("root switched", Duration::from_millis(4200));
        assert_eq!(timeline.encode(), "2500=init;4200=root switched");
        let next = Timeline::decode(&timeline.encode());
        assert_eq!(next.snapshot(), timeline.snapshot());
        next.mark_once("init");
        assert_eq!(next.snapshot().marks.len(), 2);
    }

    #[test]
    fn nonsense_is_left_out() {
        assert_eq!(Timeline::decode("").snapshot().marks.len(), 0);
        assert_eq!(Timeline::decode("x=1;7=a;b").snapshot().marks, [BootMark { name: "a".into(), at_ms: 7 }]);
    }
}
