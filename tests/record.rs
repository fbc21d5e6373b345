//! A run directory gives back what was put into it, and says what is wrong with anything else.

#[path = "report/synthetic.rs"]
mod synthetic;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use miette::Diagnostic as _;
use swarmloco::protocol::rows::{EvaluationRow, IntervalRow, PeerRow, RoundRow, Rows};
use swarmloco::record::tables::encode;
use swarmloco::record::{Manifest, RecordError, Restored, RunDirectory, Status, Table, scenario_hash};

const TABLES: [&str; 4] = [RoundRow::FILE, PeerRow::FILE, EvaluationRow::FILE, IntervalRow::FILE];

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn rows() -> Rows {
    synthetic::rows(3, 20, 1.0, 1_989_184_736)
}

fn manifest(status: Status) -> Manifest {
    Manifest::new(synthetic::scenario("s", 1, 30), synthetic::REFERENCES, "0123456789abcdef".to_owned(), 20, status)
}

#[test]
fn rows_survive_the_disk() {
    let place = temporary();
    for (name, rows) in [("full", rows()), ("empty", Rows::default())] {
        let run = RunDirectory::create(&place.path().join(name), false).expect("a new directory");
        run.write_tables(&rows).expect("writable");
        assert_eq!(run.read_rows().expect("readable"), rows);
    }
}

#[test]
fn losses_that_are_not_numbers_survive_the_disk() {
    let place = temporary();
    let run = RunDirectory::create(place.path(), false).expect("a new directory");
    let mut rows = rows();
    rows.rounds[0].training_loss = Some(f64::NAN);
    rows.rounds[1].training_loss = Some(f64::NEG_INFINITY);
    rows.rounds[2].training_loss = None;
    run.write_tables(&rows).expect("writable");
    let read = run.read_rows().expect("readable").rounds;
    assert!(read[0].training_loss.is_some_and(f64::is_nan));
    assert_eq!([read[1].training_loss, read[2].training_loss], [Some(f64::NEG_INFINITY), None]);
}

#[test]
fn equal_rows_give_equal_bytes() {
    let place = temporary();
    let contents = |name: &str| {
        let path = place.path().join(name);
        RunDirectory::create(&path, false).expect("a new directory").write_tables(&rows()).expect("writable");
        TABLES.map(|table| fs::read(path.join(table)).expect("written"))
    };
    assert_eq!(contents("one"), contents("two"));
}

/// Where another process of this test shall write its tables.
const TABLES_PLACE: &str = "SWARMLOCO_TEST_TABLES";

#[test]
#[expect(clippy::disallowed_methods, reason = "this is the child of the test below, which speaks to it so")]
fn child_writes_tables_of_several_row_groups() {
    let Some(place) = std::env::var_os(TABLES_PLACE) else { return };
    let mut rows = rows();
    rows.timeline = rows.timeline.iter().cycle().take(600_000).cloned().collect();
    RunDirectory::create(Path::new(&place), false).expect("a new directory").write_tables(&rows).expect("writable");
}

#[test]
fn tables_depend_neither_on_threads_nor_on_the_process() {
    let place = temporary();
    let contents = ["1", "4"].map(|threads| {
        let path = place.path().join(threads);
        let status = Command::new(std::env::current_exe().expect("this test's file"))
            .args(["--exact", "child_writes_tables_of_several_row_groups"])
            .env(TABLES_PLACE, &path)
            .env("POLARS_MAX_THREADS", threads)
            .stdout(Stdio::null())
            .status();
        assert!(status.expect("started").success());
        TABLES.map(|table| fs::read(path.join(table)).expect("written"))
    });
    assert!(contents[0] == contents[1], "tables differ between one and four threads");
}

#[test]
fn manifest_and_host_report_survive_the_disk() {
    let place = temporary();
    let path = place.path().join("run");
    let run = synthetic::write(&path, synthetic::scenario("s", 1, 30), &rows());
    let read = RunDirectory::open(&path).expect("a run directory");
    assert_eq!(read.previous(), Some(&run.read_manifest().expect("readable")));
    let manifest = read.read_manifest().expect("readable");
    assert_eq!((manifest.scenario, manifest.rounds_done), (synthetic::scenario("s", 1, 30), 20));
    assert_eq!(manifest.status, Status::Interrupted);
    assert_eq!(run.read_host().expect("readable").threads, 2);
}

#[test]
fn a_finished_run_is_not_written_over_unless_asked_for() {
    let place = temporary();
    let run = RunDirectory::create(place.path(), false).expect("a new directory");
    run.write_tables(&rows()).expect("writable");
    run.write_checkpoint(1, &5u32).expect("writable");
    run.write_manifest(&manifest(Status::Finished)).expect("writable");
    drop(run);
    let error = RunDirectory::create(place.path(), false).expect_err("finished");
    assert!(matches!(error, RecordError::Finished { .. }));
    let run = RunDirectory::create(place.path(), true).expect("asked for");
    assert_eq!((run.previous(), run.read_checkpoint::<u32>(1).expect("readable")), (None, None));
    assert!(matches!(run.read_rows(), Err(RecordError::Missing { .. })));
}

#[test]
fn an_interrupted_run_is_there_to_be_resumed() {
    let place = temporary();
    let run = RunDirectory::create(place.path(), false).expect("a new directory");
    run.write_checkpoint(1, &5u32).expect("writable");
    run.write_manifest(&manifest(Status::Interrupted)).expect("writable");
    drop(run);
    let run = RunDirectory::create(place.path(), false).expect("to be resumed");
    assert_eq!(run.previous().map(|manifest| manifest.rounds_done), Some(20));
    assert_eq!(run.read_checkpoint(1).expect("readable"), Some(Restored { state: 5u32, refused: Vec::new() }));
}

#[test]
fn a_run_that_crashed_before_its_manifest_does_not_block_its_directory() {
    let place = temporary();
    let run = RunDirectory::create(place.path(), false).expect("a new directory");
    run.write_tables(&rows()).expect("writable");
    drop(run);
    fs::write(place.path().join(".tmp-half"), "half").expect("writable");
    RunDirectory::create(place.path(), false).expect("still ours");
}

#[test]
fn somebody_elses_directory_is_left_alone() {
    let place = temporary();
    fs::write(place.path().join("thesis.tex"), "years").expect("writable");
    for overwrite in [false, true] {
        let error = RunDirectory::create(place.path(), overwrite).expect_err("not ours");
        assert!(matches!(&error, RecordError::Foreign { found, .. } if found == "thesis.tex"), "{error}");
    }
    fs::write(place.path().join("manifest.json"), r#"{"format": 2, "program": {"name": "other", "version": "1"}}"#)
        .expect("writable");
    let error = RunDirectory::create(place.path(), true).expect_err("another program's manifest");
    assert!(matches!(error, RecordError::Foreign { .. }), "{error}");
    assert_eq!(fs::read_dir(place.path()).expect("readable").count(), 2, "nothing was added");
}

#[test]
fn two_writers_do_not_share_a_directory() {
    let place = temporary();
    let first = RunDirectory::create(place.path(), false).expect("a new directory");
    assert!(matches!(RunDirectory::create(place.path(), false), Err(RecordError::Locked { .. })));
    drop(first);
    RunDirectory::create(place.path(), false).expect("free again");
}

#[test]
fn a_path_under_a_file_is_an_error_with_advice() {
    let place = temporary();
    let file = place.path().join("file");
    fs::write(&file, "").expect("writable");
    for path in [file.clone(), file.join("run")] {
        let error = RunDirectory::create(&path, false).expect_err("a file is in the way");
        assert!(matches!(error, RecordError::Io { .. }), "{error}");
        let help = error.help().expect("advice").to_string();
        assert!(help.contains("is a file"), "{error}: {help}");
    }
}

#[test]
fn a_directory_that_vanished_is_an_error() {
    let place = temporary();
    let run = RunDirectory::create(&place.path().join("run"), false).expect("a new directory");
    fs::remove_dir_all(run.path()).expect("removable");
    assert!(matches!(run.write_tables(&rows()), Err(RecordError::Io { .. })));
    assert!(matches!(run.write_manifest(&manifest(Status::Finished)), Err(RecordError::Io { .. })));
}

#[test]
fn a_full_disk_is_an_error_wherever_it_fills_up() {
    struct Full {
        room: usize,
    }
    impl Write for Full {
        fn write(&mut self, block: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let written = block.len().min(self.room);
            self.room -= written;
            Ok(written)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let rows = rows();
    let mut whole = Vec::new();
    encode(&rows.rounds, &mut whole).expect("memory can be written");
    for room in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let error = encode(&rows.rounds, Full { room }).expect_err("too little room");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "room for {room} bytes");
    }
    encode(&rows.rounds, Full { room: whole.len() }).expect("enough room");
}

fn open_error(path: &Path) -> RecordError {
    RunDirectory::open(path).expect_err("no run")
}

#[test]
fn what_is_no_run_is_not_read_as_one() {
    let place = temporary();
    assert!(matches!(open_error(&place.path().join("nowhere")), RecordError::NotARun { .. }));
    assert!(matches!(open_error(place.path()), RecordError::NotARun { .. }));
    let write = |text: &str| fs::write(place.path().join("manifest.json"), text).expect("writable");
    write("{");
    assert!(matches!(open_error(place.path()), RecordError::Malformed { .. }));
    write(r#"{"format": 99, "program": {"name": "swarmloco", "version": "9.0.0"}, "news": true}"#);
    let error = open_error(place.path());
    assert!(matches!(error, RecordError::Format { found: 99, .. }), "{error}");
    assert!(error.is_input());
    write(r#"{"format": 2, "program": {"name": "swarmloco", "version": "0.1.0"}, "scenario": {}}"#);
    assert!(matches!(open_error(place.path()), RecordError::OtherBuild { .. }));
    assert!(matches!(RunDirectory::create(place.path(), false), Err(RecordError::OtherBuild { .. })));
    assert!(RunDirectory::create(place.path(), true).is_ok(), "what this program wrote it may replace");
}

#[test]
fn damaged_tables_are_named() {
    let place = temporary();
    let run = synthetic::write(place.path(), synthetic::scenario("s", 1, 30), &rows());
    let path = place.path().join(RoundRow::FILE);
    let whole = fs::read(&path).expect("written");
    let mut others = Vec::new();
    encode(&rows().timeline, &mut others).expect("memory can be written");
    for (damage, bytes) in [("torn", &whole[..whole.len() / 2]), ("empty", &[][..]), ("another table", &others)] {
        fs::write(&path, bytes).expect("writable");
        let error = run.read_rows().expect_err(damage);
        assert!(matches!(&error, RecordError::Malformed { path: named, .. } if *named == path), "{damage}: {error}");
    }
    fs::remove_file(&path).expect("removable");
    assert!(matches!(run.read_rows(), Err(RecordError::Missing { .. })));
}

#[test]
fn the_last_good_checkpoint_is_used() {
    let place = temporary();
    let run = RunDirectory::create(place.path(), false).expect("a new directory");
    for state in 0..5u32 {
        run.write_checkpoint(7, &vec![state; 1000]).expect("writable");
    }
    let read = || run.read_checkpoint::<Vec<u32>>(7);
    assert_eq!(read().expect("two good ones").expect("some").state[0], 4);

    // Five checkpoints taking turns: the newest is in the first file.
    let newest = place.path().join("checkpoint/a.bin");
    let whole = fs::read(&newest).expect("written");
    for torn in [&whole[..whole.len() - 1], &whole[..20], &[][..]] {
        fs::write(&newest, torn).expect("writable");
        let restored = read().expect("one good one").expect("some");
        assert_eq!((restored.state[0], restored.refused.len()), (3, 1), "{:?}", restored.refused);
        assert!(restored.refused[0].contains("torn"), "{:?}", restored.refused);
    }
    run.write_checkpoint(7, &vec![9u32; 1000]).expect("writable");
    assert_eq!(read().expect("two good ones").expect("some"), Restored { state: vec![9; 1000], refused: Vec::new() });
}

#[test]
fn a_foreign_checkpoint_is_refused_with_the_reason() {
    let place = temporary();
    let run = RunDirectory::create(place.path(), false).expect("a new directory");
    assert_eq!(run.read_checkpoint::<u32>(7).expect("readable"), None);
    run.write_checkpoint(7, &1u32).expect("writable");
    let refusal = |scenario| run.read_checkpoint::<u32>(scenario).expect_err("foreign").to_string();
    assert!(refusal(8).contains("belongs to another scenario"), "{}", refusal(8));

    let path = place.path().join("checkpoint/a.bin");
    let mut bytes = fs::read(&path).expect("written");
    bytes[8] = 200;
    fs::write(&path, &bytes).expect("writable");
    assert!(refusal(7).contains("format"), "{}", refusal(7));
    fs::write(&path, "not a checkpoint at all").expect("writable");
    assert!(refusal(7).contains("is no checkpoint"), "{}", refusal(7));

    run.write_checkpoint(7, &2u32).expect("a foreign file is replaced");
    assert_eq!(run.read_checkpoint::<u32>(7).expect("good").expect("some").state, 2);
    run.discard_checkpoints().expect("removable");
    run.discard_checkpoints().expect("nothing left to remove");
    assert_eq!(run.read_checkpoint::<u32>(7).expect("readable"), None);
}

#[test]
fn scenarios_that_differ_in_the_seed_alone_have_different_hashes() {
    let hash = |seed| scenario_hash(&synthetic::scenario("s", seed, 30));
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}
