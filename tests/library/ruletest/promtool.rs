//! Files in promtool's format: Debian's promtool and Bellwether say the same of each.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{bellwether, folder};

#[test]
fn both_say_the_same() {
    let folder = folder("promtool");
    let files = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "yml"))
        .collect();
    files.sort();
    assert!(files.len() >= 24, "only {} files", files.len());
    let mut different = Vec::new();
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let theirs = Command::new("promtool")
            .args(["test", "rules", name])
            .current_dir(&folder)
            .output()
            .expect("promtool is needed: apt-get install prometheus");
        let (ours, text) = bellwether(&[name], &folder);
        let expected = name.starts_with("pass-");
        if theirs.status.success() != expected || (ours == 0) != expected {
            let theirs =
                String::from_utf8_lossy(&[theirs.stdout, theirs.stderr].concat()).into_owned();
            different.push(format!(
                "{name}\npromtool:\n{theirs}\nBellwether ({ours}):\n{text}"
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
