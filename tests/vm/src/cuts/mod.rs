//! Where to cut the power in a recording: the moments that matter, each phase of a machine's life with its share.
//!
//! A phase is what was going on; it begins at a [`Moment`] that was noted while the machine ran. Within a phase, the few
//! writes to table, EFI partition, META and STATE get as many cuts as the many to slots and EPHEMERAL. Three kinds of cut
//! take turns: what was not flushed is lost; all that was written is there; half of a write is there.

#[cfg(test)]
mod tests;

use std::ops::Range;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use corten_constants::labels;
use corten_lab::writelog::{Cut, Entry, Kind, Log, Moment, Recording, Replay};
use installer::layout::{self, Extent};

use crate::replayed::{Found, Known, look};

/// A time that ends when the next one begins.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// Its entries.
    pub entries: Range<usize>,
}

/// Beginnings of phases, in order.
#[derive(Debug, Clone)]
pub struct Diary(Vec<(&'static str, Moment)>);

impl Diary {
    /// The first phase begins before the first write.
    #[must_use]
    pub fn new(first: &'static str) -> Self {
        Self(vec![(first, Moment::default())])
    }

    /// From now on it is this phase; the machine may run.
    pub fn begin(&mut self, name: &'static str, recording: &Recording) -> Result<()> {
        self.0.push((name, recording.moment()?));
        Ok(())
    }

    /// The phases in a log. The last one goes on to its end.
    #[must_use]
    pub fn phases(&self, log: &Log) -> Vec<Phase> {
        let starts = self.0.iter().map(|(_, moment)| log.entries_at(*moment));
        // What comes before the first moment is the first phase's.
        let mut starts: Vec<usize> = [0].into_iter().chain(starts.skip(1)).collect();
        starts.push(log.entries().len());
        let phase = |((name, _), ends): (&(&'static str, Moment), &[usize])| Phase {
            name,
            entries: ends[0]..ends[1],
        };
        self.0.iter().zip(starts.windows(2)).map(phase).collect()
    }
}

/// A moment to cut the power at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerCut {
    /// The phase.
    pub phase: &'static str,
    /// How the power goes.
    pub cut: Cut,
}

/// Where a write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Area {
    Table,
    Efi,
    Meta,
    State,
    /// Slots and EPHEMERAL.
    Rest,
}

const AREAS: [Area; 5] = [Area::Table, Area::Efi, Area::Meta, Area::State, Area::Rest];

/// Chooses `count` moments in the recording of a system disk, in the order in which a [`Replay`] reaches them.
pub fn choose(log: &Log, phases: &[Phase], bytes: u64, count: usize) -> Result<Vec<PowerCut>> {
    let extents = layout::place(bytes).context("lay out the recorded disk")?;
    let writes = log.writes();
    let of_phase = |phase: &Phase| -> Vec<usize> {
        writes.iter().copied().filter(|place| phase.entries.contains(place)).collect()
    };
    let by_phase: Vec<Vec<usize>> = phases.iter().map(of_phase).collect();
    let mut places = Vec::new();
    for ((phase, writes), share) in phases.iter().zip(&by_phase).zip(shares(&lengths(&by_phase), count)) {
        let by_area = AREAS.map(|wanted| -> Vec<usize> {
            let here = |place: &usize| area(&extents, log.entries()[*place].offset) == wanted;
            writes.iter().copied().filter(here).collect()
        });
        places.extend(spread_over(&by_area, share).into_iter().map(|place| (phase.name, place)));
    }
    Ok(cuts(log.entries(), &places))
}

/// The first byte decides: whoever writes does not write over the end of a partition.
fn area(extents: &[Extent], at: u64) -> Area {
    let here = |extent: &&Extent| (extent.start..extent.start + extent.length).contains(&at);
    match extents.iter().find(here).map(|extent| extent.spec.label) {
        None => Area::Table,
        Some(labels::EFI) => Area::Efi,
        Some(labels::META) => Area::Meta,
        Some(labels::STATE) => Area::State,
        Some(_) => Area::Rest,
    }
}

fn lengths(groups: &[Vec<usize>]) -> Vec<usize> {
    groups.iter().map(Vec::len).collect()
}

/// `count` places in order, from all groups alike as long as they have some.
fn spread_over(groups: &[Vec<usize>], count: usize) -> Vec<usize> {
    let spread = |(places, share): (&Vec<usize>, usize)| -> Vec<usize> {
        (1..=share).map(|number| places[number * places.len() / share - 1]).collect()
    };
    let mut chosen: Vec<usize> =
        groups.iter().zip(shares(&lengths(groups), count)).flat_map(spread).collect();
    chosen.sort_unstable();
    chosen
}

/// Gives each the same, but none more than it has.
fn shares(has: &[usize], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..has.len()).collect();
    order.sort_by_key(|index| has[*index]);
    let (mut left, mut shares) = (count, vec![0; has.len()]);
    for (done, index) in order.iter().enumerate() {
        shares[*index] = has[*index].min(left / (has.len() - done));
        left -= shares[*index];
    }
    shares
}

/// The kinds take turns. A replay cannot lose what an earlier moment had to have, so sometimes a kind has to be passed over.
fn cuts(entries: &[Entry], places: &[(&'static str, usize)]) -> Vec<PowerCut> {
    let (mut touched, mut chosen) = (0, Vec::new());
    for (number, (phase, place)) in places.iter().copied().enumerate() {
        let entry = &entries[place];
        let flushed = entries[..=place].iter().rposition(Entry::is_barrier).unwrap_or(0);
        let half = entry.bytes / 512 / 2;
        let cut = match number % 3 {
            0 if flushed >= touched => Cut::Flushed(place + 1),
            1 if entry.kind == Kind::Write && half > 0 => Cut::Torn(place, half),
            _ => Cut::Kept(place + 1),
        };
        let forced = entries[flushed..=place].iter().any(|entry| entry.forced);
        touched = match cut {
            Cut::Flushed(_) if !forced => flushed,
            _ => place + 1,
        };
        chosen.push(PowerCut { phase, cut });
    }
    chosen
}

/// A disk that goes from one moment to the next, and is looked at.
#[derive(Debug)]
pub struct Walk<'a> {
    replay: Replay<'a>,
    path: &'a Utf8Path,
    known: &'a Known,
}

impl<'a> Walk<'a> {
    /// Begins before the first write, in a new file.
    pub fn new(log: &'a Log, recording: &Recording, path: &'a Utf8Path, known: &'a Known) -> Result<Self> {
        Ok(Self { replay: Replay::new(log, recording, path)?, path, known })
    }

    /// Goes on to a moment, and says what is found then.
    pub fn to(&mut self, cut: Cut) -> Result<Found> {
        self.replay.to(cut)?;
        look(self.path, self.known)
    }
}
