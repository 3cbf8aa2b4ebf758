//! `bellwether man-pages DIRECTORY`: a man page for each command.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

#[derive(Args)]
pub(super) struct Options {
    /// Directory to write to. It is created if it is missing.
    directory: PathBuf,
}

pub(super) fn run(command: Command, options: &Options) -> anyhow::Result<()> {
    let directory = &options.directory;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    fs::create_dir_all(directory)
        .and_then(|()| write(&command, directory))
        .with_context(|| format!("cannot write man pages to {}", directory.display()))
}

/// Writes the pages of a command and of those below it.
fn write(command: &Command, directory: &Path) -> io::Result<()> {
    for command in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        write(command, directory)?;
    }
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    // clap_mangen calls what follows the help, our examples, a section EXTRA.
    let page =
        String::from_utf8_lossy(&page).replace("\n.SH EXTRA\nExamples:\n", "\n.SH EXAMPLES\n");
    fs::write(directory.join(man.get_filename()), page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command_line;

    #[test]
    fn every_command_that_help_lists_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("man1");
        let options = Options { directory };
        run(command_line(), &options).unwrap();
        let page = |name: &str| {
            let path = options.directory.join(format!("{name}.1"));
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        assert!(page("bellwether").contains("\n.SH SUBCOMMANDS\n"));
        assert!(page("bellwether-silence-add").contains("\n.SH NAME\n"));
        let command = command_line();
        for command in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            let page = page(&format!("bellwether-{}", command.get_name()));
            assert!(page.contains("\n.SH EXAMPLES\n  # "), "{page}");
        }
    }
}
