//! `build.rs` of the agent: where the version of the binary comes from.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Compiles the build script and returns the program.
fn program(folder: &Path) -> PathBuf {
    let program = folder.join("build-script");
    let done = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()))
        .args(["--edition", "2024", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/agent/build.rs"))
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    program
}

/// Runs it for the workspace in `root` and returns what it passes to the compiler.
fn values(program: &Path, root: &Path, variables: &[(&str, &str)]) -> String {
    let package = root.join("crates/agent");
    std::fs::create_dir_all(&package).unwrap();
    let done = Command::new(program)
        .current_dir(&package)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs([
            ("CARGO_MANIFEST_DIR", package.to_str().unwrap()),
            ("CARGO_PKG_VERSION", "1.2.3"),
        ])
        .envs([("CARGO_FEATURE_DEFAULT", "1"), ("CARGO_FEATURE_NEO4J", "1")])
        .env("CARGO_FEATURE_KAFKA_SSL", "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(done.status.success());
    let lines = String::from_utf8(done.stdout).unwrap();
    let values = lines
        .lines()
        .filter_map(|line| line.strip_prefix("cargo::rustc-env=BUILD_"))
        .filter(|line| !line.starts_with("RUST_VERSION="));
    values.collect::<Vec<_>>().join("\n")
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let done = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=ada", "-c", "user.email=ada@example.com"])
        .args(arguments)
        .env("GIT_COMMITTER_DATE", "2026-11-29T01:00:00+02:00")
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_release_has_its_commit_and_everything_else_says_that_it_is_unknown() {
    let folder = TempDir::new().unwrap();
    let program = program(folder.path());
    let root = folder.path().join("source");
    std::fs::create_dir(&root).unwrap();
    let release = &[("PROFILE", "release")];
    let unknown = "SHORT_VERSION=1.2.3\nREVISION=unknown\nDATE=unknown\nFEATURES=kafka-ssl,neo4j";
    assert_eq!(values(&program, &root, release), unknown, "a tarball");
    let named = [
        ("BELLWETHER_REVISION", "v1.2.3"),
        ("BELLWETHER_COMMIT_DATE", "2026-11-28"),
    ];
    assert_eq!(
        values(&program, &root, &named),
        "SHORT_VERSION=1.2.3 (v1.2.3 2026-11-28)\nREVISION=v1.2.3\nDATE=2026-11-28\nFEATURES=kafka-ssl,neo4j"
    );
    let hostile = [("BELLWETHER_REVISION", "a\ncargo::warning=x")];
    assert_eq!(values(&program, &root, &hostile), unknown);

    std::fs::write(root.join("Cargo.toml"), "").unwrap();
    git(&root, &["init", "--quiet"]);
    git(&root, &["add", "Cargo.toml"]);
    git(
        &root,
        &["commit", "--quiet", "--no-gpg-sign", "-m", "first"],
    );
    let hash = git(&root, &["rev-parse", "HEAD"]);
    let of = |suffix: &str| {
        format!(
            "SHORT_VERSION=1.2.3 ({}{suffix} 2026-11-28)\nREVISION={hash}{suffix}\nDATE=2026-11-28\nFEATURES=kafka-ssl,neo4j",
            &hash[..12]
        )
    };
    assert_eq!(
        values(&program, &root, release),
        of(""),
        "the date is in UTC"
    );
    assert_eq!(values(&program, &root, &[("PROFILE", "debug")]), unknown);
    std::fs::write(root.join("Cargo.toml"), "[package]").unwrap();
    assert_eq!(values(&program, &root, release), of("-modified"));
    let inner = root.join("inner");
    std::fs::create_dir(&inner).unwrap();
    assert_eq!(
        values(&program, &inner, release),
        unknown,
        "another's repository"
    );
}
