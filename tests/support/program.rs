//! The built program, run to its end.

use std::path::Path;

use assert_cmd::Command;

/// Exit status, stdout, stderr.
pub fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut program = Command::cargo_bin("swarmloco").expect("the program is built");
    let output = program.current_dir(directory).args(arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("messages are UTF-8");
    let status = output.status.code().expect("no signal ended it");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(!stderr.contains("panicked"), "{stderr}");
    (status, stdout, stderr)
}
