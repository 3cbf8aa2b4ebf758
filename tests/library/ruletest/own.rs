//! Rules of Bellwether's own files: over collected metrics and over history.

use std::fs;
use std::path::Path;

use super::{bellwether, folder};

#[test]
fn the_shipped_rules_pass() {
    let (status, text) = bellwether(&["bellwether.test.yaml"], &folder("../../config"));
    assert_eq!(status, 0, "{text}");
    assert!(text.ends_with("12 passed, 0 failed\n"), "{text}");
}

#[test]
fn files_pass() {
    let folder = folder("own");
    let names = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".test.yaml")).collect();
    names.sort();
    let arguments: Vec<&str> = names.iter().map(String::as_str).collect();
    let (status, text) = bellwether(&arguments, &folder);
    assert_eq!(status, 0, "{text}");
}

#[test]
fn those_of_the_examples_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let (status, text) = bellwether(&["oncall.test.yaml"], &folder);
    assert_eq!(status, 0, "{text}");
}

#[test]
fn those_of_the_presets_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/presets");
    let (status, text) = bellwether(&["postgresql.test.yaml", "mysql.test.yaml"], &folder);
    assert_eq!(status, 0, "{text}");
}
