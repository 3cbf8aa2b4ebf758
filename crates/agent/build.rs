//! Passes commit, date, compiler and features to `src/version.rs`.
//!
//! A release build asks git. A debug build does not, so that a commit rebuilds nothing. Without git, as
//! in a tarball, `BELLWETHER_REVISION` and `BELLWETHER_COMMIT_DATE` say it.

use std::path::{Path, PathBuf};
use std::process::Command;

const REVISION: &str = "BELLWETHER_REVISION";
const DATE: &str = "BELLWETHER_COMMIT_DATE";
const UNKNOWN: &str = "unknown";
/// Directory of the workspace, from that of this package.
const ROOT: &str = "../..";

/// Commit that is built, and its date in UTC.
struct Commit {
    revision: String,
    date: String,
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={REVISION}");
    println!("cargo::rerun-if-env-changed={DATE}");
    let is_release = variable("PROFILE").as_deref() == Some("release");
    let commit = named().or_else(|| is_release.then(from_git).flatten());
    let (revision, date) = match &commit {
        Some(commit) => (commit.revision.as_str(), commit.date.as_str()),
        None => (UNKNOWN, UNKNOWN),
    };
    let version = variable("CARGO_PKG_VERSION").unwrap_or_default();
    let short = match &commit {
        Some(_) => format!("{version} ({} {date})", shortened(revision)),
        None => version,
    };
    println!("cargo::rustc-env=BUILD_SHORT_VERSION={short}");
    println!("cargo::rustc-env=BUILD_REVISION={revision}");
    println!("cargo::rustc-env=BUILD_DATE={date}");
    println!("cargo::rustc-env=BUILD_RUST_VERSION={}", rust_version());
    println!("cargo::rustc-env=BUILD_FEATURES={}", features());
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the first twelve digits of a commit, and whether files were modified.
fn shortened(revision: &str) -> String {
    let (hash, suffix) = match revision.split_once('-') {
        Some((hash, suffix)) => (hash, format!("-{suffix}")),
        None => (revision, String::new()),
    };
    format!("{}{suffix}", hash.get(..12).unwrap_or(hash))
}

/// Returns the commit that the environment names.
fn named() -> Option<Commit> {
    let is_plain = |text: &String| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-.:+_".contains(&byte))
    };
    let revision = variable(REVISION).filter(is_plain)?;
    let date = variable(DATE).filter(is_plain);
    Some(Commit {
        revision,
        date: date.unwrap_or_else(|| UNKNOWN.to_owned()),
    })
}

/// Returns the commit of the workspace, if it is a repository and not a part of another one.
fn from_git() -> Option<Commit> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join(ROOT);
    let top = git(&root, &["rev-parse", "--show-toplevel"])?;
    if std::fs::canonicalize(top).ok()? != std::fs::canonicalize(&root).ok()? {
        return None;
    }
    // They change with each commit, and the others where a file is modified.
    for name in ["HEAD", "logs/HEAD"] {
        let path = root.join(git(&root, &["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    for name in ["Cargo.toml", "Cargo.lock", "config", "crates", "src"] {
        println!("cargo::rerun-if-changed={ROOT}/{name}");
    }
    let line = git(
        &root,
        &[
            "log",
            "-1",
            "--date=format-local:%Y-%m-%d",
            "--format=%H %cd",
        ],
    )?;
    let (revision, date) = line.split_once(' ')?;
    let changes = git(&root, &["status", "--porcelain", "--untracked-files=no"])?;
    let suffix = if changes.is_empty() { "" } else { "-modified" };
    Some(Commit {
        revision: format!("{revision}{suffix}"),
        date: date.to_owned(),
    })
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("TZ", "UTC")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Returns the version of the compiler: 1.95.0.
fn rust_version() -> String {
    let compiler = variable("RUSTC").unwrap_or_else(|| "rustc".to_owned());
    let output = Command::new(compiler).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.split_whitespace().nth(1).unwrap_or(UNKNOWN).to_owned()
}

/// Returns the features of the build, in order.
fn features() -> String {
    let variables = std::env::vars().filter_map(|(name, _)| {
        let feature = name.strip_prefix("CARGO_FEATURE_")?;
        Some(feature.to_lowercase().replace('_', "-"))
    });
    let mut features: Vec<String> = variables.filter(|name| name != "default").collect();
    features.sort();
    features.join(",")
}
