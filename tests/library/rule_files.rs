//! Rule files of Prometheus read as they are, and our rules as such files, with promtool as the reference.

mod alertmanager;
mod export;
mod import;
mod texts;

use std::path::Path;
use std::process::Command;

/// Runs promtool over the files; its output is the error if it does not accept them.
fn promtool(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .output();
    let output = output.expect("promtool is installed");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}
