//! Records on a file that stands in for META.

use corten_sys::kmsg::{Level, Record};

use super::*;

struct Bench {
    dir: tempfile::TempDir,
    recorder: Recorder,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join("META")).unwrap().set_len(16 << 20).unwrap();
        std::fs::create_dir(dir.path().join("pstore")).unwrap();
        Self { dir, recorder: Recorder::new(KernelRing::default()) }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().join(name)).unwrap()
    }

    fn begin(&self) {
        self.recorder.begin_blocking(&self.path("META"), &self.path("pstore")).unwrap();
    }

    fn ring(&self) -> Ring<File> {
        ring(&MetaFile::new(self.path("META"))).unwrap()
    }

    fn earlier(&self, ended: Option<&str>) {
        let boot_id = "earlier".to_owned();
        let mut record = BootRecord { boot_id, ended: ended.map(str::to_owned), ..BootRecord::default() };
        self.ring().begin(&mut record).unwrap();
    }

    fn leave_panic(&self) {
        let text = "Panic#1 Part1\n<0>[    9.000000] Kernel panic - not syncing: test\n";
        std::fs::write(self.path("pstore").join("dmesg-efi_pstore-1"), text).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_the_records_waits_until_the_beginning_is_over_but_not_for_ever() {
    let recorder = Recorder::new(KernelRing::default());
    let waiting = |limit| {
        let recorder = recorder.clone();
        tokio::spawn(async move { recorder.begun(Duration::from_secs(limit)).await })
    };
    let (patient, impatient) = (waiting(3600), waiting(5));
    impatient.await.unwrap();
    assert!(!patient.is_finished());
    begin(recorder.clone(), Some("no such disk".to_owned())).await;
    patient.await.unwrap();
    waiting(3600).await.unwrap();
    begin(Recorder::new(KernelRing::default()), None).await;
}

#[tokio::test]
async fn a_record_is_begun_refreshed_and_ended_once() {
    let bench = Bench::new();
    bench.begin();
    let message = "hello".to_owned();
    bench.recorder.kernel_log.push(Record {
        level: Level::Info,
        facility: 0,
        sequence: 1,
        microseconds: 5,
        message,
    });
    bench.recorder.store("running", vec!["etcd".into()], None).await.unwrap();
    let record = bench.ring().previous(0).unwrap();
    assert_eq!((record.stage.as_str(), record.unmet.as_slice()), ("running", &["etcd".to_owned()][..]));
    assert_eq!(record.kernel_log, "[    0.000005] info: hello\n");
    assert_eq!(record.boot_id, versions::boot_id());

    bench.recorder.store("running", vec![], Some("health gate: late".into())).await.unwrap();
    bench.recorder.end("reboot").await.unwrap();
    bench.recorder.store("later", vec![], None).await.unwrap();
    let record = bench.ring().previous(0).unwrap();
    assert_eq!(record.ended.as_deref(), Some("health gate: late"), "the first reason stays");
    assert_eq!(record.stage, "running", "nothing is written after the end");
}

#[tokio::test]
async fn without_meta_nothing_is_kept_and_reading_says_so() {
    let bench = Bench::new();
    bench.recorder.store("running", vec![], None).await.unwrap();
    assert!(matches!(bench.recorder.previous().await, Err(RecordError::NoMeta)));
}

#[tokio::test]
async fn the_kernels_last_words_go_to_the_boot_that_was_cut_off() {
    let bench = Bench::new();
    bench.earlier(None);
    bench.leave_panic();
    bench.begin();
    let previous = bench.recorder.previous().await.unwrap();
    assert_eq!(previous.len(), 1);
    assert_eq!(previous[0].ended.as_deref(), Some("kernel panic: not syncing: test"));
    assert!(previous[0].pstore.contains("[    9.000000]"));
    assert!(pstore::read(&bench.path("pstore")).is_empty(), "the firmware's room is free again");
}

#[tokio::test]
async fn a_panic_before_any_record_gets_one_of_its_own() {
    let bench = Bench::new();
    bench.earlier(Some("reboot"));
    bench.leave_panic();
    bench.begin();
    let previous = bench.recorder.previous().await.unwrap();
    let ended: Vec<_> = previous.iter().map(|record| record.ended.as_deref().unwrap()).collect();
    assert_eq!(ended, ["kernel panic: not syncing: test", "reboot"]);
}

#[test]
fn a_fatal_end_is_noted_with_and_without_a_record() {
    let bench = Bench::new();
    fatal::write(&bench.path("META"), "fatal: no root").unwrap();
    fatal::write(&bench.path("META"), "fatal: again").unwrap();
    let records = bench.ring().list().records;
    assert_eq!(records.len(), 1, "one boot, one record");
    assert_eq!(records[0].ended.as_deref(), Some("fatal: again"));
    assert!(fatal::write(&bench.path("nothing"), "fatal: x").is_err());
}
