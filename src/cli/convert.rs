//! `bellwether convert FILE...`: a configuration of another program as ours.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use bellwether_config as config;
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::init::write_new;
use crate::convert::{self, Converted, FORMATS, SourceFile};

#[derive(Args)]
pub(super) struct Options {
    /// Configuration files of the other program. Several become one configuration.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format of the files. Default: what their content looks like.
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(FORMATS.map(|format| format.name)))]
    from: Option<String>,
    /// File to write; `-` is standard output, the default. A file that exists is never overwritten.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let files = options.files.iter().map(|path| read(path));
    let files: Vec<SourceFile> = files.collect::<anyhow::Result<_>>()?;
    let from = options.from.as_deref().and_then(convert::format);
    let converted = convert::convert(&files, from).map_err(|error| anyhow!(error.render(&"")))?;
    match options
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"))
    {
        Some(path) => write(path, &converted.text)?,
        None => print!("{}", converted.text),
    }
    report(&converted)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    write_new(path, text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => anyhow!(
            "{} exists and stays as it is; hint: name another file with --output",
            path.display()
        ),
        _ => anyhow!("cannot write {}: {error}", path.display()),
    })
}

fn read(path: &Path) -> anyhow::Result<SourceFile> {
    let text = config::read_argument(path).with_context(|| path.display().to_string())?;
    Ok(SourceFile {
        name: path.display().to_string().into(),
        path: std::path::absolute(path)?,
        text,
    })
}

/// Prints what has no counterpart and what is left to do.
fn report(converted: &Converted) -> anyhow::Result<()> {
    for text in &converted.lost {
        eprintln!("no counterpart: {text}");
    }
    for text in &converted.to_complete {
        eprintln!("to complete: {text}");
    }
    eprintln!("bellwether: {}", converted.summary());
    for problem in &converted.invalid {
        eprintln!("{}", problem.render(&"the converted configuration"));
    }
    match converted.invalid.is_empty() {
        true => Ok(()),
        false => bail!(
            "the converted configuration is not valid: this is a bug of bellwether convert; please report it with the file"
        ),
    }
}
