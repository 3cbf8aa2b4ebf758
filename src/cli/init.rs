//! `bellwether init`: writes a first configuration for this host.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bellwether_config::EMBEDDED;
use clap::Args;

use super::installation;
use crate::init::{HostFacts, configuration, findings, probe};

#[derive(Args)]
pub(super) struct Options {
    /// File to write; `-` is standard output. Default: /etc/bellwether/bellwether.yaml if this user
    /// may write into that directory, else bellwether.yaml in the current one. A file that exists is
    /// never overwritten.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the whole catalogue of metrics and rules instead of what suits this host.
    #[arg(long)]
    full: bool,
    /// Print the configuration and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Schemas of a package and of `make install`.
const SCHEMAS: [&str; 2] = [
    "/usr/share/bellwether/bellwether.schema.json",
    "/usr/local/share/bellwether/bellwether.schema.json",
];
/// Reference to a schema beside the configuration.
const BESIDE: &str = "$schema=bellwether.schema.json";

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let facts = probe();
    let text = match options.full {
        true => EMBEDDED.to_owned(),
        false => configuration(&facts),
    };
    let text = match installed_schema(&SCHEMAS.map(Path::new)) {
        Some(schema) => with_schema(&text, schema),
        None => text,
    };
    if options.dry_run || options.output.as_deref() == Some(Path::new("-")) {
        print!("{text}");
        return Ok(());
    }
    let path = options.output.clone().unwrap_or_else(usual_path);
    match write_new(&path, &text) {
        Ok(()) => {}
        Err(_) if path.is_dir() => bail!(
            "{0} is a directory; hint: --output {0}/bellwether.yaml",
            path.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(exists(&path, options)),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
    }
    report(&path, &facts, options);
    Ok(())
}

fn installed_schema<'a>(paths: &[&'a Path]) -> Option<&'a Path> {
    paths.iter().copied().find(|path| path.is_file())
}

/// Refers to `schema` instead of to one beside the configuration.
fn with_schema(text: &str, schema: &Path) -> String {
    text.replacen(BESIDE, &format!("$schema={}", schema.display()), 1)
}

/// Returns the path of the installed service if this user may write there.
fn usual_path() -> PathBuf {
    let installed = Path::new(installation::CONFIGURATION);
    let is_writable = installed.parent().is_some_and(|folder| {
        folder.is_dir() && rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
    });
    match is_writable {
        true => installed.to_owned(),
        false => PathBuf::from("bellwether.yaml"),
    }
}

/// Writes a file that does not exist. A failure leaves none behind.
pub(super) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        fs::remove_file(path).ok();
    }
    written
}

fn exists(path: &Path, options: &Options) -> String {
    let path = path.display();
    let full = if options.full { " --full" } else { "" };
    format!(
        "{path} exists and stays as it is\n  \
         hint: `bellwether init{full} --dry-run | diff {path} -` shows the difference, --output names another file"
    )
}

fn report(path: &Path, facts: &HostFacts, options: &Options) {
    let shown = path.display();
    if options.full {
        println!("wrote {shown}: the whole catalogue of metrics and rules");
    } else {
        println!("wrote {shown} for what is on this host:");
        for line in findings(facts) {
            println!("  {line}");
        }
    }
    println!("next:");
    if path == Path::new(installation::CONFIGURATION) {
        println!("  bellwether check");
        println!("  systemctl restart bellwether");
    } else {
        println!("  bellwether check {shown}");
        println!("  bellwether run --config {shown}");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_that_exists_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.yaml");
        write_new(&path, "new").unwrap();
        let link = folder.path().join("link.yaml");
        symlink(folder.path().join("nowhere.yaml"), &link).unwrap();
        for taken in [&path, &link, &folder.path().to_owned()] {
            let error = write_new(taken, "other").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{taken:?}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(!folder.path().join("nowhere.yaml").exists());
    }

    #[test]
    fn the_file_refers_to_the_schema_that_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let schema = folder.path().join("bellwether.schema.json");
        assert_eq!(installed_schema(&[&schema]), None);
        fs::write(&schema, "{}").unwrap();
        let none = folder.path().join("none");
        let found = installed_schema(&[&none, &schema]).unwrap();
        let line = format!("\n# yaml-language-server: $schema={}\n", schema.display());
        for text in [EMBEDDED, &configuration(&HostFacts::default())] {
            assert!(text.contains("\n# yaml-language-server: $schema=bellwether.schema.json\n"));
            assert!(with_schema(text, found).contains(&line), "{text}");
        }
    }
}
