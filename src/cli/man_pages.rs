//! `bellwether man-pages DIRECTORY`: a man page for each command.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};

#[derive(Args)]
pub(super) struct Options {
    /// Directory to write to. It is created if it is missing.
    directory: PathBuf,
}

pub(super) fn run(command: Command, options: &Options) -> anyhow::Result<()> {
    let directory = &options.directory;
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory))
        .with_context(|| format!("cannot write man pages to {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_that_help_lists_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("man1");
        let options = Options { directory };
        run(Cli::command(), &options).unwrap();
        let page = |name: &str| {
            let path = options.directory.join(format!("{name}.1"));
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        assert!(page("bellwether").contains("\n.SH SUBCOMMANDS\n"));
        assert!(page("bellwether-silence-add").contains("\n.SH NAME\n"));
        let command = Cli::command();
        for command in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            page(&format!("bellwether-{}", command.get_name()));
        }
    }
}
