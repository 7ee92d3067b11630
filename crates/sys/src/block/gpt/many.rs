//! The tables of all disks, when some may hang.

use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{GptError, Partition, read};
use crate::block::Disk;

type Answer = Result<Vec<Partition>, GptError>;

/// Reads each disk on a thread of its own, so that one that is dying keeps nobody from the others.
#[derive(Debug, Default)]
pub struct Reader {
    /// Names of disks whose thread has not come back. They get no second one.
    busy: Arc<Mutex<BTreeSet<String>>>,
}

impl Reader {
    /// The tables, in the order of the disks. One that does not answer within `limit` is [`GptError::Silent`], at once
    /// when it did not the last time either.
    pub fn read(&self, disks: &[Disk], limit: Duration) -> Vec<Answer> {
        let end = Instant::now() + limit;
        let silent = |disk: &Disk| Err(GptError::Silent { device: disk.path.to_string() });
        let mut answers: Vec<Answer> = disks.iter().map(silent).collect();
        let (sender, arriving) = channel();
        for numbered in disks.iter().enumerate() {
            self.start(numbered, sender.clone());
        }
        drop(sender); // the last answer ends the wait
        while let Ok((number, answer)) = arriving.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            answers.splice(number..=number, [answer]);
        }
        answers
    }

    fn start(&self, (number, disk): (usize, &Disk), sender: Sender<(usize, Answer)>) {
        if !lock(&self.busy).insert(disk.name.clone()) {
            return;
        }
        let (disk, busy) = (disk.clone(), Arc::clone(&self.busy));
        let name = disk.name.clone();
        let thread = std::thread::Builder::new().name("table".into()).spawn(move || {
            let answer = read(&disk.path, disk.sector_size);
            lock(&busy).remove(&disk.name);
            let _ = sender.send((number, answer)); // nobody may be waiting any more
        });
        if thread.is_err() {
            lock(&self.busy).remove(&name);
        }
    }
}

fn lock(busy: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    busy.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;
    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn a_disk_that_hangs_keeps_nobody_from_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        let disk = |name: &str| Disk {
            name: name.into(),
            path: dir.join(name),
            sector_size: 512,
            ..Disk::default()
        };
        // Whoever opens a pipe to read waits until somebody writes.
        nix::unistd::mkfifo(dir.join("dying").as_std_path(), Mode::S_IRWXU).unwrap();
        std::fs::write(dir.join("blank"), [0; 4096]).unwrap();
        let (disks, reader) = ([disk("dying"), disk("blank")], Reader::default());
        let told = |answers: Vec<Answer>| -> Vec<String> {
            answers.into_iter().map(|answer| answer.unwrap_err().to_string()).collect()
        };
        let wanted = [
            format!("{} does not answer", dir.join("dying")),
            format!("{} has no valid partition table", dir.join("blank")),
        ];
        assert_eq!(told(reader.read(&disks, Duration::from_millis(300))), wanted);
        let begin = Instant::now();
        assert_eq!(told(reader.read(&disks, Duration::from_secs(600))), wanted);
        assert!(begin.elapsed() < Duration::from_secs(300), "it is not waited for again");
        assert_eq!(lock(&reader.busy).len(), 1);
        drop(std::fs::write(dir.join("dying"), "awake"));
    }
}
