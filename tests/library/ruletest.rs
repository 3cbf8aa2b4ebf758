//! `bellwether test`: the same verdicts as promtool's on files of its format, and what goes beyond
//! it; hostile files; what the command prints and exits with.

mod command;
mod hostile;
mod own;
mod promtool;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs `bellwether test ARGS`. Returns its status and the output of both streams.
fn bellwether(arguments: &[&str], folder: &Path) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("test")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("bellwether runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().expect("no signal"),
        String::from_utf8(text).expect("text"),
    )
}

/// The same of one file with this text.
fn tested(text: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.test.yaml"), text).unwrap();
    bellwether(&["x.test.yaml"], folder.path())
}

/// A folder of these tests.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ruletest")
        .join(name)
}
