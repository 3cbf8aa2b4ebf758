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
fn each_preset_has_tests_of_its_rules_and_they_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/presets");
    let files = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<String> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let (tests, presets): (Vec<&str>, Vec<&str>) = files
        .iter()
        .map(String::as_str)
        .partition(|name| name.ends_with(".test.yaml"));
    let tested: Vec<String> = tests.iter().map(|name| name.replace(".test", "")).collect();
    assert_eq!(presets, tested);
    let (status, text) = bellwether(&tests, &folder);
    assert_eq!(status, 0, "{text}");
}
